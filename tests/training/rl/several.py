"""Child process of test_several: stages of GRPO on several processes; each writes what it saw.

    torchrun ... -m tests.training.rl.several FOLDER RECIPE:STEP ...

Each run is interrupted when STEP steps are done; the same recipe again resumes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any


class Interrupted(BaseException):
    """The run ends here, in every process."""


def main() -> None:
    import torch
    from torch import distributed as dist
    from transformers import Trainer

    from osler.training import recipe as recipes
    from osler.training.rewards.combined import Combined
    from osler.training.run import train

    torch.set_num_threads(1)
    runs: list[dict[str, Any]] = []
    last = -1
    call, step, learn = Combined.__call__, Trainer.training_step, Trainer.train

    def scored(self: Any, prompts: Any, completions: Any, **columns: Any) -> Any:
        result = call(self, prompts, completions, **columns)
        runs[-1]["ids"].append(list(columns["id"]))
        runs[-1]["rewards"].append(result)
        return result

    def stepping(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == last:
            raise Interrupted
        return step(self, *args, **kwargs)

    def learned(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = learn(self, *args, **kwargs)
        digest = hashlib.sha256()
        for name, value in sorted(self.accelerator.unwrap_model(self.model).state_dict().items()):
            digest.update(name.encode() + value.cpu().contiguous().view(torch.uint8).numpy().tobytes())
        runs[-1]["weights"] = digest.hexdigest()
        return result

    Combined.__call__, Trainer.training_step, Trainer.train = scored, stepping, learned  # type: ignore[method-assign]
    for run in sys.argv[2:]:
        path, _, step_text = run.rpartition(":")
        last = int(step_text)
        runs.append({"ids": [], "rewards": []})
        try:
            train(recipes.parse(json.loads(Path(path).read_text())), say=print)
        except Interrupted:
            print("interrupted")
    Path(sys.argv[1], f"rank-{os.environ['RANK']}.json").write_text(json.dumps(runs))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
