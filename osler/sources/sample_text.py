"""Sample set: questions, answers, captions and longer paraphrases, composed from the facts of a picture.

All of it is template text, not the language of radiologists; `provenance.generator` says so in every record.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from osler.boxes import Box
from osler.sources.sample_pictures import Picture

GENERATOR = "template:sample@1"
MODALITIES = ("CT", "MRI", "ultrasound", "histology", "fluorescence microscopy", "mammography")
ORGANS = ("brain", "lung", "heart")
TYPES = (
    "modality",
    "modality_check",
    "organ",
    "plane",
    "side",
    "tumour_mr",
    "tumour_ct",
    "breast_side",
    "breast_view",
)

_LONG_MODALITY = {
    "CT": "a computed tomography (CT) image",
    "MRI": "a magnetic resonance image (MRI)",
    "ultrasound": "an ultrasound image",
    "histology": "a histology section seen through a light microscope",
    "fluorescence microscopy": "a fluorescence microscopy image",
    "radiograph": "a plain radiograph",
    "bone scan": "a nuclear medicine bone scan",
    "mammography": "a mammogram",
    "fundus photograph": "a photograph of the fundus of the eye",
}
_SHORT_MODALITY = {
    "CT": "CT",
    "MRI": "MR",
    "fluorescence microscopy": "fluorescence microscopy",
    "mammography": "mammography",
}
_QUESTIONS = {
    "modality": (
        "What imaging modality is this?",
        "Which modality was used to take this image?",
        "What kind of medical image is shown?",
        "How was this image acquired?",
    ),
    "organ": (
        "Which organ is shown?",
        "What organ is seen in this image?",
        "Which part of the body does the image show?",
    ),
    "plane": (
        "In which plane is this image?",
        "What is the plane of this slice?",
        "Is this slice axial, coronal or sagittal?",
    ),
    "side": (
        "Which lung is shown, left or right?",
        "Is this the left or the right lung?",
        "On which side of the body is the lung in this image?",
    ),
    "tumour_mr": (
        "Is there a tumour in this brain?",
        "Does the image show a brain tumour?",
        "Is a tumour visible in the brain?",
    ),
    "tumour_ct": (
        "Is there a tumour in this part of the lung?",
        "Does this detail of the lung show a tumour?",
        "Is a tumour visible in this part of the chest?",
    ),
    "breast_side": ("Which breast is shown, left or right?", "Is this the left or the right breast?"),
    "breast_view": ("Which mammographic view is this, CC or MLO?", "Is this a CC or an MLO view?"),
}
_CHECKS = ("Is this {}?", "Does the picture show {}?", "Would you call this {}?")
CLOSED = ("modality_check", "tumour_mr", "tumour_ct")


class Exchange(NamedTuple):
    """One question with its short answer and a longer paraphrase of the answer."""

    type: str
    question: str
    answer: str
    extended: str


def applicable(picture: Picture) -> tuple[str, ...]:
    """Question types whose answer is known for the picture."""
    facts = picture.facts
    types = ["modality"]
    if facts["modality"] in MODALITIES:
        types.append("modality_check")
    if "organ" in facts:
        types.append("organ")
    if "reformat" in facts:
        types.append("plane")
    types += [kind for kind in ("side", "tumour_mr", "tumour_ct", "breast_side", "breast_view") if kind in facts]
    return tuple(types)


def ask(
    picture: Picture, kind: str, rng: random.Random, *, wrong: bool = False, present: Sequence[str] = MODALITIES
) -> Exchange:
    """Put one question about a picture.

    Args:
        picture: with the facts.
        kind: one of `applicable(picture)`.
        rng: chooses the wording.
        wrong: for `modality_check`: ask about another modality, so that the answer is "no".
        present: modalities that occur in the set; one that never occurs would give the "no" away.
    """
    facts = picture.facts
    modality = facts["modality"]
    if kind == "modality_check":
        asked = rng.choice([other for other in present if other != modality]) if wrong else modality
        question = rng.choice(_CHECKS).format(_LONG_MODALITY[asked])
        answer = "no" if wrong else "yes"
        start = "No, it is not: the picture is" if wrong else "Yes, the picture is"
        return Exchange(kind, question, answer, f"{start} {_LONG_MODALITY[modality]}.")
    question = rng.choice(_QUESTIONS[kind])
    answer = {"modality": modality, "organ": facts.get("organ", ""), "plane": facts.get("plane", "")}.get(
        kind, facts.get(kind, "")
    )
    return Exchange(kind, question, answer, _paraphrase(picture, kind, answer))


def caption(picture: Picture, rng: random.Random) -> tuple[str, str]:
    """Caption of one or two sentences, and a longer paraphrase of it."""
    facts = picture.facts
    modality = facts["modality"]
    short = _SHORT_MODALITY.get(modality, modality)
    plane = facts.get("plane", "")
    organ = facts.get("organ", "")
    if "side" in facts:
        organ = f"{facts['side']} lung"
    elif "breast_side" in facts:
        organ = f"{facts['breast_side']} breast"
    name = {"histology": "Histology section", "fluorescence microscopy": "Fluorescence microscopy image"}.get(
        modality, f"{plane.capitalize()} {short} image" if plane else f"{short[0].upper()}{short[1:]} image"
    )
    if modality in ("radiograph", "bone scan", "mammography", "fundus photograph"):
        name = {"mammography": "Mammogram"}.get(modality, modality.capitalize())
    of = f" of the {organ}" if organ else ""
    finding = _finding(picture)
    lead = rng.choice(("{name}{of}", "This is {article} {lower}{of}", "{name}{of} is shown"))
    lower = name if name[:2].isupper() else name[0].lower() + name[1:]
    article = "an" if lower[0] in "aeiouMX" and not lower.startswith("MLO") else "a"
    text = lead.format(name=name, of=of, article=article, lower=lower) + "."
    if finding:
        text += f" {finding}"
    longer = f"The picture is {_LONG_MODALITY[modality]}"
    longer += f" that shows the {organ}" if organ else ""
    longer += f" in the {plane} plane" if plane else ""
    longer += "."
    if finding:
        longer += f" {finding}"
    if "note" in facts:
        longer += f" {facts['note'][0].upper()}{facts['note'][1:]}."
    return text, longer


def _finding(picture: Picture) -> str:
    facts = picture.facts
    if picture.boxes:
        known = "tumour_side" in facts and "organ" in facts
        side = f" in the patient's {facts['tumour_side']} {facts['organ']}" if known else ""
        return f"There is a tumour{side}, at the {position(picture.boxes[0])} of the picture."
    label = facts.get("tumour_mr") or facts.get("tumour_ct") or facts.get("tumour_slice")
    return {"yes": "There is a tumour.", "no": "No tumour is seen."}.get(label or "", "")


def position(box: Box) -> str:
    """Where a box lies in its picture, by thirds: "upper left", "centre", "lower edge" and so on."""
    x1, y1, x2, y2 = box.xyxy()
    column = min(2, int(3 * (x1 + x2) / 2 / box.width))
    row = min(2, int(3 * (y1 + y2) / 2 / box.height))
    if (row, column) == (1, 1):
        return "centre"
    if row == 1:
        return ("left", "", "right")[column] + " side"
    if column == 1:
        return ("top", "", "bottom")[row]
    return f"{('upper', '', 'lower')[row]} {('left', '', 'right')[column]} part"


def _paraphrase(picture: Picture, kind: str, answer: str) -> str:
    facts = picture.facts
    if kind == "modality":
        return f"The picture is {_LONG_MODALITY[answer]}."
    if kind == "organ":
        return f"The picture shows the {answer}, in {_LONG_MODALITY[facts['modality']]}."
    if kind == "plane":
        cut = {"axial": "across the body", "coronal": "parallel to the front of the body", "sagittal": "from the side"}
        return f"The slice lies in the {answer} plane: the body is seen {cut[answer]}."
    if kind == "side":
        return f"It is the {answer} lung: the heart and the great vessels border it on its inner side."
    if kind in ("tumour_mr", "tumour_ct"):
        organ = "brain" if kind == "tumour_mr" else "lung"
        if answer == "no":
            return f"No, the {organ} shows no tumour here."
        where = f", at the {position(picture.boxes[0])} of the picture" if picture.boxes else ""
        return f"Yes, there is a tumour in the {organ}{where}."
    if kind == "breast_side":
        return f"The mammogram shows the {answer} breast."
    views = {"CC": "craniocaudal (CC)", "MLO": "mediolateral oblique (MLO)"}
    return f"The mammogram is taken in the {views[answer]} view."
