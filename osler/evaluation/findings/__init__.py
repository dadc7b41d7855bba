"""Findings of chest radiograph reports by rules: which are mentioned, and whether as present, absent or uncertain.

The fourteen names and their meaning are those of CheXpert (Irvin et al., AAAI 2019, arXiv 1901.07031); the rules are
our own, so the labels are *not* those of the CheXpert or CheXbert labeller. How well they agree with others is
measured in docs/results/labeller.md.
"""

from __future__ import annotations

from osler.evaluation.findings.labeller import Mention, Status, label, mentions, stated
from osler.evaluation.findings.vocabulary import FINDINGS, NO_FINDING

__all__ = ["FINDINGS", "NO_FINDING", "Mention", "Status", "label", "mentions", "stated"]
