"""`mimic-reports`: findings of MIMIC-CXR's reports (Johnson et al., 2019; PhysioNet, credentialed).

Two layouts. PhysioNet's, https://physionet.org/content/mimic-cxr/ and https://physionet.org/content/mimic-cxr-jpg/:
reports as `files/p10/p10000032/s50414267.txt`, pictures as `files/p10/p10000032/s50414267/<dicom_id>.jpg`, and
`mimic-cxr-2.0.0-split.csv` with `dicom_id`, `study_id`, `subject_id`, `split` (train, validate, test). Or R2Gen's
`annotation.json` (`osler.sources.annotation_json`). One record a study, with all its pictures that are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError, SourceError
from osler.record_ids import stable_id
from osler.sources.annotation_json import FILE, add_annotations
from osler.sources.box_source import Layout, choice
from osler.sources.csv_rows import read_rows
from osler.sources.iu_xray import QUESTION
from osler.sources.own_copy import OwnCopySource
from osler.sources.question_records import QuestionRecords
from osler.sources.report_text import sections

TABLES = ("mimic-cxr-2.0.0-split.csv", "mimic-cxr-2.1.0-split.csv")
SPLITS = {"train": "train", "validate": "dev", "test": "test"}
DATASET = "mimic-cxr"


class MimicReportsSource(OwnCopySource):
    """Reports of chest X-rays, from the user's credentialed copies."""

    name = "mimic-reports"
    title = "MIMIC-CXR reports"
    licence = "PhysioNet Credentialed Health Data License 1.5.0"
    url = "https://physionet.org/content/mimic-cxr-jpg/"
    description = "Findings or impressions of MIMIC-CXR's reports with their pictures, by the official split."
    layout: Layout = "documented"
    revision = "MIMIC-CXR 2.0.0 and 2.1.0"
    access = "credentialed: a PhysioNet account, training in human subjects research, and a signed agreement."
    wanted = f"{TABLES[0]} (unpacked) with files/, or annotation.json"
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds files/ and the table of splits, or annotation.json and images/",
        "reports": "folder that holds the files/ with the .txt reports, where it is another one",
        "section": "findings (default) or impression",
        "splits": "comma list of train, dev, test (default test: the training part has 220,000 studies)",
    }

    def present(self, home: Path) -> bool:
        """Either layout."""
        return (home / FILE).is_file() or any((home / name).is_file() for name in TABLES)

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of the studies of the splits asked for."""
        section = choice(options, "section", ("findings", "impression"))
        wanted = [name.strip() for name in str(options.get("splits") or "test").split(",") if name.strip()]
        unknown = [name for name in wanted if name not in SPLITS.values()]
        if unknown:
            raise SourceError(f"splits={unknown[0]!r}: want {', '.join(SPLITS.values())}")
        out = QuestionRecords(home, self.name, self.licence, self.url)
        if (home / FILE).is_file():
            add_annotations(out, home, question=QUESTION, dataset=DATASET)
            return out, ["Split: R2Gen's."]
        table = next(home / name for name in TABLES if (home / name).is_file())
        studies: dict[tuple[str, str], tuple[str, int, list[str]]] = {}
        for line, row in read_rows(table, ("dicom_id", "study_id", "subject_id", "split")):
            with out.row(table, line):
                if row["split"] not in SPLITS:
                    raise RecordError(f"is {row['split']!r}; want {', '.join(SPLITS)}", field="split")
                if SPLITS[row["split"]] in wanted:
                    entry = studies.setdefault((row["subject_id"], row["study_id"]), (SPLITS[row["split"]], line, []))
                    entry[2].append(row["dicom_id"])
        reports = Path(options.get("reports") or home)
        for (subject, study), (part, line, pictures) in studies.items():
            with out.row(table, line):
                _add(out, reports, part, subject, study, pictures, section, where=f"{table.name}:{line}")
        return out, ["One record a study; its pictures are those of the table that are there."]


def _add(
    out: QuestionRecords,
    reports: Path,
    part: str,
    subject: str,
    study: str,
    pictures: Sequence[str],
    section: str,
    *,
    where: str,
) -> None:
    folder = f"files/p{subject[:2]}/p{subject}"
    path = reports / folder / f"s{study}.txt"
    if not path.is_file():
        raise RecordError(f"{path}: there is no such report", field="study_id")
    text = sections(path.read_text(encoding="utf-8", errors="replace")).get(section)
    if not text:
        raise RecordError(f"its report has no {section}", field="study_id")
    names = [f"{folder}/s{study}/{name}.jpg" for name in pictures]
    present = [name for name in names if (out.images / name).is_file()]
    if not present:
        raise RecordError(f"{names[0]!r}: there is no such file in {out.images}", field="dicom_id")
    out.add(
        part,
        name=stable_id(DATASET, subject, study),
        field="study_id",
        question=QUESTION.replace("findings section", f"{section} section"),
        answer=text,
        images=present,
        where=where,
        subject=stable_id(DATASET, subject),
        study=stable_id(DATASET, subject, study),
        tags={"question_type": "report", "answer_type": "OPEN", "dataset": DATASET, "modality": "x-ray"},
        generator="human",
    )
