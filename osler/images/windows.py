"""Intensity windows: which grey values of a picture become black and white.

A window maps the values of a file (Hounsfield units of a CT, counts, arbitrary MR units) to 8 bits by one of the three
functions of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3. Where neither the caller nor the file names a window, the rule is
the 1st to 99th percentile, and the numbers it gave are recorded like any other window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

WindowFunction = Literal["linear", "linear_exact", "sigmoid"]
PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True, slots=True)
class Window:
    """An intensity window in the units of the file's values (Hounsfield units for CT).

    Args:
        level: centre of the window.
        width: width of the window; for `linear` at least 1, else above 0 (PS3.3 C.11.2.1.2, C.11.2.1.3).
        function: how values inside the window are spread over 0 to 255.

    Raises:
        ValueError: when a number is not finite, the width too small or the function unknown.
    """

    level: float
    width: float
    function: WindowFunction = "linear"

    def __post_init__(self) -> None:
        if self.function not in get_args(WindowFunction):
            raise ValueError(f"unknown window function {self.function!r}: want one of {get_args(WindowFunction)}")
        if not (isfinite(self.level) and isfinite(self.width)):
            raise ValueError(f"window level {self.level} / width {self.width} is not finite")
        if self.width < 1 if self.function == "linear" else self.width <= 0:
            least = "at least 1" if self.function == "linear" else "above 0"
            raise ValueError(f"window width {self.width:g} is too small: a {self.function} window wants {least}")

    def apply(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Map values to 8 bits, in double precision, rounded to the nearest integer.

        Args:
            values: grey values, any shape, any real dtype. Not-a-number becomes black.

        Returns:
            Array of the same shape; 0 below the window, 255 above it.
        """
        raw = np.asarray(values)
        if raw.dtype.kind in "iu" and raw.dtype.itemsize <= 2 and raw.size > 65536:
            # a radiograph has millions of pixels but at most 65,536 values: compute those, look the pixels up
            low = int(raw.min())
            return self.apply(np.arange(low, int(raw.max()) + 1, dtype=np.float64))[raw.astype(np.int32) - low]
        x = raw.astype(np.float64)
        if self.function == "linear":
            # PS3.3 C.11.2.1.2.1: the window covers `width` integers, hence the halves and ones
            if self.width == 1:
                y = np.where(x <= self.level - 0.5, 0.0, 255.0)
                y[np.isnan(x)] = 0.0
                return y.astype(np.uint8)
            y = (x - (self.level - 0.5)) / (self.width - 1) + 0.5
        elif self.function == "linear_exact":  # C.11.2.1.3.2
            y = (x - self.level) / self.width + 0.5
        else:  # C.11.2.1.3.1; the exponent is bounded because exp overflows where the result is 0 or 1 anyway
            y = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - self.level) / self.width, -700, 700)))
        y = np.nan_to_num(y, nan=0.0, posinf=1.0, neginf=0.0)
        return np.rint(np.clip(y, 0.0, 1.0) * 255.0).astype(np.uint8)

    def as_dict(self, *, source: str, preset: str | None = None) -> dict[str, float | str]:
        """The window as it is recorded: numbers, function, where it came from. `parse_window` reads it back."""
        entry: dict[str, float | str] = {
            "level": float(self.level),
            "width": float(self.width),
            "function": self.function,
            "source": source,
        }
        if preset is not None:
            entry["preset"] = preset
        return entry


class Preset(NamedTuple):
    """A named CT window and where its numbers are published."""

    level: float
    width: float
    reference: str


_RADIOPAEDIA = "Radiopaedia, Windowing (CT), table of typical values"

# Hounsfield units. Departments differ; these are one published table, plus the windows of one published model.
PRESETS: dict[str, Preset] = {
    "lung": Preset(-600, 1500, _RADIOPAEDIA + ", chest: lungs"),
    "mediastinum": Preset(50, 350, _RADIOPAEDIA + ", chest: mediastinum"),
    "soft_tissue": Preset(50, 400, _RADIOPAEDIA + ", abdomen: soft tissues"),
    "abdomen": Preset(50, 400, _RADIOPAEDIA + ", abdomen: soft tissues"),
    "liver": Preset(30, 150, _RADIOPAEDIA + ", abdomen: liver"),
    "bone": Preset(400, 1800, _RADIOPAEDIA + ", spine: bone"),
    "spine": Preset(50, 250, _RADIOPAEDIA + ", spine: soft tissues"),
    "temporal_bone": Preset(600, 2800, _RADIOPAEDIA + ", head and neck: temporal bones"),
    "brain": Preset(40, 80, _RADIOPAEDIA + ", head and neck: brain"),
    "stroke": Preset(40, 40, _RADIOPAEDIA + ", head and neck: stroke (second of two values; the other is 32/8)"),
    "subdural": Preset(75, 215, _RADIOPAEDIA + ", head and neck: subdural (middle of level 50-100, width 130-300)"),
    "medgemma_wide": Preset(0, 2048, "MedGemma CT notebook, red channel: -1024 to 1024"),
    "medgemma_soft": Preset(40, 350, "MedGemma CT notebook, green channel: -135 to 215"),
    "medgemma_brain": Preset(40, 80, "MedGemma CT notebook, blue channel: 0 to 80"),
}
CT_DEFAULT_PRESET = "soft_tissue"


class ChosenWindow(NamedTuple):
    """A window a caller asked for, and the preset's name if it was asked for by name."""

    window: Window
    preset: str | None


def choose_window(value: Window | Mapping[str, Any] | str) -> ChosenWindow:
    """Read a window a person or a record names.

    Args:
        value: a `Window`; a preset's name ("lung"); "LEVEL/WIDTH" ("-600/1500"); a mapping with `preset`, or with
            `level` and `width` and optionally `function`. A mapping that `ImageInfo.window` holds reads back as it was.

    Returns:
        The window and the preset name, if one was given.

    Raises:
        ValueError: when the value names no window; the message lists the presets.
    """
    if isinstance(value, Window):
        return ChosenWindow(value, None)
    if isinstance(value, str):
        name = value.strip().lower().replace("-", "_").replace(" ", "_")
        if name in PRESETS:
            return ChosenWindow(Window(PRESETS[name].level, PRESETS[name].width), name)
        level, slash, width = value.partition("/")
        try:
            if slash:
                return ChosenWindow(Window(float(level), float(width)), None)
        except ValueError as error:
            raise ValueError(f"window {value!r}: want LEVEL/WIDTH, for instance -600/1500 ({error})") from None
        raise ValueError(f"unknown window {value!r}: want LEVEL/WIDTH or a preset: {', '.join(sorted(PRESETS))}")
    if isinstance(value, Mapping):
        unknown = set(value) - {"level", "width", "function", "preset", "source"}
        if unknown:
            raise ValueError(f"window has unknown keys {sorted(map(str, unknown))}: want level and width, or preset")
        if "level" in value and "width" in value:
            try:
                level_, width_ = float(value["level"]), float(value["width"])
            except (TypeError, ValueError):
                raise ValueError(f"window level {value['level']!r} / width {value['width']!r} is no number") from None
            return ChosenWindow(Window(level_, width_, value.get("function", "linear")), value.get("preset"))
        if isinstance(value.get("preset"), str):
            return choose_window(value["preset"])
        raise ValueError("window wants level and width, or preset")
    raise ValueError(f"window is a {type(value).__name__}: want a Window, a mapping, a preset name or LEVEL/WIDTH")


def parse_window(value: Window | Mapping[str, Any] | str) -> Window:
    """Like `choose_window`, without the preset's name.

    Raises:
        ValueError: when the value names no window.
    """
    return choose_window(value).window


def percentile_window(values: NDArray[Any], *, use: NDArray[np.bool_] | None = None) -> Window:
    """The documented default: from the 1st to the 99th percentile (inverted CDF), linear_exact between them.

    Args:
        values: grey values, any shape, any real dtype.
        use: True where a value counts (not padding), same shape; all finite values by default.

    Returns:
        The window. If both percentiles agree the range is minimum to maximum; if all values agree, everything at or
        below the value is black (a picture without contrast is black).
    """
    flat = np.asarray(values)
    flat = flat[use] if use is not None else flat.reshape(-1)
    if flat.dtype.kind == "f":
        flat = flat[np.isfinite(flat)]
    if flat.size == 0:
        return Window(0.5, 1.0, "linear_exact")
    low, high = (float(v) for v in _percentiles(flat, PERCENTILES))
    if not low < high:
        low, high = float(flat.min()), float(flat.max())
    if not low < high:
        # tiny widths vanish beside huge values in float64, so the width follows the value
        width = max(1.0, abs(low) * 1e-6)
        return Window(low + width / 2, width, "linear_exact")
    width = high - low
    if not isfinite(width):  # a range wider than float64 can hold: use the largest that it can
        return Window(0.0, float(np.finfo(np.float64).max), "linear_exact")
    return Window(low + width / 2, width, "linear_exact")


def _percentiles(flat: NDArray[Any], percentiles: tuple[float, ...]) -> NDArray[Any]:
    """Percentiles by inverted CDF; exact by histogram for integers of at most 16 bits, which is faster."""
    if flat.dtype.kind in "iu" and flat.dtype.itemsize <= 2:
        offset = int(np.iinfo(flat.dtype).min)
        counts = np.bincount(flat.astype(np.int32) - offset)
        ranks = np.ceil(np.asarray(percentiles) / 100.0 * flat.size)
        return np.searchsorted(np.cumsum(counts), ranks) + offset
    return np.percentile(flat, percentiles, method="inverted_cdf")
