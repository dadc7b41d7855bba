"""Import LLaVA-Med v1.5: Mistral-7B, CLIP ViT-L/14 at 336 px, two-layer MLP, in the layout of its authors.

The result is a plain `llava` folder. The checkpoint's own vision weights are used, which the original loader dropped
in favour of stock CLIP.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from transformers import GenerationConfig, LlavaConfig, MistralConfig, PreTrainedTokenizerFast

from osler.errors import ModelError
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
from osler.models.published.report import ImportReport, TensorDifference
from osler.models.published.shards import DEFAULT_SHARD_BYTES
from osler.models.published.templates import V15
from osler.models.published.text import (
    EMBEDDING,
    HEAD,
    ROTARY_REASON,
    check_rotary,
    grow_rows,
    is_rotary,
    text_target,
)
from osler.models.published.tokenizer import add_special_tokens, load_llama_tokenizer
from osler.models.published.vision import VisionWeights, compare_vision, embedded_vision, external_vision
from osler.models.published.weights import WeightFiles

IMAGE_TOKEN = "<image>"
_VISION_PREFIX = "model.vision_tower.vision_tower.vision_model."
_PROJECTOR = {
    "model.mm_projector.0.weight": "model.multi_modal_projector.linear_1.weight",
    "model.mm_projector.0.bias": "model.multi_modal_projector.linear_1.bias",
    "model.mm_projector.2.weight": "model.multi_modal_projector.linear_2.weight",
    "model.mm_projector.2.bias": "model.multi_modal_projector.linear_2.bias",
}


def import_v15(
    source: str | Path,
    out: str | Path,
    *,
    vision: str | Path | None = None,
    prefer_vision: Literal["checkpoint", "external"] = "checkpoint",
    dtype: str | None = None,
    vocabulary_multiple: int = 64,
    max_shard_bytes: int = DEFAULT_SHARD_BYTES,
) -> ImportReport:
    """Turn a LLaVA-Med v1.5 checkpoint into a Hugging Face folder.

    The vocabulary has no image token; `<image>` is added behind it, and embedding and head grow by rows that are the
    mean of the others (`grow_rows`). Logits over the original vocabulary do not change, and the generation settings
    forbid the new rows.

    Args:
        source: checkpoint folder (config.json, weights as safetensors or .bin, tokenizer.model).
        out: folder to make.
        vision: CLIP folder. Needed when the checkpoint holds no vision weights; otherwise compared with them.
        prefer_vision: which vision weights are written when both are there.
        dtype: "float32", "float16" or "bfloat16"; as stored when None.
        vocabulary_multiple: the embedding is padded to a multiple of this (64 suits tensor cores and sharding).
        max_shard_bytes: size of one weight file, and about the memory that the import needs.

    Returns:
        Account of every tensor and configuration key; also written as `import_report.json`.

    Raises:
        ModelError: anything missing, damaged, unsafe, unknown or contradictory. `out` is then not made.
    """
    source, out = Path(source), Path(out)
    if vocabulary_multiple < 1:
        raise ModelError(f"vocabulary_multiple {vocabulary_multiple} is impossible; 1 adds the image token only")
    kind = detect_checkpoint(source)
    if kind != "llava_med_v1.5":
        raise ModelError(f"{source}: this is {kind}, not LLaVA-Med v1.5")
    original, files = OriginalConfig(source), WeightFiles(source, role="checkpoint")
    stored, external = _vision(original, files, vision)
    chosen = _choose(stored, external, prefer_vision, source)
    differences: list[TensorDifference] = compare_vision(stored, external) if stored and external else []

    tokenizer = load_llama_tokenizer(source, max_length=original.get("tokenizer_model_max_length", 2048))
    rows = files.shape(EMBEDDING)[0]
    if rows != original.need("vocab_size", int) or rows < len(tokenizer):
        raise ModelError(
            f"{source}: embedding of {rows} rows, config.json vocab_size {original.get('vocab_size')}, tokenizer of "
            f"{len(tokenizer)} tokens do not fit; take all files from one download"
        )
    tokenizer.pad_token = tokenizer.unk_token  # as the original loader did; the model has no padding row
    (image_id,) = add_special_tokens(tokenizer, [IMAGE_TOKEN])
    vocabulary = -(-max(rows, image_id + 1) // vocabulary_multiple) * vocabulary_multiple
    config = _config(original, chosen, tokenizer, vocabulary=vocabulary, image_id=image_id)

    plan, unused = _plan(files, chosen, vocabulary=vocabulary, theta=config.text_config.rope_parameters["rope_theta"])
    check_plan(plan, config, source=source)
    for other in (stored, external):
        if other is not None:
            unused |= other.unused
            if other is not chosen:
                unused |= dict.fromkeys(map(other.files.label, other.keys.values()), "the other vision encoder is used")
    processor = make_processor(
        tokenizer,
        chosen,
        pad_to_square=original.expect("image_aspect_ratio", ("pad", "square", None), why="unknown tiling") == "pad",
        strategy=config.vision_feature_select_strategy,
        image_token=IMAGE_TOKEN,
        chat_template=V15,
    )
    generation = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=1024,  # the length of the released evaluation; transformers' default is 20
        suppress_tokens=list(range(min(rows, image_id), vocabulary)),
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
        vocabulary=vocabulary,
        source_vocabulary=rows,
        image_token=IMAGE_TOKEN,
        image_token_id=image_id,
        mapped={source: name for name, planned in plan.items() for source in planned.sources},
        unused=unused,
        unused_config=original.unread(),
        differences=differences,
        vision_source="checkpoint" if chosen is stored else "external",
        notes=_notes(stored, external, differences, rows, vocabulary),
    )
    report.save()
    return report


def _vision(
    original: OriginalConfig, files: WeightFiles, folder: str | Path | None
) -> tuple[VisionWeights | None, VisionWeights | None]:
    name = original.need("mm_vision_tower", str)
    external = None if folder is None else external_vision(Path(folder))
    if external is not None and any(key.startswith(_VISION_PREFIX) for key in files):
        name = "clip-vit-"  # the external folder vouches for the architecture; its configuration is taken below
    stored = embedded_vision(files, prefix=_VISION_PREFIX, name=name)
    if stored is not None and external is not None:
        stored.config = external.config
        stored.image_mean, stored.image_std = external.image_mean, external.image_std
    return stored, external


def _choose(stored: VisionWeights | None, external: VisionWeights | None, prefer: str, source: Path) -> VisionWeights:
    if prefer not in ("checkpoint", "external"):
        raise ModelError(f"prefer_vision {prefer!r} is unknown; choose checkpoint or external")
    if prefer == "external" and external is None:
        raise ModelError("prefer_vision 'external' needs a CLIP folder; give it with --vision")
    chosen = (external or stored) if prefer == "external" else (stored or external)
    if chosen is None:
        raise ModelError(f"{source}: holds no vision weights; give the CLIP folder with --vision")
    return chosen


def _config(
    original: OriginalConfig,
    vision: VisionWeights,
    tokenizer: PreTrainedTokenizerFast,
    *,
    vocabulary: int,
    image_id: int,
) -> LlavaConfig:
    original.expect("mm_projector_type", ("mlp2x_gelu",), why="v1.5 has a two-layer MLP")
    original.expect("mm_patch_merge_type", ("flat", None), why="image tiles are not part of v1.5")
    for key in ("mm_use_im_start_end", "mm_use_im_patch_token"):
        original.expect(key, (False, None), why="v1.5 has no start, end or patch tokens")
    feature = original.expect("mm_vision_select_feature", ("patch", "cls_patch", None), why="unknown selection")
    width = original.need("mm_hidden_size", int)
    if width != vision.config.hidden_size:
        raise ModelError(
            f"{original.path}: mm_hidden_size {width}, but the encoder is {vision.config.hidden_size} wide"
        )
    text = MistralConfig(
        **original.text_fields(),
        vocab_size=vocabulary,
        rope_parameters={"rope_type": "default", "rope_theta": original.need("rope_theta", float)},
        attention_dropout=original.get("attention_dropout", 0.0),
        # an absent key meant 4096 to the library that wrote the file, an explicit null means none
        sliding_window=original.get("sliding_window") if "sliding_window" in original.values else 4096,
        head_dim=original.get("head_dim"),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlavaConfig(
        vision_config=vision.config,
        text_config=text,
        image_token_index=image_id,
        image_seq_length=vision.patches + (feature == "cls_patch"),
        projector_hidden_act="gelu",
        vision_feature_layer=original.need("mm_vision_select_layer", int),
        vision_feature_select_strategy="full" if feature == "cls_patch" else "default",
        tie_word_embeddings=False,
    )


def _plan(
    files: WeightFiles, vision: VisionWeights, *, vocabulary: int, theta: float
) -> tuple[dict[str, Planned], dict[str, str]]:
    plan: dict[str, Planned] = {}
    unused: dict[str, str] = {}
    for key in files:
        label, shape, load = (files.label(key),), files.shape(key), partial(files.tensor, key)
        if key.startswith(_VISION_PREFIX):
            continue
        if is_rotary(key):
            check_rotary(files.tensor(key), theta=theta, label=label[0])
            unused[label[0]] = ROTARY_REASON
        elif key in (EMBEDDING, HEAD):
            grown = partial(lambda key: grow_rows(files.tensor(key), vocabulary), key)
            plan[text_target(key)] = Planned(label, (vocabulary, *shape[1:]), grown)
        else:
            plan[_PROJECTOR.get(key) or text_target(key)] = Planned(label, shape, load)
    for name, key in vision.keys.items():
        tensor = partial(vision.files.tensor, key)
        plan[name] = Planned((vision.files.label(key),), vision.files.shape(key), tensor)
    return plan, unused


def _notes(
    stored: VisionWeights | None,
    external: VisionWeights | None,
    differences: list[TensorDifference],
    rows: int,
    vocabulary: int,
) -> list[str]:
    notes = [f"{IMAGE_TOKEN} was added: the embedding grew from {rows} to {vocabulary} rows (means of the others)"]
    if stored is None:
        notes.append("the checkpoint holds no vision weights; the external encoder was used")
    elif external is None:
        notes.append("the checkpoint's own vision weights were used; heads and activation are those of OpenAI's CLIP")
    else:
        same = "are equal" if not differences else f"differ in {len(differences)} of {len(stored.keys)} tensors"
        notes.append(f"stored and external vision weights {same}")
    return notes
