"""Raw data become a `Record`, or a `RecordError` that names file, line and dotted field."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from osler.errors import RecordError
from osler.record_migrations import migrate
from osler.records import ImageRef, Provenance, Record, Region, Turn

_PARTS: dict[str, type[BaseModel]] = {"images": ImageRef, "turns": Turn, "regions": Region, "provenance": Provenance}
_FREE = ("notes", "window")  # keys of the user's choice with values of several types


def parse_json(text: str | bytes, *, path: str | Path | None = None, line: int | None = None) -> Any:
    """JSON, strictly: UTF-8, no NaN or infinity, no key twice in one object.

    Raises:
        RecordError: otherwise.
    """
    try:
        return json.loads(
            text.decode("utf-8") if isinstance(text, bytes) else text,
            object_pairs_hook=_unique_keys,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise RecordError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path, line=line) from error
    except json.JSONDecodeError as error:
        where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        raise RecordError(f"is not JSON: {error.msg} at {where}", path=path, line=line) from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RecordError(f"is not JSON we accept: {reason}", path=path, line=line) from error


def to_record(raw: Any, *, path: str | Path | None = None, line: int | None = None) -> Record:
    """Migrate and validate one raw record.

    Raises:
        RecordError: with path, line and the dotted field of the first problem.
    """
    if not isinstance(raw, dict):
        raise RecordError(f"is a {type(raw).__name__}, not an object with the fields of a record", path=path, line=line)
    try:
        return Record.model_validate(migrate(raw))
    except ValidationError as error:
        field, reason = explain(error)
        raise RecordError(reason, path=path, line=line, field=field) from error
    except RecordError as error:
        raise RecordError(error.reason, path=path, line=line, field=error.field) from error


def explain(error: ValidationError) -> tuple[str | None, str]:
    """Dotted field and reason of a validation error's first problem, and how many more there are."""
    problems = error.errors(include_url=False)
    first, loc = problems[0], _location(problems[0]["loc"])
    field = ".".join(loc) or None
    if first["type"] == "extra_forbidden":
        model: type[BaseModel] = Record if len(loc) == 1 else _PARTS.get(loc[0], Record)
        near = difflib.get_close_matches(loc[-1], model.model_fields, n=1)
        reason = f"is no field of a record; did you mean {near[0]!r}?" if near else "is no field of a record"
    elif first["type"] == "missing":
        reason = "is missing"
    elif any(part in _FREE for part in loc):
        reason = f"want text, a finite number, true, false or null, not {_short(first.get('input'))}"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        if not isinstance(first.get("input"), dict | Record):
            reason += f" (is {_short(first.get('input'))})"
    others = dict.fromkeys(".".join(_location(problem["loc"])) for problem in problems)
    others.pop(field or "", None)
    if others:
        reason += f"; also wrong: {', '.join([*others][:5])}" + (" ..." if len(others) > 5 else "")
    return field, reason


def _location(loc: tuple[int | str, ...]) -> list[str]:
    """Names down to the field; pydantic appends which type of a union it tried."""
    parts = [str(part) for part in loc]
    for name in _FREE:
        if name in parts:
            parts = parts[: parts.index(name) + 2]
    return parts


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {key!r} stands twice in one object")
            seen.add(key)
    return result


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
