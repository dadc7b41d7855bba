"""Exports, read back as the other evaluators read them: pandas for the TSV, `datasets` and YAML for lmms-eval."""

from __future__ import annotations

import ast
import base64
import importlib.util
import io
import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from osler.errors import EvaluationError
from osler.evaluation import protocols, tasks
from osler.evaluation.export import export
from osler.record_files import write_records
from osler.record_options import options_tag
from osler.records import ImageRef, Record, Turn
from tests.sources.published import picture


def record(name, answer, *, question='what\tis\n"it" ?', images=("a.png",), **tags):
    shown = "<image>\n" * len(images)
    return Record(
        id=name,
        images=tuple(ImageRef(path=path) for path in images),
        turns=(Turn(role="user", text=shown + question), Turn(role="assistant", text=answer)),
        tags=tags,
    )


@pytest.fixture
def choices(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.png", "b.jpg", "c.bmp")):
        picture(tmp_path / "data" / name, seed=number)
    options = options_tag(["CT", "None", "MRI"])
    records = [
        record("one", "MRI", options=options, dataset="x", question_type="modality"),
        record("two", "CT", options=options_tag(["CT", "X-ray"]), images=("b.jpg", "c.bmp"), dataset="y"),
    ]
    write_records(records, tmp_path / "data" / "test.jsonl")
    return tmp_path / "data"


def pixels(text: str) -> tuple[tuple[int, int], str]:
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    return image.size, image.format


def test_multiple_choice_as_tsv(choices: Path, tmp_path: Path) -> None:
    import pandas

    written = export("classify-vqa", choices, tmp_path / "LMUData", form="vlmevalkit")
    assert written.path == tmp_path / "LMUData" / "Osler_classify_vqa_files.tsv"
    frame = pandas.read_csv(written.path, sep="\t")
    assert list(frame.columns) == [
        "index", "id", "image", "image_path", "question", "A", "B", "C", "answer", "category", "l2-category", "split",
    ]  # fmt: skip
    one, two = frame.to_dict("records")
    assert (one["index"], two["index"]) == (0, 1)
    assert one["question"] == 'what\tis\n"it" ?'
    assert (one["A"], one["C"], one["answer"]) == ("CT", "MRI", "C")
    assert pandas.isna(one["B"]), "pandas takes the option None for a missing one"
    assert any("1 items have a text such as None" in remark for remark in written.remarks)
    assert (two["A"], two["B"], two["answer"], two["l2-category"]) == ("CT", "X-ray", "A", "y")
    assert pixels(one["image"]) == ((40, 30), "PNG")
    pictures, names = ast.literal_eval(two["image"]), ast.literal_eval(two["image_path"])
    assert [pixels(text) for text in pictures] == [((40, 30), "JPEG"), ((40, 30), "PNG")]
    assert len(set(names)) == 2
    assert base64.b64decode(one["image"]) == (choices / "a.png").read_bytes(), "the file itself, not coded anew"


def test_open_questions_as_tsv_have_the_whole_prompt(tmp_path: Path) -> None:
    import pandas

    picture(tmp_path / "a.png")
    write_records([record("one", "left lobe", question="where ?", answer_type="OPEN")], tmp_path / "test.jsonl")
    written = export("records", tmp_path, tmp_path, form="vlmevalkit")
    (row,) = pandas.read_csv(written.path, sep="\t").to_dict("records")
    assert (row["question"], row["answer"], row["split"]) == ("where ?", "left lobe", "test")
    assert "A" not in row


@pytest.fixture
def vqa_rad(shared_data: Path) -> Path:
    return shared_data / "vqa_rad"


def load_folder(folder: Path):
    """What lmms-eval makes of a task folder: configuration, functions, documents."""
    import datasets

    spec = importlib.util.spec_from_file_location("exported_utils", folder / "utils.py")
    assert spec is not None
    assert spec.loader is not None
    utils = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(utils)

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: getattr(utils, node.value.removeprefix("utils.")))
    config = yaml.load((folder / f"{folder.name}.yaml").read_text(), Loader)
    loaded = datasets.load_dataset(
        path=config["dataset_path"], cache_dir=str(folder / "cache"), **config["dataset_kwargs"]
    )
    return config, loaded[config["test_split"]]


def test_lmms_eval_scores_as_osler_does(vqa_rad: Path, tmp_path: Path) -> None:
    written = export("vqa-rad", vqa_rad, tmp_path, form="lmms-eval", limit=12)
    assert written.name == "osler_vqa_rad_official"
    config, docs = load_folder(written.path)
    assert config["task"] == "osler_vqa_rad_official"
    assert len(docs) == 12
    metrics = {entry["metric"]: entry for entry in config["metric_list"]}
    assert "strict-exact-match" in metrics
    assert all(entry["aggregation"] == "mean" and entry["higher_is_better"] for entry in metrics.values())
    task = tasks.get("vqa-rad")
    items = {r.id: r for r in task.load(vqa_rad, split="test", convention="official")}
    for doc in docs:
        record = items[doc["id"]]
        assert config["doc_to_text"](doc, {}) == record.question
        (image,) = config["doc_to_visual"](doc)
        assert image.mode == "RGB"
        assert doc[config["doc_to_target"]] == record.answer
        for answer in ("Yes", record.answer, "left lower lobe", ""):
            scores = config["process_results"](doc, [answer])
            assert set(scores) <= set(metrics)
            for name, value in scores.items():
                assert value == protocols.get(name).score(answer, record.answer).value
    assert config["process_results"](docs[0], [docs[0]["answer"]])["strict-exact-match"] == 1.0


def test_options_and_regions_reach_the_protocols(choices: Path, tmp_path: Path) -> None:
    written = export("classify-vqa", choices, tmp_path / "lmms", form="lmms-eval")
    config, docs = load_folder(written.path)
    assert len(config["doc_to_visual"](docs[1])) == 2
    assert docs[0]["question"].startswith('what\tis\n"it" ?Here are 3 candidate answers:')
    assert "<image>" not in docs[0]["question"]
    assert config["process_results"](docs[0], ["an MRI"])["candidate-whole-word"] == 1.0
    from osler.sources import get

    get("phantom").get(tmp_path / "phantom", size="tiny")
    written = export("phantom-grounding", tmp_path / "phantom", tmp_path / "lmms", form="lmms-eval", limit=5)
    config, docs = load_folder(written.path)
    for doc in docs:
        assert config["process_results"](doc, [doc["answer"]])["grounding-iou"] > 0.99
    assert json.loads(docs[0]["regions"])["box_format"]


def test_what_cannot_be_exported_is_said(choices: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no form 'csv'"):
        export("records", choices, tmp_path, form="csv")  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match="no convention 'x'"):
        export("records", choices, tmp_path, form="vlmevalkit", convention="x")
    (choices / "b.jpg").unlink()
    with pytest.raises(Exception, match=re.escape("b.jpg")):
        export("classify-vqa", choices, tmp_path / "x", form="vlmevalkit")
    assert not (tmp_path / "x").exists() or not list((tmp_path / "x").iterdir()), "no half a file"
