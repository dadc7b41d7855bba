"""LLaVA's JSON and our records, in both directions.

    {"id": "32432162_F1", "image": "32432162_F1.jpg", "domain": {"ct_scan": true, "mri": false},
     "conversations": [{"from": "human", "value": "What is seen?\\n<image>"}, {"from": "gpt", "value": "..."}]}

The key is `conversatons` in LLaVA-Med's public alignment file: both spellings are read, the right one is written.
`conversations_long` (LoGra-Med's rewritten answers) is `Record.extended`. Text is kept to the letter, so `<image>`
stays before or after the question. What a record has and LLaVA's format has not stands under the key `osler`, which
other readers ignore; a record written and read again is equal.
"""

from __future__ import annotations

import json
from typing import Any

from osler.errors import RecordError
from osler.records import IMAGE_PLACEHOLDER, Record

_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}
_SPELLINGS = ("conversations", "conversatons")
_OURS = "osler"
_RESERVED = frozenset(
    {"id", "image", "domain", _OURS, *_SPELLINGS, *(f"{name}_long" for name in _SPELLINGS)},
)
_SCALAR, _NESTED, _DOMAIN = "llava.", "llava_json.", "llava_domain."  # prefixes of provenance notes


def llava_to_raw(item: Any, *, source: str, licence: str, split: str | None) -> dict[str, Any]:
    """Raw record (see `osler.record_validation.to_record`) from one item of a LLaVA file.

    Unknown keys are kept: text as a tag, other values as provenance notes. Flags of a `domain` object are notes, and
    the true ones joined by "+" are the tag `domain`.

    Raises:
        RecordError: naming LLaVA's field when the item is malformed.
    """
    if not isinstance(item, dict):
        raise RecordError(f"is a {type(item).__name__}, not an object with id, image and conversations")
    if not isinstance(item.get("id"), str | int) or isinstance(item.get("id"), bool):
        raise RecordError("is missing or neither text nor a whole number (derive_ids=True makes one)", field="id")
    ours = item.get(_OURS) or {}
    if not isinstance(ours, dict):
        raise RecordError("want an object", field=_OURS)
    tags, notes = _extra_keys(item)
    turns = _turns(item, "")
    if turns is None:
        raise RecordError("is missing", field=_SPELLINGS[0])
    provenance = {"source": source, "licence": licence, "split": split, **ours.get("provenance", {})}
    return {
        "schema_version": ours.get("schema_version", 1),
        "id": str(item["id"]),
        "images": _images(item, ours),
        "turns": turns,
        "regions": ours.get("regions", []),
        "extended": _extended(item, turns),
        "subject": ours.get("subject"),
        "study": ours.get("study"),
        "tags": {**tags, **ours.get("tags", {})},
        "provenance": {**provenance, "notes": {**notes, **provenance.get("notes", {})}},
    }


def record_to_llava(record: Record) -> dict[str, Any]:
    """One item of a LLaVA file.

    Returns:
        `image` is a string for one image, a list for several, absent for none.
    """
    plain = record.model_dump(mode="json", exclude_defaults=True)
    paths = [image.pop("path") for image in plain.get("images", [])]
    item: dict[str, Any] = {"id": record.id}
    if paths:
        item["image"] = paths[0] if len(paths) == 1 else paths
    tags, provenance = plain.get("tags", {}), plain.get("provenance", {})
    notes = provenance.pop("notes", {})
    _restore_domain(item, tags, notes)
    for key in [key for key in tags if key not in _RESERVED]:
        item[key] = tags.pop(key)
    for name in list(notes):
        restored = _restore(name, notes[name])
        if restored is not None and restored[0] not in _RESERVED and restored[0] not in item:
            item[restored[0]] = restored[1]
            del notes[name]
    item["conversations"] = [{"from": _SPEAKERS[turn.role], "value": turn.text} for turn in record.turns]
    if record.extended:
        answers = iter(record.extended)
        item["conversations_long"] = [
            {**turn, "value": next(answers)} if turn["from"] == "gpt" else turn for turn in item["conversations"]
        ]
    ours: dict[str, Any] = {key: plain[key] for key in ("regions", "subject", "study") if key in plain}
    if any(plain.get("images", [])):
        ours["images"] = plain["images"]
    if tags:
        ours["tags"] = tags
    if notes:
        provenance["notes"] = notes
    if provenance:
        ours["provenance"] = provenance
    if ours:
        item[_OURS] = ours
    return item


def _images(item: dict[str, Any], ours: dict[str, Any]) -> list[dict[str, Any]]:
    value = item.get("image")
    paths = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise RecordError(f"is {value!r:.80}; want a path or a list of paths", field="image")
    facts = ours.get("images", [{}] * len(paths))
    if not isinstance(facts, list) or len(facts) != len(paths) or not all(isinstance(fact, dict) for fact in facts):
        raise RecordError(f"want one object for each of the {len(paths)} images", field=f"{_OURS}.images")
    return [{**fact, "path": path} for path, fact in zip(paths, facts, strict=True)]


def _turns(item: dict[str, Any], suffix: str) -> list[dict[str, str]] | None:
    names = [name + suffix for name in _SPELLINGS if name + suffix in item]
    if not names:
        return None
    if len(names) > 1:
        raise RecordError(f"both spellings {names} are there; keep one", field=names[0])
    (name,) = names
    if not isinstance(item[name], list):
        raise RecordError(f"is a {type(item[name]).__name__}, not a list", field=name)
    turns = []
    for number, message in enumerate(item[name]):
        if not isinstance(message, dict) or set(message) != {"from", "value"} or not isinstance(message["value"], str):
            raise RecordError('want {"from": "human" or "gpt", "value": text}', field=f"{name}.{number}")
        role = _ROLES.get(message["from"]) if isinstance(message["from"], str) else None
        if role is None:
            raise RecordError(f"{message['from']!r} is none of {sorted(_ROLES)}", field=f"{name}.{number}.from")
        turns.append({"role": role, "text": message["value"]})
    return turns


def _extended(item: dict[str, Any], turns: list[dict[str, str]]) -> list[str]:
    """Rewritten answers; the questions beside them must be the conversation's own."""
    long = _turns(item, "_long")
    if long is None:
        return []
    same = len(long) == len(turns) and all(
        a["role"] == b["role"] and (a["role"] == "assistant" or _question(a) == _question(b))
        for a, b in zip(turns, long, strict=True)
    )
    if not same:
        raise RecordError("is not the conversation with other answers: roles or questions differ", field="*_long")
    return [turn["text"] for turn in long if turn["role"] == "assistant"]


def _question(turn: dict[str, str]) -> str:
    return turn["text"].replace(IMAGE_PLACEHOLDER, "").strip()


def _extra_keys(item: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    tags: dict[str, str] = {}
    notes: dict[str, Any] = {}
    for key, value in item.items():
        if key == "domain" and isinstance(value, dict) and all(isinstance(flag, bool) for flag in value.values()):
            notes |= {_DOMAIN + name: flag for name, flag in value.items()}
            true = sorted(name for name, flag in value.items() if flag)
            tags |= {"domain": "+".join(true)} if true else {}
        elif key in _RESERVED - {"domain"}:
            continue
        elif isinstance(value, str):
            tags[key] = value
        elif isinstance(value, list | dict):
            notes[_NESTED + key] = json.dumps(value, ensure_ascii=False)
        else:
            notes[_SCALAR + key] = value
    return tags, notes


def _restore_domain(item: dict[str, Any], tags: dict[str, str], notes: dict[str, Any]) -> None:
    """Flags back into `domain`, if they are what the tag says; else all stays in the block `osler`."""
    flags = {name.removeprefix(_DOMAIN): flag for name, flag in notes.items() if name.startswith(_DOMAIN)}
    if not flags:
        if "domain" in tags:
            item["domain"] = tags.pop("domain")
        return
    true = "+".join(sorted(name for name, flag in flags.items() if flag is True))
    if all(isinstance(flag, bool) for flag in flags.values()) and tags.get("domain", "") == true:
        item["domain"] = flags
        tags.pop("domain", None)
        for name in flags:
            del notes[_DOMAIN + name]


def _restore(name: str, value: Any) -> tuple[str, Any] | None:
    """Top-level key and value that a note came from, or None when it is a note of our own."""
    if name.startswith(_SCALAR) and not isinstance(value, str):
        return name.removeprefix(_SCALAR), value
    if name.startswith(_NESTED) and isinstance(value, str):
        try:
            nested = json.loads(value)
        except (ValueError, RecursionError):
            return None
        if isinstance(nested, list | dict) and json.dumps(nested, ensure_ascii=False) == value:
            return name.removeprefix(_NESTED), nested
    return None
