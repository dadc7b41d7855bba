"""Nodes gathered over processes give the loss and the gradients of one process with the joint batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[3]


def launch(wrapper: str, kind: str, world: int, data: Path, out: Path, port: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={world}", f"--master-port={port}"]
    command += ["-m", "tests.training.alignment.gathered", wrapper, kind, str(data), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(out, weights_only=True)


@pytest.fixture(scope="module")
def alone(extended_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("alone")
    return {
        kind: launch("ddp", kind, 1, extended_data, folder / kind, 29621) for kind in ("graph_alignment", "infonce")
    }


@pytest.mark.parametrize(
    ("wrapper", "kind", "port"),
    [("ddp", "graph_alignment", 29622), ("ddp", "infonce", 29623), ("fsdp", "graph_alignment", 29624)],
)
def test_two_processes_have_the_gradients_of_one(
    wrapper: str, kind: str, port: int, alone: dict[str, Any], extended_data: Path, tmp_path: Path
) -> None:
    both = launch(wrapper, kind, 2, extended_data, tmp_path / "both", port)
    want = alone[kind]
    assert both["metrics"]["align_nodes"] == want["metrics"]["align_nodes"] == 8
    assert both["loss"] == pytest.approx(want["loss"], rel=1e-5)
    assert both["metrics"]["align_r1_image_to_answers"] == pytest.approx(want["metrics"]["align_r1_image_to_answers"])
    assert both["gradients"].keys() == want["gradients"].keys()
    assert any(name.startswith("alignment_head") for name in want["gradients"]) or kind != "graph_alignment"
    # the projector's gradients are sums of large terms that cancel, in norms that stay in float32
    largest = max(float(gradient.abs().max()) for gradient in want["gradients"].values())
    for name, gradient in want["gradients"].items():
        torch.testing.assert_close(both["gradients"][name], gradient, rtol=1e-4, atol=1e-5 * largest)
