"""`Plan`: everything of an evaluation that is known, and checked, before a model is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osler import box_formats
from osler.errors import EvaluationError
from osler.evaluation import fingerprints
from osler.evaluation import tasks as task_registry
from osler.evaluation.controls import Control, Majority, Shuffle, shuffle_images
from osler.evaluation.items import Item, to_item
from osler.evaluation.tasks.base import Task
from osler.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything known before a model is loaded: items, training records, substitutes, warnings."""

    task: Task
    split: str
    convention: str
    image_folder: Path
    records: list[Record]
    items: list[Item]
    total: int
    data_hash: str
    shuffle: Shuffle | None
    majority: Majority | None
    boxes: Mapping[Control, Majority]
    """Controls that answer with a fixed box."""
    box_format: str | None
    """Asked for in place of the records' own; None where it was left."""
    warnings: tuple[str, ...]
    shared_images: int | None
    """Test images that the training part holds too; None when the training part is unknown."""

    @property
    def without_model(self) -> dict[Control, Majority]:
        """Controls that are answered without a model."""
        return {**({"majority": self.majority} if self.majority else {}), **self.boxes}


def make_plan(
    task: str | Task,
    *,
    data: str | Path,
    split: str,
    convention: str | None,
    limit: int | None,
    controls: Sequence[Control] | None,
    training: Sequence[Record] | None,
    image_folder: str | Path | None,
    seed: int,
    box_format: str | None = None,
) -> Plan:
    """Read and check everything that needs no model, so that a fault shows before a model is loaded.

    Raises:
        EvaluationError: no items, unknown convention, control or box format, items that cannot be scored, absent
            images.
    """
    task = task_registry.get(task) if isinstance(task, str) else task
    controls = task.controls if controls is None else controls
    unknown = [control for control in controls if control not in task.controls]
    if unknown:
        raise EvaluationError(f"task {task.name}: no control {unknown[0]!r} (there are: {', '.join(task.controls)})")
    if box_format is not None and not task.states_boxes:
        raise EvaluationError(f"task {task.name} has no boxes; leave box_format={box_format!r} out")
    convention = convention or task.conventions[0]
    if convention not in task.conventions:
        raise EvaluationError(f"task {task.name}: no convention {convention!r} ({', '.join(task.conventions)})")
    data = Path(data)
    if not data.exists():
        raise EvaluationError(f"{data}: there is no such file or folder; give the data of task {task.name!r}")
    loaded = task.load(data, split=split, convention=convention)
    if not loaded:
        raise EvaluationError(f"task {task.name}: split {split!r} of {data} holds no records")
    everything = task.select(loaded)
    if not everything:
        raise EvaluationError(
            f"task {task.name}: none of the {len(loaded)} records of split {split!r} of {data} is an item of this task "
            f"({task.description}); want {task.wanted}"
        )
    own_format = everything
    if box_format is not None:
        box_formats.get(box_format)
        everything = [task.restated(record, box_format) for record in everything]
    problems = task.validate(everything)
    if problems:
        shown = "; ".join(f"{p.item}: {p.reason}" + (f" ({p.protocol})" if p.protocol else "") for p in problems[:3])
        raise EvaluationError(f"task {task.name}: {len(problems)} items cannot be scored: {shown}; mend or remove them")
    if limit is not None and limit < 1:
        raise EvaluationError(f"limit is {limit}; want at least 1")
    chosen = {record.id for record in sorted(everything, key=lambda record: _order(seed, record.id))[:limit]}
    records = [record for record in everything if record.id in chosen]
    folder = Path(image_folder) if image_folder is not None else task.image_folder(data)
    learned = list(training) if training is not None else _training(task, data, split=split, convention=convention)
    warnings = []
    if len(everything) < len(loaded):
        others = len(loaded) - len(everything)
        warnings.append(f"{others} of {len(loaded)} records are no items of this task (want {task.wanted}): not asked.")
    if limit is not None and limit < len(everything):
        warnings.append(f"Only {len(records)} of {len(everything)} items were asked (limit).")
    longer = sum(sum(turn.role == "assistant" for turn in record.turns) > 1 for record in records)
    if longer:
        warnings.append(f"{longer} records hold several questions; only the first of each was asked.")
    shared = None
    if learned is None:
        warnings.append("The training part is unknown: whether test images were trained on could not be checked.")
    else:
        trained_on = {image.path for record in learned for image in record.images}
        shown_images = {image.path for record in records for image in record.images}
        shared = len(trained_on & shown_images)
        if shared:
            warnings.append(
                f"{shared} of {len(shown_images)} test images are in the training part too: for a model trained on "
                "that part these scores measure answering about known pictures. Report an image-disjoint split beside."
            )
    known = task.select(learned) if learned else []
    if "majority" in controls and not known:
        warnings.append("The majority control was not run: it needs training records, and there are none.")
    boxes = {name: answers for name, answers in task.box_controls(known).items() if name in controls}
    if "mean-box" in controls and "mean-box" not in boxes:
        warnings.append("The mean-box control was not run: it needs training boxes, and there are none.")
    return Plan(
        task=task,
        split=split,
        convention=convention,
        image_folder=folder,
        records=records,
        items=[to_item(task, record) for record in records],
        total=len(everything),
        # of the data as they are: in whichever format boxes are asked for, it is the same benchmark
        data_hash=fingerprints.hash_data([record for record in own_format if record.id in chosen], folder),
        shuffle=shuffle_images(records, pool=everything, reference=task.reference, alike=task.alike, seed=seed)
        if "shuffled" in controls
        else None,
        majority=task.majority(known) if "majority" in controls and known else None,
        boxes=boxes,
        box_format=box_format,
        warnings=tuple(warnings),
        shared_images=shared,
    )


def _order(seed: int, item: str) -> str:
    return hashlib.sha256(f"{seed}\x1f{item}".encode()).hexdigest()


def _training(task: Task, data: Path, *, split: str, convention: str) -> list[Record] | None:
    return None if split == "train" else task.training(data, convention=convention)
