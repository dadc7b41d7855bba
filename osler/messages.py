"""Records as chat messages: the one place where turns become what a chat template sees.

Training, evaluation, chat and the server all go through here, so a model is always asked the way it was taught.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from osler.records import IMAGE_PLACEHOLDER, Turn

Message = dict[str, Any]


def to_messages(turns: Iterable[Turn]) -> list[Message]:
    """Turn record turns into chat messages with typed content.

    Args:
        turns: of one record; `<image>` marks where an image stands.

    Returns:
        `[{"role": ..., "content": [{"type": "image"}, {"type": "text", "text": ...}]}]`. White space around a
        placeholder is dropped: how an image is set off from text is the chat template's affair.

    Example:
        >>> to_messages([Turn(role="user", text="<image>\\nIs this an MRI?")])
        [{'role': 'user', 'content': [{'type': 'image'}, {'type': 'text', 'text': 'Is this an MRI?'}]}]
    """
    messages: list[Message] = []
    for turn in turns:
        content: list[dict[str, str]] = []
        if turn.role == "user":
            pieces = turn.text.split(IMAGE_PLACEHOLDER)
            for number, piece in enumerate(pieces):
                if number:
                    content.append({"type": "image"})
                if piece.strip():
                    content.append({"type": "text", "text": piece.strip()})
        else:
            content.append({"type": "text", "text": turn.text.strip()})
        messages.append({"role": turn.role, "content": content})
    return messages


def prompt_messages(turns: Iterable[Turn]) -> list[Message]:
    """Messages up to and including the first user turn: the question of a one-question record."""
    head: list[Turn] = []
    for turn in turns:
        head.append(turn)
        if turn.role == "user":
            break
    return to_messages(head)


def with_image(prompt: Any, image: Any) -> Any:
    """A conversation whose image parts hold the picture; TRL passes it so already."""
    messages = [{**message, "content": _parts(message["content"])} for message in prompt]
    for message in messages:
        for part in message["content"]:
            if part["type"] == "image" and part.get("image") is None:
                part["image"] = image
    return messages


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [dict(part) for part in content]
