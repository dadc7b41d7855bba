"""From records to tensors: chat template, images, and labels on the assistant's tokens only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.errors import RecordError
from osler.messages import Message, to_messages
from osler.records import Record
from osler.training.alignment.texts import TEXTS, TextTokeniser
from osler.training.objectives import IGNORE

if TYPE_CHECKING:
    from PIL.Image import Image

    from osler.alignment.settings import AlignmentSettings

Span = tuple[int, int]


@dataclass(frozen=True)
class Example:
    """A record with its pictures in memory."""

    record: Record
    images: list[Image]


class RecordDataset:
    """Records whose images are read when an item is asked for.

    Args:
        records: with image paths relative to the folder at the same position in `folders`.
        folders: image folder of each record.

    Raises:
        ImageError: on an unreadable image; it is never replaced by another.
    """

    def __init__(self, records: Sequence[Record], folders: Sequence[Path]) -> None:
        assert len(records) == len(folders)
        self.records, self.folders = list(records), list(folders)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Example:
        from osler.images import load_image
        from osler.record_files import resolve_image

        record, folder = self.records[index], self.folders[index]
        images = [
            load_image(resolve_image(folder, ref), frame=ref.frame, window=ref.window).image for ref in record.images
        ]
        return Example(record, images)

    def lengths(self) -> list[int]:
        """Characters of each record's text: a stand-in for its length in tokens."""
        return [sum(len(turn.text) for turn in record.turns) for record in self.records]


def assistant_spans(processor: Any, messages: list[Message]) -> tuple[str, list[Span]]:
    """Render a conversation and find the characters that the model has to produce.

    A turn's span runs from the end of the generation prompt to the end of the turn with its end mark, so the model
    learns to stop. Works with any chat template whose rendering of a prefix is a prefix of the rendering.

    Args:
        processor: with a chat template.
        messages: the conversation.

    Returns:
        The text and the (start, end) of each assistant turn in it.

    Raises:
        RecordError: when the template rewrites earlier turns, so that spans cannot be found.
    """

    def render(part: list[Message], prompt: bool) -> str:
        return processor.apply_chat_template(part, tokenize=False, add_generation_prompt=prompt)

    text = render(messages, False)
    spans = []
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, after = render(messages[:number], True), render(messages[: number + 1], False)
        end = after.rstrip()
        if not (text.startswith(before) and text.startswith(end)):
            raise RecordError("the chat template changes earlier turns when more follow; the answer cannot be located")
        spans.append((len(before), len(end)))
    return text, spans


def _shift(spans: list[Span], replacements: list[dict[str, Any]]) -> list[Span]:
    """Move character spans past image placeholders that the processor has expanded."""
    ends = [item["span"][1] for item in replacements]
    gained = [0, *(item["new_span"][1] - item["span"][1] for item in replacements)]
    return [(a + gained[bisect_right(ends, a)], b + gained[bisect_right(ends, b)]) for a, b in spans]


class Collator:
    """Batch records for any vision-language model.

    Args:
        processor: the model's processor.
        max_length: tokens per record, image tokens included; longer ones lose the end.
        alignment: settings of the stage's alignment objective, which needs the tokens of the answers on their own.

    Raises:
        RecordError: when truncation would cut an image token or leave nothing to learn; names the record.
    """

    def __init__(self, processor: Any, *, max_length: int, alignment: AlignmentSettings | None = None) -> None:
        self.processor, self.max_length = processor, max_length
        self.texts = TextTokeniser(processor.tokenizer, alignment) if alignment else None
        if not getattr(processor.tokenizer, "is_fast", False):
            raise RecordError("training needs a fast tokenizer, because answers are located by character offsets")
        self.image_tokens = [
            value
            for name in ("image_token_id", "image_token_index")
            if isinstance(value := getattr(processor, name, None), int)
        ]

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Tokenise and pad.

        Args:
            examples: B records with images.

        Returns:
            Model inputs with `input_ids`, `attention_mask` and `labels` of shape (B, T), padded on the right, and
            the image tensors of the model family; for an alignment objective also the tokens of its texts.
        """
        import torch

        rendered = [assistant_spans(self.processor, to_messages(example.record.turns)) for example in examples]
        texts = [text for text, _ in rendered]
        images = [example.images for example in examples]
        bos = self.processor.tokenizer.bos_token
        batch = self.processor(
            text=texts,
            images=images if any(images) else None,
            padding=True,
            padding_side="right",
            return_tensors="pt",
            return_offsets_mapping=True,
            return_text_replacement_offsets=True,
            # a template that writes the beginning-of-text token itself must not get a second one
            add_special_tokens=not (bos and texts[0].startswith(bos)),
        )
        offsets = batch.pop("offset_mapping")
        replacements = batch.pop("text_replacement_offsets", None) or [[]] * len(texts)
        labels_BT = torch.full_like(batch["input_ids"], IGNORE)
        for row, (_, spans) in enumerate(rendered):
            for start, end in _shift(spans, replacements[row]):
                inside = (offsets[row, :, 0] < end) & (offsets[row, :, 1] > start)
                labels_BT[row, inside] = batch["input_ids"][row, inside]
        batch["labels"] = labels_BT
        self._truncate(batch, examples)
        result = dict(batch)
        if self.texts:
            result[TEXTS] = self.texts([example.record for example in examples])
        return result

    def _truncate(self, batch: Any, examples: Sequence[Example]) -> None:
        length = batch["input_ids"].shape[1]
        if length > self.max_length:
            cut = batch["input_ids"][:, self.max_length :]
            for row, example in enumerate(examples):
                if any((cut[row] == token).any() for token in self.image_tokens):
                    raise RecordError(
                        f"record {example.record.id!r}: {self.max_length} tokens do not hold its images; "
                        "raise max_length"
                    )
            for name, value in batch.items():
                if getattr(value, "shape", ())[:2] == (len(examples), length) and value.dim() == 2:
                    batch[name] = value[:, : self.max_length]
        for row, example in enumerate(examples):
            if not (batch["labels"][row] != IGNORE).any():
                raise RecordError(
                    f"record {example.record.id!r}: no assistant token within {self.max_length} tokens; "
                    "raise max_length or drop the record"
                )
