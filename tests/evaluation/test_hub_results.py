from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from osler.errors import EvaluationError
from osler.evaluation.hub_results import eval_results, model_index, to_yaml

from .test_run import Oracle, run

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_hubs_own_reader_reads_what_is_written(record_folder, tmp_path):
    result = run(Oracle(record_folder), record_folder, tmp_path / "out")
    written = yaml.safe_load((tmp_path / "out" / "model-index.yaml").read_text())
    name, found = model_index_to_eval_results(written["model-index"])
    assert name == "oracle"
    by_metric = {entry.metric_type: entry for entry in found}
    real = result.scores["conditions"]["real"]["protocols"]
    assert set(by_metric) == {protocol for protocol, entry in real.items() if entry["n"]}
    strict = by_metric["strict-exact-match"]
    assert strict.metric_value == 100.0
    assert strict.metric_args["controls"]["blank"] == 0.0
    assert strict.metric_args["n"] == 12
    assert (strict.dataset_split, strict.dataset_args["data_sha256"]) == ("test", result.scores["data_hash"])
    card = ModelCard(f"---\nlicense: mit\n{to_yaml({'model-index': model_index(result.scores)})}---\n# A model\n")
    assert card.data.eval_results[0].task_type == "visual-question-answering"


def test_a_benchmarks_leaderboard_entry_names_its_circumstances(record_folder, tmp_path):
    scores = run(Oracle(record_folder), record_folder, tmp_path / "out").scores
    (entry,) = parse_eval_result_entries(yaml.safe_load(to_yaml(eval_results(scores, dataset="someone/vqa"))))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("someone/vqa", "default", 100.0)
    for part in ("strict-exact-match v1", "n 12", "95% interval 100.0 to 100.0", "blank 0.0"):
        assert part in entry.notes
    with pytest.raises(EvaluationError, match="no id of a data set"):
        eval_results(scores, dataset="two words/x y")
    with pytest.raises(EvaluationError, match="'bleu-4' has no score"):
        eval_results(scores, dataset="someone/vqa", protocol="bleu-4")


def test_the_example_of_the_documentation(record_folder, tmp_path, monkeypatch):
    run(Oracle(record_folder), record_folder, tmp_path / "runs" / "eval")
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "reading_results.md").read_text(), flags=re.S)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert yaml.safe_load((tmp_path / "entry.yaml").read_text())[0]["value"] == 100.0
