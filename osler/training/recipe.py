"""Recipes: a YAML file that says model, data, stages, objectives and optimiser, checked before anything is loaded."""

from __future__ import annotations

import contextlib
import difflib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from osler.alignment.settings import KINDS, AlignmentSettings, Kind
from osler.errors import RecipeError
from osler.training.objectives import names
from osler.training.rl.settings import JudgeSection, RelevanceSection, RewardSection, RolloutSection

Component = Literal["vision", "projector", "language"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSection(_Section):
    """What the first stage starts from: a model folder, or parts to assemble."""

    start: str | None = None
    """Model folder or hub name of any vision-language model; leave out to assemble one from parts."""
    vision: str = "default"
    """Vision encoder folder or hub name; "default" is the embedded EfficientNet-Lite0 grid encoder."""
    language: str = "default"
    """Language model folder or hub name; "default" is the embedded SmolLM2-135M-Instruct."""
    projector: Literal["mlp", "linear", "dci"] = "mlp"
    """Two-layer MLP, single linear layer (LLaVA-Med v1.0) or dense channel integration (LoGra-Med)."""
    chat_template: str = "chatml"
    """chatml, mistral, vicuna, or keep (the tokenizer's own)."""
    image_size: int | None = Field(default=None, gt=0)
    """Side of the square the encoder sees, in pixels; the encoder's own when left out."""
    pool: int = Field(default=1, gt=0)
    """Grid encoder only: side of the squares of its map that become one token; 2 makes a quarter of the tokens."""

    @model_validator(mode="after")
    def _parts_or_whole(self) -> ModelSection:
        given = sorted(self.model_fields_set - {"start"})
        defaults = type(self).model_fields
        changed = [name for name in given if getattr(self, name) != defaults[name].default]
        if self.start and changed:
            raise ValueError(
                f"`start` is a whole model; {', '.join(changed)} would change nothing: leave one of them out"
            )
        return self


class DataItem(_Section):
    """One record set of a stage's mixture."""

    records: str
    """JSONL, parquet or LLaVA JSON file, or `source:option` such as `vqa-rad:train`; see docs/training.md."""
    images: str | None = None
    """Folder that image paths are relative to; the record file's folder when left out."""
    weight: float = Field(default=1.0, gt=0)
    """How often each record is seen in an epoch; a fraction takes a fixed, seeded part of the set."""
    limit: int | None = Field(default=None, gt=0)
    """Use only this many records, drawn with the stage's seed."""


class LoraSection(_Section):
    """Low-rank adapters on the language model (Hu et al. 2021, arXiv 2106.09685)."""

    r: int = Field(default=64, gt=0)
    alpha: int = Field(default=16, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Stage(_Section):
    """One training phase: what is trainable, on which records, with which objectives."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    train: tuple[Component, ...] = ("projector",)
    """Components that are trained in full."""
    lora: LoraSection | None = None
    """Adapters on the language model; merged into the weights when the stage ends."""
    data: tuple[DataItem, ...] = Field(min_length=1)
    dev: DataItem | None = None
    """Development records; the checkpoint with the lowest loss on them becomes the stage's model."""
    objectives: dict[str, float] = Field(default_factory=lambda: {"autoregressive": 1.0})
    """Objective names and their weights: autoregressive, and at most one of graph_alignment, infonce and siglip."""
    alignment: AlignmentSettings | None = None
    """Settings of the alignment objective; the preset `improved` when left out (docs/alignment.md)."""
    rewards: RewardSection | None = None
    """Weights of rewards: the stage samples completions and learns from their rewards instead of `objectives`."""
    rollout: RolloutSection | None = None
    """How completions are drawn and learned from, in a stage with `rewards`; `batch_size` counts its prompts."""
    epochs: float = Field(default=1.0, gt=0)
    max_steps: int | None = Field(default=None, gt=0)
    """Optimiser steps; overrides epochs."""
    batch_size: int = Field(default=8, gt=0)
    """Records per device and forward pass."""
    accumulate: int = Field(default=1, gt=0)
    """Forward passes per optimiser step."""
    learning_rate: float = Field(default=2e-5, gt=0)
    projector_learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of the projector; `learning_rate` when left out."""
    schedule: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    warmup: float = Field(default=0.03, ge=0)
    """Fraction of the steps (below 1) or number of steps."""
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    max_length: int = Field(default=2048, gt=0)
    """Tokens per record, image tokens included; longer records lose the end, never an image token."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    gradient_checkpointing: bool = False
    evaluations: int = Field(default=1, gt=0)
    """Development-set evaluations per epoch."""
    checkpoints: int = Field(default=1, ge=0)
    """Resumable checkpoints per epoch; 0 saves only the stage's end."""
    log_every: int = Field(default=10, gt=0)
    """Optimiser steps between log lines."""
    cache_vision: bool = True
    """On the CPU, encode each picture once when the vision encoder is frozen."""
    workers: int = Field(default=0, ge=0)
    """Processes that load images."""
    sampler: Literal["random", "length"] = "random"
    """`length` puts records of like length into a batch."""

    @field_validator("objectives")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if name not in names():
                raise ValueError(f"no objective named {name!r}{_nearest(name, names())}")
        if not value:
            raise ValueError("a stage needs at least one objective")
        if sum(name in KINDS for name in value) > 1:
            raise ValueError(f"at most one of {', '.join(KINDS)}")
        return value

    @model_validator(mode="after")
    def _trains_something(self) -> Stage:
        if not self.train and self.lora is None:
            raise ValueError("nothing is trainable: name components in `train` or add `lora`")
        if self.lora and "language" in self.train:
            raise ValueError("the language model cannot be trained in full and by LoRA at once")
        if self.rewards and ("objectives" in self.model_fields_set or self.dev or self.alignment):
            raise ValueError("a stage with `rewards` has no objectives, alignment or dev: it keeps its last weights")
        if self.rollout and not self.rewards:
            raise ValueError("`rollout` is for a stage with `rewards`")
        if self.alignment and not self.alignment_objective:
            raise ValueError(f"`alignment` has settings, but no objective is one of {', '.join(KINDS)}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _resolve_defaults(cls, data: Any) -> Any:
        """Write the default settings out, so that the run's folder says what was active."""
        if isinstance(data, dict) and data.get("rewards") is not None and data.get("rollout") is None:
            data = {**data, "rollout": RolloutSection()}
        if isinstance(data, dict) and data.get("alignment") is None:
            wanted = data.get("objectives")
            if isinstance(wanted, dict) and any(name in KINDS for name in wanted):
                return {**data, "alignment": AlignmentSettings()}
        return data

    @property
    def alignment_objective(self) -> Kind | None:
        """Name of the stage's alignment objective, if it has one."""
        return next((name for name in KINDS if name in self.objectives), None)

    @property
    def alignment_settings(self) -> AlignmentSettings | None:
        """Settings of the alignment objective; None in a stage without one."""
        return self.alignment if self.alignment_objective else None


class Recipe(_Section):
    """A whole training run."""

    name: str
    description: str = ""
    model: ModelSection = Field(default_factory=ModelSection)
    stages: tuple[Stage, ...] = Field(min_length=1)
    seed: int = 0
    out: str = "runs/{name}"
    """Folder of the run; `{name}` is the recipe's name."""
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)

    @model_validator(mode="after")
    def _unique(self) -> Recipe:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"stage names must differ: {names}")
        return self

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.out.format(name=self.name.replace("/", "-")))


def _nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known))}"


def built_in() -> list[str]:
    """Names of the recipes that come with Osler, for instance `small/vqa_rad`."""
    root = resources.files("osler") / "recipes"
    return sorted(
        f"{folder.name}/{item.name.removesuffix('.yaml')}"
        for folder in root.iterdir()
        if folder.is_dir()
        for item in folder.iterdir()
        if item.name.endswith(".yaml")
    )


def find(name: str | Path) -> Path:
    """The file of a recipe: a path, or the name of a built-in one.

    Raises:
        RecipeError: when there is neither; names the nearest built-in recipe.
    """
    path = Path(name)
    if path.is_file():
        return path
    key = str(name).removesuffix(".yaml")
    if key in built_in():
        return Path(str(resources.files("osler") / "recipes" / f"{key}.yaml"))
    raise RecipeError(f"{name}: no such recipe file or built-in recipe{_nearest(key, built_in())}")


def load(name: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        name: YAML file or built-in name.
        overrides: `dotted.key=value`; stages are addressed by name or number
            (`stages.stage1.learning_rate=1e-3`), values are YAML.

    Returns:
        The recipe.

    Raises:
        RecipeError: names file, key, reason and the nearest valid key.
    """
    path = find(name)
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: a recipe is a mapping with `name` and `stages`, not {type(content).__name__}")
    for item in overrides:
        _override(content, item)
    return parse(content, path)


def parse(content: dict[str, Any], path: str | Path = "recipe") -> Recipe:
    """Check a recipe given as a mapping.

    Raises:
        RecipeError: lists every problem with its key.
    """
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                section = _section(problem["loc"])
                lines.append(f"{key}: unknown key{_nearest(str(problem['loc'][-1]), list(section.model_fields))}")
            else:
                lines.append(f"{key}: {problem['msg'].removeprefix('Value error, ')} (got {_short(problem['input'])})")
        raise RecipeError(f"{path}: " + f"\n{path}: ".join(lines)) from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."


def _section(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The section in which the key at `location` would stand."""
    section: type[BaseModel] = Recipe
    children: dict[str, type[BaseModel]] = {
        "model": ModelSection,
        "stages": Stage,
        "data": DataItem,
        "dev": DataItem,
        "lora": LoraSection,
        "alignment": AlignmentSettings,
        "rewards": RewardSection,
        "relevance_settings": RelevanceSection,
        "judge_endpoint": JudgeSection,
        "rollout": RolloutSection,
    }
    for part in location[:-1]:
        if isinstance(part, str):
            section = children.get(part, section)
    return section


def _override(content: dict[str, Any], item: str) -> None:
    key, equals, text = item.partition("=")
    if not equals or not key:
        raise RecipeError(f"override {item!r} is not of the form key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"override {item!r}: the value is not valid YAML") from error
    if isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
        with contextlib.suppress(ValueError):
            value = float(value)
    node: Any = content
    parts = key.split(".")
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if isinstance(node, list):
            names = [entry.get("name") if isinstance(entry, dict) else None for entry in node]
            index = names.index(part) if part in names else int(part) if part.isdigit() else -1
            if not 0 <= index < len(node):
                raise RecipeError(f"override {item!r}: there is no {part!r} in {'.'.join(parts[:number])}")
            if last:
                node[index] = value
            else:
                node = node[index]
        elif isinstance(node, dict):
            if last:
                node[part] = value
            else:
                if not isinstance(node.get(part), (dict, list)):
                    node[part] = {}
                node = node[part]
        else:
            raise RecipeError(f"override {item!r}: {'.'.join(parts[:number])} is a value, not a section")
