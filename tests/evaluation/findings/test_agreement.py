"""Agreement of the labeller with labels of others is what docs/results/labeller.md says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from benchmarks.labeller import markdown, results
from osler.packages import PACKAGES, cache_folder

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "results" / "labeller.md").read_text()


@pytest.fixture(scope="module")
def measured():
    if not os.environ.get("OSLER_TEST_DOWNLOAD") and not (cache_folder() / PACKAGES["radlabels"].file).is_file():
        pytest.skip("radlabels is absent: run `python -m benchmarks.labeller`, or set OSLER_TEST_DOWNLOAD=1 (0.8 MB)")
    return results(with_openi=False)


def test_numbers_on_radlabels(measured):
    for result in measured:
        every = result["findings"]["all (micro)"]
        possible = "yes" if result["possible_counts_as_stated"] else "no"
        numbers = [f"{every[key]:.3f}" for key in ("precision", "recall", "f1")]
        interval = "{:.3f}–{:.3f}".format(*every["interval"])
        others = f"{result['macro_f1']:.3f} | {result['micro_f1_without_cues']:.3f}"
        head = f"| radlabels | {result['part']} | {possible} | {result['reports']} |"
        assert f"{head} {' | '.join(numbers)} | {interval} | {others} |" in TEXT
    first = next(r for r in measured if r["part"] == "held-out" and r["possible_counts_as_stated"])
    assert markdown(first) in TEXT


def test_it_agrees(measured):
    for result in measured:
        if result["possible_counts_as_stated"]:
            assert result["findings"]["all (micro)"]["f1"] > 0.93
            # denial is worth something, and the half that was not seen is not much worse
            assert result["findings"]["all (micro)"]["f1"] > result["micro_f1_without_cues"] + 0.04


def test_the_page_on_protocols_says_the_same():
    page = (Path(__file__).resolve().parents[3] / "docs" / "protocols.md").read_text()
    (told,) = re.findall(r"micro-F1 is (\d\.\d+)", page)
    assert f"| radlabels | held-out | yes | 508 | 0.913 | 0.971 | {told} |" in TEXT
