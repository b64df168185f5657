"""Overlapping spans are settled and nothing found is left uncovered; folding finds its way back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.privacy.spans import CUE, EXACT, IDENTIFIER, NAMES, PART, TYPES, Span, fold, resolve


def span(text: str, part: str, kind: str = "PERSON", source: str = CUE) -> Span:
    start = text.index(part)
    return Span(start, start + len(part), kind, 0.8, source)


def test_a_value_of_the_database_wins_over_a_longer_guess_which_stays_covered() -> None:
    text = "orders of Asha Rao Mumbai"
    settled = resolve(text, [span(text, "Asha Rao Mumbai"), span(text, "Asha Rao", source=EXACT)])
    assert [(text[s.start : s.end], s.source) for s in settled] == [("Asha Rao", EXACT), ("Mumbai", CUE)]


def test_an_identifier_keeps_what_is_inside_it() -> None:
    text = "mail asha@x.in"
    settled = resolve(text, [span(text, "asha", source=EXACT), span(text, "asha@x.in", "EMAIL", IDENTIFIER)])
    assert [(text[s.start : s.end], s.type) for s in settled] == [("asha@x.in", "EMAIL")]


def test_of_two_guesses_the_longer_wins() -> None:
    text = "of Asha Rao"
    settled = resolve(text, [span(text, "Rao", source=NAMES), span(text, "Asha Rao", source=PART)])
    assert [text[s.start : s.end] for s in settled] == ["Asha Rao"]


TEXT = "abc def, ghi. jkl mno"
SPANS = st.builds(
    lambda start, length, kind, source: Span(start, min(start + length, len(TEXT)), kind, 0.5, source),
    st.integers(0, len(TEXT) - 1),
    st.integers(1, 12),
    st.sampled_from(sorted(TYPES)),
    st.sampled_from([EXACT, IDENTIFIER, PART, CUE, NAMES]),
)


@given(st.lists(SPANS, max_size=8))
def test_settled_spans_are_apart_and_cover_every_letter_that_was_found(spans: list[Span]) -> None:
    settled = resolve(TEXT, spans)
    found = {i for s in spans for i in range(s.start, s.end) if TEXT[i].isalnum()}
    covered = {i for s in settled for i in range(s.start, s.end)}
    assert found <= covered
    assert all(a.end <= b.start for a, b in pairwise(settled))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("२३४१ ௨௩௪", "2341 234"),
        ("１２３４", "1234"),
        ("12\u200b34\u00ad56", "123456"),
        ("1234\u20135678\u00a09012", "1234-5678 9012"),
        ("Rene\u0301 O\u2019Brien", "Ren\u00e9 O'Brien"),
        ("plain", "plain"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text).text == folded


@given(st.text(alphabet="aB1 ३௪é\u0301\u200bक\u093cﬁ", max_size=12))
def test_every_folded_character_leads_back_into_the_text(text: str) -> None:
    folded = fold(text)
    for index in range(len(folded.text)):
        start, end = folded.origin(index, index + 1)
        assert 0 <= start < end <= len(text)
        assert folded.text[index] in fold(text[start:end]).text
