"""What a column reference with a qualifier comes to, once every name in FROM is known.

The select list comes before FROM, and a name may be used far from where it is made, so references are collected during
the walk and settled after it. They matter in three ways: `x.name` may be a call of a function, `schema.table.column`
cannot name a subquery, and a system relation that became a subquery has no tableoid of its own any more.

It does not resolve columns: PostgreSQL does, over masked views.
"""

from __future__ import annotations

from typing import Any

from proxy.policy import parser
from proxy.policy.catalog import Name
from proxy.policy.refused import denied, unsupported
from proxy.policy.relations import MaskedRelations
from proxy.policy.trust import Trust

Node = Any

Range = tuple[Name | None, bool]
"""What a name in FROM stands for: a relation with its own column names (None: anything else), and whether the name
is an alias."""


class References:
    """The qualified column references of one statement."""

    def __init__(self, relations: MaskedRelations, trust: Trust) -> None:
        self._relations = relations
        self._catalog = relations.catalog
        self._trust = trust
        self._ranges: dict[str, set[Range]] = {}
        self._replaced: set[Name] = set()
        self._pending: list[Node] = []
        self._setting_names: list[Node] = []
        self._changed = False

    def add(self, wrapper: Node) -> None:
        """A Node that holds a ColumnRef."""
        self._pending.append(wrapper)

    def add_setting_name(self, wrapper: Node) -> None:
        """A ColumnRef that names the setting to be read: it has to come out of the masked pg_settings."""
        self._setting_names.append(wrapper.column_ref)

    def name(self, name: str, key: Name | None = None, *, alias: bool = True) -> None:
        """`name` stands in some FROM of the statement, for the relation `key` or for something else."""
        self._ranges.setdefault(name, set()).add((key, alias))

    def replaced(self, key: Name) -> None:
        """The relation became a subquery under its own name."""
        self._replaced.add(key)

    def settle(self) -> bool:
        """Judges and mends every reference, in place. True where one was changed. Raises Refused."""
        for name in self._setting_names:
            self._require_listed_setting(name)
        for wrapper in self._pending:
            reference = wrapper.column_ref
            if len(reference.fields) > 1 and not self._settle_table_oid(wrapper):
                self._settle_attribute(reference)
                if len(reference.fields) > 2:  # noqa: PLR2004 - schema.table.column
                    self._settle_qualified(reference)
        return self._changed

    def _require_listed_setting(self, reference: Node) -> None:
        names = [field.string.sval for field in reference.fields]
        ranges = self._ranges.get(names[0], set()) if len(names) == 2 else set()  # noqa: PLR2004 - alias.name
        if names[-1] != "name" or {key for key, _ in ranges} != {("pg_catalog", "pg_settings")}:
            raise denied("current_setting needs a literal name for this role", location=reference.location)

    def _settle_table_oid(self, wrapper: Node) -> bool:
        """`x.tableoid` of a system relation that became a subquery, as psql's \\dd asks for it: the relation's oid."""
        names = [field.string.sval for field in wrapper.column_ref.fields]
        ranges = self._ranges.get(names[-2], set())
        if names[-1] != "tableoid" or len(ranges) != 1:
            return False
        relation = self._catalog.relations.get(next(iter(ranges))[0] or ("", ""))
        if relation is None or not relation.is_system or self._relations.replacement(relation) is None:
            return False
        cast = parser.nodes.TypeCast(location=-1)
        cast.arg.a_const.sval.sval = str(relation.oid)
        cast.type_name.names.add().string.sval = "pg_catalog"
        cast.type_name.names.add().string.sval = "oid"
        cast.type_name.typemod = -1
        wrapper.type_cast.CopyFrom(cast)
        return True

    def _settle_attribute(self, reference: Node) -> None:
        """`x.name` is a column where x has one of that name; else it may call the function `name` on the row."""
        names = [field.string.sval for field in reference.fields]
        if not names[-1]:
            return
        ranges = self._ranges.get(names[-2], set())
        relations = [self._catalog.relations.get(key) if key else None for key, _ in ranges]
        if not relations or not all(r is not None and r.column(names[-1]) for r in relations):
            self._trust.attribute(names[-1], reference.location, rows_only=True)

    def _settle_qualified(self, reference: Node) -> None:
        """schema.table.column cannot name a subquery: the schema goes, where that leaves no doubt."""
        names = [field.string.sval for field in reference.fields]
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
