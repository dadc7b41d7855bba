"""Identifiers and hashes: stable record ids, pseudonyms of patients, and the hash of a whole record set."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable

from osler.errors import RecordError
from osler.records import Record

ID_DIGITS = 20
PSEUDONYM_DIGITS = 32
MIN_SALT_BYTES = 16


def stable_id(*parts: str | int | float | bool | None) -> str:
    """An id that depends on the parts alone: the first 20 hex digits of the SHA-256 of their JSON list.

    80 bits: among ten million records the chance of any collision is about 4e-11. Types count (`1` is not `"1"`), and
    so do order and boundaries (`("ab", "c")` is not `("a", "bc")`).

        >>> stable_id("vqa-rad", "synpic1.jpg", "Is there a mass?")
        'fdec49fac1f836d92156'

    Raises:
        RecordError: when there are no parts, or one is not finite.
    """
    if not parts:
        raise RecordError("a stable id needs at least one part")
    try:
        text = json.dumps(parts, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise RecordError(f"no stable id from {parts!r}: {error}") from error
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def pseudonym(value: str, *, salt: str | bytes) -> str:
    """Key for a patient or study that cannot be turned back without the salt: HMAC-SHA256, first 32 hex digits.

    Patient numbers are few enough to try them all, so an unsalted hash would hide nothing: keep the salt secret and
    outside the record set, and keep it the same for all exports that are to be split together. Spaces around the
    value are dropped (DICOM pads identifiers to even length, PS3.5 section 6.2).

    Args:
        value: identifier, for instance a DICOM PatientID.
        salt: secret of at least 16 bytes.

    Raises:
        RecordError: when the value is empty or the salt is shorter than 16 bytes.
    """
    key = salt.encode() if isinstance(salt, str) else salt
    if len(key) < MIN_SALT_BYTES:
        raise RecordError(f"the salt has {len(key)} bytes; want a secret of at least {MIN_SALT_BYTES}")
    text = value.strip(" \0")
    if not text:
        raise RecordError("an empty identifier has no pseudonym: unrelated patients would fall together")
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_DIGITS]


def canonical_json(record: Record) -> str:
    """One spelling per record: sorted keys, no defaults, ASCII, no spaces, shortest float digits, no negative zero.

    Fields that hold their default are left out, so that a later field with a default does not change old hashes.
    """
    plain = record.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(_plain(plain), sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def content_hash(records: Iterable[Record]) -> str:
    """SHA-256 (hex) of a record set: the same in any order and any file format, another after any change.

    It is the hash of the sorted SHA-256 digests of each record's `canonical_json`.
    """
    digests = sorted(hashlib.sha256(canonical_json(record).encode()).digest() for record in records)
    total = hashlib.sha256(b"osler records 1\n")
    for digest in digests:
        total.update(digest)
    return total.hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return 0.0 if isinstance(value, float) and value == 0 else value
