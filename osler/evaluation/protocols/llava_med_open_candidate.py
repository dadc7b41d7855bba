"""`llava-med-open-candidate`: the candidate answer best covered by the answer's words, as LLaVA-Med released it."""

from __future__ import annotations

from functools import lru_cache

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.vqa_text import normalise_released


def score(answer: str, reference: str, options: tuple[str, ...]) -> Score:
    """1 when the candidate with the largest share of its different words in the answer is the reference.

    The candidates are the item's options: for an open question the answers of the training part. The first of the
    highest wins, so that an answer without any known word becomes the first candidate, and a longer answer matches
    more short candidates wholly.

    Source: released evaluation code of LLaVA-Med v1.0, described in our own words.
    """
    words = frozenset(normalise_released(answer).split())
    best, most = options[0], -1.0
    for option in options:
        wanted = _words(option)
        share = len(words & wanted) / len(wanted) if wanted else 0.0
        if share > most:
            best, most = option, share
    return Score(value=float(normalise_released(best) == normalise_released(reference)), choice=best)


@lru_cache(maxsize=2**16)
def _words(option: str) -> frozenset[str]:
    # the same thousands of candidates come with every item
    return frozenset(normalise_released(option).split())


PROTOCOL = Protocol(
    name="llava-med-open-candidate",
    version="1",
    description="Candidate answer whose words the answer covers best, as LLaVA-Med released it; no match is the first.",
    applies_to="open",
    function=score,
    needs_options=True,
)
