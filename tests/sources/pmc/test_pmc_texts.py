"""Running text out of mixed elements."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.sources.pmc.article_xml import parse_xml
from osler.sources.pmc.texts import flatten, plain

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)


def test_text_links_and_what_is_left_out() -> None:
    flat = flatten(
        parse_xml(
            b"<p>Seen\n  in <xref ref-type='fig' rid='f1 f2'>Figs <bold>1</bold></xref> and H<sub>2</sub>O."
            b"<sup><xref ref-type='bibr' rid='b'>3</xref></sup> Then<xref ref-type='bibr' rid='b'><sup>4</sup></xref>"
            b" [<xref ref-type='bibr' rid='b'>5</xref>]<fig><caption><p>no</p></caption></fig>"
            b"<inline-formula><alternatives><tex-math>x^2</tex-math></alternatives></inline-formula> end<list>"
            b"<list-item><p>no</p></list-item></list></p>"
        )
    )
    assert flat.text == "Seen in Figs 1 and H2O. Then [5] end"
    assert [(flat.text[link.start : link.end], link.ids) for link in flat.links] == [("Figs 1", ("f1", "f2"))]


@PATIENT
@given(
    st.recursive(
        st.text("ab \n", max_size=4),
        lambda inner: st.lists(inner, max_size=4).map(lambda parts: "<i>" + "".join(parts) + "</i>"),
    )
)
def test_inline_markup_changes_nothing_but_white_space(body: str) -> None:
    element = parse_xml(f"<p>{body}</p>".encode())
    assert plain(element) == " ".join("".join(element.itertext()).split())
