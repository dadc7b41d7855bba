"""Where a text names a class: one rule for evaluation and rewards, with places in the text."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from osler.evaluation.protocols.vqa_text import ARTICLES, CONTRACTIONS, NUMBER_WORDS, PUNCTUATION, normalise
from osler.vqa_words import normal_words
from osler.word_spans import class_names, find_names, mentions

PIECES = ("a", "the", "Viral", "pneumonia", "soft-tissue", "1,000", "1.5", ".", ",", "two", "dont", "Straße", "'cyst'",
          "cyst", "**mass**", "İ", "_", "\n", "none", "x1.", "(cyst),")  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=8).flatmap(
    lambda pieces: st.sampled_from(("", " ")).map(lambda joint: joint.join(pieces))
) | st.text(max_size=20)


def written_out(text):
    """The normalisation as a chain of replacements, without places."""
    folded = text.casefold()
    plain = re.sub(r"(?<=\d),(?=\d)", "", folded)
    for mark in PUNCTUATION:
        plain = plain.replace(mark, " ")
    numbered = [NUMBER_WORDS.get(word, word) for word in re.sub(r"\.(?!\d)", " ", plain).split()]
    words = [CONTRACTIONS.get(word, word) for word in numbered if word not in ARTICLES]
    return " ".join(words or folded.split())


@given(texts)
@example("A.")
@example("1,000,0 or ,5")
def test_normalisation_against_the_chain_of_replacements(text):
    assert normalise(text) == written_out(text)


@given(texts)
@example("İstanbul straße ẞ cyst")
def test_places_hold_the_words(text):
    end = 0
    for word in normal_words(text):
        assert end <= word.start < word.end <= len(text)
        end = word.end
        assert normalise(text[word.start : word.end]) in (word.text, text[word.start : word.end].casefold())


@pytest.mark.parametrize(
    ("text", "names", "found"),
    [
        ("A Cyst, no cystic mass; lung  cyst. CYST", ("cyst",), ["Cyst", "cyst", "CYST"]),
        ("A Cyst, no cystic mass; lung  cyst. CYST", ("cyst", "lung cyst"), ["Cyst", "lung  cyst", "CYST"]),
        ("a soft-tissue mass", ("soft tissue",), ["soft-tissue"]),
        ("it is **cyst**, 'mass'", ("cyst", "mass"), ["cyst", "mass"]),
        ("Große Zyste", ("grosse zyste",), ["Große Zyste"]),
        ("ß cyst", ("cyst",), ["cyst"]),
        ("ring of the lesion", ("ring of lesion",), ["ring of the lesion"]),
        ("cyst", (), []),
        ("cyst", ("mass effect", " ", "!"), []),
    ],
)
def test_mentions(text, names, found):
    assert [text[start:end] for start, end in find_names(text, names)] == found
    assert all(mention.name in names for mention in mentions(text, names))


def test_names_are_looked_for_once():
    assert class_names(["mass", "cyst"], ["lump", "mass", " "]) == ("mass", "cyst", "lump")
