"""`Transform`: what was done to an image, so that boxes go along and predictions come back.

A model sees a padded, resized or cropped picture; its boxes are right only on that picture. A `Transform` notes each
step with its numbers, maps boxes forward (`apply`) and predictions back to the original image (`invert`), and is plain
data that can be stored with a run.

    >>> seen = Transform.of(1000, 800).square().resize(336, 336)
    >>> [round(edge, 2) for edge in seen.apply(Box(100, 80, 400, 240, 1000, 800)).xyxy()]
    [33.6, 60.48, 134.4, 114.24]
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from osler import boxes
from osler.boxes import Box
from osler.errors import BoxError

_ARGUMENTS = {"resize": 2, "pad": 4, "crop": 4}


class Step(NamedTuple):
    """One operation ("resize", "pad" or "crop") and its numbers in whole pixels, as `osler.boxes` takes them."""

    operation: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Transform:
    """Steps from an image of `width` x `height` pixels to the one a model sees.

    Args:
        width: of the original image (after EXIF orientation), in pixels.
        height: of the original image.
        steps: operations in the order they were applied.

    Raises:
        BoxError: when a step does not fit the image it meets (unknown operation, window outside, size not positive).
    """

    width: int
    height: int
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        self._sizes()

    @classmethod
    def of(cls, width: int, height: int) -> Transform:
        """The transform that does nothing to an image of that size."""
        return cls(width, height)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the resulting image, in pixels."""
        return self._sizes()[-1]

    def resize(self, width: int, height: int) -> Transform:
        """Add: resize to `width` x `height`."""
        return self._add("resize", width, height)

    def pad(self, left: int, top: int, right: int, bottom: int) -> Transform:
        """Add: a border of that many pixels."""
        return self._add("pad", left, top, right, bottom)

    def crop(self, x: int, y: int, width: int, height: int) -> Transform:
        """Add: cut to the window at (x, y) of `width` x `height`."""
        return self._add("crop", x, y, width, height)

    def square(self) -> Transform:
        """Add: LLaVA's square pad, the image centred on a square of its longer side (see `boxes.square_padding`)."""
        return self._add("pad", *boxes.square_padding(*self.size))

    def center_crop(self, width: int, height: int) -> Transform:
        """Add: cut to the central window; the left and top margins are the floor of half of what is cut.

        transformers' image processors place the window the same way.
        """
        have_width, have_height = self.size
        return self._add("crop", (have_width - width) // 2, (have_height - height) // 2, width, height)

    def then(self, other: Transform) -> Transform:
        """This transform followed by another.

        Raises:
            BoxError: when `other` does not start from an image of this one's resulting size.
        """
        if (other.width, other.height) != self.size:
            raise BoxError(
                f"this transform ends at {self.size[0]} x {self.size[1]} pixels "
                f"but the next one starts from {other.width} x {other.height}"
            )
        return Transform(self.width, self.height, self.steps + other.steps)

    def apply(self, box: Box) -> Box | None:
        """Where a box of the original image lies on the resulting one; clipped; None when a crop lost it.

        Raises:
            BoxError: when the box does not refer to the original image's size.
        """
        self._expect(box, (self.width, self.height), "original")
        current: Box | None = box
        for operation, numbers in self.steps:
            if current is None:
                return None
            current = getattr(boxes, operation)(current, *numbers)
        return current

    def invert(self, box: Box) -> Box | None:
        """Where a box of the resulting image lies on the original; None when it lies wholly in a padded border.

        Raises:
            BoxError: when the box does not refer to the resulting image's size.
        """
        self._expect(box, self.size, "resulting")
        current: Box | None = box
        before = self._sizes()
        for (operation, numbers), size in zip(reversed(self.steps), reversed(before[:-1]), strict=True):
            if current is None:
                return None
            if operation == "resize":
                current = boxes.resize(current, *size)
            elif operation == "pad":
                current = boxes.unpad(current, *numbers)
            else:
                current = boxes.uncrop(current, numbers[0], numbers[1], *size)
        return current

    def affine(self) -> tuple[float, float, float, float]:
        """`(ax, bx, ay, by)`: a point (x, y) of the original lies at (ax * x + bx, ay * y + by), cropped off or not."""
        ax, bx, ay, by = 1.0, 0.0, 1.0, 0.0
        for (operation, numbers), (width, height) in zip(self.steps, self._sizes(), strict=False):
            if operation == "resize":
                wide, high = numbers[0] / width, numbers[1] / height
                ax, bx, ay, by = ax * wide, bx * wide, ay * high, by * high
            else:
                sign = 1 if operation == "pad" else -1
                bx, by = bx + sign * numbers[0], by + sign * numbers[1]
        return ax, bx, ay, by

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: `{"size": [width, height], "steps": [["pad", 0, 100, 0, 100], ...]}`."""
        return {"size": [self.width, self.height], "steps": [[step.operation, *step.numbers] for step in self.steps]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Transform:
        """Inverse of `to_dict`.

        Raises:
            BoxError: when the data are not of that form.
        """
        try:
            width, height = (operator.index(number) for number in data["size"])
            steps = tuple(Step(str(operation), tuple(numbers)) for operation, *numbers in data["steps"])
        except (KeyError, TypeError, ValueError) as error:
            raise BoxError(f'{data!r} is no transform: want {{"size": [w, h], "steps": [[name, ...]]}}') from error
        return cls(width, height, steps)

    def _add(self, operation: str, *numbers: int) -> Transform:
        return Transform(self.width, self.height, (*self.steps, Step(operation, numbers)))

    def _sizes(self) -> list[tuple[int, int]]:
        """Image sizes before the first step, between steps and after the last; checks every step on the way."""
        sizes = [(self.width, self.height)]
        whole: Box | None = Box(0, 0, self.width, self.height, self.width, self.height)
        for operation, numbers in self.steps:
            if len(numbers) != _ARGUMENTS.get(operation, -1):
                raise BoxError(f"step {operation!r} with {len(numbers)} numbers is unknown; want one of {_ARGUMENTS}")
            if not all(type(number) is int for number in numbers):
                raise BoxError(f"step {operation!r} has {numbers}: want whole pixels")
            stepped: Box | None = getattr(boxes, operation)(whole, *numbers)
            assert stepped is not None, "a window inside the image keeps some of it"
            sizes.append((stepped.width, stepped.height))
            whole = Box(0, 0, *sizes[-1], *sizes[-1])
        return sizes

    def _expect(self, box: Box, size: tuple[int, int], which: str) -> None:
        if (box.width, box.height) != size:
            raise BoxError(
                f"box refers to an image of {box.width} x {box.height} pixels; "
                f"this transform's {which} image is {size[0]} x {size[1]}"
            )
