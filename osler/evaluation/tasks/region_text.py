"""Words of abnormality questions and answers: the fixed form that instruction tuning on regions uses."""

from __future__ import annotations

from collections.abc import Sequence

QUESTION = "Is there an abnormality in this image? If so, give its location and name it."
REGION_QUESTION = "What is the abnormality at {box}?"
NOTHING = "There is no abnormality."
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def region_answer(boxes: Sequence[str], categories: Sequence[str]) -> str:
    """Finding, location and class of every region, as the default template states them.

    Args:
        boxes: each as text in the model's format.
        categories: class of each box; an empty text leaves its sentence out.

    Example:
        >>> region_answer(["<box>(1,2),(3,4)</box>"], ["cyst"])
        'There is an abnormality. It lies at <box>(1,2),(3,4)</box>. This is consistent with cyst.'
    """
    if not boxes:
        return NOTHING
    count = len(boxes)
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    sentences = ["There is an abnormality." if count == 1 else f"There are {number} abnormalities."]
    for position, (box, category) in enumerate(zip(boxes, categories, strict=True)):
        subject = "It" if count == 1 else "Another" if position else "One"
        sentences.append(f"{subject} lies at {box}.")
        sentences += [class_answer(category)] if category else []
    return " ".join(sentences)


def class_answer(category: str) -> str:
    """The answer where the region is given."""
    return f"This is consistent with {category}."


def unplaced_answer(categories: Sequence[str]) -> str:
    """An answer that names classes and states no box; that nothing is there where there are none."""
    return " ".join(["There is an abnormality.", *map(class_answer, categories)]) if categories else NOTHING
