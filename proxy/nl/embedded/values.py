"""Values that a question names: what to look up, and where it was found.

The look-up itself is the caller's: it runs between two pure stages. A phrase counts as a value only where a column
holds it exactly, or exactly but for case. Private columns are never looked up; their values come as placeholders.
A placeholder that stands for a public value (`Said`) is looked up by that value, and stays in the SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Protocol

from proxy.nl.embedded.tokens import Kind, Token, is_function_word
from proxy.nl.ports import ColumnKey, Said
from proxy.nl.schema import SchemaView

MAX_WORDS = 5
MAX_TOKENS = MAX_WORDS + 3
"""The words with the signs between and behind them: `Dr. A. B. Rao`."""
MAX_CANDIDATES = 250
MARKS = frozenset({"+", "-"})
SIGNS = MARKS | {".", "&", "/", "#", "'s"}
"""What may stand inside a value without quotes, or right behind it: `A+`, `Dr. Rao`, `AT&T`."""


@dataclass(frozen=True, slots=True)
class ValueHit:
    """`value`, spelled as the database spells it, stands in this column.

    `own`: a private column, searched for placeholders only.
    """

    schema: str
    table: str
    column: str
    value: str = field(repr=False)
    own: bool = False


class ValueLookup(Protocol):
    """Finds values without regard to case in the text columns that are private for nobody."""

    async def find(self, values: list[str]) -> list[ValueHit]: ...


@dataclass(frozen=True, slots=True)
class Local:
    """What a translator on this machine may know of the question's placeholders: what they stand for, and a look-up in
    the private columns that the asking role sees as they are."""

    said: Mapping[str, Said] = field(default_factory=dict, repr=False)
    own: ValueLookup | None = field(default=None, repr=False)

    async def find(self, question: str, tokens: tuple[Token, ...]) -> list[ValueHit]:
        """Where the role's private columns hold a placeholder's value, or one with words around it."""
        spans = [t for t in tokens if t.kind is Kind.PLACEHOLDER or any(p in t.text for p in self.said)]
        if self.own is None or not spans:
            return []
        plain = set(candidates(question, tokens))
        wanted = [v for v in candidates(question, tokens, self.said) if v not in plain]
        return [replace(hit, own=True) for hit in await self.own.find(wanted)]


def candidates(question: str, tokens: tuple[Token, ...], said: Mapping[str, Said] | None = None) -> list[str]:
    """Phrases of the question that could be values, longest first, each once, at most MAX_CANDIDATES.

    A placeholder is looked for by its value where `said` has it, and not at all otherwise.
    """
    known = said or {}
    found = {restored(t.text, known): None for t in tokens if t.kind is Kind.STRING}
    for length in range(MAX_TOKENS, 0, -1):
        for start in range(len(tokens) - length + 1):
            span = tokens[start : start + length]
            if may_be_value(span) and all(t.kind is not Kind.PLACEHOLDER or t.text in known for t in span):
                text = restored(question[span[0].start : span[-1].end], known)
                if len(text) > 1:
                    found[text] = None
    return list(found)[:MAX_CANDIDATES]


def may_be_value(span: Sequence[Token]) -> bool:
    """Whether the tokens can be a value together: words, numbers, placeholders, and signs written right behind them."""
    if any(t.kind not in {Kind.WORD, Kind.NUMBER, Kind.PLACEHOLDER} for t in span if not _is_inner(t)):
        return False
    if sum(not _is_inner(t) for t in span) > MAX_WORDS or all(t.kind is Kind.NUMBER for t in span):
        return False
    if _is_inner(span[0]) or any(_is_inner(t) and t.start != before.end for before, t in pairwise(span)):
        return False
    marked = len(span) > 1 and span[1].text in MARKS
    return (marked or not is_function_word(span[0])) and (_is_inner(span[-1]) or not is_function_word(span[-1]))


def _is_inner(token: Token) -> bool:
    return token.kind is Kind.SIGN and token.text in SIGNS


def restored(text: str, said: Mapping[str, Said]) -> str:
    """The text with the values of its placeholders."""
    for token, known in said.items():
        text = text.replace(token, known.value)
    return text


class Values:
    """The look-up's hits and the schema's enum labels, by their text without case."""

    def __init__(self, schema: SchemaView, hits: Iterable[ValueHit], said: Mapping[str, Said] | None = None) -> None:
        self.said = said or {}
        found: dict[str, dict[ColumnKey, set[str]]] = {}
        own: dict[str, dict[ColumnKey, set[str]]] = {}
        for table in schema.tables:
            for column in table.columns:
                for label in column.labels:
                    _add(found, (*table.key, column.name), label)
        for hit in hits:
            table_view = schema.table((hit.schema, hit.table))
            if table_view is not None and table_view.column(hit.column) is not None:
                _add(own if hit.own else found, (hit.schema, hit.table, hit.column), hit.value)
        self._found = {False: found, True: own}

    def of(self, text: str, *, own: bool = False) -> Mapping[ColumnKey, tuple[str, ...]]:
        """Each column that holds the text, with every spelling that it has there."""
        return {key: tuple(sorted(v)) for key, v in self._found[own].get(text.casefold(), {}).items()}

    def of_masked(self, text: str) -> tuple[Mapping[ColumnKey, tuple[str, ...]], frozenset[ColumnKey]]:
        """As `of`, for a text with placeholders in it, in private columns too: the spelling is the text itself.

        And the columns that spell it in another case than it will have once it is restored.
        """
        value = restored(text, self.said)
        found = {**self.of(value), **self.of(value, own=True)}
        return dict.fromkeys(found, (text,)), frozenset(k for k, spelled in found.items() if spelled != (value,))


def _add(found: dict[str, dict[ColumnKey, set[str]]], key: ColumnKey, value: str) -> None:
    found.setdefault(value.casefold(), {}).setdefault(key, set()).add(value)
