"""The fixed sentences of abnormality instructions: what is asked, and how finding, place and class are put in words.

Training, rewards and evaluation read these texts, so they change only together with `VERSION`.
"""

from __future__ import annotations

from collections.abc import Sequence

VERSION = 1
GENERATOR = f"template:abnormality@{VERSION}"

QUESTION = "Is there an abnormality in this image? If so, give its location and name it."
PARAPHRASES = (
    "Look at this image. Is anything abnormal? If so, say where it lies and what it is.",
    "Does this image show an abnormality? Give its position and its name if it does.",
    "Find any abnormality in this image, mark where it lies and name it.",
    "Check this image for abnormalities. State the location and the kind of each one.",
    "Can you see something abnormal here? Please locate and name it.",
    "Where is the abnormality in this image, if there is one, and what is it?",
    "Please inspect the image: name each abnormal finding and say where it is.",
    "What abnormality, if any, is present in this image, and in which region?",
)
REGION_QUESTION = "What is the abnormality at {box}?"
NO_ABNORMALITY = "There is no abnormality."
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def response(boxes: Sequence[str], categories: Sequence[str]) -> str:
    """Finding, place and class of each abnormality, in the given order.

    Args:
        boxes: texts of the boxes.
        categories: what each one is; as many.

    Example:
        >>> response(["<box>(100,100),(400,300)</box>"], ["polyp"])
        'There is an abnormality. It lies at <box>(100,100),(400,300)</box>. This is consistent with polyp.'
    """
    if not boxes:
        return NO_ABNORMALITY
    if len(boxes) == 1:
        return f"There is an abnormality. It lies at {boxes[0]}. {naming(categories[0])}"
    count = _WORDS[len(boxes)] if len(boxes) < len(_WORDS) else str(len(boxes))
    places = [
        f"{'One' if number == 0 else 'Another'} lies at {box}. {naming(category)}"
        for number, (box, category) in enumerate(zip(boxes, categories, strict=True))
    ]
    return " ".join([f"There are {count} abnormalities.", *places])


def naming(category: str) -> str:
    """The sentence that names a class."""
    return f"This is consistent with {category}."
