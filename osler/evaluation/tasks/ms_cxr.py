"""`ms-cxr`: the phrase of a chest X-ray's report, and where in the picture it is."""

from __future__ import annotations

from collections.abc import Sequence

from osler.boxes import Box
from osler.evaluation.tasks.phrases import Phrases, phrase_record
from osler.record_ids import stable_id
from osler.records import Record


class MsCxr(Phrases):
    """MS-CXR (Boecking et al. 2022; credentialed access), by category of 8, with the question that PFMVG evaluates.

    `data` is the folder that `osler data get ms-cxr` wrote, or any folder of records with regions and the tag `phrase`.
    Convention `merged` asks for all boxes of a phrase in an image at once; `per-row` makes an item of each box, so that
    a phrase with two boxes is asked twice, and one answer cannot be right for both.
    """

    name = "ms-cxr"
    description = "MS-CXR: boxes of report phrases in chest X-rays, by category"
    conventions = ("merged", "per-row")
    groups = ("category",)
    layout = "documented"
    source = "ms-cxr"
    wanted = "records of one image with regions and the tag 'phrase'"

    def items(self, records: Sequence[Record], convention: str) -> list[Record]:
        """One item for each phrase of an image, or for each of its boxes."""
        groups: dict[tuple[object, ...], list[tuple[Record, Box]]] = {}
        for record in records:
            if len(record.images) != 1 or not record.tags.get("phrase", "").strip():
                continue
            image = record.images[0]
            for region in record.regions:
                key = (image.path, image.frame, record.tags["phrase"], region.label)
                own = (region.box,) if convention == "per-row" else ()
                groups.setdefault((*key, *own), []).append((record, region.box))
        return [_item(key[:4], group) for key, group in groups.items()]


def _item(key: Sequence[object], group: Sequence[tuple[Record, Box]]) -> Record:
    first = group[0][0]
    boxes = tuple(dict.fromkeys(box for _, box in group))
    path, frame, phrase, category = key
    corners = [edge for box in boxes for edge in box.xyxy()]
    return phrase_record(
        name=stable_id("ms-cxr", str(path), str(frame), str(phrase), str(category), *corners),
        image=first.images[0],
        phrase=str(phrase),
        boxes=boxes,
        category=str(category),
        dataset=first.provenance.source,
        subject=first.subject,
        provenance=first.provenance,
    )


TASK = MsCxr()
