"""What a report adds for grounding tasks: pictures with true and stated boxes, tables by class and by data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from osler.evaluation import protocols
from osler.evaluation.report_sections import Example, ExampleSection, Section, TableSection

if TYPE_CHECKING:
    from PIL.Image import Image

    from osler.evaluation.predictions import Prediction
    from osler.evaluation.run import Evaluation

_SIDE = 640
NOTE = "Green: true. Orange, dashed: stated by the model, as far as it can be read."


def grounding_sections(evaluation: Evaluation, *, examples: int = 6) -> list[Section]:
    """Sections of an evaluation whose items have regions; none for others.

    Args:
        evaluation: result of `evaluate` or `score_answers`.
        examples: how many pictures; a third each from the best, the middle and the worst.
    """
    sections: list[Section] = [*grounding_tables(evaluation.scores)]
    shown = box_examples(evaluation, count=examples)
    if shown:
        sections.append(ExampleSection(title="Boxes", examples=shown, note=NOTE))
    return sections


def grounding_tables(scores: Mapping[str, Any]) -> list[TableSection]:
    """Boxes found, scores by class, and recognition by data set with and without the region given, as far as known.

    Args:
        scores: content of `scores.json`.
    """
    real = scores["conditions"]["real"]["protocols"]
    sections = []
    if "pooled" in real.get("grounding-acc50", {}):
        sections.append(_summary(real))
    if real.get("grounding-labelled", {}).get("by_class"):
        sections.append(_classes(real["grounding-labelled"]["by_class"]))
    if len(real.get("recognition-strict", {}).get("by_dataset", {})) > 1:
        sections.append(_with_and_without(real))
    return sections


def box_examples(evaluation: Evaluation, *, count: int = 6) -> list[Example]:
    """Items with the best, middling and worst IoU under the real image, with their boxes drawn.

    Items without a true region are left out; equal scores are ordered by id.
    """
    protocol = protocols.get("grounding-iou")
    ranked: list[tuple[float, str, Prediction]] = []
    for prediction in evaluation.predictions:
        regions = prediction.regions
        if prediction.condition == "real" and regions is not None and regions.boxes and regions.asked != "classes":
            found = protocol.score(prediction.answer or "", prediction.reference, regions=regions)
            ranked.append((found.value, prediction.item, prediction))
    ranked.sort(key=lambda entry: (-entry[0], entry[1]))
    share = max(count // 3, 1)
    middle = max((len(ranked) - share) // 2, 0)
    parts = [("best", range(share)), ("middle", range(middle, middle + share))]
    parts.append(("worst", range(len(ranked) - share, len(ranked))))
    seen: set[int] = set()
    examples = []
    for name, positions in parts:
        for position in positions:
            if 0 <= position < len(ranked) and position not in seen:
                seen.add(position)
                value, _, prediction = ranked[position]
                examples.append(
                    Example(
                        image=_drawn(evaluation, prediction),
                        question=prediction.question,
                        reference=prediction.reference,
                        answers={"answer": prediction.answer or "(no answer)"},
                        caption=f"IoU {value:.2f} ({name})",
                    )
                )
    return examples


def _drawn(evaluation: Evaluation, prediction: Prediction) -> Image:
    from osler.images import load_image
    from osler.images.draw_boxes import PREDICTED_COLOUR, TRUE_COLOUR, draw_boxes
    from osler.record_images import resolve_image

    regions = prediction.regions
    assert regions is not None
    image = load_image(resolve_image(evaluation.image_folder, prediction.images[0])).image
    # small pictures are enlarged, so that lines and letters stay fine
    scale = _SIDE / max(image.size)
    image = image.convert("RGB").resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    named = regions.labels if regions.asked == "boxes and classes" else [""] * len(regions.boxes)
    image = draw_boxes(image, regions.boxes, colour=TRUE_COLOUR, labels=named)
    return draw_boxes(image, regions.stated(prediction.answer or "").boxes, colour=PREDICTED_COLOUR, dashed=True)


def _summary(real: Mapping[str, Any]) -> TableSection:
    found = real["grounding-acc50"]
    boxes = found["pooled"]
    rows: list[list[str | int]] = [
        [f"{label}, {words}", _interval(real[name]["by_presence"].get(part))]
        for part, words in (("with_region", "where something is"), ("without_region", "where nothing is"))
        for name, label in (("grounding-iou", "mean IoU"), ("grounding-dice", "mean Dice"))
        if part in real[name]["by_presence"]
    ]
    rows += [
        ["boxes true / stated / found", f"{boxes['true']} / {boxes['predicted']} / {boxes['tp']}"],
        ["precision of boxes", _interval(boxes["precision"])],
        ["recall of boxes", _interval(boxes["recall"])],
        ["F1 of boxes", _interval(boxes["f1"])],
        ["answers without a readable box (parse failures)", f"{found['failures']} of {found['denominator']}"],
    ]
    note = "All boxes of all items together, found from IoU 0.5; per cent, in brackets the 95% interval over images."
    return TableSection(title="Boxes found", head=["", "real image"], rows=rows, note=note)


def _classes(table: Mapping[str, Any]) -> TableSection:
    columns = ("recall", "precision", "iou", "recall_any_class", "iou_any_class")
    rows = [
        [name, entry["true"], entry["predicted"], *(_interval(entry[column]) for column in columns)]
        for name, entry in sorted(table.items(), key=lambda item: (-item[1]["true"], item[0]))
    ]
    head = ["class", "true", "stated", "recall", "precision", "mean IoU", "recall, any name", "mean IoU, any name"]
    note = (
        "Real image. Recall and precision at IoU 0.5 of boxes that are called by the class; mean IoU over the class's "
        'true boxes. "Any name": whatever the stated box is called.'
    )
    return TableSection(title="By class", head=head, rows=rows, note=note)


def _with_and_without(real: Mapping[str, Any]) -> TableSection:
    names = {"abnormality": "without the region", "region": "region given"}
    kinds = real["recognition-strict"]["by_dataset"]
    datasets = sorted({name for entry in kinds.values() for name in entry["datasets"]})
    rows = []
    for protocol in ("recognition-strict", "recognition-lenient"):
        for kind, entry in real.get(protocol, {}).get("by_dataset", {}).items():
            cells = [_interval(entry["datasets"].get(name)) for name in datasets]
            named = protocol.removeprefix("recognition-")
            rows.append([named, names.get(kind, kind), *cells, _interval(entry["macro"])])
    return TableSection(
        title="Recognition with and without the region given",
        head=["named", "question", *datasets, "mean of data sets"],
        rows=rows,
        note="Real image; per cent, in brackets the 95% interval.",
    )


def _interval(entry: Mapping[str, float] | None) -> str:
    return "–" if entry is None else f"{entry['mean'] * 100:.1f} ({entry['low'] * 100:.1f}–{entry['high'] * 100:.1f})"
