"""Several rewards as one: normalised within the completions of a prompt, weighted and added (UMed-LVLM, section 4.3).

    R = Σ_k w_k · n_k(r_k),   n(r) = r / (max over the group + ε)   for rewards that are normalised, else r

The maximum needs the whole group of completions of one prompt, so the rewards are one callable: TRL takes it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from osler.errors import RewardError
from osler.training.rewards.base import Reward

EPSILON = 1e-6


def normalised(values: Sequence[float | None], *, floor: float = 0.0) -> list[float | None]:
    """Rewards of one group over their maximum; None stays None.

    Args:
        values: of the completions of one prompt, none below 0.
        floor: least divisor: keeps a group whose best value is tiny from being blown up to 1.

    Raises:
        RewardError: for a negative or non-finite value.
    """
    known = [value for value in values if value is not None]
    if any(not np.isfinite(value) or value < 0 for value in known):
        raise RewardError(f"a reward to be normalised is negative or not finite: {known}")
    divisor = max(max(known, default=0.0), floor) + EPSILON
    return [None if value is None else value / divisor for value in values]


class Combined:
    """Weighted sum of rewards.

    A reward that is None for a completion is left out of its sum and counted; a completion for which all are None gets
    None itself.

    Args:
        rewards: to add.
        weights: of each, by name.
        group: number of completions of one prompt; they stand side by side, as TRL passes them.
        normalise: names of the rewards that are divided by the maximum of their group.
        floor: least divisor of the normalisation.

    Raises:
        RewardError: when weights and rewards do not go together.
    """

    def __init__(
        self,
        rewards: Sequence[Reward],
        weights: Mapping[str, float],
        *,
        group: int,
        normalise: Sequence[str] = ("localisation", "relevance"),
        floor: float = 0.0,
    ) -> None:
        self.__name__ = "combined"
        names = [reward.__name__ for reward in rewards]
        if len(set(names)) != len(names) or set(names) != set(weights) or not names:
            raise RewardError(f"rewards {names} and weights {sorted(weights)} do not go together; want one weight each")
        if group < 1:
            raise RewardError(f"a group of {group} completions is none")
        self.rewards, self.weights, self.group = list(rewards), dict(weights), group
        self.normalise, self.floor = frozenset(normalise), floor
        self.raw: dict[str, list[float | None]] = {}
        """Raw values of the last call, by reward, for logs."""
        self.keep_last = False
        self.last: dict[str, Any] | None = None
        """Completions and columns of the last call, where `keep_last` asks for them."""

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One number a completion.

        Raises:
            RewardError: when the completions are no whole groups, those of a group belong to different prompts or
                records, or a reward gives a number that is not finite or another number of values.
        """
        count = len(completions)
        self._check_groups(prompts, columns.get("id"), count)
        log = columns.get("log_metric")
        if self.keep_last:
            self.last = {"completions": list(completions), **columns}
        total = np.zeros(count)
        known = np.zeros(count, dtype=bool)
        self.raw = {}
        for reward in self.rewards:
            name = reward.__name__
            raw = list(reward(prompts, completions, **columns))
            _check_values(name, raw, count)
            self.raw[name] = raw
            used = self._normalised(raw) if name in self.normalise else raw
            for number, value in enumerate(used):
                if value is not None:
                    total[number] += self.weights[name] * value
                    known[number] = True
            if log is not None:
                _log(log, name, raw, used)
        if log is not None:
            for name, value in _distribution([total[number] for number in range(count) if known[number]]).items():
                log(f"rewards/sum/{name}", value)  # TRL writes its own under this callable's name
        return [float(total[number]) if known[number] else None for number in range(count)]

    def _normalised(self, values: Sequence[float | None]) -> list[float | None]:
        groups = (values[start : start + self.group] for start in range(0, len(values), self.group))
        return [value for part in groups for value in normalised(part, floor=self.floor)]

    def _check_groups(self, prompts: Sequence[Any], ids: Sequence[Any] | None, count: int) -> None:
        if count % self.group:
            raise RewardError(
                f"{count} completions are no whole groups of {self.group}: choose a batch that is a multiple of it on "
                "every device"
            )
        for start in range(0, count, self.group):
            # most data sets ask every picture the same, so the words alone do not tell prompts apart
            place = slice(start, start + self.group)
            seen = {_text(prompt) for prompt in prompts[place]}
            if len(seen) > 1 or (ids is not None and len(set(ids[place])) > 1):
                raise RewardError("completions of different prompts stand in one group; they must be side by side")


def _check_values(name: str, values: Sequence[float | None], count: int) -> None:
    if len(values) != count:
        raise RewardError(f"reward {name} gave {len(values)} values for {count} completions")
    bad = [value for value in values if value is not None and not np.isfinite(value)]
    if bad:
        raise RewardError(f"reward {name} gave {bad[0]}, which is not finite; None says that it has nothing to say")


def _text(prompt: Any) -> str:
    """A prompt's words, for comparison: pictures are objects of their own each time."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(
        content
        if isinstance(content := message["content"], str)
        else "".join(part.get("text") or "<image>" for part in content)
        for message in prompt
    )


def _log(log: Any, name: str, raw: Sequence[float | None], used: Sequence[float | None]) -> None:
    log(f"rewards/{name}/missing", sum(value is None for value in raw) / max(1, len(raw)))
    for kind, values in (("raw", raw), ("used", used)):
        for statistic, value in _distribution([value for value in values if value is not None]).items():
            log(f"rewards/{name}/{kind}/{statistic}", value)


def _distribution(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    points = np.quantile(values, [0.1, 0.5, 0.9])
    names = ("mean", "std", "p10", "median", "p90", "max")
    numbers = (np.mean(values), np.std(values), *points, np.max(values))
    return {name: float(number) for name, number in zip(names, numbers, strict=True)}
