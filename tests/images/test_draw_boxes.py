from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from osler.boxes import Box
from osler.errors import ImageError
from osler.images.draw_boxes import PREDICTED_COLOUR, TRUE_COLOUR, draw_boxes

GREEN, ORANGE = (0, 158, 115), (230, 159, 0)


def coloured(image: Image.Image, ink: tuple[int, int, int]) -> np.ndarray:
    return (np.asarray(image) == ink).all(axis=-1)


@pytest.mark.parametrize("grey", [0, 255])
def test_lines_lie_on_the_edges_and_the_picture_is_not_changed(grey: int) -> None:
    image = Image.new("L", (200, 100), grey)
    drawn = draw_boxes(image, [Box(20, 10, 120, 60, 200, 100)])
    assert (drawn.size, drawn.mode, image.mode) == ((200, 100), "RGB", "L")
    assert set(np.asarray(image).ravel()) == {grey}
    rows, columns = np.nonzero(coloured(drawn, GREEN))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 59, 20, 119)
    assert not coloured(drawn, GREEN)[15:55, 30:110].any()
    assert drawn.getpixel((70, 9)) != drawn.getpixel((70, 10))  # the rim


def test_boxes_of_another_size_are_scaled() -> None:
    image = Image.new("RGB", (200, 100))
    small, large = Box(10, 5, 60, 30, 100, 50), Box(20, 10, 120, 60, 200, 100)
    assert list(draw_boxes(image, [small]).getdata()) == list(draw_boxes(image, [large]).getdata())


def test_width_grows_with_the_picture() -> None:
    counts = [
        coloured(draw_boxes(Image.new("RGB", (side, side)), [Box(0.25, 0.25, 0.75, 0.75, 1, 1)]), GREEN).sum() / side
        for side in (160, 1600)
    ]
    assert counts[1] > 5 * counts[0]


def test_dashes_leave_gaps_and_keep_the_corners() -> None:
    image, box = Image.new("RGB", (400, 400)), Box(100, 100, 300, 300, 400, 400)
    full = coloured(draw_boxes(image, [box], colour=PREDICTED_COLOUR), ORANGE)
    dashed = coloured(draw_boxes(image, [box], colour=PREDICTED_COLOUR, dashed=True), ORANGE)
    assert 0.3 * full.sum() < dashed.sum() < 0.75 * full.sum()
    assert dashed[100, 100]
    assert dashed[299, 299]


def test_labels_stay_on_the_picture() -> None:
    image = Image.new("RGB", (120, 90), "white")
    corners = [Box(0, 0, 119, 89, 120, 90), Box(100, 40, 120, 60, 120, 90), Box(0, 80, 10, 90, 120, 90)]
    for box in corners:
        without, with_label = draw_boxes(image, [box]), draw_boxes(image, [box], labels=["mass"])
        changed = (np.asarray(without) != np.asarray(with_label)).any(axis=-1)
        rows, columns = np.nonzero(changed)
        assert rows.max() - rows.min() >= 8  # a whole plate, not one that the edge cuts
        assert columns.max() - columns.min() >= 20
    assert list(draw_boxes(image, corners[:1], labels=[""]).getdata()) == list(draw_boxes(image, corners[:1]).getdata())


def test_nothing_to_draw_and_tiny_boxes() -> None:
    image = Image.new("RGB", (50, 40), "blue")
    assert list(draw_boxes(image, []).getdata()) == list(image.getdata())
    assert coloured(draw_boxes(image, [Box(5, 5, 5.2, 5.2, 50, 40)]), GREEN).any()


def test_faults_are_named() -> None:
    image, box = Image.new("RGB", (50, 40)), Box(5, 5, 9, 9, 50, 40)
    with pytest.raises(ImageError, match="2 labels for 1 boxes"):
        draw_boxes(image, [box], labels=["a", "b"])
    with pytest.raises(ImageError, match="colour 'grreen'"):
        draw_boxes(image, [box], colour="grreen")
    assert TRUE_COLOUR != PREDICTED_COLOUR
