"""Every way to break an article ends in the rejects with its reason; none stops the run or touches the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.errors import RecordError
from osler.record_files import check_images, read_records
from osler.sources.pmc import figure_records
from osler.sources.pmc.jats import parse_article
from osler.sources.pmc.made_articles import FIRST_NUMBER, make
from osler.sources.pmc.made_faults import FAULTS
from osler.sources.pmc.made_xml import XmlFigure, article_xml
from osler.sources.pmc.mentions import mentions_of
from osler.sources.pmc.run import Summary
from osler.sources.pmc_oa import Selection, harvest

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
FIGURES = [
    XmlFigure(("CT of the chest.", "MRI."), ("a", "b")),
    XmlFigure(("Other.",), ("c",)),
    XmlFigure(("X.",), ("d",)),
]
XML = article_xml(
    pmcid="PMC1", index=1, title="T", licence="CC BY", published=(2020, 1, 2), figures=FIGURES
).encode()  # fmt: skip
PIECES = [
    b"", b"<", b">", b"&", b"</p>", b"<p>", b"<fig>", b"</fig>", b'<fig id="fig1"/>', b"\xff", b"\0", b"<fig-group/>",
    b'<xref ref-type="fig" rid="fig9 fig1">Figs 1-99</xref>', b"Fig. 1A-", b"<![CDATA[<fig>]]>", b"<label/>",
    b"<!-- -->", b'<graphic href="x"/>', b"<sub-article>", b"<bold>a</bold>", b"Fig. 99999", b"<?x?>", b"&nbsp;",
    b"<permissions/>",
]  # fmt: skip
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


@PATIENT
@given(st.data())
def test_any_damage_to_an_article_is_a_record_error(data: st.DataObject) -> None:
    xml = XML
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(xml) - 1))
        cut = data.draw(st.integers(0, 40))
        xml = xml[:place] + data.draw(st.sampled_from(PIECES)) + xml[place + cut :]
    try:
        article = parse_article(xml)
    except RecordError:
        return
    found = mentions_of(article.figures, article.paragraphs)
    assert set(found) == {figure.id for figure in article.figures}


def test_a_fault_of_our_own_is_counted_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "mirror", count=2)

    def broken(data: bytes) -> None:
        if b"PMC900000001" in data:
            raise KeyError("a bug")

    monkeypatch.setattr(figure_records, "parse_article", lambda data: broken(data) or parse_article(data))
    summary = harvest(tmp_path / "out", Selection("mirror", str(tmp_path / "mirror")))
    assert (summary.left_out, summary.with_records) == ({"unexpected": 1}, 1)


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
