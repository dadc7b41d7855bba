"""The study's document: tables and picture from the results, with a reading written by hand."""

from __future__ import annotations

from pathlib import Path

from osler.study import tables
from osler.study.curve import draw_curve
from osler.study.results import read_items, read_results
from osler.study.tables import Study


def write_report(results: Path, out: Path) -> None:
    """Rebuild the document and its picture.

    A file beside it, named like it with `_reading` appended, is included as it is: what people concluded.

    Args:
        results: folder with the JSON files.
        out: Markdown file; the picture gets the same name with `.png`.

    Raises:
        StudyError: when a result is absent or broken.
    """
    study = Study(read_items(results), read_results(results))
    out.parent.mkdir(parents=True, exist_ok=True)
    picture = out.with_suffix(".png")
    draw_curve(study, picture)
    reading = out.with_name(f"{out.stem}_reading.md")
    parts = [
        "# Data efficiency of alignment",
        _circumstances(study, results),
        reading.read_text(encoding="utf-8").strip() if reading.is_file() else "",
        f"![Accuracy against the share of the data]({picture.name})",
        "## Equal optimiser steps\n\nPer cent of the held-out questions answered rightly.",
        tables.accuracy_table(study, "steps"),
        "Points above the objective `none`, paired by seed and question; a star marks an interval without zero.",
        tables.difference_table(study, "steps"),
        "## Equal compute\n\nHere `none` makes as many more steps as the text passes of the others cost in tokens.",
        tables.accuracy_table(study, "compute"),
        tables.difference_table(study, "compute"),
        "## Held-out retrieval after pre-training\n\n"
        "Recall at 1 in per cent among 64 candidates (chance: 1.6), and the Hamming distance of the leave-one-out "
        "matching (chance: 1.88); mean over seeds, and their range.",
        tables.retrieval_table(study),
        "## Controls\n\nAll the data, equal steps.",
        tables.control_table(study),
        "## Combinations of finding and place that training never showed",
        tables.subgroup_table(study, "combination"),
        "## Wordings of the question that training never showed",
        tables.subgroup_table(study, "wording"),
        "## By question type",
        tables.subgroup_table(study, "question_type"),
        "## Cost",
        tables.cost_table(study),
    ]
    out.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def _circumstances(study: Study, results: Path) -> str:
    machines = sorted({result.content["machine"]["processor"] for result in study.results})
    versions = study.results[0].content["machine"]
    images = len(set(study.items.images))
    return (
        f"{len(study.results)} runs: {len(study.variants)} objectives, {len(study.fractions)} shares of the "
        f"instruction data, {len(study.seeds)} seeds. {len(study.items.ids)} questions on {images} pictures, protocol "
        f"`strict-exact-match`, greedy decoding. Intervals: 95 %, bootstrap over seeds and pictures at once; with "
        f"{len(study.seeds)} seeds they are rough. One thread of {', '.join(machines)}; torch {versions['torch']}, "
        f"transformers {versions['transformers']}.\n\n"
        "Rebuilt from the JSON files of the runs by\n\n"
        f"```\nosler study report --results {results.as_posix()} --out docs/results/data_efficiency.md\n```"
    )
