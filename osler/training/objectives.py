"""Objectives: the terms of the training loss.

An objective is a callable `(step) -> ObjectiveValue`; `step` gives it the batch and one shared forward pass. The
autoregressive objective is here, the alignment objectives are in `osler.training.alignment`; a program may register
more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from osler.alignment.settings import KINDS, AlignmentSettings
from osler.training.alignment.texts import TEXTS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from osler.training.alignment.states import States

IGNORE = -100
_NOT_FOR_THE_MODEL = ("labels", TEXTS)


@dataclass
class Step:
    """One forward pass, shared by all objectives of a stage.

    Args:
        model: the (wrapped) model.
        batch: model inputs and `labels` (B, T), where -100 marks tokens without loss.
        tokens: number of tokens with loss in the whole optimiser step, over all devices and accumulated passes.
        keep_states: let `states` give the language model's input and output of the shared pass.
    """

    model: nn.Module
    batch: dict[str, Any]
    tokens: Tensor | int | None
    keep_states: bool = False
    _logits: Tensor | None = field(default=None, repr=False)
    _states: States | None = field(default=None, repr=False)

    def answer_logits(self) -> tuple[Tensor, Tensor]:
        """Logits (N, V) and targets (N) of the N tokens with loss; computed once."""
        labels_BT = self.batch["labels"]
        targets_N = labels_BT[:, 1:][labels_BT[:, 1:] != IGNORE]
        if self._logits is None:
            inputs = {name: value for name, value in self.batch.items() if name not in _NOT_FOR_THE_MODEL}
            with _only_rows(self.model, labels_BT), self._recording() as self._states:
                self._logits = self.model(**inputs, use_cache=False).logits[0]
        return self._logits, targets_N

    def states(self) -> States:
        """Input and last hidden states (B, T, D) of the language model in the shared pass; needs `keep_states`."""
        self.answer_logits()
        assert self._states is not None, "ask for states with keep_states"
        return self._states

    def _recording(self) -> AbstractContextManager[States | None]:
        if not self.keep_states:
            return nullcontext()
        from osler.training.alignment.states import recorded_states

        return recorded_states(self.model)


@dataclass(frozen=True)
class ObjectiveValue:
    """A loss and what to log beside it.

    Args:
        loss: scalar.
        metrics: name to value.
        mean: the loss is a mean over this forward pass; otherwise it is this pass's share of a sum over the whole
            optimiser step. Accumulated passes and devices are averaged for the first and added for the second.
    """

    loss: Tensor
    metrics: dict[str, float] = field(default_factory=dict)
    mean: bool = False


Objective = Callable[[Step], ObjectiveValue]


@contextmanager
def _only_rows(model: nn.Module, labels_BT: Tensor) -> Iterator[None]:
    """Let the output layer see only hidden states whose next token has a loss.

    A record has some 50 to 600 image tokens and a few answer tokens, and the vocabulary is large: the full logits
    would be the biggest tensor of the step. The selection sits in a hook so that the model's own forward is called,
    which distributed wrappers rely on; the logits come back as (1, N, V).
    """
    head = _output_layer(model)
    mask_BT = labels_BT[:, 1:] != IGNORE

    def select(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (args[0][:, :-1][mask_BT].unsqueeze(0), *args[1:])

    handle = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def _output_layer(model: nn.Module) -> nn.Module:
    while not hasattr(model, "get_output_embeddings"):
        model = model.module  # DistributedDataParallel
    head = model.get_output_embeddings()
    assert head is not None, "a generative model has an output layer"
    return head


def autoregressive(step: Step) -> ObjectiveValue:
    """Next-token cross-entropy over the assistant's tokens (LLaVA, arXiv 2304.08485, equation 3).

    The sum is divided by the number of such tokens in the whole optimiser step, so that accumulation and the number
    of devices do not change the gradient.
    """
    from torch.nn import functional as F

    logits_NV, targets_N = step.answer_logits()
    total = F.cross_entropy(logits_NV.float(), targets_N, reduction="sum")
    count = step.tokens if step.tokens is not None else max(len(targets_N), 1)
    return ObjectiveValue(total / count)


_REGISTRY: dict[str, Objective] = {"autoregressive": autoregressive}


def register(name: str, objective: Objective) -> None:
    """Make an objective known under `name`."""
    _REGISTRY[name] = objective


def names() -> list[str]:
    """Names of the known objectives."""
    return sorted({*_REGISTRY, *KINDS})


def get(name: str, alignment: AlignmentSettings | None = None) -> Objective:
    """The objective with this name.

    Args:
        name: one of `names()`.
        alignment: settings of an alignment objective; the preset `improved` when left out.
    """
    if name not in KINDS:
        return _REGISTRY[name]
    from osler.training.alignment.objective import AlignmentObjective

    return AlignmentObjective(alignment or AlignmentSettings())
