"""What a recipe says about a stage that learns from rewards."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Method = Literal["grpo", "ppo"]
NAMES = ("localisation", "relevance", "judge", "format")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RelevanceSection(_Section):
    """How vision relevance is read (docs/rewards.md)."""

    layers: tuple[int, ...] | None = None
    """Layers of the language model; the middle third when left out."""
    heads: tuple[int, ...] | None = None
    """Heads; all when left out."""
    denominator: Literal["all", "image"] = "all"
    """Attention on the region over all permitted keys, or over the picture alone."""
    rule: Literal["centre", "half"] = "centre"
    """Which patches belong to a box: those with their centre in it, or with half of their area."""
    shifted: bool = False
    """Read the positions that predict the class tokens instead of those that hold them."""


class JudgeSection(_Section):
    """An OpenAI-compatible endpoint that marks relevance."""

    url: str
    model: str
    allow_remote: bool = False
    """Send questions and answers to a machine outside the local network; never for patient data."""


class RewardSection(_Section):
    """Weights of the rewards, and how they are put together. A weight of 0 switches a reward off."""

    localisation: float = Field(default=1.0, ge=0)
    relevance: float = Field(default=1.0, ge=0)
    judge: float = Field(default=0.0, ge=0)
    format: float = Field(default=0.0, ge=0)
    normalise: tuple[Literal["localisation", "relevance", "judge", "format"], ...] = ("localisation", "relevance")
    """Rewards that are divided by the greatest of their group."""
    floor: float = Field(default=0.0, ge=0)
    """Least divisor of that normalisation."""
    relevance_settings: RelevanceSection = Field(default_factory=RelevanceSection)
    judge_endpoint: JudgeSection | None = None

    @model_validator(mode="after")
    def _something(self) -> RewardSection:
        if not self.weights:
            raise ValueError("every reward has weight 0")
        if self.judge and self.judge_endpoint is None:
            raise ValueError("a judge needs `judge_endpoint: {url: ..., model: ...}`")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """Weights of the rewards that are switched on."""
        return {name: weight for name in NAMES if (weight := getattr(self, name))}


class RolloutSection(_Section):
    """How completions are drawn and learned from."""

    method: Method = "grpo"
    """Group relative policy optimisation (TRL), or the clipped objective with a value head (UMed-LVLM)."""
    completions: int = Field(default=8, ge=2)
    """Completions of each prompt: the group that rewards are normalised in."""
    max_new_tokens: int = Field(default=128, gt=0)
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    clip: float = Field(default=0.2, gt=0, lt=1)
    """The policy's ratio counts within 1 - clip and 1 + clip."""
    beta: float = Field(default=0.04, ge=0)
    """Weight of the divergence from the model that the stage starts from; 0 keeps no such model in memory."""
    inner_epochs: int = Field(default=1, gt=0)
    """Optimiser steps for each batch of completions."""
    value_coefficient: float = Field(default=0.1, ge=0)
    """PPO: weight of the value head's squared error."""
    entropy_coefficient: float = Field(default=0.0, ge=0)
    """PPO: weight of the entropy of the policy."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    """PPO: discount."""
    gae_lambda: float = Field(default=1.0, ge=0, le=1)
    """PPO: generalised advantage estimation."""
    sample_every: int = Field(default=50, ge=0)
    """Optimiser steps between pictures of sample completions; 0 draws none."""


def between_draws(steps: int, rollout: RolloutSection) -> int:
    """Steps between checkpoints, so that each lies between two draws: a resumed run draws where the first one did.

    Args:
        steps: as wished.
        rollout: how often completions are learned from.
    """
    return max(1, steps // rollout.inner_epochs) * rollout.inner_epochs
