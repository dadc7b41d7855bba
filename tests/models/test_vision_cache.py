from __future__ import annotations

import torch

from osler.models.vision_cache import cached_vision
from tests import tiny


def test_cached_features_are_those_of_the_encoder_and_are_computed_once() -> None:
    for kind in ("grid", "clip"):
        model = tiny.model(kind).model
        model.model.vision_tower.requires_grad_(False)
        pixels = torch.randn(3, 3, 32, 32)
        wanted = torch.cat(model.get_image_features(pixel_values=pixels).pooler_output)
        with cached_vision(model) as cache:
            assert cache is not None
            for order in ([0, 1, 2], [2, 0, 1]):
                found = torch.cat(model.get_image_features(pixel_values=pixels[order]).pooler_output)
                torch.testing.assert_close(found, wanted.view(3, -1, found.shape[-1])[order].flatten(0, 1))
            assert (cache.misses, cache.hits) == (3, 3)
        again = torch.cat(model.get_image_features(pixel_values=pixels).pooler_output)
        assert torch.equal(again, wanted)


def test_features_do_not_depend_on_the_batch_they_came_in() -> None:
    model = tiny.model().model
    model.model.vision_tower.requires_grad_(False)
    pixels = torch.randn(4, 3, 32, 32)
    with cached_vision(model):
        together = model.get_image_features(pixel_values=pixels).pooler_output[2]
    with cached_vision(model):
        alone = model.get_image_features(pixel_values=pixels[2:3]).pooler_output[0]
    assert torch.equal(together, alone)


def test_memory_stays_within_its_limit() -> None:
    model = tiny.model().model
    model.model.vision_tower.requires_grad_(False)
    one = 4 * 16 * 4  # four tokens of width 16 in float32
    with cached_vision(model, limit_bytes=2 * one) as cache:
        assert cache is not None
        for _ in range(5):
            model.get_image_features(pixel_values=torch.randn(1, 3, 32, 32))
        assert cache.used_bytes <= 2 * one


def test_a_trainable_encoder_is_left_alone() -> None:
    with cached_vision(tiny.model().model) as cache:
        assert cache is None
