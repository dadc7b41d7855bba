"""Self-contained HTML reports: one file that opens anywhere, without network, on a phone too.

A report is a title and sections. `report_evaluation` makes the report of one evaluation; `render_report` puts any
sections together, for instance two evaluations, a training curve, example pictures and the funnel of the data.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.errors import OslerError
from osler.evaluation.report_browser import browser_section
from osler.evaluation.report_details import breakdown_section, confidence_sections, judge_section, order_sections
from osler.evaluation.report_grounding import grounding_sections
from osler.evaluation.report_scores import CONDITION_NAMES, score_view
from osler.evaluation.report_sections import (
    Example,
    ExampleSection,
    FunnelSection,
    FunnelStep,
    PictureSection,
    PlotSection,
    ScoresSection,
    Section,
    TableSection,
    TextSection,
)
from osler.evaluation.report_summary import headline, summary_section
from osler.evaluation.scores import DISCLAIMER

if TYPE_CHECKING:
    from PIL.Image import Image

    from osler.evaluation.run import Evaluation

__all__ = [
    "Example",
    "ExampleSection",
    "FunnelSection",
    "FunnelStep",
    "PictureSection",
    "PlotSection",
    "ScoresSection",
    "Section",
    "TableSection",
    "TextSection",
    "embed_file",
    "example_items",
    "render_report",
    "report_evaluation",
    "thumbnail",
]

_TEMPLATES = Path(__file__).parent


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
        disclaimer: at top and bottom; that of `osler.evaluation.scores` by default ("not for clinical use").

    Returns:
        The path.

    Raises:
        OslerError: when a picture cannot be read.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = browser_script() if any(section.kind == "browser" for section in sections) else ""
    environment.globals |= {
        "script": Markup(script),
        "script_source": script_source(script),
        "drawing": Markup,
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
    # a lone surrogate in an answer must not cost the report
    path.write_bytes(html.encode("utf-8", "replace"))
    return path


def browser_script() -> str:
    """The only script of a report; it filters the error browser and loads nothing."""
    return (_TEMPLATES / "report_browser.js").read_text(encoding="utf-8")


def script_source(script: str) -> str:
    """What the page's policy lets run: this script by its hash, or none. Markup that slips in runs nothing."""
    if not script:
        return "'none'"
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def report_evaluation(evaluation: Evaluation, *, examples: int = 6) -> Path:
    """Write `report.html` of one evaluation: summary, scores, breakdowns, confidence, every item.

    Args:
        evaluation: result of `evaluate` or `score_answers`.
        examples: of grounding tasks: how many items to show with their boxes drawn.
    """
    scores = evaluation.scores
    task, chosen = scores["task"], headline(scores)
    sections: list[Section] = [summary_section(scores)]
    if scores["warnings"]:
        sections.append(TextSection(title="Read this first", warnings=scores["warnings"]))
    sections.append(ScoresSection(title="Scores", results=[("", scores)]))
    sections += breakdown_section(scores, chosen)
    sections += order_sections(scores)
    sections += confidence_sections(scores, chosen)
    sections += judge_section(scores)
    sections += grounding_sections(evaluation, examples=examples)
    browser = browser_section(evaluation, chosen=chosen)
    if browser is not None:
        sections.append(browser)
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
            for condition, label in CONDITION_NAMES.items()
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
