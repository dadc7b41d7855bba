"""`llava-med-chat`: LLaVA-Med's 193 chat questions, for a judge."""

from __future__ import annotations

from osler.evaluation.controls import Control
from osler.evaluation.tasks.published import Published


class LlavaMedChat(Published):
    """LLaVA-Med's chat evaluation (Li et al., NeurIPS 2023): 143 conversational questions and 50 descriptions.

    The published score is a judge's (`llm-judge`, a mean of ratios to the reference answer); the tag `judge_context`
    holds what the judge reads about the picture. Without a judge, overlap of words with the reference says little, and
    is given as what it is. Scores are given by domain and by type.
    """

    name = "llava-med-chat"
    description = "LLaVA-Med chat: 193 open questions on 50 figures, by domain (Li et al. 2023)"
    protocols = ("rouge-l", "token-f1")
    further = ("llm-judge", "bertscore")
    conventions = ("qa50",)
    groups = ("domain",)
    controls: tuple[Control, ...] = ("blank", "shuffled")
    max_new_tokens = 1024
    layout = "documented"
    source = "llava-med-chat"


TASK = LlavaMedChat()
