from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import json
import math
import re
import shutil
import subprocess
import xml.etree.ElementTree
from html.parser import HTMLParser

import pytest
from PIL import Image

from osler.errors import OslerError
from osler.evaluation import Answer
from osler.evaluation.confidence_scores import confidence_scores
from osler.evaluation.markdown import markdown_table
from osler.evaluation.plots import reliability_plot, risk_coverage_plot
from osler.evaluation.predictions import Prediction
from osler.evaluation.report import (
    Example,
    ExampleSection,
    FunnelSection,
    FunnelStep,
    PictureSection,
    ScoresSection,
    TableSection,
    TextSection,
    render_report,
)
from osler.evaluation.report_browser import clean
from osler.evaluation.report_details import confidence_sections, judge_section
from osler.evaluation.run import write_results
from osler.evaluation.whiskers import Whisker, whiskers

from .test_run import Oracle, run

VOID = {"meta", "img", "br", "link", "input", "hr", "line"}


class Checker(HTMLParser):
    """Every tag is closed in order, and nothing is loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.sources = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check(path, *, script=False):
    text = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    assert not checker.open
    assert all(source.startswith("data:") for source in checker.sources)
    assert not re.search(r"https?://", text)
    # at most our own script, which the page's policy names by its hash; nothing else can run
    assert checker.tags.count("script") == script
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    assert "default-src 'none'" in policy
    if script:
        code = re.search(r"<script>(.*?)</script>", text, flags=re.S)[1]
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in policy
    else:
        assert "script-src 'none'" in policy
    assert text.count("Not for clinical use") == 2
    return text, checker


def test_report_of_an_evaluation(record_folder, tmp_path):
    result = run(Oracle(record_folder), record_folder, tmp_path / "out")
    text, checker = check(result.report, script=True)
    for wanted in (
        "yes-no v1", "llava-med-open-recall v1", "real image", "blank image", "another&#39;s image", "majority answer",
        "8 items on 4 images", "Only 4 different images", "percentile bootstrap of whole images", "split test (files)",
        "of 6 training records",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert checker.tags.count("svg") == 6 + 1  # protocols, and one breakdown: by question type
    assert checker.tags.count("article") == 12
    assert text.count("background-image:url(data:") == 4, "a picture stands there once, however many items show it"
    assert "strict-exact-match: 100.0 (100.0–100.0) per cent of 12 items on 4 images" in text
    assert "Better than these controls" in text
    assert "gave no token probabilities" in text


def test_markdown_report(record_folder, tmp_path):
    result = run(Oracle(record_folder, looks=False), record_folder, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "NOT shown to be better than: blank image (50.0)" in text
    assert "| strict-exact-match v1 | 50.0 (0.0–100.0) |" in text
    assert "| real − blank | real − another's | kept with blank |" in text
    assert "percentile bootstrap of whole images" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert not re.search(r"https?://", line)
    assert result.scores["warnings"][0] in text.replace("\\", "")


def test_sections_compose(record_folder, tmp_path):
    before = run(Oracle(record_folder, looks=False), record_folder, tmp_path / "before", controls=("blank",)).scores
    after = run(Oracle(record_folder), record_folder, tmp_path / "after").scores
    Image.new("RGB", (20, 10), "red").save(tmp_path / "loss.png")
    path = render_report(
        tmp_path / "sub" / "demo.html",
        title="A <b>demo</b>",
        subtitle="two models",
        sections=[
            TextSection(title="What this is", text="One.\n\nTwo & three.", warnings=["careful"]),
            FunnelSection(
                title="Data", steps=[FunnelStep(label="found", count=1200), FunnelStep(label="kept", count=300)]
            ),
            PictureSection(title="Training", pictures=[(tmp_path / "loss.png", "loss by step")]),
            TableSection(title="Counts", head=["what", "n"], rows=[["records", 3]]),
            ScoresSection(title="Scores", results=[("untrained", before), ("trained", after)]),
            ExampleSection(
                title="Pictures",
                examples=[
                    Example(
                        image=Image.new("L", (900, 500)), question="<script>?", reference="yes", answers={"a": "no"}
                    ),
                    Example(image=None, question="text only?", reference="yes", answers={}, caption="CC0"),
                ],
            ),
        ],
    )  # fmt: skip
    text, checker = check(path)
    assert "A &lt;b&gt;demo&lt;/b&gt;" in text
    assert "&lt;script&gt;?" in text
    assert "untrained, real image" in text
    assert "trained, majority answer" in text
    assert "1,200" in text
    assert "width: 18.8%" in text
    assert checker.tags.count("img") == 2


def test_pictures_that_cannot_be_embedded(tmp_path):
    for name, reason in (("absent.png", "cannot be put"), ("a.gif", "embeds PNG, JPEG and SVG")):
        section = PictureSection(title="x", pictures=[(tmp_path / name, "")])
        with pytest.raises(OslerError, match=reason):
            render_report(tmp_path / "r.html", title="t", sections=[section])


def test_whiskers_are_well_formed_and_in_place():
    svg = whiskers([Whisker('a "<&>', 0.5, 0.25, 0.75), Whisker("b", 1.0, 1.0, 1.0)], title='t "<&>"')
    root = xml.etree.ElementTree.fromstring(svg)
    ticks = [float(e.get("x1")) for e in root.iter("line") if e.get("class") == "grid"]
    circles = [float(e.get("cx")) for e in root.iter("circle")]
    bars = [(float(e.get("x1")), float(e.get("x2"))) for e in root.iter("line") if e.get("stroke")]
    assert circles == [ticks[2], ticks[4]]
    assert bars == [(ticks[1], ticks[3]), (ticks[4], ticks[4])]


HOSTILE = (
    "</script><script>document.title='taken'</script>",
    '"><img src=x onerror="document.title=\'taken\'">',
    "{{ 7 * 7 }} {% raw %} | pipes | and `ticks` [a](javascript:alert(1))",
    "right-to-left \u202e desrever",
    "x" * 1_000_000,
    "zero \x00 and half \ud800",
    "",
    "I cannot tell",
)


class Hostile:
    name = "<b>model</b>"

    def settings(self):
        return {}

    def fingerprint(self):
        return "0"

    def answer(self, requests):
        return [Answer(text=HOSTILE[i % len(HOSTILE)], tokens=1, finished=True) for i in range(len(requests))]


@pytest.fixture
def hostile(record_folder, tmp_path):
    lines = (record_folder / "test.jsonl").read_text().splitlines()
    record = json.loads(lines[0])
    record["turns"][0]["text"] = "<image>\nIs <script>document.title='taken'</script> there?"
    record["tags"]["organ"] = "</style><script>document.title='taken'</script>"
    (record_folder / "test.jsonl").write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n")
    return evaluate_in_chunks(record_folder, tmp_path / "out")


def evaluate_in_chunks(folder, out):
    from osler.evaluation import evaluate

    return evaluate(Hostile(), "records", data=folder, out=out, batch_size=8, progress=False, controls=("blank",))


def test_hostile_answers_are_shown_and_do_nothing(hostile):
    text, checker = check(hostile.report, script=True)
    assert "&lt;/script&gt;&lt;script&gt;" in text
    assert "{{ 7 * 7 }}" in text
    assert checker.tags.count("article") == 12
    assert len(text) < 200_000, "a megabyte of answer is cut"
    assert "(1,000,000 characters)" in text
    assert not {"\x00", "\u202e"} & set(text)
    for line in (hostile.out / "report.md").read_text().splitlines():
        assert "<script" not in line.replace("\\<", "")


def test_a_browser_runs_the_filter_and_nothing_of_the_answers(hostile, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium to open the page with")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--dump-dom", hostile.report.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    assert "<title>records (test, files)</title>" in done.stdout
    assert "12 of 12 items</output>" in done.stdout
    assert re.search(r'<option value="wrong">wrong \(\d+\)</option>', done.stdout)
    assert re.search(r'<option value="refused">refused \(\d+\)</option>', done.stdout)


def test_text_of_models_is_made_harmless():
    assert clean("a\nb\tc") == "a\nb\tc"
    assert clean("\x1b[31mred\x00") == "\ufffd[31mred\ufffd"
    assert clean("ab\u202ecd") == "abcd"
    assert clean("é" * 20, limit=5) == "ééééé… (20 characters)"
    table = markdown_table(["a"], [["x | y\n<b>*z*"]])
    assert table.splitlines()[2] == "| x \\| y \\<b\\>\\*z\\* |"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sure(Prediction):
    """A prediction of a runner that gives token probabilities."""

    logprob: float | None = None
    options_logprob: tuple[float, ...] | None = None


JUDGED = {
    "judge": {"model": "<j>"},
    "conditions": {
        "real": {
            "mean": 0.5, "low": 0.4, "high": 0.6, "denominator": 12, "failures": 1,
            "reliability": {"position_bias": 0.5, "order_agreement": 0.91, "repeat_agreement": None},
        }
    },
}  # fmt: skip


def test_confidences_of_predictions_reach_scores_and_report(record_folder, tmp_path):
    result = run(Oracle(record_folder), record_folder, tmp_path / "out", controls=("blank",))
    fields = [field.name for field in dataclasses.fields(Prediction) if field.name != "logprob"]
    given = {name: (0.9 if "PRES" in name else 0.6) for name in {p.item for p in result.predictions}}
    sure = [
        Sure(**{name: getattr(p, name) for name in fields}, logprob=math.log(given[p.item]) * (p.tokens or 1))
        for p in result.predictions
    ]
    from osler.evaluation import protocols
    from osler.evaluation.predictions import asked_item
    from osler.evaluation.scores import score_items

    real = [p for p in result.predictions if p.condition == "real"]
    scored = {
        "strict-exact-match": score_items(
            protocols.get("strict-exact-match"), [asked_item(p) for p in real], {p.item: p.answer for p in real}
        )
    }
    found = confidence_scores(scored, sure, seed=0)
    assert (found["items"], found["without"], found["of"], found["reason"]) == (12, 0, ["answer"], None)
    entry = found["protocols"]["strict-exact-match"]
    assert entry["mean_confidence"] == pytest.approx((4 * 0.9 + 8 * 0.6) / 12)
    assert entry["ece"]["mean"] == pytest.approx(1 - entry["mean_confidence"]), "all right: not sure enough"
    scores = {**result.scores, "confidence": found, "judges": {"llm-judge": JUDGED}}
    written = write_results(dataclasses.replace(result, scores=scores, predictions=sure))
    text, checker = check(written.report, script=True)
    assert "confidence 90%" in text
    assert checker.tags.count("polyline") == 2
    assert "how far to trust them" in text
    assert "+0.50" in text
    assert "91 %" in text
    assert "&lt;j&gt;" in text
    assert "Brier" in (written.out / "report.md").read_text()
    assert judge_section(result.scores) == []
    assert confidence_sections({}, None) == []


def test_options_probabilities_give_the_brier_score_of_choices():
    items = [
        Sure(
            item=f"i{n}", condition="real", answer="CT", question="?", reference="CT" if n % 2 else "MRI",
            question_type="m", answer_type=None, images=(f"{n}.png",), options=("CT", "MRI"),
            options_logprob=(math.log(0.8), math.log(0.2)),
        )
        for n in range(12)
    ]  # fmt: skip
    from osler.evaluation import protocols
    from osler.evaluation.predictions import asked_item
    from osler.evaluation.scores import score_items

    name = "candidate-whole-word"
    scored = score_items(protocols.get(name), [asked_item(p) for p in items], {p.item: p.answer for p in items})
    found = confidence_scores({name: scored}, items, seed=0)
    assert found["of"] == ["options"]
    entry = found["protocols"][name]
    assert entry["mean_confidence"] == pytest.approx(0.8)
    assert entry["brier_options"]["mean"] == pytest.approx((2 * 0.2**2 + 2 * 0.8**2) / 2)
    assert confidence_scores({name: scored}, items[:3], seed=0)["reason"].startswith("Only 3 predictions")


def test_plots_are_well_formed_and_in_place():
    bins = [{"confidence": 0.25, "right": 0.5, "n": 4}, {"confidence": 1.0, "right": 1.0, "n": 1}]
    root = xml.etree.ElementTree.fromstring(reliability_plot(bins, title='r "<&>'))
    circles = [(float(e.get("cx")), float(e.get("cy")), float(e.get("r"))) for e in root.iter("circle")]
    ideal = next(e for e in root.iter("line") if e.get("class") == "ideal")
    left, bottom, right, top = (float(ideal.get(key)) for key in ("x1", "y1", "x2", "y2"))
    assert circles[0][:2] == pytest.approx((left + (right - left) / 4, (top + bottom) / 2))
    assert circles[1][:2] == (right, top)
    assert circles[0][2] > circles[1][2]
    curve = xml.etree.ElementTree.fromstring(risk_coverage_plot([[0.5, 0.0], [1.0, 0.3]], without=0.3, title="c"))
    points = next(curve.iter("polyline")).get("points").split()
    assert float(points[0].split(",")[1]) == bottom
    assert float(points[1].split(",")[1]) == float(
        next(e for e in curve.iter("line") if e.get("class") == "ideal").get("y1")
    )
