"""`grounding-labelled`: boxes that are both placed and named rightly, and counts by class."""

from __future__ import annotations

from osler.box_matching import match_boxes
from osler.boxes import Box
from osler.evaluation.protocols.base import ClassCounts, Protocol, Score
from osler.evaluation.protocols.class_names import named_classes
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.protocols.stated_boxes import HIT, asks_boxes, asks_classes, score_boxes


def labelled_boxes(answer: str, classes: tuple[str, ...], regions: Regions) -> list[tuple[Box, str | None]]:
    """Boxes of an answer with the class that each is called by.

    That is the class of the box's own label, where the notation carries one (`<ref>`, `"label"`), and otherwise the
    class named next after the box and before the following one: "It lies at <box>. This is consistent with cyst."
    None where neither names a known class.
    """
    items = regions.stated(answer).items
    found = []
    for item in items:
        following = min((other.start for other in items if other.start >= item.end), default=len(answer))
        own = named_classes(item.label, classes, regions.synonyms) if item.label else ()
        after = named_classes(answer[item.end : following], classes, regions.synonyms)
        found.append((item.box, next(iter((*own, *after)), None)))
    return found


def score(answer: str, reference: str, options: tuple[str, ...], regions: Regions) -> Score:
    """As `grounding-iou`, but only boxes of the same class may pair; a box without a known class pairs with none."""
    stated = labelled_boxes(answer, options, regions)
    classes = dict.fromkeys((*regions.labels, *(label for _, label in stated if label is not None)))
    counts = {name: _count(name, stated, regions) for name in classes}
    most = max(len(stated), len(regions.boxes))
    found = score_boxes(
        answer, regions, lambda match: min(1.0, sum(entry.iou for entry in counts.values()) / max(most, 1))
    )
    return Score(value=found.value, parsed=found.parsed, detail=found.detail, classes=counts)


def _count(name: str, stated: list[tuple[Box, str | None]], regions: Regions) -> ClassCounts:
    own = [box for box, label in zip(regions.boxes, regions.labels, strict=True) if label == name]
    called = [box for box, label in stated if label == name]
    aware = match_boxes(called, own)
    anything = match_boxes([box for box, _ in stated], regions.boxes)
    met = [iou for (_, true), iou in zip(anything.pairs, anything.ious, strict=True) if regions.labels[true] == name]
    return ClassCounts(
        true=len(own),
        predicted=len(called),
        hits=aware.hits(HIT),
        iou=sum(aware.ious),
        found=sum(iou >= HIT for iou in met),
        iou_found=sum(met),
    )


def _both(regions: Regions) -> bool:
    return asks_boxes(regions) and asks_classes(regions)


PROTOCOL = Protocol(
    name="grounding-labelled",
    version="1",
    description="As grounding-iou, where only boxes of the same class pair: placed and named rightly.",
    applies_to="any",
    function=score,
    needs_options=True,
    needs_regions=True,
    accepts_regions=_both,
    counts_classes=True,
)
