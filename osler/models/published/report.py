"""What an import did: the named result of `import_v15` and `import_v10`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REPORT_NAME = "import_report.json"


@dataclass(frozen=True)
class TensorDifference:
    """One tensor that two sources hold with different values.

    Args:
        name: name in the written folder.
        max_abs: largest absolute difference, in float32.
        changed: number of elements that differ.
        elements: number of elements.
    """

    name: str
    max_abs: float
    changed: int
    elements: int


@dataclass(frozen=True)
class ImportReport:
    """Account of an import. Every tensor of every source is in `mapped` or `unused`, never in neither.

    Args:
        kind: what the source was, as `detect_checkpoint` names it.
        out: folder that was written.
        dtype: element type of the written weights, for instance "bfloat16".
        tensors: tensors written.
        parameters: elements written.
        size_bytes: bytes of weights written.
        shards: weight files written.
        vocabulary: rows of the written embedding.
        source_vocabulary: rows of the source's embedding.
        image_token: token that the processor repeats once for every image patch.
        image_token_id: its id.
        mapped: source tensor ("role:key", role is checkpoint, delta, base or vision) → written tensor.
        unused: source tensor → why it was left out (a buffer that is recomputed, the text half of CLIP, ...).
        unused_config: keys of the source's config.json without an effect on the written model.
        differences: vision tensors that differ between checkpoint and external encoder, when both were there.
        vision_source: "checkpoint" or "external", which one was written.
        notes: decisions that a reader should know, one sentence each.
    """

    kind: str
    out: Path
    dtype: str
    tensors: int
    parameters: int
    size_bytes: int
    shards: int
    vocabulary: int
    source_vocabulary: int
    image_token: str
    image_token_id: int
    mapped: dict[str, str]
    unused: dict[str, str]
    unused_config: dict[str, Any]
    differences: list[TensorDifference]
    vision_source: str
    notes: list[str] = field(default_factory=list)

    def save(self) -> Path:
        """Write the report as `import_report.json` into the written folder and return its path."""
        path = self.out / REPORT_NAME
        content = asdict(self) | {"out": self.out.name}
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path
