"""Phantom studies: wordings. Few words, many sentences; all of it written here, none of it a radiologist's.

"Left" and "right" are sides of the picture as the viewer sees it, and the texts say so: a phantom has no patient.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from osler.sources.phantom_scene import COUNTS, Finding, Scene

GENERATOR = "template:phantom@1"

# seen wordings first, then those kept for the test part; every word of these occurs in training texts too.
# None of them says how many findings there are or of which kind: the picture has to.
QUESTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "finding": (
        (
            "What kind of abnormality is seen?",
            "What is abnormal in this image?",
            "Which type of lesion does the image show?",
            "Name the abnormality in the picture.",
            "What abnormality is visible here?",
            "Which kind of finding is present?",
            "What does this scan show that is abnormal?",
            "Tell me the type of lesion.",
        ),
        (
            "Which abnormality does the picture show?",
            "What type of finding is visible in this scan?",
            "Name the kind of lesion seen here.",
        ),
    ),
    "side": (
        (
            "Which side of the image is abnormal?",
            "On which side of the picture is there an abnormality?",
            "Which half of the image is affected?",
            "Is the left side, the right side or both abnormal?",
            "Where is the image abnormal, left or right or both?",
            "Name the affected side of the picture.",
            "Which side shows an abnormality?",
            "Tell me the side that is affected.",
        ),
        (
            "Which half of the picture shows an abnormality?",
            "Name the side of the image that is abnormal.",
            "Is the abnormality left or right or on both sides?",
        ),
    ),
    "zone": (
        (
            "Is the lesion in the upper, middle or lower part of the image?",
            "How high in the picture is the lesion?",
            "Which third of the image holds the lesion?",
            "At which height is the abnormality, upper, middle or lower?",
            "In which third of the picture is the finding?",
            "Which part of the image is affected, upper, middle or lower?",
            "Tell me the height of the lesion.",
            "Name the third of the picture with the abnormality.",
        ),
        (
            "Which third of the picture is affected?",
            "At which height of the image is the lesion?",
            "Is the finding upper, middle or lower in the picture?",
        ),
    ),
    "count": (
        (
            "How many findings are there?",
            "How many lesions does the image show?",
            "What is the number of lesions?",
            "How many abnormalities can be seen?",
            "Count the lesions in this picture.",
            "How many lesions are visible, if any?",
            "Tell me how many findings are present.",
            "What number of abnormalities does the scan show?",
        ),
        (
            "Count the findings in the image.",
            "How many abnormalities are visible in this scan?",
            "What is the number of findings seen here?",
        ),
    ),
    "size": (
        (
            "How large is the lesion?",
            "What size is the abnormality?",
            "What is the size of the finding?",
            "Is the lesion small, medium or large?",
            "Tell me the size of the lesion.",
            "Which size does the finding have, small, medium or large?",
            "How big is the abnormality in this image?",
            "Name the size of the abnormality.",
        ),
        (
            "How big is the finding?",
            "Which size is the lesion in this picture?",
            "Is the abnormality large, medium or small?",
        ),
    ),
    "modality": (
        (
            "What kind of image is this?",
            "Which modality is this?",
            "How was this image made?",
            "What type of scan is shown?",
            "Name the modality of the picture.",
            "Which imaging modality was used?",
            "Tell me the kind of image.",
            "With which modality was the picture made?",
        ),
        (
            "Which type of image is shown?",
            "How was the picture made?",
            "Name the imaging modality used here.",
        ),
    ),
    "organ": (
        (
            "Which part of the body is shown?",
            "What body part does the image show?",
            "What part of the body is this?",
            "Name the body part in the picture.",
            "Which region of the body is seen?",
            "What region does this scan show?",
            "Tell me the body part.",
            "Which body part was imaged?",
        ),
        (
            "Which region of the body was imaged?",
            "Name the part of the body seen here.",
            "What body part is this picture of?",
        ),
    ),
    "presence": (
        (
            "Is there {} in this image?",
            "Does the image show {}?",
            "Can {} be seen?",
            "Is {} present?",
            "Do you see {} here?",
            "Does this picture have {}?",
        ),
        (
            "Is {} visible in the picture?",
            "Does the scan show {}?",
        ),
    ),
}
REQUESTS = (
    "Describe the image.",
    "Describe what you see.",
    "Tell me what the picture shows.",
    "Give a short report of this scan.",
    "What does the image show?",
    "Describe the findings in this picture.",
)
MODALITY_NAMES = {
    "x-ray": ("an x-ray", "an x-ray image"),
    "CT": ("a CT scan", "a CT image"),
    "MRI": ("an MRI scan", "an MRI image"),
    "ultrasound": ("an ultrasound image", "an ultrasound scan"),
}
MODALITY_LONG = {
    "x-ray": ("a plain radiograph", "a radiograph on film"),
    "CT": ("a computed tomography slice", "a computed tomography picture"),
    "MRI": ("a magnetic resonance slice", "a magnetic resonance picture"),
    "ultrasound": ("a sonogram made by echo", "a sonography picture"),
}
ORGAN_LONG = {
    "chest": ("the thorax with both lungs", "the heart and lungs"),
    "head": ("the skull and brain", "the brain in its skull"),
    "abdomen": ("the belly with its liver", "the liver and kidneys"),
    "knee": ("a joint of long bones", "the joint of the leg"),
}
KIND_LONG = {
    "nodule": ("round spot", "full round disc"),
    "cyst": ("hollow ring", "thin ring"),
    "calcification": ("group of dots", "cluster of specks"),
    "mass": ("spiky lump", "spiky star"),
    "scar": ("straight band", "straight line"),
    "infarct": ("solid wedge", "solid triangle"),
}
EXTENT_LONG = {
    "small": ("little", "tiny"),
    "medium": ("middling", "medium-sized"),
    "large": ("big", "huge"),
}
ZONE_LONG = {
    "upper": ("near the top", "at the top"),
    "middle": ("at half height", "halfway down"),
    "lower": ("near the bottom", "at the bottom"),
}
SIDE_LONG = {
    "left": ("to the left", "on the left"),
    "right": ("to the right", "on the right"),
}
COUNT_LONG = {
    "none": ("not a single lesion", "zero lesions"),
    "one": ("a single lesion", "only one lesion"),
    "two": ("a pair of lesions", "two lesions in total"),
    "three": ("three lesions in total", "a group of three lesions"),
}


def words(text: str) -> list[str]:
    """Lower-case words and punctuation marks: the tokens of a word-level vocabulary."""
    return re.findall(r"[a-z]+(?:-[a-z]+)*|[^\sa-z]", text.replace("<image>", " ").lower())


def article(name: str) -> str:
    """The name with "a" or "an"."""
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def upper_first(text: str) -> str:
    """The text with a capital first letter."""
    return text[0].upper() + text[1:]


def joined(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def ordered(scene: Scene) -> list[Finding]:
    """Findings as a reader meets them: from top to bottom, left before right."""
    places = ("upper", "middle", "lower")
    return sorted(scene.findings, key=lambda item: (places.index(item.zone), item.side))


def place(item: Finding) -> str:
    """Where a finding lies, for instance "in the upper left"."""
    return f"in the {item.zone} {item.side}"


def place_long(item: Finding, rng: random.Random) -> str:
    """The same in more words."""
    return f"{rng.choice(ZONE_LONG[item.zone])} {rng.choice(SIDE_LONG[item.side])}"


def listed(scene: Scene) -> str:
    """Every finding with size and place, for instance "a small cyst in the upper left and a large scar ..."."""
    return joined([f"{article(f'{item.extent} {item.kind}')} {place(item)}" for item in ordered(scene)])


def listed_long(scene: Scene, rng: random.Random) -> str:
    """The same in more words: each kind is described by its looks and named."""
    return joined([_described(item, rng) for item in ordered(scene)])


def looks(item: Finding, rng: random.Random) -> str:
    """A finding by its form and size, for instance "a tiny hollow ring"."""
    return article(f"{rng.choice(EXTENT_LONG[item.extent])} {rng.choice(KIND_LONG[item.kind])}")


def _described(item: Finding, rng: random.Random) -> str:
    return f"{looks(item, rng)}, {article(item.kind)}, {place_long(item, rng)}"


def number_of(scene: Scene, noun: str) -> str:
    """ "no findings", "one finding", "two findings"."""
    count = scene.count
    return f"{'no' if count == 'none' else count} {noun}{'' if count == COUNTS[1] else 's'}"
