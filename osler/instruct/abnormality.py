"""Abnormality instructions: from records with regions to question and answer that state finding, place and class.

The form follows what is known of the MAU data of UMed-LVLM (arXiv 2501.01377); its own templates are not published, so
the wording (`osler.instruct.wording`) is ours. A record comes out for each picture, or with `given_region` one for each
box. The response is a template's, or a writer's (`osler.instruct.two_step`) that asks a model.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, Protocol

from osler import box_formats
from osler.errors import RecordError
from osler.instruct import wording as words
from osler.record_ids import stable_id
from osler.records import IMAGE_PLACEHOLDER, Record, Region, Turn

Wording = Literal["varied", "fixed"]
OnSkip = Callable[[Record, str], None]
# tags that tell of the old question, not of the picture
_OF_THE_QUESTION = ("question_type", "answer_type", "options", "category", "box_format", "dataset", "synonyms")
INCOMPLETE_NOTE = "boxes_set_aside"
INCOMPLETE_TAG = "regions"  # "partial": what is not boxed may be abnormal all the same


class Writer(Protocol):
    """Writes the response of a drafted record instead of the template.

    Attributes:
        generator: for the provenance, for instance the model's name.
        notes: further provenance, for instance the hash of the prompt.
    """

    generator: str
    notes: Mapping[str, str]

    def write(self, draft: Record) -> str | None:
        """The response, or None when none was obtained that passes the checks.

        Args:
            draft: record whose answer is the template's; its regions stand in the order of the answer.
        """
        ...


def abnormality_records(
    records: Iterable[Record],
    *,
    box_format: str = "norm1000_xyxy",
    wording: Wording = "varied",
    seed: int = 0,
    negatives: bool = True,
    given_region: bool = False,
    writer: Writer | None = None,
    classes: Sequence[str] = (),
    max_regions: int | None = None,
    synonyms: Mapping[str, Sequence[str]] | None = None,
    on_skip: OnSkip | None = None,
) -> Iterator[Record]:
    """Instruction records of pictures with regions.

    All records are read before the first comes out, because a picture counts as normal only when no record of it has
    a (wanted) region.

    Args:
        records: one picture each; what they asked before is dropped.
        box_format: name of the convention in which boxes are written, see `osler.box_formats.names`.
        wording: "varied" draws the question from nine for each record; "fixed" always takes the first, as evaluation
            does. The form of the response is the same.
        seed: of that draw.
        negatives: also write pictures without a region: "There is no abnormality." Say False where the absence of a
            box does not mean that the picture is normal.
        given_region: ask for the class of each given box instead.
        writer: writes the responses of pictures with regions; by default the template does.
        classes: keep regions of these labels only; a picture that has none of them counts as without region.
        max_regions: leave out pictures with more.
        synonyms: label to other words for it, kept in the tag `synonyms` for the evaluation.
        on_skip: called with each record that is left out and the reason.

    Yields:
        Records with image, regions (top to bottom, then left to right), subject, study and split of the old one; a new
        id; tags `question_type` ("abnormality" or "region"), `answer_type`, `box_format`, `dataset`, and for pictures
        with regions `category` (labels, sorted, joined by "|").

    Raises:
        RecordError: unknown wording or class, or a writer together with `given_region`.
        BoxError: unknown box format.
    """
    codec = box_formats.get(box_format)
    if wording not in ("varied", "fixed"):
        raise RecordError(f"wording is {wording!r}; want 'varied' or 'fixed'")
    if writer is not None and given_region:
        raise RecordError("a writer describes whole pictures; with given_region the template answers")
    everything = list(records)
    _check_classes(everything, classes)
    boxed = {_picture(record) for record in everything if _kept(record, classes)}
    seen: set[tuple[object, ...]] = set()
    for record in everything:
        regions = _kept(record, classes)
        reason = _reason_to_skip(record, regions, boxed, negatives and not given_region, max_regions)
        key = (_picture(record), tuple((region.label, region.box) for region in regions))
        if reason is None and key in seen:
            reason = "same picture and regions as an earlier record"
        if reason is not None:
            if on_skip is not None:
                on_skip(record, reason)
            continue
        seen.add(key)
        texts = [codec.to_text(region.box) for region in regions]
        if given_region:
            for number, (region, text) in enumerate(zip(regions, texts, strict=True)):
                yield _instruction(
                    record,
                    (region,),
                    question=words.REGION_QUESTION.format(box=text),
                    answer=words.naming(region.label),
                    kind="region",
                    part=number,
                    box_format=box_format,
                    synonyms=synonyms,
                )
            continue
        draft = _instruction(
            record,
            tuple(regions),
            question=_question(record, wording, seed),
            answer=words.response(texts, [region.label for region in regions]),
            kind="abnormality",
            part=0,
            box_format=box_format,
            synonyms=synonyms,
        )
        if writer is None or not regions:
            yield draft
            continue
        answer = writer.write(draft)
        if answer is not None:
            yield _rewritten(draft, answer, writer)
        elif on_skip is not None:
            on_skip(record, "the writer gave no response that passes the checks")


def _kept(record: Record, classes: Sequence[str]) -> list[Region]:
    """Regions of the wanted classes, in reading order."""
    wanted = (region for region in record.regions if not classes or region.label in classes)
    return sorted(wanted, key=_reading_order)


def _reason_to_skip(
    record: Record, regions: Sequence[Region], boxed: set[tuple[object, ...]], negatives: bool, most: int | None
) -> str | None:
    if len(record.images) != 1:
        return "not exactly one image"
    if most is not None and len(regions) > most:
        return f"more than {most} regions"
    if regions:
        return None
    if not negatives:
        return "no region"
    if _picture(record) in boxed:
        return "no region here, but in another record of the picture"
    if record.provenance.notes.get(INCOMPLETE_NOTE) or record.tags.get(INCOMPLETE_TAG) == "partial":
        return "no region, but not all of the picture's abnormalities are boxed"
    return None


def _instruction(
    record: Record,
    regions: tuple[Region, ...],
    *,
    question: str,
    answer: str,
    kind: str,
    part: int,
    box_format: str,
    synonyms: Mapping[str, Sequence[str]] | None,
) -> Record:
    labels = sorted({region.label for region in regions})
    tags = {name: value for name, value in record.tags.items() if name not in _OF_THE_QUESTION}
    tags |= {
        "question_type": kind,
        "answer_type": "OPEN",
        "box_format": box_format,
        "dataset": record.provenance.source,
    }
    if labels:
        tags["category"] = "|".join(labels)
    others = {label: list(synonyms[label]) for label in labels if label in synonyms} if synonyms else {}
    if others:
        tags["synonyms"] = json.dumps(others, ensure_ascii=False)
    return Record(
        id=stable_id("abnormality", words.VERSION, record.id, kind, part),
        images=record.images,
        turns=(Turn(role="user", text=f"{IMAGE_PLACEHOLDER}\n{question}"), Turn(role="assistant", text=answer)),
        regions=regions,
        subject=record.subject,
        study=record.study,
        tags=tags,
        provenance=record.provenance.model_copy(update={"generator": words.GENERATOR}),
    )


def _rewritten(draft: Record, answer: str, writer: Writer) -> Record:
    notes = {**draft.provenance.notes, **writer.notes}
    provenance = draft.provenance.model_copy(update={"generator": writer.generator, "notes": notes})
    return draft.model_copy(
        update={"turns": (draft.turns[0], Turn(role="assistant", text=answer)), "provenance": provenance}
    )


def _question(record: Record, wording: Wording, seed: int) -> str:
    if wording == "fixed":
        return words.QUESTION
    return random.Random(f"{seed}\n{record.id}").choice((words.QUESTION, *words.PARAPHRASES))


def _reading_order(region: Region) -> tuple[float, float, float, float, str]:
    box = region.box
    return box.y1, box.x1, box.y2, box.x2, region.label


def _picture(record: Record) -> tuple[object, ...]:
    return tuple((image.path, image.frame) for image in record.images)


def _check_classes(records: Sequence[Record], classes: Sequence[str]) -> None:
    if not classes:
        return
    known = sorted({region.label for record in records for region in record.regions})
    for name in classes:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise RecordError(f"no region is labelled {name!r}{hint} Labels: {', '.join(known) or 'none'}")
