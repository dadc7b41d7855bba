"""Small grounding data, and runners that know the truth."""

from __future__ import annotations

import numpy as np
from PIL import Image

from osler.boxes import Box
from osler.evaluation import Answer, tasks
from osler.images import load_image
from osler.records import ImageRef, Provenance, Record, Region, Turn

SIZE = (200, 100)


def picture(number):
    return Image.fromarray(np.random.default_rng(number).integers(0, 255, (*SIZE[::-1], 3), dtype=np.uint8))


def record(number, regions=(), *, split="test", source="scans", question="what is it ?", answer="a scan", **tags):
    """Record about picture `number` with (label, corners) regions, asking something that is not about regions."""
    return Record(
        id=f"{split}-{source}-{number}-{len(question)}",
        images=(ImageRef(path=f"{split}-{number}.png", width=SIZE[0], height=SIZE[1]),),
        turns=(Turn(role="user", text=f"<image>\n{question}"), Turn(role="assistant", text=answer)),
        regions=tuple(Region(box=Box(*corners, *SIZE), label=label) for label, corners in regions),
        subject=f"{split}{number}",
        tags=tags,
        provenance=Provenance(source=source, split=split),
    )


def write(folder, split, records):
    folder.mkdir(exist_ok=True)
    for entry in records:
        for image in entry.images:
            number = int(image.path.removesuffix(".png").rsplit("-", 1)[1])
            picture(number + (1000 if split == "train" else 0)).save(folder / image.path)
    (folder / f"{split}.jsonl").write_text("".join(entry.model_dump_json() + "\n" for entry in records))


class Sure:
    """Answers with the reference of the picture it sees, through `spoil`, which may change it."""

    name = "sure"

    def __init__(self, task, data, *, spoil=lambda text: text, convention=None, box_format=None, version="1"):
        self.spoil, self.version, self.seen = spoil, version, []
        task = tasks.get(task) if isinstance(task, str) else task
        self.answers = {}
        for entry in task.load(data, split="test", convention=convention or task.conventions[0]):
            asked = task.restated(entry, box_format) if box_format else entry
            pixels = np.asarray(load_image(task.image_folder(data) / entry.images[0].path).image).tobytes()
            self.answers[asked.question, pixels] = asked.answer

    def settings(self):
        return {"decoding": "sure"}

    def fingerprint(self):
        return self.version

    def answer(self, requests):
        found = []
        for request in requests:
            question = request.turns[-1].text.replace("<image>", "").strip()
            self.seen.append(question)
            text = self.answers.get((question, np.asarray(request.images[0]).tobytes()), "I cannot tell.")
            found.append(Answer(text=self.spoil(text), tokens=1, finished=True))
        return found
