"""`LocalRunner`: greedy batched answers of any transformers `AutoModelForImageTextToText`.

An answer must not depend on which other prompts share its batch. Prompts of different length are padded on the *left*,
the attention mask goes with them, and position ids count tokens without padding, so that a padded row sees what it sees
alone. What remains is floating-point rounding, which differs between batch shapes; in float32 it is too small to change
a greedy choice except at a near tie, in bfloat16 ties are common. That is why float32 is the default on the CPU, why
dtype and batch size are recorded with every score, and why `batch_size=1` is the setting to compare with.

Models of LLaVA's kind compute an image once for all its questions (`prefill`), and leave the batch row by row as they
end (`greedy`); others, and sampling, go through the library's `generate` (`library`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.errors import EvaluationError
from osler.evaluation.runners.base import Answer, Request
from osler.evaluation.runners.prompts import PromptEncoder, picture_keys
from osler.records import IMAGE_PLACEHOLDER

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin


class LocalRunner:
    """Answers with a model in this process.

    Args:
        model: model folder, folder of a PEFT adapter, hub name, or (model, processor).
        max_new_tokens: length limit of an answer.
        batch_size: prompts in one forward pass.
        device: torch device; default: the first GPU if there is one, else the CPU (a given model stays where it is).
        dtype: "float32", "bfloat16" or "float16"; default: float32 on the CPU, as stored on a GPU.
        stop: strings that end an answer, besides the model's end tokens; they are cut off the answer.
        do_sample: sample instead of taking the likeliest token.
        temperature: of sampling.
        top_p: of sampling.
        seed: of sampling; drawn per batch, so sampled answers do depend on the batch size.
        share_images: compute an image once for all its questions, where the model is of LLaVA's kind; False is there to
            compare with.
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
        share_images: bool = True,
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
            self._load(model, device=device, dtype=dtype)
            self.name = str(model)
            if self._folder and not Path(model).is_dir():  # from a hub: its folder is called by the revision
                self.name += f"@{self._folder.name[:12]}"
        self.model.eval()
        stored = self.model.generation_config
        # some checkpoints end a turn with text instead of a token (LLaVA-Med v1.0: "###")
        self.stop += tuple(text for text in getattr(stored, "stop_strings", None) or () if text not in self.stop)
        self._suppressed = list(getattr(stored, "suppress_tokens", None) or ())
        self._ends = _end_tokens(self.model, self.processor)
        self._fingerprint: str | None = None
        self._encoder = PromptEncoder(self.processor)
        self._prefill: Any = None
        if not do_sample:
            from osler.evaluation.runners.prefill import Prefiller, can_share

            self._prefill = Prefiller(self.model, share=share_images) if can_share(self.model) else None

    def _load(self, folder: str | Path, *, device: str | None, dtype: str | None) -> None:
        import torch

        from osler.models import load_model
        from osler.models.vision_cache import cached_vision

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        loaded = load_model(folder, dtype=dtype or ("float32" if device == "cpu" else None), device=device)
        self.model, self.processor = loaded.model.requires_grad_(False), loaded.processor
        self._folder = _files_of(folder)
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
        keys = picture_keys(requests)
        answers: dict[int, Answer] = {}
        with _bar(len(requests), show=self.progress) as advance:
            for batch in self._batches(requests, keys):
                answers |= self._answer(batch, [requests[i] for i in batch], [keys[i] for i in batch])
                advance(len(batch))
                if on_batch:
                    on_batch(len(batch))
        return [answers[i] for i in range(len(requests))]

    def _batches(self, requests: Sequence[Request], keys: Sequence[tuple[bytes, ...]]) -> list[list[int]]:
        """Positions by batch: all with images or all without, free answers or scored options, of like length."""
        lengths = [sum(len(turn.text) for turn in request.turns) for request in requests]
        groups: dict[object, list[int]] = {}
        for i, key in enumerate(keys):
            groups.setdefault(key if self._prefill and key else i, []).append(i)
        order: list[tuple[Any, ...]] = []
        for number, group in enumerate(groups.values()):
            mean = sum(lengths[i] for i in group) / len(group)
            order += [
                (bool(requests[i].options), len(keys[i]) == 0, len(keys[i]), mean, number, lengths[i], i) for i in group
            ]
        batches: list[list[int]] = []
        kind = None
        for *_, i in sorted(order):
            if kind != (kind := (bool(requests[i].options), not keys[i])) or len(batches[-1]) == self.batch_size:
                batches.append([])
            batches[-1].append(i)
        return batches

    def _answer(
        self, places: Sequence[int], requests: Sequence[Request], keys: Sequence[tuple[bytes, ...]]
    ) -> dict[int, Answer]:
        import torch

        with torch.inference_mode():
            if not self._prefill:
                found = self._by_options(requests) if requests[0].options else self._by_library(requests)
                return dict(zip(places, found, strict=True))
            from osler.evaluation.runners.greedy import greedy
            from osler.evaluation.runners.option_scores import score_continuations

            prompts = self._encoder.encode(requests, keys)
            answers: dict[int, Answer] = {}
            for part, filled in self._prefill(prompts):
                if requests[0].options:
                    self._need_end()
                    tails = [
                        [
                            self._encoder.continuation(requests[i], prompts[i], text, self._ends)
                            for text in requests[i].options
                        ]
                        for i in part
                    ]
                    scores = score_continuations(self.model, filled, tails, suppressed=self._suppressed)
                    told = [
                        _chosen(requests[i], *both)
                        for i, both in zip(part, zip(tails, scores, strict=True), strict=True)
                    ]
                else:
                    rows = greedy(
                        self.model, filled, max_new_tokens=self.max_new_tokens, ends=self._ends,
                        suppressed=self._suppressed, stopped=self._stopped if self.stop else None,
                    )  # fmt: skip
                    told = [self._decode(row) for row in rows]
                answers |= zip((places[i] for i in part), told, strict=True)
            return answers

    def _by_library(self, requests: Sequence[Request]) -> list[Answer]:
        import torch

        from osler.evaluation.runners import library

        inputs = library.encode(self.processor, requests, device=self.model.device, dtype=self.model.dtype)
        settings: dict[str, Any] = {"max_new_tokens": self.max_new_tokens, "do_sample": self.do_sample}
        settings["suppress_tokens"] = self._suppressed or None  # an image placeholder is never an answer
        if self.do_sample:
            torch.manual_seed(self.seed)
            settings |= {"temperature": self.temperature, "top_p": self.top_p, "top_k": 0}
        rows = library.generate(
            self.model, inputs, settings=settings, ends=self._ends, stop=self._stopped if self.stop else None,
            pad=self.processor.tokenizer.pad_token_id,
        )  # fmt: skip
        return [self._decode(row) for row in rows]

    def _by_options(self, requests: Sequence[Request]) -> list[Answer]:
        """Options of models whose cache cannot be copied: each behind its whole prompt."""
        from osler.evaluation.runners.option_scores import score_joined

        self._need_end()
        found = []
        for request in requests:
            own = self.processor.tokenizer
            tails = [[*own(text, add_special_tokens=False)["input_ids"], self._ends[0]] for text in request.options]
            scores = score_joined(self.model, self.processor, request, tails, suppressed=self._suppressed)
            found.append(_chosen(request, tails, scores))
        return found

    def _need_end(self) -> None:
        if not self._ends:
            raise EvaluationError(f"{self.name}: has no end token, so that whole options cannot be compared")

    def _stopped(self, tokens: list[int]) -> bool:
        """A test on the decoded text: unlike the library's, it works with every tokenizer."""
        text = self.processor.tokenizer.decode(tokens, skip_special_tokens=True)
        return any(stop in text for stop in self.stop)

    def _decode(self, row: Any) -> Answer:
        length = len(row.tokens) - bool(row.ended)
        taken = row.tokens[:length] if row.ended == "token" else row.tokens
        text = self.processor.tokenizer.decode(taken, skip_special_tokens=True)
        cut = min((at for at in (text.find(stop) for stop in self.stop) if at >= 0), default=None)
        return Answer(text=text[:cut].strip(), tokens=length, finished=bool(row.ended), logprob=sum(row.logprobs))


def _chosen(request: Request, tails: Sequence[Sequence[int]], scores: Sequence[float]) -> Answer:
    """The likeliest option; the first of equals."""
    best = max(range(len(scores)), key=lambda place: scores[place])
    return Answer(
        text=request.options[best],
        tokens=len(tails[best]) - 1,
        finished=True,
        logprob=scores[best],
        options_logprob=tuple(scores),
    )


def _end_tokens(model: Any, processor: Any) -> list[int]:
    own = model.generation_config.eos_token_id
    tokens = set(own if isinstance(own, list) else [] if own is None else [own])
    if processor.tokenizer.eos_token_id is not None:
        tokens.add(processor.tokenizer.eos_token_id)
    return sorted(tokens)


def _files_of(model: str | Path) -> Path | None:
    """Where the files of a model lie, here or in the cache of a hub; None for an adapter, which is two models."""
    if Path(model).is_dir():
        return Path(model) if Path(model, "config.json").is_file() else None
    from transformers.utils import cached_file

    found = cached_file(str(model), "config.json", local_files_only=True)
    return Path(found).parent if found else None


def _torch_dtype(name: str) -> Any:
    import torch

    if name not in {"float32", "bfloat16", "float16"}:
        raise EvaluationError(f"dtype {name!r} is none of float32, bfloat16, float16")
    return getattr(torch, name)


def _bar(total: int, *, show: bool) -> Any:
    from osler.evaluation.progress import progress_bar

    return progress_bar("answers", total=total, show=show)
