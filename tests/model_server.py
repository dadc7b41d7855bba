"""A real model behind a real HTTP server: chat requests with data addresses in, greedy answers out.

It shares nothing with the runners but the model: pictures are decoded here, the prompt is made by the processor, and
`generate` answers one request at a time.

    python -m tests.model_server FOLDER PORT [seconds before it answers]
"""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
import time
from typing import Any

from tests.endpoint_server import Reply, serving


class ModelServer:
    """`answer` for `endpoint_server.serving`."""

    def __init__(self, model: Any, processor: Any, *, shows_end: bool = True) -> None:
        self.model, self.processor, self.shows_end, self._lock = model.eval(), processor, shows_end, threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Reply:
        import torch
        from PIL import Image

        messages = []
        for message in body["messages"]:
            content = message["content"]
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            messages.append({"role": message["role"], "content": [dict(part) for part in parts]})
            for part in messages[-1]["content"]:
                if part["type"] == "image_url":
                    data = part.pop("image_url")["url"].removeprefix("data:image/png;base64,")
                    part |= {"type": "image", "image": Image.open(io.BytesIO(base64.b64decode(data)))}
        tokenizer = self.processor.tokenizer
        with self._lock, torch.no_grad():
            inputs = self.processor.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
            start = inputs["input_ids"].shape[1]
            output = self.model.generate(
                **inputs, do_sample=False, max_new_tokens=body["max_tokens"], output_logits=True,
                return_dict_in_generate=True,
            )  # fmt: skip
        tokens = output.sequences[0, start:].tolist()
        chances = [float(row[0].log_softmax(-1)[token]) for row, token in zip(output.logits, tokens, strict=True)]
        ended = tokens[-1] == tokenizer.eos_token_id
        text = tokenizer.decode(tokens[:-1] if ended else tokens, skip_special_tokens=True)
        shown = list(zip(tokens, chances, strict=True))[: None if self.shows_end or not ended else -1]
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
        choice["finish_reason"] = "stop" if ended else "length"
        if body.get("logprobs"):
            pieces = [tokenizer.decode([token]) for token, _ in shown]
            if not self.shows_end:  # as servers that show the text in pieces
                pieces = [text, *[""] * len(shown)][: len(shown)]
            entries = [{"token": piece, "logprob": chance} for piece, (_, chance) in zip(pieces, shown, strict=True)]
            choice["logprobs"] = {"content": entries}
        reply = {"choices": [choice], "usage": {"completion_tokens": len(tokens)}}
        return 200, {"content-type": "application/json"}, json.dumps(reply).encode()


def main() -> None:
    from osler.models import load_model

    time.sleep(float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
    loaded = load_model(sys.argv[1])
    with serving(ModelServer(loaded.model, loaded.processor), models=("tiny",), port=int(sys.argv[2])) as script:
        print(f"serving at {script.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
