import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.box_formats import get
from osler.boxes import Box
from osler.errors import BoxError
from osler.training.rewards.base import Reward
from osler.training.rewards.localisation import Localisation

FORMAT = get("pixel_xyxy")


def score(text, boxes, size=(1000, 800), box_format="pixel_xyxy"):
    return Localisation()([None], [text], boxes=[boxes], size=[size], box_format=[box_format])[0]


def said(*boxes, size=(1000, 800)):
    return " and ".join(FORMAT.to_text(Box(*box, *size)) for box in boxes)


def test_hand_computed_cases():
    assert score(said((0, 0, 10, 10)), [(5, 0, 15, 10)]) == pytest.approx(1 / 3)
    assert score(said((100, 80, 400, 240)), [(100, 80, 400, 400)]) == 0.5
    assert score("It lies at <box>(100,100),(400,300)</box>.", [(100, 80, 400, 240)], box_format="norm1000_xyxy") == 1
    assert score("{<10><10><40><30>}", [(100, 80, 400, 240)], box_format="norm100_xyxy") == 1


@pytest.mark.parametrize("text", ["", "no idea", "[1, 2, 3]", "[10, 10, 10, 20]", "[nan, 0, 5, 5]", "[0, 0, 90000, 9]"])
def test_what_cannot_be_read_gets_nothing(text):
    assert score(text, [(0, 0, 10, 10)]) == 0


def test_where_there_is_nothing_saying_nothing_is_right():
    assert score("There is no abnormality.", []) == 1
    assert score("It lies at <box>(1,2),(3</box>.", []) == 0, "a broken box is a box all the same"
    assert score(said((0, 0, 10, 10)), []) == 0
    assert score("  \n", []) == 0, "an empty answer does not say that nothing is there"


def test_extra_boxes_cost():
    true = [(0, 0, 10, 10)]
    assert score(said((0, 0, 10, 10), (50, 50, 60, 60)), true) == 0.5
    assert score(said((0, 0, 10, 10)), [*true, (50, 50, 60, 60)]) == 0.5
    assert score(said((50, 50, 60, 60), (0, 0, 10, 10)), [*true, (50, 50, 60, 60)]) == 1


def test_conversations_as_trl_passes_them():
    completion = [{"role": "assistant", "content": [{"type": "text", "text": said((0, 0, 10, 10))}]}]
    assert Localisation("pixel_xyxy")([None], [completion], boxes=[[(0, 0, 10, 10)]], size=[(20, 20)]) == [1.0]
    assert isinstance(Localisation(), Reward)
    assert Localisation().__name__ == "localisation"


def test_an_impossible_truth_is_the_callers_fault():
    with pytest.raises(BoxError, match="outside its image"):
        score("[0, 0, 1, 1]", [(0, 0, 2000, 10)])


corner = st.integers(0, 59)


@st.composite
def boxes(draw):
    x, y = draw(corner), draw(corner)
    return x, y, x + draw(st.integers(1, 60 - x)), y + draw(st.integers(1, 60 - y))


@settings(deadline=None)
@given(st.lists(boxes(), max_size=3), st.lists(boxes(), max_size=3), boxes(), st.randoms(use_true_random=False))
def test_bounds_order_and_superfluous_boxes(predicted, true, extra, random):
    value = score(said(*predicted, size=(60, 60)), true, (60, 60))
    assert 0 <= value <= 1
    shuffled = random.sample(predicted, len(predicted))
    assert score(said(*shuffled, size=(60, 60)), true, (60, 60)) == pytest.approx(value)
    if true:
        assert score(said(*true, size=(60, 60)), true, (60, 60)) == pytest.approx(1)
        more = score(said(*true, extra, size=(60, 60)), true, (60, 60))
        assert more == pytest.approx(len(true) / (len(true) + 1)), "every right box and one too many"


@settings(deadline=None)
@given(boxes(), boxes(), st.integers(2, 7))
def test_the_size_of_the_image_does_not_matter(predicted, true, factor):
    """The same picture stored larger, and numbers of 0-1000: the same reward."""
    text = get("norm1000_xyxy").to_text(Box(*predicted, 60, 60))
    larger = tuple(factor * edge for edge in true)
    small = score(text, [true], (60, 60), "norm1000_xyxy")
    assert score(text, [larger], (60 * factor, 60 * factor), "norm1000_xyxy") == pytest.approx(small)
