from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from osler.training.collate import Collator
from osler.training.objectives import IGNORE, Step, autoregressive
from tests import tiny
from tests.evaluation import tiny_models
from tests.training.test_collate import example


def reference(model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, int]:
    """Loss from the full logits, token by token."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    log_p = F.log_softmax(model(**inputs).logits.double(), dim=-1)
    total, count = torch.zeros((), dtype=torch.float64), 0
    for row in range(log_p.shape[0]):
        for t in range(1, log_p.shape[1]):
            target = int(batch["labels"][row, t])
            if target != IGNORE:
                total = total - log_p[row, t - 1, target]
                count += 1
    return total, count


@pytest.mark.parametrize("family", ["osler", "llava", "qwen", "gemma", "smolvlm"])
def test_loss_and_gradient_equal_the_full_logits_reference(family: str) -> None:
    if family == "osler":
        loaded = tiny.model()
        model, processor = loaded.model, loaded.processor
    else:
        model, processor = getattr(tiny_models, family)()
    model = model.double()
    batch = Collator(processor, max_length=512)(
        [example("<image> is this red ?", "yes no"), example("<image> and this image ?", "no")]
    )
    batch = {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}
    total, count = reference(model, batch)
    (total / count).backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    value = autoregressive(Step(model, batch, tokens=None))
    value.loss.backward()
    torch.testing.assert_close(value.loss.double(), total / count, rtol=1e-6, atol=1e-6)
    for name, parameter in model.named_parameters():
        if name in wanted:
            torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-4, atol=1e-6)


def test_accumulated_passes_add_up_to_one_big_pass() -> None:
    loaded = tiny.model()
    collate = Collator(loaded.processor, max_length=512)
    examples = [example("<image>\nred?", "yes"), example("<image>\nWhat colour is this?", "a long blue answer")]
    whole = collate(examples)
    tokens = int((whole["labels"] != IGNORE).sum())
    together = autoregressive(Step(loaded.model, whole, tokens=None)).loss
    apart = sum(autoregressive(Step(loaded.model, collate([one]), tokens=tokens)).loss for one in examples)
    torch.testing.assert_close(together, apart)
