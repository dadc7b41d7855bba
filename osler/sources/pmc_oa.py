"""`pmc-oa`: figures and captions of PubMed Central's open-access articles, from the public bucket or a local mirror.

A harvest folder holds `plan.sqlite3` (which articles), `mirror/` (what was fetched, in the bucket's own layout),
`figures/` (shards of records, whose image paths are relative to the mirror), `figures.rejects.jsonl` (what was left out
and why) and `harvest.json` (counts). See `docs/harvest.md`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Literal

from osler.errors import SourceError
from osler.sources.base import Fetched, Say, check_options
from osler.sources.pmc import bucket as s3
from osler.sources.pmc import candidates
from osler.sources.pmc.candidates import WantedId
from osler.sources.pmc.filters import Filters, check_date
from osler.sources.pmc.keys import BUCKET
from osler.sources.pmc.plan import Plan
from osler.sources.pmc.polite_http import PoliteClient
from osler.sources.pmc.run import Settings, Summary, locked, write_shards
from osler.sources.pmc.stores import FolderStore, Listed, ObjectProblem

Progress = Callable[[str, int], Callable[[int], None]]
"""Told what is counted and how many there are; gives what is called with the number done."""
Kind = Literal["ids", "query", "inventory", "mirror"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which articles.

    Args:
        kind: "ids" (a file), "query" (Entrez), "inventory" (all of the bucket), or "mirror" (all of a local folder).
        value: file, term, day (empty for the newest) or folder.
        released_since: of a query: first date of release in PubMed Central.
        released_until: last date.
        changed_since: first date of the last change of the article's metadata in the bucket.
        changed_until: last date.
        limit: at most so many, the lowest numbers.

    Raises:
        SourceError: a date that is none, dates of release without a query, or a limit below 1.
    """

    kind: Kind
    value: str = ""
    released_since: str = ""
    released_until: str = ""
    changed_since: str = ""
    changed_until: str = ""
    limit: int | None = None

    def __post_init__(self) -> None:
        for date in (self.released_since, self.released_until, self.changed_since, self.changed_until):
            check_date(date)
        if (self.released_since or self.released_until) and self.kind != "query":
            raise SourceError("dates of release are part of a query; use dates of change or of publication instead")
        if self.limit is not None and self.limit < 1:
            raise SourceError(f"limit={self.limit}: want 1 or more")


@dataclass(frozen=True, slots=True)
class Access:
    """How the bucket is reached.

    Args:
        url: of the bucket.
        bucket: name in the metadata's addresses.
        search_url: of ESearch.
        email: told to NCBI with queries, if given.
        rate: requests a second.
        connections: at a time.
        retries: see `PoliteClient`.
        timeout: seconds.
    """

    url: str = s3.URL
    bucket: str = BUCKET
    search_url: str = candidates.ESEARCH
    email: str = ""
    rate: float = 5.0
    connections: int = 4
    retries: int = 5
    timeout: float = 30.0


def harvest(
    folder: str | Path,
    selection: Selection,
    *,
    settings: Settings = Settings(),
    access: Access = Access(),
    workers: int = 1,
    update: bool = False,
    redo: bool = False,
    say: Say | None = None,
    progress: Progress | None = None,
) -> Summary:
    """List, fetch and read articles into record shards; run again after an interruption, it goes on.

    Args:
        folder: of the harvest.
        selection: which articles.
        settings: filters and how records are cut into files.
        access: to the bucket; unused for a mirror, but for the bucket's name.
        workers: processes that read a mirror.
        update: list again, fetch what has changed, and make the shards with changed articles anew.
        redo: make all shards anew.
        say: is told in one line at a time what is being done.
        progress: draws progress.

    Raises:
        SourceError: nothing matches, the bucket cannot be reached, or the folder holds another harvest.
        RecordError: an id file with a line that is no id.
        OslerError: the disk is full.
    """
    folder = Path(folder)
    with locked(folder):
        return _harvest(
            folder,
            selection,
            settings,
            access,
            workers,
            update,
            redo,
            say or (lambda _: None),
            progress or (lambda label, total: lambda count: None),
        )


def _harvest(
    folder: Path,
    selection: Selection,
    settings: Settings,
    access: Access,
    workers: int,
    update: bool,
    redo: bool,
    say: Say,
    progress: Progress,
) -> Summary:
    plan = Plan(folder / "plan.sqlite3")
    client = PoliteClient(
        rate=access.rate, retries=access.retries, timeout=access.timeout, connections=access.connections
    )
    local = FolderStore(Path(selection.value), access.bucket) if selection.kind == "mirror" else None
    store = local or s3.BucketStore(folder / "mirror", client, url=access.url, bucket=access.bucket)
    try:
        _check_same(plan, _fingerprint(selection), folder, update)
        if update or plan.fact("listed") != "yes":
            if update:
                plan.note("listed", "no")
                plan.clear()
            _list(plan, selection, access, client, store, say, progress)
            plan.note("listed", "yes")
        chosen = {"changed_since": selection.changed_since, "changed_until": selection.changed_until}
        count = sum(1 for _ in plan.articles(**chosen, limit=selection.limit))
        if not count:
            raise SourceError(f"{folder}: no article was changed in that time; widen the dates")
        say(f"{count} articles")
        return write_shards(
            plan.articles(**chosen, limit=selection.limit),
            folder,
            store=store,
            settings=settings,
            workers=workers if local else access.connections,
            processes=local is not None,
            redo=redo,
            advance=progress("articles", count),
        )
    except ObjectProblem as problem:
        raise SourceError(f"{problem.reason}. What was done is kept: run the same command again to go on") from problem
    finally:
        client.close()
        plan.close()


def _list(
    plan: Plan,
    selection: Selection,
    access: Access,
    client: PoliteClient,
    store: FolderStore | s3.BucketStore,
    say: Say,
    progress: Progress,
) -> None:
    if isinstance(store, FolderStore):
        say(f"listing {store.folder}")
        plan.replace(store.listed())
        return
    if selection.kind == "inventory":
        say("reading the inventory")
        plan.replace(candidates.inventory(store, day=selection.value))
        return
    if selection.kind == "ids":
        wanted = candidates.read_ids(Path(selection.value))
    else:
        say("asking Entrez")
        since, until = selection.released_since, selection.released_until
        # at most three requests a second, as NCBI asks of those without a key
        slow = PoliteClient(rate=min(3.0, access.rate), retries=access.retries, timeout=access.timeout)
        try:
            wanted = candidates.search(
                slow, selection.value, since=since, until=until, email=access.email, url=access.search_url
            )
        finally:
            slow.close()
    _look_up(plan, wanted, store, access.connections, progress)


def _look_up(
    plan: Plan, wanted: Iterable[WantedId], store: s3.BucketStore, connections: int, progress: Progress
) -> None:
    """Find the versions of each id; those that an interrupted run has found already are not asked for again."""
    by_number = {
        number: {item.version for item in items}
        for number, items in groupby(sorted(wanted, key=lambda item: (item.number, item.version or 0)), lambda i: i[0])
    }
    missing = [number for number in by_number if not plan.has(number)]
    advance = progress("ids", len(missing))
    with ThreadPoolExecutor(connections) as pool:
        try:
            for number, found in zip(missing, pool.map(lambda n: store.versions(f"PMC{n}"), missing), strict=True):
                plan.add(number, _asked_for(found, by_number[number]))
                advance(1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _asked_for(found: list[Listed], versions: set[int | None]) -> list[Listed]:
    """All versions, or up to the newest of those that were named."""
    if None in versions:
        return found
    named = [item for item in found if item.version.version in versions]
    return [item for item in found if item.version <= max(named).version] if named else []


def _fingerprint(selection: Selection) -> str:
    """What the plan is made of; the rest of a selection only chooses from it."""
    value = selection.value
    if selection.kind == "ids":
        try:
            value = hashlib.sha256(Path(value).read_bytes()).hexdigest()
        except OSError as error:
            raise SourceError(f"{value}: cannot be read: {error.strerror}") from error
    elif selection.kind == "mirror":
        value = str(Path(value).resolve())
    return json.dumps([selection.kind, value, selection.released_since, selection.released_until])


def _check_same(plan: Plan, fingerprint: str, folder: Path, update: bool) -> None:
    before = plan.fact("selection")
    if before is not None and before != fingerprint and not update:
        raise SourceError(
            f"{folder}: holds a harvest of another selection; ask for an update to replace it, or take another folder"
        )
    plan.note("selection", fingerprint)


class PmcOaSource:
    """The same through `osler data get pmc-oa`, with the options that most need; `osler data harvest` has all."""

    name = "pmc-oa"
    title = "PubMed Central open access: figures and captions"
    licence = "of each article (CC BY and CC0 unless asked otherwise)"
    url = "https://pmc.ncbi.nlm.nih.gov/tools/cloud/"
    description = (
        "Fetches articles from the public bucket, or reads a local mirror of it, and writes a record a figure with its "
        "caption, panels and the sentences that mention it. Resumable; `osler data harvest` has all options."
    )
    options: ClassVar[Mapping[str, str]] = {
        "ids": "file of article ids, one a line",
        "query": "search term of Entrez",
        "inventory": "day of an inventory (YYYY-MM-DD), or newest",
        "mirror": "folder in the bucket's layout",
        "licences": "codes to take, separated by commas (default CC0,CC BY)",
        "limit": "at most so many articles",
    }

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Harvest into a folder."""
        check_options(self, options)
        kinds = [kind for kind in ("ids", "query", "inventory", "mirror") if options.get(kind)]
        if len(kinds) != 1:
            raise SourceError("source 'pmc-oa' needs one of ids=, query=, inventory= and mirror=")
        kind: Any = kinds[0]
        value = "" if options[kind] == "newest" else str(options[kind])
        limit = str(options.get("limit") or "")
        if limit and not limit.isdigit():
            raise SourceError(f"limit={limit!r} is no number")
        codes = [code.strip() for code in str(options.get("licences") or "").split(",") if code.strip()]
        filters = Filters(licences=tuple(codes)) if codes else Filters()
        selection = Selection(kind, value, limit=int(limit) if limit else None)
        summary = harvest(folder, selection, settings=Settings(filters), say=say)
        if not summary.records:
            raise SourceError(f"{folder}: no figure was kept; {folder / 'figures.rejects.jsonl'} says why")
        return Fetched(
            folder,
            {path.relative_to(folder).as_posix(): _lines(path) for path in summary.shards},
            rejects={"figures.rejects.jsonl": sum(summary.left_out.values())} if summary.left_out else {},
            images=summary.images,
            remarks=(f"Image paths are relative to {summary.images}.",),
        )

    def state(self) -> str:
        """Needs the network, or a mirror."""
        return "fetches from the public bucket when asked, or mirror=FOLDER"


def _lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(1 for _ in stream)
