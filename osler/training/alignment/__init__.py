"""Alignment in training: texts of a batch, text-only passes, the objective, held-out retrieval."""
