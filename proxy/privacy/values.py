"""Which words of a question are values of the database's own private columns.

The words are cut into candidates: every run of one to `MAX_ATOMS` pieces, and every quoted string whole. Each column
that the policy calls private is asked, on this machine, which of them it holds, letter case apart. Columns that hold
identifiers are compared without spaces and punctuation too, so "1234 5678 9012" meets "123456789012". Names are also
met by their single words: people ask about "Asha".

A failing look-up fails the question: nothing is passed on that was not looked up. The server finds candidates; what
counts as a match is decided here, on what it gave back. Lower case is the server's own for what it stores: a database
with the C collation leaves "É" as it is, so such words are sent in both forms.

It does not know: values inside json, xml and binary columns, dates, amounts, numbers of fewer than
`MIN_NUMBER_DIGITS` digits in numeric columns, and misspelt values.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import regex

from proxy.policy.private import PrivateColumn
from proxy.privacy.columns import MIN_NUMBER_DIGITS, holds_names, match_queries, type_of
from proxy.privacy.gazetteer import stems
from proxy.privacy.spans import EXACT, PART, Span
from proxy.privacy.words import CALENDAR, is_common, is_stop

Fetch = Callable[..., Awaitable[Sequence[Sequence[object]]]]
"""`await fetch(sql, *args)` gives rows: the service account's, read only."""

MAX_ATOMS = 10
"""Pieces (runs of letters or of digits) in one candidate."""
MIN_LENGTH = 2
MIN_DIGITS = 4

_PUNCTUATION = " \t\n\r\u00a0-\u2010\u2011\u2012\u2013\u2014./\\()+_:;,'\u2019\u2018\"@&#*!?|<>[]{}`"
_DIGITS = "".join(chr(zero + n) for zero in (0x0966, 0x0BE6) for n in range(10))
_ATOM = regex.compile(r"\p{L}[\p{L}\p{M}]*|\p{N}+")
_QUOTED = regex.compile(
    r"'([^'\n]{2,200})'|\"([^\"\n]{2,200})\"|\u201c([^\u201d\n]{2,200})\u201d|\u2018([^\u2019\n]{2,200})\u2019"
)
_ONE_WORD = regex.compile(r"[\p{L}\p{M}\p{Cf}]+(?:['\u2019-][\p{L}\p{M}\p{Cf}]+){0,2}")
_CAMEL = regex.compile(r"(?<=\p{Ll})(?=\p{Lu})")
_INVISIBLE = regex.compile(r"\p{Cf}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Characters `start` to `end` of the question that may be a private value.

    `word`: it is a single word, not in quotes. `base` is the text without a case ending, where one was cut off.
    """

    start: int
    end: int
    word: bool
    base: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Compact forms of a question's pieces, and where each stands. `words` are those that may be a part of a name.

    `typed` are the pieces in lower case with their spaces and punctuation.
    """

    forms: dict[str, tuple[Candidate, ...]]
    words: dict[str, tuple[Candidate, ...]]
    typed: frozenset[str]

    def __repr__(self) -> str:
        return f"<Candidates: {len(self.forms)}>"


def compact(value: str) -> str:
    """Lower case, digits as ASCII, without spaces and punctuation: the form that both sides are compared in."""
    plain = unicodedata.normalize("NFC", _INVISIBLE.sub("", value)).lower()
    return str(plain.translate(_compact_table()))


@lru_cache(maxsize=1)
def _compact_table() -> dict[int, str | None]:
    table: dict[int, str | None] = dict.fromkeys(map(ord, _PUNCTUATION))
    table.update({ord(digit): str(index % 10) for index, digit in enumerate(_DIGITS)})
    return table


def candidates(question: str, schema: frozenset[str] = frozenset()) -> Candidates:
    """Every piece of `question` that is worth a look-up. `schema` are its words, lower case (`words.schema_words`).

    Left out, unless quoted: single words that questions are made of or that name tables and columns, and runs of
    nothing else.
    """
    forms: dict[str, list[Candidate]] = {}
    words: dict[str, list[Candidate]] = {}
    typed: set[str] = set()
    for candidate, quoted in _pieces(question):
        text = question[candidate.start : candidate.end]
        if not quoted and _is_idle(text, schema, starts=_starts_sentence(question, candidate)):
            continue
        value = candidate.base or text
        part = candidate.word and _may_be_part(question, candidate)
        for form in _forms(value):
            forms.setdefault(form, []).append(candidate)
            if part:
                words.setdefault(form, []).append(candidate)
        if len(value) >= MIN_LENGTH:
            typed.update(_spellings(value))
    return Candidates(
        {form: tuple(places) for form, places in forms.items()},
        {form: tuple(places) for form, places in words.items()},
        frozenset(typed),
    )


def _spellings(value: str) -> Iterator[str]:
    """What the server's lower() may make of a stored value that equals `value`."""
    single = " ".join(value.split())
    if _CAMEL.search(single):
        yield _CAMEL.sub(" ", single).lower()
    lower = unicodedata.normalize("NFC", single).lower()
    yield lower
    if not lower.isascii():
        yield unicodedata.normalize("NFD", lower)
        yield "".join(c.lower() if c.isascii() else c for c in single)
        yield " ".join(_INVISIBLE.sub("", lower).split())


def _pieces(question: str) -> Iterator[tuple[Candidate, bool]]:
    for match in _QUOTED.finditer(question):
        start, end = next(span for span in (match.span(g) for g in range(1, 5)) if span[0] >= 0)
        yield Candidate(start, end, word=False), True
    atoms = [match.span() for match in _ATOM.finditer(_visible(question))]
    for first, (start, _) in enumerate(atoms):
        for last in range(first, min(first + MAX_ATOMS, len(atoms))):
            end = atoms[last][1]
            if last > first and _too_far(question[atoms[last - 1][1] : atoms[last][0]]):
                break
            word = not question[start].isdigit() and _is_one_word(question[start:end])
            yield Candidate(start, end, word), False
            for stem in stems(question[atoms[last][0] : end]):
                yield Candidate(start, end, word, base=question[start : atoms[last][0]] + stem), False


def _is_one_word(piece: str) -> bool:
    """A single word, such as "Souza", "D'Souza" or "Jean-Luc"."""
    return _ONE_WORD.fullmatch(piece) is not None


def _visible(question: str) -> str:
    """The question with characters that cannot be seen as marks of the letter before: they do not end a word."""
    return _INVISIBLE.sub("\u0301", question)


def _too_far(gap: str) -> bool:
    return len(gap.strip(" ")) > 3 or len(gap) > 6 or any(c in gap for c in "?!;")  # noqa: PLR2004


def _is_idle(text: str, schema: frozenset[str], *, starts: bool) -> bool:
    """Whether the piece is made of question words, the schema's and short numbers alone.

    A capital inside the question saves a word: "Will".
    """
    atoms = [match.group() for match in _ATOM.finditer(text)]
    if all(atom.isdigit() for atom in atoms):
        return sum(map(len, atoms)) < MIN_DIGITS
    alone = len(atoms) == 1 and not starts
    return all(atom.lower() in schema or (is_stop(atom.lower()) and not (alone and _is_proper(atom))) for atom in atoms)


def _is_proper(word: str) -> bool:
    return word[0].isupper() and word.lower() not in CALENDAR


def _may_be_part(question: str, candidate: Candidate) -> bool:
    """Whether a single word may be taken for a word of a longer name: ordinary words only with a capital inside."""
    word = question[candidate.start : candidate.end]
    lower = word.lower()
    if len(word) <= MIN_LENGTH or lower in CALENDAR:
        return False
    if not is_common(lower):
        return True
    if word.lower() == word.upper():  # a script without capitals: only question words are vetoed
        return not is_stop(lower)
    return word[0].isupper() and not word.isupper() and not _starts_sentence(question, candidate)


def _starts_sentence(question: str, candidate: Candidate) -> bool:
    before = question[: candidate.start].rstrip()
    return not before or before[-1] in ".?!:"


def _forms(text: str) -> Iterator[str]:
    """The compact forms to send: composed and decomposed, with and without lower case beyond ASCII; phone variants."""
    base = compact(text)
    if len(base) < MIN_LENGTH:
        return
    forms = {base}
    if not base.isascii():
        kept = "".join(c.lower() if c.isascii() else c for c in _INVISIBLE.sub("", text))
        forms |= {kept.translate(_compact_table()), unicodedata.normalize("NFD", base)}
    if base.isdigit() and len(base) >= 10:  # noqa: PLR2004
        local = base[-10:]
        forms |= {local, "91" + local, "0" + local, "1" + local}
    yield from forms


async def find_values(
    question: str, schema: frozenset[str], columns: Sequence[PrivateColumn], fetch: Fetch
) -> list[Span]:
    """Spans of the question that are values, or words of names, in `columns`. Whatever `fetch` raises, this raises."""
    found = await asyncio.to_thread(candidates, question, schema)  # a long question takes hundreds of milliseconds
    if not columns or not found.forms:
        return []
    numbers = [form for form in found.forms if form.isdigit() and len(form) >= MIN_NUMBER_DIGITS]
    words = {
        word + sign
        for places in found.words.values()
        for place in places
        for word in _spellings(place.base or question[place.start : place.end])
        for sign in ("", ",", ".")
    }
    longest = 2 * max(map(len, found.typed), default=0) + MAX_ATOMS
    spans: list[Span] = []
    for sql in match_queries(columns):
        rows = await fetch(sql, list(found.typed), list(found.forms), numbers, list(words), longest)
        spans += spans_of(rows, found, columns)
    return spans


def spans_of(rows: Iterable[Sequence[object]], found: Candidates, columns: Sequence[PrivateColumn]) -> Iterator[Span]:
    """The spans that the rows of `match_queries` mean. A row whose value is no candidate is left out.

    So is an ordinary word that a column of names holds, unless it is written like a name: people are called Price.
    """
    words = {place for places in found.words.values() for place in places}
    for index, whole, value in rows:
        column = columns[int(str(index))]
        stored = str(value)
        places = {c for form in _forms(stored) for c in (found.forms if whole else found.words).get(form, ())}
        for place in places:
            if whole and place.word and holds_names(column) and place not in words:
                continue
            yield Span(
                place.start,
                place.end,
                type_of(column) if column.readable else "VALUE",
                1.0 if whole else 0.9,
                EXACT if whole else PART,
                column.key if column.readable else None,
                place.base,
                stored if whole and column.readable else None,
            )


__all__ = ["Candidate", "Candidates", "Fetch", "candidates", "compact", "find_values", "match_queries"]
