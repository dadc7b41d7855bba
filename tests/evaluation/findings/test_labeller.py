"""The rule labeller on sentences whose labels nobody doubts, and its invariants."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation import protocols
from osler.evaluation.findings import FINDINGS, NO_FINDING, label, mentions, stated
from osler.evaluation.findings.labeller import Status, findings_text

P, U, N = Status.POSITIVE, Status.UNCERTAIN, Status.NEGATIVE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Small left pleural effusion.", {"Pleural Effusion": P}),
        ("No pleural effusion or pneumothorax.", {"Pleural Effusion": N, "Pneumothorax": N}),
        ("No focal consolidation, large pleural effusion, or pneumothorax is seen.",
         {"Consolidation": N, "Pleural Effusion": N, "Pneumothorax": N}),
        ("No pneumothorax, small left pleural effusion.", {"Pneumothorax": N, "Pleural Effusion": P}),
        ("No pneumothorax but a small effusion is present.", {"Pneumothorax": N, "Pleural Effusion": P}),
        ("There is no change in the right pleural effusion.", {"Pleural Effusion": P}),
        ("The consolidation has not cleared.", {"Consolidation": P}),
        ("The pneumothorax has resolved.", {"Pneumothorax": N}),
        ("The effusion has nearly resolved.", {"Pleural Effusion": P}),
        ("Pneumothorax is no longer seen.", {"Pneumothorax": N}),
        ("Pneumonia cannot be excluded.", {"Pneumonia": U}),
        ("Opacity that may represent pneumonia or atelectasis.", {"Lung Opacity": P, "Pneumonia": U, "Atelectasis": U}),
        ("The heart is enlarged.", {"Cardiomegaly": P}),
        ("The heart is not enlarged.", {"Cardiomegaly": N}),
        ("Heart size is normal.", {"Cardiomegaly": N}),
        ("Cardiomediastinal silhouette is within normal limits.", {"Cardiomegaly": N, "Enlarged Cardiomediastinum": N}),
        ("Widened mediastinum.", {"Enlarged Cardiomediastinum": P}),
        ("The lungs are clear.", {"Lung Opacity": N}),
        ("Pericardial effusion.", {}),
        ("Subcutaneous edema.", {}),
        ("Pulmonary vascular congestion.", {"Edema": P}),
        ("Healed rib fractures.", {"Fracture": P}),
        ("Fractured sternotomy wires.", {"Support Devices": P}),
        ("ET tube in standard position.", {"Support Devices": P}),
        ("Nasogastric tube has been removed.", {"Support Devices": N}),
        ("Calcified granuloma in the right upper lobe.", {"Lung Lesion": P}),
        ("No mass effect.", {}),
        ("Pleural thickening at the left apex.", {"Pleural Other": P}),
        ("Heart size and pulmonary vascular engorgement appear within limits of normal.", {"Edema": N}),
        ("<b>Cardiomegaly</b> and **edema**", {"Cardiomegaly": P, "Edema": P}),
        ("Effusion is present. No effusion on the right.", {"Pleural Effusion": P}),
        ("What a nice day.", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_labels(text, expected):
    found = label(text)
    found.pop(NO_FINDING, None)
    found = {name: status for name, status in found.items() if name in expected or status is not N}
    assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No acute cardiopulmonary process.", True),
        ("Normal chest radiograph.", True),
        ("Heart size is normal. The lungs are clear. No effusion.", True),
        ("No acute cardiopulmonary abnormality. The PICC line is unchanged.", True),  # devices are no finding
        ("No acute process. Mild cardiomegaly.", False),
        ("Possible pneumonia.", False),
        ("A dog.", False),
    ],
)
def test_no_finding(text, expected):
    assert (label(text).get(NO_FINDING) is P) is expected


@pytest.mark.parametrize("name", [name for name in FINDINGS if name != NO_FINDING])
def test_a_name_labels_itself(name):
    """References may be lists of CheXpert's names, as in MedVH."""
    assert label(name) == {name: P}
    assert label(name.lower()) == {name: P}
    assert label(f"No {name.lower()}.").get(name) is N


def test_lists_of_names():
    assert stated(label("Pleural Effusion, Edema, Support Devices")) == {"Pleural Effusion", "Edema", "Support Devices"}
    assert stated(label("['Enlarged Cardiomediastinum', 'Lung Opacity']")) == {
        "Enlarged Cardiomediastinum",
        "Lung Opacity",
    }
    assert label("No Finding") == {NO_FINDING: P}


def test_why_the_study_was_made_is_no_finding():
    report = (
        "INDICATION: rule out pneumonia, known effusion\n\nCOMPARISON: none\n\n"
        "FINDINGS: Mild cardiomegaly.\n\nIMPRESSION: No pneumothorax."
    )
    assert label(report) == {"Cardiomegaly": P, "Pneumothorax": N}
    assert "pneumonia" not in findings_text(report)
    without_heading = "REASON FOR EXAM: pneumonia?\n\nSmall effusion."
    assert label(without_heading) == {"Pleural Effusion": P}
    assert findings_text("The heart is enlarged: no effusion") == "The heart is enlarged: no effusion"


def test_mentions_say_where():
    (mention,) = mentions("Lungs expand well. There is a small   pleural effusion.")
    assert mention.sentence[mention.start : mention.end] == "effusion"
    assert mention.finding == "Pleural Effusion"


NAMES = st.sampled_from(["pneumothorax", "pleural effusion", "consolidation", "rib fractures", "pulmonary edema"])


@given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True))
def test_no_before_a_list_denies_all_of_it(names):
    text = f"No {', '.join(names[:-1])}{' or ' if names[1:] else ''}{names[-1]}."
    assert set(label(text).values()) == {N, P}  # and "No Finding" is positive
    assert not stated(label(text))
    assert len(stated(label(text.replace("No ", "There is ")))) == len(names)


@given(
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True), case=st.sampled_from([str.upper, str.lower, str.title])
)
def test_case_and_white_space_do_not_matter(names, case):
    text = ". ".join(f"There is {name}" for name in names)
    assert label(case(text)) == label(text) == label(text.replace(" ", "  "))


@given(text=st.text(max_size=80))
def test_any_text_has_labels(text):
    assert set(label(text)) <= set(FINDINGS)
    assert set(stated(label(text), uncertain=False)) <= set(stated(label(text)))


@pytest.mark.parametrize(
    "part",
    [
        "no effusion or ",
        "a" * 50,
        "A",
        "Aa",
        "A ",
        ".A",
        "\n",
        "\nA ",
        "a ",
        "INDICATION: x\n",
        "heart size and x and ",
        "<b",
        "(",
        " ",
    ],
)
def test_time_grows_with_the_text(part):
    started = time.perf_counter()
    label((part * (1_000_000 // len(part)))[:1_000_000])
    assert time.perf_counter() - started < 10.0


def value(name, answer, reference):
    return protocols.get(name).score(answer, reference)


def test_f1_of_findings():
    reference = "Cardiomegaly. Small effusion. No pneumothorax."
    assert value("chest-findings-f1", "The heart is enlarged with a pleural effusion.", reference).value == 1.0
    assert value("chest-findings-f1", "The heart is enlarged.", reference).value == pytest.approx(2 / 3)
    assert value("chest-findings-f1", "Pneumothorax.", reference).value == 0.0
    assert value("chest-findings-f1", "No acute process.", "The lungs are clear.").value == 1.0
    unread = value("chest-findings-f1", "A dog.", "The lungs are clear.")
    assert (unread.value, unread.parsed) == (0.0, False)
    refused = value("chest-findings-f1", "I cannot interpret images.", "No acute process.")
    assert (refused.value, refused.refusal) == (0.0, True)


def test_chair():
    reference = "Cardiomegaly. Small effusion."
    assert value("chair", "Cardiomegaly, edema, pneumonia and effusion.", reference).value == 0.5
    assert value("chair", "No pneumothorax.", reference).value == 1.0  # states nothing, so invents nothing
    assert value("chair", "A dog.", reference).value == 0.0
    both = [value("chair", "Edema.", reference), value("chair", "Cardiomegaly and pneumonia.", reference)]
    sums = {name: sum(score.counts[name] for score in both) for name in both[0].counts}
    pooled = protocols.get("chair").pooled(sums)
    assert pooled["chair"] == pytest.approx(2 / 3)  # two of three stated findings are invented
    assert pooled["recall"] == pytest.approx(1 / 4)


SETS = st.frozensets(st.sampled_from(["Cardiomegaly", "Edema", "Pneumothorax", "Fracture"]), max_size=4)


@given(ours=SETS, theirs=SETS)
def test_scores_are_those_of_sets(ours, theirs):
    answer, reference = (". ".join(sorted(names)) or "No acute process." for names in (ours, theirs))
    f1 = 2 * len(ours & theirs) / (len(ours) + len(theirs)) if ours or theirs else 1.0
    assert value("chest-findings-f1", answer, reference).value == pytest.approx(f1)
    invented = len(ours - theirs) / len(ours) if ours else 0.0
    assert value("chair", answer, reference).value == pytest.approx(1 - invented)


def test_pooled_f1_is_that_of_scikit_learn():
    """Micro and macro over fourteen classes, computed here by hand: a class that nobody states counts 0."""
    pairs = [
        ("Cardiomegaly. Edema.", "Cardiomegaly."),
        ("No acute process.", "No acute process."),
        ("Edema.", "Edema. Fracture."),
    ]
    scores = [value("chest-findings-f1", *pair) for pair in pairs]
    import numpy as np

    sums = {name: np.float64(sum(score.counts[name] for score in scores)) for name in scores[0].counts}
    with np.errstate(invalid="ignore"):
        pooled = protocols.get("chest-findings-f1").pooled(sums)
    by_class = {"Cardiomegaly": 1.0, "Edema": 2 / 3, "No Finding": 1.0, "Fracture": 0.0}
    assert {name: float(pooled[f"f1 {name}"]) for name in by_class} == pytest.approx(by_class)
    assert pooled["micro-f1-14"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert pooled["macro-f1-14"] == pytest.approx(sum(by_class.values()) / 14)
    assert pooled["macro-f1-5"] == pytest.approx((1.0 + 2 / 3) / 5)
