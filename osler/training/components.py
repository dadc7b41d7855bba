"""Which weights belong to vision encoder, projector and language model, for every model family."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from osler.errors import RecipeError

if TYPE_CHECKING:
    from torch import nn

    from osler.training.recipe import LoraSection

# Name prefixes inside `AutoModelForImageTextToText` classes of transformers 5; the first match wins, so the
# projector, which some families keep inside the vision tower, is looked for first.
_PROJECTOR = (
    "model.multi_modal_projector.",  # LLaVA family, Gemma 3, Mistral 3
    "model.visual.merger.",  # Qwen2-VL, Qwen2.5-VL, Qwen3-VL
    "model.visual.deepstack_merger_list.",
    "model.connector.",  # Idefics3, SmolVLM
    "model.aligner.",
    "model.embed_vision.",
)
_VISION = ("model.vision_tower.", "model.visual.", "model.vision_model.", "model.vision_embed_tokens.")
_LANGUAGE = ("model.language_model.", "model.text_model.", "lm_head.", "model.embed_tokens.", "model.layers.")


class ParameterCount(NamedTuple):
    """Parameters of one component."""

    component: str
    total: int
    trainable: int


def component_of(name: str) -> str:
    """Component a parameter belongs to: "projector", "vision", "language", "alignment" or "value head" (of training
    only), or "other".

    Args:
        name: as in `named_parameters()`; wrappers' prefixes (PEFT, DDP) are ignored.
    """
    for wrapper in ("module.", "base_model.model."):
        name = name.removeprefix(wrapper)
    if name.startswith("alignment_head."):
        return "alignment"
    if name.startswith("value_head."):
        return "value head"
    for component, prefixes in (("projector", _PROJECTOR), ("vision", _VISION), ("language", _LANGUAGE)):
        if name.startswith(prefixes):
            return component
    return "other"


def set_trainable(model: nn.Module, components: Iterable[str]) -> None:
    """Freeze everything but the given components.

    Raises:
        RecipeError: when a component has no weights in this model.
    """
    wanted = set(components)
    seen = set()
    for name, parameter in model.named_parameters():
        component = component_of(name)
        seen.add(component)
        parameter.requires_grad_(component in wanted)
    absent = wanted - seen
    if absent:
        raise RecipeError(
            f"{type(model).__name__} has no weights that Osler knows as {', '.join(sorted(absent))}; "
            f"it has {', '.join(sorted(seen))}"
        )


def count_parameters(model: nn.Module) -> list[ParameterCount]:
    """Total and trainable parameters by component; shared (tied) weights count once."""
    totals: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        entry = totals.setdefault(component_of(name), [0, 0])
        entry[0] += parameter.numel()
        entry[1] += parameter.numel() if parameter.requires_grad else 0
    return [ParameterCount(name, *entry) for name, entry in sorted(totals.items())]


def add_lora(model: nn.Module, lora: LoraSection, full: Iterable[str]) -> Any:
    """Put adapters on the language model; components in `full` are trained whole beside them.

    Args:
        model: a vision-language model.
        lora: rank, scale, dropout and the names of the linear layers.
        full: components trained in full ("projector", "vision").

    Returns:
        The PEFT model.

    Raises:
        RecipeError: when no layer matches, which would otherwise train nothing.
    """
    from peft import LoraConfig, get_peft_model
    from torch import nn

    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and component_of(f"{name}.weight") == "language"
        and name.rsplit(".", 1)[-1] in lora.targets
    ]
    if not targets:
        raise RecipeError(f"lora.targets {list(lora.targets)} match no linear layer of the language model")
    whole = list(_whole_modules(model, full))
    whole += [name for name, _ in model.named_children() if name in ("alignment_head", "value_head")]
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        modules_to_save=whole or None,
    )
    return get_peft_model(model, config)


def _whole_modules(model: nn.Module, components: Iterable[str]) -> Iterator[str]:
    """Dotted names of the modules that make up the components."""
    wanted = {"projector": _PROJECTOR, "vision": _VISION}
    names = {name for name, _ in model.named_modules()}
    for component in components:
        yield from (prefix.rstrip(".") for prefix in wanted[component] if prefix.rstrip(".") in names)
