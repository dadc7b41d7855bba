from __future__ import annotations

import base64
import html
import io
import json
import re
from pathlib import Path

from PIL import Image

from osler.boxes import Box
from osler.records import ImageRef, Record, Region, Turn
from osler.sources.contact_sheet import write_contact_sheet


def record(number: int, *, image: str = "a.png", question: str = "What?", kind: str = "organ") -> Record:
    return Record(
        id=f"r{number}",
        images=(ImageRef(path=image, width=200, height=100),),
        turns=(Turn(role="user", text=f"<image>\n{question}"), Turn(role="assistant", text="lung")),
        regions=(Region(box=Box(20, 10, 120, 60, 200, 100), label="mass"),),
        extended=("It is the lung.",),
        tags={"question_type": kind},
    )


def test_page_holds_pictures_boxes_texts_and_filters(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), "red").save(tmp_path / "a.png")
    page = tmp_path / "out" / "sheet.html"
    summary = write_contact_sheet([record(1), record(2, kind="plane")], tmp_path, page)
    text = page.read_text()
    assert (summary.shown, summary.total, summary.failures) == (2, 2, ())
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(sources) == 2
    assert Image.open(io.BytesIO(base64.b64decode(sources[0]))).size == (200, 100)
    assert text.count("left:10.000%;top:10.000%;width:50.000%;height:50.000%") == 2
    assert "It is the lung." in text
    assert '<option value="plane">plane (1)</option>' in text
    facts = [json.loads(html.unescape(found)) for found in re.findall(r'data-facts="([^"]*)"', text)]
    assert facts == [{"question_type": "organ"}, {"question_type": "plane"}]
    assert not re.search(r'(src|href)="(?!data:)', text), "the page must not load anything"


def test_text_of_records_is_shown_not_run(tmp_path: Path) -> None:
    Image.new("L", (200, 100)).save(tmp_path / "a.png")
    evil = '</script><script>alert("1")</script>"><img src=x onerror=alert(2)>'
    page = tmp_path / "sheet.html"
    write_contact_sheet([record(1, question=evil, kind=evil), record(2)], tmp_path, page, title=evil)
    text = page.read_text()
    assert text.count("<script>") == 1
    assert "<img src=x" not in text
    assert json.loads(html.unescape(re.findall(r'data-facts="([^"]*)"', text)[0])) == {"question_type": evil}


def test_an_unreadable_image_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    Image.new("L", (200, 100)).save(tmp_path / "a.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    records = [record(1, image="bad.png"), record(2, image="../../etc/passwd"), record(3)]
    summary = write_contact_sheet(records, tmp_path, tmp_path / "sheet.html")
    assert [failure.split(":")[0] for failure in summary.failures] == ["r1", "r2"]
    assert "climbs out" in summary.failures[1]
    assert (tmp_path / "sheet.html").read_text().count("data:image/jpeg") == 1


def test_a_limit_takes_records_from_the_whole_file(tmp_path: Path) -> None:
    Image.new("L", (200, 100)).save(tmp_path / "a.png")
    summary = write_contact_sheet([record(n) for n in range(100)], tmp_path, tmp_path / "s.html", limit=4)
    shown = re.findall(r"<summary>(r\d+)</summary>", (tmp_path / "s.html").read_text())
    assert shown == ["r0", "r25", "r50", "r75"]
    assert (summary.shown, summary.total) == (4, 100)
