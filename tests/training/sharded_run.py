"""Child process of test_sharded: trains recipes with their weights sharded over the processes, on the CPU.

    torchrun ... -m tests.training.sharded_run RECIPE:STEP ...

Each run is interrupted when STEP steps are done; the same recipe again resumes it.

accelerate shards (FSDP2) what `accelerate launch` asks it to, but on the CPU it passes over the request without a word.
Here it is told that the processes are of the kind that shards; everything after that is its own code.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
}


class Interrupted(BaseException):
    """The run ends here, in every process."""


def allow_cpu() -> None:
    """Let accelerate shard on the CPU."""
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    begin = AcceleratorState.__init__

    def sharding(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        if kwargs.get("fsdp_plugin") is not None:
            self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            self.fsdp_plugin = kwargs["fsdp_plugin"]

    AcceleratorState.__init__ = sharding  # type: ignore[method-assign]


def watch(last: dict[str, int]) -> None:
    """See that the whole model is sharded, and interrupt after some steps."""
    from torch.distributed.tensor import DTensor
    from transformers import Trainer

    step = Trainer.training_step

    def watched(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == last["step"]:
            raise Interrupted
        whole = [name for name, value in model.named_parameters() if not isinstance(value, DTensor)]
        assert not whole, f"not sharded: {whole}"
        return step(self, model, *args, **kwargs)

    Trainer.training_step = watched  # type: ignore[method-assign]


def main() -> None:
    import torch
    from torch import distributed as dist

    os.environ.update(SHARDED)
    torch.set_num_threads(1)
    allow_cpu()
    from osler.training import recipe as recipes
    from osler.training.run import train

    last = {"step": -1}
    watch(last)
    for run in sys.argv[1:]:
        path, _, last_step = run.rpartition(":")
        last["step"] = int(last_step)
        try:
            train(recipes.parse(json.loads(Path(path).read_text())), say=print)
        except Interrupted:
            print("interrupted")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
