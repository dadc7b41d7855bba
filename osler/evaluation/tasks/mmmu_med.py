"""`mmmu-med`: the health and medicine questions of MMMU, and any multiple choice in that form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from osler.evaluation.tasks.choice import Choice, lettered
from osler.record_options import OPTIONS_TAG
from osler.records import Record


class MmmuMed(Choice):
    """MMMU (Yue et al., CVPR 2024), five medical subjects; several pictures, up to nine options.

    What is called test here is the validation part, because the answers of the test part are hidden. Convention
    `with-open` has the few open questions too, which only the protocols without options score. Record files of your own
    with the tag `options` are asked in the same form.
    """

    name = "mmmu-med"
    description = "MMMU, health and medicine: choices on one or several pictures (Yue et al. 2024)"
    protocols = ("option-letter", "candidate-whole-word", "strict-exact-match")
    conventions = ("multiple-choice", "with-open")
    groups = ("subject",)
    layout = "documented"
    source = "mmmu-med"
    needs_choices = False

    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Records of the split; those with options unless the convention is `with-open`."""
        records = super().load(data, split=split, convention=convention)
        return records if convention == "with-open" else [record for record in records if OPTIONS_TAG in record.tags]

    def asked(self, question: str, options: Sequence[str]) -> str:
        """Question, a line for each option, and MMMU's closing sentence."""
        return "\n".join(
            [question, *lettered(options), "", "Answer with the option's letter from the given choices directly."]
        )


TASK = MmmuMed()
