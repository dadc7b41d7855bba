"""Protocols: pure functions of strings and boxes that turn an answer and its reference into a `Score`.

A new protocol is one file with a `PROTOCOL`, named in `_FILES`. Names that begin with `llava-med-`, `logra-med-`,
`omnimedvqa-`, `pmc-vqa-`, `medvh-official-` or `clinkd-` behave like released code, faults included; the others are
ours.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from osler.errors import EvaluationError
from osler.evaluation.protocols.base import AnswerType, ClassCounts, Protocol, Score

__all__ = ["AnswerType", "ClassCounts", "Protocol", "Score", "can_run", "get", "names"]

_FILES = {
    "bertscore": "bertscore",
    "bleu-4": "bleu_4",
    "candidate-whole-word": "candidate_whole_word",
    "chair": "chair",
    "chest-findings-f1": "chest_findings_f1",
    "chexbert-f1": "chexbert_f1",
    "cider": "cider",
    "clinkd-mia-mbmr": "clinkd_mia_mbmr",
    "clinkd-roc-substring": "clinkd_roc_substring",
    "clinkd-vg-recall": "clinkd_vg_recall",
    "closed-whole-word": "closed_whole_word",
    "grounding-acc50": "grounding_acc50",
    "grounding-dice": "grounding_dice",
    "grounding-iou": "grounding_iou",
    "grounding-labelled": "grounding_labelled",
    "llava-med-closed": "llava_med_closed",
    "llava-med-exact-match": "llava_med_exact_match",
    "llava-med-open-candidate": "llava_med_open_candidate",
    "llava-med-open-recall": "llava_med_open_recall",
    "logra-med-nearest-option": "logra_med_nearest_option",
    "medvh-official-letter": "medvh_official_letter",
    "medvh-robust-letter": "medvh_robust_letter",
    "meteor": "meteor",
    "meteor-stem": "meteor_stem",
    "omnimedvqa-prefix-score": "omnimedvqa_prefix_score",
    "omnimedvqa-qa-caseless": "omnimedvqa_qa_caseless",
    "omnimedvqa-qa-score": "omnimedvqa_qa_score",
    "option-letter": "option_letter",
    "pmc-vqa-nearest-choice": "pmc_vqa_nearest_choice",
    "radeval-ratescore": "radeval_ratescore",
    "radgraph-f1": "radgraph_f1",
    "recognition-lenient": "recognition_lenient",
    "recognition-strict": "recognition_strict",
    "rouge-l": "rouge_l",
    "strict-exact-match": "strict_exact_match",
    "token-f1": "token_f1",
    "yes-no": "yes_no",
}


def names() -> tuple[str, ...]:
    """Names of all protocols, sorted."""
    return tuple(sorted(_FILES))


def can_run(name: str) -> bool:
    """Whether there is a protocol of that name and nothing that it needs is lacking here."""
    return name in _FILES and get(name).missing() is None


def get(name: str) -> Protocol:
    """Protocol of that name.

    Raises:
        EvaluationError: when there is none; names the nearest.
    """
    if name not in _FILES:
        near = get_close_matches(name, _FILES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise EvaluationError(f"no protocol {name!r}{hint} (there are: {', '.join(names())})")
    protocol: Protocol = import_module(f"osler.evaluation.protocols.{_FILES[name]}").PROTOCOL
    assert protocol.name == name, protocol.name
    return protocol
