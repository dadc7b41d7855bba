"""Older record layouts become the present one.

Version 0 is the flat layout of one question about one image, before turns and regions existed:

    {"id": "a1", "image": "a.png", "width": 640, "height": 480, "question": "Is there a mass?", "answer": "Yes.",
     "boxes": [[x1, y1, x2, y2]], "labels": ["mass"], "subject": "p1", "study": "s1", "source": "demo",
     "licence": "CC0-1.0", "split": "train", "tags": {}}

Required: id, image, question, answer. `boxes` are pixel corners and need width, height and one label each. A line
without `schema_version` is version 1 when it has `turns`, else version 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from osler.errors import RecordError
from osler.records import IMAGE_PLACEHOLDER, SCHEMA_VERSION

_VERSION_0_REQUIRED = ("id", "image", "question", "answer")
_VERSION_0_OPTIONAL = (
    *("width", "height", "boxes", "labels", "subject", "study"),
    *("source", "licence", "split", "tags", "schema_version"),
)


def version_of(raw: dict[str, Any]) -> int:
    """Schema version of a raw record.

    Raises:
        RecordError: when it is no whole number, or newer than this version of Osler knows.
    """
    version = raw.get("schema_version", 1 if "turns" in raw else 0)
    if type(version) is not int or version < 0:
        raise RecordError(f"{version!r} is no schema version; want a whole number", field="schema_version")
    if version > SCHEMA_VERSION:
        raise RecordError(
            f"version {version} is newer than {SCHEMA_VERSION}, the newest that this Osler reads; upgrade Osler",
            field="schema_version",
        )
    return version


def migrate(raw: dict[str, Any]) -> dict[str, Any]:
    """The raw record in the present layout; the given one is not changed.

    Raises:
        RecordError: when the version is unknown or the old layout is malformed.
    """
    for version in range(version_of(raw), SCHEMA_VERSION):
        raw = _STEPS[version](raw)
    return raw


def _from_version_0(raw: dict[str, Any]) -> dict[str, Any]:
    for field in _VERSION_0_REQUIRED:
        if not isinstance(raw.get(field), str):
            raise RecordError(
                f"is {raw.get(field)!r:.80}; version 0 wants text (a record with turns needs no migration)", field=field
            )
    unknown = sorted(set(raw) - {*_VERSION_0_REQUIRED, *_VERSION_0_OPTIONAL})
    if unknown:
        raise RecordError("unknown field of the version 0 layout", field=unknown[0])
    boxes, labels = raw.get("boxes") or [], raw.get("labels") or []
    if not isinstance(boxes, list) or not isinstance(labels, list) or len(boxes) != len(labels):
        raise RecordError("want two lists of the same length: boxes and labels", field="boxes")
    if boxes and not (raw.get("width") and raw.get("height")):
        raise RecordError("boxes in pixels need the image's width and height", field="boxes")
    size = [raw.get("width"), raw.get("height")]
    image = {"path": raw["image"], "width": raw.get("width"), "height": raw.get("height")}
    provenance = {key: raw[key] for key in ("source", "licence", "split") if key in raw}
    return {
        "schema_version": 1,
        "id": raw["id"],
        "images": [image],
        "turns": [
            {"role": "user", "text": f"{IMAGE_PLACEHOLDER}\n{raw['question']}"},
            {"role": "assistant", "text": raw["answer"]},
        ],
        "regions": [
            {"box": {"xyxy": box, "size": size}, "label": label} for box, label in zip(boxes, labels, strict=True)
        ],
        "subject": raw.get("subject"),
        "study": raw.get("study"),
        "tags": raw.get("tags") or {},
        "provenance": provenance,
    }


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {0: _from_version_0}
