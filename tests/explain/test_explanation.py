import numpy as np
import pytest
from PIL import Image

from osler.box_formats import ParsedBoxes
from osler.box_transforms import Transform
from osler.errors import ModelError
from osler.explain.attention import Explanation, explain, heat_on_image
from osler.explain.picture import save_explanation, summary
from osler.models.patch_grid import PatchGrid


@pytest.fixture(scope="module")
def loaded(taught):
    from osler.models import load_model

    return load_model(taught)


def made_up(heat, transform, **changes):
    grid = PatchGrid(transform, *heat.shape)
    parts = {
        "question": "q", "answer": "a", "words": (), "heat": heat, "on_picture": float(heat.sum()), "grid": grid,
        "boxes": ParsedBoxes((), (), 0, 0, False), "layers": (0,),
    }  # fmt: skip
    return Explanation(**{**parts, **changes})


def test_an_answer_and_its_heat(loaded, tmp_path):
    picture = Image.new("RGB", (60, 40), "red")
    found = explain(loaded, picture, "what is this", layers=[1])
    assert found.heat.shape == (4, 4)
    assert 0 < found.on_picture < 1
    assert found.heat.sum() == pytest.approx(found.on_picture)
    assert found.layers == (1,)
    path = save_explanation(found, picture, tmp_path / "new" / "why.png")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width > 600
    assert not list(path.parent.glob("*.partial"))
    assert "of the attention on the picture" in summary(found)


def test_dollar_signs_are_no_formula(tmp_path):
    found = made_up(np.full((2, 2), 0.1), Transform.of(8, 8), question="$x^{", answer=r"$\frac$", words=("$_",))
    assert save_explanation(found, Image.new("RGB", (8, 8)), tmp_path / "why.png").is_file()


def test_words_that_are_not_in_the_answer(loaded):
    with pytest.raises(ModelError, match="none of the words pneumothorax"):
        explain(loaded, Image.new("RGB", (8, 8)), "what is this", words=["pneumothorax"])


def test_the_heat_lies_where_the_patches_are():
    """One hot patch, through padding and resizing: the hot place on the stored picture is that patch's centre."""
    heat = np.zeros((4, 4))
    heat[2, 1] = 1.0
    transform = Transform.of(80, 40).square().resize(56, 56)  # patches of 20 stored pixels, 20 above and below
    smooth = heat_on_image(made_up(heat, transform), 80, 40)
    assert smooth.shape == (40, 80)
    row, column = np.unravel_index(np.argmax(smooth), smooth.shape)
    assert (column, row) == (pytest.approx(30, abs=1), pytest.approx(2 * 20 + 10 - 20, abs=1))
    assert smooth.max() == pytest.approx(1, abs=0.06)
    half = heat_on_image(made_up(heat, transform), 40, 20)
    assert np.unravel_index(np.argmax(half), half.shape) == (pytest.approx(15, abs=1), pytest.approx(15, abs=1))


def test_what_a_crop_cut_off_has_no_heat():
    transform = Transform.of(100, 50).resize(112, 56).center_crop(56, 56)
    smooth = heat_on_image(made_up(np.full((4, 4), 1 / 16), transform), 100, 50)
    assert np.isnan(smooth[:, :24]).all()
    assert np.isnan(smooth[:, 76:]).all()
    assert smooth[:, 26:74] == pytest.approx(1 / 16)


def test_share_in_the_boxes():
    from osler.box_formats import parse_boxes

    heat = np.full((4, 4), 0.01)
    heat[0, 0] = 0.25
    boxes = parse_boxes("[0, 0, 10, 10]", format="pixel_xyxy", width=40, height=40)
    found = made_up(heat, Transform.of(40, 40), boxes=boxes)
    assert found.on_boxes == pytest.approx(0.25 / 0.4)
    assert found.share_of_boxes == 1 / 16
    assert made_up(heat, Transform.of(40, 40)).on_boxes is None
