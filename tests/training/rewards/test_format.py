import pytest

from osler.training.rewards.format import Format


@pytest.mark.parametrize(
    ("text", "boxes", "score"),
    [
        ("It lies at [1, 2, 30, 40]: a cyst.", [(1, 2, 30, 40)], 1),
        ("It lies at [1, 2, 30, 40].", [(1, 2, 30, 40)], 0.5),
        ("A cyst.", [(1, 2, 30, 40)], 0.5),
        ("[1, 2, 30, 40] [1, 2, 3 cyst", [(1, 2, 30, 40)], 0.5),
        ("It looks normal.", [], 1),
        ("A cyst.", [], 0.5),
        ("", [], 0),
        ("", [(1, 2, 30, 40)], 0),
    ],
)
def test_boxes_and_names(text, boxes, score):
    assert Format(["cyst", "mass"], "pixel_xyxy")([None], [text], boxes=[boxes], size=[(60, 60)]) == [score]
