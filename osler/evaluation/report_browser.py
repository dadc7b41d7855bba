"""The error browser of a report: every item with picture and answers, to be filtered by outcome, tag and text.

All text of models and data is escaped by the template; what a browser would choke on is taken out here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

from osler.errors import OslerError
from osler.evaluation import protocols as registry
from osler.evaluation.browser_items import BrowserItem, BrowserSection
from osler.evaluation.confidence import confidence_of
from osler.evaluation.predictions import asked_item
from osler.evaluation.report_scores import CONDITION_NAMES
from osler.evaluation.scores import Scored, score_items

if TYPE_CHECKING:
    from osler.evaluation.predictions import Prediction
    from osler.evaluation.protocols.base import Score
    from osler.evaluation.run import Evaluation

MAX_ITEMS = 500
MAX_TEXT = 1500
_SIDE = 300


def clean(text: str, *, limit: int = MAX_TEXT) -> str:
    """Text that any browser can show: no control characters, no lone surrogates, not endless."""
    kept = text[: limit + 1]
    kept = "".join(
        c if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs", "Cn"} else "\N{REPLACEMENT CHARACTER}"
        for c in kept
    )
    # overrides of the direction of writing could make an answer read as another
    kept = "".join(c for c in kept if unicodedata.bidirectional(c) not in {"LRO", "RLO", "LRE", "RLE", "PDF"})
    return kept if len(text) <= limit else f"{kept[:limit]}… ({len(text):,} characters)"


def outcome(score: Score, *, missing: bool) -> str:
    """One of `OUTCOMES`."""
    if missing:
        return "no answer"
    if score.refusal:
        return "refused"
    if not score.parsed:
        return "not parsed"
    return "right" if score.value >= 1.0 - 1e-9 else "partly right" if score.value > 0 else "wrong"


def browser_section(evaluation: Evaluation, *, chosen: str | None, limit: int = MAX_ITEMS) -> BrowserSection | None:
    """The browser of an evaluation; None when nothing was asked.

    Args:
        evaluation: whose predictions to show.
        chosen: protocol to begin with.
        limit: at most so many items, evenly spaced over the file.
    """
    by_item: dict[str, dict[str, Prediction]] = {}
    for prediction in evaluation.predictions:
        by_item.setdefault(prediction.item, {})[prediction.condition] = prediction
    real = [item for item in by_item if "real" in by_item[item]]
    if not real:
        return None
    step = max(1.0, len(real) / limit)
    shown = [real[int(number * step)] for number in range(min(limit, len(real)))]
    # a judge's opinion cannot be had again here
    names = [name for name in evaluation.scores["conditions"]["real"]["protocols"] if registry.can_run(name)]
    scored = {
        name: {
            entry.item.id: entry
            for entry in score_items(
                registry.get(name),
                [asked_item(by_item[item]["real"]) for item in real],
                {item: by_item[item]["real"].answer for item in real},
            )
        }
        for name in names
    }
    pictures: dict[str, int] = {}
    addresses: list[str] = []
    items = [_item(evaluation, by_item[item], scored, pictures, addresses) for item in shown]
    used = [name for name in names if any(name in item.outcomes for item in items)]
    note = (
        f"Only {len(items)} of {len(real)} items, evenly spaced; all are in predictions.jsonl."
        if len(items) < len(real)
        else ""
    )
    return BrowserSection(
        title="Answers, one by one",
        items=items,
        pictures=addresses,
        protocols=used,
        chosen=chosen if chosen is not None and chosen in used else (used or [""])[0],
        total=len(real),
        note=note,
    )


def _item(
    evaluation: Evaluation,
    given: Mapping[str, Prediction],
    scored: Mapping[str, Mapping[str, Scored]],
    pictures: dict[str, int],
    addresses: list[str],
) -> BrowserItem:
    real = given["real"]
    outcomes: dict[str, str] = {}
    values: dict[str, float] = {}
    refused = False
    for name, entries in scored.items():
        if real.item in entries:
            score = entries[real.item].score
            outcomes[name] = outcome(score, missing=real.answer is None)
            values[name] = score.value
            refused = refused or score.refusal
    if refused:  # protocols that know no refusals call it wrong
        outcomes = {name: "refused" if values[name] == 0 else found for name, found in outcomes.items()}
    facts = {"question type": real.question_type}
    if real.answer_type:
        facts["answer type"] = real.answer_type
    facts |= {name: clean(value, limit=60) for name, value in evaluation.tags.get(real.item, {}).items()}
    number, problem = _picture(evaluation, real, pictures, addresses)
    sure = confidence_of(
        logprob=getattr(real, "logprob", None),
        tokens=real.tokens,
        options_logprob=getattr(real, "options_logprob", None),
        chosen=None,
    )
    return BrowserItem(
        id=clean(real.item, limit=120),
        question=clean(real.question),
        reference=clean(real.reference),
        answer=None if real.answer is None else clean(real.answer),
        outcomes=outcomes,
        values=values,
        facts=facts,
        picture=number,
        problem=problem,
        others={
            CONDITION_NAMES.get(condition, condition): clean(prediction.answer or "", limit=300)
            for condition, prediction in given.items()
            if condition != "real"
        },
        confidence=sure,
        more="cut at the length limit" if real.finished is False else "",
    )


def _picture(
    evaluation: Evaluation, real: Prediction, pictures: dict[str, int], addresses: list[str]
) -> tuple[int | None, str]:
    from osler.evaluation.report import thumbnail
    from osler.record_images import resolve_image

    if not real.images:
        return None, ""
    path = real.images[0]
    if path not in pictures:
        try:
            addresses.append(thumbnail(resolve_image(evaluation.image_folder, path), max_side=_SIDE, quality=72))
        except OslerError as error:  # the evaluation is done; a report does not fail for a picture
            return None, clean(f"image not shown: {error}", limit=200)
        pictures[path] = len(addresses) - 1
    more = f"1 of {len(real.images)} images" if len(real.images) > 1 else ""
    return pictures[path], more
