"""A task's items in the forms of other evaluators: VLMEvalKit's TSV and lmms-eval's task folder."""

from __future__ import annotations

from osler.evaluation.export.base import FORMS, Exported, export

__all__ = ["FORMS", "Exported", "export"]
