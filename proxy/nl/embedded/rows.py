"""A table's rows: the column that names each, the date that each is of, and what an adjective ranks them by.

What a question leaves unsaid (`customer 'X'`, `orders in 2024`, `the newest`) is decided here by fixed rules over the
table's own columns; where a rule leaves two columns, the error names them. It does not know other tables' names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from proxy.errors import UnanswerableError
from proxy.nl.embedded.joins import Graph, Path, is_forward, spell
from proxy.nl.embedded.logical import Col
from proxy.nl.embedded.names import Lexicon
from proxy.nl.embedded.phrases import AGE_ORDER, DATE_ORDER
from proxy.nl.embedded.problems import NOT_UNDERSTOOD, NoFitError, ambiguous
from proxy.nl.embedded.words import singulars, stem
from proxy.nl.schema import ColumnView, Family, SchemaView, TableView
from proxy.policy.catalog import Name

T = TypeVar("T")

_WHEN = re.compile(
    r"(?:when|(?:date|day|time) (?:when|on which)) (?:the |a |an |this )?(?P<subject>\w+(?: \w+)??)"
    r" (?:(?:was|were|is|has been|had been) )?(?P<verb>\w+?)(?: (?:up|in|off|out))?\.?",
    re.IGNORECASE,
)
DATES = frozenset({Family.DATE, Family.TIMESTAMP})
_PERSONAL = frozenset({("surname",), ("firstname",), ("lastname",)}) | {
    (part, "name") for part in ("first", "last", "middle", "given", "family", "nick")
}
_NEVER_OF_ROWS = frozenset({"birth", "birthday", "birthdate", "born", "dob", "death", "died", "due", "deadline"}) | {
    "expiry", "expires", "expire", "expiration",
}  # fmt: skip
_MAINTENANCE = frozenset({"updated", "modified", "deleted", "changed", "synced", "archived"})
_DATE_WORDS = frozenset({"date", "time", "at", "on", "ts", "dt", "timestamp", "datetime", "day", "of"})


@dataclass(frozen=True)
class Scope:
    """The noun that something is said of: its table, and the way to it from the query's root."""

    root: Name
    table: Name
    base: Path = ()

    def at(self, path: Path) -> Scope:
        return Scope(self.root, path[-1].target if path else self.table, (*self.base, *path))


def root_scope(table: Name) -> Scope:
    """The scope of a query's root itself."""
    return Scope(table, table)


@dataclass(frozen=True)
class Reached:
    """A table decided, and the way to it from the scope's noun."""

    table: Name
    path: Path


class Rows:
    """What is decided within one table."""

    def __init__(self, schema: SchemaView, lexicon: Lexicon, graph: Graph) -> None:
        self.schema = schema
        self.lexicon = lexicon
        self.graph = graph

    def view(self, table: Name) -> TableView:
        found = self.schema.table(table)
        if found is None:
            raise NoFitError("a table is not in the schema")
        return found

    def column_view(self, col: Col) -> ColumnView:
        found = self.view(col.table).column(col.column)
        if found is None:
            raise NoFitError("a column is not in the schema")
        return found

    def col(self, scope: Scope, path: Path, table: Name, column: str) -> Col:
        view = self.view(table).column(column)
        return Col((*scope.base, *path), table, column, view.family if view else Family.OTHER)

    def usable(self, col: Col) -> Col:
        """The column, refused where the role sees only its mask: a filter or total on masks would mislead."""
        if self.column_view(col).masked:
            raise UnanswerableError(
                "the question cannot be answered for this role",
                detail=f"{col.table[1]}.{col.column} is masked for this role, so it can be shown, but not be filtered,"
                " grouped, sorted or totalled by.",
                hint="Ask by another column, or ask as a role that may see the values.",
            )
        return col

    def measured_column(self, scope: Scope, text: str, words: tuple[str, ...]) -> Col:
        """The one number column of the noun's table that has one of the words in its name."""
        names = self.lexicon.names[scope.table]
        found = [
            c.name
            for c in names.table.columns
            if c.family is Family.NUMBER
            and set(words) & set(names.columns[c.name])
            and c.name not in names.table.primary_key
        ]
        if len(found) == 1:
            return self.col(scope, (), scope.table, found[0])
        if found:
            raise ambiguous(text, [f"{scope.table[1]}.{c}" for c in found])
        raise NoFitError(
            NOT_UNDERSTOOD,
            detail=f'"{text}" fits no column of {scope.table[1]}.',
            hint=self.columns_hint(scope.table),
        )

    # Names of rows

    def display(self, table: Name) -> tuple[str, ...]:
        """The columns that name a row to people, or its primary key: name, first and last name, title, label."""
        names = self.lexicon.names[table]
        by_words = {self._bare(table, c.name): c.name for c in reversed(names.table.columns)}
        for words in (("name",), ("full", "name")):
            if words in by_words:
                return (by_words[words],)
        if ("first", "name") in by_words and ("last", "name") in by_words:
            return by_words["first", "name"], by_words["last", "name"]
        # A person's title is not a name: where a part of a name stands beside it, it does not count.
        named = any(words in _PERSONAL for words in by_words)
        for words in () if named else (("title",), ("label",), ("caption",), ("heading",), ("symbol",)):
            if words in by_words:
                return (by_words[words],)
        return names.table.primary_key or tuple(c.name for c in names.table.columns)

    def naming_column(self, scope: Scope, reached: Reached, text: str) -> Col:
        """The one text column that names a row: for `customer 'X'`."""
        shown = [c for c in self.display(reached.table) if self.view(reached.table).column(c) is not None]
        texts = [c for c in shown if self._family(reached.table, c) is Family.TEXT]
        if len(texts) == 1 and len(shown) == 1:
            return self.col(scope, reached.path, reached.table, texts[0])
        if len(texts) > 1:
            raise ambiguous(text, [f"{reached.table[1]}.{c}" for c in texts])
        raise NoFitError(
            NOT_UNDERSTOOD,
            detail=f"No column of {reached.table[1]} is called a name.",
            hint=self.columns_hint(reached.table),
        )

    def _bare(self, table: Name, column: str) -> tuple[str, ...]:
        names = self.lexicon.names[table]
        words = names.columns[column]
        while len(words) > 1 and words[0] in names.words:
            words = words[1:]
        return words

    def _family(self, table: Name, column: str) -> Family:
        view = self.view(table).column(column)
        return view.family if view else Family.OTHER

    # Dates

    def own_date(self, scope: Scope) -> Col:
        """The date that a row is of. The only date column; else the one named after the table, or just `date`;
        else the only one that is not about maintenance. A table without dates takes its nearest parent's."""
        columns = self._row_dates(scope.table)
        if not columns:
            return self._parents_date(scope)
        chosen = columns
        if len(chosen) > 1:
            chosen = [c for c in columns if not self._date_subject(scope.table, c)] or [
                c for c in columns if not _MAINTENANCE & set(self.lexicon.names[scope.table].columns[c])
            ]
        if len(chosen) != 1:
            choices = [f"{scope.table[1]}.{c}" for c in chosen or columns]
            raise ambiguous("the date", choices, f"Name the date, as in: with {columns[0]} in 2024.")
        return self.col(scope, (), scope.table, chosen[0])

    def own_year(self, scope: Scope) -> Col | None:
        """The number column called year of a table without dates."""
        names = self.lexicon.names[scope.table]
        found = [
            c.name for c in names.table.columns if c.family is Family.NUMBER and names.columns[c.name] == ("year",)
        ]
        if self._row_dates(scope.table) or len(found) != 1:
            return None
        return self.col(scope, (), scope.table, found[0])

    def dates_of_verb(self, scope: Scope, verb: str) -> Col | None:
        """`hired` is hire_date: the date column that shares the verb's stem."""
        names = self.lexicon.names[scope.table]
        wanted = stem(verb)
        found = [
            c for c in self._date_columns(scope.table) if wanted in {stem(w) for w in self._expanded(names.columns[c])}
        ]
        found = found or self._dates_of_comment(scope.table, verb)
        if len(found) > 1:
            raise ambiguous(verb, [f"{scope.table[1]}.{c}" for c in found])
        return self.col(scope, (), scope.table, found[0]) if found else None

    def _dates_of_comment(self, table: Name, verb: str) -> list[str]:
        """Date columns whose comment says that it is when the row did just that: `When the customer signed up`."""
        names = self.lexicon.names[table]
        found = []
        for column in names.table.columns:
            said = _WHEN.fullmatch(column.comment or "") if column.family in DATES else None
            subject = {s for w in said["subject"].lower().split() for s in singulars(w)} if said else set()
            if said and said["verb"].lower() == verb and subject <= {*names.words, "it", "they"}:
                found.append(column.name)
        return found

    def rank_column(self, scope: Scope, words: tuple[str, ...], *, descending: bool) -> tuple[Col, bool]:
        """The column that an adjective ranks by, and whether from the highest."""
        if words == DATE_ORDER:
            return self.own_date(scope), descending
        if words == AGE_ORDER:
            names = self.lexicon.names[scope.table]
            born = [c for c in self._date_columns(scope.table) if {"birth", "dob"} & set(names.columns[c])]
            if len(born) == 1:
                return self.col(scope, (), scope.table, born[0]), not descending
            own = [c for c in self._date_columns(scope.table) if not self._date_subject(scope.table, c)]
            if descending and len(own) == 1 and not any("age" in w for w in names.columns.values()):
                return self.col(scope, (), scope.table, own[0]), False
            return self.measured_column(scope, "oldest or youngest", ("age",)), descending
        return self.measured_column(scope, " or ".join(words), words), descending

    def _expanded(self, words: tuple[str, ...]) -> set[str]:
        return {w for word in words for option in (word, *self.lexicon.expand(word)) for w in option.split()}

    def _date_columns(self, table: Name) -> list[str]:
        return [c.name for c in self.view(table).columns if c.family in DATES]

    def _row_dates(self, table: Name) -> list[str]:
        """The date columns that a row can be of. Nobody was a customer on the day of their birth, and nothing was
        sold on the day on which its licence ends."""
        names = self.lexicon.names[table]
        return [c for c in self._date_columns(table) if not _NEVER_OF_ROWS & self._expanded(names.columns[c])]

    def _date_subject(self, table: Name, column: str) -> bool:
        """Whether a date column's name says more than `date` and the table's own name."""
        names = self.lexicon.names[table]
        words = self._expanded(names.columns[column])
        abbreviated = {w for w in names.columns[column] if self.lexicon.expand(w) != (w,)}
        own = {stem(w) for w in names.words}
        return any(stem(w) not in own for w in words - _DATE_WORDS - abbreviated)

    def _parents_date(self, scope: Scope) -> Col:
        found = [
            (path, table.key)
            for table in self.schema.tables
            if self._row_dates(table.key)
            for path in self.graph.paths(scope.table, table.key)
            if path and is_forward(path)
        ]
        nearest = [(p, t) for p, t in found if len(p) == min(len(q) for q, _ in found)]
        if len(nearest) == 1:
            return self.own_date(scope.at(nearest[0][0]))
        if nearest:
            raise ambiguous("the date", [f"the date of {t[1]} through {spell(p)}" for p, t in nearest])
        raise NoFitError(
            NOT_UNDERSTOOD,
            detail=f"{scope.table[1]} has no date column that its rows are of.",
            hint=self.columns_hint(scope.table),
        )

    def tables_first(self, found: list[T], table_of: Callable[[T], Name], scope: Scope) -> list[T]:
        """Without what only repeats a table's rows: views, where a table or the scope's own rows will do."""
        kept = [f for f in found if table_of(f) == scope.table or not self.view(table_of(f)).is_view]
        return kept or found

    def columns_hint(self, table: Name) -> str:
        names = [c.name for c in self.view(table).columns]
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004
        return f"Columns of {table[1]}: {shown}."
