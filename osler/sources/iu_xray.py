"""`iu-xray`: Indiana University's chest X-rays with reports (Demner-Fushman et al., JAMIA 2016; CC BY-NC-ND 4.0).

Two layouts. That of its home, https://openi.nlm.nih.gov/faq: `ecgen-radiology/<n>.xml` (NLMCXR_reports.tgz) beside
`NLMCXR_png/` or the pictures themselves, `<parentImage id="CXR1_1_IM-0001-3001">` for `CXR1_1_IM-0001-3001.png`;
sections are `<AbstractText Label="FINDINGS">`, tags `<MeSH><major>Cardiomegaly/mild</major>`. Read on the 3,955
published reports. Or R2Gen's `annotation.json` (`osler.sources.annotation_json`). The home has no split: reports are
split by the hash of their number, 7 : 1 : 2, which is ours. "XXXX" stands where a word was taken out, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError
from osler.record_ids import stable_id
from osler.record_splits import split_records
from osler.sources.annotation_json import FILE, add_annotations
from osler.sources.box_source import Layout, choice
from osler.sources.json_rows import image_file
from osler.sources.own_copy import OwnCopySource
from osler.sources.question_records import QuestionRecords
from osler.sources.safe_xml import Element, read_xml

QUESTION = "Write the findings section of the radiology report for this chest X-ray."
FRACTIONS = {"train": 0.7, "dev": 0.1, "test": 0.2}
_FOLDERS = ("NLMCXR_png", "images", ".")


class IuXraySource(OwnCopySource):
    """Reports of chest X-rays, one or two pictures each."""

    name = "iu-xray"
    title = "IU X-ray (OpenI) reports"
    licence = "CC-BY-NC-ND-4.0"
    url = "https://openi.nlm.nih.gov/faq"
    description = "Findings of chest X-rays with their MeSH tags; reports without findings are left out and counted."
    layout: Layout = "verified"
    revision = "NLMCXR_reports.tgz of 3,955 reports"
    access = "open; NLMCXR_reports.tgz and NLMCXR_png.tgz (about 15 GB) from its home."
    wanted = "ecgen-radiology/*.xml or annotation.json"
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds ecgen-radiology/ and NLMCXR_png/, or annotation.json and images/",
        "section": "findings (default), impression, or both: what is to be written; annotation.json has findings only",
    }

    def present(self, home: Path) -> bool:
        """Either layout."""
        return (home / FILE).is_file() or any((home / "ecgen-radiology").glob("*.xml"))

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of all reports with pictures."""
        section = choice(options, "section", ("findings", "impression", "both"))
        out = QuestionRecords(home, self.name, self.licence, self.url)
        if (home / FILE).is_file():
            add_annotations(out, home, question=QUESTION, dataset=self.name)
            return out, ["Split: R2Gen's."]
        pictures = next(name for name in _FOLDERS if (home / name).is_dir())
        wanted = ("findings", "impression") if section == "both" else (section,)
        for path in sorted((home / "ecgen-radiology").glob("*.xml"), key=lambda file: (len(file.stem), file.stem)):
            with out.row(path, 1):
                _add(out, path, wanted, "" if pictures == "." else f"{pictures}/")
        records = out.parts.pop("all", [])
        if records:
            parts = split_records(records, FRACTIONS, seed=0, by="subject", allow_empty=True)
            for name, part in parts.parts.items():
                out.parts[name] = [
                    record.model_copy(update={"provenance": record.provenance.model_copy(update={"split": name})})
                    for record in part
                ]
        return out, [f"Split by the hash of the report, {FRACTIONS} (ours: the home has none)."]


def _add(out: QuestionRecords, path: Path, wanted: Sequence[str], prefix: str) -> None:
    report = read_report(path)
    lacking = [name for name in wanted if not report.sections.get(name)]
    if lacking:
        raise RecordError("is empty", field=lacking[0].upper())
    if not report.pictures:
        raise RecordError("names no picture", field="parentImage")
    asked = QUESTION if len(wanted) == 1 else QUESTION.replace("findings section", "findings and the impression")
    out.add(
        "all",
        name=report.name,
        question=asked.replace("findings section", f"{wanted[0]} section"),
        answer=" ".join(report.sections[name] for name in wanted),
        images=[image_file(out.images, f"{prefix}{name}.png", field="parentImage") for name in report.pictures],
        where=path.name,
        subject=stable_id(out.source, report.name),
        tags={
            "question_type": "report",
            "answer_type": "OPEN",
            "dataset": out.source,
            "modality": "x-ray",
            "mesh": "; ".join(report.mesh),
        },
        generator="human",
    )


class Report:
    """One report of the home's layout.

    Args:
        name: its id, for instance "CXR1".
        sections: text by label in lower case.
        pictures: ids of the pictures.
        mesh: tags such as "Cardiomegaly/mild"; "normal" alone where nothing was found.
    """

    def __init__(self, name: str, sections: dict[str, str], pictures: list[str], mesh: list[str]) -> None:
        self.name, self.sections, self.pictures, self.mesh = name, sections, pictures, mesh


def read_report(path: Path) -> Report:
    """Read one XML file.

    Raises:
        RecordError: when it is not of this layout; carries path and line.
    """
    root = read_xml(path)
    try:
        abstract = root.one("MedlineCitation").one("Article").one("Abstract")
        identity = _attribute(root.one("uId"), "id")
    except RecordError as error:
        raise RecordError(error.reason, path=path, line=error.line, field=error.field) from error
    sections = {
        element.attributes.get("Label", "").lower(): " ".join(element.text.split())
        for element in abstract.all("AbstractText")
    }
    mesh = [tag.text.strip() for part in root.all("MeSH") for tag in part.all("major") if tag.text.strip()]
    return Report(identity, sections, [_attribute(image, "id") for image in root.all("parentImage")], mesh)


def _attribute(element: Element, name: str) -> str:
    value = element.attributes.get(name, "").strip()
    if not value:
        raise RecordError(f"<{element.tag}> has no attribute {name!r}", line=element.line, field=element.tag)
    return value
