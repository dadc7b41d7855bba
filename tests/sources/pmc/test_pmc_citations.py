"""What figures a phrase names."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.sources.pmc.citations import MAX_RANGE, figures_named

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)


def named(text: str) -> str:
    return " ".join(name.number + "".join(name.panels) for name in figures_named(text))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("in Fig. 3.", "3"),
        ("Figs 2–4", "2 3 4"),
        ("figures 2 to 4 and 7", "2 3 4 7"),
        ("See Figs. 2-4 and 1A, C.", "2 3 4 1AC"),
        ("(Fig. 1a-c, e)", "1abce"),
        ("Fig. 1(a–c) and 2(d)", "1abc 2d"),
        ("Fig. 1AC", "1AC"),
        ("Figure 2A and B show", "2AB"),
        ("Fig. 2 A, B", "2AB"),
        ("Fig. 1A–2B", "1A 2B"),
        ("Fig 3A and 3B; Fig 4", "3A 3B 4"),
        ("Fig. 2.1 shows", "2.1"),
        ("FIGURE 5", "5"),
        # what belongs to no figure
        ("Figure 1 and a mass", "1"),
        ("Fig. 3, a CT", "3"),
        ("Fig. 1 and 3 patients", "1"),
        ("Fig. 2, 15% of them", "2"),
        ("Fig. 2 and 5 mm", "2"),
        ("Figs. 9-2", "9"),
        ("Fig. S2 and Supplementary Figures 3–5", ""),
        ("Supplementary Fig. 2 and Fig. 1", "1"),
        ("Extended Data Fig. 4", ""),
        ("figures of speech, configs 12, Figaro 3", ""),
        ("Table 3", ""),
    ],
)
def test_examples(text: str, wanted: str) -> None:
    assert named(text) == wanted


@PATIENT
@given(st.integers(1, 99), st.integers(1, 60), st.sampled_from("-–— "), st.sampled_from(["Fig. ", "Figs ", "figures "]))
def test_ranges_hold_all_between(first: int, length: int, dash: str, head: str) -> None:
    last = first + length
    text = f"{head}{first}{' to ' if dash == ' ' else dash}{last} show"
    found = [int(name.number) for name in figures_named(text)]
    assert found == (list(range(first, last + 1)) if length <= MAX_RANGE else [first])


@PATIENT
@given(st.lists(st.tuples(st.integers(1, 30), st.sets(st.sampled_from("ABCDEF"))), min_size=1, max_size=5))
def test_a_list_is_read_as_it_was_written(figures: list[tuple[int, set[str]]]) -> None:
    texts = [f"{number}{', '.join(sorted(panels))}" for number, panels in figures]
    found = figures_named(f"(Figs {', '.join(texts[:-1])}{' and ' if texts[1:] else ''}{texts[-1]}).")
    assert [(int(name.number), set(name.panels)) for name in found] == figures


@PATIENT
@given(st.text("Fig.s 12AaBb,-–()andto;S%", max_size=60))
def test_any_text_is_read(text: str) -> None:
    for name in figures_named(text):
        assert 0 <= name.start < name.end <= len(text)
