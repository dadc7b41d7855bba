"""Phantom studies: question and answer turns of conversations, each with a longer paraphrase of the answer.

A turn states facts of the scene only. The paraphrase states the same facts in other words, at about twice the length.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from osler.sources.phantom_scene import EXTENTS, KINDS, Scene
from osler.sources.phantom_text import (
    COUNT_LONG,
    EXTENT_LONG,
    KIND_LONG,
    MODALITY_LONG,
    MODALITY_NAMES,
    ORGAN_LONG,
    QUESTIONS,
    REQUESTS,
    article,
    joined,
    listed,
    listed_long,
    number_of,
    ordered,
    place,
    place_long,
    upper_first,
)


class Exchange(NamedTuple):
    """One question, its answer, and a longer paraphrase of the answer."""

    type: str
    question: str
    answer: str
    extended: str


Talk = Callable[[Scene, random.Random], Exchange]


def conversation(scene: Scene, rng: random.Random, *, every_fact: bool = False) -> list[Exchange]:
    """Two or three turns about a scene, or (a fifth of the time) one that describes it all.

    Args:
        scene: what is asked about.
        rng: chooses turns and wordings.
        every_fact: begin with a turn that states every fact, so that the texts of different scenes differ.
    """
    if not every_fact and rng.random() < 0.2:
        return [_describe(scene, rng)]
    opening: list[Talk] = [_describe] if every_fact else [rng.choice((_view, _modality, _organ))]
    number = len(scene.findings)
    pool: list[Talk] = [_count, _presence]
    if not every_fact:
        pool.append(_list)
    if number == 1:
        pool += [_kind, _size, _where]
    if number > 1:
        pool += [_compare_sides, _which_larger]
    if number > 1 and len(scene.kinds) == number:
        pool += [_where, _size]
    if number > 1 and len(scene.kinds) == 1:
        pool += [_kind]
    chosen = opening + rng.sample(pool, min(len(pool), rng.choice((1, 2))))
    return [talk(scene, rng) for talk in chosen]


def _asked(kind: str, rng: random.Random) -> str:
    return rng.choice(QUESTIONS[kind][0])


def _describe(scene: Scene, rng: random.Random) -> Exchange:
    name = rng.choice(MODALITY_NAMES[scene.modality])
    lead = rng.choice(
        (
            "{Name} of the {organ} with {found}.",
            "This is {name} of the {organ}. It shows {found}.",
            "{Name} of the {organ}. There is {found}.",
            "On {name} of the {organ} one sees {found}.",
        )
    )
    found = listed(scene) if scene.findings else "no abnormality"
    answer = lead.format(name=name, Name=upper_first(name), organ=scene.organ, found=found)
    longer = f"{upper_first(rng.choice(MODALITY_LONG[scene.modality]))} of {rng.choice(ORGAN_LONG[scene.organ])}."
    if scene.findings:
        longer += f" One can make out {listed_long(scene, rng)}."
    else:
        longer += f" {rng.choice(('Nothing in the picture looks unusual.', 'All of it looks healthy and normal.'))}"
    return Exchange("caption", rng.choice(REQUESTS), answer, longer)


def _view(scene: Scene, rng: random.Random) -> Exchange:
    question = rng.choice(
        (
            "What kind of image is this, and which part of the body does it show?",
            "Tell me the modality and the body part.",
            "Which modality and which body part is this?",
        )
    )
    name = rng.choice(MODALITY_NAMES[scene.modality])
    answer = rng.choice(("This is {name} of the {organ}.", "The image is {name} of the {organ}.")).format(
        name=name, organ=scene.organ
    )
    long_name, long_organ = rng.choice(MODALITY_LONG[scene.modality]), rng.choice(ORGAN_LONG[scene.organ])
    longer = rng.choice(("Here we have {m}, with {o} in it.", "One looks at {m}, in it {o}.")).format(
        m=long_name, o=long_organ
    )
    return Exchange("view", question, answer, longer)


def _modality(scene: Scene, rng: random.Random) -> Exchange:
    name = rng.choice(MODALITY_NAMES[scene.modality])
    answer = rng.choice(("This is {}.", "The image is {}.", "It is {}.")).format(name)
    long_name = rng.choice(MODALITY_LONG[scene.modality])
    longer = rng.choice(("What one sees here is {}.", "The picture one looks at is {}."))
    return Exchange("modality", _asked("modality", rng), answer, longer.format(long_name))


def _organ(scene: Scene, rng: random.Random) -> Exchange:
    answer = rng.choice(("The image shows the {}.", "This is the {}.", "It is the {}.")).format(scene.organ)
    long_name = rng.choice(ORGAN_LONG[scene.organ])
    longer = rng.choice(("One looks at {} here.", "The region in it is {}.", "Here one can make out {}."))
    return Exchange("organ", _asked("organ", rng), answer, longer.format(long_name))


def _kind(scene: Scene, rng: random.Random) -> Exchange:
    kind = scene.findings[0].kind
    form = article(rng.choice(KIND_LONG[kind]))
    if len(scene.findings) > 1:
        answer = rng.choice(("The lesions are of one kind: {}.", "All of them are of the type {}.")).format(kind)
        longer = f"Every lesion looks like {form}, which is a sign of {article(kind)}."
    else:
        answer = rng.choice(("There is {}.", "The lesion is {}.", "The image shows {}.")).format(article(kind))
        longer = rng.choice(("One sees {form}, that is {kind}.", "It looks like {form}, so {kind}."))
        longer = longer.format(form=form, kind=article(kind))
    return Exchange("finding", _asked("finding", rng), answer, longer)


def _list(scene: Scene, rng: random.Random) -> Exchange:
    question = rng.choice(
        ("What is abnormal, and where?", "Name every finding with its place.", "Which lesions are there, and where?")
    )
    if not scene.findings:
        answer = rng.choice(("No abnormality is seen.", "There is no finding.", "The image is normal."))
        longer = rng.choice(
            (
                "Nothing in this picture looks unusual; it is healthy.",
                "All that one can make out is healthy and normal.",
            )
        )
        return Exchange("finding", question, answer, longer)
    answer = rng.choice(("There is {}.", "The image shows {}.", "One sees {}.")).format(listed(scene))
    return Exchange("finding", question, answer, f"One can make out {listed_long(scene, rng)}.")


def _where(scene: Scene, rng: random.Random) -> Exchange:
    item = rng.choice(scene.findings)
    question = rng.choice(
        ("Where is the {}?", "In which part of the image is the {}?", "Tell me the place of the {}.")
    ).format(item.kind)
    answer = rng.choice(("The {kind} is {place}.", "It is {place} of the image.", "The {kind} lies {place}.")).format(
        kind=item.kind, place=place(item)
    )
    longer = rng.choice(("One can find the {form} {place}.", "{Place} one sees the {form}."))
    where = place_long(item, rng)
    longer = longer.format(form=rng.choice(KIND_LONG[item.kind]), place=where, Place=upper_first(where))
    return Exchange("place", question, answer, longer)


def _count(scene: Scene, rng: random.Random) -> Exchange:
    number = number_of(scene, rng.choice(("finding", "lesion")))
    verb = "is" if len(scene.findings) == 1 else "are"
    answer = rng.choice(("There {verb} {number}.", "The image shows {number}.", "One sees {number}.")).format(
        verb=verb, number=number
    )
    longer = rng.choice(("If one counts, the picture has {}.", "One can count {} in all.")).format(
        rng.choice(COUNT_LONG[scene.count])
    )
    return Exchange("count", _asked("count", rng), answer, longer)


def _size(scene: Scene, rng: random.Random) -> Exchange:
    item = rng.choice(scene.findings)
    question = rng.choice(("How large is the {}?", "What size is the {}?", "Is the {} small, medium or large?")).format(
        item.kind
    )
    answer = rng.choice(("The {kind} is {size}.", "It is {size}.", "It is {a_size} {kind}.")).format(
        kind=item.kind, size=item.extent, a_size=article(item.extent)
    )
    longer = rng.choice(("The {form} looks {size} next to the rest.", "One sees {whole}, so it is {size}."))
    size, form = rng.choice(EXTENT_LONG[item.extent]), rng.choice(KIND_LONG[item.kind])
    longer = longer.format(form=form, size=size, whole=article(form))
    return Exchange("size", question, answer, longer)


def _compare_sides(scene: Scene, rng: random.Random) -> Exchange:
    question = rng.choice(("Are the lesions on the same side?", "Do the findings lie on one side or on both?"))
    if scene.side == "both":
        answer = rng.choice(("No, both sides are affected.", "They lie on both sides."))
        longer = "One can find a lesion to the left and also one to the right."
    else:
        answer = rng.choice(("Yes, all are on the {}.", "They lie on one side, the {}.")).format(scene.side)
        longer = f"Every lesion is to the {scene.side}, and the other half looks healthy."
    return Exchange("side", question, answer, longer)


def _which_larger(scene: Scene, rng: random.Random) -> Exchange:
    """Which finding is largest, or that the largest are alike."""
    question = rng.choice(("Which lesion is the largest?", "Which of the findings is larger than the others?"))
    items = ordered(scene)
    top = max(items, key=lambda item: EXTENTS.index(item.extent)).extent
    largest = [item for item in items if item.extent == top]
    if len(largest) == 1:
        item = largest[0]
        answer = rng.choice(("The {kind} {place}.", "The largest is the {kind} {place}.")).format(
            kind=item.kind, place=place(item)
        )
        longer = f"The biggest of them is the {rng.choice(KIND_LONG[item.kind])} {place_long(item, rng)}."
    else:
        places = joined([f"the {item.kind} {place(item)}" for item in largest])
        answer = f"{upper_first(places)} are of the same size."
        longer = f"None is the biggest: {places} look {rng.choice(EXTENT_LONG[top])} all the same."
    return Exchange("comparison", question, answer, longer)


def _presence(scene: Scene, rng: random.Random) -> Exchange:
    absent = [kind for kind in KINDS if kind not in scene.kinds]
    if scene.findings and rng.random() < 0.5:
        item = rng.choice(scene.findings)
        kind = item.kind
        answer = rng.choice(("Yes, there is {}.", "Yes, {} is seen.")).format(article(kind))
        longer = f"Yes, one can make out {article(rng.choice(KIND_LONG[kind]))} in it."
    else:
        kind = rng.choice(absent)
        answer = rng.choice((f"No, there is no {kind}.", f"No, {article(kind)} is not seen."))
        longer = f"No, one can not find {article(rng.choice(KIND_LONG[kind]))} in it."
    return Exchange("presence", _asked("presence", rng).format(article(kind)), answer, longer)
