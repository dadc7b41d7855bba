"""From requests to token ids and pixels; a picture that several questions are about is processed once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osler.evaluation.runners.base import Request
from osler.messages import to_messages

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt as the model reads it.

    Args:
        ids: token ids, every image placeholder expanded.
        pixels: (images, channels, height, width), or None without images.
        pictures: one hash of each image.
    """

    ids: list[int]
    pixels: Tensor | None
    pictures: tuple[bytes, ...]

    def prefix(self, image_token: int) -> int:
        """Number of tokens up to and including the last image token; 0 without images."""
        last = len(self.ids) - 1
        while last >= 0 and self.ids[last] != image_token:
            last -= 1
        return last + 1


def conversations(requests: Sequence[Request]) -> list[list[dict[str, Any]]]:
    """Chat messages of each request, its pictures in their image parts."""
    found = []
    for request in requests:
        messages, images = to_messages(request.turns), iter(request.images)
        for message in messages:
            for part in message["content"]:
                if part["type"] == "image":
                    part["image"] = next(images)
        found.append(messages)
    return found


def picture_key(image: Image) -> bytes:
    """Hash of mode, size and pixels."""
    digest = hashlib.blake2b(f"{image.mode}{image.size}".encode(), digest_size=16)
    digest.update(image.tobytes())
    return digest.digest()


def picture_keys(requests: Sequence[Request]) -> list[tuple[bytes, ...]]:
    """Hashes of the images of each request; one object that many requests hold is read once."""
    known: dict[int, bytes] = {}

    def key(image: Image) -> bytes:
        if id(image) not in known:
            known[id(image)] = picture_key(image)
        return known[id(image)]

    return [tuple(key(image) for image in request.images) for request in requests]


class PromptEncoder:
    """Encodes requests for models whose image processor gives `pixel_values` of one shape (LLaVA's kind).

    Args:
        processor: with a chat template.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self._pictures: dict[bytes, Any] = {}

    def encode(self, requests: Sequence[Request], keys: Sequence[tuple[bytes, ...]]) -> list[Prompt]:
        """Prompts with the assistant's turn opened, either all with images or all without.

        Args:
            requests: to encode; placeholders and images match.
            keys: their `picture_keys`.
        """
        self._pictures = {key: kept for key, kept in self._pictures.items() if any(key in own for own in keys)}
        encoded = self._template(conversations(requests), keys, add_generation_prompt=True)
        pixels = encoded.get("pixel_values")
        prompts, at = [], 0
        for ids, own in zip(encoded["input_ids"], keys, strict=True):
            shown = pixels[at : at + len(own)] if own else None
            prompts.append(Prompt(ids=list(ids), pixels=shown, pictures=own))
            at += len(own)
        return prompts

    def continuation(self, request: Request, prompt: Prompt, text: str, ends: Sequence[int]) -> list[int]:
        """Token ids by which the prompt goes on when the assistant says `text`, the end token last.

        They are those of the chat template, where the prompt is a beginning of the whole conversation: what sets an
        answer off from the prompt, and how its first word is tokenised, is the template's affair.

        Args:
            request: that was encoded.
            prompt: its encoding.
            text: of the assistant.
            ends: tokens that end an answer, at least one.
        """
        said = [*conversations([request])[0], {"role": "assistant", "content": [{"type": "text", "text": text}]}]
        whole = list(self._template([said], [prompt.pictures], add_generation_prompt=False)["input_ids"][0])
        own = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        if whole[: len(prompt.ids)] == prompt.ids:
            tail = whole[len(prompt.ids) :]
            first = next((place for place, token in enumerate(tail) if token in ends), None)
            if first is not None:
                return tail[: first + 1]
        return [*own, ends[0]]

    def _template(self, messages: list[Any], keys: Sequence[tuple[bytes, ...]], **options: bool) -> Any:
        with self._remembering([key for own in keys for key in own]):
            return self.processor.apply_chat_template(
                messages, tokenize=True, return_dict=True, processor_kwargs={"padding": False}, **options
            )

    @contextmanager
    def _remembering(self, keys: list[bytes]) -> Iterator[None]:
        """Put a memory in front of the image processor; pictures come to it in the order of their placeholders."""
        original = self.processor.image_processor
        self.processor.image_processor = _Remembering(original, keys, self._pictures)
        try:
            yield
        finally:
            self.processor.image_processor = original


class _Remembering:
    def __init__(self, original: Any, keys: list[bytes], kept: dict[bytes, Any]) -> None:
        self._original, self._keys, self._kept = original, keys, kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __call__(self, images: Any, **options: Any) -> Any:
        import torch
        from transformers import BatchFeature

        shown = [image for entry in images for image in (entry if isinstance(entry, (list, tuple)) else (entry,))]
        assert len(shown) == len(self._keys), "each placeholder has its picture"
        for key, image in zip(self._keys, shown, strict=True):
            if key not in self._kept:
                made = self._original(images=[image], **{**options, "return_tensors": "pt"})["pixel_values"]
                self._kept[key] = made
        return BatchFeature({"pixel_values": torch.cat([self._kept[key] for key in self._keys])})
