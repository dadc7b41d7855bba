"""Child process of test_resume: trains, logs the data order, and may kill itself with SIGKILL at a given point."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    import torch

    from osler.training import recipe as recipes
    from osler.training.run import train
    from osler.training.trainer import OslerTrainer

    content, log, kill_at, where = (
        json.loads(Path(sys.argv[1]).read_text()),
        Path(sys.argv[2]),
        int(sys.argv[3]),
        sys.argv[4],
    )
    torch.set_num_threads(1)
    calls = {"step": 0, "save": 0}

    def count(what: str) -> bool:
        calls[what] += 1
        return where == what and calls[what] == kill_at

    compute = OslerTrainer.compute_loss

    def logged(self: Any, model: Any, inputs: Any, **kwargs: Any) -> Any:
        if count("step"):
            os.kill(os.getpid(), signal.SIGKILL)
        digest = hashlib.sha256(inputs["input_ids"].numpy().tobytes() + inputs["pixel_values"].numpy().tobytes())
        with log.open("a") as handle:
            handle.write(f"{self.state.global_step} {digest.hexdigest()}\n")
        return compute(self, model, inputs, **kwargs)

    OslerTrainer.compute_loss = logged  # type: ignore[method-assign]
    save = torch.save

    def torn(value: Any, target: Any, *args: Any, **kwargs: Any) -> None:
        if count("save"):  # half of a file of the checkpoint is on the disk, then the process dies
            save(value, target, *args, **kwargs)
            size = os.path.getsize(target)
            os.truncate(target, size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        save(value, target, *args, **kwargs)

    torch.save = torn
    run = OslerTrainer.train

    def finished(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = run(self, *args, **kwargs)
        digest = hashlib.sha256()
        for _, state in sorted(self.optimizer.state_dict()["state"].items()):
            for _, value in sorted(state.items()):
                digest.update(value.numpy().tobytes() if hasattr(value, "numpy") else repr(value).encode())
        log.with_suffix(".optimiser").write_text(digest.hexdigest())
        return result

    OslerTrainer.train = finished  # type: ignore[method-assign]
    train(recipes.parse(content), say=print)


if __name__ == "__main__":
    main()
