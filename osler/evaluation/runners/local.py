"""`LocalRunner`: greedy batched generation with any transformers `AutoModelForImageTextToText`.

An answer must not depend on which other prompts share its batch. Prompts of different length are padded on the *left*,
so that every row ends where its answer begins, and the attention mask goes with them: transformers derives position ids
from it, so that a padded row sees the same positions as alone. What remains is floating-point rounding, which differs
between batch shapes; in float32 it is too small to change a greedy choice except at a near tie, in bfloat16 ties are
common. That is why float32 is the default on the CPU, why dtype and batch size are recorded with every score, and why
`batch_size=1` is the setting to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.errors import EvaluationError
from osler.evaluation.runners.base import Answer, Request
from osler.messages import to_messages
from osler.records import IMAGE_PLACEHOLDER

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin


class LocalRunner:
    """Answers with a model in this process.

    Args:
        model: model folder, or (model, processor).
        max_new_tokens: length limit of an answer.
        batch_size: prompts in one forward pass.
        device: torch device; default: the first GPU if there is one, else the CPU (a given model stays where it is).
        dtype: "float32", "bfloat16" or "float16"; default: float32 on the CPU, as stored on a GPU.
        stop: strings that end an answer, besides the model's end tokens; they are cut off the answer.
        do_sample: sample instead of taking the likeliest token.
        temperature: of sampling.
        top_p: of sampling.
        seed: of sampling; drawn per batch, so sampled answers do depend on the batch size.
        progress: show a bar with the time left.

    Raises:
        EvaluationError: for an empty stop string (it is found in every text) or impossible numbers.
        ModelError: when the folder is no complete model.

    Example:
        >>> runner = LocalRunner("runs/demo/model")  # doctest: +SKIP
        >>> runner.answer([Request(turns=(Turn(role="user", text="<image>\\nIs this an MRI?"),), images=(picture,))])
    """

    def __init__(
        self,
        model: str | Path | tuple[PreTrainedModel, ProcessorMixin],
        *,
        max_new_tokens: int = 32,
        batch_size: int = 8,
        device: str | None = None,
        dtype: str | None = None,
        stop: Sequence[str] = (),
        do_sample: bool = False,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        if max_new_tokens < 1 or batch_size < 1:
            raise EvaluationError(f"max_new_tokens={max_new_tokens} and batch_size={batch_size} must be at least 1")
        if any(not text for text in stop):
            raise EvaluationError("a stop string is empty: it is found in every text, so each answer would end at once")
        if do_sample and not (temperature > 0 and 0 < top_p <= 1):
            raise EvaluationError(f"sampling needs temperature > 0 and 0 < top_p <= 1, not {temperature} and {top_p}")
        self.max_new_tokens, self.batch_size, self.stop, self.progress = (
            max_new_tokens,
            batch_size,
            tuple(stop),
            progress,
        )
        self.do_sample, self.temperature, self.top_p, self.seed = do_sample, temperature, top_p, seed
        self._folder: Path | None = None
        if isinstance(model, tuple):
            self.model, self.processor = model
            if device:
                self.model = self.model.to(device)
            if dtype:
                self.model = self.model.to(_torch_dtype(dtype))
            self.name = type(self.model).__name__
        else:
            self._load(Path(model), device=device, dtype=dtype)
            self.name = str(model)
        self.model.eval()
        stored = self.model.generation_config
        # some checkpoints end a turn with text instead of a token (LLaVA-Med v1.0: "###")
        self.stop += tuple(text for text in getattr(stored, "stop_strings", None) or () if text not in self.stop)
        self._suppressed = list(getattr(stored, "suppress_tokens", None) or ())
        self._ends = _end_tokens(self.model, self.processor)
        self._fingerprint: str | None = None

    def _load(self, folder: Path, *, device: str | None, dtype: str | None) -> None:
        import torch

        from osler.models import load_model
        from osler.models.vision_cache import cached_vision

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        loaded = load_model(folder, dtype=dtype or ("float32" if device == "cpu" else None), device=device)
        self.model, self.processor = loaded.model.requires_grad_(False), loaded.processor
        self._folder = folder
        # questions and controls show the same pictures again and again; lives as long as this runner's model
        self._vision = ExitStack()
        self._vision.enter_context(cached_vision(self.model))

    def settings(self) -> dict[str, Any]:
        """Decoding settings; sampling parameters only when sampling."""
        settings: dict[str, Any] = {
            "decoding": "sampling" if self.do_sample else "greedy",
            "max_new_tokens": self.max_new_tokens,
            "batch_size": self.batch_size,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": self.model.device.type,
            "stop": list(self.stop),
            "end_tokens": self._ends,
            "suppressed_tokens": self._suppressed,
        }
        if self.do_sample:
            settings |= {"temperature": self.temperature, "top_p": self.top_p, "seed": self.seed}
        return settings

    def fingerprint(self) -> str:
        """sha256 over the folder's files, or over configuration, weights and chat template of a model in memory."""
        if self._fingerprint is None:
            from osler.evaluation.fingerprints import hash_folder, hash_model

            self._fingerprint = hash_folder(self._folder) if self._folder else hash_model(self.model, self.processor)
        return self._fingerprint

    def answer(self, requests: Sequence[Request], *, on_batch: Callable[[int], None] | None = None) -> list[Answer]:
        """Answer all requests.

        Prompts of like length share a batch, because padding is wasted work; the order of the answers is that of the
        requests.

        Args:
            requests: prompts with their images.
            on_batch: called after each batch with the number of its prompts.

        Raises:
            EvaluationError: when placeholders and images of a request do not match.
        """
        for position, request in enumerate(requests):
            wanted = sum(turn.text.count(IMAGE_PLACEHOLDER) for turn in request.turns if turn.role == "user")
            if wanted != len(request.images):
                raise EvaluationError(
                    f"request {position}: {wanted} {IMAGE_PLACEHOLDER} placeholders but {len(request.images)} images"
                )
        # Prompts without images cannot share a processor call with others.
        order = sorted(range(len(requests)), key=lambda i: (not requests[i].images, _length(requests[i]), i))
        batches: list[list[int]] = []
        for i in order:
            full = not batches or len(batches[-1]) == self.batch_size
            if full or bool(requests[batches[-1][0]].images) != bool(requests[i].images):
                batches.append([])
            batches[-1].append(i)
        answers: dict[int, Answer] = {}
        with _bar(len(requests), show=self.progress) as advance:
            for batch in batches:
                answers |= zip(batch, self._generate([requests[i] for i in batch]), strict=True)
                advance(len(batch))
                if on_batch:
                    on_batch(len(batch))
        return [answers[i] for i in range(len(requests))]

    def _generate(self, requests: Sequence[Request]) -> list[Answer]:
        import torch

        inputs = self._encode(requests).to(self.model.device)
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        if self.do_sample:
            torch.manual_seed(self.seed)
        start = inputs["input_ids"].shape[1]
        # `generate` merges what the checkpoint stores (sampling, penalties) into any configuration it is given, so the
        # stored one has to be out of the way: it must not leak into a benchmark.
        stored, self.model.generation_config = self.model.generation_config, self._generation_config()
        try:
            with torch.inference_mode():
                tokens = self.model.generate(**inputs, stopping_criteria=self._stopping(start))
        finally:
            self.model.generation_config = stored
        return [self._decode(row) for row in tokens[:, start:].tolist()]

    def _encode(self, requests: Sequence[Request]) -> Any:
        tokenizer = self.processor.tokenizer
        if tokenizer.pad_token is None:
            # Any token serves: the mask hides it. The end token is in every vocabulary that can end an answer.
            tokenizer.pad_token = tokenizer.eos_token
        conversations = []
        for request in requests:
            messages, images = to_messages(request.turns), iter(request.images)
            for message in messages:
                for part in message["content"]:
                    if part["type"] == "image":
                        part["image"] = next(images)
            conversations.append(messages)
        return self.processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        )

    def _generation_config(self) -> Any:
        from transformers import GenerationConfig

        sampling = {"temperature": self.temperature, "top_p": self.top_p, "top_k": 0} if self.do_sample else {}
        return GenerationConfig(
            max_new_tokens=self.max_new_tokens,
            do_sample=self.do_sample,
            num_beams=1,
            eos_token_id=self._ends or None,
            pad_token_id=self.processor.tokenizer.pad_token_id,
            suppress_tokens=self._suppressed or None,  # an image placeholder is never an answer
            **sampling,
        )

    def _stopping(self, start: int) -> list[Any]:
        """A test on the decoded text: unlike the library's, it works with every tokenizer."""
        import torch

        decode = self.processor.tokenizer.decode

        def stopped(input_ids: Any, scores: Any, **_: Any) -> Any:
            texts = [decode(row[start:], skip_special_tokens=True) for row in input_ids]
            return torch.tensor([any(stop in text for stop in self.stop) for text in texts], device=input_ids.device)

        return [stopped] if self.stop else []

    def _decode(self, row: list[int]) -> Answer:
        length = next((i for i, token in enumerate(row) if token in self._ends), len(row))
        finished = length < len(row)
        if self.stop:  # a row that a stop string ended is padded until the others of its batch end
            while length and row[length - 1] == self.processor.tokenizer.pad_token_id:
                length -= 1
        text = self.processor.tokenizer.decode(row[:length], skip_special_tokens=True)
        cut = min((at for at in (text.find(stop) for stop in self.stop) if at >= 0), default=None)
        if cut is not None:
            text, finished = text[:cut], True
        return Answer(text=text.strip(), tokens=length, finished=finished)


def _end_tokens(model: Any, processor: Any) -> list[int]:
    own = model.generation_config.eos_token_id
    tokens = set(own if isinstance(own, list) else [] if own is None else [own])
    if processor.tokenizer.eos_token_id is not None:
        tokens.add(processor.tokenizer.eos_token_id)
    return sorted(tokens)


def _length(request: Request) -> int:
    return sum(len(turn.text) for turn in request.turns)


def _torch_dtype(name: str) -> Any:
    import torch

    if name not in {"float32", "bfloat16", "float16"}:
        raise EvaluationError(f"dtype {name!r} is none of float32, bfloat16, float16")
    return getattr(torch, name)


def _bar(total: int, *, show: bool) -> Any:
    from osler.evaluation.progress import progress_bar

    return progress_bar("answers", total=total, show=show)
