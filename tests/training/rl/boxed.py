"""Tiny records with boxes, and a policy that can learn: for tests of stages with rewards."""

from pathlib import Path

import numpy as np
from PIL import Image

from osler.boxes import Box
from osler.record_files import write_records
from osler.records import ImageRef, Record, Region, Turn
from tests import tiny


def boxed_records(folder: Path, count: int) -> Path:
    """Grey pictures with a bright rectangle in one of the quarters, and the answer that says where."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(count):
        x, y = 20 * (number % 2), 16 * (number // 2 % 2)
        box = Box(x + 2, y + 2, x + 18, y + 14, 40, 32)
        picture = np.full((32, 40, 3), 60, np.uint8)
        picture[y + 2 : y + 14, x + 2 : x + 18] = 220
        path = f"images/{number}.png"
        Image.fromarray(picture).save(folder / path)
        records.append(
            Record(
                id=f"box-{number}",
                images=(ImageRef(path=path, width=40, height=32),),
                turns=(
                    Turn(role="user", text="<image>\nwhat is this"),
                    Turn(role="assistant", text=f"[{x + 2}, {y + 2}, {x + 18}, {y + 14}] red"),
                ),
                regions=(Region(box=box, label="red"),),
                tags={"box_format": "pixel_xyxy"},
            )
        )
    path = folder / "boxes.jsonl"
    write_records(records, path)
    return path


def content(folder: Path, *, method: str = "ppo", **changes):
    """A recipe with one stage of rewards on a tiny model."""
    model = folder / "start"
    if not model.exists():
        tiny.model("clip").save(model)
    records = boxed_records(folder / "data", 8)
    rollout = {"method": method, "completions": 4, "max_new_tokens": 6, "sample_every": 2, **changes.pop("rollout", {})}
    stage = {
        "name": "reward",
        "train": ["projector", "language"],
        "data": [{"records": str(records)}],
        "rewards": {"localisation": 1.0, "relevance": 1.0, "format": 1.0},
        "rollout": rollout,
        "batch_size": 2,
        "max_steps": 4,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup": 0,
        "log_every": 1,
        "checkpoints": 2,
        **changes,
    }
    return {
        "name": "t",
        "out": str(folder / "run"),
        "report_to": [],
        "model": {"start": str(model)},
        "stages": [stage],
    }
