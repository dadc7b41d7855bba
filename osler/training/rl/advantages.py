"""Advantages and losses of the clipped objective: pure functions over tensors of completions (B) and tokens (T)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def token_rewards(score_B: Tensor, kl_BT: Tensor, mask_BT: Tensor, *, beta: float) -> Tensor:
    """Rewards of tokens: minus beta times the divergence at each, and the completion's score at its last.

    A completion without tokens has none.

    Args:
        score_B: of each completion.
        kl_BT: log-probability under the policy that sampled less that under the reference, token by token.
        mask_BT: 1 at tokens of the completion.
        beta: weight of the divergence.
    """
    rewards_BT = -beta * kl_BT * mask_BT
    length_B = mask_BT.long().sum(1)
    rows_B, last_B = torch.arange(len(score_B), device=score_B.device), (length_B - 1).clamp(min=0)
    rewards_BT[rows_B, last_B] = rewards_BT[rows_B, last_B] + score_B * (length_B > 0)
    return rewards_BT


def generalised_advantages(
    rewards_BT: Tensor, values_BT: Tensor, mask_BT: Tensor, *, gamma: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438, equation 16), and returns.

    `A_t = Σ_l (γλ)^l δ_{t+l}` with `δ_t = r_t + γ V_{t+1} - V_t`; nothing follows a completion's last token.

    Args:
        rewards_BT: of tokens.
        values_BT: of the value head before each token.
        mask_BT: 1 at tokens of the completion, which are on the left.
        gamma: discount.
        gae_lambda: 0 trusts the value head alone, 1 the rewards alone.

    Returns:
        Advantages and returns, 0 outside the mask.
    """
    values_BT = values_BT * mask_BT
    advantages_BT = torch.zeros_like(rewards_BT)
    following_B = torch.zeros_like(rewards_BT[:, 0])
    next_value_B = torch.zeros_like(following_B)
    for t in reversed(range(rewards_BT.shape[1])):
        delta_B = rewards_BT[:, t] + gamma * next_value_B - values_BT[:, t]
        following_B = (delta_B + gamma * gae_lambda * following_B) * mask_BT[:, t]
        advantages_BT[:, t] = following_B
        next_value_B = values_BT[:, t]
    return advantages_BT, (advantages_BT + values_BT) * mask_BT


def whitened(values_BT: Tensor, mask_BT: Tensor, *, epsilon: float = 1e-8) -> Tensor:
    """Mean 0 and variance 1 over the masked tokens; equal values give 0."""
    count = mask_BT.sum().clamp(min=1)
    centred_BT = (values_BT - (values_BT * mask_BT).sum() / count) * mask_BT
    variance = (centred_BT**2).sum() / count
    return centred_BT * torch.rsqrt(variance + epsilon)


class ClippedLoss(NamedTuple):
    """Terms of the clipped objective, means over tokens.

    Args:
        policy: minus the clipped surrogate.
        value: squared error of the value head.
        entropy: of the policy.
        clipped: share of tokens whose ratio was outside the bounds.
    """

    policy: Tensor
    value: Tensor
    entropy: Tensor
    clipped: Tensor


def clipped_loss(
    logps_BT: Tensor,
    old_logps_BT: Tensor,
    advantages_BT: Tensor,
    values_BT: Tensor,
    returns_BT: Tensor,
    entropy_BT: Tensor,
    mask_BT: Tensor,
    *,
    clip: float,
) -> ClippedLoss:
    """`-E[min(ρA, clip(ρ, 1-ε, 1+ε)A)]`, `E[(V - R)²]` and the entropy (Schulman et al. 2017, arXiv 1707.06347, eq. 9).

    Args:
        logps_BT: log-probabilities of the tokens under the policy.
        old_logps_BT: under the policy that sampled them.
        advantages_BT: of the tokens.
        values_BT: of the value head.
        returns_BT: that it should say.
        entropy_BT: of the policy at each token.
        mask_BT: 1 at tokens of the completion.
        clip: ε.
    """
    ratio_BT = torch.exp((logps_BT - old_logps_BT) * mask_BT)
    bounded_BT = ratio_BT.clamp(1 - clip, 1 + clip)
    surrogate_BT = torch.minimum(ratio_BT * advantages_BT, bounded_BT * advantages_BT)

    def mean(values_BT: Tensor) -> Tensor:
        return (values_BT * mask_BT).sum() / mask_BT.sum().clamp(min=1)

    return ClippedLoss(
        policy=-mean(surrogate_BT),
        value=mean((values_BT - returns_BT) ** 2),
        entropy=mean(entropy_BT),
        clipped=mean((ratio_BT != bounded_BT).float()),
    )
