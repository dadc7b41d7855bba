"""What a report is made of: sections, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.evaluation.browser_items import BrowserSection
from osler.evaluation.controls import CONTROLS

if TYPE_CHECKING:
    from PIL.Image import Image


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
class PlotSection:
    """Plots that were drawn as inline SVG.

    Args:
        title: heading.
        plots: (caption, `<svg>` element, note) of each; the element must be our own drawing, it is not escaped.
        note: below.
    """

    title: str
    plots: Sequence[tuple[str, str, str]]
    note: str = ""
    kind: str = field(default="plots", init=False)


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
    conditions: Sequence[str] = ("real", *CONTROLS)
    question_types: bool = True
    kind: str = field(default="scores", init=False)


Section = (
    TextSection
    | TableSection
    | PictureSection
    | PlotSection
    | ExampleSection
    | FunnelSection
    | ScoresSection
    | BrowserSection
)
