from __future__ import annotations

import re
import xml.etree.ElementTree
from html.parser import HTMLParser

import pytest
from PIL import Image

from osler.errors import OslerError
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
from osler.evaluation.whiskers import Whisker, whiskers

from .test_run import Oracle, run

VOID = {"meta", "img", "br", "link", "input", "hr", "line", "circle"}


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


def check(path):
    text = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    assert not checker.open
    assert all(source.startswith("data:") for source in checker.sources)
    assert not re.search(r"https?://", text)
    assert "script" not in checker.tags
    assert text.count("Not for clinical use") == 2
    return text, checker


def test_report_of_an_evaluation(record_folder, tmp_path):
    result = run(Oracle(record_folder), record_folder, tmp_path / "out")
    text, checker = check(result.report)
    for wanted in (
        "yes-no v1", "llava-med-open-recall v1", "real image", "blank image", "another&#39;s image", "majority answer",
        "8 items on 4 images", "Only 4 different images", "percentile bootstrap of whole images", "split test (files)",
        "of 6 training records",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert checker.tags.count("svg") == 6
    assert checker.tags.count("img") == 6


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
