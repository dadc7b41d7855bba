"""Every way to break an article ends in the rejects with its reason; none stops the run or touches the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osler.record_files import check_images, read_records
from osler.sources.pmc.made_articles import FIRST_NUMBER, make
from osler.sources.pmc.made_faults import FAULTS
from osler.sources.pmc.run import Summary
from osler.sources.pmc_oa import Selection, harvest

WHOLE = 3  # articles without a fault, before the others


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, dict[str, list[dict[str, str]]]]:
    folder = tmp_path_factory.mktemp("faults")
    make(folder / "mirror", count=WHOLE, faults=len(FAULTS))
    outside = sorted(path.name for path in folder.rglob("*evil*"))
    assert outside == []
    summary = harvest(folder / "out", Selection("mirror", str(folder / "mirror")))
    rejects: dict[str, list[dict[str, str]]] = {}
    for line in (folder / "out/figures.rejects.jsonl").read_text().splitlines():
        reject = json.loads(line)
        rejects.setdefault(reject["article"], []).append(reject)
    return summary, rejects


def test_there_are_fifty_ways() -> None:
    assert len(FAULTS) >= 50


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_set_aside_with_its_reason(name: str, run: tuple[Summary, dict[str, list[dict[str, str]]]]) -> None:
    article = f"PMC{FIRST_NUMBER + WHOLE + list(FAULTS).index(name)}.1"
    first = run[1][article][0]
    assert first["code"] == FAULTS[name].code
    assert len(first["reason"]) > 10
    assert "/tmp" not in first["reason"]


def test_all_else_is_kept(run: tuple[Summary, dict[str, list[dict[str, str]]]]) -> None:
    summary, rejects = run
    whole = {f"PMC{FIRST_NUMBER + index}.1" for index in range(WHOLE)}
    assert not whole & set(rejects)
    assert summary.articles == WHOLE + len(FAULTS) == WHOLE + len(rejects)
    records = read_records(summary.shards[0])
    by_article = {record.study for record in records}
    # the second figure of an article whose first picture or figure is faulty
    spared = [name for name, fault in FAULTS.items() if fault.code.startswith(("picture", "unsafe", "no-c", "no-p"))]
    assert len(by_article) == WHOLE + len(spared) + 2  # and of "one id twice" and "the placeholder in the caption"
    check_images(records, summary.images, hashes=True).raise_for_problems()
    assert summary.left_out["xml-broken"] == sum(fault.code == "xml-broken" for fault in FAULTS.values())


def test_nothing_is_written_outside(run: tuple[Summary, dict[str, list[dict[str, str]]]]) -> None:
    folder = run[0].folder.parent
    assert sorted(path.name for path in folder.iterdir()) == ["mirror", "out"]
    assert [path.name for path in folder.rglob("*evil*")] == []


def test_a_link_that_leads_out_of_the_mirror_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "mirror", count=1)
    picture = next((tmp_path / "mirror").glob("PMC*/*.jpg"))
    secret = tmp_path / "secret.jpg"
    picture.rename(secret)
    picture.symlink_to(secret)
    summary = harvest(tmp_path / "out", Selection("mirror", str(tmp_path / "mirror")))
    assert summary.left_out == {"picture-unsafe-name": 1}
