"""`records`: any record file as a benchmark; the prompt is the record's own user turn."""

from __future__ import annotations

from pathlib import Path

from osler.errors import EvaluationError
from osler.evaluation.tasks.base import Task
from osler.records import Record

_SUFFIXES = (".jsonl", ".parquet")


class Records(Task):
    """A record file, or a folder with `test.jsonl` and, for the majority control, `train.jsonl` (or `.parquet`).

    The tags `question_type` and `answer_type` ("OPEN", "CLOSED") group and select; without `answer_type` an item is
    scored by the protocols that apply to any. Only the first question of a record is asked.
    """

    name = "records"
    version = "1"
    description = "Records of a file, asked as their own first user turn"
    protocols: tuple[str, ...] = (
        "llava-med-open-recall",
        "llava-med-closed",
        "closed-whole-word",
        "yes-no",
        "strict-exact-match",
        "token-f1",
    )
    conventions: tuple[str, ...] = ("files",)

    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Records of `<data>/<split>.jsonl`, or of the file `data` itself when `split` is "test".

        Raises:
            EvaluationError: when there is no such file.
            RecordError: for a bad line.
        """
        path = self._file(data, split)
        if path is None:
            wanted = " or ".join(f"{split}{suffix}" for suffix in _SUFFIXES)
            raise EvaluationError(f"{data}: no record file for split {split!r}; want a folder that holds {wanted}")
        from osler.record_files import read_records

        return list(read_records(path))

    def training(self, data: Path, *, convention: str) -> list[Record] | None:
        """Records of `<data>/train.jsonl`; None when there is no such file."""
        return self.load(data, split="train", convention=convention) if self._file(data, "train") else None

    def image_folder(self, data: Path) -> Path:
        """The folder that holds the record file."""
        return data if data.is_dir() else data.parent

    @staticmethod
    def _file(data: Path, split: str) -> Path | None:
        if data.is_dir():
            return next((path for suffix in _SUFFIXES if (path := data / f"{split}{suffix}").is_file()), None)
        return data if data.is_file() and split == "test" else None


TASK = Records()
