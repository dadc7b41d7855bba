"""The study's model: under five million weights, all trained, from random weights in seconds.

Every run of a seed starts from the same folder, which `build_base` writes once: a convolutional encoder, a small Llama
and a tokenizer of whole words, assembled by `osler.models.build` like any other model.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.errors import OslerError
from osler.records import Record

if TYPE_CHECKING:
    from torch import Tensor

    from osler.models import LoadedModel
    from osler.models.grid_encoder import GridEncoder

PIXELS = 64
WIDTH, LAYERS, HEADS = 192, 4, 4
MAX_POSITIONS = 512
# (repeats, kernel, stride, expansion, channels) after a stem of stride 2: 64 pixels become a map of 4 x 4
STAGES = ((1, 3, 1, 1, 24), (2, 3, 2, 4, 32), (2, 3, 2, 4, 64), (2, 3, 2, 4, 128))
STEM, VISION_WIDTH = 24, 192
CALIBRATION_PICTURES = 256
MARKS = {"unknown": "<unk>", "pad": "<pad>", "begin": "<|im_start|>", "end": "<|im_end|>"}
_WORD = r"[\w'-]+|[^\w\s]"


def build_base(folder: str | Path, data: str | Path, *, seed: int) -> Path:
    """Write the model that all runs of a seed start from; a folder that is there already is left as it is.

    Vocabulary and calibration come from training parts alone. They are the same for every fraction of the instruction
    data, so that runs differ in what they are trained on and in nothing else.

    Args:
        folder: for the model.
        data: folder with `instruct.jsonl`, `train.jsonl` and the pictures.
        seed: of all initial weights.

    Returns:
        The folder.

    Raises:
        OslerError: when the data are not there.
    """
    folder, data = Path(folder), Path(data)
    if (folder / "config.json").is_file():
        return folder
    from osler.record_files import read_records

    parts = [data / "instruct.jsonl", data / "train.jsonl"]
    absent = [path for path in parts if not path.is_file()]
    if absent:
        raise OslerError(f"{absent[0]}: no such file; make the data with `osler data get phantom {data}`")
    instruct, train = (read_records(path) for path in parts)
    loaded = make_model(texts_of([*instruct, *train]), pictures_of(train, data, CALIBRATION_PICTURES), seed=seed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # several workers may build the same one at once: each builds its own, the first to finish gives it its name
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


def make_model(texts: Iterable[str], pictures: Sequence[Any], *, seed: int) -> LoadedModel:
    """Assemble the model.

    Args:
        texts: that the vocabulary is made of.
        pictures: PIL images that calibrate the encoder.
        seed: of all weights.

    Returns:
        Model in evaluation mode and its processor.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from osler.models import build
    from osler.models.grid_encoder import GridEncoder, GridEncoderConfig

    tokenizer = word_tokenizer(texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vision = GridEncoder(
            GridEncoderConfig(stages=STAGES, stem_channels=STEM, hidden_size=VISION_WIDTH, image_size=PIXELS)
        )
        language = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=WIDTH,
                intermediate_size=WIDTH * 8 // 3,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                num_key_value_heads=HEADS,
                max_position_embeddings=MAX_POSITIONS,
                tie_word_embeddings=True,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        loaded = build(vision, language, tokenizer=tokenizer, seed=seed)
        pixels = loaded.processor.image_processor(images=list(pictures), return_tensors="pt")["pixel_values"]
        initialise_convolutions(loaded.model.model.vision_tower)
        calibrate(loaded.model.model.vision_tower, pixels)
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


def pictures_of(records: Iterable[Record], folder: Path, count: int) -> list[Any]:
    """The first `count` different pictures of records."""
    from osler.images import load_image
    from osler.record_images import resolve_image

    references = {}
    for record in records:
        for reference in record.images:
            references.setdefault(reference.path, reference)
        if len(references) >= count:
            break
    return [load_image(resolve_image(folder, item)).image for item in list(references.values())[:count]]


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
