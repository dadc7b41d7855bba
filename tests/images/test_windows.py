"""Windows against the formulas of PS3.3 computed one number at a time, and against pydicom."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.images import PRESETS, Window, parse_window
from osler.images.windows import choose_window, percentile_window

LEVELS = st.floats(-3000, 3000)
WIDTHS = st.floats(1, 5000)


def standard(x: float, c: float, w: float, function: str) -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, output 0 to 255, as printed there."""
    if function == "linear":
        if x <= c - 0.5 - (w - 1) / 2:
            return 0.0
        if x > c - 0.5 + (w - 1) / 2:
            return 255.0
        return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255
    if function == "linear_exact":
        if x <= c - w / 2:
            return 0.0
        if x > c + w / 2:
            return 255.0
        return ((x - c) / w + 0.5) * 255
    try:
        return 255 / (1 + math.exp(-4 * (x - c) / w))
    except OverflowError:
        return 0.0


@pytest.mark.parametrize("function", ["linear", "linear_exact", "sigmoid"])
@pytest.mark.parametrize(("level", "width"), [(40, 80), (-600, 1500), (50, 1), (2048, 4096), (0.5, 2), (40, 400)])
def test_follows_the_standard(function, level, width):
    values = np.arange(-1200, 1300, dtype=np.int16)
    found = Window(level, width, function).apply(values)
    wanted = [standard(float(x), level, width, function) for x in values]
    assert found.dtype == np.uint8
    assert np.abs(found - np.array(wanted)).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_agrees_with_pydicom(function):
    from pydicom.dataset import Dataset
    from pydicom.pixels import apply_windowing

    ds = Dataset()
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = 40, 400, function
    ds.PhotometricInterpretation, ds.BitsStored, ds.PixelRepresentation = "MONOCHROME2", 8, 0
    values = np.arange(0, 256, dtype=np.uint8)
    reference = apply_windowing(values, ds)  # output range 0 to 255 because 8 bits are stored
    assert np.abs(Window(40, 400, function.lower()).apply(values) - reference).max() <= 0.5 + 1e-9


@settings(deadline=None)
@given(
    LEVELS, WIDTHS, st.sampled_from(["linear", "linear_exact", "sigmoid"]), st.lists(st.floats(-1e5, 1e5), min_size=2)
)
def test_is_monotonic_and_in_range(level, width, function, values):
    found = Window(level, width, function).apply(np.sort(np.array(values))).astype(int)
    assert found.min() >= 0
    assert found.max() <= 255
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8, np.int8])
def test_large_integer_pictures_give_the_same(dtype):
    limits = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(limits.min, limits.max, (300, 300), dtype, endpoint=True)
    for window in (Window(40, 400), Window(3, 77.5, "linear_exact"), Window(0, 3000, "sigmoid")):
        assert np.array_equal(window.apply(values), window.apply(values.astype(np.float64)))


def test_not_a_number_is_black_and_infinity_is_the_end():
    values = np.array([np.nan, -np.inf, np.inf])
    for function in ("linear", "linear_exact", "sigmoid"):
        assert Window(0, 10, function).apply(values).tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("level", "width", "function"), [(0, 0.5, "linear"), (0, 0, "sigmoid"), (math.nan, 5, "linear"), (0, 5, "cubic")]
)
def test_refuses_impossible_windows(level, width, function):
    with pytest.raises(ValueError, match="window"):
        Window(level, width, function)


def test_reads_every_way_to_name_a_window():
    lung = Window(-600, 1500)
    for text in ("lung", "Lung", "-600/1500", {"preset": "lung"}, {"level": -600, "width": 1500}, lung):
        assert parse_window(text) == lung
    assert choose_window("soft tissue").preset == "soft_tissue"


@settings(deadline=None)
@given(LEVELS, WIDTHS, st.sampled_from(["linear", "linear_exact", "sigmoid"]))
def test_recorded_windows_read_back(level, width, function):
    window = Window(level, width, function)
    assert choose_window(window.as_dict(source="percentile")) == (window, None)


@pytest.mark.parametrize(
    "value", ["lungs!", "40/", "a/b", {}, {"level": 4}, {"level": "x", "width": 3}, {"bogus": 1}, 7]
)
def test_refuses_what_names_no_window(value):
    with pytest.raises(ValueError, match=r"want|no number"):
        parse_window(value)


def test_presets_have_sources_and_are_windows():
    for name, preset in PRESETS.items():
        assert preset.reference, name
        assert parse_window(name) == Window(preset.level, preset.width)
    # MedGemma's ranges: -1024..1024, -135..215, 0..80
    ranges = [(p.level - p.width / 2, p.level + p.width / 2) for n, p in PRESETS.items() if n.startswith("medgemma")]
    assert ranges == [(-1024, 1024), (-135, 215), (0, 80)]


@settings(deadline=None)
@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=300))
def test_percentiles_of_integers_agree_with_numpy(values):
    integers = percentile_window(np.array(values, dtype=np.int16))
    floats = percentile_window(np.array(values, dtype=np.float64))
    assert integers == floats


def test_percentile_window_of_flat_empty_and_sparse_values():
    assert percentile_window(np.full((4, 4), 7, np.uint16)).apply(np.array([7, 8])).tolist() == [0, 255]
    assert percentile_window(np.array([], np.uint8)).apply(np.array([0])).tolist() == [0]
    sparse = np.zeros(1000)
    sparse[0] = 5.0  # the 99th percentile is 0: minimum to maximum instead
    assert percentile_window(sparse) == Window(2.5, 5, "linear_exact")
    big = percentile_window(np.full(3, 1e30))
    assert big.apply(np.full(3, 1e30)).max() == 0


def test_documentation_states_the_same_presets():
    text = (Path(__file__).resolve().parents[2] / "docs" / "images.md").read_text().replace("−", "-")
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines() if line.startswith("| `")]
    stated = {
        name.strip("` "): (float(level), float(width))
        for names, level, width in rows
        if width.isdigit()
        for name in names.split(",")
    }
    assert stated == {name: (preset.level, preset.width) for name, preset in PRESETS.items()}
