"""python -m benchmarks.labeller [--openi] [--markdown]   (or: make bench-labeller)

How well our rule labeller of chest findings agrees with labels of others. One JSON line for each data set and part:

- `radlabels`: the 1,000 synthetic reports of the package radlabels (0.8 MB). Their labels are made by RadGraph-XL and
  phrases of radiologists, not by readers: this measures agreement with another labeller.
- `openi` (with `--openi`, 29 MB): the Indiana University reports inside the package torchxrayvision. Their labels are
  MeSH terms that people gave each report; a term is given for what is present, not for what is possible.

Reports are halved by a hash of their name. The rules were written while looking at the half "seen"; of the half
"held-out" a handful of reports was read before, to see the format. Reports come from the package index and are not
kept elsewhere.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from osler.evaluation.findings import label
from osler.evaluation.findings.labeller import Status, findings_text, sentences
from osler.evaluation.findings.vocabulary import PATTERNS
from osler.evaluation.statistics import ratio_intervals
from osler.packages import fetch, members, read_members

FINDINGS = tuple(PATTERNS)
STATUS = {
    "definitely present": Status.POSITIVE,
    "uncertain": Status.UNCERTAIN,
    "definitely absent": Status.NEGATIVE,
}
RADLABELS = {
    "enlarged_cardiomediastinum": "Enlarged Cardiomediastinum",
    "cardiomegaly": "Cardiomegaly",
    "lung_nodule_or_mass": "Lung Lesion",
    "lung_lesion": "Lung Lesion",
    "lung_opacity": "Lung Opacity",
    "ground_glass_opacity": "Lung Opacity",
    "infiltration": "Lung Opacity",
    "interstitial_thickening": "Lung Opacity",
    "peribronchial_cuffing": "Lung Opacity",
    "pulmonary_edema": "Edema",
    "pulmonary_congestion_pulmonary_venous_congestion": "Edema",
    "consolidation": "Consolidation",
    "pneumonia": "Pneumonia",
    "atelectasis": "Atelectasis",
    "lobar_segmental_collapse": "Atelectasis",
    "whole_lung_or_majority_collapse": "Atelectasis",
    "pneumothorax": "Pneumothorax",
    "pleural_effusion": "Pleural Effusion",
    "pleural_thickening": "Pleural Other",
    "pleural_other": "Pleural Other",
    "fracture_generic": "Fracture",
    "acute_rib_fracture": "Fracture",
    "non_acute_rib_fracture": "Fracture",
    "enteric_tube": "Support Devices",
    "endotracheal_tube": "Support Devices",
    "central_venous_catheter": "Support Devices",
    "intercostal_drain": "Support Devices",
    "pacemaker_electronic_cardiac_device_or_wires": "Support Devices",
    "tracheostomy_tube": "Support Devices",
    "support_devices_generic": "Support Devices",
    "implantable_electronic_device": "Support Devices",
}
# fires for consolidation and pneumonia too, which have names of their own
AIR_SPACE = re.compile("opacity|infiltrate|air ?space")
OPENI = {
    "cardiomegaly": "Cardiomegaly",
    "nodule": "Lung Lesion",
    "mass": "Lung Lesion",
    "granuloma": "Lung Lesion",
    "calcified granuloma": "Lung Lesion",
    "opacity": "Lung Opacity",
    "infiltrate": "Lung Opacity",
    "airspace disease": "Lung Opacity",
    "lung diseases, interstitial": "Lung Opacity",
    "pulmonary edema": "Edema",
    "pulmonary congestion": "Edema",
    "heart failure": "Edema",
    "consolidation": "Consolidation",
    "pneumonia": "Pneumonia",
    "pulmonary atelectasis": "Atelectasis",
    "pneumothorax": "Pneumothorax",
    "hydropneumothorax": "Pneumothorax",
    "hemopneumothorax": "Pneumothorax",
    "pleural effusion": "Pleural Effusion",
    "hemothorax": "Pleural Effusion",
    "fractures, bone": "Fracture",
    "catheters, indwelling": "Support Devices",
    "implanted medical device": "Support Devices",
    "medical device": "Support Devices",
    "tube, inserted": "Support Devices",
    "stents": "Support Devices",
}
# term, one of these qualifiers, finding
QUALIFIED = (
    ("cardiac shadow", {"enlarged"}, "Cardiomegaly"),
    ("mediastinum", {"enlarged", "prominent"}, "Enlarged Cardiomediastinum"),
    ("markings", {"interstitial"}, "Lung Opacity"),
    ("costophrenic angle", {"blunted"}, "Pleural Effusion"),
    ("thickening", {"pleura"}, "Pleural Other"),
    ("cicatrix", {"pleura"}, "Pleural Other"),
    ("calcinosis", {"pleura"}, "Pleural Other"),
    ("hydropneumothorax", set(), "Pleural Effusion"),
    ("hemopneumothorax", set(), "Pleural Effusion"),
)


class Report(NamedTuple):
    """A report, its name and the labels that others gave it."""

    name: str
    text: str
    labels: dict[str, Status]


def radlabels() -> Iterator[Report]:
    """Reports of the package radlabels; over the mentions of a finding present comes before uncertain before absent."""
    wheel = fetch("radlabels", say=_tell)
    folder = "radlabels/samples/"
    matches = json.loads(read_members(wheel, [f"{folder}synthetic_matches.json"])[f"{folder}synthetic_matches.json"])
    texts = read_members(wheel, members(wheel, rf"{folder}synthetic_reports/.*\.txt"))
    order = list(Status)
    for name in sorted(matches):
        found: dict[str, Status] = {}
        for match in matches[name]["matches"]:
            finding = RADLABELS.get(match["disease"])
            if match["disease"] == "air_space_opacity" and AIR_SPACE.search(match["alias"]):
                finding = "Lung Opacity"
            if finding:
                found[finding] = min(found.get(finding, Status.NEGATIVE), STATUS[match["label"]], key=order.index)
        yield Report(name, texts[f"{folder}synthetic_reports/{name}.txt"].decode(), found)


def openi() -> Iterator[Report]:
    """Indexed reports of Indiana University with findings or impression; their MeSH terms as labels."""
    from xml.etree import ElementTree  # safe here: the archive is known by its digest

    wheel = fetch("torchxrayvision", say=_tell)
    name = "torchxrayvision/data/NLMCXR_reports.tgz"
    with tarfile.open(fileobj=io.BytesIO(read_members(wheel, [name])[name])) as archive:
        for member in sorted((m for m in archive if m.name.endswith(".xml")), key=lambda m: m.name):
            stream = archive.extractfile(member)
            assert stream is not None
            root = ElementTree.parse(stream).getroot()
            terms = [(element.text or "").strip().lower() for element in root.iter("major")]
            parts = {element.get("Label"): element.text for element in root.iter("AbstractText")}
            text = "\n\n".join(f"{name}: {parts[name]}" for name in ("FINDINGS", "IMPRESSION") if parts.get(name))
            if terms and "no indexing" not in terms and text:
                yield Report(member.name.rsplit("/", 1)[-1], text, dict.fromkeys(_findings(terms), Status.POSITIVE))


def _findings(terms: Iterable[str]) -> list[str]:
    found = []
    for term in terms:
        head, *rest = (part.strip() for part in term.split("/"))
        found += [OPENI[head]] if head in OPENI else []
        found += [finding for name, wanted, finding in QUALIFIED if head == name and (not wanted or wanted & set(rest))]
    return found


def held_out(name: str) -> bool:
    """Whether a report belongs to the half that the rules were not written on."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 1


def measure(reports: Sequence[Report], ours: Sequence[Mapping[str, Status]], *, uncertain: bool) -> dict[str, Any]:
    """Precision, recall and F1 by finding, micro and macro, with intervals over reports.

    Args:
        reports: with labels.
        ours: our labels, in the same order.
        uncertain: whether what is called possible counts as stated, on both sides.
    """
    wanted = {Status.POSITIVE, Status.UNCERTAIN} if uncertain else {Status.POSITIVE}
    table = np.array(
        [
            [(found.get(name) in wanted, report.labels.get(name) in wanted) for name in FINDINGS]
            for found, report in zip(ours, reports, strict=True)
        ],
        dtype=float,
    )
    stated, true = table[..., 0], table[..., 1]
    hit = stated * true
    # the last column is all findings together
    stated, true, hit = (np.hstack([part, part.sum(axis=1, keepdims=True)]) for part in (stated, true, hit))
    f1 = ratio_intervals(2 * hit, stated + true)
    findings = {}
    for number, name in enumerate((*FINDINGS, "all (micro)")):
        interval = f1[number]
        findings[name] = {
            "n": int(true[:, number].sum()),
            "precision": _share(hit[:, number], stated[:, number]),
            "recall": _share(hit[:, number], true[:, number]),
            "f1": None if interval is None else round(interval.mean, 3),
            "interval": None if interval is None else [round(interval.low, 3), round(interval.high, 3)],
        }
    named = np.array([[name in _named(report.text) for name in FINDINGS] for report in reports], dtype=float)
    plain = 2 * (named * true[:, :-1]).sum() / (named.sum() + true[:, :-1].sum())
    known = [findings[name]["f1"] for name in FINDINGS if findings[name]["f1"] is not None]
    return {
        "reports": len(reports),
        "macro_f1": round(float(np.mean(known)), 3),
        "micro_f1_without_cues": round(float(plain), 3),
        "findings": findings,
    }


@cache
def _named(text: str) -> frozenset[str]:
    """Findings whose names stand in a text, denied or not: what the cues are worth."""
    plain = " ".join(sentences(findings_text(text)))
    return frozenset(name for name, forms in PATTERNS.items() if re.search("|".join(forms), plain))


def _share(part: np.ndarray, whole: np.ndarray) -> float | None:
    return round(float(part.sum() / whole.sum()), 3) if whole.sum() else None


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def results(*, with_openi: bool) -> list[dict[str, Any]]:
    """All measurements."""
    found = []
    for name, read in (("radlabels", radlabels), ("openi", openi))[: 2 if with_openi else 1]:
        reports = list(read())
        for part in ("held-out", "seen"):
            half = [report for report in reports if held_out(report.name) == (part == "held-out")]
            started = time.perf_counter()
            ours = [label(report.text) for report in half]
            speed = round(len(half) / (time.perf_counter() - started))
            for uncertain in (True, False):
                head = {"data": name, "part": part, "possible_counts_as_stated": uncertain}
                found.append({**head, **measure(half, ours, uncertain=uncertain), "reports_per_second": speed})
    return found


def markdown(result: dict[str, Any]) -> str:
    """Table of one measurement."""
    lines = ["| finding | n | precision | recall | F1 | 95 % |", "|---|---|---|---|---|---|"]
    for name, entry in result["findings"].items():
        numbers = [("–" if entry[key] is None else f"{entry[key]:.3f}") for key in ("precision", "recall", "f1")]
        low, high = entry["interval"] or (0, 0)
        lines.append(f"| {name} | {entry['n']} | {' | '.join(numbers)} | {low:.3f}–{high:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--openi", action="store_true", help="also the Indiana University reports (29 MB)")
    parser.add_argument("--markdown", action="store_true", help="tables in place of JSON lines")
    given = parser.parse_args()
    for result in results(with_openi=given.openi):
        if given.markdown:
            counted = (
                "possible counts as stated" if result["possible_counts_as_stated"] else "only what is called present"
            )
            print(f"### {result['data']}, {result['part']}, {counted}: {result['reports']} reports, "
                  f"macro-F1 {result['macro_f1']:.3f}\n\n{markdown(result)}\n")  # fmt: skip
        else:
            print(json.dumps(result))


if __name__ == "__main__":
    main()
