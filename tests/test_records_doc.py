"""docs/records.md says what the code does: its examples run, its tables are complete."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from statistics import mean

import pytest
from PIL import Image

from osler import box_formats
from osler.boxes import Box, iou
from osler.errors import RecordError
from osler.record_files import read_records
from osler.records import Record
from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "docs" / "records.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def table() -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")]
    return {row[0].strip("`"): row for row in rows if row[0].strip("`") in box_formats.names()}


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("json")
    (tmp_path / "train.jsonl").write_text(json.dumps(json.loads(example)) + "\nbroken\n")
    (tmp_path / "images" / "chest").mkdir(parents=True)
    Image.new("L", (1000, 800)).save(tmp_path / "images" / "chest" / "0001.png")
    reading, drawing = blocks("python")
    exec(compile(drawing, "docs/records.md", "exec"), {})
    (strict,) = (line for line in reading.splitlines() if "stops at the first bad line" in line)
    with pytest.raises(RecordError, match=r"train\.jsonl:2: is not JSON"):
        exec(strict, {"read_records": read_records})
    exec(compile(reading.replace(strict, ""), "docs/records.md", "exec"), {})
    assert "1 records, 1 rejected" in capsys.readouterr().out
    assert list(read_records("all.parquet")) == [Record.model_validate(json.loads(example))]
    assert (tmp_path / "train.jsonl.rejects.jsonl").is_file()


def test_the_table_of_formats_is_complete():
    box = Box(100, 80, 400, 240, 1000, 800)
    assert set(table()) == set(box_formats.names())
    for name, row in table().items():
        assert row[3].strip("`") == box_formats.get(name).to_text(box)


@pytest.fixture(scope="module")
def bccd_boxes(shared_data):
    found = []
    for file in sorted((shared_data / "bccd" / "BCCD" / "Annotations").glob("*.xml")):
        root = ElementTree.parse(file).getroot()
        width, height = (int(root.findtext(f"size/{side}")) for side in ("width", "height"))
        for item in root.findall("object"):
            corners = [float(item.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")]
            if corners[0] < corners[2] and corners[1] < corners[3]:
                found.append(Box(*corners, width, height))
    return found


def test_the_measured_cost_of_rounding(bccd_boxes):
    assert len(bccd_boxes) == 4886
    for name, row in table().items():
        codec = box_formats.get(name)
        assert f"{mean(through(codec, bccd_boxes)):.3f}" == row[4], name
    assert f"{min(through(box_formats.get('norm100_xyxy'), bccd_boxes)):.2f} with `norm100_xyxy`" in TEXT
    assert f"the mean is {mean(through(box_formats.get('llava_square', decimals=2), bccd_boxes)):.3f}" in TEXT


def through(codec: box_formats.BoxFormat, drawn: list[Box]) -> list[float]:
    return [iou(box, codec.decode(codec.encode(box), box.width, box.height)) for box in drawn]
