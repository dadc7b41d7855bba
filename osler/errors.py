"""Errors a user can act on.

Every error says where (file, line, field), why, and what to do. The command line prints the message without a
traceback and exits with status 2; programs catch `OslerError`.
"""

from __future__ import annotations

from pathlib import Path


class OslerError(Exception):
    """Base class of all errors that Osler raises for a user to act on."""


class RecordError(OslerError):
    """A record is malformed. Carries where it stood.

    Args:
        reason: what is wrong, with the offending value, and the remedy.
        path: file that holds the record, if any.
        line: 1-based line (JSONL) or 0-based item turned into 1-based position (JSON list, parquet).
        field: dotted field name, for instance `regions.0.box.x2`.
    """

    def __init__(
        self,
        reason: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        self.reason, self.path, self.line, self.field = reason, path, line, field
        where = "" if path is None else str(path)
        if line is not None:
            where += f":{line}" if where else f"record {line}"
        parts = [part for part in (where, field) if part]
        super().__init__(": ".join([*parts, reason]))


class BoxError(OslerError, ValueError):
    """A box is impossible (no area, outside its image, wrong unit)."""


class ImageError(OslerError):
    """An image file cannot be read safely. The message begins with the file's path.

    Args:
        path: of the file.
        reason: what is wrong with it; without one, `path` is the whole message (as when a loader process of torch
            raises the error again from its text).
    """

    def __init__(self, path: str | Path, reason: str | None = None) -> None:
        self.path, self.reason = path, reason
        super().__init__(str(path) if reason is None else f"{path}: {reason}")


class SourceError(OslerError):
    """A data set or package is absent, altered or unreachable."""


class RecipeError(OslerError):
    """A recipe does not validate. The message names the file, the key and the nearest valid name."""


class ModelError(OslerError):
    """A model folder is absent, incomplete, or does not match its weights."""


class EvaluationError(OslerError):
    """An answer file, task or protocol does not fit."""


class RewardError(OslerError):
    """Rewards, their weights or the completions they score do not go together."""
class EndpointError(OslerError):
    """A language-model endpoint refuses, fails or answers nonsense. The message names address, status and reason."""
