"""`Record`: one image-grounded example, and what it is made of.

A record is what sources yield, instruction writers enrich, trainers consume and evaluators score. It is a pydantic
model, so that a malformed one fails with the field's name; reading and writing files is in `osler.record_files`.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

from osler.boxes import Box
from osler.errors import BoxError, RecordError

SCHEMA_VERSION = 1
IMAGE_PLACEHOLDER = "<image>"


class _Model(BaseModel):
    # JSON has no NaN: written as null it would come back as another value, so it is refused at the door
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ImageRef(_Model):
    """Where one image of a record is and which part of the file is meant.

    Args:
        path: file, relative to the record set's image folder (or absolute; see `osler.record_images.resolve_image`).
        width: in pixels, after orientation is applied; needed when regions refer to the image.
        height: in pixels.
        sha256: of the file's bytes, hexadecimal.
        frame: frame of a multi-frame file or slice of a volume, 0-based.
        window: intensity window that was, or is to be, applied: `{"level": -600, "width": 1500}` in the file's units,
            or `{"preset": "lung"}`.
    """

    path: str = Field(min_length=1)
    width: int | None = Field(default=None, gt=0)
    height: int | None = Field(default=None, gt=0)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    frame: int | None = Field(default=None, ge=0)
    window: dict[str, float | str] | None = None


class Turn(_Model):
    """One message. `text` of a user turn may hold `<image>` placeholders, one for each image in order."""

    role: Literal["system", "user", "assistant"]
    text: str


class Region(_Model):
    """A labelled box on one of the record's images.

    Args:
        box: pixel box (serialised as `{"xyxy": [...], "size": [width, height]}`).
        label: what is in it, for instance "tumour".
        image: 0-based index of the image it lies on.
        mask: path of a mask file, relative like `ImageRef.path`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    box: Box
    label: str = Field(min_length=1)
    image: int = Field(default=0, ge=0)
    mask: str | None = None

    @field_validator("box", mode="before")
    @classmethod
    def _read_box(cls, value: Any) -> Any:
        if isinstance(value, Box):
            return value
        if not isinstance(value, dict) or set(value) != {"xyxy", "size"}:
            raise ValueError('want {"xyxy": [x1, y1, x2, y2], "size": [width, height]} in pixels')
        for key, count in (("xyxy", 4), ("size", 2)):
            numbers = value[key]
            if (
                not isinstance(numbers, list | tuple)
                or len(numbers) != count
                or not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
            ):
                raise ValueError(f"{key} is {numbers!r:.80}; want a list of {count} numbers")
        if any(number != int(number) for number in value["size"] if isfinite(number)):
            raise ValueError(f"size is {value['size']}; want whole pixels")
        try:
            x1, y1, x2, y2 = (float(number) for number in value["xyxy"])
            width, height = (int(number) for number in value["size"])
            return Box(x1, y1, x2, y2, width, height)
        except (OverflowError, BoxError) as error:
            raise ValueError(str(error)) from error

    @field_serializer("box")
    def _write_box(self, box: Box) -> dict[str, list[float] | list[int]]:
        return {"xyxy": [float(v) for v in box.xyxy()], "size": [box.width, box.height]}


class Provenance(_Model):
    """Where a record comes from and what was done to it.

    Args:
        source: name of the `Source`.
        licence: of the data, as its publisher states it ("unstated" where it does not).
        split: official split name, for instance "train" or "test".
        url: public home.
        generator: what wrote the text ("template:<name>@<version>", a model's name, or "human").
        notes: further facts, for instance applied window, frame, "burned-in text".
    """

    source: str = "unknown"
    licence: str = "unstated"
    split: str | None = None
    url: str | None = None
    generator: str | None = None
    notes: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


class Record(_Model):
    """One image-grounded example.

    Args:
        schema_version: of this layout; older ones are migrated on reading.
        id: unique in its set and stable between runs (see `stable_id` in `osler.record_files`).
        images: one or several.
        turns: conversation; the number of `<image>` placeholders in user turns equals the number of images.
        regions: labelled boxes.
        extended: one longer paraphrase per assistant turn (LoGra-Med's extended captions), or empty.
        subject: pseudonymous key of the patient, for splitting; never a real identifier.
        study: pseudonymous key of the study, volume or film.
        tags: facts used to group scores, for instance `question_type`, `answer_type`, `modality`.
        provenance: source, licence, split and processing.
    """

    schema_version: int = SCHEMA_VERSION
    id: str = Field(min_length=1)
    images: tuple[ImageRef, ...] = ()
    turns: tuple[Turn, ...] = Field(min_length=1)
    regions: tuple[Region, ...] = ()
    extended: tuple[str, ...] = ()
    subject: str | None = None
    study: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    provenance: Provenance = Field(default_factory=Provenance)

    @model_validator(mode="after")
    def _check(self) -> Record:
        placeholders = sum(turn.text.count(IMAGE_PLACEHOLDER) for turn in self.turns if turn.role == "user")
        if placeholders != len(self.images):
            raise ValueError(
                f"{len(self.images)} images but {placeholders} {IMAGE_PLACEHOLDER} placeholders in the user turns"
            )
        for turn in self.turns:
            if turn.role != "user" and IMAGE_PLACEHOLDER in turn.text:
                raise ValueError(f"{IMAGE_PLACEHOLDER} stands in a turn of role {turn.role!r}; only users show images")
        answers = sum(turn.role == "assistant" for turn in self.turns)
        if self.extended and len(self.extended) != answers:
            raise ValueError(f"{len(self.extended)} extended texts for {answers} assistant turns; want one each")
        for number, region in enumerate(self.regions):
            if region.image >= len(self.images):
                raise ValueError(
                    f"regions.{number}.image is {region.image} but the record has {len(self.images)} images"
                )
            image = self.images[region.image]
            if image.width and image.height and (region.box.width, region.box.height) != (image.width, image.height):
                raise ValueError(
                    f"regions.{number}.box refers to an image of {region.box.width} x {region.box.height} "
                    f"but images.{region.image} is {image.width} x {image.height}"
                )
        return self

    @property
    def question(self) -> str:
        """Text of the first user turn without `<image>` placeholders.

        Raises:
            RecordError: when there is no user turn.
        """
        return self._first("user").replace(IMAGE_PLACEHOLDER, "").strip()

    @property
    def answer(self) -> str:
        """Text of the first assistant turn: the reference answer of a one-question record.

        Raises:
            RecordError: when there is no assistant turn.
        """
        return self._first("assistant")

    def _first(self, role: str) -> str:
        for turn in self.turns:
            if turn.role == role:
                return turn.text
        raise RecordError(f"record {self.id!r} has no turn of role {role!r}", field="turns")
