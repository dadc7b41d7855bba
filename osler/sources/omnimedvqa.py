"""`omnimedvqa`: OmniMedVQA's question files, turned into records with candidate answers.

Hu et al., "OmniMedVQA" (arXiv 2402.09181). The published folder holds `Images/` and, for each data set, a JSON list
`QA_information/Open-access/<data set>.json` (or `Restricted-access`) of rows with `question_id`, `question`,
`gt_answer` (the option's text, not its letter), `image_path` (relative to the folder), `option_A` to `option_D` (the
last two may be absent or null), `question_type`, `modality_type` and `dataset`. No splits: all is for testing.
Published as one archive, https://huggingface.co/datasets/foreverbeliever/OmniMedVQA; of the restricted part the
questions only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from osler.errors import RecordError, SourceError
from osler.record_atomic import atomic_write
from osler.record_files import Reject, rejects_path, resolve_image, write_records
from osler.record_options import options_tag
from osler.record_validation import parse_json, to_record
from osler.records import Record
from osler.sources.base import Fetched, Say, check_options
from osler.sources.box_source import choice
from osler.sources.hub_files import HubFiles, fetch
from osler.sources.own_copy import hub_options

NAME = "omnimedvqa"
HOME = "https://github.com/OpenGVLab/Multi-Modality-Arena"
LICENCE = "differs by data set; see the data set's publisher"
Access = Literal["open", "restricted"]
OPEN_SETS = 42
"""Data sets in the open-access part."""
HUB = HubFiles(
    "foreverbeliever/OmniMedVQA",
    "1ba51c28fc0773bdf7efb8396e5bcfd4227e22da",
    ("OmniMedVQA.zip",),
    "10.7 GB",
    archives=("OmniMedVQA.zip",),
)
_FOLDERS: dict[Access, str] = {"open": "Open-access", "restricted": "Restricted-access"}
_OPTIONS = ("option_A", "option_B", "option_C", "option_D")
_TEXTS = ("question_id", "question", "gt_answer", "image_path", "question_type", "modality_type", "dataset")

OnReject = Callable[[Path, Reject], None]


def is_layout(folder: str | Path) -> bool:
    """Whether a folder has the published layout, with the open-access part."""
    return _questions(folder, "open").is_dir()


def read(
    folder: str | Path,
    *,
    access: Access = "open",
    datasets: Sequence[str] = (),
    on_reject: OnReject | None = None,
) -> list[Record]:
    """Records of all rows, in the order of file names and rows.

    Questions, options and right answers are kept to the letter; the order of the options is the file's.

    Args:
        folder: that holds `QA_information` and `Images`.
        access: the open-access or the restricted-access part.
        datasets: names of question files without `.json`; empty for all.
        on_reject: called with the file and each row that makes no record; without it the first such row raises. `line`
            is the row's 1-based position in the list.

    Raises:
        SourceError: no such part or data set.
        RecordError: a file that is no JSON list; without `on_reject`, a row that makes no record: a field is absent or
            blank, fewer than two options or one twice, a right answer that is no option, an image that is absent or
            outside the folder, an id that was there before. Names file, row and field.
    """
    first: dict[str, str] = {}
    records = []
    for path in _files(folder, access, datasets):
        rows = parse_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), path=path)
        if not isinstance(rows, list):
            raise RecordError(f"holds a {type(rows).__name__}, not a list of questions", path=path)
        for number, row in enumerate(rows, start=1):
            try:
                record = _record(row, Path(folder))
                if record.id in first:
                    raise RecordError(f"is already that of {first[record.id]}", field="question_id")
            except RecordError as error:
                if on_reject is None:
                    remedy = "mend the row, or let `osler data get omnimedvqa` set it aside"
                    raise RecordError(f"{error.reason}; {remedy}", path=path, line=number, field=error.field) from error
                reason = error.reason if error.field is None else f"{error.field}: {error.reason}"
                on_reject(path, Reject(number, reason, json.dumps(row, ensure_ascii=False)))
                continue
            first[record.id] = f"{path.name}:{number}"
            records.append(record)
    return records


def _questions(folder: str | Path, access: Access) -> Path:
    return Path(folder) / "QA_information" / _FOLDERS[access]


def _files(folder: str | Path, access: Access, datasets: Sequence[str]) -> list[Path]:
    if access not in get_args(Access):
        raise SourceError(f"access={access!r} is unknown; want {' or '.join(get_args(Access))}")
    place = _questions(folder, access)
    found = {path.stem: path for path in sorted(place.glob("*.json"))}
    if not found:
        raise SourceError(f"{place}: holds no question files; OmniMedVQA's home is {HOME}")
    unknown = [name for name in datasets if name not in found]
    if unknown:
        raise SourceError(f"{place}: has no data set {unknown[0]!r}; it has {', '.join(found)}")
    return [path for name, path in found.items() if not datasets or name in datasets]


def _record(row: Any, folder: Path) -> Record:
    if not isinstance(row, dict):
        raise RecordError(f"is a {type(row).__name__}, not an object with a question")
    for field in _TEXTS:
        if not isinstance(row.get(field), str) or not row[field].strip():
            raise RecordError(f"want text, not {row.get(field)!r:.80}", field=field)
    options = [row[name] for name in _OPTIONS if row.get(name) is not None]
    tag = options_tag(options)
    if row["gt_answer"] not in options:
        raise RecordError(f"{row['gt_answer']!r} is none of the options {options}", field="gt_answer")
    try:
        image = resolve_image(folder, row["image_path"])
    except RecordError as error:
        raise RecordError(error.reason, field="image_path") from error
    if not image.is_file():
        raise RecordError(f"{row['image_path']!r}: there is no such file in {folder}", field="image_path")
    return to_record(
        {
            "id": f"{NAME}-{row['question_id']}",
            "images": [{"path": row["image_path"]}],
            "turns": [
                {"role": "user", "text": f"<image>\n{row['question']}"},
                {"role": "assistant", "text": row["gt_answer"]},
            ],
            "tags": {
                "question_type": row["question_type"],
                "answer_type": "CLOSED",
                "modality": row["modality_type"],
                "dataset": row["dataset"],
                "options": tag,
            },
            "provenance": {"source": NAME, "licence": LICENCE, "split": "test", "url": HOME},
        }
    )


class OmniMedVqaSource:
    """Writes one record file of OmniMedVQA's rows; images stay where they are."""

    name = NAME
    title = "OmniMedVQA"
    licence = LICENCE
    url = HOME
    description = (
        "Multiple-choice questions made from classification data sets, read from your own copy. Rows that cannot be "
        "scored are set aside with file, row and reason."
    )
    layout = "documented"
    revision = HUB.revision
    access = (
        "the open part needs no account; the pictures of the restricted part have to be got from the home of each data "
        "set."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds QA_information and Images (default: the folder written to)",
        "access": f"{' or '.join(get_args(Access))} (default open)",
        "datasets": "comma list of question files without .json (default: all)",
        **hub_options(HUB),
    }

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Write `test.jsonl` and, where rows were set aside, `test.jsonl.rejects.jsonl` with their files."""
        check_options(self, options)
        origin, target = Path(options.get("from") or folder), folder / "test.jsonl"
        if choice(options, "download", ("no", "yes")) == "yes" and not is_layout(origin):
            fetch(HUB, origin, revision=str(options.get("revision") or ""), say=say)
        if not is_layout(origin) and is_layout(origin / "OmniMedVQA"):  # as the archive has it
            origin = origin / "OmniMedVQA"
        if say is not None:
            say(f"reading {origin}")
        rejected: list[dict[str, Any]] = []
        records = read(
            origin,
            access=options.get("access") or "open",
            datasets=[name.strip() for name in str(options.get("datasets") or "").split(",") if name.strip()],
            on_reject=lambda path, reject: rejected.append({"file": path.name, **reject._asdict()}),
        )
        if not records:
            first = rejected[0] if rejected else {"file": origin, "line": 1, "reason": "there are no rows"}
            raise SourceError(
                f"{origin}: no usable row; the first reason: {first['file']}:{first['line']}: {first['reason']}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        count, aside = write_records(records, target), rejects_path(target)
        aside.unlink(missing_ok=True)  # of an earlier call
        elsewhere = origin.resolve() != folder.resolve()
        remarks = []
        if elsewhere:
            remarks.append(f"Image paths are relative to {origin}: pass it as the image folder of {target.name}.")
        sets = {record.tags["dataset"] for record in records}
        if (options.get("access") or "open") == "open" and not options.get("datasets") and len(sets) != OPEN_SETS:
            remarks.append(f"{len(sets)} data sets; the published open-access part has {OPEN_SETS}.")
        if rejected:
            with atomic_write(aside) as stream:
                stream.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rejected).encode())
            fields = Counter(row["reason"].split(":")[0] for row in rejected).most_common(3)
            remarks.append("Commonest faulty fields: " + "; ".join(f"{name} ({n})" for name, n in fields))
        rejects = {aside.name: len(rejected)} if rejected else {}
        return Fetched(
            folder, {target.name: count}, rejects=rejects, images=origin if elsewhere else None, remarks=tuple(remarks)
        )

    def state(self) -> str:
        """Needs the user's copy."""
        return f"from=FOLDER or download=yes; layout {self.layout}"
