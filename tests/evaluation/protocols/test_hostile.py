"""Every protocol has a defined score for every hostile answer: nothing raises, nothing takes quadratic time."""

from __future__ import annotations

import time

import pytest

from osler.boxes import Box
from osler.errors import EvaluationError
from osler.evaluation import protocols
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.report_metrics import bertscore

from .tiny_encoder import encoder_folder

REPORT = "The heart is enlarged. No effusion."
BOX = "<box>(10,10),(50,50)</box>"
REGIONS = Regions(boxes=(Box(10, 10, 50, 50, 100, 100),), labels=("cyst",), width=100, height=100)
REPEATED = f"A or B, yes, no: CT of the heart is enlarged without effusion {BOX} cyst "
HOSTILE = {
    "empty": "",
    "blank": " \t\n",
    "no UTF-8": b"The heart \xff\xfe\x80 is enlarged".decode("utf-8", "surrogateescape"),
    "markup": "<b>Yes</b>, <script>alert('B')</script> **cardiomegaly** &amp; <box>(1,2",
    "refusal": "I'm sorry, but as an AI I cannot interpret medical images.",
    "cannot": "I cannot answer that.",
    "A or B": "A or B",
    "abnormal": "Yes, the heart is abnormal",
}
MEGABYTE = (REPEATED * (600_000 // len(REPEATED)) + "a" * 400_000)[:1_000_000]
LIMIT = 20.0
"""Seconds for a megabyte on a busy machine; what grows with the square would take hours."""

# value; "f" a failure, "r" a refusal; in the order of HOSTILE, then the megabyte
EXPECTED: dict[str, str] = {
    "bertscore": "0.00f 0.00f x x 0.00r 0.00r x x x",
    "bleu-4": "0.00f 0.00f 0.17 0.00 0.00r 0.00r 0.00 0.22 0.00",
    "candidate-whole-word": "0.00f 0.00f 0.00f 1.00 0.00r 0.00r 0.00f 1.00 0.00f",
    "chair": "0.00f 0.00f 1.00 1.00 0.00r 0.00r 0.00f 0.00f 1.00",
    "chest-findings-f1": "0.00f 0.00f 1.00 1.00 0.00r 0.00r 0.00f 0.00f 1.00",
    "chexbert-f1": "missing",
    "cider": "0.00f 0.00f 0.68 0.00 0.00r 0.00r 0.00 0.32 0.00",
    "clinkd-mia-mbmr": "0.00f 0.00f 0.65 0.00 0.00 0.00 0.00 0.39 0.00",
    "clinkd-roc-substring": "0.00f 0.00f 0.00 0.00 0.00 0.00 0.00 0.00 0.00",
    "clinkd-vg-recall": "0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 1.00",
    "closed-whole-word": "0.00f 0.00f 0.00f 1.00 0.00r 0.00r 0.00f 1.00 1.00",
    "grounding-acc50": "0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00",
    "grounding-dice": "0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00",
    "grounding-iou": "0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00",
    "grounding-labelled": "0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00",
    "llava-med-closed": "0.00f 0.00f 0.00 1.00 0.00 0.00 0.00 1.00 1.00",
    "llava-med-exact-match": "0.00f 0.00f 0.75 0.00 0.00 0.00 0.00 0.50 0.00",
    "llava-med-open-candidate": "0.00f 0.00f 1.00 1.00 1.00 1.00 1.00 1.00 1.00",
    "llava-med-open-recall": "0.00f 0.00f 0.60 0.00 0.00 0.00 0.00 0.40 1.00",
    "logra-med-nearest-option": "0.00f 0.00f 1.00 1.00 1.00 0.00 0.00 1.00 0.00f",
    "medvh-official-letter": "0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 1.00 0.00f 1.00",
    "medvh-robust-letter": "0.00f 0.00f 0.00f 0.00f 0.00r 0.00r 0.00f 0.00f 0.00f",
    "meteor": "missing",
    "meteor-stem": "0.00f 0.00f 0.68 0.00 0.00r 0.00r 0.00 0.50 0.01",
    "omnimedvqa-prefix-score": "0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00f",
    "omnimedvqa-qa-caseless": "0.00f 0.00f 1.00 1.00 1.00 0.00 0.00 1.00 0.00f",
    "omnimedvqa-qa-score": "0.00f 0.00f 1.00 1.00 1.00 0.00 0.00 1.00 0.00f",
    "option-letter": "0.00f 0.00f 0.00f 1.00 0.00r 0.00r 0.00f 1.00 0.00f",
    "pmc-vqa-nearest-choice": "0.00f 0.00f 0.00f 0.00f 0.00f 0.00f 0.00 0.00f 0.00f",
    "radeval-ratescore": "missing",
    "radgraph-f1": "missing",
    "recognition-lenient": "0.00f 0.00f 0.00f 0.00f 0.00r 0.00r 0.00f 0.00f 1.00",
    "recognition-strict": "0.00f 0.00f 0.00f 0.00f 0.00r 0.00r 0.00f 0.00f 1.00",
    "rouge-l": "0.00f 0.00f 0.80 0.00 0.00r 0.00r 0.00 0.55 0.00",
    "strict-exact-match": "0.00f 0.00f 0.00 0.00 0.00 0.00 0.00 0.00 0.00",
    "token-f1": "0.00f 0.00f 0.67 0.00 0.00 0.00 0.00 0.44 0.00",
    "yes-no": "0.00f 0.00f 0.00f 1.00 0.00r 0.00r 0.00f 1.00 1.00",
}


def item(name):
    """Reference and what else the protocol needs; the released letter is that of "Yes", A."""
    protocol = protocols.get(name)
    if protocol.needs_regions:
        return REPORT, {"regions": REGIONS, **({"options": ("cyst", "tumour")} if protocol.needs_options else {})}
    if protocol.needs_options:
        return "Yes", {"options": ("Yes", "No")}
    return (BOX if name == "clinkd-vg-recall" else "Yes" if protocol.applies_to == "closed" else REPORT), {}


def code(score):
    return f"{score.value:.2f}{'' if score.parsed else 'r' if score.refusal else 'f'}"


@pytest.fixture(scope="module", autouse=True)
def encoder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(bertscore.FOLDER, str(encoder_folder(tmp_path_factory.mktemp("encoder"))))
        yield


def test_every_protocol_is_here():
    assert set(EXPECTED) == set(protocols.names())


def prepared(protocol, answer, reference):
    """A corpus of two items: word weights are not defined for one."""
    return protocol.prepare([(answer, reference), ("nothing", "Lungs are clear.")]) if protocol.prepare else None


@pytest.mark.parametrize("name", protocols.names())
def test_hostile_answers(name):
    protocol = protocols.get(name)
    if protocol.missing() is not None:
        assert EXPECTED[name] == "missing"
        with pytest.raises(EvaluationError, match=f"{name} cannot run here: .*(pip install|WordNet)"):
            protocol.score("The heart", REPORT)
        return
    reference, needed = item(name)
    found = []
    for answer in (*HOSTILE.values(), MEGABYTE):
        started = time.perf_counter()
        score = protocol.score(answer, reference, prepared=prepared(protocol, answer, reference), **needed)
        assert time.perf_counter() - started < LIMIT, f"{name} takes too long on {len(answer)} characters"
        found.append(code(score))
    if name == "bertscore":  # random weights: only what does not depend on them
        found = [entry if entry[-1] in "fr" else "x" for entry in found]
    if EXPECTED[name] != "missing":  # somebody has installed what we do not
        assert " ".join(found) == EXPECTED[name]


NASTY = {
    "spaces": f"A: I cannot {' ' * 150_000} x",
    "opened tags": "<box>" * 30_000,
    "brackets": "([{" * 50_000,
    "letters": "A. " * 50_000,
    "denied": "cannot be be be " * 10_000,
    "declared": "the answer is " * 12_000,
    "capitals": "A" * 150_000,
    "rare characters": "".join(chr(0x100 + n % 150) for n in range(150_000)),
    "line ends": "\r\n" * 75_000,
}


@pytest.mark.parametrize("name", [name for name, row in EXPECTED.items() if row != "missing"])
def test_texts_made_to_be_slow(name):
    protocol = protocols.get(name)
    reference, needed = item(name)
    if protocol.needs_options and not protocol.needs_regions:
        needed = {"options": ("Yes", "Āāb".join("ĀāĂăĄą") * 3)}
    for kind, answer in NASTY.items():
        started = time.perf_counter()
        protocol.score(answer, reference, prepared=prepared(protocol, answer, reference), **needed)
        assert time.perf_counter() - started < LIMIT / 4, f"{name}: {kind}"
