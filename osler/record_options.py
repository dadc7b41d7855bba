"""The tag `options`: the candidate answers of a multiple-choice record, in the order shown.

Tags are texts, so the candidates are one JSON list: `{"options": "[\\"CT\\", \\"MRI\\"]"}`. Sources write it with
`options_tag`, evaluation reads it with `options_of`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from osler.errors import RecordError
from osler.records import Record

OPTIONS_TAG = "options"


def options_tag(options: Sequence[str]) -> str:
    """Value of the tag for these candidates.

    Raises:
        RecordError: fewer than two, a blank one, or one twice.

    Example:
        >>> options_tag(["CT", "MRI"])
        '["CT", "MRI"]'
    """
    return json.dumps(list(_checked(options)), ensure_ascii=False)


def options_of(record: Record) -> tuple[str, ...]:
    """Candidates of a record in their order; empty when it has no such tag.

    Raises:
        RecordError: the tag is no JSON list of at least two different, non-blank texts; names the record.
    """
    text = record.tags.get(OPTIONS_TAG)
    if text is None:
        return ()
    try:
        return _checked(json.loads(text))
    except ValueError as error:
        raise RecordError(f"record {record.id!r}: is not JSON: {error}", field=f"tags.{OPTIONS_TAG}") from error
    except RecordError as error:
        raise RecordError(f"record {record.id!r}: {error.reason}", field=f"tags.{OPTIONS_TAG}") from error


def _checked(options: object) -> tuple[str, ...]:
    if not isinstance(options, list | tuple):
        raise RecordError(f"is {options!r:.80}; want a JSON list of texts", field=OPTIONS_TAG)
    texts = tuple(option for option in options if isinstance(option, str) and option.strip())
    if len(texts) < len(options) or len(texts) < 2:
        raise RecordError(f"is {options!r:.80}; want at least two texts, none of them blank", field=OPTIONS_TAG)
    if len(set(texts)) < len(texts):
        raise RecordError(f"is {options!r:.80}; one option stands there twice", field=OPTIONS_TAG)
    return texts
