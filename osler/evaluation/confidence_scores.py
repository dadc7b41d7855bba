"""From predictions with token probabilities to the part `confidence` of `scores.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from osler.evaluation.confidence import OptionProbabilities, confidence_of, confidence_summary, softmax
from osler.evaluation.option_orders import right_place

if TYPE_CHECKING:
    from osler.evaluation.predictions import Prediction
    from osler.evaluation.scores import Scored

NONE = (
    "The runner gave no token probabilities, so calibration and abstention by confidence cannot be told. "
    "Runners that give them write `logprob` or `options_logprob` with each prediction."
)
_FEW = 10
"""Items below which a curve says nothing."""


def confidence_scores(
    scored: Mapping[str, Sequence[Scored]], predictions: Sequence[Prediction], *, seed: int
) -> dict[str, Any]:
    """Calibration and risk-coverage of every protocol under the real condition.

    Args:
        scored: protocol -> scores.
        predictions: of all conditions.
        seed: of the bootstrap.

    Returns:
        `items`, `without` (items whose prediction has no confidence; they are left out), `of` ("options", "answer" or
        both), `protocols` and `reason` (why there is nothing to tell, or null).
    """
    known: dict[str, float] = {}
    options: dict[str, OptionProbabilities] = {}
    kinds: set[str] = set()
    real = [p for p in predictions if p.condition == "real"]
    for prediction in real:
        of_options = _of_options(prediction)
        place = right_place(prediction.answer, prediction.options) if (prediction.answer or "").strip() else None  # type: ignore[arg-type]
        found = confidence_of(
            logprob=getattr(prediction, "logprob", None),
            tokens=prediction.tokens,
            options_logprob=of_options,
            chosen=place,
        )
        if found is None:
            continue
        known[prediction.item] = found
        kinds.add("options" if of_options else "answer")
        if of_options:
            gold = right_place(prediction.reference, prediction.options)
            if gold is not None:
                options[prediction.item] = OptionProbabilities(softmax(of_options), gold)
    protocols = {}
    for name, entries in scored.items():
        usable = [entry for entry in entries if entry.item.id in known]
        if len(usable) < _FEW:
            continue
        chosen = [entry for entry in usable if entry.item.id in options]
        protocols[name] = confidence_summary(
            [known[entry.item.id] for entry in usable],
            [entry.score.value for entry in usable],
            clusters=[entry.item.cluster for entry in usable],
            options=[options[entry.item.id] for entry in chosen],
            option_clusters=[entry.item.cluster for entry in chosen],
            seed=seed,
        )
    few = f"Only {len(known)} predictions have token probabilities; want at least {_FEW}."
    return {
        "items": len(known),
        "without": len(real) - len(known),
        "of": sorted(kinds),
        "protocols": protocols,
        "reason": None if protocols else few if known else NONE,
    }


def _of_options(prediction: Prediction) -> Sequence[float] | None:
    """Log-probabilities of the options, where there is one for each."""
    found: Sequence[float] | None = getattr(prediction, "options_logprob", None)
    return found if found and len(found) == len(prediction.options) else None
