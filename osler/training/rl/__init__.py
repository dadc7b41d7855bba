"""Stages that learn from rewards: GRPO through TRL, and the clipped objective with a value head."""
