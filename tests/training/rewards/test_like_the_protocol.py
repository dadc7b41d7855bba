"""What is rewarded is what is measured: `grounding-iou`, and the classes that `recognition-*` find named."""

from hypothesis import given, settings
from hypothesis import strategies as st

from osler.boxes import Box
from osler.evaluation import protocols
from osler.evaluation.protocols.class_names import named_classes
from osler.evaluation.protocols.regions import Regions
from osler.training.rewards.localisation import Localisation
from osler.training.rewards.relevance import VisionRelevance

PIECES = (
    "[1, 2, 30, 40]",
    "[0, 0, 9, 9]",
    "[5, 5, 5, 9]",
    "[1, 2, 3",
    "It lies at",
    "no",
    "<box>(1,2),(3</box>",
    "{<1><2>",
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=4), st.booleans(), st.booleans())
def test_the_same_number(pieces, first, second):
    corners = [box for box, kept in (((1, 2, 30, 40), first), ((10, 10, 20, 20), second)) if kept]
    text = " ".join(pieces)
    regions = Regions(
        boxes=tuple(Box(*box, 60, 60) for box in corners),
        labels=("cyst",) * len(corners),
        width=60,
        height=60,
        box_format="pixel_xyxy",
    )
    measured = protocols.get("grounding-iou").score(text, "a reference", regions=regions).value
    rewarded = Localisation("pixel_xyxy")([None], [text], boxes=[corners], size=[(60, 60)])[0]
    assert rewarded == measured


WORDS = (
    "viral",
    "Pneumonia",
    "pneumonia,",
    "the",
    "soft-tissue",
    "soft tissue",
    "mass",
    "no",
    "masses",
    "'cyst'",
    "lump",
)


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_the_same_names(words):
    text, classes = " ".join(words), ("viral pneumonia", "pneumonia", "soft tissue", "cyst")
    measured = named_classes(text, classes, {"lump": "cyst"})
    reward = VisionRelevance(None, None, classes=(*classes, "lump"))
    for name in classes:
        rewarded = reward.named(text, (name, "lump") if name == "cyst" else (name,))
        assert bool(rewarded) == (name in measured)
