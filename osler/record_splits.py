"""Split records so that no patient, study or image stands on two sides.

Two records belong together when they share a subject, a study or an image file, directly or through others. Each such
group goes to one part as a whole, by the hash of its key alone: the order of the records does not matter, and a group
stays in its part when other groups come or go.
"""

from __future__ import annotations

import hashlib
import math
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from osler.errors import RecordError
from osler.records import Record

By = Literal["subject", "study", "image"]
_LINKS: dict[By, tuple[str, ...]] = {
    "subject": ("subject", "study", "image"),
    "study": ("study", "image"),
    "image": ("image",),
}


@dataclass(frozen=True, slots=True)
class SplitResult:
    """Parts of a record set.

    Args:
        parts: name to records, in their given order.
        groups: name to number of groups.
        by: what was kept together.
        seed: that was used.
        ungrouped: records without any key (no subject, study or image), each a group of its own.
    """

    parts: dict[str, tuple[Record, ...]]
    groups: dict[str, int]
    by: By
    seed: int
    ungrouped: int

    @property
    def counts(self) -> dict[str, int]:
        """Name to number of records."""
        return {name: len(records) for name, records in self.parts.items()}

    def __getitem__(self, name: str) -> tuple[Record, ...]:
        return self.parts[name]


def split_records(
    records: Iterable[Record],
    fractions: Mapping[str, float],
    *,
    seed: int,
    by: By = "subject",
    allow_empty: bool = False,
) -> SplitResult:
    """Split into named parts of about the given fractions of the *groups*.

    Args:
        records: to be split; ids must differ.
        fractions: part to share, for instance `{"train": 0.8, "test": 0.2}`; must add up to 1. Their order matters.
        seed: of the hash.
        by: what must not straddle: "subject" (subject, study and image: the safe choice), "study" (study and image;
            a patient may straddle) or "image" (image only). An image is the same when its SHA-256 or its path is.
        allow_empty: accept a part without records, as happens with few groups.

    Raises:
        RecordError: when the fractions do not add up to 1, `by` is unknown, an id occurs twice, or a part with a
            positive fraction gets no record.
    """
    if by not in _LINKS:
        raise RecordError(f"by is {by!r}; want one of {', '.join(_LINKS)}")
    if not fractions or min(fractions.values()) < 0 or not math.isclose(sum(fractions.values()), 1, abs_tol=1e-9):
        raise RecordError(f"fractions {dict(fractions)} are not non-negative numbers that add up to 1")
    kept = list(records)
    if len({record.id for record in kept}) < len(kept):
        raise RecordError("an id occurs twice; a record cannot be told from its double")
    links = [_links(record, by) for record in kept]
    keys = _group_keys(links)
    part_of = {key: _part(key, seed, fractions) for key in set(keys)}
    parts: dict[str, list[Record]] = {name: [] for name in fractions}
    for record, key in zip(kept, keys, strict=True):
        parts[part_of[key]].append(record)
    empty = [name for name, share in fractions.items() if share > 0 and not parts[name]]
    if empty and not allow_empty:
        raise RecordError(
            f"part {empty[0]!r} gets none of the {len(part_of)} groups; take another seed or larger fraction, "
            "or allow_empty=True"
        )
    return SplitResult(
        parts={name: tuple(part) for name, part in parts.items()},
        groups={name: sum(part == name for part in part_of.values()) for name in fractions},
        by=by,
        seed=seed,
        ungrouped=sum(key.startswith("9 ") for key in part_of),
    )


def _links(record: Record, by: By) -> list[str]:
    """Keys that tie the record to others; sorted, the strongest first, so that the least one names the group."""
    found = []
    if "subject" in _LINKS[by] and record.subject is not None:
        found.append(f"1 subject {record.subject}")
    if "study" in _LINKS[by] and record.study is not None:
        found.append(f"2 study {record.study}")
    for image in record.images:
        if image.sha256 is not None:
            found.append(f"3 sha256 {image.sha256}")
        found.append(f"4 path {posixpath.normpath(image.path.replace(chr(92), '/'))}")
    return sorted(found) or [f"9 record {record.id}"]


def _group_keys(links: list[list[str]]) -> list[str]:
    """For each record the least key of its connected component (union-find with path halving)."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for first, *others in links:
        for other in others:
            a, b = root(first), root(other)
            parent[max(a, b)] = min(a, b)  # the least key is always the root, whatever the order of the records
    return [root(first) for first, *_ in links]


def _part(key: str, seed: int, fractions: Mapping[str, float]) -> str:
    digest = hashlib.sha256(f"{seed}\n{key}".encode()).digest()
    position = int.from_bytes(digest[:8]) / 2**64
    reached, last = 0.0, ""
    for name, share in fractions.items():
        if share > 0:
            reached, last = reached + share, name
            if position < reached:
                return name
    return last  # the shares add up to 0.9999999999999999
