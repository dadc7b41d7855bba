"""Write a Hugging Face folder from planned tensors: check the plan, write in a stream, verify what was written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig, LlavaConfig, LlavaImageProcessorPil, LlavaProcessor, PreTrainedTokenizerFast

from osler.errors import ModelError
from osler.models.llava_variants import OslerLlavaConfig, model_class, register
from osler.models.published.shards import ShardWriter, WrittenShards
from osler.models.published.vision import VisionWeights

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Planned:
    """A tensor to be written.

    Args:
        sources: labels of the tensors that it is made of.
        shape: its shape.
        load: makes it; called once, when its turn to be written has come.
    """

    sources: tuple[str, ...]
    shape: tuple[int, ...]
    load: Callable[[], torch.Tensor]


def pick_dtype(dtype: str | None, *, stored: torch.dtype) -> torch.dtype:
    """Return the element type to write: the one asked for, or the stored one.

    Raises:
        ModelError: not one of float32, float16, bfloat16.
    """
    if dtype is None:
        return stored
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown; choose one of {', '.join(DTYPES)}")
    return DTYPES[dtype]


def check_plan(plan: Mapping[str, Planned], config: LlavaConfig, *, source: Path) -> None:
    """Compare planned names and shapes with those of the model that `config` builds (on the meta device).

    Raises:
        ModelError: a source tensor has no place in the model, the model lacks one, or a shape differs.
    """
    with torch.device("meta"):
        expected = {name: tuple(t.shape) for name, t in model_class(config)(config).state_dict().items()}
    unknown = [" + ".join(plan[name].sources) for name in plan if name not in expected]
    if unknown:
        raise ModelError(
            f"{source}: {len(unknown)} tensor(s) have no place in the model: {', '.join(sorted(unknown)[:5])}; "
            "this is not the layout that was detected, and leaving them out would change the model"
        )
    missing = sorted(expected.keys() - plan.keys())
    if missing:
        raise ModelError(
            f"{source}: {len(missing)} tensor(s) of the model are not in the checkpoint: {', '.join(missing[:5])}; "
            "is a shard missing, or does config.json belong to another model?"
        )
    wrong = [f"{n} is {plan[n].shape}, config.json says {s}" for n, s in expected.items() if plan[n].shape != s]
    if wrong:
        raise ModelError(f"{source}: shapes do not fit config.json: {'; '.join(wrong[:3])}")


def stored_name(name: str, config: LlavaConfig) -> str:
    """Return the key under which a parameter is written.

    A plain LLaVA folder uses the names of the published llava-hf models, which transformers 4 and 5 and vLLM read;
    our own class, which only transformers reads, uses its parameter names.
    """
    if isinstance(config, OslerLlavaConfig):
        return name
    renames = (
        ("model.language_model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
        ("model.vision_tower.", "vision_tower.vision_model."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
    )
    for old, new in renames:
        if name.startswith(old):
            return new + name.removeprefix(old)
    raise AssertionError(name)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a scratch folder beside `out` that becomes `out` on success and is removed on failure.

    Raises:
        ModelError: `out` exists and is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out}: exists already; choose another --out, or remove it")
    scratch = out.parent / f".{out.name}.partial"
    shutil.rmtree(scratch, ignore_errors=True)  # left behind by an import that was killed
    scratch.mkdir(parents=True)
    try:
        yield scratch
        if out.exists():
            out.rmdir()
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_weights(
    plan: Mapping[str, Planned], config: LlavaConfig, folder: Path, *, dtype: torch.dtype, max_shard_bytes: int
) -> WrittenShards:
    """Make and write the planned tensors one after the other.

    Memory holds one output shard and the tensor in work.

    Args:
        plan: parameter name → tensor; in the order of the sources' files.
        config: decides the stored names.
        folder: existing folder.
        dtype: element type to write.
        max_shard_bytes: size of a shard.

    Returns:
        Totals.

    Raises:
        ModelError: not enough room on the disk.
    """
    needed = sum(torch.Size(p.shape).numel() for p in plan.values()) * dtype.itemsize
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(f"{folder}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room")
    writer = ShardWriter(folder, max_bytes=max_shard_bytes)
    for name, planned in plan.items():
        tensor = planned.load()
        assert tuple(tensor.shape) == planned.shape, name
        writer.add(stored_name(name, config), tensor.to(dtype))
    return writer.close()


def make_processor(
    tokenizer: PreTrainedTokenizerFast,
    vision: VisionWeights,
    *,
    pad_to_square: bool,
    strategy: str,
    image_token: str,
    chat_template: str,
) -> LlavaProcessor:
    """Make the processor: CLIP preprocessing without torchvision, tokenizer, chat template.

    Args:
        tokenizer: has `image_token`.
        vision: gives image and patch size, channel means and deviations.
        pad_to_square: pad with the mean colour to a square first; otherwise the short side is resized and the centre
            is cut out, which loses the ends of an oblong image.
        strategy: "default" or "full".
        image_token: token that is repeated for every patch.
        chat_template: Jinja text.

    Returns:
        The processor.
    """
    side = vision.config.image_size
    statistics = {"image_mean": vision.image_mean, "image_std": vision.image_std}
    images = LlavaImageProcessorPil(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        do_pad=pad_to_square,
        **{name: values for name, values in statistics.items() if values},
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=vision.config.patch_size,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=1,  # CLIP's class token
        image_token=image_token,
        chat_template=chat_template,
    )


def save_settings(
    folder: Path, config: LlavaConfig, processor: LlavaProcessor, generation: GenerationConfig, *, dtype: torch.dtype
) -> None:
    """Write configuration, processor (with tokenizer and chat template) and generation settings."""
    config.architectures = [model_class(config).__name__]
    config.dtype = dtype
    config.save_pretrained(folder)
    processor.save_pretrained(folder)
    generation.save_pretrained(folder)


def verify_folder(folder: Path) -> None:
    """Load the written folder the way a user does, on the meta device, so that it costs no memory.

    Raises:
        ModelError: a parameter would be newly initialised, a stored tensor unused, or a shape wrong.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    register()
    _, info = AutoModelForImageTextToText.from_pretrained(
        folder, device_map="meta", output_loading_info=True, local_files_only=True
    )
    problems = {name: keys for name, keys in info.items() if keys}
    if problems:
        raise ModelError(f"{folder}: the written weights do not load cleanly: {problems}")
    AutoProcessor.from_pretrained(folder, local_files_only=True)
