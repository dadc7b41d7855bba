"""Named box conventions: how a `Box` becomes numbers or text for a model or a file, and back.

| name            | numbers                       | rounding     | default text                 |
|-----------------|-------------------------------|--------------|------------------------------|
| `pixel_xyxy`    | x1, y1, x2, y2 in pixels      | nearest 0.01 | `[x1, y1, x2, y2]`           |
| `pixel_xywh`    | x, y, w, h (COCO, MS-CXR)     | nearest 0.01 | `[x, y, w, h]`               |
| `norm1_xyxy`    | 0-1 of the image              | nearest 0.001| `[x1, y1, x2, y2]`           |
| `norm100_xyxy`  | integers 0-100 (MiniGPT-v2)   | down         | `{<x1><y1><x2><y2>}`         |
| `norm1000_xyxy` | integers 0-1000 (Qwen)        | nearest      | `<box>(x1,y1),(x2,y2)</box>` |
| `llava_square`  | 0-1 of the square-padded image| nearest 0.001| `[x1, y1, x2, y2]`           |

"Nearest" rounds halves up. A box thinner than one step is widened to one step, so no box loses its area on the way;
edges move by at most one step. `get("llava_square", decimals=2)` is the spelling of LLaVA 1.5's data.

Qwen2-VL and Qwen3-VL speak `norm1000_xyxy`. Qwen2.5-VL speaks pixels **of the resized image**: map the box with
`osler.box_transforms.Transform`, then use `get("pixel_xyxy", decimals=0)` with `style="json"`.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from osler.box_scan import scan
from osler.boxes import Box, clip, letterbox, square_padding
from osler.errors import BoxError

MAX_TEXT = 20_000
MAX_DIGITS = 24
SLIGHTLY_OUTSIDE = 0.1
Style = Literal["brackets", "box", "qwen", "json", "minigpt"]
_TAGS = {
    "box": ("<ref>{}</ref>", "<box>({},{}),({},{})</box>"),
    "qwen": ("<|object_ref_start|>{}<|object_ref_end|>", "<|box_start|>({},{}),({},{})<|box_end|>"),
    "minigpt": ("<p>{}</p> ", "{{<{}><{}><{}><{}>}}"),
    "brackets": ("{}: ", "[{}, {}, {}, {}]"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFormat:
    """One convention: unit, order, rounding and text.

    Args:
        name: in the registry.
        top: number that stands for the far edge of the image (1, 100, 1000), or None for pixels.
        layout: corners ("xyxy") or corner and size ("xywh").
        decimals: digits after the point; the step is `10 ** -decimals`.
        truncate: round down instead of to the nearest step.
        style: default text.
        square: numbers refer to the image centred on a square (see `osler.boxes.letterbox`).
    """

    name: str
    top: int | None
    layout: Literal["xyxy", "xywh"] = "xyxy"
    decimals: int = 0
    truncate: bool = False
    style: Style = "brackets"
    square: bool = False

    def encode(self, box: Box) -> tuple[float, float, float, float]:
        """Four numbers of this convention: integers when `decimals` is 0."""
        seen = letterbox(box) if self.square else box
        x1, x2 = self._quantise(seen.x1, seen.x2, seen.width)
        y1, y2 = self._quantise(seen.y1, seen.y2, seen.height)
        steps = (x1, y1, x2 - x1, y2 - y1) if self.layout == "xywh" else (x1, y1, x2, y2)
        a, b, c, d = steps if self.decimals == 0 else (step / 10**self.decimals for step in steps)
        return a, b, c, d

    def decode(self, numbers: Sequence[float], width: int, height: int) -> Box:
        """Box on an image of `width` x `height` from numbers of this convention, strictly.

        An edge may lie outside by one step of rounding and is then cut; use `parse_boxes` for a model's output.

        Raises:
            BoxError: when there are not four finite numbers, corners are swapped, or the box lies outside the image.
        """
        placed = self._place(numbers, width, height, tolerance=self._step(width, height))
        if placed.swapped:
            raise BoxError(f"{self.name} {list(numbers)}: corners are swapped; want the top left corner first")
        return placed.box

    def to_text(self, box: Box, label: str | None = None, *, style: Style | None = None) -> str:
        """The box as text, with its label in the notation's own marks.

        Args:
            box: to be written.
            label: what it holds. In "brackets" it stands before a colon and is not read back by `parse_boxes`.
            style: "brackets" `[x1, y1, x2, y2]`; "box" `<box>(x1,y1),(x2,y2)</box>` (Qwen-VL); "qwen"
                `<|box_start|>(x1,y1),(x2,y2)<|box_end|>` (Qwen2-VL); "json" `{"bbox_2d": [x1, y1, x2, y2]}`
                (Qwen2.5-VL, Qwen3-VL); "minigpt" `{<x1><y1><x2><y2>}`. Default: the format's own.

        Raises:
            BoxError: when the style is unknown or the label would break its marks.
        """
        style = style or self.style
        numbers = [_plain(number, pixels=self.top is None) for number in self.encode(box)]
        if style == "json":
            key = "bbox_2d" if self.layout == "xyxy" else "bbox"
            entry: dict[str, object] = {key: numbers}
            return json.dumps(entry if label is None else {**entry, "label": label}, ensure_ascii=False)
        if style not in _TAGS:
            raise BoxError(f"box text style {style!r} is unknown; want one of {[*_TAGS, 'json']}")
        label_form, box_form = _TAGS[style]
        if label is not None and style != "brackets" and ("<" in label or not label.strip()):
            raise BoxError(f"label {label!r} is empty or holds '<', which would break the marks of style {style!r}")
        return ("" if label is None else label_form.format(label)) + box_form.format(*numbers)

    def _quantise(self, low: float, high: float, size: int) -> tuple[int, int]:
        """Two edges in whole steps, at least one step apart and inside the image."""
        scale = 10**self.decimals
        limit = (size if self.top is None else self.top) * scale
        shift = 1e-9 if self.truncate else 0.5  # 28.999999999999996 is 29 before it is cut
        a, b = (min(max(math.floor(edge * limit / size + shift), 0), limit) for edge in (low, high))
        if a >= b:  # the step that holds the middle, so that neither edge moves by more than one step
            a = min(math.floor((low + high) / 2 * limit / size + 1e-9), limit - 1)
            b = a + 1
        return a, b

    def _step(self, width: int, height: int) -> float:
        """One step as a share of the image."""
        top = min(width, height) if self.top is None else self.top
        return 10.0**-self.decimals / top

    def _place(self, numbers: Sequence[float], width: int, height: int, *, tolerance: float) -> _Placed:
        """Box from numbers that may lie outside by `tolerance` (a share of the image) or have swapped corners."""
        if len(numbers) != 4 or not all(math.isfinite(number) for number in numbers):
            raise BoxError(f"{self.name} wants four finite numbers, not {list(numbers)!r:.80}")
        a, b, c, d = numbers
        if self.layout == "xywh":
            c, d = a + c, b + d
            if not (a < c and b < d):
                raise BoxError(f"{self.name} {list(numbers)}: width and height must be positive")
        side = max(width, height)
        seen_width, seen_height = (side, side) if self.square else (width, height)
        limit_x, limit_y = (seen_width, seen_height) if self.top is None else (self.top, self.top)
        shares = (a / limit_x, b / limit_y, c / limit_x, d / limit_y)
        if max(-min(shares), max(shares) - 1) > tolerance + 1e-9:
            raise BoxError(
                f"{self.name} {list(numbers)} reaches outside 0-{limit_x:g} x 0-{limit_y:g}: other unit or image size?"
            )
        swapped = a > c or b > d
        (a, c), (b, d) = sorted((a, c)), sorted((b, d))
        left, top = square_padding(width, height)[:2] if self.square else (0, 0)
        x1, x2 = (edge * seen_width / limit_x - left for edge in (a, c))
        y1, y2 = (edge * seen_height / limit_y - top for edge in (b, d))
        corners = (x1, y1, x2, y2)
        box = clip(*corners, width, height)
        if box is None:
            raise BoxError(f"{self.name} {list(numbers)} has no area on the image of {width} x {height}")
        slack = self._step(width, height) * side if self.square else 1e-6
        cut = max(abs(before - after) for before, after in zip(corners, box.xyxy(), strict=True))
        return _Placed(box, swapped, cut > slack)


class _Placed(NamedTuple):
    box: Box
    swapped: bool
    clipped: bool


class ParsedBox(NamedTuple):
    """A box read from text.

    Args:
        box: in pixels of the image.
        label: what the text's own marks say it holds, or None.
        start: offset of its first character in the text.
        end: offset after its last character; several boxes in one pair of marks have the same offsets.
    """

    box: Box
    label: str | None
    start: int
    end: int


class Rejected(NamedTuple):
    """A piece of text that is written like a box but is none, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedBoxes:
    """What `parse_boxes` found.

    Args:
        items: boxes with labels, in the order of the text.
        rejected: pieces written like boxes that are none.
        swapped: how many of `items` had their corners in the wrong order.
        clipped: how many of `items` reached slightly outside the image.
        truncated: True when the text was longer than `MAX_TEXT` and its rest was not read.
    """

    items: tuple[ParsedBox, ...]
    rejected: tuple[Rejected, ...]
    swapped: int
    clipped: int
    truncated: bool

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes alone."""
        return tuple(item.box for item in self.items)

    @property
    def labels(self) -> tuple[str | None, ...]:
        """One label, or None, for each of `boxes`."""
        return tuple(item.label for item in self.items)


def parse_boxes(text: str, *, format: str | BoxFormat, width: int, height: int) -> ParsedBoxes:
    """Read the boxes of a model's output; never raises on what the model wrote.

    Any notation is read (tags, JSON, brackets, braces, four bare numbers as the whole text); the numbers mean what
    `format` says. Swapped corners are put right and counted. Boxes that reach outside by at most 10% of the image
    are clipped and counted; farther out they are rejected, since then the unit is probably another. Rejected too:
    numbers that are not finite or longer than 24 characters, boxes without area, and fractions 0-1 where the format
    has pixels or thousandths.

    Args:
        text: output of a model; at most `MAX_TEXT` characters of it are read.
        format: name of the convention, see `names()`, or the convention itself.
        width: of the image the boxes shall refer to (the original, also for `llava_square`), in pixels.
        height: of that image.

    Raises:
        BoxError: when the format is unknown or the image size is not positive (the caller's mistakes).
    """
    codec = get(format) if isinstance(format, str) else format
    Box(0, 0, width, height, width, height)  # refuses an impossible size
    items: list[ParsedBox] = []
    rejected: list[Rejected] = []
    swapped = clipped = 0
    for fragment in scan(text[:MAX_TEXT]):
        problem = fragment.problem or _doubt(fragment.tokens, codec)
        placed = None
        if problem is None:
            try:
                numbers = [float(token) for token in fragment.tokens]
                placed = codec._place(numbers, width, height, tolerance=SLIGHTLY_OUTSIDE)
            except BoxError as error:
                problem = str(error)
        if placed is None:
            rejected.append(Rejected(fragment.text[:120], problem or ""))
            continue
        items.append(ParsedBox(placed.box, fragment.label, fragment.start, fragment.start + len(fragment.text)))
        swapped += placed.swapped
        clipped += placed.clipped
    return ParsedBoxes(tuple(items), tuple(rejected), swapped, clipped, len(text) > MAX_TEXT)


def _doubt(tokens: tuple[str, ...], codec: BoxFormat) -> str | None:
    """Why four number tokens cannot be meant in this format, or None."""
    longest = max(len(token) for token in tokens)
    if longest > MAX_DIGITS:
        return f"a number of {longest} characters"
    numbers = [float(token) for token in tokens]
    if not all(math.isfinite(number) for number in numbers):
        return "a number is not finite"
    if codec.top != 1 and all(abs(number) <= 1 for number in numbers) and any(number % 1 for number in numbers):
        return f"fractions of 0-1, but {codec.name} counts in larger units"
    return None


def _plain(number: float, *, pixels: bool) -> float:
    """12.0 pixels are written 12; fractions of 0-1 keep their point."""
    return int(number) if pixels and number == int(number) else number


_FORMATS = {
    codec.name: codec
    for codec in (
        BoxFormat(name="pixel_xyxy", top=None, decimals=2),
        BoxFormat(name="pixel_xywh", top=None, layout="xywh", decimals=2),
        BoxFormat(name="norm1_xyxy", top=1, decimals=3),
        BoxFormat(name="norm100_xyxy", top=100, truncate=True, style="minigpt"),
        BoxFormat(name="norm1000_xyxy", top=1000, style="box"),
        BoxFormat(name="llava_square", top=1, decimals=3, square=True),
    )
}


def names() -> tuple[str, ...]:
    """Names of the conventions."""
    return tuple(_FORMATS)


def get(name: str, *, decimals: int | None = None) -> BoxFormat:
    """The convention of that name, on request with another number of decimals.

    Raises:
        BoxError: when the name is unknown or `decimals` is not within 0-6.
    """
    if name not in _FORMATS:
        near = "".join(f"; did you mean {guess!r}?" for guess in difflib.get_close_matches(name, _FORMATS, n=1))
        raise BoxError(f"box format {name!r} is unknown{near or ';'} known: {', '.join(_FORMATS)}")
    if decimals is None:
        return _FORMATS[name]
    if not 0 <= decimals <= 6:
        raise BoxError(f"{decimals} decimals are not within 0-6")
    return replace(_FORMATS[name], decimals=decimals)
