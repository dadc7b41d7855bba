"""Rehearsal articles: reproducible, in the real layout, from ROCO's captions or without them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.sources.pmc.made_articles import make, shape
from osler.sources.pmc.made_texts import roco_captions


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_one_seed_fixes_every_byte(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make(tmp_path / name, count=3, faults=2, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b") != contents(tmp_path / "c")


def test_the_layout_is_the_buckets(made: Path) -> None:
    names = set(contents(made))
    first = "PMC900000001.1"
    assert {f"{first}/{first}.{suffix}" for suffix in ("xml", "txt", "json")} <= names
    assert f"metadata/{first}.json" in names
    metadata = json.loads((made / "metadata" / f"{first}.json").read_text())
    for url in (metadata["xml_url"], *metadata["media_urls"]):
        key, _, md5 = url.removeprefix("s3://pmc-oa-opendata/").partition("?md5=")
        assert hashlib.md5((made / key).read_bytes()).hexdigest() == md5
    # version 10 is newer than 9, which a comparison of texts would miss
    assert {"metadata/PMC900000007.9.json", "metadata/PMC900000007.10.json"} <= names


def test_captions_and_pictures_of_a_user(tmp_path: Path) -> None:
    from PIL import Image

    captions, pictures = tmp_path / "roco", tmp_path / "pictures"
    captions.mkdir()
    pictures.mkdir()
    (captions / "captions.txt").write_text("R1\t Chest & <CT>.\nR2\tNot free.\nR3\tBrain MRI.\n", encoding="utf-8")
    (captions / "licences.txt").write_text("ROCO_ID,PMC_ID,CC\nR1,x,CC0\nR2,x,CC BY-NC\nR3,x,CC BY\n")
    Image.new("L", (40, 50)).save(pictures / "one.png")
    assert roco_captions(captions) == [("Chest & <CT>.", "CC0"), ("Brain MRI.", "CC BY")]
    made = make(tmp_path / "m", count=2, captions=captions, pictures=pictures)
    assert made.pictures == sum(sum(shape(index)) for index in range(2))
    assert b"Chest &amp; &lt;CT&gt;." in (tmp_path / "m/PMC900000001.1/PMC900000001.1.xml").read_bytes()
    assert (tmp_path / "m/PMC900000001.1/made-0-g001.png").read_bytes() == (pictures / "one.png").read_bytes()


def test_all_captions_of_roco(shared_data: Path) -> None:
    assert len(roco_captions(shared_data / "roco_text")) == 3388


def test_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    with pytest.raises(SourceError, match="not empty"):
        make(tmp_path)
    with pytest.raises(SourceError, match="want 1"):
        make(tmp_path / "m", count=0)
    with pytest.raises(SourceError, match=r"captions\.txt"):
        make(tmp_path / "m", count=1, captions=tmp_path)
    with pytest.raises(SourceError, match="no JPEG or PNG"):
        make(tmp_path / "m", count=1, pictures=tmp_path)
