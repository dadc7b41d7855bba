"""BLEU, ROUGE-L, CIDEr-D and METEOR against other implementations and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation import protocols
from osler.evaluation.items import Item
from osler.evaluation.protocols.report_text import refuses
from osler.evaluation.report_metrics import bleu, cider, meteor
from osler.evaluation.report_metrics.rouge import COCO_BETA, common_subsequence, rouge_l
from osler.evaluation.report_metrics.words import words
from osler.evaluation.scores import score_items, summarise

REFERENCES = (
    "the heart is enlarged and there is a small left pleural effusion",
    "no acute cardiopulmonary process",
    "the lungs are clear without effusion or pneumothorax",
    "there is a right upper lobe opacity which may represent pneumonia",
    "the heart is normal in size and the lungs are clear",
)
ANSWERS = (
    "the heart is enlarged with a left pleural effusion",
    "no acute process",
    "the lungs are clear clear clear",
    "opacity in the right upper lobe",
    "pneumonia",
)
# of pycocoevalcap 1.2 (CIDEr, BLEU-1..4, ROUGE-L) and rouge-score 0.1.2 (rougeL: precision, recall, F1) on these texts
CIDER = (3.7527195452820337, 3.1417444648680917, 1.773296855704333, 1.901275522889012, 0.0)
COCO_BLEU = (0.3280999977798526, 0.279113457166131, 0.23277079238789708, 0.1735628248471461)
COCO_ROUGE = (0.7427701674277016, 0.8356164383561644, 0.5570776255707762, 0.33516483516483514, 0.0)
ROUGE = (
    (0.8888888888888888, 0.6666666666666666, 0.761904761904762),
    (1.0, 0.75, 0.8571428571428571),
    (0.6666666666666666, 0.5, 0.5714285714285715),
    (0.5, 0.2727272727272727, 0.3529411764705882),
    (0.0, 0.0, 0.0),
)
WORDS = st.lists(st.sampled_from(["heart", "lung", "is", "clear", "no", "the"]), max_size=12)
TEXTS = WORDS.map(" ".join)


def test_cider_is_that_of_the_coco_evaluation():
    corpus = cider.references(REFERENCES)
    found = [cider.SCALE * cider.cider_d(a, r, corpus) for a, r in zip(ANSWERS, REFERENCES, strict=True)]
    assert found == pytest.approx(CIDER, abs=1e-9)


def test_rouge_is_that_of_two_other_libraries():
    for answer, reference, golden, coco in zip(ANSWERS, REFERENCES, ROUGE, COCO_ROUGE, strict=True):
        found = rouge_l(answer, reference)
        assert tuple(found) == pytest.approx(golden)
        assert found.f(COCO_BETA) == pytest.approx(coco)


def test_bleu_is_that_of_the_coco_evaluation():
    counts = [bleu.coco_counts(a, r) for a, r in zip(ANSWERS, REFERENCES, strict=True)]
    sums = {name: np.float64(sum(entry[name] for entry in counts)) for name in counts[0]}
    assert [bleu.coco_corpus(sums, orders) for orders in (1, 2, 3, 4)] == pytest.approx(COCO_BLEU, abs=1e-9)


@given(pairs=st.lists(st.tuples(TEXTS, TEXTS.filter(bool)), min_size=1, max_size=5))
def test_pooled_bleu_is_sacrebleu_of_the_corpus(pairs):
    counts = [bleu.sentence(answer, reference)[1] for answer, reference in pairs]
    sums = {name: np.array([sum(entry[name] for entry in counts)], dtype=float) for name in counts[0]}
    expected = sacrebleu.corpus_bleu([a for a, _ in pairs], [[r for _, r in pairs]], lowercase=True).score / 100
    with np.errstate(divide="ignore", invalid="ignore"):
        assert float(bleu.corpus(sums)[0]) == pytest.approx(expected, abs=1e-9)


def brute_subsequence(first, second):
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(first=WORDS, second=WORDS)
def test_common_subsequence_is_that_of_the_table(first, second):
    assert common_subsequence(first, second) == brute_subsequence(first, second) == common_subsequence(second, first)


@given(answer=TEXTS, reference=TEXTS.filter(bool))
def test_identical_texts_score_highest(answer, reference):
    corpus = cider.references([reference, "something else entirely here"])
    assert cider.cider_d(answer, reference, corpus) <= cider.cider_d(reference, reference, corpus) + 1e-12
    assert rouge_l(reference, reference).f1 == 1.0
    assert meteor.meteor(answer, reference, synonyms=False) <= 1.0
    assert bleu.sentence(reference, reference)[0] == pytest.approx(1.0)


def test_cider_of_one_reference_is_0_and_of_two_identical_long_texts_1():
    text = REFERENCES[0]
    assert protocols.get("cider").score(text, text).value == 0.0  # every word stands in every reference
    corpus = cider.references([text, REFERENCES[1]])
    assert cider.cider_d(text, text, corpus) == pytest.approx(1.0)
    # three words long: there are no 4-grams, so only three of four sizes can agree
    assert cider.cider_d("mass in liver", "mass in liver", cider.references(["mass in liver", text])) == pytest.approx(
        0.75
    )


def test_cider_damps_other_lengths():
    corpus = cider.references(REFERENCES)
    text = REFERENCES[0]
    longer = f"{text} {'x ' * 6}"
    ratio = cider.cider_d(longer, text, corpus) / cider.cider_d(text, text, corpus)
    assert ratio < math.exp(-(6**2) / (2 * 6**2)) + 1e-9


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("the cat sat on the mat", "the cat sat on the mat", 1 - 0.5 / 6**3),  # one chunk of six
        ("on that mat sat a cat", "a cat sat on that mat", 1 - 0.5 * (3 / 6) ** 3),  # three chunks
        ("on the mat sat the cat", "the cat sat on the mat", 0.5),  # NLTK crosses the two "the": six chunks, not three
        ("effusions", "effusion", 0.5),  # stems agree; one chunk of one
        ("kidney", "lung", 0.0),
    ],
)
def test_meteor_from_its_formula(answer, reference, expected):
    assert meteor.meteor(answer, reference, synonyms=False) == pytest.approx(expected, abs=1e-6)


def test_words():
    assert words("Right-sided X-ray: 3.5 cm (the LUNG)") == [
        "right",
        "sided",
        "x",
        "ray",
        "3",
        "5",
        "cm",
        "the",
        "lung",
    ]
    assert words("心脏 Größe") == ["心脏", "grösse"]


def corpus_items(references):
    return [
        Item(id=str(n), question="q", reference=r, question_type="report", answer_type=None, images=(f"{n}.png",),
        cluster=f"{n}.png") for n, r in enumerate(references)
    ]  # fmt: skip


def test_scores_of_a_corpus():
    items = corpus_items(REFERENCES)
    answers = {str(n): answer for n, answer in enumerate(ANSWERS)}
    summaries = {
        name: summarise(protocols.get(name), items, score_items(protocols.get(name), items, answers), seed=0)
        for name in ("bleu-4", "cider", "rouge-l")
    }
    assert summaries["cider"]["mean"] == pytest.approx(np.mean(CIDER) / 10)
    assert summaries["rouge-l"]["mean"] == pytest.approx(np.mean([f1 for _, _, f1 in ROUGE]))
    pooled = summaries["bleu-4"]["pooled"]["bleu-4"]
    assert pooled["mean"] == pytest.approx(
        sacrebleu.corpus_bleu(list(ANSWERS), [list(REFERENCES)], lowercase=True).score / 100
    )
    assert pooled["low"] < pooled["mean"] < pooled["high"]
    assert abs(pooled["mean"] - summaries["bleu-4"]["mean"]) > 0.01  # which is why it is pooled


def test_a_missing_answer_counts_in_what_is_pooled():
    items = corpus_items(REFERENCES[:2])
    protocol = protocols.get("bleu-4")
    some = summarise(protocol, items, score_items(protocol, items, {"0": REFERENCES[0]}), seed=0)
    assert some["denominator"] == 2
    assert some["missing"] == 1
    # the brevity penalty sees both references: four words of sixteen are missing
    assert some["pooled"]["bleu-4"]["mean"] == pytest.approx(math.exp(1 - 16 / 12))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("As an AI language model, I cannot interpret images. Please consult a radiologist.", True),
        ("Unable to determine from the image.", True),
        ("I am not able to tell", True),
        ("The heart size cannot be assessed because of the effusion.", False),
        ("Small pleural effusion. Pneumonia cannot be excluded, and I cannot say more.", False),
        ("Sorry, I cannot say which. " + "The lungs show a large opacity. " * 10, False),  # and then says a lot
        ("No effusion.", False),
        ("", False),
    ],
)
def test_refusals_of_whole_texts(text, expected):
    assert refuses(text) is expected
    score = protocols.get("rouge-l").score(text, "I cannot say, sorry")
    assert score.refusal is expected
    assert not (expected and score.value)
