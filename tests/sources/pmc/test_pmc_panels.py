"""Panels out of captions."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.sources.pmc.panels import letters, panels_of

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)


@pytest.mark.parametrize(
    ("caption", "wanted"),
    [
        ("(A) Axial CT. (B) Coronal CT (arrow).", {"A": "Axial CT", "B": "Coronal CT (arrow)"}),
        ("Chest: (a, b) CT, (c) MRI.", {"a": "CT", "b": "CT", "c": "MRI"}),
        ("CT (A) and MRI (B).", {"A": "CT", "B": "and MRI"}),
        ("A, Axial CT; B, Coronal MRI.", {"A": "Axial CT", "B": "Coronal MRI"}),
        ("A–C. Axial. D. Coronal.", {"A": "Axial", "B": "Axial", "C": "Axial", "D": "Coronal"}),
        ("(A) Before. (B) After. (A) also later.", {"A": "Before also later", "B": "After"}),
        ("A mass (arrow) of the lung (L).", {}),
        ("Only (A) one.", {}),
        ("(B) without (C) the first.", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_examples(caption: str, wanted: dict[str, str]) -> None:
    assert {panel.label: panel.text for panel in panels_of(caption)} == wanted


@PATIENT
@given(st.lists(st.from_regex(r"[a-z]{2,8}( [a-z]{2,8}){0,3}", fullmatch=True), min_size=2, max_size=8))
def test_panels_are_read_as_they_were_written(texts: list[str]) -> None:
    caption = " ".join(f"({'ABCDEFGH'[n]}) {text}." for n, text in enumerate(texts))
    assert [panel.text for panel in panels_of(caption)] == texts


def test_lists_of_letters() -> None:
    assert letters("A, C and D") == ("A", "C", "D")
    assert letters("a-d") == ("a", "b", "c", "d")
    assert letters("D-A") == ()
