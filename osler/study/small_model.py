"""The study's model: a vision encoder that sees, a language model that talks, and nothing yet that joins them.

Every run of a seed starts from the same folder, which `build_base` writes once: a convolutional encoder, taught on
other pictures (`pretrained_vision`), a small Llama, taught the texts (`pretrained_language`), a tokenizer of whole
words and a new projector, assembled by `osler.models.build` like any other model. Less than a million weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.records import Record

if TYPE_CHECKING:
    from torch import Tensor

    from osler.models import LoadedModel
    from osler.models.grid_encoder import GridEncoder

PIXELS = 64
WIDTH, LAYERS, HEADS = 128, 3, 4
INITIAL_DEVIATION = 0.08  # of the language model's weights; transformers' 0.02 is for much wider models
MAX_POSITIONS = 512
# (repeats, kernel, stride, expansion, channels) after a stem of stride 2: 64 pixels become 8 x 8, pooled to 4 x 4
STAGES = ((1, 3, 2, 3, 32), (2, 3, 2, 4, 64), (2, 3, 1, 4, 96))
STEM, VISION_WIDTH, POOL = 24, 192, 2
CALIBRATION_PICTURES = 256
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Progress = Callable[[str, int, float], None]
MARKS = {"unknown": "<unk>", "pad": "<pad>", "begin": "<|im_start|>", "end": "<|im_end|>"}
_WORD = r"[\w'-]+|[^\w\s]"


def settings() -> dict[str, Any]:
    """Everything that decides what the starting models are like, but the seed."""
    from osler.study import pretrained_language, pretrained_vision

    names = ("PIXELS", "WIDTH", "LAYERS", "HEADS", "INITIAL_DEVIATION", "STAGES", "STEM", "VISION_WIDTH", "POOL")
    taught = ("STEPS", "BATCH", "LEARNING_RATE", "SEED")
    return {
        "model": {name: globals()[name] for name in names},
        "vision": {name: getattr(pretrained_vision, name) for name in (*taught, "PICTURES", "EMPTY_WEIGHT")},
        "language": {name: getattr(pretrained_language, name) for name in (*taught, "RECORDS")},
    }


def base_folder(work: Path, seed: int) -> Path:
    """Where the starting model of a seed is; models of other settings have other names."""
    text = json.dumps(settings(), sort_keys=True)
    return work / f"base-{hashlib.sha256(text.encode()).hexdigest()[:8]}-s{seed}"


def build_base(folder: str | Path, *, seed: int, progress: Progress | None = None) -> Path:
    """Write the model that all runs of a seed start from; a folder that is there already is left as it is.

    Pictures, vocabulary and texts come from phantom studies of a seed of their own, so that the model has seen no
    picture of the study before it begins; what a study trains on differs by run and by nothing else.

    Args:
        folder: for the model, from `base_folder`; the vision encoder, the same for all seeds, goes beside it.
        seed: of the language model and projector.
        progress: called with the name of the part, its step and loss.

    Returns:
        The folder.
    """
    folder = Path(folder)
    if (folder / "config.json").is_file():
        return folder
    from osler.study import pretrained_language

    talk = pretrained_language.conversations(pretrained_language.RECORDS)
    encoder = folder.name.rpartition("-s")[0].replace("base", "vision", 1)
    state = _vision_state(folder.with_name(f"{encoder}.safetensors"), progress)
    loaded = make_model([*texts_of(talk), *pretrained_language.short_questions()], seed=seed)
    loaded.model.model.vision_tower.load_state_dict(state)
    pretrained_language.teach(
        loaded, talk, steps=pretrained_language.STEPS, seed=seed, progress=_named(progress, f"language model {seed}")
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        loaded.save(partial)
        os.rename(partial, folder)
    except OSError:
        if not (folder / "config.json").is_file():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _vision_state(path: Path, progress: Progress | None) -> dict[str, Tensor]:
    """Weights of the taught vision encoder, from the file or taught now."""
    from safetensors.torch import load_file, save_file

    from osler.study import pretrained_vision

    if not path.is_file():
        vision = make_vision(seed=0)
        grid = PIXELS // vision.config.patch_size
        pictures = pretrained_vision.labelled_pictures(pretrained_vision.PICTURES, grid=grid, pixels=PIXELS)
        calibrate(vision, _normalise(pictures.pixels_PHW[:CALIBRATION_PICTURES, None].expand(-1, 3, -1, -1) / 255))
        pretrained_vision.teach(
            vision, pictures, _normalise, steps=pretrained_vision.STEPS, progress=_named(progress, "vision encoder")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({name: value.contiguous() for name, value in vision.state_dict().items()}, partial)
        os.replace(partial, path)
    return load_file(path)


def _named(progress: Progress | None, name: str) -> Callable[[int, float], None] | None:
    return None if progress is None else lambda step, loss: progress(name, step, loss)


def _normalise(pixels_BCHW: Tensor) -> Tensor:
    """As the assembled model's image processor does it."""
    import torch

    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _DEVIATION))
    return (pixels_BCHW - mean) / deviation


def make_vision(*, seed: int) -> GridEncoder:
    """The vision encoder with random weights."""
    import torch

    from osler.models.grid_encoder import GridEncoder, GridEncoderConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vision = GridEncoder(
            GridEncoderConfig(stages=STAGES, stem_channels=STEM, hidden_size=VISION_WIDTH, image_size=PIXELS, pool=POOL)
        )
        initialise_convolutions(vision)
    return vision


def make_model(texts: Iterable[str], *, seed: int) -> LoadedModel:
    """Assemble the model with random weights.

    Args:
        texts: that the vocabulary is made of.
        seed: of all weights.

    Returns:
        Model in evaluation mode and its processor.
    """
    import torch
    from torch import nn
    from transformers import LlamaConfig, LlamaForCausalLM

    from osler.models import build

    tokenizer = word_tokenizer(texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        language = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=WIDTH,
                intermediate_size=WIDTH * 8 // 3,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                num_key_value_heads=HEADS,
                max_position_embeddings=MAX_POSITIONS,
                initializer_range=INITIAL_DEVIATION,
                tie_word_embeddings=True,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        loaded = build(make_vision(seed=seed), language, tokenizer=tokenizer, seed=seed)
        for module in loaded.model.model.multi_modal_projector.modules():
            if isinstance(module, nn.Linear):  # by fan-in, for the same reason as above
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
    return loaded


def initialise_convolutions(vision: GridEncoder) -> None:
    """Draw convolution weights by fan-in (He et al. 2015, arXiv 1502.01852) from torch's generator.

    transformers draws them with a fixed deviation made for transformers' linear layers.
    """
    from torch import nn

    for module in vision.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def calibrate(vision: GridEncoder, pixels_BCHW: Tensor) -> None:
    """Store the statistics of some pictures in every batch normalisation, layer after layer.

    The encoder normalises with stored statistics also in training, which for a random encoder are no statistics at
    all. With those of real pictures each layer starts with zero mean and unit variance, and normalisation becomes a
    fixed affine layer: data-dependent initialisation as in Glow (arXiv 1807.03039, section 3.1).

    Args:
        vision: encoder; changed in place.
        pixels_BCHW: normalised pictures.
    """
    import torch
    from torch import nn

    norms = [module for module in vision.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = [module.momentum for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a plain mean over batches instead of a decaying one
        nn.Module.train(module, True)  # the encoder's own `train` would keep it on stored statistics
    with torch.no_grad():
        vision(pixels_BCHW)
    for module, momentum in zip(norms, usual, strict=True):
        module.momentum = momentum
        module.eval()


def word_tokenizer(texts: Iterable[str]) -> Any:
    """Tokenizer of whole lower-case words and punctuation marks, with the marks of ChatML.

    Args:
        texts: whose words are known; every other word becomes `<unk>`.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel(unk_token=MARKS["unknown"]))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), behavior="removed", invert=True)
    core.decoder = decoders.WordPiece(prefix="##", cleanup=True)  # no space before a full stop
    trainer = trainers.WordLevelTrainer(special_tokens=list(MARKS.values()), show_progress=False)
    core.train_from_iterator(["user assistant system", *texts], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token=MARKS["unknown"],
        pad_token=MARKS["pad"],
        bos_token=MARKS["begin"],
        eos_token=MARKS["end"],
    )


def texts_of(records: Iterable[Record]) -> Iterator[str]:
    """All texts of records: turns and extended answers."""
    from osler.records import IMAGE_PLACEHOLDER

    for record in records:
        for turn in record.turns:
            yield turn.text.replace(IMAGE_PLACEHOLDER, " ")
        yield from record.extended


def count_weights(folder: str | Path) -> int:
    """Number of weights in a model folder; tied ones count once."""
    from safetensors import safe_open

    total = 0
    for path in sorted(Path(folder).glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 (a safetensors handle is no mapping)
                size = 1
                for side in file.get_slice(name).get_shape():
                    size *= side
                total += size
    return total
