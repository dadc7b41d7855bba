from pathlib import Path

import pytest

from osler.training.recipe import parse
from osler.training.run import train
from tests import tiny
from tests.training.rl.boxed import boxed_records


@pytest.fixture(scope="session")
def taught(tmp_path_factory) -> Path:
    """A tiny model that has nearly learned to answer `boxed_records`: what a stage with rewards starts from."""
    folder = tmp_path_factory.mktemp("taught")
    tiny.model("clip").save(folder / "random")
    stage = {
        "name": "sft",
        "train": ["projector", "language"],
        "data": [{"records": str(boxed_records(folder / "data", 8))}],
        "batch_size": 8,
        "max_steps": 120,
        "learning_rate": 1e-2,
        "schedule": "cosine",
        "warmup": 5,
        "checkpoints": 0,
        "log_every": 60,
    }
    recipe = {"name": "t", "out": str(folder / "run"), "report_to": [], "stages": [stage]}
    return train(parse({**recipe, "model": {"start": str(folder / "random")}}), say=lambda _: None).model
