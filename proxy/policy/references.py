"""What a column reference with a qualifier comes to, once every name in FROM is known.

The select list comes before FROM, and a name may be used far from where it is made, so references are collected during
the walk and settled after it. They matter in three ways: `x.name` may be a call of a function, `schema.table.column`
cannot name a subquery, and a system relation that became a subquery has no tableoid and xmin of its own any more.

It does not resolve columns: PostgreSQL does, over masked views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.catalog import Name, Relation
from proxy.policy.maskedview import quoted
from proxy.policy.refused import denied, unsupported
from proxy.policy.relations import MaskedRelations
from proxy.policy.trust import Trust

Node = Any

Range = tuple[Name | None, bool]
"""What a name in FROM stands for: a relation with its own column names (None: anything else), and whether the name
is an alias."""


_KEYS: Final[Mapping[Name, tuple[str, ...]]] = {
    ("pg_catalog", "pg_attribute"): ("attrelid", "attnum"),
    ("pg_catalog", "pg_foreign_data_wrapper"): ("oid",),
    ("pg_catalog", "pg_foreign_server"): ("oid",),
    ("pg_catalog", "pg_foreign_table"): ("ftrelid",),
    ("pg_catalog", "pg_proc"): ("oid",),
    ("pg_catalog", "pg_rewrite"): ("oid",),
}
"""Primary keys of system tables with hidden columns: https://www.postgresql.org/docs/current/catalogs.html"""


class References:
    """The qualified column references of one statement."""

    def __init__(self, relations: MaskedRelations, trust: Trust) -> None:
        self._relations = relations
        self._catalog = relations.catalog
        self._trust = trust
        self._ranges: dict[str, set[Range]] = {}
        self._replaced: set[Name] = set()
        self._pending: list[Node] = []
        self.settings: list[str | None] = [None]
        """Per SELECT that the walk is in, the name of pg_settings where nothing else can have it."""
        self._implicit = False
        self._columns: set[tuple[str, str]] = set()
        self._changed = False

    def add(self, wrapper: Node) -> None:
        """A Node that holds a ColumnRef."""
        self._pending.append(wrapper)

    def require_listed_setting(self, reference: Node) -> None:
        """Raises Refused unless a ColumnRef is the name of a setting out of the masked pg_settings, in a SELECT where
        nothing else can be meant."""
        names = [field.string.sval for field in reference.fields]
        if self.settings[-1] is None or names != [self.settings[-1], "name"]:
            raise denied("current_setting needs a literal name for this role", location=reference.location)

    def implicit(self) -> None:
        """The statement has ranges whose names it does not write: a function's, or those of the rows that it writes."""
        self._implicit = True

    def name(self, name: str, key: Name | None = None, *, alias: bool = True) -> None:
        """`name` stands in some FROM of the statement, for the relation `key` or for something else."""
        self._ranges.setdefault(name, set()).add((key, alias))

    def replaced(self, key: Name) -> None:
        """The relation became a subquery under its own name."""
        self._replaced.add(key)

    def settle(self) -> bool:
        """Judges and mends every reference, in place. True where one was changed. Raises Refused."""
        for wrapper in self._pending:
            reference = wrapper.column_ref
            names = [field.string.sval for field in reference.fields]
            if len(names) < 2 or self._settle_table_oid(wrapper, names) or self._settle_version(wrapper, names):  # noqa: PLR2004
                continue
            self._settle_attribute(names, reference.location)
            if len(names) > 2:  # noqa: PLR2004 - schema.table.column
                self._settle_qualified(reference, names)
        return self._changed

    @property
    def count(self) -> int:
        """How many column references there were so far."""
        return len(self._pending)

    def names_since(self, count: int) -> set[str]:
        """The last names of the references after the first `count`; a star has none, and is `*`."""
        found = set()
        for wrapper in self._pending[count:]:
            last = wrapper.column_ref.fields[-1]
            found.add(last.string.sval or "*")
        return found

    def _settle_table_oid(self, wrapper: Node, names: list[str]) -> bool:
        """`x.tableoid` of a system relation that became a subquery, as psql's \\dd asks for it: the relation's oid."""
        relation = self._replaced_system_relation(names[-2]) if names[-1] == "tableoid" else None
        if relation is None:
            return False
        cast = parser.nodes.TypeCast(location=-1)
        cast.arg.a_const.sval.sval = str(relation.oid)
        cast.type_name.names.add().string.sval = "pg_catalog"
        cast.type_name.names.add().string.sval = "oid"
        cast.type_name.typemod = -1
        wrapper.type_cast.CopyFrom(cast)
        self._changed = True
        return True

    def _settle_version(self, wrapper: Node, names: list[str]) -> bool:
        """`x.xmin` of a system table that became a subquery, as DataGrip asks for what changed: looked up by its key.
        Nothing else of the table is in the look-up, and a row that an outer join left out has no version here either.
        """
        relation = self._replaced_system_relation(names[-2]) if names[-1] == "xmin" else None
        if relation is None or relation.key not in _KEYS:
            return False
        # The look-up's own name must not hide the one that it compares with.
        own = "v" if names[-2] != "v" else "w"
        same = " AND ".join(
            f"{own}.{name} OPERATOR(pg_catalog.=) {quoted(names[-2])}.{name}" for name in _KEYS[relation.key]
        )
        table = f"{quoted(relation.schema)}.{quoted(relation.name)}"
        tree = parser.parse(f"SELECT (SELECT {own}.xmin FROM {table} AS {own} WHERE {same})")
        parser.without_locations(tree)
        wrapper.CopyFrom(tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val)
        self._changed = True
        return True

    def _replaced_system_relation(self, name: str) -> Relation | None:
        """The system relation that `name` stands for wherever it is made, if that became a subquery."""
        ranges = self._ranges.get(name, set())
        if len(ranges) != 1:
            return None
        relation = self._catalog.relations.get(next(iter(ranges))[0] or ("", ""))
        if relation is None or not relation.is_system or self._relations.replacement(relation) is None:
            return None
        return relation

    def _settle_attribute(self, names: list[str], location: int) -> None:
        """`x.name` is a column where x has one of that name; else it may call the function `name` on the row."""
        if not names[-1] or (names[-2], names[-1]) in self._columns:
            return
        ranges = self._ranges.get(names[-2], set())
        relations = [self._catalog.relations.get(key) if key else None for key, _ in ranges]
        certain = bool(relations) and not self._implicit
        if not certain or not all(r is not None and r.column(names[-1]) for r in relations):
            self._trust.attribute(names[-1], location, rows_only=True)
        self._columns.add((names[-2], names[-1]))

    def _settle_qualified(self, reference: Node, names: list[str]) -> None:
        """schema.table.column cannot name a subquery: the schema goes, where that leaves no doubt."""
        schema, table = names[-3], names[-2]
        if (schema, table) not in self._replaced:
            return
        if self._ranges.get(table, set()) != {((schema, table), False)}:
            raise unsupported(
                f"{schema}.{table} is ambiguous here once it is masked",
                hint="give the table an alias and use that",
                location=reference.location,
            )
        for _ in range(len(names) - 2):
            del reference.fields[0]
        self._changed = True
