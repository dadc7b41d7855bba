"""Creative Commons codes, as the bucket's metadata and the articles state them."""

from __future__ import annotations

import re

REDISTRIBUTABLE = ("CC0", "CC BY")
"""Taken unless asked otherwise: no condition but credit."""
_URL = re.compile(r"creativecommons\.org/(?:licenses/(by(?:-[a-z]{2})*)|publicdomain/(zero|mark))", re.IGNORECASE)
_CODE = re.compile(r"\bCC[\s-]?(BY(?:[\s-](?:NC|ND|SA))*|0|ZERO)\b", re.IGNORECASE)


def code_of(text: str) -> str:
    """The code in an address or a phrase; empty when there is none.

    Example:
        >>> code_of("https://creativecommons.org/licenses/by-nc-sa/4.0/"), code_of("cc-by 4.0"), code_of("CC0 1.0")
        ('CC BY-NC-SA', 'CC BY', 'CC0')
    """
    address = _URL.search(text)
    if address:
        return "CC0" if address[2] else f"CC {address[1].upper()}"
    named = _CODE.search(text)
    if named is None:
        return "TDM" if text.strip().upper() == "TDM" else ""
    parts = re.split(r"[\s-]", named[1].upper())
    return "CC0" if parts[0] in ("0", "ZERO") else "CC " + "-".join(parts)
