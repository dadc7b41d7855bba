"""`bertscore`: BERTScore with the encoder of a local folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from osler.evaluation.protocols.base import Pair, Protocol, Score
from osler.evaluation.protocols.report_text import refused, refuses
from osler.evaluation.report_metrics import bertscore


def score(answer: str, reference: str, found: Mapping[Pair, bertscore.BertScore]) -> Score:
    """F1, at least 0; precision and recall in the detail. Not rescaled: what unrelated texts score is the encoder's."""
    if refuses(answer):
        return refused()
    result = {name: min(1.0, max(0.0, value)) for name, value in found[answer, reference]._asdict().items()}
    return Score(value=result["f1"], detail=result)


@lru_cache(maxsize=4)
def _encoder_name(folder: str, layer: int | None) -> str:
    from osler.evaluation.fingerprints import hash_folder

    return f"{Path(folder).name}, layer {'last' if layer is None else layer}, sha256 {hash_folder(folder)[:12]}"


def _protocol() -> Protocol:
    known = bertscore.missing() is None
    encoder = _encoder_name(os.environ[bertscore.FOLDER], bertscore.layer()) if known else "no encoder"
    return Protocol(
        name="bertscore",
        version=f"1 ({encoder})",
        description=f"BERTScore F1 with a local encoder ({encoder}), not rescaled, no idf; a denied finding scores "
        "nearly as high as a stated one.",
        applies_to="any",
        function=score,
        prepare=bertscore.score_pairs,
        missing=bertscore.missing,
    )


def __getattr__(name: str) -> Any:
    # the encoder is named by the environment, which may change after this module was imported
    if name == "PROTOCOL":
        return _protocol()
    raise AttributeError(name)
