"""Values that a question names: what to look up, and where it was found.

The look-up itself is the caller's: it runs between two pure stages. A phrase counts as a value only where a column
holds it exactly, or exactly but for case. Private columns are never looked up; their values come as placeholders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from proxy.nl.embedded.tokens import Kind, Token, is_function_word
from proxy.nl.schema import SchemaView

MAX_WORDS = 5
MAX_CANDIDATES = 250

ColumnKey = tuple[str, str, str]
"""(schema, table, column)."""


@dataclass(frozen=True, slots=True)
class ValueHit:
    """`value`, spelled as the database spells it, stands in this column."""

    schema: str
    table: str
    column: str
    value: str = field(repr=False)


class ValueLookup(Protocol):
    """Finds values without regard to case in the text columns that are private for nobody."""

    async def find(self, values: list[str]) -> list[ValueHit]: ...


def candidates(question: str, tokens: tuple[Token, ...]) -> list[str]:
    """Phrases of the question that could be values, longest first, each once, at most MAX_CANDIDATES."""
    found = {t.text: None for t in tokens if t.kind is Kind.STRING}
    for length in range(MAX_WORDS, 0, -1):
        for start in range(len(tokens) - length + 1):
            span = tokens[start : start + length]
            if _may_be_value(question, span):
                found[question[span[0].start : span[-1].end]] = None
    return list(found)[:MAX_CANDIDATES]


def _may_be_value(question: str, span: tuple[Token, ...]) -> bool:
    if any(t.kind not in {Kind.WORD, Kind.NUMBER} for t in span) or all(t.kind is Kind.NUMBER for t in span):
        return False
    if is_function_word(span[0]) or is_function_word(span[-1]):
        return False
    return len(question[span[0].start : span[-1].end]) > 1


class Values:
    """The look-up's hits and the schema's enum labels, by their text without case."""

    def __init__(self, schema: SchemaView, hits: Iterable[ValueHit]) -> None:
        found: dict[str, dict[ColumnKey, set[str]]] = {}
        for table in schema.tables:
            for column in table.columns:
                for label in column.labels:
                    _add(found, (*table.key, column.name), label)
        for hit in hits:
            table_view = schema.table((hit.schema, hit.table))
            if table_view is not None and table_view.column(hit.column) is not None:
                _add(found, (hit.schema, hit.table, hit.column), hit.value)
        self._found = found

    def of(self, text: str) -> Mapping[ColumnKey, tuple[str, ...]]:
        """Each column that holds the text, with every spelling that it has there."""
        return {key: tuple(sorted(v)) for key, v in self._found.get(text.casefold(), {}).items()}


def _add(found: dict[str, dict[ColumnKey, set[str]]], key: ColumnKey, value: str) -> None:
    found.setdefault(value.casefold(), {}).setdefault(key, set()).add(value)
