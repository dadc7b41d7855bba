"""The alignment objective: nodes of a batch from the main pass and the text passes, then the head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from osler.alignment.head import AlignmentHead, AlignmentValue
from osler.alignment.nodes import masked_mean
from osler.alignment.settings import AlignmentSettings, Kind
from osler.models.language import image_positions, language_model, unwrap
from osler.training.alignment.passes import check_packing, text_nodes
from osler.training.alignment.texts import TEXTS
from osler.training.objectives import IGNORE, ObjectiveValue, Step

HEAD = "alignment_head"
"""Name of the head inside the model while a stage trains it."""


class AlignmentObjective:
    """Multi-graph alignment, InfoNCE or SigLIP over the records of a batch.

    Picture nodes are means of the projected patches and cost nothing: the main pass has computed them.

    Args:
        settings: every switch.
    """

    needs_states = True

    def __init__(self, settings: AlignmentSettings) -> None:
        self.settings = settings

    def __call__(self, step: Step) -> ObjectiveValue:
        """The loss is a mean over the batch, not a share of the optimiser step's tokens."""
        nodes, passes = batch_nodes(step, self.settings)
        head = getattr(unwrap(step.model), HEAD)
        # the loss of a few dozen vectors is not the place to save bits
        with torch.autocast(next(iter(nodes.values())).device.type, enabled=False):
            value: AlignmentValue = head(nodes)
        return ObjectiveValue(value.loss, {**value.metrics, "align_text_passes": passes}, mean=True)


def batch_nodes(step: Step, settings: AlignmentSettings) -> tuple[dict[str, Tensor], int]:
    """Nodes of each modality, (B, D), and the number of text-only passes."""
    texts = dict(step.batch[TEXTS])
    states = step.states()
    assert states.embeds_BTD is not None
    assert states.hidden_BTD is not None
    nodes: dict[str, Tensor] = {}
    if "image" in settings.modalities:
        nodes["image"] = masked_mean(states.embeds_BTD, image_positions(step.model, step.batch["input_ids"]))
    if settings.text_states == "main_pass" and "answers" in texts:
        # the state that predicts a token stands one place before it; the states *at* the answer's tokens are pooled
        nodes["answers"] = masked_mean(states.hidden_BTD, step.batch["labels"] != IGNORE)
        del texts["answers"]
    passes = 0
    if texts:
        found, passes = text_nodes(step.model, texts, settings)
        nodes |= found
    return nodes, passes


def attach_head(model: Any, kind: Kind, settings: AlignmentSettings, *, seed: int) -> None:
    """Give a model the head of an alignment objective for the time of a stage.

    Inside the model it is optimised, wrapped, sharded and checkpointed like every other part.
    """
    width = language_model(model).config.hidden_size  # type: ignore[union-attr]
    if settings.pooling == "tokens" and settings.text_states != "embeddings":
        check_packing(model)
    head = AlignmentHead(kind, int(width), settings, seed=seed)  # type: ignore[arg-type]
    head.to(next(model.parameters()).device)
    model.add_module(HEAD, head)
    # sharded on its own: it runs outside the model's forward, where the root's weights may be gone
    model._no_split_modules = [*(getattr(model, "_no_split_modules", None) or ()), AlignmentHead.__name__]


def detach_head(model: Any) -> AlignmentHead | None:
    """Take the head off again, so that what is saved is the plain model; None where there is none."""
    head = getattr(model, HEAD, None)
    if head is not None:
        delattr(model, HEAD)
        del model._no_split_modules  # the class's own again
    return head


def save_head(model: Any, folder: Path) -> None:
    """Take the head off and write `alignment_head.safetensors` into the stage's folder; nothing where there is none."""
    from safetensors.torch import save_file

    head = detach_head(model)
    if head is not None and head.state_dict():
        weights = {name: value.contiguous() for name, value in head.state_dict().items()}
        save_file(weights, folder / "alignment_head.safetensors")
