"""Records for tests: one by hand, and hypothesis strategies."""

from __future__ import annotations

from hypothesis import strategies as st

from osler.boxes import Box
from osler.records import IMAGE_PLACEHOLDER, ImageRef, Provenance, Record, Region, Turn

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALAR = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FINITE | TEXT
PLAIN = TEXT.map(lambda text: text.replace(IMAGE_PLACEHOLDER, ""))
KEYS = NAME | st.sampled_from(["domain", "id", "osler", "answer_type", "llava.x", "llava_domain.ct", "llava_json.y"])


@st.composite
def images(draw):
    sized = draw(st.booleans())
    return ImageRef(
        path=draw(NAME),
        width=draw(st.integers(1, 9000)) if sized else None,
        height=draw(st.integers(1, 9000)) if sized else None,
        sha256=draw(st.none() | st.integers(0, 2**256 - 1).map("{:064x}".format)),
        frame=draw(st.none() | st.integers(0, 900)),
        window=draw(st.none() | st.dictionaries(NAME, FINITE | TEXT, max_size=2)),
    )


@st.composite
def regions(draw, refs):
    index = draw(st.integers(0, len(refs) - 1))
    width, height = refs[index].width or 640, refs[index].height or 480
    x1, y1 = draw(st.floats(0, width * 0.9)), draw(st.floats(0, height * 0.9))
    x2, y2 = draw(st.floats(x1 + width / 100, width)), draw(st.floats(y1 + height / 100, height))
    return Region(box=Box(x1, y1, x2, y2, width, height), label=draw(NAME), image=index, mask=draw(st.none() | NAME))


@st.composite
def records(draw):
    refs = draw(st.lists(images(), max_size=3))
    turns = [Turn(role="user", text=draw(PLAIN) + "\n".join([IMAGE_PLACEHOLDER] * len(refs)) + draw(PLAIN))]
    for role in draw(st.lists(st.sampled_from(["user", "assistant", "system"]), max_size=4)):
        turns.append(Turn(role=role, text=draw(PLAIN)))
    answers = sum(turn.role == "assistant" for turn in turns)
    return Record(
        id=draw(NAME),
        images=tuple(refs),
        turns=tuple(turns),
        regions=tuple(draw(st.lists(regions(refs), max_size=2))) if refs else (),
        extended=tuple(draw(TEXT) for _ in range(answers)) if draw(st.booleans()) else (),
        subject=draw(st.none() | NAME),
        study=draw(st.none() | NAME),
        tags=draw(st.dictionaries(KEYS, TEXT, max_size=3)),
        provenance=Provenance(
            source=draw(NAME),
            licence=draw(NAME),
            split=draw(st.none() | NAME),
            url=draw(st.none() | NAME),
            generator=draw(st.none() | NAME),
            notes=draw(st.dictionaries(KEYS, SCALAR, max_size=3)),
        ),
    )


def record_sets(max_size: int = 4):
    return st.lists(records(), max_size=max_size, unique_by=lambda record: record.id)


def simple(id: str = "a1", **changes) -> Record:
    fields = {
        "id": id,
        "images": [{"path": f"{id}.png", "width": 100, "height": 80}],
        "turns": [{"role": "user", "text": "<image>\nIs there a mass?"}, {"role": "assistant", "text": "Yes."}],
        "regions": [{"box": {"xyxy": [1, 2.5, 30, 40], "size": [100, 80]}, "label": "mass"}],
        "tags": {"answer_type": "CLOSED"},
    }
    return Record.model_validate({**fields, **changes})
