"""What the two-step writer asks: a diagnosis from picture and facts, then its reorganisation. The wording is ours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

SYSTEM = (
    "You write short texts about medical images for teaching. You keep to what can be seen and to the facts that you "
    "are given. You never invent findings, measurements or patient details."
)
DIAGNOSE = (
    "These abnormalities of the image are established:\n{facts}\n"
    "A box gives the left, top, right and bottom edge in the notation of this data set.\n"
    "For each abnormality write one or two sentences: what is visible inside its box (for instance shape, brightness, "
    "border, texture), and which diagnosis that supports. Use no digits outside the boxes."
)
REFLECT = (
    "Draft about an image:\n---\n{draft}\n---\n"
    "Rewrite the draft as one paragraph in three steps: first, that an abnormality is detected; second, where it lies; "
    "third, what it is and by which visible feature it is recognised. Go through the steps once for each abnormality.\n"
    "Facts, which the text must agree with:\n{facts}\n"
    "Rules: copy each box exactly as it is written above; name each abnormality as above; use no other digits, "
    "at most {words} words, no headings and no lists."
)
AGAIN = "Your text breaks these rules:\n{problems}\nWrite it again and keep all rules. Answer with the text alone."


def facts(labels: Sequence[str], boxes: Sequence[str]) -> str:
    """One line for each abnormality."""
    return "\n".join(f"- {label} at {box}" for label, box in zip(labels, boxes, strict=True))


def prompt_sha256() -> str:
    """SHA-256 (hex) of all prompts together, for the provenance."""
    return hashlib.sha256("\0".join((SYSTEM, DIAGNOSE, REFLECT, AGAIN)).encode()).hexdigest()
