"""TBX11K.

Layout: mmcheng.net/tb (Liu et al., "Rethinking computer-aided tuberculosis diagnosis", CVPR 2020) and public readers of
it: annotations/json/TBX11K_{train,val}.json in COCO layout with file names below imgs/{health,sick,tb}.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.instruct.abnormality import abnormality_records
from tests.sources.box_pictures import corners, fetch, labels, picture


def test_healthy_sick_and_tuberculosis(tmp_path: Path) -> None:
    names = ["tb/tb0003.png", "health/h0001.png", "sick/s0001.png", "tb/tb1199.png"]
    for name in names:
        picture(tmp_path / "imgs" / name, 512, 512)
    (tmp_path / "annotations" / "json").mkdir(parents=True)
    for split, chosen in (("train", names[:3]), ("val", names[3:])):
        content = {
            "images": [
                {"id": number, "file_name": name, "width": 512, "height": 512} for number, name in enumerate(chosen)
            ],
            "annotations": [{"image_id": 0, "category_id": 1, "bbox": [10.5, 20, 100, 50]}] if split == "train" else [],
            "categories": [{"id": 1, "name": "ActiveTuberculosis"}, {"id": 3, "name": "PulmonaryTuberculosis"}],
        }
        (tmp_path / "annotations" / "json" / f"TBX11K_{split}.json").write_text(json.dumps(content))
    records, aside, _ = fetch("tbx11k", tmp_path, tmp_path / "out")
    assert aside == []
    tb, health, sick = records["train.jsonl"]
    assert corners(tb) == [(10.5, 20, 110.5, 70)]
    assert labels(tb) == ["ActiveTuberculosis"]
    assert (health.tags, sick.tags) == ({"group": "health"}, {"group": "sick", "regions": "partial"})
    assert [record.images[0].path for record in records["dev.jsonl"]] == ["tb/tb1199.png"]
    answers = [record.answer for record in abnormality_records(records["train.jsonl"])]
    assert answers[1:] == ["There is no abnormality."], "a sick picture is no normal one"


def test_without_the_files(tmp_path: Path) -> None:
    (tmp_path / "imgs").mkdir()
    with pytest.raises(SourceError, match=r"holds none of TBX11K_train\.json"):
        fetch("tbx11k", tmp_path, tmp_path / "out")
