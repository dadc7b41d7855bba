"""The CLIP vision encoder of a checkpoint: its configuration, its tensors, and how it differs from another copy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import CLIPVisionConfig

from osler.errors import ModelError
from osler.models.published.report import TensorDifference
from osler.models.published.weights import WeightFiles

TARGET = "model.vision_tower."
_TEXT_HALF = ("text_model.", "text_projection.", "visual_projection.", "logit_scale")
_OPENAI_HEAD_WIDTH = 64  # in all four published ViT models (B/32, B/16, L/14, L/14-336); shapes do not tell it


@dataclass
class VisionWeights:
    """A vision encoder inside a weight folder.

    Args:
        files: where the tensors are.
        config: encoder configuration.
        keys: name in the written model ("model.vision_tower. ...") → key in `files`.
        unused: label → reason, for what was left out.
        image_mean: channel means of its preprocessing.
        image_std: channel deviations of its preprocessing.
    """

    files: WeightFiles
    config: CLIPVisionConfig
    keys: dict[str, str]
    unused: dict[str, str] = field(default_factory=dict)
    image_mean: list[float] | None = None
    image_std: list[float] | None = None

    @property
    def patches(self) -> int:
        """Number of image patches."""
        return (self.config.image_size // self.config.patch_size) ** 2


def embedded_vision(files: WeightFiles, *, prefix: str, name: str) -> VisionWeights | None:
    """Find the encoder that a LLaVA checkpoint carries, and read its configuration off the tensor shapes.

    Args:
        files: the checkpoint.
        prefix: what its keys begin with.
        name: the encoder's name in the checkpoint's configuration. It vouches for what shapes do not tell (heads,
            activation), so it has to be one of OpenAI's CLIP ViT models.

    Returns:
        The encoder, or None if the checkpoint has none.

    Raises:
        ModelError: an encoder that is not OpenAI's CLIP ViT.
    """
    found = [key for key in files if key.startswith(prefix)]
    if not found:
        return None
    if not name.rstrip("/").rpartition("/")[2].startswith("clip-vit-"):
        raise ModelError(
            f"{files.folder}: mm_vision_tower = {name!r} is not an OpenAI CLIP ViT, so its attention heads are "
            "unknown; give the folder of that encoder with --vision"
        )
    width = files.shape(prefix + "embeddings.class_embedding")[0]
    patch = files.shape(prefix + "embeddings.patch_embedding.weight")[-1]
    positions = files.shape(prefix + "embeddings.position_embedding.weight")[0]
    side = round((positions - 1) ** 0.5)
    layers = {key.removeprefix(prefix).split(".")[2] for key in found if "encoder.layers." in key}
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=files.shape(prefix + "encoder.layers.0.mlp.fc1.weight")[0],
        num_hidden_layers=len(layers),
        num_attention_heads=width // _OPENAI_HEAD_WIDTH,
        patch_size=patch,
        image_size=side * patch,
        hidden_act="quick_gelu",
        projection_dim=768,
    )
    vision = VisionWeights(files, config, {})
    _collect(vision, {key: key.removeprefix(prefix) for key in found})
    return vision


def external_vision(folder: Path) -> VisionWeights:
    """Read a CLIP folder in Hugging Face layout: the whole CLIP or its vision half.

    Raises:
        ModelError: not a CLIP folder, or incomplete.
    """
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder}: no readable config.json; give a CLIP folder ({error})") from error
    if kind not in ("clip", "clip_vision_model"):
        raise ModelError(f"{folder}: model_type {kind!r} is not CLIP; give the folder of the CLIP ViT that was used")
    config = CLIPVisionConfig.from_pretrained(folder, local_files_only=True)
    files = WeightFiles(folder, role="vision")
    vision = VisionWeights(files, config, {})
    names = {}
    for key in files:
        if key.startswith(_TEXT_HALF):
            vision.unused[files.label(key)] = "text half of CLIP"
        else:
            names[key] = key.removeprefix("vision_model.")
    _collect(vision, names)
    preprocessor = folder / "preprocessor_config.json"
    if preprocessor.is_file():
        settings = json.loads(preprocessor.read_text(encoding="utf-8"))
        vision.image_mean, vision.image_std = settings.get("image_mean"), settings.get("image_std")
    return vision


def _collect(vision: VisionWeights, names: dict[str, str]) -> None:
    for key, name in names.items():
        if name == "embeddings.position_ids":
            stored = vision.files.tensor(key).flatten()
            if not torch.equal(stored.long(), torch.arange(stored.numel())):
                raise ModelError(f"{vision.files.folder}: {key} does not count 0, 1, 2, ...; the file is damaged")
            vision.unused[vision.files.label(key)] = "position numbers, checked to be 0, 1, 2, ... and recomputed"
        else:
            vision.keys[TARGET + name] = key


def compare_vision(ours: VisionWeights, other: VisionWeights) -> list[TensorDifference]:
    """Compare two copies of an encoder tensor by tensor, in the coarser of the two element types.

    A checkpoint in bfloat16 is compared with an encoder in float32 after rounding the latter: rounding alone is no
    difference.

    Args:
        ours: the encoder in the checkpoint.
        other: the external one.

    Returns:
        The tensors that differ; empty when the encoders are the same.

    Raises:
        ModelError: other tensors or other shapes, so not the same architecture.
    """
    if ours.keys.keys() != other.keys.keys():
        odd = ", ".join(sorted(ours.keys.keys() ^ other.keys.keys())[:3])
        raise ModelError(f"{other.files.folder}: not the architecture of the stored encoder ({odd}, ...)")
    differences = []
    for name, key in ours.keys.items():
        a, b = ours.files.tensor(key), other.files.tensor(other.keys[name])
        if a.shape != b.shape:
            raise ModelError(
                f"{other.files.folder}: {name} has shape {tuple(b.shape)}, the stored encoder {tuple(a.shape)}; "
                "give the CLIP that the checkpoint names in mm_vision_tower"
            )
        coarse = min(a.dtype, b.dtype, key=lambda dtype: (dtype.itemsize, -torch.finfo(dtype).eps))
        gap = (a.to(coarse).float() - b.to(coarse).float()).abs()
        changed = int((gap > 0).sum())
        if changed:
            differences.append(TensorDifference(name, float(gap.max()), changed, gap.numel()))
    return differences
