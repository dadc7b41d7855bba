"""What ClinKD's metrics share: how an answer is cleaned, its boxes, and the eight modalities that are averaged.

Source: ClinKD (arXiv 2502.05928), released metrics, described in our own words. The test set is Med-GRIT-270k.
"""

from __future__ import annotations

import math
import re

from osler.evaluation.protocols.base import Groups

MODALITIES = ("ct", "mr", "x", "pet", "endoscopy", "dermoscopy", "fundus", "ultrasound")
"""Prefixes of file names up to the first underscore."""
GROUPS = Groups(tag="modality", values=MODALITIES)

# bounded, so that a text of opening tags alone takes no quadratic time
_TAGGED = re.compile(r"<box>(.{0,200}?)</box>")
_BARE = re.compile(r"\(\d{1,9},\d{1,9}\),\(\d{1,9},\d{1,9}\)")
Corners = tuple[float, float, float, float]


def clean(text: str) -> str:
    """An answer as the released code cleans it: end marks cut, the inside of the first pair of line ends kept."""
    before, mark, _ = text.partition(".<|im_end|>")
    text = f"{before}." if mark else text
    text = text.replace("<|im_end|>\\n", "").replace("<|im_end|>\n", "")
    first, last = text.find("\n"), text.rfind("\n")
    if first < last:
        text = text[first + 1 : last]
    return text.replace("<|endoftext|>", "").strip()


def corners(text: str, *, bare: bool) -> list[Corners]:
    """Boxes of a text, as four numbers on the scale that it uses.

    Args:
        text: with `<box>(x1,y1),(x2,y2)</box>`.
        bare: where none is tagged, take untagged pairs of points.
    """
    parts = _TAGGED.findall(text) or (_BARE.findall(text) if bare else [])
    found = []
    for part in parts:
        try:
            numbers = [float(number) for number in part.replace("(", "").replace(")", "").split(",")]
        except ValueError:  # meets no box, as released
            continue
        if len(numbers) == 4 and all(math.isfinite(number) for number in numbers):
            found.append((numbers[0], numbers[1], numbers[2], numbers[3]))
    return found


def iou(first: Corners, second: Corners) -> float:
    """Intersection over union; 0 for boxes without area."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    both = max(0.0, width) * max(0.0, height)
    areas = sum(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]) for box in (first, second))
    return both / (areas - both) if both else 0.0
