"""Every number of docs/protocols.md is computed again, and every protocol stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from osler.evaluation import protocols

from .protocols.test_hostile import EXPECTED, HOSTILE

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "protocols.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading, without its head, back-ticks taken off."""
    section = TEXT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize(
    "row", rows("Golden cases, and what is credited wrongly"), ids=lambda row: f"{row[0]}: {row[3]}"[:60]
)
def test_cases(row):
    name, options, reference, answer, expected, other, others, _ = row
    choices = tuple(options.split(" / ")) if options else ()
    for protocol, number in ((name, expected), (other, others)):
        score = protocols.get(protocol).score(answer, reference, options=choices)
        assert f"{score.value:.3f}" == number, protocol


def test_every_protocol_and_every_released_one_has_a_case():
    named = set(re.findall(r"`([\w-]+)`", TEXT.split("## All protocols")[1].split("\n## ")[0]))
    assert set(protocols.names()) <= named
    released = {
        name
        for name in protocols.names()
        if re.match(r"llava-med-|omnimedvqa-qa-score|pmc-vqa-|medvh-official|clinkd-[vr]", name)
    }
    assert released <= {row[0] for row in rows("Golden cases, and what is credited wrongly")}


def test_hostile_table():
    found = {row[0]: " ".join(row[1:]) for row in rows("Hostile answers")}
    assert found == {name: row for name, row in EXPECTED.items() if row != "missing"}
    assert f"| protocol | {' | '.join(HOSTILE)} | megabyte |" in TEXT


def test_numbers_told_about_findings():
    pairs = [
        ("Pleural effusion is present.", "No pleural effusion is present."),
        ("The lungs are clear.", "There is no focal consolidation."),
    ]
    for answer, reference in pairs:
        assert f'"{answer}"' in TEXT.replace("\n", " ")
        assert f'"{reference}"' in TEXT.replace("\n", " ")
    assert [protocols.get("chest-findings-f1").score(*pair).value for pair in pairs] == [0.0, 1.0]


def test_the_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)
    exec(code, {})
    assert "Pneumonia" in capsys.readouterr().out
