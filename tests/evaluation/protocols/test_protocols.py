"""Golden values, hypothesis invariants, and the faults of other evaluators as regression tests."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from osler.errors import EvaluationError
from osler.evaluation import protocols
from osler.evaluation.protocols.vqa_text import ARTICLES, normalise

VOCABULARY = (
    "left right lower lobe lung yes no normal abnormal note 2 two 1,200 the a mass heart, (ct) none don't x-ray 3.5"
)
WORDS = st.sampled_from(VOCABULARY.split())
TEXTS = st.lists(WORDS, min_size=1, max_size=7).map(" ".join)
# those that score by an item's options are in test_options.py
TEXTUAL = [protocols.get(name) for name in protocols.names()]
# and those that need a model, or data that we do not have, in test_hostile.py and report_metrics
ABSENT = {"bertscore", "chexbert-f1", "meteor", "radeval-ratescore", "radgraph-f1"}
NAMES = tuple(p.name for p in TEXTUAL if not (p.needs_options or p.needs_regions or p.name in ABSENT))


def value(name: str, answer: str, reference: str) -> float:
    return protocols.get(name).score(answer, reference).value


@pytest.mark.parametrize(
    ("answer", "reference", "recall", "precision"),
    [
        ("left lower lobe", "right lower lobe", 0.6667, 0.6667),
        ("lower lower lower lobe", "right lower lobe", 0.8, 1.0),
        ("lung lung lung", "right lung", 0.75, 1.0),
        ("right lower lobe of lung", "right lower lobe", 1.0, 0.6),
    ],
)
def test_open_recall_golden(answer, reference, recall, precision):
    score = protocols.get("llava-med-open-recall").score(answer, reference)
    assert score.value == pytest.approx(recall, abs=5e-5)
    assert score.detail["precision"] == pytest.approx(precision, abs=5e-5)


def test_released_exact_match_is_a_precision():
    assert value("llava-med-exact-match", "right lower lobe of lung", "right lower lobe") == pytest.approx(0.6)
    assert value("llava-med-exact-match", "lung lung", "lung lung") == 0.5  # identical texts, still not 1
    assert value("strict-exact-match", "right lower lobe of lung", "right lower lobe") == 0.0


@pytest.mark.parametrize(
    "answer", ["The lungs are normal.", "Note the mass", "It is unknown", "Yes, although nothing is certain"]
)
def test_released_closed_finds_no_inside_words(answer):
    assert value("llava-med-closed", answer, "no") == 1.0
    assert value("yes-no", answer, "No") == 0.0
    assert value("closed-whole-word", answer, "No") == 0.0


@pytest.mark.parametrize(
    ("answer", "reference", "expected", "parsed", "refusal"),
    [
        ("Yes, the heart is abnormal", "Yes", 1.0, True, False),  # another evaluator finds "no" in "abnormal"
        ("No. It is normal, yes.", "no", 1.0, True, False),
        ("YES", "no", 0.0, True, False),
        ("I am not able to tell", "No", 0.0, False, True),
        ("Sorry, I cannot answer yes or no.", "Yes", 0.0, False, True),
        ("I'm sorry, no.", "no", 0.0, False, True),
        ("As an AI, I would say yes", "yes", 0.0, False, True),
        ("No, I cannot see a fracture", "no", 1.0, True, False),
        ("The aorta is dilated", "yes", 0.0, False, False),
        ("No-one knows", "no", 0.0, False, False),
        ("", "yes", 0.0, False, False),
        (" \n", "no", 0.0, False, False),
    ],
)
def test_yes_no(answer, reference, expected, parsed, refusal):
    score = protocols.get("yes-no").score(answer, reference)
    assert (score.value, score.parsed, score.refusal) == (expected, parsed, refusal)


def test_yes_no_denominator_is_yes_no_references():
    protocol = protocols.get("yes-no")
    assert protocol.applies(answer_type="CLOSED ", reference="Yes.")
    assert not protocol.applies(answer_type="CLOSED", reference="axial")
    assert not protocol.applies(answer_type="OPEN", reference="yes")
    assert protocols.get("closed-whole-word").applies(answer_type="CLOSED", reference="axial")
    assert protocols.get("token-f1").applies(answer_type=None, reference="axial")
    assert not protocols.get("llava-med-closed").applies(answer_type=None, reference="yes")


def test_closed_whole_word():
    assert value("closed-whole-word", "The patient is upright", "right") == 0.0
    assert value("closed-whole-word", "It is on the right side.", "Right side") == 1.0
    assert value("closed-whole-word", "right and then side", "right side") == 0.0


def test_token_f1_names_its_numbers():
    score = protocols.get("token-f1").score("b c d e f", "b c")  # precision .4, recall 1, f1 .571: known to get swapped
    assert score.detail["precision"] == pytest.approx(0.4)
    assert score.detail["recall"] == 1.0
    assert score.value == score.detail["f1"] == pytest.approx(4 / 7)
    assert value("token-f1", "lung lung lung", "right lung") == pytest.approx(0.4)  # repetition earns nothing


@pytest.mark.parametrize("name", NAMES)
def test_blank_answer_is_a_failure_and_blank_reference_an_error(name):
    score = protocols.get(name).score("  ", "yes")
    assert (score.value, score.parsed) == (0.0, False)
    with pytest.raises(EvaluationError, match="blank"):
        protocols.get(name).score("yes", " ")


@pytest.mark.parametrize("name", NAMES)
@given(answer=TEXTS | st.text(max_size=30), reference=TEXTS)
def test_bounds(name, answer, reference):
    score = protocols.get(name).score(answer, reference)
    assert 0.0 <= score.value <= 1.0
    assert all(0.0 <= number <= 1.0 + 1e-12 for number in score.detail.values())


@pytest.mark.parametrize("name", NAMES)
@given(answer=TEXTS, reference=TEXTS)
def test_case_does_not_matter(name, answer, reference):
    assert value(name, answer.upper(), reference.title()) == value(name, answer, reference)


@pytest.mark.parametrize("name", ["strict-exact-match", "token-f1"])
@given(text=TEXTS)
def test_identical_texts_score_one(name, text):
    assert value(name, text, text) == pytest.approx(1.0)


@given(text=TEXTS)
def test_identical_texts_score_one_for_closed(text):
    assert value("llava-med-closed", text, text) == 1.0
    if protocols.get("yes-no").accepts(text):
        assert value("yes-no", text, text) == 1.0
    assert value("closed-whole-word", text, text) == 1.0


def test_released_protocols_do_not_score_identical_texts_one():
    """The option letter "A" is an article: nothing of it is left, so the released recall cannot be 1."""
    assert value("llava-med-open-recall", "A", "A") == 0.0
    assert value("llava-med-closed", "B", "A") == 1.0  # the empty string is inside everything
    assert value("strict-exact-match", "A", "A") == 1.0
    assert value("strict-exact-match", "B", "A") == 0.0
    assert value("token-f1", "the", "the") == 1.0
    assert value("token-f1", "the lung", "the") == 0.0  # the one case in which more words lower its recall


@pytest.mark.parametrize("name", ["llava-med-open-recall"])
@given(answer=TEXTS, more=TEXTS, reference=TEXTS)
def test_released_recall_never_falls_when_words_are_added(name, answer, more, reference):
    assume("," not in answer + more)  # punctuation rules of the released normalisation look at the whole text
    assume("-" not in answer + more)
    assert value(name, f"{answer} {more}", reference) >= value(name, answer, reference) - 1e-12


@given(answer=TEXTS, more=TEXTS, reference=TEXTS)
@example(answer="the", more="lung", reference="the lung")
def test_multiset_recall_never_falls_when_words_are_added(answer, more, reference):
    # An article that is the whole reference is kept, but dropped from a longer answer: there the property fails.
    assume(not ARTICLES & set(normalise(reference).split()))
    protocol = protocols.get("token-f1")
    assert (
        protocol.score(f"{answer} {more}", reference).detail["recall"]
        >= protocol.score(answer, reference).detail["recall"] - 1e-12
    )


@given(answer=TEXTS, reference=TEXTS)
def test_f1_is_symmetric_and_repetition_never_raises_recall(answer, reference):
    assert value("token-f1", answer, reference) == pytest.approx(value("token-f1", reference, answer))
    once = protocols.get("token-f1").score(answer, answer + " extraword").detail["recall"]
    assert once < 1.0
    assert value("llava-med-open-recall", "lobe lobe", "right lobe") > value(
        "llava-med-open-recall", "lobe", "right lobe"
    )


def test_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(EvaluationError, match=r"did you mean 'yes-no'"):
        protocols.get("yesno")


def test_importing_protocols_needs_no_torch():
    code = "import sys; from osler.evaluation import protocols; " \
           "boxed = [n for n in protocols.names() if n.startswith(('grounding', 'recognition'))]; " \
           "[protocols.get(n) for n in protocols.names() if n not in boxed]; light = 'numpy' not in sys.modules; " \
           "[protocols.get(n) for n in boxed]; sys.exit('torch' in sys.modules or not light)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
