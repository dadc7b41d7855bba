"""`pmc-vqa`: PMC-VQA's multiple-choice questions, the part checked by hand or all of them."""

from __future__ import annotations

from collections.abc import Sequence

from osler.evaluation.tasks.choice import LETTERS, Choice


class PmcVqa(Choice):
    """PMC-VQA (Zhang et al. 2023) in the prompt form of its decoder model: "Question: ... Choices: ... The Answer is:".

    Convention `clean` is `test_clean.csv`, `full` is `test.csv`. The released test decodes one token and compares it
    with the choices; here answers are as long as `--max-new-tokens` allows.
    """

    name = "pmc-vqa"
    description = "PMC-VQA: four choices on figures of articles (Zhang et al. 2023)"
    protocols = ("pmc-vqa-nearest-choice", "option-letter", "candidate-whole-word")
    conventions = ("clean", "full")
    groups = ()
    layout = "documented"
    source = "pmc-vqa"

    def part(self, split: str, convention: str) -> str:
        """`test_clean` for the clean test part."""
        return "test_clean" if split == "test" and convention == "clean" else split

    def asked(self, question: str, options: Sequence[str]) -> str:
        """The released form; how its parts are joined is ours."""
        choices = " ".join(f"{letter}:{option}" for letter, option in zip(LETTERS, options, strict=False))
        return f"Question: {question} Choices: {choices} The Answer is:"


TASK = PmcVqa()
