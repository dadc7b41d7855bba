"""The study's page: tables from the results, and a reading written by hand that is kept when the page is rebuilt."""

from __future__ import annotations

from pathlib import Path

from osler.record_atomic import atomic_write
from osler.study.abnormal_aware import tables
from osler.study.abnormal_aware.grid import Data

TITLES: dict[Data, str] = {
    "phantom": "Phantom studies",
    "bccd": "Blood smears (BCCD): white blood cells",
}


def write_report(results: Path, out: Path) -> None:
    """Rebuild the page from the JSON files of a folder.

    Args:
        results: folder of the JSON files.
        out: Markdown file; a file `<stem>_reading.md` beside it is put at its top.

    Raises:
        StudyError: when results are absent or broken.
    """
    found = tables.read(results)
    reading = out.with_name(f"{out.stem}_reading.md")
    parts = ["# Abnormal-aware tuning and rewarding"]
    parts.append(
        "Rebuilt by `osler study report --results "
        f"docs/results/{results.name} --out docs/results/{out.name}` from one JSON file a run. Means over test items "
        "that show something; intervals (95 %) resample seeds and pictures; three seeds make them rough."
    )
    if reading.is_file():
        parts.append(reading.read_text(encoding="utf-8").strip())
    for data in (name for name in TITLES if name in found):
        result = found[data]
        parts += [
            f"## {TITLES[data]}",
            f"{int((result.boxes > 0).sum())} test pictures with something to find, {int(result.boxes.sum())} boxes.",
            tables.score_table(result),
            "Differences to more supervised tuning, seed by seed and picture by picture (* interval without zero):",
            tables.difference_table(result),
            "What the class words of the reference answers look at (docs/rewards.md):",
            tables.attention_table(result),
            "Training, one thread:",
            tables.cost_table(result),
        ]
    with atomic_write(out) as handle:
        handle.write(("\n\n".join(parts) + "\n").encode())
