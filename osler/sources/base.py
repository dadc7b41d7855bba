"""`Source`: a public data set, a sample set or a user's own folder that can be turned into record files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from osler.errors import SourceError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a source wrote.

    Args:
        folder: that holds the record files; image paths in them are relative to it unless `images` says otherwise.
        files: record count by file name.
        rejects: lines set aside, by file that lists them.
        images: image folder, where it is not `folder`.
        remarks: what a user should know, one sentence each.
    """

    folder: Path
    files: Mapping[str, int]
    rejects: Mapping[str, int] = field(default_factory=dict)
    images: Path | None = None
    remarks: tuple[str, ...] = ()


@runtime_checkable
class Source(Protocol):
    """One data set or kind of folder.

    Attributes:
        name: as typed on the command line.
        title: for people.
        licence: of the data.
        url: public home, or "".
        description: one or two sentences.
        options: what `get` takes besides the folder, with a line of help each.
    """

    name: str
    title: str
    licence: str
    url: str
    description: str
    options: ClassVar[Mapping[str, str]]

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Write record files into a folder.

        Raises:
            SourceError: unknown option, or data absent, altered or unreachable.
            RecordError: the data do not validate.
        """
        ...

    def state(self) -> str:
        """In a few words: what it needs before `get` can run, and what of that is here already."""
        ...


# name on the command line -> module and class; imported when asked for
_SOURCES = {
    "sample": ("osler.sources.sample_source", "SampleSource"),
    "phantom": ("osler.sources.phantom_source", "PhantomSource"),
    "vqa-rad": ("osler.sources.vqa_rad_source", "VqaRadSource"),
    "slake": ("osler.sources.slake", "SlakeSource"),
    "path-vqa": ("osler.sources.path_vqa", "PathVqaSource"),
    "pmc-vqa": ("osler.sources.pmc_vqa", "PmcVqaSource"),
    "omnimedvqa": ("osler.sources.omnimedvqa", "OmniMedVqaSource"),
    "mmmu-med": ("osler.sources.mmmu_med", "MmmuMedSource"),
    "medvh": ("osler.sources.medvh", "MedVhSource"),
    "llava-med-chat": ("osler.sources.llava_med_chat", "LlavaMedChatSource"),
    "iu-xray": ("osler.sources.iu_xray", "IuXraySource"),
    "roco": ("osler.sources.roco", "RocoSource"),
    "mimic-reports": ("osler.sources.mimic_reports", "MimicReportsSource"),
    "med-grit": ("osler.sources.med_grit", "MedGritSource"),
    "pmc-oa": ("osler.sources.pmc_oa", "PmcOaSource"),
    "llava-json": ("osler.sources.llava_json", "LlavaJsonSource"),
    "pascal-voc": ("osler.sources.pascal_voc", "PascalVocSource"),
    "coco-boxes": ("osler.sources.coco_boxes", "CocoBoxesSource"),
    "ms-cxr": ("osler.sources.ms_cxr", "MsCxrSource"),
    "tbx11k": ("osler.sources.tbx11k", "Tbx11kSource"),
    "nih-boxes": ("osler.sources.nih_boxes", "NihBoxesSource"),
    "vindr-cxr": ("osler.sources.vindr_cxr", "VinDrCxrSource"),
    "deeplesion": ("osler.sources.deeplesion", "DeepLesionSource"),
    "kvasir-seg": ("osler.sources.kvasir_seg", "KvasirSegSource"),
    "kidney-stone": ("osler.sources.kidney_stone", "KidneyStoneSource"),
    "dicom-regions": ("osler.sources.dicom_regions", "DicomRegionsSource"),
    "image-csv": ("osler.sources.image_folder", "ImageCsvSource"),
}


def names() -> tuple[str, ...]:
    """Names of all sources."""
    return tuple(_SOURCES)


def get(name: str) -> Source:
    """The source of a name.

    Raises:
        SourceError: no such source; names the nearest one.
    """
    if name not in _SOURCES:
        near = get_close_matches(name, _SOURCES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SourceError(f"no source {name!r}{hint} Known: {', '.join(_SOURCES)}")
    module, cls = _SOURCES[name]
    source = getattr(import_module(module), cls)()
    assert isinstance(source, Source)
    return source


def check_options(source: Source, options: Mapping[str, Any], *, required: tuple[str, ...] = ()) -> None:
    """Refuse options that a source does not know, and the absence of those it cannot do without.

    Raises:
        SourceError: names the option and the nearest known one.
    """
    for option in options:
        if option not in source.options:
            near = get_close_matches(option, source.options, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            known = ", ".join(source.options) or "none"
            raise SourceError(f"source {source.name!r} has no option {option!r}{hint} Its options: {known}")
    for option in required:
        if not options.get(option):
            raise SourceError(f"source {source.name!r} needs {option}=...: {source.options[option]}")
