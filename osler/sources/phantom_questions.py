"""Phantom studies: single questions with short answers, several to a picture, for fine-tuning and testing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from osler.sources.phantom_scene import KINDS, Scene
from osler.sources.phantom_text import QUESTIONS, article

TYPES = tuple(QUESTIONS)
CLOSED = ("presence",)


class Asked(NamedTuple):
    """One question about one scene.

    Args:
        scene: index of the scene.
        type: question type, one of `TYPES`.
        question: its wording.
        answer: one to three words.
        seen_wording: False for a wording that no training text uses.
    """

    scene: int
    type: str
    question: str
    answer: str
    seen_wording: bool


def answer(scene: Scene, kind: str) -> str | None:
    """Short answer to a question of a type, or None where the scene has no single one.

    Args:
        scene: the facts.
        kind: any of `TYPES` but "presence", whose question names a kind of finding.
    """
    lone = scene.findings[0] if len(scene.findings) == 1 else None
    return {
        "modality": scene.modality,
        "organ": scene.organ,
        "count": scene.count,
        "finding": scene.kinds[0] if len(scene.kinds) == 1 else None,
        "side": scene.side or None,
        "zone": lone.zone if lone else None,
        "size": lone.extent if lone else None,
    }[kind]


def ask_all(scenes: Sequence[Scene], rng: random.Random, *, unseen_wording: float = 0.0) -> list[Asked]:
    """Four to six questions a scene.

    Answers of a type stay balanced: pictures with one finding are asked for their count one time in three, and "yes"
    and "no" to presence are asked equally often.

    Args:
        scenes: in order.
        rng: chooses types and wordings.
        unseen_wording: share of questions put in a wording that is kept from training.
    """
    items: list[Asked] = []
    presence = _Presence(rng)
    for index, scene in enumerate(scenes):
        kinds = [
            kind for kind in ("finding", "side", "zone", "size", "count", "modality", "organ") if answer(scene, kind)
        ]
        if len(scene.findings) == 1:
            # one of three general questions, in turn
            general = ("count", "modality", "organ")
            kept = general[presence.lone % 3]
            kinds = [kind for kind in kinds if kind not in general or kind == kept]
        rows = [(kind, "", str(answer(scene, kind))) for kind in kinds]
        rows += presence.rows(scene)
        for kind, name, reply in rows:
            wordings = QUESTIONS[kind]
            new = rng.random() < unseen_wording
            items.append(Asked(index, kind, rng.choice(wordings[new]).format(name), reply, not new))
    return items


class _Presence:
    """Questions for the presence of a kind, with as many "yes" as "no"."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._surplus, self.lone, self._several, self._none = rng, 0, 0, 0, 0

    def rows(self, scene: Scene) -> list[tuple[str, str, str]]:
        """None or one row of type, asked name and answer."""
        number = len(scene.findings)
        if number == 1:
            self.lone += 1
            wanted = self.lone % 5 == 0
        elif number:
            self._several += 1
            wanted = self._several % 4 != 0 or len(scene.kinds) == number
        else:
            wanted = True
        if not wanted:
            return []
        yes = number > 0 and self._surplus <= 0
        self._surplus += 1 if yes else -1
        kind = self._rng.choice([kind for kind in KINDS if (kind in scene.kinds) == yes])
        return [("presence", article(kind), "yes" if yes else "no")]
