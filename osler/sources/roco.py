r"""`roco`: captions of radiology figures: ROCO, ROCOv2, and the caption task of ImageCLEFmedical.

Layouts:

- ROCO (Pelka et al., LABELS 2018; https://github.com/razorx89/roco-dataset): `captions.txt`, one line a figure,
  `ROCO_00020\t caption`, beside `images/ROCO_00020.jpg`, in a folder for each split (`train/radiology` and so on).
  Read on the published text.
- ROCOv2 (https://doi.org/10.5281/zenodo.8333645) and ImageCLEF: `<split>_captions.csv` with `ID,Caption` beside
  `<split>/` or `<split>_images/` with `<ID>.jpg`.
- ROCOv2 on the Hub (https://huggingface.co/datasets/eltorio/ROCOv2-radiology): parquet with `image`, `image_id` and
  `caption`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError
from osler.sources.box_source import Layout, choice
from osler.sources.csv_rows import read_rows
from osler.sources.hub_files import HubFiles
from osler.sources.json_rows import image_file, text
from osler.sources.own_copy import OwnCopySource, hub_options
from osler.sources.parquet_images import rows, shards, write_picture
from osler.sources.question_records import QuestionRecords

QUESTION = "What is the radiology report for this image?"
"""The question of MLLM-MRG (arXiv 2306.05642)."""
HUB = HubFiles(
    "eltorio/ROCOv2-radiology",
    "80ffeef4eb8d34d27cb5c2815305f1d8aee8a83c",
    ("data/*.parquet",),
    "several gigabytes",
)
SPLITS = {"train": ("train",), "dev": ("validation", "valid"), "test": ("test",)}


class RocoSource(OwnCopySource):
    """Captions of radiology figures of PubMed Central."""

    name = "roco"
    title = "ROCO, ROCOv2 and ImageCLEFmedical captions"
    licence = "by figure (CC BY and others); ROCOv2 as a whole CC BY-NC-SA 4.0 as its page on the Hub states"
    url = HUB.url
    description = "Radiology figures and their captions, from any of three layouts, which are recognised."
    layout: Layout = "documented"
    revision = f"ROCOv2 on the Hub: {HUB.revision}"
    access = (
        "ROCO and ROCOv2 are open; ImageCLEF's files need a registration and a signed agreement "
        "(https://www.imageclef.org/)."
    )
    hub: ClassVar[HubFiles | None] = HUB
    wanted = "captions.txt, <split>_captions.csv or test-*.parquet"
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds captions or parquet files, or a folder for each split",
        "dataset": "roco (default) or imageclef: which convention of the task the records are of",
        "split": "of a lone captions.txt: test (default), dev or train",
        **hub_options(HUB),
    }

    def present(self, home: Path) -> bool:
        """Any layout."""
        return bool(_tables(home) or _texts(home, "test") or shards(home, "test") or shards(home, "validation"))

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of all splits that are there."""
        dataset = choice(options, "dataset", ("roco", "imageclef"))
        lone = choice(options, "split", ("test", "dev", "train"))
        parquet = [(part, path) for part, names in SPLITS.items() for name in names for path in shards(home, name)]
        out = QuestionRecords(folder if parquet else home, self.name, self.licence, self.url)
        for part, path in parquet:
            for line, row in rows(path, ("image", "image_id", "caption")):
                with out.row(path, line):
                    picture = write_picture(row["image"], folder, field="image")
                    where = f"{path.name}:{line}"
                    _add(out, part, dataset, text(row, "image_id"), text(row, "caption"), picture, where)
        for part, path in _tables(home) if not parquet else ():
            pictures = _pictures(home, path)
            for line, cells in read_rows(path, ("ID", "Caption")):
                with out.row(path, line):
                    name, caption = text(cells, "ID"), text(cells, "Caption")
                    picture = _picture(home, pictures, name, "ID")
                    _add(out, part, dataset, name, caption, picture, f"{path.name}:{line}")
        for part, path in _texts(home, lone) if not parquet else ():
            pictures = (path.parent / "images").relative_to(home).as_posix()
            for line, (name, caption) in read_captions(path):
                with out.row(path, line):
                    if not name or not caption:
                        raise RecordError("want an id, a tab and a caption", field="caption")
                    picture = _picture(home, pictures, name, "id")
                    _add(out, part, dataset, name, caption, picture, f"{path.name}:{line}")
        return out, []


def _add(out: QuestionRecords, part: str, dataset: str, name: str, caption: str, picture: str, where: str) -> None:
    out.add(
        part,
        name=name,
        question=QUESTION,
        answer=" ".join(caption.split()),
        images=[picture],
        where=where,
        tags={"question_type": "caption", "answer_type": "OPEN", "dataset": dataset},
        generator="human",
    )


def read_captions(path: Path) -> list[tuple[int, tuple[str, str]]]:
    """(line, (id, caption)) of ROCO's `captions.txt`; a line without a tab gives empty texts."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            name, _, caption = line.partition("\t")
            found.append((number, (name.strip(), caption.strip())))
    return found


def _tables(home: Path) -> list[tuple[str, Path]]:
    """Splits with tables of captions."""
    return [
        (part, path)
        for part, names in SPLITS.items()
        for name in names
        for path in sorted(home.glob(f"{name}_captions*.csv"))[:1]
    ]


def _texts(home: Path, lone: str) -> list[tuple[str, Path]]:
    """Splits with `captions.txt`; one in the folder itself is of the split `lone`."""
    found = [(lone, home / "captions.txt")] if (home / "captions.txt").is_file() else []
    for part, names in SPLITS.items():
        for name in names:
            found += [
                (part, path)
                for path in (home / name / "radiology" / "captions.txt", home / name / "captions.txt")
                if path.is_file()
            ][:1]
    return found


def _pictures(home: Path, table: Path) -> str:
    split = table.name.split("_captions")[0]
    return next((name for name in (f"{split}_images", split, "images") if (home / name).is_dir()), ".")


def _picture(home: Path, folder: str, name: str, field: str) -> str:
    prefix = "" if folder == "." else f"{folder}/"
    for end in (".jpg", ".png"):
        if (home / f"{prefix}{name}{end}").is_file():
            return image_file(home, f"{prefix}{name}{end}", field=field)
    return image_file(home, f"{prefix}{name}.jpg", field=field)
