"""One article version becomes records, one a figure, and a list of what was left out and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from osler.errors import ImageError, OslerError, RecordError
from osler.images import file_sha256, load_image
from osler.record_ids import stable_id
from osler.record_mentions import MENTIONS_NOTE, PANELS_NOTE, Mention, mentions_note, panels_note
from osler.records import IMAGE_PLACEHOLDER, ImageRef, Provenance, Record, Turn
from osler.sources.pmc.article_xml import MAX_BYTES as XML_BYTES
from osler.sources.pmc.filters import Drop, Filters
from osler.sources.pmc.jats import Article, Figure, parse_article
from osler.sources.pmc.keys import ObjectRef
from osler.sources.pmc.mentions import mentions_of
from osler.sources.pmc.metadata import Metadata, parse_metadata
from osler.sources.pmc.plan import Planned
from osler.sources.pmc.stores import ObjectProblem, Store

SOURCE = "pmc-oa"
# in this order where several files share a stem
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".webp", ".bmp")
_ONE, _SEVERAL = "Describe this image.", "Describe these images."


class Reject(NamedTuple):
    """Something left out.

    Args:
        article: "PMC123.1".
        figure: id of the figure; "" for the whole article.
        code: short, for counting.
        reason: with the facts.
    """

    article: str
    figure: str
    code: str
    reason: str


@dataclass(slots=True)
class Outcome:
    """What became of one article.

    Args:
        records: one a figure.
        rejects: what was left out.
        figures: how many figures the article has, kept or not.
        temporary: whether something could not be fetched that another run may get.
    """

    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    figures: int = 0
    temporary: bool = False


def harvest_article(planned: Planned, *, store: Store, filters: Filters, around: int = 1) -> Outcome:
    """Read one article; whatever is wrong with it ends in the rejects, a fault of Osler's own included.

    Args:
        planned: the article and its newest version.
        store: where its files come from.
        filters: what is asked for.
        around: sentences to keep before and after each mention.

    Raises:
        SourceError: the store cannot work at all (offline, disk full).
    """
    try:
        return _harvested(planned, store, filters, around)
    except OslerError:
        raise
    except Exception as error:  # one article of millions must not end the run; it is counted and named
        name = f"PMC{planned.number}" if planned.listed is None else planned.listed.version.name
        reason = f"{type(error).__name__}: {error}"
        return Outcome(rejects=[Reject(name, "", "unexpected", f"{reason[:300]} (please report this)")])


def _harvested(planned: Planned, store: Store, filters: Filters, around: int) -> Outcome:
    outcome = Outcome()
    name = f"PMC{planned.number}" if planned.listed is None else planned.listed.version.name
    if planned.listed is None:
        outcome.rejects.append(Reject(name, "", "absent", "there is no such article in the bucket"))
        return outcome
    stage = "metadata"
    try:
        data = store.metadata(planned.listed)
        metadata = parse_metadata(data, planned.listed.version, bucket=store.bucket)
        outcome.rejects.extend(Reject(name, "", "unsafe-name", reason) for reason in metadata.refused)
        if (drop := filters.metadata(metadata)) is not None:
            outcome.rejects.append(Reject(name, "", *drop))
            return outcome
        stage = "xml"
        if metadata.xml is None:
            raise ObjectProblem("missing", "the metadata name no XML")
        article = parse_article(store.file(metadata.xml, limit=XML_BYTES).read_bytes())
        if article.pmcid and article.pmcid != metadata.version.pmcid:
            raise RecordError(f"is of {article.pmcid}, not of {metadata.version.pmcid}")
    except ObjectProblem as problem:
        outcome.rejects.append(Reject(name, "", f"{stage}-{problem.code}", problem.reason))
        outcome.temporary = problem.temporary
        return outcome
    except RecordError as error:
        where = f"line {error.line}: " if error.line else ""
        outcome.rejects.append(Reject(name, "", f"{stage}-broken", where + error.reason))
        return outcome
    outcome.figures = len(article.figures)
    dropped = filters.article(article)
    if dropped is None and not article.figures:
        dropped = Drop("no-figures", "the article has no figures")
    if dropped is not None:
        outcome.rejects.append(Reject(name, "", *dropped))
        return outcome
    _figures(outcome, article, metadata, store, filters, around)
    return outcome


def _figures(
    outcome: Outcome, article: Article, metadata: Metadata, store: Store, filters: Filters, around: int
) -> None:
    name = metadata.version.name
    media = _by_name(metadata.media)
    mentions = mentions_of(article.figures, article.paragraphs, around=around)
    ids: set[str] = set()
    shown: dict[tuple[str | None, ...], str] = {}
    for number, figure in enumerate(article.figures, start=1):
        shown_id = figure.id[:200] or f"number {number}"
        try:
            if figure.id in ids:
                raise ObjectProblem("duplicate-figure", "another figure of the article has this id")
            ids.add(figure.id)
            if (drop := filters.figure(figure)) is not None:
                raise ObjectProblem(*drop)
            images = tuple(_images(figure, media, store, filters))
            pictures = tuple(image.sha256 for image in images)
            if pictures in shown:
                raise ObjectProblem("duplicate-picture", f"figure {shown[pictures]} shows the same")
            shown[pictures] = shown_id
            outcome.records.append(_record(figure, images, mentions[figure.id], article, metadata))
        except ObjectProblem as problem:
            outcome.rejects.append(Reject(name, shown_id, problem.code, problem.reason))
            outcome.temporary |= problem.temporary
        except ValidationError as error:
            reason = "; ".join(str(item["msg"]) for item in error.errors())
            outcome.rejects.append(Reject(name, shown_id, "record", reason))


def _images(figure: Figure, media: Mapping[str, ObjectRef], store: Store, filters: Filters) -> Iterator[ImageRef]:
    """The figure's pictures, fetched, decoded once, measured and hashed.

    Raises:
        ObjectProblem: one cannot be had, read, or is left out.
    """
    for graphic in figure.graphics:
        ref = find_media(graphic, media)
        if ref is None:
            raise ObjectProblem("picture-missing", f"the metadata name no picture {graphic[:120]!r}")
        try:
            path = store.file(ref, limit=filters.max_file_bytes)
            width, height = _measured(path, filters)
            digest = file_sha256(path)
        except ObjectProblem as problem:
            raise ObjectProblem(f"picture-{problem.code}", problem.reason, temporary=problem.temporary) from problem
        except ImageError as error:
            raise ObjectProblem("picture-broken", f"{ref.key}: {error.reason}") from error
        if (drop := filters.picture(width, height)) is not None:
            raise ObjectProblem(drop.code, f"{ref.key}: {drop.reason}")
        yield ImageRef(path=ref.key, width=width, height=height, sha256=digest)


def _measured(path: Path, filters: Filters) -> tuple[int, int]:
    """Decode a picture, so that a record never names one that cannot be read; its size after orientation."""
    info = load_image(path, max_pixels=filters.max_pixels).info
    return info.width, info.height


def find_media(graphic: str, media: Mapping[str, ObjectRef]) -> ObjectRef | None:
    """The picture file that a figure means: by its whole name, or by the name without suffix."""
    name = graphic.rpartition("/")[2].lower()
    if name in media and name.endswith(SUFFIXES):
        return media[name]
    stems = [name] + [name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)]
    return next((media[stem + suffix] for stem in stems for suffix in SUFFIXES if stem + suffix in media), None)


def _by_name(media: Sequence[ObjectRef]) -> dict[str, ObjectRef]:
    """Files by name in lower case: articles and bucket do not always agree on the case of suffixes."""
    return {ref.name.lower(): ref for ref in media}


def _record(
    figure: Figure, images: tuple[ImageRef, ...], mentions: list[Mention], article: Article, metadata: Metadata
) -> Record:
    pmcid = metadata.version.pmcid
    facts: dict[str, Any] = {
        "pmcid": pmcid,
        "version": metadata.version.version,
        "pmid": metadata.pmid or article.pmid,
        "doi": metadata.doi or article.doi,
        "title": metadata.title or article.title,
        "citation": metadata.citation,
        "journal": article.journal,
        "published": article.published,
        "retracted": metadata.retracted or None,
        "licence_text": article.licence_text,
        "third_party_rights": figure.rights,
        "figure_id": figure.id,
        "figure_label": figure.label,
        PANELS_NOTE: panels_note(figure.panels) if figure.panels else "",
        MENTIONS_NOTE: mentions_note(mentions) if mentions else "",
    }
    tags = {"article_type": article.kind, "graphical_abstract": "yes" if figure.abstract else ""}
    question = _ONE if len(images) == 1 else _SEVERAL
    return Record(
        id=stable_id(SOURCE, pmcid, figure.id),
        images=images,
        turns=(
            Turn(role="user", text=f"{IMAGE_PLACEHOLDER}\n" * len(images) + question),
            Turn(role="assistant", text=figure.caption),
        ),
        study=pmcid,
        tags={name: text for name, text in tags.items() if text},
        provenance=Provenance(
            source=SOURCE,
            licence=metadata.licence or article.licence or "unstated",
            url=f"https://pmc.ncbi.nlm.nih.gov/articles/{pmcid}/",
            generator="human",
            notes={name: value for name, value in facts.items() if value not in ("", None)},
        ),
    )
