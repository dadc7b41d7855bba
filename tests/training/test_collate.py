from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from osler.errors import ImageError, RecordError
from osler.records import ImageRef, Record, Turn
from osler.training.collate import Collator, Example, RecordDataset
from osler.training.objectives import IGNORE
from tests import tiny
from tests.evaluation import tiny_models


def example(*texts: str, images: int = 1) -> Example:
    roles = ("user", "assistant")
    turns = tuple(Turn(role=roles[i % 2], text=text) for i, text in enumerate(texts))  # type: ignore[arg-type]
    refs = tuple(ImageRef(path=f"{i}.png") for i in range(images))
    pictures = [Image.new("RGB", (48, 32), (200, 10 * i, 30)) for i in range(images)]
    return Example(Record(id="r", images=refs, turns=turns), pictures)


def learned(batch: dict[str, torch.Tensor], row: int, tokenizer: Any) -> list[str]:
    """The runs of tokens with loss, decoded."""
    labels = batch["labels"][row].tolist()
    runs: list[list[int]] = []
    for before, label in zip([IGNORE, *labels], labels, strict=False):
        if label != IGNORE:
            if before == IGNORE:
                runs.append([])
            runs[-1].append(label)
    return [tokenizer.decode(run) for run in runs]


def test_loss_covers_exactly_the_assistants_tokens_and_the_end_mark() -> None:
    loaded = tiny.model()
    collate = Collator(loaded.processor, max_length=512)
    batch = collate(
        [
            example("<image>\nWhat colour is this?", "A deep red.", "Is it blue?", "no"),
            example("Compare <image> with <image>.", "same", images=2),
            example("No picture here.", "text only", images=0),
        ]
    )
    assert learned(batch, 0, loaded.tokenizer) == ["A deep red.<|im_end|>", "no<|im_end|>"]
    assert learned(batch, 1, loaded.tokenizer) == ["same<|im_end|>"]
    assert learned(batch, 2, loaded.tokenizer) == ["text only<|im_end|>"]
    where = batch["labels"] != IGNORE
    assert torch.equal(batch["labels"][where], batch["input_ids"][where])
    assert not where[batch["attention_mask"] == 0].any()
    assert batch["pixel_values"].shape[0] == 3


def test_a_question_that_repeats_the_answer_has_no_loss() -> None:
    loaded = tiny.model()
    batch = Collator(loaded.processor, max_length=512)([example("<image>\nred red red? assistant red", "red")])
    assert learned(batch, 0, loaded.tokenizer) == ["red<|im_end|>"]


@pytest.mark.parametrize("family", ["llava", "qwen", "gemma", "smolvlm"])
def test_other_families_label_the_answer_only(family: str) -> None:
    _, processor = getattr(tiny_models, family)()
    collate = Collator(processor, max_length=512)
    batch = collate(
        [
            example("<image> is there a fracture ?", "no fracture"),
            example("<image> what is this ?", "left lung , normal"),
        ]
    )
    answers = [learned(batch, row, processor.tokenizer) for row in (0, 1)]
    assert [[text.split() for text in row] for row in answers] == [
        [["no", "fracture"]],
        [["left", "lung", ",", "normal"]],
    ]


def test_truncation_keeps_images_and_refuses_to_cut_them() -> None:
    loaded = tiny.model()
    whole = Collator(loaded.processor, max_length=512)([example("<image>\nWhat?", "yes " * 30)])
    length = whole["input_ids"].shape[1]
    cut = Collator(loaded.processor, max_length=length - 10)([example("<image>\nWhat?", "yes " * 30)])
    assert cut["input_ids"].shape == cut["labels"].shape == (1, length - 10)
    assert torch.equal(cut["labels"], whole["labels"][:, : length - 10])
    with pytest.raises(RecordError, match="'r': 5 tokens do not hold its images"):
        Collator(loaded.processor, max_length=5)([example("<image>\nWhat?", "yes")])
    with pytest.raises(RecordError, match="no assistant token within"):
        Collator(loaded.processor, max_length=20)([example("<image>\nWhat? " + "long " * 60, "yes")])


def test_an_unreadable_image_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    record = Record(
        id="r",
        images=(ImageRef(path="bad.png"),),
        turns=(Turn(role="user", text="<image>?"), Turn(role="assistant", text="x")),
    )
    with pytest.raises(ImageError, match=r"bad\.png"):
        RecordDataset([record], [tmp_path])[0]
