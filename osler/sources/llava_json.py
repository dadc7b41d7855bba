"""`llava-json`: a LLaVA-style JSON file (also LLaVA-Med, LoGra-Med) and its image folder, turned into records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import SourceError
from osler.record_files import check_images, read_llava, resolve_image, write_records
from osler.records import ImageRef, Record
from osler.sources.base import Fetched, Say, check_options


class LlavaJsonSource:
    """Reads `id`, `image`, `conversations` (or `conversatons`), `conversations_long`; writes one record file."""

    name = "llava-json"
    title = "LLaVA-style JSON and an image folder"
    licence = "of your data"
    url = ""
    description = (
        "Instruction or alignment data as LLaVA, LLaVA-Med and LoGra-Med store them. Bad items are set aside with "
        "line and reason; images are checked and stay where they are."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "the JSON or JSONL file",
        "images": "folder that image paths are relative to (default: the folder of the file)",
        "out": "name of the record file (default: the file's name with .jsonl)",
        "source": "name of the data set for the provenance",
        "licence": "of the data, for the provenance",
        "split": "train, dev or test, for the provenance",
        "derive_ids": "yes: make ids from the content, for files whose ids are absent or occur twice",
        "missing_images": "drop: leave out records whose image file is absent (counted); default: stop",
    }

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Validate items and images, write `<out>` with image sizes filled in, and `<out>.rejects.jsonl`."""
        check_options(self, options, required=("from",))
        origin = Path(options["from"])
        images = Path(options.get("images") or origin.parent)
        if not images.is_dir():
            raise SourceError(f"{images}: no such image folder; name it with images=FOLDER")
        missing = options.get("missing_images", "stop")
        if missing not in ("stop", "drop"):
            raise SourceError(f"missing_images={missing!r} is unknown; want stop or drop")
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / (options.get("out") or origin.with_suffix(".jsonl").name)
        if target.resolve() == origin.resolve():
            raise SourceError(f"{target}: would overwrite its own input; choose another folder or out=NAME")
        if say is not None:
            say(f"reading {origin}")
        rejects = target.with_name(target.name + ".rejects.jsonl")
        records = read_llava(
            origin,
            source=options.get("source") or origin.stem,
            licence=options.get("licence") or "unstated",
            split=options.get("split"),
            derive_ids=str(options.get("derive_ids", "no")).lower() in ("yes", "true", "1"),
            on_error="reject",
            rejects=rejects,
        )
        if say is not None:
            say(f"checking the images of {len(records)} records in {images}")
        from osler.images import image_size

        report = check_images(records, images, size_of=image_size)
        absent = {problem.record_id for problem in report.problems if problem.kind == "missing"}
        others = tuple(problem for problem in report.problems if problem.kind != "missing")
        if others or (absent and missing == "stop"):
            report.raise_for_problems()
        sizes: dict[Path, tuple[int, int]] = {}
        kept = [_sized(record, images, sizes) for record in records if record.id not in absent]
        if not kept:
            raise SourceError(
                f"{origin}: no usable record ({len(records.rejected)} items were rejected); see {rejects}"
            )
        count = write_records(kept, target)
        remarks = [f"Image paths are relative to {images}: pass it as the image folder of {target.name}."]
        if absent:
            remarks.append(f"{len(absent)} records were left out because their image file is absent.")
        if records.rejected:
            reasons = Counter(reject.reason for reject in records.rejected).most_common(3)
            remarks.append("Commonest reasons for rejection: " + "; ".join(f"{text} ({n})" for text, n in reasons))
        rejected = {str(rejects.name): len(records.rejected)} if records.rejected else {}
        return Fetched(folder, {target.name: count}, rejects=rejected, images=images, remarks=tuple(remarks))

    def state(self) -> str:
        """Needs the user's file."""
        return "reads your own file: from=FILE"


def _sized(record: Record, images: Path, sizes: dict[Path, tuple[int, int]]) -> Record:
    """Fill in image sizes, without which boxes have no meaning."""
    from osler.images import image_size

    references: list[ImageRef] = []
    for reference in record.images:
        path = resolve_image(images, reference)
        if path not in sizes:
            sizes[path] = image_size(path)
        width, height = sizes[path]
        references.append(reference.model_copy(update={"width": width, "height": height}))
    return record.model_copy(update={"images": tuple(references)})
