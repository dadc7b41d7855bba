"""Results of a study without running it: two variants, two shares, two seeds, a dozen questions on four pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osler.study.grid import Run
from osler.study.results import Items, write_items, write_result

QUESTIONS = 12


def items(count: int = QUESTIONS) -> Items:
    return Items(
        ids=[f"q{number:02d}" for number in range(count)],
        images=[f"images/{number // 3}.png" for number in range(count)],
        tags=[
            {
                "question_type": ("side", "zone")[number % 2],
                "combination": ("seen", "unseen")[number // 6 % 2],
                "wording": ("seen", "unseen")[number % 2],
            }
            for number in range(count)
        ],
    )


def content(run: Run, right: str, **changes: Any) -> dict[str, Any]:
    retrieval = ("image_to_answers_r1", "answers_to_image_r1", "answers_to_extended_r1", "hamming_leave_one_out")
    return {
        "settings_sha256": "0" * 64,
        "items_sha256": items().fingerprint,
        "accuracy": right.count("1") / len(right),
        "controls": {"blank": 0.25, "majority": 0.5} if run.fraction == 1.0 else {},
        "retrieval": dict.fromkeys(retrieval, 0.125 + run.seed / 8),
        "pretrain": {"steps": 9 if run.budget == "compute" else 5},
        "seconds": {"training": 10.0 + run.seed},
        "machine": {"processor": "a processor", "torch": "2", "transformers": "5"},
        "right": right,
        **changes,
    }


MARKS = {
    ("none", 0.1): "100000000000",
    ("none", 1.0): "111100000000",
    ("infonce", 0.1): "110000000000",
    ("infonce", 1.0): "111111111000",
}


def write(folder: Path) -> list[Run]:
    write_items(folder, items())
    runs = []
    for seed in (0, 1):
        for (variant, fraction), right in MARKS.items():
            for budget in ("steps", "compute") if variant == "none" else ("steps",):
                run = Run(seed, fraction, variant, budget)  # type: ignore[arg-type]
                write_result(folder, run, content(run, right))
                runs.append(run)
    return runs
