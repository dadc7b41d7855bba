"""The study of rewards: which runs, equal compute, data, one real run of each kind at tiny size, tables."""

import json

import numpy as np
import pytest

from osler.record_files import read_records
from osler.sources import phantom
from osler.study.abnormal_aware import base, tables, vision
from osler.study.abnormal_aware.data import mirrored, prepare
from osler.study.abnormal_aware.grid import VARIANTS, Run, all_runs, choose
from osler.study.abnormal_aware.one_run import Setting, equal_steps, execute, recipe_of, settings_hash
from osler.study.abnormal_aware.report import write_report
from osler.study.abnormal_aware.schedule import finished
from osler.study.abnormal_aware.vision_pictures import drawn_phantoms
from osler.study.grid import StudyError
from osler.training.recipe import load

QUICK = (
    "stages.tune.max_steps=3", "stages.tune.batch_size=4", "stages.reward.max_steps=2", "stages.reward.batch_size=2",
    "stages.reward.rollout.completions=2", "stages.reward.rollout.max_new_tokens=12",
    "stages.reward.rollout.method=ppo",
)  # fmt: skip


def test_the_grid():
    runs = all_runs()
    assert len(runs) == 2 * 3 * len(VARIANTS)
    assert {run.variant for run in choose(runs, "data=bccd,seed=1")} == set(VARIANTS)
    with pytest.raises(StudyError, match="no variant 'magic'"):
        choose(runs, "variant=magic")
    with pytest.raises(StudyError, match="key=value"):
        choose(runs, "seed")


def test_equal_compute_counts_passes():
    tune, reward = load("small/abnormal_phantom").stages
    sequences = reward.batch_size * reward.rollout.completions * reward.max_steps
    assert equal_steps(tune, reward) * tune.batch_size * 3 == pytest.approx(sequences * 6, rel=0.01)


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """Tiny phantom data, and an encoder that was taught for two steps."""
    folder = tmp_path_factory.mktemp("study")
    phantom.build(folder / "phantom", size="tiny", seed=0)
    patch = pytest.MonkeyPatch()
    patch.setattr(vision, "STEPS", {"phantom": 2, "bccd": 2})
    patch.setattr(vision, "PICTURES", 300)
    patch.setattr(vision, "drawn_phantoms", lambda: drawn_phantoms(300))
    made = Setting({"phantom": (folder / "phantom", folder / "phantom")}, folder / "work", folder / "results", QUICK)
    made.prepared("phantom")
    base.build_base(base.base_folder(made.work, "phantom", 0), "phantom", made.sources["phantom"], seed=0)
    yield made
    patch.undo()


def test_runs_and_their_page(setting, tmp_path):
    runs = [Run("phantom", 0, name) for name in VARIANTS]
    for run in runs:
        content = json.loads(execute(run, setting).read_text())
        assert content["steps"] == {"start": 3, "supervised": 4}.get(run.variant, 2)
        items = content["items"]
        assert len(items["iou"]) == len(items["id"]) == len(set(items["image"]))
        assert all(0 <= value <= 1 for name in ("iou", "acc50", "dice", "named") for value in items[name])
        assert 0 <= content["relevance"]["of_all"] <= content["relevance"]["of_image"] <= 1
        assert bool(content["controls"]) == (run.variant == "start")
    assert finished(runs, setting) == set(runs)
    start = json.loads(setting.path(runs[0]).read_text())
    assert set(start["controls"]) == {"blank", "centre-box", "mean-box"}
    assert 0 < start["controls"]["mean-box"]["iou"] < 1
    page = tmp_path / "page.md"
    (tmp_path / "page_reading.md").write_text("## Reading\n\nNothing was learned.\n")
    write_report(setting.results, page)
    text = page.read_text()
    for piece in (
        "Nothing was learned.",
        "+ both rewards",
        "control: centre-box",
        "Differences",
        "share of the picture",
    ):
        assert piece in text
    changed = Setting(setting.sources, setting.work, setting.results, (*QUICK, "stages.tune.learning_rate=1e-4"))
    with pytest.raises(StudyError, match="other settings"):
        finished(runs, changed)


def test_variants_differ_in_what_they_learn_from(setting):
    recipes = {name: recipe_of(Run("phantom", 0, name), setting).stages[0] for name in VARIANTS}
    assert recipes["start"].rewards is None
    assert recipes["supervised"].rewards is None
    assert recipes["localisation"].rewards.weights == {"localisation": 1.0}
    assert recipes["relevance"].rewards.weights == {"relevance": 1.0}
    assert recipes["both"].rewards.weights == {"localisation": 1.0, "relevance": 1.0}
    hashes = {settings_hash(Run("phantom", 0, name), setting) for name in VARIANTS}
    assert len(hashes) == len(VARIANTS)


def test_differences_are_paired_by_seed_and_item():
    def content(variant, seed, iou):
        return {
            "variant": variant, "seed": seed, "steps": 1,
            "items": {"id": ["a", "b", "c"], "image": ["a", "b", "c"], "boxes": [1, 1, 0], "iou": iou},
        }  # fmt: skip

    results = tables.Results(
        [content("supervised", 0, [0.1, 0.5, 1]), content("supervised", 1, [0.2, 0.6, 0]),
         content("both", 0, [0.3, 0.7, 0]), content("both", 1, [0.4, 0.8, 1])]
    )  # fmt: skip
    found = results.difference("both", "iou")
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2, 0.2)), "items without boxes do not count"
    assert results.interval("both", "iou").mean == pytest.approx(0.55)
    assert results.difference("relevance", "iou") is None


def test_labels_lie_where_the_findings_are():
    pictures = drawn_phantoms(20, seed=5)
    assert pictures.kind_PGG.shape == (20, 8, 8)
    for number in range(20):
        there = pictures.kind_PGG[number] > 0
        edges = pictures.edges_PGG4[number][there]
        rows, columns = (axis.float() for axis in there.nonzero().T)
        # a labelled place lies in its box, or holds its centre
        assert ((columns + 1) / 8 > edges[:, 0]).all()
        assert (columns / 8 < edges[:, 2]).all()
        assert ((rows + 1) / 8 > edges[:, 1]).all()
        assert (rows / 8 < edges[:, 3]).all()


def test_mirrored_boxes_stay_on_their_pixels(tmp_path):
    phantom.build(tmp_path / "p", size="tiny", seed=1)
    record = next(r for r in read_records(tmp_path / "p" / "train.jsonl") if r.regions)
    from PIL import Image

    box = record.regions[0].box
    before = np.asarray(Image.open(tmp_path / "p" / record.images[0].path).convert("L"))
    x1, y1, x2, y2 = (int(edge) for edge in box.xyxy())
    for across in (False, True):
        for down in (False, True):
            found = mirrored(record, tmp_path / "p", tmp_path / "out", across, down)
            after = np.asarray(Image.open(tmp_path / "out" / found.images[0].path).convert("L"))
            a1, b1, a2, b2 = (int(edge) for edge in found.regions[0].box.xyxy())
            patch = after[b1:b2, a1:a2]
            patch = patch[:, ::-1] if across else patch
            patch = patch[::-1] if down else patch
            assert np.array_equal(patch, before[y1:y2, x1:x2])


def test_absent_data_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"instruct\.jsonl: no such file"):
        prepare("phantom", tmp_path / "nothing", tmp_path, tmp_path / "out")
    with pytest.raises(StudyError, match="where is bccd"):
        Setting({}, tmp_path, tmp_path).prepared("bccd")
    with pytest.raises(StudyError, match="holds no results"):
        tables.read(tmp_path)
