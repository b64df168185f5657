"""What the upstream database holds, as the veil needs to know it: a frozen snapshot with a version.

Relations with their columns, views with their definitions, inheritance, foreign keys, and everything that a session
could call by a name of its own: functions, operators and types outside pg_catalog. The snapshot is a value; reading it
from a server is `proxy.feed`'s, which keeps the queries' I/O out of this package.

It does not know rows, statistics, privileges, or objects in sessions' temporary schemas (names there are refused).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TypeVar

from proxy.policy.catalog_leakproof import Leakproof

K = TypeVar("K")
T = TypeVar("T")

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})

Name = tuple[str, str]
"""(schema, relation): both as they stand in the catalogue, unquoted."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type_name` is SQL text from format_type, schema-qualified where it is not a built-in."""

    name: str
    type_name: str
    type_oid: int = 25
    attnum: int = 0
    not_null: bool = False
    comment: str | None = None
    generated: str | None = None
    """The expression of a generated column, as pg_get_expr writes it."""
    plain_collation: bool = True
    """Its collation is the database's default or "C", or its type has none: any two such columns can be compared."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the server checks when a row is written, and may say no to: a unique index, for example.

    `kind` is check, unique (primary keys too), exclusion, index (over an expression, or partial) or partition (the key
    by which rows find their partition). `columns` are all that it reads. `validated` is False where rows from before
    may break it. `expressions` are what it computes, as pg_get_expr writes it: one text may hold several, with commas.
    """

    name: str
    kind: str
    columns: frozenset[str]
    validated: bool = True
    expressions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view, materialised view, foreign table, partitioned table or sequence.

    `kind` is pg_class.relkind. `parents` are the names it inherits from (partition parents too), nearest first.
    `definition` is pg_get_viewdef's text for views and materialised views, every name in it qualified.
    `depends` are the (relation, column) pairs that the definition reads; column None is the whole row.
    """

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    parents: tuple[Name, ...] = ()
    definition: str | None = None
    comment: str | None = None
    primary_key: tuple[str, ...] = ()
    estimated_rows: int = 0
    security_barrier: bool = False
    readable: bool = True
    """Whether the account that read the catalogue, which is everybody's, may read its rows."""
    depends: tuple[tuple[Name, str | None], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    has_rules: bool = False
    """Rewrite rules besides a view's own: a statement on it may become another one."""
    changes_inserts: bool = False
    """A trigger may change a row before it is inserted."""
    row_security: bool = False
    """PostgreSQL hides rows of it by policies of its own, which hold for some accounts."""
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})

    @property
    def key(self) -> Name:
        return self.schema, self.name

    @property
    def qualified(self) -> str:
        """`schema.name`, as policies and error texts spell it."""
        return f"{self.schema}.{self.name}"

    @property
    def is_system(self) -> bool:
        return self.schema in SYSTEM_SCHEMAS

    def column(self, name: str) -> Column | None:
        return self._by_name.get(name)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`table`.`columns` refer to `ref_table`.`ref_columns`, position by position.

    `on_delete` and `on_update` are pg_constraint's letters for what happens to the referring rows: a (no action),
    r (restrict), c (cascade), n (set null), d (set default).
    """

    name: str
    table: Name
    columns: tuple[str, ...]
    ref_table: Name
    ref_columns: tuple[str, ...]
    on_delete: str = "a"
    on_update: str = "a"


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function outside pg_catalog, or an operator's or cast's.

    `arguments` are type names as format_type spells them, so that `schema.name(arg, arg)` is the signature that a
    policy trusts. `takes_row` says that it can be called with a single row: then `x.name` calls it too.
    `harmless` says that it is in C and an extension's, and takes or gives a type of the extension: a call over
    built-in types does not meet it by chance.
    """

    schema: str
    name: str
    arguments: tuple[str, ...]
    language: str
    harmless: bool = False
    takes_row: bool = False

    @property
    def signature(self) -> str:
        return f"{self.schema}.{self.name}({', '.join(self.arguments)})"


@dataclass(frozen=True, slots=True)
class UserOperator:
    """An operator outside pg_catalog with the signature of the function behind it."""

    schema: str
    name: str
    function: str
    harmless: bool
    """Its function is in C, of an extension, and an operand is of a type outside pg_catalog."""


@dataclass(frozen=True, slots=True)
class UserType:
    """A type outside pg_catalog. `kind` is pg_type.typtype: b, c, d, e, p, r or m."""

    schema: str
    name: str
    kind: str
    harmless: bool
    """An enum, a range of a built-in type, or an extension's base type: converting to it runs no code of a user."""
    oid: int = 0
    array_oid: int = 0
    base_name: str | None = None
    """A domain's base type, where that is harmless."""


@dataclass(frozen=True, slots=True)
class UserCast:
    """A function outside pg_catalog that PostgreSQL calls though no statement names it: for a cast to `target`, or to
    sort values of the type `target`. `harmless` as with operators."""

    target: str
    function: str
    harmless: bool


@dataclass(frozen=True)
class Catalog:
    """A snapshot. `version` grows with every snapshot that differs from the one before."""

    version: int
    relations: Mapping[Name, Relation]
    foreign_keys: tuple[ForeignKey, ...] = ()
    functions: tuple[UserFunction, ...] = ()
    operators: tuple[UserOperator, ...] = ()
    types: tuple[UserType, ...] = ()
    casts: tuple[UserCast, ...] = ()
    default_search_path: tuple[str, ...] = ("public",)
    server_version: int = 180000
    database: str = ""
    user: str = ""
    builtin_functions: frozenset[str] = frozenset()
    builtin_types: frozenset[str] = frozenset()
    composites: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=lambda: MappingProxyType({}))
    """format_type's name of a composite type to its (field, type name) pairs."""
    enum_labels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    leakproof: Leakproof = field(default_factory=Leakproof)

    @cached_property
    def schemas_by_relation(self) -> Mapping[str, frozenset[str]]:
        """Relation name to every schema that has one of that name."""
        found: dict[str, set[str]] = {}
        for schema, name in self.relations:
            found.setdefault(name, set()).add(schema)
        return {name: frozenset(schemas) for name, schemas in found.items()}

    @cached_property
    def children(self) -> Mapping[Name, tuple[Name, ...]]:
        """Relation to those that inherit from it directly."""
        return _grouped((parent, r.key) for r in self.relations.values() for parent in r.parents)

    @cached_property
    def row_secured(self) -> frozenset[Name]:
        """Relations of which PostgreSQL's row security may hide rows: it is theirs, a relative's, or of what they read.

        Whom it holds for depends on who asks: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
        """
        found = dict.fromkeys(r.key for r in self.relations.values() if r.row_security)
        readers = _grouped((name, r.key) for r in self.relations.values() for name, _ in r.depends) if found else {}
        waiting = list(found)
        for name in waiting:
            relation = self.relations.get(name)
            parents = relation.parents if relation is not None else ()
            more = [n for n in (*parents, *self.children.get(name, ()), *readers.get(name, ())) if n not in found]
            found |= dict.fromkeys(more)
            waiting += dict.fromkeys(more)
        return frozenset(found)

    @cached_property
    def functions_by_name(self) -> Mapping[str, tuple[UserFunction, ...]]:
        return _grouped((f.name, f) for f in self.functions)

    @cached_property
    def operators_by_name(self) -> Mapping[str, tuple[UserOperator, ...]]:
        return _grouped((o.name, o) for o in self.operators)

    @cached_property
    def types_by_name(self) -> Mapping[str, tuple[UserType, ...]]:
        return _grouped((t.name, t) for t in self.types)

    @cached_property
    def unsafe_types(self) -> Mapping[int, str | None]:
        """Types whose input may run a user's code, to the harmless type below them where there is one."""
        return {t.oid: t.base_name for t in self.types if not t.harmless}

    @cached_property
    def harmless_type_oids(self) -> frozenset[int]:
        """Types outside pg_catalog, and their arrays, that a parameter may have."""
        return frozenset(oid for t in self.types if t.harmless for oid in (t.oid, t.array_oid) if oid)

    def resolve(self, schema: str | None, name: str, search_path: Iterable[str]) -> Relation | None:
        """The relation that PostgreSQL would find, pg_catalog first as its manual says (5.10.3), or None.

        https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-PATH
        """
        if schema is not None:
            return self.relations.get((schema, name))
        for candidate in ("pg_catalog", *search_path):
            found = self.relations.get((self.user if candidate == "$user" else candidate, name))
            if found is not None:
                return found
        return None

    def user_relations(self) -> list[Relation]:
        """Every relation outside the system schemas, by name."""
        return sorted((r for r in self.relations.values() if not r.is_system), key=lambda r: r.key)


def _grouped(pairs: Iterable[tuple[K, T]]) -> Mapping[K, tuple[T, ...]]:
    found: dict[K, list[T]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}
