"""What a stage will need: parameters, steps, memory. Rough on purpose, and said to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from osler.training.components import count_parameters

if TYPE_CHECKING:
    from torch import nn

    from osler.training.recipe import Stage


class MemoryEstimate(NamedTuple):
    """Bytes on one device, without sharding.

    Args:
        weights: parameters as loaded.
        gradients: of trainable parameters.
        optimiser: two float32 moments of AdamW for each trainable parameter.
        activations: kept for the backward pass.
    """

    weights: int
    gradients: int
    optimiser: int
    activations: int

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return sum(self)


def estimate(model: nn.Module, stage: Stage, *, tokens: int) -> MemoryEstimate:
    """Estimate the peak memory of a training step.

    Activations follow Korthikanti et al. 2022 (arXiv 2205.05198, equation 2) without attention scores, which fused
    attention does not keep: about 34 * B * T * D bytes a layer in 16-bit precision, twice that in float32, and
    2 * B * T * D a layer with gradient checkpointing.

    Args:
        model: with `requires_grad` set for the stage.
        stage: batch size (in a stage with rewards: prompts, each with its completions), precision, checkpointing.
        tokens: length T of a typical record, image tokens included.
    """
    width = 4 if stage.precision == "fp32" else 2
    counts = count_parameters(model)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    trainable = sum(count.trainable for count in counts)
    sequences = stage.batch_size
    if stage.rewards and stage.rollout:
        sequences *= stage.rollout.completions
        if stage.rollout.beta and not stage.lora:
            weights *= 2  # the model that the stage starts from, kept as the reference
    config = model.config.get_text_config()
    layers, hidden = config.num_hidden_layers, config.hidden_size
    per_layer = 2 if stage.gradient_checkpointing else 34
    activations = per_layer * sequences * tokens * hidden * layers * width // 2
    return MemoryEstimate(weights, trainable * 4, trainable * 8, activations)
