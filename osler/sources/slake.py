"""`slake`: SLAKE's bilingual questions with organ boxes and masks (Liu et al., ISBI 2021; CC BY 4.0).

Layout, by its page on the Hub (https://huggingface.co/datasets/BoKelvin/SLAKE) and public readers of it:

    train.json, validation.json, test.json      lists of rows
    imgs/xmlab<N>/source.jpg                    the picture
    imgs/xmlab<N>/detection.json                list of {organ or finding: [four numbers]}, in pixels
    imgs/xmlab<N>/mask.png                      one picture of all masks

A row has `img_id`, `img_name` ("xmlab0/source.jpg"), `question`, `answer`, `q_lang` ("en", "zh"), `location`,
`modality`, `answer_type` ("OPEN", "CLOSED"), `base_type` ("vqa", "kvqa"), `content_type`, `triple` and `qid`. Whether
the four numbers are left, top, width, height or corners is stated nowhere that we could read: `boxes=` chooses, and
boxes that do not lie on their picture are set aside, so that a wrong choice shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.boxes import Box
from osler.errors import BoxError, ImageError, RecordError
from osler.record_ids import stable_id
from osler.sources.box_source import Layout, choice
from osler.sources.hub_files import HubFiles
from osler.sources.json_rows import image_file, key, objects, read_list, text
from osler.sources.own_copy import OwnCopySource, hub_options
from osler.sources.question_records import QuestionRecords

HUB = HubFiles(
    "BoKelvin/SLAKE",
    "a9083ce6c34ac3ffb17671a605962924d8a8f9e9",
    ("train.json", "validation.json", "test.json", "mask.txt", "imgs.zip"),
    "about 216 MB",
    archives=("imgs.zip",),
)
FILES = {"train": "train.json", "dev": "validation.json", "test": "test.json"}
LANGUAGES = ("en", "zh")


class SlakeSource(OwnCopySource):
    """Questions in English and Chinese on CT, MR and X-ray pictures."""

    name = "slake"
    title = "SLAKE (English and Chinese)"
    licence = "CC-BY-4.0"
    url = HUB.url
    description = (
        "Clinicians' questions in two languages with organ boxes and masks. Records of both languages go to one file a "
        "split, with the tag `language`."
    )
    layout: Layout = "documented"
    revision = HUB.revision
    access = "open; no account is needed."
    hub: ClassVar[HubFiles | None] = HUB
    wanted = "test.json and imgs/"
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds train.json, validation.json, test.json and imgs/",
        "boxes": "xywh (left, top, width, height; default), xyxy (corners), or none: how detection.json is read",
        **hub_options(HUB),
    }

    def present(self, home: Path) -> bool:
        """The questions and the pictures."""
        return (home / FILES["test"]).is_file() and (home / "imgs").is_dir()

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of all splits that are there."""
        convention = choice(options, "boxes", ("xywh", "xyxy", "none"))
        out = QuestionRecords(home, self.name, self.licence, self.url)
        pictures = _Pictures(home, convention, out)
        for split, name in FILES.items():
            path = home / name
            for line, row in objects(path) if path.is_file() else ():
                with out.row(path, line):
                    if row is None:
                        raise RecordError("is no JSON object with a question")
                    _add(out, split, row, pictures, where=f"{name}:{line}")
        remarks = [f"{pictures.boxes} boxes of organs and findings, read as {convention} (not verified on the files)."]
        if pictures.refused:
            remarks.append(
                f"{pictures.refused} boxes do not lie on their pictures; if that is many, try another boxes=."
            )
        return out, remarks


def _add(out: QuestionRecords, split: str, row: Mapping[str, Any], pictures: _Pictures, *, where: str) -> None:
    language = text(row, "q_lang")
    if language not in LANGUAGES:
        raise RecordError(f"is {language!r}; want {' or '.join(LANGUAGES)}", field="q_lang")
    answer_type = text(row, "answer_type").upper()
    if answer_type not in ("OPEN", "CLOSED"):
        raise RecordError(f"is {answer_type!r}; want OPEN or CLOSED", field="answer_type")
    picture = image_file(out.images, f"imgs/{text(row, 'img_name')}", field="img_name")
    size, regions = pictures.of(picture)
    triple = row.get("triple")
    group = stable_id(out.source, picture)
    out.add(
        split,
        name=key(row, "qid"),
        field="qid",
        question=text(row, "question"),
        answer=text(row, "answer"),
        images=[picture],
        sizes=[size],
        regions=regions,
        where=where,
        subject=group,
        study=group,
        tags={
            "question_type": text(row, "content_type"),
            "answer_type": answer_type,
            "language": language,
            "organ": text(row, "location"),
            "modality": text(row, "modality"),
            "knowledge": str(row.get("base_type") or "vqa").lower(),
        },
        notes={"triple": " | ".join(map(str, triple))} if isinstance(triple, list) else None,
        generator="human",
    )


class _Pictures:
    """Sizes and regions of pictures, read once each."""

    def __init__(self, home: Path, convention: str, out: QuestionRecords) -> None:
        self._home, self._convention, self._out = home, convention, out
        self._known: dict[str, tuple[tuple[int, int], list[dict[str, Any]]]] = {}
        self.boxes = self.refused = 0

    def of(self, picture: str) -> tuple[tuple[int, int], list[dict[str, Any]]]:
        """(width, height) and regions.

        Raises:
            RecordError: when the picture cannot be read.
        """
        from osler.images import image_size

        if picture not in self._known:
            try:
                size = image_size(self._home / picture)
            except ImageError as error:
                raise RecordError(error.reason or str(error), field="img_name") from error
            self._known[picture] = size, self._regions(Path(picture).parent, size)
        return self._known[picture]

    def _regions(self, folder: Path, size: tuple[int, int]) -> list[dict[str, Any]]:
        path = self._home / folder / "detection.json"
        if self._convention == "none" or not path.is_file():
            return []
        mask = (folder / "mask.png").as_posix() if (self._home / folder / "mask.png").is_file() else None
        found = []
        with self._out.row(f"{folder.name}-detection.json", 1):
            for line, marks in read_list(path):
                for label, numbers in marks.items() if isinstance(marks, dict) else (("", marks),):
                    with self._out.row(f"{folder.name}-detection.json", line):
                        try:
                            corners = _corners(label, numbers, self._convention)
                            box = Box(*corners, *size)
                        except BoxError as error:
                            self.refused += 1
                            raise RecordError(str(error), field=label) from error
                        box_json = {"xyxy": list(box.xyxy()), "size": list(size)}
                        found.append({"box": box_json, "label": label.strip(), "mask": mask})
                        self.boxes += 1
        return found


def _corners(label: str, numbers: Any, convention: str) -> tuple[float, float, float, float]:
    fits = isinstance(numbers, list) and len(numbers) == 4
    if not label.strip() or not fits or not all(type(number) in (int, float) for number in numbers):
        raise RecordError(f"want a name with four numbers, not {numbers!r:.80}", field=label or "name")
    first, second, third, fourth = map(float, numbers)
    return (first, second, third, fourth) if convention == "xyxy" else (first, second, first + third, second + fourth)
