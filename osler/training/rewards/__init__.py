"""Rewards: callables that score completions, usable with TRL's trainers as they are.

Each takes `prompts`, `completions` and `completion_ids`, and as further keyword arguments the columns of the data set,
one value a completion; it returns one number a completion, or None where it has nothing to say. See docs/rewards.md.
"""

from __future__ import annotations

from osler.training.rewards.base import Reward, completion_text

__all__ = ["Reward", "completion_text"]
