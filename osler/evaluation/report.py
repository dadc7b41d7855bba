"""Self-contained HTML reports: one file that opens anywhere, without network, on a phone too.

A report is a title and sections. `report_evaluation` makes the report of one evaluation; `render_report` puts any
sections together, for instance two evaluations, a training curve, example pictures and the funnel of the data.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.errors import OslerError
from osler.evaluation.whiskers import COLOURS, Whisker, whiskers

if TYPE_CHECKING:
    from markupsafe import Markup
    from PIL.Image import Image

    from osler.evaluation.run import Evaluation

_TEMPLATES = Path(__file__).parent
_SHORT = {"real": "real", "blank": "blank", "shuffled": "another's", "majority": "majority"}
_CONDITIONS = {
    "real": "real image",
    "blank": "blank image",
    "shuffled": "another's image",
    "majority": "majority answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSection:
    """Paragraphs of plain text (escaped), split at blank lines.

    Args:
        title: heading.
        text: paragraphs.
        warnings: shown as a highlighted list.
    """

    title: str
    text: str = ""
    warnings: Sequence[str] = ()
    kind: str = field(default="text", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSection:
    """A plain table.

    Args:
        title: heading.
        head: column titles.
        rows: cells; numbers are right-aligned.
        note: below the table.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]
    note: str = ""
    kind: str = field(default="table", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSection:
    """Pictures from files, for instance a training curve; embedded as they are.

    Args:
        title: heading.
        pictures: (path of a PNG, JPEG or SVG file, caption) pairs.
        note: below.
    """

    title: str
    pictures: Sequence[tuple[str | Path, str]]
    note: str = ""
    kind: str = field(default="pictures", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One question with its picture and answers.

    Args:
        image: a PIL image, or the path of one; None for a text question.
        question: as asked.
        reference: gold answer.
        answers: who -> text, for instance "before training" and "after training".
        caption: source and licence.
    """

    image: Image | str | Path | None
    question: str
    reference: str
    answers: Mapping[str, str]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSection:
    """Example pictures with questions and answers; pictures are embedded as small JPEG.

    Args:
        title: heading.
        examples: shown as cards.
        note: how they were chosen.
    """

    title: str
    examples: Sequence[Example]
    note: str = ""
    kind: str = field(default="examples", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStep:
    """One step of the data's way.

    Args:
        label: for instance "valid records".
        count: how many are left.
        note: why others were set aside.
    """

    label: str
    count: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelSection:
    """How many records each step left.

    Args:
        title: heading.
        steps: from first to last.
        note: below.
    """

    title: str
    steps: Sequence[FunnelStep]
    note: str = ""
    kind: str = field(default="funnel", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresSection:
    """Scores of one or several evaluations: table of protocols by condition, whiskers, question types, circumstances.

    Args:
        title: heading.
        results: (label, content of `scores.json`) pairs, for instance "untrained" and "trained".
        conditions: which to show, where present.
        question_types: show the table by question type.
    """

    title: str
    results: Sequence[tuple[str, Mapping[str, Any]]]
    conditions: Sequence[str] = ("real", "blank", "shuffled", "majority")
    question_types: bool = True
    kind: str = field(default="scores", init=False)


Section = TextSection | TableSection | PictureSection | ExampleSection | FunnelSection | ScoresSection


def render_report(
    path: str | Path,
    *,
    title: str,
    sections: Sequence[Section],
    subtitle: str = "",
    disclaimer: str = "",
) -> Path:
    """Write a self-contained HTML page.

    Args:
        path: of the file; its folder is made if absent.
        title: of the page.
        sections: in order.
        subtitle: one line below the title.
        disclaimer: at top and bottom; that of `osler.evaluation.run` by default ("not for clinical use").

    Returns:
        The path.

    Raises:
        OslerError: when a picture cannot be read.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from osler.evaluation.run import DISCLAIMER

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "score_view": score_view,
        "embed": embed_file,
        "thumbnail": thumbnail,
        "is_number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    }
    html = environment.get_template("report.html").render(
        title=title, subtitle=subtitle, sections=sections, disclaimer=disclaimer or DISCLAIMER
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    return path


def report_evaluation(evaluation: Evaluation, *, examples: int = 6) -> Path:
    """Write `report.html` of one evaluation: warnings, scores, examples.

    Args:
        evaluation: result of `evaluate` or `score_answers`.
        examples: how many items to show with pictures, spread evenly over the items in order of the file.
    """
    scores = evaluation.scores
    task = scores["task"]
    sections: list[Section] = []
    if scores["warnings"]:
        sections.append(TextSection(title="Read this first", warnings=scores["warnings"]))
    sections.append(ScoresSection(title="Scores", results=[("", scores)]))
    shown = example_items(evaluation, count=examples)
    if shown:
        note = "Chosen by position in the file, not by success."
        sections.append(ExampleSection(title="Examples", examples=shown, note=note))
    return render_report(
        evaluation.report,
        title=f"{task['name']} ({task['split']}, {task['convention']})",
        subtitle=f"{scores['model']['name']} · {task['items']} questions on {task['images']} images",
        sections=sections,
    )


def example_items(evaluation: Evaluation, *, count: int = 6) -> list[Example]:
    """Examples spread evenly over the items, with the answers under every condition.

    Args:
        evaluation: whose predictions to show.
        count: how many.
    """
    by_item: dict[str, dict[str, Any]] = {}
    for prediction in evaluation.predictions:
        by_item.setdefault(prediction.item, {})[prediction.condition] = prediction
    items = sorted(item for item in by_item if "real" in by_item[item])
    chosen = [items[round(i * (len(items) - 1) / max(count - 1, 1))] for i in range(min(count, len(items)))]
    examples = []
    for item in dict.fromkeys(chosen):
        real = by_item[item]["real"]
        picture = _first_image(evaluation.image_folder, real.images)
        answers = {
            label: (by_item[item][condition].answer or "(no answer)")
            for condition, label in _CONDITIONS.items()
            if condition in by_item[item]
        }
        examples.append(Example(image=picture, question=real.question, reference=real.reference, answers=answers))
    return examples


def _first_image(folder: Path, images: Sequence[str]) -> Image | None:
    if not images:
        return None
    from osler.images import load_image
    from osler.record_images import resolve_image

    return load_image(resolve_image(folder, images[0]), max_side=320).image


def thumbnail(image: Image | str | Path, *, max_side: int = 320, quality: int = 80) -> str:
    """A picture as a small JPEG in a `data:` address.

    Args:
        image: a PIL image, or the path of anything `load_image` reads.
        max_side: long side in pixels.
        quality: of the JPEG.
    """
    if isinstance(image, (str, Path)):
        from osler.images import load_image

        image = load_image(image, max_side=max_side).image
    small = image.convert("RGB")
    small.thumbnail((max_side, max_side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def embed_file(path: str | Path) -> str:
    """A PNG, JPEG or SVG file as a `data:` address, unchanged.

    Raises:
        OslerError: for another kind of file, or one that cannot be read.
    """
    kinds = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}
    path = Path(path)
    if path.suffix.lower() not in kinds:
        raise OslerError(f"{path}: a report embeds PNG, JPEG and SVG files")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OslerError(f"{path}: cannot be put into the report: {error.strerror or error}") from error
    return f"data:{kinds[path.suffix.lower()]};base64,{base64.b64encode(content).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProtocolView:
    name: str
    about: str
    counts: str
    svg: Markup
    cells: list[str]


def score_view(section: ScoresSection) -> dict[str, Any]:
    """What the template shows of a `ScoresSection`: columns, protocols, tables by question type, circumstances."""
    from markupsafe import Markup

    columns = [
        (label, condition, scores)
        for label, scores in section.results
        for condition in section.conditions
        if condition in scores["conditions"]
    ]
    heads = [_column(label, condition) for label, condition, _ in columns]
    short = [
        f"{label}: {_SHORT.get(condition, condition)}" if label else head
        for (label, condition, _), head in zip(columns, heads, strict=True)
    ]
    protocols = dict.fromkeys(
        name for _, condition, scores in columns for name in scores["conditions"][condition]["protocols"]
    )
    rows = []
    for name in protocols:
        entries = [scores["conditions"][condition]["protocols"].get(name) for _, condition, scores in columns]
        first = next(entry for entry in entries if entry)
        if not any(entry and entry["n"] for entry in entries):
            continue
        drawn = [
            Whisker(name_of, entry["mean"], entry["low"], entry["high"], COLOURS[i % len(COLOURS)])
            for i, (name_of, entry) in enumerate(zip(short, entries, strict=True))
            if entry and entry["n"]
        ]
        rows.append(
            _ProtocolView(
                name=f"{name} v{first['version']}",
                about=first["description"],
                counts=_counts(first),
                svg=Markup(whiskers(drawn, title=f"{name}: mean and interval by condition")),  # escaped in `whiskers`
                cells=[_cell(entry) for entry in entries],
            )
        )
    return {
        "heads": heads,
        "rows": rows,
        "types": _type_tables(section, rows) if section.question_types else [],
        "facts": [(label, _facts(scores)) for label, scores in section.results],
        "differences": [(label, _differences(scores)) for label, scores in section.results],
    }


def _column(label: str, condition: str) -> str:
    name = _CONDITIONS.get(condition, condition)
    return f"{label}, {name}" if label else name


def _cell(entry: Mapping[str, Any] | None) -> str:
    if not entry or not entry["n"]:
        return "–"
    return f"{entry['mean'] * 100:.1f} ({entry['low'] * 100:.1f}–{entry['high'] * 100:.1f})"


def _counts(entry: Mapping[str, Any]) -> str:
    parts = [f"{entry['denominator']} items on {entry['clusters']} images"]
    for key, word in (("failures", "not parsed"), ("refusals", "refusals"), ("missing", "missing")):
        if entry[key]:
            parts.append(f"{entry[key]} {word}")
    if entry["not_applicable"]:
        parts.append(f"{entry['not_applicable']} of this answer type not applicable")
    return ", ".join(parts)


def _type_tables(section: ScoresSection, rows: Sequence[_ProtocolView]) -> list[dict[str, Any]]:
    tables = []
    for row in rows:
        name = row.name.rsplit(" v", 1)[0]
        real = [
            (label, scores["conditions"]["real"]["protocols"][name]["by_question_type"])
            for label, scores in section.results
            if name in scores["conditions"].get("real", {}).get("protocols", {})
        ]
        sizes: dict[str, int] = {}
        for _, table in real:
            for kind, entry in table.items():
                sizes[kind] = max(sizes.get(kind, 0), entry["n"])
        if len(sizes) > 1:
            body = [
                [kind, sizes[kind], *(_cell(table.get(kind)) for _, table in real)]
                for kind in sorted(sizes, key=lambda kind: (-sizes[kind], kind))
            ]
            tables.append({"name": name, "head": ["type", "n", *(label or "score" for label, _ in real)], "rows": body})
    return tables


def _differences(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Table of paired losses: real image minus blank, and minus another's image."""
    found = {(entry["protocol"], entry["second"]): entry for entry in scores["differences"]}
    rows = []
    for protocol in dict.fromkeys(entry["protocol"] for entry in scores["differences"]):
        blank, shuffled = found.get((protocol, "blank")), found.get((protocol, "shuffled"))
        if blank or shuffled:
            rows.append([protocol, _difference(blank), _difference(shuffled), _kept(blank)])
    same = [
        f"{share * 100:.0f}% of the answers are word for word the same with {_SHOWN[condition]}."
        for condition, share in scores["same_answer"].items()
    ]
    return {"head": ["protocol", "real − blank", "real − another's", "kept with blank"], "rows": rows, "same": same}


_SHOWN = {"blank": "a blank image", "shuffled": "another's image"}


def _difference(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "–"
    middle, low, high = (entry[key] * 100 for key in ("difference", "low", "high"))
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def _kept(entry: Mapping[str, Any] | None) -> str:
    # A share of a score that is itself near zero says nothing.
    if entry is None or entry["first_mean"] < 0.05:
        return "–"
    return f"{entry['second_mean'] / entry['first_mean'] * 100:.0f}%"


def _facts(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    task, decoding = scores["task"], scores["decoding"]
    shuffled, majority = scores["controls"].get("shuffled"), scores["controls"].get("majority")
    facts = [
        ("model", f"{scores['model']['name']}, sha256 {scores['model']['fingerprint'][:16]}"),
        ("task", f"{task['name']} v{task['version']}, split {task['split']} ({task['convention']})"),
        ("data", f"{task['items']} of {task['items_in_split']} items, sha256 {scores['data_hash'][:16]}"),
        ("decoding", ", ".join(f"{key} {value}" for key, value in decoding.items() if value not in ([], None))),
        (
            "intervals",
            f"{scores['statistics']['level'] * 100:.0f}%, {scores['statistics']['interval']}, "
            f"{scores['statistics']['resamples']} resamples, seed {scores['statistics']['seed']}",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in scores["versions"].items())),
    ]
    if shuffled:
        facts.append(
            ("another's image", f"{shuffled['paired']} items paired, {shuffled['without_partner']} without partner")
        )
    if majority:
        facts.append(
            (
                "majority answer",
                f"of {majority['training_records']} {majority['computed_on']} by question and answer type, "
                f"{majority['fall_backs']} fall-backs",
            )
        )
    return facts
