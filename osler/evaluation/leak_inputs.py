"""What `osler data leaks` takes: a record file, a folder of records or of pictures, or a benchmark's split."""

from __future__ import annotations

from pathlib import Path

from osler.errors import EvaluationError, RecordError
from osler.evaluation import tasks
from osler.evaluation.leaks import Side
from osler.record_files import read_records
from osler.records import ImageRef, Record, Turn

_RECORDS = (".jsonl", ".parquet")
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".dcm"})


def read_side(
    text: str,
    *,
    data: str | Path | None = None,
    convention: str | None = None,
    images: str | Path | None = None,
) -> Side:
    """Records and image folder of one set.

    Args:
        text: a record file (.jsonl, .parquet, .json in LLaVA's form); a folder with record files, all of which count; a
            folder of pictures; or `TASK:SPLIT`, for instance `vqa-rad:train`, with `data`.
        data: folder of the benchmark's data, for `TASK:SPLIT`.
        convention: way to split it; the benchmark's first by default.
        images: image folder, in place of the usual one.

    Raises:
        EvaluationError: when it is none of these.
        RecordError: for a bad record.
    """
    path = Path(text)
    if path.is_file():
        return Side(str(path), list(read_records(path)), Path(images or path.parent))
    if path.is_dir():
        return _folder(path, images)
    name, separator, split = text.partition(":")
    if not separator or name not in tasks.names():
        raise EvaluationError(
            f"{text}: there is no such file or folder, nor is it a benchmark's split as in vqa-rad:train "
            f"(benchmarks: {', '.join(tasks.names())})"
        )
    if data is None:
        raise EvaluationError(f"{text}: say with --data where the data of {name} lie")
    task = tasks.get(name)
    convention = convention or task.conventions[0]
    if convention not in task.conventions:
        raise EvaluationError(f"task {name}: no convention {convention!r} ({', '.join(task.conventions)})")
    records = task.load(Path(data), split=split, convention=convention)
    return Side(f"{text} ({convention})", records, Path(images) if images else task.image_folder(Path(data)))


def _folder(path: Path, images: str | Path | None) -> Side:
    files = sorted(file for file in path.iterdir() if file.suffix in _RECORDS and ".rejects" not in file.name)
    if files:
        records = [record for file in files for record in read_records(file)]
        return Side(f"{path} ({', '.join(file.name for file in files)})", records, Path(images or path))
    pictures = sorted(file for file in path.rglob("*") if file.suffix.lower() in _PICTURES and file.is_file())
    if not pictures:
        raise RecordError("holds neither record files (.jsonl, .parquet) nor pictures", path=path)
    names = [file.relative_to(path).as_posix() for file in pictures]
    return Side(str(path), [_bare(name) for name in names], path)


def _bare(name: str) -> Record:
    """A picture without any question."""
    return Record(id=name, images=(ImageRef(path=name),), turns=(Turn(role="user", text="<image>"),))
