"""The alignment objective on one batch: nodes, gradients, weights, accumulation, checkpointing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from osler.alignment.settings import KINDS, AlignmentSettings
from osler.models.language import image_positions
from osler.record_files import read_records
from osler.training import objectives
from osler.training.alignment.objective import attach_head, batch_nodes, detach_head
from osler.training.collate import Collator, RecordDataset
from osler.training.objectives import Step
from tests import tiny
from tests.evaluation import tiny_models

CALM = {"node_noise": 0.0, "edge_noise": 0.0, "message_dropout": 0.0}


def setting(kind: str = "graph_alignment", **options: Any) -> AlignmentSettings:
    return AlignmentSettings(**{**CALM, **options})


def batch_of(processor: Any, folder: Path, settings: AlignmentSettings, rows: range = range(8)) -> dict[str, Any]:
    records = list(read_records(folder / "train.jsonl"))
    data = RecordDataset(records, [folder] * len(records))
    return Collator(processor, max_length=512, alignment=settings)([data[row] for row in rows])


def prepared(kind: str, settings: AlignmentSettings, name: str = "osler") -> tuple[Any, Any]:
    if name == "osler":
        loaded = tiny.model()
        model, processor = loaded.model, loaded.processor
    else:
        model, processor = getattr(tiny_models, name)()
    attach_head(model, kind, settings, seed=0)
    return model.train(), processor


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["osler", "llava", "qwen", "gemma", "smolvlm"])
def test_every_family_and_kind_gets_finite_gradients_everywhere(name: str, kind: str, extended_data: Path) -> None:
    settings = setting()
    model, processor = prepared(kind, settings, name)
    step = Step(model, batch_of(processor, extended_data, settings), tokens=None, keep_states=True)
    value = objectives.get(kind, settings)(step)
    assert value.mean
    value.loss.backward()
    assert torch.isfinite(value.loss)
    reached = {n: p.grad for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert all(torch.isfinite(gradient).all() for gradient in reached.values())
    assert any("projector" in n or "merger" in n or "connector" in n for n in reached)
    assert any("self_attn" in n and "vision" not in n and "visual" not in n for n in reached)
    assert any(n.startswith("alignment_head") for n in reached)
    for key in (
        "align_loss",
        "align_hamming_leave_one_out",
        "align_r1_image_to_answers",
        "align_r1_answers_to_extended",
    ):
        assert key in value.metrics
    assert value.metrics["align_text_passes"] == 1


def test_picture_nodes_are_means_of_the_projected_patches(extended_data: Path) -> None:
    settings = setting()
    model, processor = prepared("infonce", settings)
    batch = batch_of(processor, extended_data, settings)
    nodes, _ = batch_nodes(Step(model, batch, tokens=None, keep_states=True), settings)
    features = model.model.get_image_features(batch["pixel_values"]).pooler_output
    want = torch.stack([picture.mean(0) for picture in features])
    torch.testing.assert_close(nodes["image"], want, rtol=1e-5, atol=1e-6)
    assert int(image_positions(model, batch["input_ids"])[0].sum()) == len(features[0])


def test_answers_can_be_read_off_the_main_pass(extended_data: Path) -> None:
    settings = setting(text_states="main_pass", modalities=("image", "answers"))
    model, processor = prepared("infonce", settings)
    batch = batch_of(processor, extended_data, settings)
    value = objectives.get("infonce", settings)(Step(model, batch, tokens=None, keep_states=True))
    assert value.metrics["align_text_passes"] == 0
    value.loss.backward()
    assert model.model.language_model.layers[0].self_attn.q_proj.weight.grad is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_is_a_weight(kind: str, extended_data: Path) -> None:
    settings = setting()
    model, processor = prepared(kind, settings)
    batch = batch_of(processor, extended_data, settings)
    gradients = []
    for weight in (1.0, 3.0):
        model.zero_grad()
        value = objectives.get(kind, settings)(Step(model, batch, tokens=None, keep_states=True))
        (weight * value.loss).backward()
        gradients.append(model.model.multi_modal_projector.linear_1.weight.grad.clone())
    size = float(gradients[0].abs().max())
    assert size > 0
    torch.testing.assert_close(gradients[1], 3 * gradients[0], rtol=1e-3, atol=1e-4 * size)


def test_gradient_checkpointing_changes_nothing(extended_data: Path) -> None:
    settings = setting()
    gradients = []
    for checkpointing in (False, True):
        model, processor = prepared("graph_alignment", settings)
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        batch = batch_of(processor, extended_data, settings)
        step = Step(model, batch, tokens=None, keep_states=True)
        total = objectives.autoregressive(step).loss + objectives.get("graph_alignment", settings)(step).loss
        total.backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


def test_the_head_leaves_no_trace(extended_data: Path) -> None:
    plain = tiny.model().model
    model, _ = prepared("graph_alignment", setting())
    assert model.state_dict().keys() != plain.state_dict().keys()
    assert detach_head(model) is not None
    assert detach_head(model) is None
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_the_heads_weights_do_not_depend_on_the_global_generator() -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model, _ = prepared("graph_alignment", setting())
        states.append(model.alignment_head.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
