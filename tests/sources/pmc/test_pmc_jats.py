"""Articles: identifiers, licences, figures, and who mentions them."""

from __future__ import annotations

import pytest

from osler.errors import RecordError
from osler.sources.pmc.jats import Article, parse_article
from osler.sources.pmc.licences import code_of
from osler.sources.pmc.mentions import mentions_of


def fig(id: str, label: str = "", caption: str = "A caption.", graphic: str = "g", more: str = "") -> str:
    shown = f"<label>{label}</label>" if label else ""
    picture = f'<graphic xlink:href="{graphic}"/>' if graphic else ""
    return f'<fig id="{id}">{shown}<caption><p>{caption}</p></caption>{picture}{more}</fig>'


def article(body: str = "", *, meta: str = "", outside: str = "", attributes: str = "") -> Article:
    return parse_article(
        f'<article xmlns:xlink="x" {attributes}><front><journal-meta><journal-title-group><journal-title>J'
        f"</journal-title></journal-title-group></journal-meta><article-meta>{meta}</article-meta></front>"
        f"<body>{body}</body>{outside}</article>".encode()
    )


def ref(id: str, text: str) -> str:
    return f'<xref ref-type="fig" rid="{id}">{text}</xref>'


def mentions(body: str, around: int = 0) -> dict[str, list[tuple[str, str]]]:
    read = article(body)
    found = mentions_of(read.figures, read.paragraphs, around=around)
    return {id: [(mention.text, "".join(mention.panels)) for mention in items] for id, items in found.items()}


FOUR = "".join(fig(f"F{n}", f"Figure {n}") for n in range(1, 5))


def test_front_matter() -> None:
    read = article(
        meta='<article-id pub-id-type="pmc">123</article-id><article-id pub-id-type="pmid">9</article-id>'
        '<article-id pub-id-type="doi">10.1/x</article-id><title-group><article-title>On <italic>x</italic>'
        '</article-title></title-group><pub-date pub-type="ppub"><year>2021</year></pub-date>'
        '<pub-date pub-type="epub"><day>7</day><month>3</month><year>2020</year></pub-date>'
        '<permissions><license xlink:href="https://creativecommons.org/licenses/by-nc/4.0/"><license-p>Free</license-p>'
        '</license></permissions><abstract><p>One.</p></abstract><abstract abstract-type="teaser"><p>No</p></abstract>'
        "<kwd-group><kwd>CT</kwd></kwd-group>",
        attributes='xml:lang="EN" article-type="case-report"',
    )
    assert (read.pmcid, read.pmid, read.doi, read.title, read.journal) == ("PMC123", "9", "10.1/x", "On x", "J")
    assert (read.published, read.licence, read.language, read.kind) == ("2020-03-07", "CC BY-NC", "en", "case-report")
    assert (read.abstract, read.keywords) == ("One.", ("CT",))
    assert read.licence_text == "https://creativecommons.org/licenses/by-nc/4.0/ Free"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
        ("http://creativecommons.org/licenses/by-nc-nd/3.0/igo/", "CC BY-NC-ND"),
        ("CC BY", "CC BY"),
        ("cc-by-nc-sa 4.0", "CC BY-NC-SA"),
        ("TDM", "TDM"),
        ("under the terms of the Creative Commons Attribution License (CC BY)", "CC BY"),
        ("All rights reserved", ""),
        ("CC BYE", ""),
    ],
)
def test_licence_codes(text: str, code: str) -> None:
    assert code_of(text) == code


def test_figures_in_groups_alternatives_floats_and_paragraphs() -> None:
    read = article(
        f"<sec><p>Text {fig('F1', 'Fig. 1.', 'One', 'a')} more.</p><fig-group><label>Figure 2</label><caption>"
        f"<title>Both</title></caption>{fig('F2a', '', 'left', 'b')}{fig('F2b', 'Figure 2b', 'right', 'c')}</fig-group>"
        '<fig id="F3"><caption><title>T</title><p>x</p></caption><alternatives><graphic xlink:href="d.tif"/>'
        '<graphic xlink:href="d.jpg"/></alternatives><graphic xlink:href="e"/></fig></sec>',
        outside=f"<floats-group>{fig('F4', 'Figure S4')}</floats-group>"
        f"<sub-article><body>{fig('R1', 'Figure 1')}</body></sub-article>",
    )
    assert [(f.id, f.label, f.number, f.caption, f.graphics) for f in read.figures] == [
        ("F1", "Fig. 1.", "1", "One", ("a",)),
        ("F2a", "Figure 2", "2", "Both. left", ("b",)),
        ("F2b", "Figure 2b", "", "Both. right", ("c",)),  # a label of its own
        ("F3", "", "", "T. x", ("d.tif", "e")),
        ("F4", "Figure S4", "", "A caption.", ("g",)),
    ]


@pytest.mark.parametrize(
    ("label", "number"),
    [
        ("Figure 2", "2"), ("FIG. 2.", "2"), ("2", "2"), ("Fig. 2.1", "2.1"), ("Figure 2:", "2"),
        ("Figure S2", ""), ("Scheme 1", ""), ("Figure 1—figure supplement 2", ""), ("Figure", ""),
        ("Supplementary Fig. 1", ""),
    ],
)  # fmt: skip
def test_numbers_of_labels(label: str, number: str) -> None:
    assert article(fig("F1", label)).figures[0].number == number


def test_panels_in_bold_and_lists_in_captions() -> None:
    read = article(
        '<fig id="F1"><caption><p><bold>a</bold> Axial CT. <bold>b, c</bold> MRI.</p></caption></fig><fig id="F2">'
        "<caption><p>Key:<list><list-item><p>1, liver</p></list-item><list-item><p>2, spleen</p></list-item></list>"
        "</p></caption></fig>"
    )
    assert {panel.label: panel.text for panel in read.figures[0].panels} == {"a": "Axial CT", "b": "MRI", "c": "MRI"}
    assert [figure.caption for figure in read.figures] == ["a Axial CT. b, c MRI.", "Key: 1, liver 2, spleen"]


def test_groups_are_mentioned_by_link_by_number_and_by_part() -> None:
    group = (
        f'<fig-group id="G"><label>Figure 2.</label>{fig("A", "(A)")}{fig("B", "B")}</fig-group>'
        f"{fig('F1', 'Figure 1')}{fig('F3', 'Figure 3')}"
    )
    body = f"<p>See {ref('G', 'Fig. 2')}. Then Fig. 2b here. Now Fig. 2 again. {ref('G', 'Here')} too.</p>{group}"
    assert [figure.label for figure in article(body).figures] == ["Figure 2A", "Figure 2B", "Figure 1", "Figure 3"]
    found = {id: [text for text, _ in items] for id, items in mentions(body).items()}
    assert found["A"] == ["See Fig. 2.", "Now Fig. 2 again.", "Here too."]
    assert found["B"] == ["See Fig. 2.", "Then Fig. 2b here.", "Now Fig. 2 again.", "Here too."]
    assert found["F1"] == found["F3"] == []


def test_rights_of_a_figure() -> None:
    own = "<permissions><copyright-statement>© A House</copyright-statement></permissions>"
    free = '<permissions><license xlink:href="https://creativecommons.org/licenses/by/4.0/"/></permissions>'
    read = article(fig("F1", more=own) + fig("F2", more=free) + fig("F3", caption="Reprinted with permission.") + FOUR)
    assert [f.rights for f in read.figures[:4]] == ["© A House", "CC BY", "Reprinted with permission", ""]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html/>", "holds a <html>"),
        (b"<article><body/></article>", "has no <front>"),
        (b"<article>", "no element found"),
    ],
)
def test_what_is_no_article(data: bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        parse_article(data)


def test_linked_and_unlinked_mentions_ranges_and_panels() -> None:
    found = mentions(
        f"<p>It began. See {ref('F1', 'Fig. 1A')}, C. {ref('F2', 'Figs 2')}–{ref('F4', '4')} show more, e.g. air."
        f" Figure 3b is clear. Nothing here.</p>{FOUR}"
    )
    many = ("Figs 2–4 show more, e.g. air.", "")
    assert found == {
        "F1": [("See Fig. 1A, C.", "AC")],
        "F2": [many],
        "F3": [many, ("Figure 3b is clear.", "b")],
        "F4": [many],
    }


def test_links_count_more_than_printed_numbers() -> None:
    assert mentions(f"<p>See {ref('F4', 'Fig. 1')}.</p>{FOUR}")["F4"] == [("See Fig. 1.", "")]
    assert mentions(f"<p>See {ref('F4', 'Fig. 1')}.</p>{FOUR}")["F1"] == []


def test_links_without_the_word_and_ranges_of_links_alone() -> None:
    body = f"<p>Seen ({ref('A', 'left')} to {ref('C', 'right')}).</p>" + fig("A") + fig("B") + fig("C")
    assert {id: len(items) for id, items in mentions(body).items()} == {"A": 1, "B": 1, "C": 1}


def test_a_sentence_counts_once_and_the_whole_figure_wins() -> None:
    found = mentions(f"<p>{ref('F1', 'Fig. 1A')} and again Fig. 1 and {ref('F1', 'Fig. 1')}.</p>{FOUR}")
    assert found["F1"] == [("Fig. 1A and again Fig. 1 and Fig. 1.", "")]


def test_captions_supplements_and_other_articles_are_no_mentions() -> None:
    other = fig("X", "Figure 9", "See Figure 1.")
    found = mentions(f"<p>See Fig. S1 and Supplementary Figure 2.</p>{other}{FOUR}")
    assert not any(found.values())


def test_sentences_around_and_sections() -> None:
    body = f"<sec><title>Results</title><p>One. Two. See Fig. 1. Four. Five.</p></sec>{FOUR}"
    read = article(body)
    for around, before, after in ((0, "", ""), (1, "Two.", "Four."), (5, "One. Two.", "Four. Five.")):
        (mention,) = mentions_of(read.figures, read.paragraphs, around=around)["F1"]
        assert (mention.text, mention.before, mention.after, mention.section) == (
            "See Fig. 1.",
            before,
            after,
            "Results",
        )


def test_mentions_are_bounded() -> None:
    body = "<p>" + "See Figs 1-4. " * 5000 + f"</p><p>{'x' * 50_000} Fig. 2</p>{FOUR}"
    found = mentions(body)
    assert [len(items) for items in found.values()] == [200] * 4
