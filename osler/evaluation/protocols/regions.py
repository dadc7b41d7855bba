"""`Regions`: what is true about an item's boxes, and the boxes that an answer states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from osler.box_formats import ParsedBoxes, parse_boxes
from osler.boxes import Box
from osler.errors import BoxError

DEFAULT_FORMAT = "norm1000_xyxy"
Asked = Literal["boxes and classes", "boxes", "classes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """True regions of one image, none when it is known to show nothing, and how an answer writes boxes.

    Args:
        boxes: of the image, in pixels.
        labels: class of each box.
        width: of the image, in pixels; needed to read boxes even where none is true.
        height: of the image.
        box_format: name in `osler.box_formats` of the convention that answers (and the prompt) use.
        asked: what an answer should state: "boxes and classes"; "boxes" where the prompt names the class or phrase;
            "classes" where the prompt gives the box.
        classes: different classes that an answer should name, in the order of the boxes; None: those of `labels`.
        synonyms: other names, in any case -> class.
    """

    boxes: tuple[Box, ...]
    labels: tuple[str, ...]
    width: int
    height: int
    box_format: str = DEFAULT_FORMAT
    asked: Asked = "boxes and classes"
    classes: tuple[str, ...] | None = None
    synonyms: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.boxes) != len(self.labels):
            raise BoxError(f"{len(self.boxes)} boxes but {len(self.labels)} labels; want one each")
        for box in self.boxes:
            if (box.width, box.height) != (self.width, self.height):
                raise BoxError(
                    f"a box refers to an image of {box.width} x {box.height}, not of {self.width} x {self.height}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Different true classes."""
        return tuple(dict.fromkeys(self.labels if self.classes is None else self.classes))

    def stated(self, answer: str) -> ParsedBoxes:
        """The boxes of an answer, read in the item's format.

        Raises:
            BoxError: when the format is unknown.
        """
        return parse_boxes(answer, format=self.box_format, width=self.width, height=self.height)

    def to_json(self) -> dict[str, Any]:
        """For predictions: plain lists and texts that `from_json` reads back to an equal object."""
        return {
            "boxes": [list(box.xyxy()) for box in self.boxes],
            "labels": list(self.labels),
            "size": [self.width, self.height],
            "box_format": self.box_format,
            "asked": self.asked,
            "classes": None if self.classes is None else list(self.classes),
            "synonyms": dict(self.synonyms),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Regions:
        """Inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: when something is missing or of the wrong kind.
            BoxError: when a box is impossible.
        """
        width, height = (int(number) for number in value["size"])
        corners = [[float(number) for number in box] for box in value["boxes"]]
        return cls(
            boxes=tuple(Box(x1, y1, x2, y2, width, height) for x1, y1, x2, y2 in corners),
            labels=tuple(value["labels"]),
            width=width,
            height=height,
            box_format=value["box_format"],
            asked=value["asked"],
            classes=None if value["classes"] is None else tuple(value["classes"]),
            synonyms=dict(value["synonyms"]),
        )
