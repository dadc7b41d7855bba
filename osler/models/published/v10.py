"""Import LLaVA-Med v1.0: deltas to LLaMA-7B, CLIP ViT-L/14 at 224 px, one linear projector.

The result is an `osler_llava` folder with the linear projector. Nothing is added to the vocabulary: the 32,004 tokens
already hold `<im_patch>`, which the processor repeats for every patch; start and end token stand in the chat template.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from transformers import GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

from osler.errors import ModelError
from osler.models.llava_variants import OslerLlavaConfig
from osler.models.published.detect import detect_checkpoint
from osler.models.published.folder import (
    Planned,
    check_plan,
    make_processor,
    new_folder,
    pick_dtype,
    save_settings,
    verify_folder,
    write_weights,
)
from osler.models.published.original_config import OriginalConfig
from osler.models.published.report import ImportReport
from osler.models.published.shards import DEFAULT_SHARD_BYTES
from osler.models.published.templates import V10_EVALUATION, V10_TRAINING
from osler.models.published.text import (
    EMBEDDING,
    HEAD,
    ROTARY_REASON,
    ROTARY_TOLERANCE,
    check_rotary,
    is_rotary,
    text_target,
)
from osler.models.published.tokenizer import add_special_tokens, load_llama_tokenizer
from osler.models.published.vision import VisionWeights, external_vision
from osler.models.published.weights import WeightFiles

PAD, PATCH, START, END = "[PAD]", "<im_patch>", "<im_start>", "<im_end>"
ADDED = (PAD, PATCH, START, END)  # in the order in which the authors added them
_PROJECTOR = {
    "model.mm_projector.weight": "model.multi_modal_projector.linear.weight",
    "model.mm_projector.bias": "model.multi_modal_projector.linear.bias",
}


def import_v10(
    delta: str | Path,
    base: str | Path | None,
    vision: str | Path,
    out: str | Path,
    *,
    template: Literal["evaluation", "training"] = "evaluation",
    strip_around_image: bool = True,
    dtype: str | None = None,
    max_shard_bytes: int = DEFAULT_SHARD_BYTES,
) -> ImportReport:
    """Add a LLaVA-Med v1.0 delta to its base model and write an Osler LLaVA folder.

    Tensors add element by element; embedding and head, which have four rows more than the base, add over the rows of
    the base; the projector is stored as it is. Sums are taken in float32 and rounded once.

    Args:
        delta: folder with the delta (or, with `base=None`, with weights that hold the base already).
        base: LLaMA-7B in Hugging Face layout.
        vision: CLIP ViT-L/14 folder; the delta does not contain the encoder.
        out: folder to make.
        template: chat template of the released evaluation or of the released training, which differ.
        strip_around_image: swallow white space next to the image tokens, as the tokenizer of the training did.
        dtype: "float32", "float16" or "bfloat16"; as stored in the delta when None.
        max_shard_bytes: size of one weight file, and about the memory that the import needs.

    Returns:
        Account of every tensor and configuration key; also written as `import_report.json`.

    Raises:
        ModelError: anything missing, damaged, unsafe, unknown or contradictory. `out` is then not made.
    """
    delta, base, out = Path(delta), None if base is None else Path(base), Path(out)
    kind = detect_checkpoint(delta)
    if kind not in ("llava_med_v1.0", "llava_med_v1.0_delta"):
        raise ModelError(f"{delta}: this is {kind}, not LLaVA-Med v1.0")
    if kind == "llava_med_v1.0_delta" and base is None:
        raise ModelError(f"{delta}: holds differences only; give the LLaMA-7B folder with --base")
    if kind == "llava_med_v1.0" and base is not None:
        raise ModelError(f"{delta}: holds whole weights, not differences; import it without --base")
    if template not in ("evaluation", "training"):
        raise ModelError(f"template {template!r} is unknown; choose evaluation or training")
    original = OriginalConfig(delta)
    _check_encoder_name(original)
    files = WeightFiles(delta, role="delta" if base else "checkpoint")
    base_files = None if base is None else WeightFiles(base, role="base")
    encoder = external_vision(Path(vision))

    tokenizer, notes = _tokenizer(delta, base, strip=strip_around_image)
    rows = files.shape(EMBEDDING)[0]
    _check_vocabulary(rows, len(tokenizer), base_files, original)
    config = _config(original, encoder, tokenizer, rows)
    theta = config.text_config.rope_parameters["rope_theta"]
    plan, unused = _plan(files, base_files, theta=theta)
    for name, key in encoder.keys.items():
        load = partial(encoder.files.tensor, key)
        plan[name] = Planned((encoder.files.label(key),), encoder.files.shape(key), load)
    check_plan(plan, config, source=delta)
    processor = make_processor(
        tokenizer,
        encoder,
        pad_to_square=original.expect("image_aspect_ratio", ("square", "pad", None), why="unknown shape") == "pad",
        strategy="default",
        image_token=PATCH,
        chat_template=V10_EVALUATION if template == "evaluation" else V10_TRAINING,
    )
    generation = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=1024,
        stop_strings=["###"],  # the model ends a turn by its separator, which is not one token
    )
    element = pick_dtype(dtype, stored=files.tensor(EMBEDDING).dtype)
    with new_folder(out) as scratch:
        written = write_weights(plan, config, scratch, dtype=element, max_shard_bytes=max_shard_bytes)
        save_settings(scratch, config, processor, generation, dtype=element)
        verify_folder(scratch)
    report = ImportReport(
        kind=kind,
        out=out,
        dtype=str(element).removeprefix("torch."),
        tensors=written.tensors,
        parameters=written.parameters,
        size_bytes=written.size_bytes,
        shards=written.files,
        vocabulary=rows,
        source_vocabulary=rows,
        image_token=PATCH,
        image_token_id=config.image_token_index,
        mapped={source: name for name, planned in plan.items() for source in planned.sources},
        unused=unused | encoder.unused,
        unused_config=original.unread(),
        differences=[],
        vision_source="external",
        notes=[*notes, f"chat template: {template}", "generate() needs tokenizer=, to stop at '###'"],
    )
    report.save()
    return report


def _check_encoder_name(original: OriginalConfig) -> None:
    name = original.need("mm_vision_tower", str)
    if "biomed" in name.lower():
        raise ModelError(f"{original.path}: mm_vision_tower {name!r}: the BiomedCLIP variant cannot be imported")


def _tokenizer(delta: Path, base: Path | None, *, strip: bool) -> tuple[PreTrainedTokenizerFast, list[str]]:
    tokenizer = load_llama_tokenizer(delta, fallback=base, max_length=2048)
    listing = delta / "added_tokens.json"
    if listing.is_file():
        added: dict[str, int] = json.loads(listing.read_text(encoding="utf-8"))
        order, notes = sorted(added, key=added.__getitem__), []
    else:
        order, notes = (
            list(ADDED),
            [f"no added_tokens.json: the order {', '.join(ADDED)} of the released code was taken"],
        )
    if set(order) != set(ADDED):
        raise ModelError(f"{listing}: lists {', '.join(order)}; LLaVA-Med v1.0 has exactly {', '.join(ADDED)}")
    ids = add_special_tokens(tokenizer, order, strip=strip)
    if listing.is_file() and ids != sorted(added.values()):
        raise ModelError(
            f"{listing}: ids {sorted(added.values())} do not follow the tokenizer, which gives {ids}; "
            "take the tokenizer files of the delta"
        )
    tokenizer.pad_token = PAD
    return tokenizer, notes


def _check_vocabulary(rows: int, tokens: int, base: WeightFiles | None, original: OriginalConfig) -> None:
    if rows != tokens or rows != original.need("vocab_size", int):
        raise ModelError(
            f"{original.path.parent}: embedding of {rows} rows, tokenizer of {tokens} tokens, config.json vocab_size "
            f"{original.get('vocab_size')} do not fit; take all files from one download"
        )
    if base is not None and base.shape(EMBEDDING)[0] != rows - len(ADDED):
        raise ModelError(
            f"{base.folder}: vocabulary of {base.shape(EMBEDDING)[0]} tokens, but the delta of {rows} belongs to a "
            f"base of {rows - len(ADDED)}; give the LLaMA-7B that the delta was made from"
        )


def _config(
    original: OriginalConfig, vision: VisionWeights, tokenizer: PreTrainedTokenizerFast, rows: int
) -> OslerLlavaConfig:
    original.expect("mm_use_im_start_end", (True,), why="v1.0 puts the image between start and end tokens")
    original.expect("use_mm_proj", (True, None), why="v1.0 has a projector")
    width = original.need("mm_hidden_size", int)
    if width != vision.config.hidden_size:
        raise ModelError(
            f"{original.path}: mm_hidden_size {width}, but the encoder is {vision.config.hidden_size} wide"
        )
    text = LlamaConfig(
        **original.text_fields(),
        vocab_size=rows,
        rope_parameters={"rope_type": "default", "rope_theta": float(original.get("rope_theta", 10000.0))},
        # the tokenizer's, because early conversions of LLaMA wrote wrong ids into config.json
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return OslerLlavaConfig(
        projector_type="linear",
        vision_config=vision.config,
        text_config=text,
        image_token_index=int(tokenizer.convert_tokens_to_ids(PATCH)),
        image_seq_length=vision.patches,
        vision_feature_layer=original.need("mm_vision_select_layer", int),
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )


def _plan(files: WeightFiles, base: WeightFiles | None, *, theta: float) -> tuple[dict[str, Planned], dict[str, str]]:
    plan: dict[str, Planned] = {}
    unused: dict[str, str] = {}
    for key in files:
        label, shape = files.label(key), files.shape(key)
        if key in _PROJECTOR:
            plan[_PROJECTOR[key]] = Planned((label,), shape, partial(files.tensor, key))
        elif is_rotary(key) and (base is None or key not in base):
            # a base without tables leaves the bare difference, which is nothing but rounding
            if base is None or float(files.tensor(key).abs().max()) > ROTARY_TOLERANCE:
                check_rotary(files.tensor(key), theta=theta, label=label)
            unused[label] = ROTARY_REASON
        elif base is None:
            plan[text_target(key)] = Planned((label,), shape, partial(files.tensor, key))
        elif is_rotary(key):
            check_rotary(_add(files, base, key), theta=theta, label=label)
            unused |= dict.fromkeys((label, base.label(key)), ROTARY_REASON)
        else:
            _check_addable(files, base, key)
            plan[text_target(key)] = Planned((label, base.label(key)), shape, partial(_add, files, base, key))
    if base is not None:
        for key in (key for key in base if key not in files):
            if not is_rotary(key):
                raise ModelError(f"{base.folder}: {key} is not in the delta; is a shard of the delta missing?")
            check_rotary(base.tensor(key), theta=theta, label=base.label(key))
            unused[base.label(key)] = ROTARY_REASON
    return plan, unused


def _check_addable(files: WeightFiles, base: WeightFiles, key: str) -> None:
    ours, theirs = files.shape(key), base.shape(key)
    if ours != theirs and not (key in (EMBEDDING, HEAD) and ours[1:] == theirs[1:] and ours[0] > theirs[0]):
        raise ModelError(f"{base.folder}: {key} has shape {theirs}, the delta {ours}; this is not the delta's base")


def _add(files: WeightFiles, base: WeightFiles, key: str) -> torch.Tensor:
    """Delta plus base over the rows of the base; later rows are the delta's own."""
    total = files.tensor(key).float()
    other = base.tensor(key)
    if other.ndim and other.shape[0] < total.shape[0]:
        total = total.clone()
        total[: other.shape[0]] += other.float()
        return total
    return total + other.float()
