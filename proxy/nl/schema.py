"""What a question may be answered from: the tables that an identity may read, as the providers see them.

Made from the veil and the catalogue, so that a model or the embedded translator never learns a name that the identity
could not read anyway. It holds names, types, comments and enum labels; it never holds a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from proxy.policy.catalog import Catalog, ForeignKey, Name, Relation
from proxy.policy.rules import Identity

READABLE_KINDS = frozenset("rpvmf")
"""pg_class.relkind of what a SELECT may name: table, partitioned table, view, materialised view, foreign table."""

VIEW_KINDS = frozenset("vm")


class Family(StrEnum):
    """What can be done with a column's values."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    TIMESTAMP = "timestamp"
    BOOLEAN = "boolean"
    OTHER = "other"


_FAMILIES: Mapping[str, Family] = {
    **dict.fromkeys(("text", "character varying", "varchar", "character", "bpchar", "name"), Family.TEXT),
    **dict.fromkeys(("citext", "public.citext"), Family.TEXT),
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "real", "double precision"), Family.NUMBER),
    "money": Family.OTHER,
    "date": Family.DATE,
    "timestamp without time zone": Family.TIMESTAMP,
    "timestamp with time zone": Family.TIMESTAMP,
    "boolean": Family.BOOLEAN,
}

_MODIFIER = re.compile(r"\([^)]*\)")


@dataclass(frozen=True, slots=True)
class ColumnView:
    """One column. `masked`: this identity sees its mask, not its values. `labels`: of its enum, in order."""

    name: str
    type_name: str
    comment: str | None = None
    masked: bool = False
    labels: tuple[str, ...] = ()

    @property
    def family(self) -> Family:
        """From format_type's spelling, length and precision apart; arrays and unknown types are OTHER."""
        if self.labels:
            return Family.TEXT
        return _FAMILIES.get(_MODIFIER.sub("", self.type_name).strip(), Family.OTHER)


@dataclass(frozen=True)
class TableView:
    """A table or view. `primary_key` is empty where there is none. `is_view`: its rows are those of other tables."""

    schema: str
    name: str
    columns: tuple[ColumnView, ...]
    comment: str | None = None
    primary_key: tuple[str, ...] = ()
    is_view: bool = False
    filtered: bool = False
    """Rows of it are hidden from the identity: whether a value stands in it is not for a look-up to tell."""

    @property
    def key(self) -> Name:
        return self.schema, self.name

    @property
    def qualified(self) -> str:
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> ColumnView | None:
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> Mapping[str, ColumnView]:
        return {column.name: column for column in self.columns}


@dataclass(frozen=True)
class SchemaView:
    """Every table that the identity may read, by name, and the foreign keys between them."""

    tables: tuple[TableView, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()

    def table(self, key: Name) -> TableView | None:
        return self._by_key.get(key)

    @cached_property
    def _by_key(self) -> Mapping[Name, TableView]:
        return {table.key: table for table in self.tables}


class VeilView(Protocol):
    """The part of the policy's `Veil` that this module reads."""

    def visible(self, identity: Identity) -> list[Relation]: ...

    def masked_columns(self, identity: Identity, relation: Relation) -> Mapping[str, str]: ...

    def hides_rows(self, identity: Identity, relation: Relation) -> bool: ...


def build_schema_view(veil: VeilView, catalog: Catalog, identity: Identity) -> SchemaView:
    """The identity's view of `catalog`. Partitions and children are left out where their parent can be read."""
    readable = {r.key: r for r in veil.visible(identity) if r.kind in READABLE_KINDS and not r.is_system}
    shown = [r for r in readable.values() if not any(parent in readable for parent in r.parents)]
    tables = tuple(
        replace(_table(r, veil.masked_columns(identity, r), catalog), filtered=veil.hides_rows(identity, r))
        for r in sorted(shown, key=_by_key)
    )
    keys = {table.key for table in tables}
    foreign_keys = tuple(k for k in catalog.foreign_keys if k.table in keys and k.ref_table in keys)
    return SchemaView(tables, foreign_keys)


def _by_key(relation: Relation) -> Name:
    return relation.key


def _table(relation: Relation, masked: Mapping[str, str], catalog: Catalog) -> TableView:
    columns = tuple(
        ColumnView(c.name, c.type_name, c.comment, c.name in masked, catalog.enum_labels.get(c.type_name, ()))
        for c in relation.columns
    )
    view = relation.kind in VIEW_KINDS
    return TableView(relation.schema, relation.name, columns, relation.comment, relation.primary_key, view)
