"""`omnimedvqa`: OmniMedVQA's open part, by its own question-answering score."""

from __future__ import annotations

from collections.abc import Sequence

from osler.evaluation.tasks.choice import Choice
from osler.evaluation.tasks.classify_vqa import ANSWER_ONLY, CANDIDATES
from osler.evaluation.tasks.omnimedvqa_files import OmniMedVqaFiles


class OmniMedVqa(OmniMedVqaFiles, Choice):
    """OmniMedVQA (Hu et al., CVPR 2024): 42 data sets in the open part, scored by type, modality and data set.

    `data` is what `osler data get omnimedvqa` wrote, or a folder in the published layout, where a bad row stops the
    reading. The prompt is the released one, with the picture first. `classify-vqa` asks the same in LoGra-Med's order.
    The prefix score needs the probabilities of the options, not an answer.
    """

    name = "omnimedvqa"
    description = "OmniMedVQA, open part: choices by question type, modality and data set (Hu et al. 2024)"
    protocols = ("omnimedvqa-qa-score", "option-letter", "candidate-whole-word")
    further = ("omnimedvqa-prefix-score",)
    conventions = ("open-access",)
    groups = ("dataset", "modality")
    layout = "documented"
    source = "omnimedvqa"
    by_letter = False

    def asked(self, question: str, options: Sequence[str]) -> str:
        """Question, candidates as Python prints them, and the demand to return nothing else, as released."""
        return f"{question}{CANDIDATES.format(count=len(options))}{list(options)!s}{ANSWER_ONLY}"


TASK = OmniMedVqa()
