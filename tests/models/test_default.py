"""The embedded default, with its real weights out of Python packages."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from osler.evaluation.runners import LocalRunner, Request
from osler.models import build_default
from osler.records import Turn


@pytest.fixture(scope="module")
def default() -> Any:
    return build_default()


def test_the_language_model_kept_its_knowledge_through_the_conversion(default: Any) -> None:
    runner = LocalRunner((default.model, default.processor), max_new_tokens=12)
    request = Request(turns=(Turn(role="user", text="What is the capital of France? Answer briefly."),))
    assert "Paris" in runner.answer([request])[0].text


def test_the_encoder_tells_pictures_apart_and_gives_49_tokens(default: Any) -> None:
    tower, prepare = default.model.model.vision_tower, default.processor.image_processor
    pictures = [Image.new("RGB", (224, 224), "black"), Image.effect_noise((224, 224), 80).convert("RGB")]
    with torch.no_grad():
        tokens = tower(prepare(images=pictures, return_tensors="pt")["pixel_values"]).last_hidden_state
    assert tokens.shape == (2, 49, 1280)
    assert tokens.isfinite().all()
    # ReLU6 after batch normalisation of trained weights: sparse, bounded, and different for different pictures
    assert float(tokens.min()) == 0.0
    assert float(tokens.max()) <= 6.0
    assert 0.05 < float((tokens > 0).float().mean()) < 0.95
    assert torch.nn.functional.cosine_similarity(tokens[0].mean(0), tokens[1].mean(0), dim=0) < 0.95


def test_size_and_trainable_parts_are_as_documented(default: Any) -> None:
    total = sum(parameter.numel() for parameter in default.model.parameters())
    assert 138e6 < total < 142e6
    assert default.model.config.image_seq_length == 49
    assert default.model.config.model_type == "llava"
