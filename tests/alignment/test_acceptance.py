"""What each barycenter can and cannot see: the acceptance table of the specification, simulated at B = 8, d = 512.

Exact solver, random graph network, Gumbel scale 0.05; chance is 1.75.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from osler.alignment.exact import enumerate_matching
from osler.alignment.graph_alignment import GraphAlignment
from osler.alignment.nodes import centred_unit
from osler.alignment.settings import AlignmentSettings

B, D, TRIALS = 8, 512, 12
RELEASED = {"preset": "released", "graph_size": None}


def modalities(kind: str, generator: torch.Generator) -> Tensor:
    own = torch.randn(3, B, D, generator=generator)
    if kind == "aligned":
        return own + torch.randn(1, B, D, generator=generator)
    if kind == "offset":
        return own + 5 * torch.randn(3, 1, D, generator=generator)
    if kind == "small image":
        return own * torch.tensor([0.1, 1, 1])[:, None, None]
    return own


def mean_hamming(kind: str, *, centred: bool = False, **settings: Any) -> float:
    generator = torch.Generator().manual_seed(0)
    total = 0.0
    for trial in range(TRIALS):
        torch.manual_seed(trial)
        loss = GraphAlignment(D, AlignmentSettings(**{**RELEASED, **settings}), solve=enumerate_matching).eval()
        nodes = modalities(kind, generator)
        if centred:
            nodes = centred_unit(nodes)
        with torch.no_grad():
            total += float(loss(nodes, torch.Generator().manual_seed(trial)))
    return total / TRIALS


@pytest.mark.parametrize(
    ("kind", "barycenter", "want"),
    [
        ("independent", "inclusive", 0.0),
        ("independent", "leave_one_out", 1.61),
        ("independent", "pairwise", 1.60),
        ("aligned", "inclusive", 0.0),
        ("aligned", "leave_one_out", 0.0),
        ("aligned", "pairwise", 0.04),
        ("offset", "leave_one_out", 1.76),
        ("offset", "pairwise", 1.71),
    ],
)
def test_barycenters(kind: str, barycenter: str, want: float) -> None:
    assert mean_hamming(kind, barycenter=barycenter) == pytest.approx(want, abs=0.15)


def test_unrelated_modalities_look_solved_with_an_inclusive_barycenter() -> None:
    """The released target: independent noise reaches a Hamming distance near 0, far from the chance of 1.75."""
    assert mean_hamming("independent", barycenter="inclusive") < 0.1
    assert mean_hamming("independent", barycenter="leave_one_out") > 1.4


def test_offset_spoils_the_inclusive_barycenter_and_centring_repairs_it() -> None:
    assert 0.2 < mean_hamming("offset", barycenter="inclusive") < 0.8
    assert mean_hamming("offset", barycenter="inclusive", centred=True) < 0.1
    assert mean_hamming("offset", barycenter="leave_one_out", centred=True) == pytest.approx(1.75, abs=0.15)


def test_a_modality_of_small_norm_is_lost_in_the_inclusive_mean() -> None:
    assert mean_hamming("small image", barycenter="inclusive") == pytest.approx(0.49, abs=0.15)


def test_the_improved_preset_tells_aligned_from_independent() -> None:
    improved = {"preset": "improved"}
    assert mean_hamming("aligned", centred=True, **improved) < 0.2
    assert mean_hamming("independent", centred=True, **improved) > 1.4
