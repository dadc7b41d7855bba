import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from osler.box_transforms import Transform
from osler.boxes import Box
from osler.errors import ModelError
from osler.models.assemble import make_image_processor
from osler.models.patch_grid import PatchGrid, image_transform, patch_grid


def clip_processor(size):
    """transformers' own settings for LLaVA: shortest edge, centre crop."""
    square = {"height": size, "width": size}
    return LlavaImageProcessorPil(size={"shortest_edge": size}, crop_size=square, do_pad=False, do_center_crop=True)


class Processor:
    def __init__(self, image_processor):
        self.image_processor = image_processor


def grid_of(image_processor, size, patch=14, width=1000, height=800):
    return patch_grid(Processor(image_processor), width, height, tokens=(size // patch) ** 2)


def golden(x1=100, y1=80, x2=400, y2=240):
    return Box(x1, y1, x2, y2, 1000, 800)


def block(rows, columns, wide):
    return frozenset(row * wide + column for row in rows for column in columns)


def test_square_pad_golden():
    grid = grid_of(make_image_processor(336, (0.5,) * 3, (0.5,) * 3), 336)
    assert grid.transform.apply(golden()).xyxy() == pytest.approx((33.6, 60.48, 134.4, 114.24))
    region = grid.region([golden()])
    assert region == block(range(4, 8), range(2, 10), 24)
    assert (len(region), min(region), max(region)) == (32, 98, 177)
    assert grid.region([golden()], rule="half") == region - {4 * 24 + 2, 4 * 24 + 9}


def test_centre_crop_golden():
    grid = grid_of(clip_processor(224), 224)
    assert grid.transform.apply(golden()).xyxy() == pytest.approx((0, 22.4, 84, 67.2))
    assert grid.region([golden()]) == grid.region([golden()], rule="half") == block(range(2, 5), range(6), 16)


def test_stretch_golden():
    grid = grid_of(make_image_processor(336, (0.5,) * 3, (0.5,) * 3, keep_aspect=False), 336)
    assert grid.transform.apply(golden()).xyxy() == pytest.approx((33.6, 33.6, 134.4, 100.8))
    assert grid.region([golden()]) == block(range(2, 7), range(2, 10), 24)


def test_a_tiny_box_has_the_patch_of_its_centre():
    grid = grid_of(make_image_processor(336, (0.5,) * 3, (0.5,) * 3), 336)
    tiny = Box(500, 400, 504, 404, 1000, 800)
    assert grid.transform.apply(tiny).xyxy() == pytest.approx((168, 168, 169.344, 169.344))
    assert grid.region([tiny]) == {300}


def test_a_box_that_is_cropped_off_has_none():
    grid = grid_of(clip_processor(224), 224)
    assert grid.region([Box(0, 0, 80, 800, 1000, 800)]) == frozenset()


def test_several_boxes_are_joined():
    grid = PatchGrid(Transform.of(40, 40), 4, 4)
    assert grid.region([Box(0, 0, 20, 10, 40, 40), Box(10, 0, 30, 10, 40, 40)]) == {0, 1, 2}


@pytest.mark.parametrize("make", [make_image_processor, clip_processor], ids=["pad", "crop"])
@pytest.mark.parametrize("size", [(120, 70), (70, 121), (64, 64), (97, 200)])
def test_the_transform_is_what_the_processor_does(make, size):
    """A bright rectangle is found again where the transform says."""
    side = 56
    processor = make(side, (0.5,) * 3, (0.5,) * 3) if make is make_image_processor else make(side)
    width, height = size
    box = Box(width * 0.4, height * 0.45, width * 0.6, height * 0.65, width, height)
    x1, y1, x2, y2 = (round(edge) for edge in box.xyxy())
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y1:y2, x1:x2] = 255
    seen = processor(Image.fromarray(picture), return_tensors="np")["pixel_values"][0, 0]
    share = (seen - seen.min()) / (seen.max() - seen.min())
    if make is make_image_processor:
        share = (share - 0.5).clip(0) * 2  # the border is the mean grey
    rows, columns = np.flatnonzero((share > 0.5).any(1)), np.flatnonzero((share > 0.5).any(0))
    placed = image_transform(processor, width, height).apply(Box(x1, y1, x2, y2, width, height))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert placed.xyxy() == pytest.approx(found, abs=1.0)


def test_grids_that_keep_the_aspect_and_merge_patches():
    """Qwen-VL: 28 x 16 patches of 14 pixels, merged two by two."""

    class Image:
        merge_size, patch_size = 2, 14

    grid = patch_grid(Processor(Image()), 400, 230, tokens=14 * 8, grid_thw=[1, 16, 28])
    assert (grid.rows, grid.columns, grid.transform.size) == (8, 14, (392, 224))
    assert grid.region([Box(0, 0, 400, 230, 400, 230)]) == frozenset(range(14 * 8))


def test_what_is_no_grid_is_refused():
    with pytest.raises(ModelError, match="577 image tokens, not the 24 x 24"):
        patch_grid(Processor(clip_processor(336)), 100, 100, tokens=577)

    class Tiles:
        do_image_splitting = True

    with pytest.raises(ModelError, match="tiles"):
        patch_grid(Processor(Tiles()), 100, 100, tokens=64)


sides = st.integers(20, 300)


@settings(deadline=None)
@given(sides, sides, st.data())
def test_a_region_is_never_empty_or_outside_where_nothing_is_cropped(width, height, data):
    grid = PatchGrid(Transform.of(width, height).square().resize(56, 56), 4, 4)
    x1, y1 = data.draw(st.floats(0, width - 2)), data.draw(st.floats(0, height - 2))
    box = Box(x1, y1, data.draw(st.floats(x1 + 0.5, width)), data.draw(st.floats(y1 + 0.5, height)), width, height)
    region = grid.region([box])
    assert region
    assert all(0 <= index < 16 for index in region)
    wider = Box(max(0, x1 - 3), max(0, y1 - 3), min(width, box.x2 + 3), min(height, box.y2 + 3), width, height)
    if len(region) > 1:
        assert region <= grid.region([wider])


@settings(deadline=None)
@given(st.integers(2, 8).map(lambda factor: factor * 10), st.data())
def test_resizing_the_stored_image_changes_nothing(side, data):
    first = PatchGrid(Transform.of(side, side).resize(56, 56), 4, 4)
    double = PatchGrid(Transform.of(2 * side, 2 * side).resize(56, 56), 4, 4)
    x, y = data.draw(st.integers(0, side - 5)), data.draw(st.integers(0, side - 5))
    box = Box(x, y, x + 5, y + 4, side, side)
    assert first.region([box]) == double.region([Box(*(2 * edge for edge in box.xyxy()), 2 * side, 2 * side)])
