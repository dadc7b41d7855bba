"""How a report shows scores: rows by protocol, whiskers, tables by question type, circumstances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osler.evaluation.report_pooled import pooled_tables
from osler.evaluation.report_sections import ScoresSection
from osler.evaluation.whiskers import COLOURS, Whisker, whiskers

if TYPE_CHECKING:
    from markupsafe import Markup

_SHORT = {
    "real": "real",
    "blank": "blank",
    "noise": "noise",
    "shuffled": "another's",
    "text-only": "no image",
    "options-shuffled": "other order",
    "majority": "majority",
    "position": "best place",
    "centre-box": "centre box",
    "mean-box": "mean box",
}
CONDITION_NAMES = {
    "real": "real image",
    "blank": "blank image",
    "noise": "noise image",
    "shuffled": "another's image",
    "text-only": "no image",
    "options-shuffled": "other option order",
    "majority": "majority answer",
    "position": "best option place",
    "centre-box": "box in the centre",
    "mean-box": "mean training box",
}


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
    name = CONDITION_NAMES.get(condition, condition)
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
    """Tables of the real condition: by question type, by tag, and over classes where the protocol knows options."""
    tables = []
    for row in rows:
        name = row.name.rsplit(" v", 1)[0]
        real = [
            (label, scores["conditions"]["real"]["protocols"][name])
            for label, scores in section.results
            if name in scores["conditions"].get("real", {}).get("protocols", {})
        ]
        # older results have no tags
        tags = dict.fromkeys(tag for _, entry in real for tag in entry.get("by_tag", {}))
        groupings = [("question type", [(label, entry["by_question_type"]) for label, entry in real])]
        groupings += [(tag, [(label, entry.get("by_tag", {}).get(tag, {})) for label, entry in real]) for tag in tags]
        for by, columns in groupings:
            sizes: dict[str, int] = {}
            for _, table in columns:
                for kind, entry in table.items():
                    sizes[kind] = max(sizes.get(kind, 0), entry["n"])
            if len(sizes) > 1:
                body = [
                    [kind, sizes[kind], *(_cell(table.get(kind)) for _, table in columns)]
                    for kind in sorted(sizes, key=lambda kind: (-sizes[kind], kind))
                ]
                head = [by.rsplit(" ", 1)[-1], "n", *(label or "score" for label, _ in columns)]
                tables.append({"name": name, "by": by, "head": head, "rows": body})
        if any(entry.get("choices") for _, entry in real):
            tables.append(_class_table(name, real))
        tables += pooled_tables(name, real)
    return tables


def _class_table(name: str, real: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Balanced accuracy and macro-F1, all together and by data set."""
    rows: list[list[Any]] = []
    for label, entry in real:
        for part, of_part in {"all": entry, **entry.get("by_tag", {}).get("dataset", {})}.items():
            choices = of_part.get("choices")
            if choices and choices["classes"]:
                means = [_cell({**choices[key], "n": choices["classes"]}) for key in ("balanced_accuracy", "macro_f1")]
                shown = f"{label}, {part}" if label else part
                rows.append([shown, choices["classes"], *means, f"{choices['chance'] * 100:.1f}"])
    head = ["data set", "classes", "balanced accuracy", "macro-F1", "guessing"]
    return {"name": name, "by": "class", "head": head, "rows": rows}


def _differences(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Table of paired losses: real image minus the controls that are no image, another image or a fixed answer."""
    found = {(entry["protocol"], entry["second"]): entry for entry in scores["differences"]}
    there = {second for _, second in found}
    # a majority answer is no image; a first order of the options is as good as another
    columns = [name for name in _SHORT if name in there and name not in ("majority", "options-shuffled")]
    rows = []
    for protocol in dict.fromkeys(entry["protocol"] for entry in scores["differences"]) if columns else ():
        cells = [_difference(found.get((protocol, name))) for name in columns]
        rows.append([protocol, *cells, *([_kept(found.get((protocol, "blank")))] if "blank" in columns else [])])
    same = [
        f"{share * 100:.0f}% of the answers are word for word the same with {_SHOWN.get(condition, condition)}."
        for condition, share in scores["same_answer"].items()
    ]
    head = ["protocol", *(f"real − {_SHORT[name]}" for name in columns)]
    if "blank" in columns:
        head.append("kept with blank")
    return {"head": head, "rows": rows, "same": same}


_SHOWN = {
    "blank": "a blank image",
    "noise": "a noise image",
    "shuffled": "another's image",
    "text-only": "no image",
}


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
    shuffled = scores["controls"].get("shuffled")
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
    place = scores["controls"].get("position")
    if place:
        facts.append((CONDITION_NAMES["position"], f"always {place['chosen']}, {place['computed_on']}"))
    for name, control in scores["controls"].items():
        if "fall_backs" in control:
            facts.append(
                (
                    CONDITION_NAMES[name],
                    f"of {control['training_records']} {control['computed_on']} "
                    f"by {control.get('by', 'question and answer type')}, "
                    f"{control['fall_backs']} fall-backs",
                )
            )
    if "boxes" in scores:
        best = scores["boxes"]["reference_iou"]
        rounded = "" if best is None else f"; the reference answers themselves have a mean IoU of {best * 100:.1f}"
        facts.append(("boxes", f"written as {', '.join(scores['boxes']['formats'])}{rounded}"))
    return facts
