"""InfoNCE, SigLIP and retrieval against loops in float64."""

from __future__ import annotations

import math

import pytest
import torch

from osler.alignment.contrastive import InfoNCE, SigLIP, infonce, siglip
from osler.alignment.retrieval import recall_at_1


def unit_rows(seed: int, n: int = 6) -> torch.Tensor:
    return torch.randn(n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a @ b) / (a.norm() * b.norm()))


def test_infonce_is_the_mean_of_both_cross_entropies() -> None:
    a, b = unit_rows(0), unit_rows(1)
    total = 0.0
    for x, y in ((a, b), (b, a)):
        for i in range(6):
            weights = [math.exp(cosine(x[i], y[j]) / 0.07) for j in range(6)]
            total -= math.log(weights[i] / sum(weights)) / 12
    assert float(infonce(a, b, 0.07)) == pytest.approx(total)


def test_siglip_is_its_double_sum() -> None:
    a, b = unit_rows(2), unit_rows(3)
    total = 0.0
    for i in range(6):
        for j in range(6):
            sign = 1 if i == j else -1
            total += math.log1p(math.exp(-sign * (10 * cosine(a[i], b[j]) - 10))) / 6
    assert float(siglip(a, b, 10.0, -10.0)) == pytest.approx(total)


@pytest.mark.parametrize("loss", [InfoNCE(0.07, learn=True), SigLIP(10.0, -10.0, learn=True)])
def test_modules_average_over_pairs_and_learn_their_scale(loss: torch.nn.Module) -> None:
    nodes = torch.stack([unit_rows(seed) for seed in (4, 5, 6)]).float()
    function = (
        (lambda a, b: infonce(a, b, 0.07)) if isinstance(loss, InfoNCE) else lambda a, b: siglip(a, b, 10.0, -10.0)
    )
    want = sum(function(nodes[i], nodes[j]) for i, j in ((0, 1), (0, 2), (1, 2))) / 3
    found = loss(nodes)
    torch.testing.assert_close(found, want)
    found.backward()
    assert all(parameter.grad is not None and float(parameter.grad) != 0 for parameter in loss.parameters())


def test_recall_counts_own_keys() -> None:
    keys = torch.eye(4)
    assert float(recall_at_1(keys, keys)) == 1
    assert float(recall_at_1(keys[[1, 0, 2, 3]], keys)) == 0.5


@pytest.mark.parametrize("n", [4, 64])
def test_keys_without_content_score_chance(n: int) -> None:
    assert float(recall_at_1(torch.randn(n, 8), torch.ones(n, 8))) == pytest.approx(1 / n)
    assert float(recall_at_1(torch.zeros(n, 8), torch.randn(n, 8))) == pytest.approx(1 / n)


def test_twins_share_a_hit() -> None:
    keys = torch.eye(4)[[0, 0, 2, 3]]
    assert float(recall_at_1(keys, keys)) == pytest.approx(0.75)


@pytest.mark.parametrize("kind", ["graph_alignment", "infonce", "siglip"])
def test_no_weight_is_a_scalar(kind: str) -> None:
    """FSDP2 cannot share out a scalar."""
    from osler.alignment.head import AlignmentHead
    from osler.alignment.settings import AlignmentSettings

    head = AlignmentHead(kind, 8, AlignmentSettings(learn_scale=True))  # type: ignore[arg-type]
    assert all(value.dim() > 0 for value in head.parameters())
    assert head({name: torch.randn(4, 8) for name in ("image", "answers", "extended")}).loss.dim() == 0
