"""`tbx11k`: chest X-rays with boxes of tuberculosis (Liu et al., CVPR 2020).

    TBX11K/annotations/json/TBX11K_train.json, TBX11K_val.json     COCO layout
    TBX11K/imgs/{health,sick,tb}/NAME.png                          512 x 512

Three categories: ActiveTuberculosis, ObsoletePulmonaryTuberculosis, PulmonaryTuberculosis. Boxes of the test part are
not public. The pictures in `sick` are abnormal without tuberculosis: they have no box, and are not normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import SourceError
from osler.sources.box_records import BoxRecords
from osler.sources.box_source import BoxSource, Layout, image_folder
from osler.sources.coco_json import read_coco

FILES = {"train": "TBX11K_train.json", "val": "TBX11K_val.json"}


class Tbx11kSource(BoxSource):
    """The training and validation parts of TBX11K."""

    name = "tbx11k"
    title = "TBX11K (tuberculosis, chest X-ray)"
    licence = "non-commercial; see the publisher's terms"
    url = "https://mmcheng.net/tb/"
    layout: Layout = "documented"
    description = (
        "Chest X-rays with boxes of tuberculosis. Healthy pictures have no region and are normal; sick ones say so."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds annotations/json and imgs",
        "images": "folder of the pictures (default: imgs in it)",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """Records of both parts."""
        out = BoxRecords(image_folder(options, home / "imgs"), self.name, self.licence, self.url)
        found = {
            split: path for split, name in FILES.items() if (path := home / "annotations" / "json" / name).is_file()
        }
        if not found:
            raise SourceError(f"{home / 'annotations' / 'json'}: holds none of {', '.join(FILES.values())}")
        for split, path in found.items():
            for image in read_coco(path, out):
                group = image.path.split("/")[0]
                tags = {"group": group} if "/" in image.path else {}
                if not image.marks and group != "health":
                    tags["regions"] = "partial"  # abnormal, or unknown, without a box: no example of a normal picture
                out.add(
                    image.path,
                    [mark for mark, _ in image.marks],
                    file=path,
                    line=image.position,
                    lost=len(image.faulty),
                    stated=image.size,
                    split=split,
                    tags=tags,
                )
        return out, []
