"""Phantom studies: exact ground truth, held-out parts that are held out, balance, and the same bytes every time."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osler.errors import OslerError, SourceError
from osler.images import image_size
from osler.record_files import check_images, read_records
from osler.records import Record
from osler.sources import get, phantom
from osler.sources.phantom_picture import draw
from osler.sources.phantom_questions import TYPES, answer, ask_all
from osler.sources.phantom_scene import HELD_OUT, KINDS, MODALITIES, ORGANS, SPLITS, Finding, Scene, finding_of, plan
from osler.sources.phantom_talk import conversation
from osler.sources.phantom_text import QUESTIONS, article, words

TRAINING = ("instruct", "train", "dev")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> phantom.PhantomSummary:
    return phantom.build(tmp_path_factory.mktemp("phantom"), size="tiny", seed=0)


@pytest.fixture(scope="module")
def parts(built: phantom.PhantomSummary) -> dict[str, tuple[Record, ...]]:
    return {split: read_records(built.folder / f"{split}.jsonl").records for split in SPLITS}


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    """Plans as large as the study's; no picture is drawn."""
    counts = phantom.SIZES["study"]
    return {split: plan(split, counts[split], np.random.default_rng([3, n])) for n, split in enumerate(SPLITS)}


def scene_of(record: Record) -> Scene:
    findings = tuple(finding_of(region.label, region.box) for region in record.regions)
    return Scene(record.tags["modality"], record.tags["organ"], findings)  # type: ignore[arg-type]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_one_seed_gives_the_same_bytes_on_any_number_of_processes(
    built: phantom.PhantomSummary, tmp_path: Path
) -> None:
    again = phantom.build(tmp_path / "again", size="tiny", seed=0, workers=2)
    assert again.records == built.records
    assert content(tmp_path / "again") == content(built.folder)
    phantom.build(tmp_path / "other", size="tiny", seed=1)
    first, other = content(built.folder), content(tmp_path / "other")
    assert not any(first[name] == other[name] for name in first if name.endswith(".png"))
    ids = [{record.id for record in read_records(f / "test.jsonl")} for f in (built.folder, tmp_path / "other")]
    assert not ids[0] & ids[1]


def test_images_are_there_and_splits_share_none(
    built: phantom.PhantomSummary, parts: dict[str, tuple[Record, ...]]
) -> None:
    assert {f"{split}.jsonl": len(records) for split, records in parts.items()} == built.records
    assert sum(built.pictures.values()) == 40
    seen: dict[str, set[str]] = defaultdict(set)
    for split, records in parts.items():
        assert check_images(records, built.folder, size_of=image_size, hashes=True).problems == ()
        for record in records:
            for key in (record.subject, record.study, record.images[0].path, record.images[0].sha256):
                assert key
                seen[key].add(split)
    assert all(len(splits) == 1 for splits in seen.values())
    assert len({path.read_bytes() for path in (built.folder / "images").iterdir()}) == 40


def test_records_say_where_they_come_from(parts: dict[str, tuple[Record, ...]]) -> None:
    for split, records in parts.items():
        for record in records:
            source = record.provenance
            assert (source.source, source.licence, source.generator, source.split) == (
                "phantom",
                "CC0-1.0",
                "template:phantom@1",
                split,
            )


@pytest.mark.parametrize("pixels", [64, 128])
def test_boxes_are_those_of_the_drawn_pixels(pixels: int) -> None:
    for number, scene in enumerate(plan("test", 40, np.random.default_rng(5))):
        picture = draw(scene, np.random.default_rng([7, number]), pixels=pixels)
        assert picture.grey.shape == (pixels, pixels)
        assert picture.grey.std() > 8
        union = np.zeros((pixels, pixels), dtype=int)
        for finding, box, mask in zip(scene.findings, picture.boxes, picture.masks, strict=True):
            rows, columns = np.nonzero(mask)
            assert box.xyxy() == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert finding_of(finding.kind, box) == finding
            union[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] += 1
        assert union.max(initial=0) <= 1, "boxes overlap"


@pytest.mark.parametrize("kind", KINDS)
def test_a_finding_is_visible_in_its_box(kind: str) -> None:
    """Against the same picture, same random numbers, without painting it."""
    from osler.sources import phantom_picture

    differences = []
    for number in range(20):
        scene = Scene(MODALITIES[number % 4], ORGANS[number // 5], (Finding(kind, "right", "middle", "medium"),))  # type: ignore[arg-type]
        shown = draw(scene, np.random.default_rng([2, number]))
        with pytest.MonkeyPatch.context() as patch:
            paint = phantom_picture._blend
            patch.setattr(
                phantom_picture, "_blend", lambda values, *rest, paint=paint: (values, paint(values, *rest))[0]
            )
            bare = draw(scene, np.random.default_rng([2, number]))
        gap = np.abs(shown.grey.astype(float) - bare.grey)
        differences.append(gap[shown.masks[0]].mean() - np.median(gap))
    # 8-bit steps
    assert np.median(differences) > 45
    assert min(differences) > 10


def test_answers_agree_with_boxes_and_tags(parts: dict[str, tuple[Record, ...]]) -> None:
    checked: Counter[str] = Counter()
    for record in (*parts["train"], *parts["dev"], *parts["test"]):
        kind, scene = record.tags["question_type"], scene_of(record)
        numbers = ("none", "one", "two", "three")
        assert record.tags["count"] == numbers[len(record.regions)]
        middles = [
            ((r.box.x1 + r.box.x2) / 2 / r.box.width, (r.box.y1 + r.box.y2) / 2 / r.box.height) for r in record.regions
        ]
        if kind == "presence":
            asked = [name for name in KINDS if f"{article(name)} " in f"{record.question[:-1]} "]
            assert len(asked) == 1
            assert record.answer == ("yes" if asked[0] in {region.label for region in record.regions} else "no")
            assert record.tags["answer_type"] == "CLOSED"
        else:
            assert record.tags["answer_type"] == "OPEN"
        if kind == "side":
            sides = {"left" if x < 0.5 else "right" for x, _ in middles}
            assert record.answer == ("both" if len(sides) == 2 else sides.pop())
        if kind == "zone":
            assert record.answer == ("upper", "middle", "lower")[int(3 * middles[0][1])]
        if kind == "finding":
            assert {record.answer} == {region.label for region in record.regions}
        if kind == "count":
            assert record.answer == record.tags["count"]
        if kind in ("modality", "organ"):
            assert record.answer == record.tags[kind]
        if kind != "presence":
            assert record.answer == answer(scene, kind)
        checked[kind] += 1
    assert set(checked) == set(TYPES)


def test_conversations_state_facts_of_the_scene(parts: dict[str, tuple[Record, ...]]) -> None:
    for record in (*parts["instruct"], *parts["heldout"]):
        scene = scene_of(record)
        kinds = {region.label for region in record.regions}
        for question, reply in zip(record.turns[::2], record.turns[1::2], strict=True):
            named = {kind for kind in KINDS if kind in words(reply.text)}
            if not reply.text.startswith("No,"):
                assert named <= kinds, (question, reply)
            wrong = {organ for organ in ORGANS if organ in words(reply.text)} - {scene.organ}
            wrong |= {name for name in MODALITIES if name.lower() in words(reply.text)} - {scene.modality}
            assert not wrong
    for record in parts["heldout"]:
        places = [f"in the {f.zone} {f.side}" for f in scene_of(record).findings]
        assert all(place in record.turns[1].text for place in places)


def test_extended_texts_are_one_an_answer_longer_and_not_much(scenes: dict[str, list[Scene]]) -> None:
    rng, ratios = random.Random(0), []
    for split in ("instruct", "heldout"):
        for scene in scenes[split][:800]:
            for exchange in conversation(scene, rng, every_fact=split == "heldout"):
                short, long = len(words(exchange.answer)), len(words(exchange.extended))
                assert short < long <= 3 * short, exchange
                assert exchange.extended != exchange.answer
                ratios.append(long / short)
    assert 1.6 < np.mean(ratios) < 2


def test_every_instruction_record_has_paraphrases(parts: dict[str, tuple[Record, ...]]) -> None:
    for record in (*parts["instruct"], *parts["heldout"]):
        assert len(record.extended) == sum(turn.role == "assistant" for turn in record.turns)
    assert {len(record.turns) for record in parts["instruct"]} == {2, 4, 6}


def test_held_out_combinations_and_wordings_are_absent_from_training(scenes: dict[str, list[Scene]]) -> None:
    assert len(HELD_OUT) == 12
    for split in TRAINING:
        assert not any(f.combination in HELD_OUT for scene in scenes[split] for f in scene.findings)
    test = ask_all(scenes["test"], random.Random(0), unseen_wording=phantom.UNSEEN_WORDING)
    unseen = [scenes["test"][asked.scene].seen for asked in test].count(False)
    assert unseen / len(test) == pytest.approx(1 / 3, abs=0.05)
    assert [asked.seen_wording for asked in test].count(False) / len(test) == pytest.approx(1 / 3, abs=0.05)
    met = {f.combination for scene in scenes["test"] if not scene.seen for f in scene.findings}
    assert met >= HELD_OUT
    training = training_questions(scenes)
    for asked in test:
        assert asked.seen_wording or asked.question not in training
    for seen, kept in QUESTIONS.values():
        assert not set(seen) & set(kept)


def training_questions(scenes: dict[str, list[Scene]]) -> set[str]:
    rng = random.Random(1)
    questions = {turn.question for scene in scenes["instruct"] for turn in conversation(scene, rng)}
    return questions | {item.question for split in ("train", "dev") for item in ask_all(scenes[split], rng)}


def test_tags_of_the_written_test_part_tell_the_truth(parts: dict[str, tuple[Record, ...]]) -> None:
    training = {turn.text for split in TRAINING for record in parts[split] for turn in record.turns}
    for split in TRAINING:
        assert {record.tags["combination"] for record in parts[split]} == {"seen"}
    assert {record.tags["combination"] for record in parts["test"]} == {"seen", "unseen"}
    for record in parts["test"]:
        combinations = {finding.combination for finding in scene_of(record).findings}
        assert (record.tags["combination"] == "unseen") == bool(combinations & HELD_OUT)
        if record.tags["wording"] == "unseen":
            assert record.turns[0].text not in training


def test_words_are_few_and_the_test_part_brings_no_new_one(scenes: dict[str, list[Scene]]) -> None:
    rng = random.Random(2)
    known = {word for question in training_questions(scenes) for word in words(question)}
    for scene in scenes["instruct"]:
        for turn in conversation(scene, rng):
            known |= {*words(turn.answer), *words(turn.extended)}
    known |= {word for item in ask_all(scenes["train"], rng) for word in words(item.answer)}
    assert 150 < len(known) < 400
    for item in ask_all(scenes["test"], rng, unseen_wording=1.0):
        assert {*words(item.question), *words(item.answer)} <= known
    assert set(words("Is it an x-ray, or CT?")) == {"is", "it", "an", "x-ray", ",", "or", "ct", "?"}


def test_majority_answers_and_question_texts_give_little_away(scenes: dict[str, list[Scene]]) -> None:
    learnt: dict[str, Counter[str]] = defaultdict(Counter)
    by_text: dict[str, Counter[str]] = defaultdict(Counter)
    train = ask_all(scenes["train"], random.Random(3))
    for item in train:
        learnt[item.type][item.answer] += 1
        by_text[item.question][item.answer] += 1
    test = ask_all(scenes["test"], random.Random(4))
    shares, hits = [], []
    for kind in TYPES:
        counts = Counter(item.answer for item in test if item.type == kind)
        shares.append(counts[learnt[kind].most_common(1)[0][0]] / counts.total())
        assert counts.most_common(1)[0][1] / counts.total() <= 0.52, kind
    assert np.mean(shares) <= 0.4
    for item in test:
        guess = by_text[item.question].most_common(1)
        hits.append(bool(guess) and guess[0][0] == item.answer)
    assert np.mean(hits) <= 0.4
    assert sum(item.type == "presence" for item in test) / len(test) <= 0.15
    per_scene = Counter(item.scene for item in test)
    assert set(per_scene.values()) <= {4, 5, 6}


def test_facts_are_uniform(scenes: dict[str, list[Scene]]) -> None:
    lone = [scene.findings[0] for scene in scenes["instruct"] if len(scene.findings) == 1]
    assert len(lone) == pytest.approx(2000, abs=12)
    for name in ("kind", "side", "zone", "extent"):
        counts = Counter(getattr(finding, name) for finding in lone)
        assert max(counts.values()) - min(counts.values()) <= 4, name
    assert len({(scene.modality, scene.organ) for scene in scenes["instruct"]}) == 16


def test_heldout_texts_differ(scenes: dict[str, list[Scene]]) -> None:
    rng = random.Random(5)
    texts = [" ".join(turn.answer for turn in conversation(scene, rng, every_fact=True)) for scene in scenes["heldout"]]
    assert len(set(texts)) >= 0.95 * len(texts)
    assert all(scene.findings for scene in scenes["heldout"])


def test_a_linear_map_of_the_pixels_does_not_answer(scenes: dict[str, list[Scene]]) -> None:
    """Ridge regression on 350 pictures with one finding: near chance for side (1/2) and modality (1/4)."""
    chosen = [scene for scene in scenes["instruct"] if len(scene.findings) == 1][:500]
    pixels = np.stack([draw(s, np.random.default_rng([9, n])).grey.ravel() for n, s in enumerate(chosen)]) / 255.0
    pixels -= pixels[:350].mean(axis=0)
    kernel = pixels @ pixels[:350].T
    for bound, facts in (
        (0.64, [scene.side for scene in chosen]),
        (0.42, [scene.modality for scene in chosen]),
    ):
        names = sorted(set(facts))
        target = np.array([[fact == name for name in names] for fact in facts[:350]], dtype=float)
        weights = np.linalg.solve(kernel[:350] + 100 * np.eye(350), target - target.mean(axis=0))
        guesses = (kernel[350:] @ weights).argmax(axis=1)
        assert np.mean([names[g] == fact for g, fact in zip(guesses, facts[350:], strict=True)]) < bound


def test_the_source_writes_a_set_and_explains_mistakes(tmp_path: Path) -> None:
    source = get("phantom")
    fetched = source.get(tmp_path, size="tiny", seed="1", pixels="48")
    assert Image.open(tmp_path / "images" / "test-00000.png").size == (48, 48)
    assert sum(fetched.files.values()) == sum(len(read_records(tmp_path / name)) for name in fetched.files)
    for options, reason in (
        ({"size": "huge"}, "want tiny, study, large"),
        ({"seed": "one"}, "no whole number"),
        ({"seed": "-1"}, "negative"),
        ({"pixels": "512"}, "48 to 128"),
        ({"workers": "0"}, "1 or more"),
        ({"sise": "tiny"}, "did you mean 'size'"),
    ):
        with pytest.raises(SourceError, match=reason):
            source.get(tmp_path / "absent", **options)
    assert not (tmp_path / "absent").exists()


def test_an_interrupted_build_does_not_look_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phantom.build(tmp_path, size="tiny", seed=0)
    before = content(tmp_path)
    calls = []

    def fail(*arguments: object, **options: object) -> int:
        calls.append(arguments)
        raise OslerError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(phantom, "write_records", fail)
        with pytest.raises(OslerError, match="disk full"):
            phantom.build(tmp_path, size="tiny", seed=1)
    assert calls
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
    phantom.build(tmp_path, size="tiny", seed=0)
    assert content(tmp_path) == before
    assert json.loads(before["manifest.json"])["records"]["instruct.jsonl"] == 16
