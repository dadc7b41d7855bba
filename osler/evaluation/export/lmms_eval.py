"""lmms-eval's task folder: `<name>.yaml`, `utils.py`, and the items with their pictures in `data/<split>.parquet`.

https://github.com/EvolvingLMMs-Lab/lmms-eval/blob/main/docs/task_guide.md: `dataset_path` and `dataset_kwargs` go to
`datasets.load_dataset`; `doc_to_visual`, `doc_to_text`, `doc_to_target` and `process_results` make prompt and scores,
by `!function utils.NAME`. The prompt is this task's, and `process_results` calls Osler's protocols, so that the scores
of both are the same; Osler has to be importable where lmms-eval runs (`pip install --no-deps osler` is enough for
protocols).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from osler.evaluation import protocols as registry
from osler.evaluation.export.base import Exported, entries, export_name, picture_bytes, prompt_text
from osler.evaluation.plan import Plan
from osler.record_atomic import atomic_write

YAML = """# Written by `osler data export`. The parquet file is named by its whole path: change it if the folder moves.
task: {name}
dataset_path: parquet
dataset_kwargs:
  data_files:
    {split}: {parquet}
test_split: {split}
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: answer
generation_kwargs:
  max_new_tokens: {max_new_tokens}
  temperature: 0
  do_sample: false
process_results: !function utils.process_results
metric_list:
{metrics}metadata:
  - version: {version}
"""
UTILS = '''"""Prompt and scores of {name}, written by `osler data export`; the scores are those of Osler's protocols."""

import json

from osler.evaluation.protocols import get
from osler.evaluation.protocols.regions import Regions

PROTOCOLS = {protocols}


def doc_to_visual(doc):
    return [image.convert("RGB") for image in doc["images"]]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    return doc["question"]


def process_results(doc, results):
    options = tuple(doc["options"])
    regions = Regions.from_json(json.loads(doc["regions"])) if doc["regions"] else None
    known = {{"options": options, "regions": regions}}
    scores = {{}}
    for name in PROTOCOLS:
        protocol = get(name)
        if protocol.applies(answer_type=doc["answer_type"] or None, reference=doc["answer"], **known):
            scores[name] = protocol.score(results[0], doc["answer"], **known).value
    return scores
'''


def write_lmms_eval(plan: Plan, out: Path) -> Exported:
    """Write the folder `<out>/<name>`."""
    name = export_name(plan).lower()
    folder = out / name
    parquet = folder / "data" / f"{plan.split}.parquet"
    _write_parquet(plan, parquet)
    wanted = plan.task.protocols_of(plan.convention)
    known = [protocol for protocol in wanted if protocol in registry.names() and _applies(plan, protocol)]
    metrics = "".join(
        f"  - metric: {protocol}\n    aggregation: mean\n    higher_is_better: {str(_rises(protocol)).lower()}\n"
        for protocol in known
    )
    texts = {
        f"{name}.yaml": YAML.format(
            name=name,
            split=plan.split,
            parquet=json.dumps(str(parquet.resolve())),
            max_new_tokens=plan.task.max_new_tokens,
            metrics=metrics,
            version=json.dumps(plan.task.version),
        ),
        "utils.py": UTILS.format(name=name, protocols=json.dumps(known, indent=4)),
    }
    for file, text in texts.items():
        with atomic_write(folder / file) as stream:
            stream.write(text.encode())
    remarks = ["Means over the items that a protocol applies to; intervals, controls and groups are Osler's alone."]
    absent = [protocol for protocol in wanted if protocol not in known]
    if absent:
        remarks.append(f"Not exported: {', '.join(absent)} (no item is scored by them).")
    return Exported(
        path=folder,
        items=len(plan.items),
        name=name,
        command=f"python -m lmms_eval --include_path {out} --tasks {name} --model MODEL",
        remarks=tuple(remarks),
    )


def _applies(plan: Plan, name: str) -> bool:
    protocol = registry.get(name)
    return any(
        protocol.applies(
            answer_type=item.answer_type, reference=item.reference, options=item.options, regions=item.regions
        )
        for item in plan.items
    )


def _rises(name: str) -> bool:
    """Whether a higher score is better, which is so unless a protocol says otherwise."""
    return bool(getattr(registry.get(name), "higher_is_better", True))


def _write_parquet(plan: Plan, path: Path) -> None:
    """Rows with pictures as `datasets` stores them: bytes, with the features named in the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    images = pa.list_(pa.struct({"bytes": pa.binary(), "path": text}))
    columns = {"id": text, "images": images, "question": text, "answer": text, "options": pa.list_(text)}
    columns |= {"answer_type": text, "question_type": text, "tags": text, "regions": text}
    value: dict[str, Any] = {"dtype": "string", "_type": "Value"}
    features: dict[str, Any] = dict.fromkeys(columns, value)
    features["images"] = {"feature": {"_type": "Image"}, "_type": "List"}
    features["options"] = {"feature": value, "_type": "List"}
    schema = pa.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for record, item in entries(plan):
            row = {
                "id": item.id,
                "images": [{"bytes": picture_bytes(plan, image), "path": None} for image in record.images],
                "question": prompt_text(plan, record),
                "answer": item.reference,
                "options": list(item.options),
                "answer_type": item.answer_type or "",
                "question_type": item.question_type,
                "tags": json.dumps(dict(item.tags), ensure_ascii=False),
                "regions": "" if item.regions is None else json.dumps(item.regions.to_json()),
            }
            writer.write_table(pa.Table.from_pylist([row], schema=schema))
