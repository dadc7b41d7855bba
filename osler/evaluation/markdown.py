"""Markdown of tables whose cells hold any text, a model's own included."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")


def escape(text: object, *, limit: int = 200) -> str:
    """One line of text that Markdown shows as it is.

    Args:
        text: anything; line breaks and control characters become spaces.
        limit: longer texts are cut, with an ellipsis.
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    plain = plain if len(plain) <= limit else plain[: limit - 1] + "…"
    return _SPECIAL.sub(r"\\\1", plain.encode("utf-8", "replace").decode())


def markdown_table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table in GitHub's Markdown."""
    lines = [[escape(cell) for cell in row] for row in (head, *rows)]
    ruled = [lines[0], ["---"] * len(head), *lines[1:]]
    return "\n".join("| " + " | ".join(row) + " |" for row in ruled)
