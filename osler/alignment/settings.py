"""Every switch of the alignment objectives, and the two presets.

`released` is LoGra-Med exactly as its authors' code does it; `improved`, the default, mends what makes the released
target nearly trivial (docs/alignment.md). A preset fills every field that is not given.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["graph_alignment", "infonce", "siglip"]
Modality = Literal["image", "answers", "extended"]
Preset = Literal["improved", "released"]
KINDS: tuple[Kind, ...] = ("graph_alignment", "infonce", "siglip")
"""Names of the alignment objectives; a stage has at most one of them."""

_RELEASED: dict[str, Any] = {
    "barycenter": "inclusive",
    "centre": False,
    "unit_norm": False,
    "pooling": "all_positions",
    "gradient": "released",
    "gather": False,
    "graph_size": None,
    "topology": "copied",
    "messages": "chosen_by",
    "edge_floor": 1e-6,
    "shortcut": False,
}


class AlignmentSettings(BaseModel):
    """Settings of an alignment objective; defaults are the preset `improved`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Preset = "improved"
    """`improved`, or `released` (the authors' code); fields given beside it win."""
    modalities: tuple[Modality, ...] = Field(default=("image", "answers", "extended"), min_length=2)
    """What is aligned: pictures, answers, and the extended answers of LoGra-Med."""

    # nodes
    text_states: Literal["hidden", "embeddings", "main_pass"] = "hidden"
    """Where text nodes come from: last hidden states of a pass over the text alone; word embeddings (no pass); or, for
    the answers, the states of the main pass, which cost nothing but have seen picture and question."""
    pooling: Literal["tokens", "all_positions"] = "tokens"
    """Mean over real tokens, or over all positions of a padded batch, padding and begin mark included (released)."""
    max_text_length: int = Field(default=2048, gt=0)
    """Tokens of an answer text; the rest is cut."""
    centre: bool = True
    """Subtract each modality's mean over the batch."""
    unit_norm: bool = True
    """Scale nodes to length 1 before they are averaged."""
    projection: int | None = Field(default=None, gt=0)
    """Width of a learned linear projection, one for pictures and one for texts; none when left out."""
    gather: bool = True
    """Use the nodes of all devices."""

    # graphs and matching
    graph_size: int | None = Field(default=16, ge=2)
    """Cut the batch into graphs of about this many nodes (16 is best in LVM-Med); one graph when left out."""
    neighbours: int = Field(default=5, gt=0)
    """k of the nearest-neighbour graph."""
    topology: Literal["own", "copied"] = "own"
    """Each graph has its own edges, or the second takes those of the first (released)."""
    message_layers: int = Field(default=2, ge=0)
    """Graph convolutions; 0 switches message passing off."""
    message_dropout: float = Field(default=0.1, ge=0, lt=1)
    messages: Literal["chosen", "chosen_by"] = "chosen"
    """Whose features a node receives: of those it chose, or of those that chose it (released)."""
    barycenter: Literal["leave_one_out", "inclusive", "pairwise"] = "leave_one_out"
    detach_target: bool = False
    """No gradient into the barycenter."""
    edge_floor: float = Field(default=0.1, ge=0, lt=1)
    """Share of a graph's typical edge length; shorter edges keep less than unit length (released: a rounding guard)."""
    node_noise: float = Field(default=0.05, ge=0)
    """Gumbel scale of the node costs; the released code has 0.05, the papers speak of 1."""
    edge_noise: float = Field(default=0.05, ge=0)
    samples: int = Field(default=1, gt=0)
    """Noise samples that the loss averages over."""

    # gradient
    gradient: Literal["proportional", "released"] = "proportional"
    """Proportional to the upstream gradient, so that a weight is a weight; or of fixed size (released)."""
    strength: float = Field(default=80.0, gt=0)
    """lambda of the black-box gradient."""
    shortcut: bool = True
    """Leave out the second matching where its result is certain."""

    # contrastive objectives at the same hook
    temperature: float = Field(default=0.07, gt=0)
    """InfoNCE: tau at the start."""
    sigmoid_scale: float = Field(default=10.0, gt=0)
    """SigLIP: t at the start."""
    sigmoid_bias: float = -10.0
    """SigLIP: b at the start."""
    learn_scale: bool = True
    """Train tau, or t and b."""

    # monitoring
    monitor_every: int = Field(default=1, gt=0)
    """Passes between measurements of retrieval and noise-free Hamming distances."""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        return {**_RELEASED, **data} if isinstance(data, dict) and data.get("preset") == "released" else data

    @model_validator(mode="after")
    def _consistent(self) -> AlignmentSettings:
        if len(set(self.modalities)) != len(self.modalities):
            raise ValueError(f"modalities must differ: {list(self.modalities)}")
        if self.text_states == "main_pass" and self.pooling == "all_positions":
            raise ValueError("text_states: main_pass has no padded text pass; it needs pooling: tokens")
        return self
