"""Where private values stand in a text: spans, the types they have, and how overlapping ones are settled.

Everything that finds something private (identifiers, cues, lists of names, the database itself) says so with a `Span`
in characters of the text as the user typed it. `resolve` turns what they all say into spans that do not overlap and
leave no found character uncovered. `fold` gives the form of a text that recognisers read: one spelling per digit,
dash, space and letter, without characters that cannot be seen, and the way back to the user's own characters.

It does not know what any type means, or where the spans come from beyond the name of their source.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import regex

ColumnKey = tuple[str, str, str]
"""(schema, table, column), as in the catalogue."""

TYPES = frozenset(
    {
        "AADHAAR",
        "ACCOUNT",
        "ADDRESS",
        "BIRTHDATE",
        "CARD",
        "CRYPTO",
        "EMAIL",
        "GSTIN",
        "IBAN",
        "ID",
        "IFSC",
        "IP",
        "LICENCE",
        "MAC",
        "NPI",
        "PAN",
        "PASSPORT",
        "PERSON",
        "PHONE",
        "SSN",
        "TEXT",
        "UPI",
        "URL",
        "VALUE",
        "VEHICLE",
        "VOTER",
    }
)
"""Every type a placeholder can carry. VALUE: a private value of no known kind; TEXT: the user's own words that look
like a placeholder."""

EXACT = "column"
"""Source: the whole of a value that stands in a private column."""
PART = "column_word"
"""Source: a word of a name that stands in a private column."""
IDENTIFIER = "identifier"
MODEL = "model"
CUE = "cue"
NAMES = "names"
LOOKALIKE = "lookalike"
"""Source: text of the user's that a reader could take for a placeholder."""
REPEAT = "repeat"
"""Source: the same words as another span."""

_PRECEDENCE = (LOOKALIKE, EXACT, IDENTIFIER, PART, MODEL, CUE, NAMES, REPEAT)
_CERTAIN = frozenset({LOOKALIKE, EXACT, IDENTIFIER})


@dataclass(frozen=True, slots=True)
class Span:
    """A private piece of a text: characters `start` to `end`.

    `score` is 0 to 1. `value` is what it stands for where that is not the text itself (a name without its case
    ending). `stored` is the database's spelling of it.
    """

    start: int
    end: int
    type: str
    score: float
    source: str
    column: ColumnKey | None = None
    value: str | None = field(default=None, repr=False)
    stored: str | None = field(default=None, repr=False)

    @property
    def length(self) -> int:
        return self.end - self.start


def resolve(text: str, spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans that do not overlap, in order, and cover every letter and digit that `spans` cover.

    What is certain (a value of the database, an identifier) goes before what is guessed; then the longer, then the
    better source, then the higher score. What a loser covers and no winner does becomes a span of the loser's type.
    """
    placed: list[Span] = []
    for span in sorted(spans, key=_rank):
        free = _uncovered(span, placed)
        if free == [(span.start, span.end)]:
            placed.append(span)
            continue
        for start, end in free:
            trimmed = trim(text, start, end)
            if trimmed is not None:
                rest = replace(span, start=trimmed[0], end=trimmed[1], column=None, value=None, stored=None)
                placed.append(rest)
    return tuple(sorted(placed, key=lambda s: s.start))


def _rank(span: Span) -> tuple[bool, int, int, float, int]:
    return (
        span.source not in _CERTAIN,
        -span.length,
        _PRECEDENCE.index(span.source),
        -span.score,
        span.start,
    )


def _uncovered(span: Span, placed: Sequence[Span]) -> list[tuple[int, int]]:
    free = [(span.start, span.end)]
    for other in placed:
        free = [
            piece
            for start, end in free
            for piece in ((start, min(end, other.start)), (max(start, other.end), end))
            if piece[0] < piece[1]
        ]
    return free


def trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The part of `text[start:end]` from its first to its last letter, mark or digit; None where there is none."""
    positions = [i for i in range(start, end) if unicodedata.category(text[i])[0] in "LMN"]
    if not positions:
        return None
    return positions[0], positions[-1] + 1


@dataclass(frozen=True, slots=True)
class Folded:
    """`text` is what recognisers read; `starts` and `ends` give each of its characters' place in the original."""

    text: str = field(repr=False)
    starts: tuple[int, ...] | None
    ends: tuple[int, ...] | None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where characters `start` to `end` (not empty) of the folded text stand in the original."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


_CLUSTER = regex.compile(r"(?s).\p{M}*")


def fold(text: str) -> Folded:
    """The form that recognisers read: digits and full-width forms as ASCII, one kind of dash, space and apostrophe,
    characters composed (Unicode normalisation form KC), characters that cannot be seen left out."""
    if text.isascii():
        return Folded(text, None, None)
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for match in _CLUSTER.finditer(text):
        plain = _plain(match.group())
        alone = [_plain(character) for character in match.group()]
        whole = "".join(alone) == plain and all(len(character) == 1 for character in alone)
        for offset, character in enumerate(plain):
            out.append(character)
            starts.append(match.start() + offset if whole else match.start())
            ends.append(match.start() + offset + 1 if whole else match.end())
    return Folded("".join(out), tuple(starts), tuple(ends))


def _plain(cluster: str) -> str:
    return "".join(_plain_character(c) for c in unicodedata.normalize("NFKC", cluster))


def _plain_character(character: str) -> str:
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    if category == "Pd" or character == "\u2212":
        return "-"
    if category in {"Zs", "Zl", "Zp"}:
        return " "
    return {"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"'}.get(character, character)
