from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from .tiny_models import FAMILIES

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def tiny_llava():
    return FAMILIES["llava"]()


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Images of several shapes, so that nothing works only for squares."""
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (40 + 7 * i, 60, 3), dtype=np.uint8)) for i in range(6)]


@pytest.fixture
def record_folder(tmp_path, pictures):
    """A small record set with images: 12 test questions on 4 images, 12 training questions on 2 other images."""
    from osler.records import ImageRef, Record, Turn

    folder = tmp_path / "data"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number}.png")
    asked = {
        "PRES": [("is there a mass ?", "yes", "CLOSED")],
        "ABN": [("is the lung abnormal ?", "no", "CLOSED")],
        "POS": [("where is the lesion ?", "left lower lobe", "OPEN")],
    }
    for split, images in (("test", range(4)), ("train", range(4, 6))):
        lines = []
        for image in images:
            for kind, rows in asked.items():
                for number, (question, answer, answer_type) in enumerate(rows):
                    flipped = {"yes": "no", "no": "yes", "left lower lobe": "right upper lobe"}[answer]
                    record = Record(
                        id=f"{split}-{image}-{kind}-{number}",
                        images=(ImageRef(path=f"{image}.png"),),
                        turns=(
                            Turn(role="user", text=f"<image>\n{question}"),
                            Turn(role="assistant", text=answer if image % 2 else flipped),
                        ),
                        subject=f"subject{image}",
                        tags={"question_type": kind, "answer_type": answer_type},
                    )
                    lines.append(record.model_dump_json())
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder
