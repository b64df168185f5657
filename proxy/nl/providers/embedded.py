"""The provider that needs no model and no network: `proxy.nl.embedded`, with its look-up of values in the database.

Words of the question that could be values are looked for in the open columns of the request: text columns that this
role sees unmasked and that are private for nobody. The look-up runs on this machine under the service account, with
the words as parameters.

It does not know private values: those come as placeholders, with their column where the role may know it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.errors import AskError, PgveilError
from proxy.nl.embedded import Local, ValueHit, translate
from proxy.nl.ports import ColumnKey, Fetch, GenerateRequest

MAX_COLUMNS = 40
"""Columns in one statement."""

MAX_SPELLINGS = 200
"""Rows of one column: a few words can have only so many spellings."""

LOOKUP_SECONDS = 15.0


@dataclass(frozen=True)
class EmbeddedProvider:
    """The deterministic translator. Asking it again would give the same SQL again."""

    fetch: Fetch = field(repr=False)
    name: str = "embedded"
    repairs: bool = False
    local: bool = True

    async def close(self) -> None:
        """Nothing is held open: the look-up's connections are the feed's."""

    async def generate(self, request: GenerateRequest) -> str:
        """The SQL for the request's question.

        Raises:
            NotUnderstoodError: the question is outside the translator's grammar.
            UnanswerableError: masks stand in the way.
            AskError: the values could not be looked up.
        """
        local = Local(request.said, DatabaseLookup(self.fetch, tuple(sorted(request.own_columns))))
        lookup = DatabaseLookup(self.fetch, tuple(sorted(request.open_columns)))
        # A column that holds a longer value than the question's would never equal it.
        placeholders = {hint.token: hint.column if hint.whole else None for hint in request.hints}
        return await translate(request.question, request.schema, request.today, lookup, placeholders, local)


@dataclass(frozen=True)
class DatabaseLookup:
    """Finds which of some words the open columns hold, whatever their case."""

    fetch: Fetch = field(repr=False)
    columns: tuple[ColumnKey, ...]

    async def find(self, values: list[str]) -> list[ValueHit]:
        """Every column that holds one of the values, with the database's spelling.

        Raises:
            AskError: the database could not be searched, or not in time.
        """
        found: list[ValueHit] = []
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                for start in range(0, len(self.columns), MAX_COLUMNS):
                    columns = self.columns[start : start + MAX_COLUMNS]
                    rows = await self.fetch(lookup_sql(columns), values, [v.lower() for v in values])
                    found += [_hit(columns, row) for row in rows]
        except PgveilError:
            raise
        except Exception:
            # A question is not answered as if its words were no values; the driver's error may quote them.
            raise AskError(
                "the words of the question could not be looked up in the database",
                hint="Try again, or write the SQL yourself.",
            ) from None
        return found


def lookup_sql(columns: Sequence[ColumnKey]) -> str:
    """SELECT of (number of the column, value) for the texts in $1, and in $2 in lower case."""
    arms = []
    for number, (schema, table, column) in enumerate(columns):
        value = f"{_quoted(column)}::text"
        arms.append(
            f"(SELECT DISTINCT {number}, {value} FROM {_quoted(schema)}.{_quoted(table)} "
            f"WHERE {value} = ANY ($1::text[]) OR pg_catalog.lower({value}) = ANY ($2::text[]) LIMIT {MAX_SPELLINGS})"
        )
    return " UNION ALL ".join(arms)


def _hit(columns: Sequence[ColumnKey], row: Sequence[object]) -> ValueHit:
    number, value = row
    return ValueHit(*columns[int(str(number))], str(value))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
