"""What a statement may name at a place: the items of FROM with their columns, groups, and the queries around.

It does not know the grammar of expressions; `expressions` writes them from what is visible.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from proxy.policy.catalog import Relation
from proxy.policy.decide import Veil
from proxy.policy.rules import Identity

COLUMN_TYPES: Final[dict[str, str]] = {
    "integer": "int", "smallint": "int", "bigint": "int", "numeric": "num", "text": "text", "boolean": "bool",
    "character varying": "text", "date": "date", "timestamp without time zone": "ts",
    "timestamp with time zone": "tstz", "jsonb": "jsonb", "json": "json", "text[]": "text[]",
    "double precision": "float", "uuid": "uuid", "bytea": "bytea", "int4range": "range", "lab.address": "lab.address",
}  # fmt: skip
"""format_type's names, without their modifiers, to this grammar's; enums are themselves."""

UNSORTABLE: Final = frozenset({"json"})
"""Types without an order: not for ORDER BY, DISTINCT, GROUP BY and set operations."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_RESERVED = frozenset({"from", "select", "order", "user", "table", "all"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a relation or query: its name as the catalogue has it, and its type in the grammar's words."""

    name: str
    kind: str
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A relation that FROM may name. `key`: the names of its primary key."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    inherits: bool = False
    """ONLY means something for it."""

    @property
    def protected(self) -> bool:
        return any(column.masked for column in self.columns)


@dataclass(frozen=True, slots=True)
class Source:
    """An item of FROM under its name there, as SQL."""

    alias: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    row: bool = True
    """Its whole row has one form: below a list of other names a table's keeps its own, a masked view's does not."""
    schema: str | None = None
    """Its columns may be named with this before it."""


@dataclass(frozen=True, slots=True)
class Value:
    """A piece of SQL that may stand for a value at a place."""

    sql: str
    kind: str
    masked: bool = False
    also: tuple[str, ...] = ()
    """Other ways to write it."""


@dataclass(slots=True)
class Scope:
    """One SELECT's names. `groups`: what it is grouped by, once it is: then columns stand in aggregates only."""

    sources: list[Source] = field(default_factory=list)
    outer: Scope | None = None
    groups: list[Value] | None = None
    windows: bool = False
    merged: bool = False
    """A join has made one column of two: a star's columns are not known."""

    def values(self) -> Iterator[Value]:
        """What may be named here, of this SELECT alone."""
        if self.groups is not None:
            yield from self.groups
            return
        yield from self.columns()

    def columns(self) -> Iterator[Value]:
        """The columns of its FROM."""
        names = Counter(column.name for source in self.sources for column in source.columns)
        for source in self.sources:
            for column in source.columns:
                name = quoted(column.name)
                also = [name] if names[column.name] == 1 else []
                also += [f"({source.alias}).{name}"] if source.row else []
                also += [f"{source.schema}.{source.alias}.{name}"] if source.schema else []
                yield Value(f"{source.alias}.{name}", column.kind, column.masked, tuple(also))


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT's text with its columns. `whole`: the columns are known, and there are no others; `ordered`: its rows
    come in one order only."""

    sql: str
    columns: tuple[Column, ...]
    whole: bool = True
    ordered: bool = False

    @property
    def sorts(self) -> bool:
        """Whether it can be sorted by every one of its columns."""
        return self.whole and bool(self.columns) and not any(c.kind in UNSORTABLE for c in self.columns)


def quoted(name: str) -> str:
    """The name as SQL, in quotes where it needs them."""
    return name if _PLAIN.fullmatch(name) and name not in _RESERVED else '"' + name.replace('"', '""') + '"'


def kind_of(type_name: str) -> str | None:
    """The grammar's word for format_type's; None for a type that it does not have. Enums are `enum`."""
    base = type_name.partition("(")[0]
    return COLUMN_TYPES.get(base) or ("enum" if base.startswith(("shop.", "clinic.", "lab.")) else None)


def tables_for(veil: Veil, identity: Identity) -> list[Table]:
    """The relations of users' that the identity may read."""
    return [
        table_of(
            relation, frozenset(veil.masked_columns(identity, relation)), inherits=relation.key in veil.catalog.children
        )
        for relation in sorted(veil.visible(identity), key=lambda relation: relation.key)
        if not relation.is_system
    ]


def table_of(relation: Relation, masked: frozenset[str], *, inherits: bool) -> Table:
    columns = tuple(
        Column(column.name, kind_of(column.type_name) or "other", column.name in masked) for column in relation.columns
    )
    return Table(relation.schema, relation.name, columns, relation.primary_key, inherits)


def chance(rng: Random, percent: float) -> bool:
    return rng.random() * 100 < percent
