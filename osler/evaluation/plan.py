"""`Plan`: everything of an evaluation that is known, and checked, before a model is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from osler import box_formats
from osler.errors import EvaluationError
from osler.evaluation import fingerprints
from osler.evaluation import tasks as task_registry
from osler.evaluation.controls import (
    CONTROLS,
    FOR_ANY_TASK,
    OF_OPTIONS,
    WITHOUT_MODEL,
    Control,
    Majority,
    Shuffle,
    shuffle_images,
)
from osler.evaluation.items import Item, to_item
from osler.evaluation.option_orders import ORDERS, FixedPlace, best_place, other_orders
from osler.evaluation.tasks.base import Task
from osler.records import Record


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything known before a model is loaded: items, training records, substitutes, warnings."""

    task: Task
    split: str
    convention: str
    controls: tuple[Control, ...]
    """Asked for, or run by default."""
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

    place: FixedPlace | None
    """The position control."""
    orders: Mapping[str, Mapping[str, Record]]
    """Conditions of the control options-shuffled: item id -> record with its options in another order."""

    @property
    def without_model(self) -> dict[Control, Majority | FixedPlace]:
        """Controls that are answered without a model."""
        found: dict[Control, Majority | FixedPlace] = {"majority": self.majority} if self.majority else {}
        return {**found, **({"position": self.place} if self.place else {}), **self.boxes}

    def record(self, item: str, condition: str = "real") -> Record:
        """The record that an item is asked as under a condition."""
        return self.orders.get(condition, self._by_id)[item]

    @cached_property
    def _by_id(self) -> dict[str, Record]:
        return {record.id: record for record in self.records}

    @property
    def tags(self) -> dict[str, Mapping[str, str]]:
        """Groups of every item."""
        return {item.id: item.tags for item in self.items}

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of all conditions of the controls asked for, in the order of reports."""
        names: list[str] = []
        for control in sorted(self.controls, key=CONTROLS.index):
            names += [*self.orders] if control == "options-shuffled" else [control]
        return tuple(names)


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
    orders: int = ORDERS,
    without_model: bool = False,
) -> Plan:
    """Read and check everything that needs no model, so that a fault shows before a model is loaded.

    Raises:
        EvaluationError: no items, unknown convention, control or box format, items that cannot be scored, absent
            images.
    """
    task = task_registry.get(task) if isinstance(task, str) else task
    known_controls = [c for c in CONTROLS if c in {*task.controls, *FOR_ANY_TASK, *OF_OPTIONS}]
    unknown = [control for control in controls or () if control not in (*known_controls, "all")]
    if unknown:
        raise EvaluationError(
            f"task {task.name}: no control {unknown[0]!r} (there are: {', '.join(known_controls)}, and all)"
        )
    if orders < 1:
        raise EvaluationError(f"orders is {orders}; want at least 1 further order of the options")
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
    controls = _controls(task, records, controls)
    if without_model:
        controls = tuple(control for control in controls if control in WITHOUT_MODEL)
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
        controls=tuple(controls),
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
        place=best_place(records, options=task.options, reference=task.reference) if "position" in controls else None,
        orders=other_orders(
            records, options=task.options, reordered=task.reordered, prompt=task.prompt, orders=orders, seed=seed
        )
        if "options-shuffled" in controls
        else {},
        box_format=box_format,
        warnings=tuple(warnings),
        shared_images=shared,
    )


def _controls(task: Task, records: Sequence[Record], asked: Sequence[Control] | None) -> tuple[Control, ...]:
    """Those asked for, the task's own by default, or all that apply. Without options some make no sense."""
    # of a grounding task the options are the vocabulary of its classes, which no prompt shows
    shows_options = not task.states_boxes and any(len(task.options(record)) > 1 for record in records)
    own = tuple(task.controls)
    if asked is None:
        return (*own, *(("position",) if shows_options and "position" not in own else ()))
    if "all" in asked:
        return tuple(c for c in CONTROLS if c in {*own, *FOR_ANY_TASK, *(OF_OPTIONS if shows_options else ())})
    lost = [control for control in asked if control in OF_OPTIONS and not shows_options]
    if lost:
        raise EvaluationError(
            f"task {task.name}: the control {lost[0]!r} needs items with options, and these have none"
        )
    return tuple(asked)


def _order(seed: int, item: str) -> str:
    return hashlib.sha256(f"{seed}\x1f{item}".encode()).hexdigest()


def _training(task: Task, data: Path, *, split: str, convention: str) -> list[Record] | None:
    return None if split == "train" else task.training(data, convention=convention)
