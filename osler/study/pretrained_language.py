"""The study's language model: taught the language of the conversations before the study, without pictures.

What Vicuna is to LLaVA-Med: a model that knows how such texts go and nothing of what a picture shows. It learns from
conversations about pictures of another seed, which it is not shown.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from osler.records import Record, Turn

if TYPE_CHECKING:
    from osler.models import LoadedModel

STEPS, BATCH, LEARNING_RATE = 500, 32, 3e-3
RECORDS = 4000
SEED = 1_000_003  # of scenes and wording: no study has it


def conversations(count: int = RECORDS, *, seed: int = SEED) -> list[Record]:
    """Conversations as the study's instruction records have them, about scenes of another seed that nobody draws."""
    from osler.sources.phantom_scene import plan
    from osler.sources.phantom_talk import conversation

    words = random.Random(seed)
    records = []
    for number, scene in enumerate(plan("instruct", count, np.random.default_rng([seed, 2]))):
        turns: list[Turn] = []
        extended = []
        for exchange in conversation(scene, words):
            turns += [Turn(role="user", text=exchange.question), Turn(role="assistant", text=exchange.answer)]
            extended.append(exchange.extended)
        records.append(Record(id=str(number), turns=tuple(turns), extended=tuple(extended)))
    return records


def short_questions(count: int = 400, *, seed: int = SEED) -> list[str]:
    """Questions and answers as in fine-tuning, for the vocabulary."""
    from osler.sources.phantom_questions import ask_all
    from osler.sources.phantom_scene import plan

    scenes = plan("train", count, np.random.default_rng([seed, 3]))
    return [text for asked in ask_all(scenes, random.Random(seed)) for text in (asked.question, asked.answer)]


def teach(
    loaded: LoadedModel,
    records: Sequence[Record],
    *,
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> None:
    """Train the language model of a vision-language model on conversations, in place.

    Args:
        loaded: model and processor.
        records: conversations without pictures.
        steps: of AdamW, with a cosine learning rate.
        seed: of the order.
        progress: called with step and loss.
    """
    from osler.training.collate import Collator, Example
    from osler.training.objectives import IGNORE, Step, autoregressive

    model = loaded.model.train()
    texts = [Example(record, []) for record in records]
    collate = Collator(loaded.processor, max_length=256)
    decoder = model.get_decoder()
    weights = list({id(p): p for p in (*decoder.parameters(), *model.lm_head.parameters())}.values())
    optimiser = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        warm, done = min(1.0, (step + 1) / (0.05 * steps)), step / steps
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * warm * 0.5 * (1 + math.cos(math.pi * done))
        rows = torch.randint(len(texts), (BATCH,), generator=generator).tolist()
        batch = collate([texts[row] for row in rows])
        with torch.autocast("cpu", torch.bfloat16):
            loss = autoregressive(Step(model, batch, tokens=(batch["labels"] != IGNORE).sum())).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        if progress:
            progress(step + 1, float(loss.detach()))
    model.eval()
