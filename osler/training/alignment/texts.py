"""The texts that a record's graph nodes stand for, and their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from osler.alignment.settings import AlignmentSettings, Modality
from osler.errors import RecipeError
from osler.records import IMAGE_PLACEHOLDER, Record

if TYPE_CHECKING:
    from torch import Tensor

TEXTS = "alignment_texts"
"""Key of a batch under which the tokens of its texts stand."""

TokenTexts = dict[str, dict[str, "Tensor"]]


def graph_text(record: Record, modality: Modality) -> str:
    """The text behind a record's node: all answers, or all extended answers, joined by ". " (LoGra-Med's format).

    Args:
        record: with assistant turns.
        modality: "answers" or "extended".

    Returns:
        One line, without questions, roles and image placeholders.
    """
    if modality == "extended":
        parts: Sequence[str] = record.extended
    else:
        parts = [turn.text for turn in record.turns if turn.role == "assistant"]
    cleaned = (" ".join(part.replace(IMAGE_PLACEHOLDER, " ").split()) for part in parts)
    return ". ".join(part for part in cleaned if part)


def check_records(records: Sequence[Record], settings: AlignmentSettings, stage: str) -> None:
    """Refuse records that lack a modality, before a model is loaded.

    Raises:
        RecipeError: names the first such record and what to do.
    """
    for record in records:
        for modality in settings.modalities:
            if modality == "image" and not record.images:
                remedy = "drop it, or train it in a stage without alignment"
                raise RecipeError(f"stage {stage}: record {record.id!r} has no image to align; {remedy}")
            if modality != "image" and not graph_text(record, modality):
                others = [name for name in settings.modalities if name != "extended"]
                remedy = (
                    f"give each record its `extended` texts, or align without: alignment.modalities={others}"
                    if modality == "extended"
                    else "every record needs an assistant turn with text"
                )
                raise RecipeError(f"stage {stage}: record {record.id!r} has no {modality} text to align; {remedy}")


class TextTokeniser:
    """Tokenises the graph texts of a batch plainly: no template, no role, no question.

    Args:
        tokenizer: of the model.
        settings: which texts, and how long.
    """

    def __init__(self, tokenizer: Any, settings: AlignmentSettings) -> None:
        self.tokenizer = tokenizer
        self.length = settings.max_text_length
        self.modalities = [name for name in settings.modalities if name != "image"]

    def __call__(self, records: Sequence[Record]) -> TokenTexts:
        """Tokens of B records.

        Returns:
            For each text modality `ids` (all tokens of all texts, one after the other), `lengths` (B) and `begin` (B),
            1 where a text starts with the tokenizer's begin mark, and `pad`. A text without tokens gets the end mark.
        """
        import torch

        result: TokenTexts = {}
        for modality in self.modalities:
            texts = [graph_text(record, modality) for record in records]
            rows = self.tokenizer(texts, truncation=True, max_length=self.length)["input_ids"]
            rows = [row or [self.tokenizer.eos_token_id] for row in rows]
            begin = [int(row[0] == self.tokenizer.bos_token_id and len(row) > 1) for row in rows]
            result[modality] = {
                "ids": torch.tensor([token for row in rows for token in row]),
                "lengths": torch.tensor([len(row) for row in rows]),
                "begin": torch.tensor(begin),
                "pad": torch.tensor(self.tokenizer.pad_token_id or 0),
            }
        return result
