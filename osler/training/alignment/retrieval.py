"""Held-out retrieval: does a picture find its own answers among those of other pictures, in the model's own space?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from osler.alignment.settings import AlignmentSettings
from osler.errors import RecordError
from osler.models.load import LoadedModel
from osler.records import Record
from osler.training.alignment.texts import check_records

_PAIRS = (("image", "answers"), ("answers", "image"), ("answers", "extended"), ("image", "extended"))


def heldout_retrieval(
    loaded: LoadedModel,
    records: Sequence[Record],
    folder: Path,
    *,
    pool: int = 64,
    batch_size: int = 32,
    max_length: int = 2048,
) -> dict[str, float]:
    """Recall at 1 between modalities on records that were not trained on.

    Nodes are those of the alignment objectives, centred within the pool and of unit length, whatever the model was
    trained with. Records are cut into pools of equal size in their order; what is left over is not used.

    Args:
        loaded: model and processor.
        records: with image, answers and extended answers.
        folder: that their image paths are relative to.
        pool: candidates of each query; chance is 1 / pool.
        batch_size: records in one forward pass.
        max_length: tokens of a record.

    Returns:
        `image_to_answers_r1`, `answers_to_image_r1`, `answers_to_extended_r1`, `image_to_extended_r1`,
        `hamming_leave_one_out` (mean over graphs of 16 consecutive records of a pool), `chance`, `pool`, `records`.

    Raises:
        RecordError: with fewer records than one pool, or a record that lacks a modality.
    """
    import torch

    from osler.alignment.graph_alignment import cut_into_graphs, plain_hamming
    from osler.alignment.nodes import centred_unit
    from osler.alignment.retrieval import recall_at_1

    settings = AlignmentSettings()
    count = len(records) // pool
    if not count:
        raise RecordError(f"{len(records)} records do not fill one pool of {pool}; give more records or a smaller pool")
    used = list(records[: count * pool])
    check_records(used, settings, "retrieval")
    nodes = _nodes(loaded, used, folder, settings, batch_size=batch_size, max_length=max_length)
    sums: dict[str, float] = {}
    for number in range(count):
        part = {name: centred_unit(rows[number * pool : (number + 1) * pool]) for name, rows in nodes.items()}
        for query, key in _PAIRS:
            name = f"{query}_to_{key}_r1"
            sums[name] = sums.get(name, 0.0) + float(recall_at_1(part[query], part[key]))
        graphs = cut_into_graphs(torch.stack([part[name] for name in settings.modalities]), settings.graph_size)
        found = [plain_hamming(sized[:, g], "leave_one_out") for sized in graphs for g in range(sized.shape[1])]
        sums["hamming_leave_one_out"] = sums.get("hamming_leave_one_out", 0.0) + float(torch.stack(found).mean())
    result = {name: value / count for name, value in sums.items()}
    return {**result, "chance": 1 / pool, "pool": pool, "records": len(used)}


def _nodes(
    loaded: LoadedModel,
    records: list[Record],
    folder: Path,
    settings: AlignmentSettings,
    *,
    batch_size: int,
    max_length: int,
) -> dict[str, Any]:
    """Nodes of each modality, (records, D)."""
    import torch

    from osler.models.vision_cache import cached_vision
    from osler.training.alignment.objective import batch_nodes
    from osler.training.collate import Collator, RecordDataset
    from osler.training.objectives import Step

    device = loaded.model.device
    data = RecordDataset(records, [folder] * len(records))
    collate = Collator(loaded.processor, max_length=max_length, alignment=settings)
    rows: dict[str, list[Any]] = {name: [] for name in settings.modalities}
    frozen = not any(parameter.requires_grad for parameter in loaded.model.parameters())
    with torch.no_grad(), cached_vision(loaded.model) if frozen else nullcontext():
        for start in range(0, len(records), batch_size):
            batch = collate([data[number] for number in range(start, min(start + batch_size, len(records)))])
            step = Step(loaded.model, _to(batch, device), tokens=1, keep_states=True)
            for name, value in batch_nodes(step, settings)[0].items():
                rows[name].append(value.cpu())
    return {name: torch.cat(parts) for name, parts in rows.items()}


def _to(value: Any, device: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to(part, device) for key, part in value.items()}
    return value.to(device) if hasattr(value, "to") else value
