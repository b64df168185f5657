"""Constraints that would tell a writer of values that are not shown: which they are, and their refusal.

A unique index says whether a value exists, a foreign key whether another table has it, a CHECK over two columns how
the one that was not written compares. Where a protected column, or a row that a filter hides, is what the answer tells
of, the write is refused, unless the table's rule names the constraint under `reveal`. A check that sees nothing but
what the client wrote tells nothing. What cascades is followed, and may not write what `steering` keeps.

Code of somebody's that a write would run with the client's values (a CHECK's or an index's function, a domain's check)
is refused like a cast to such a domain. Triggers and defaults are not: they are the DBA's own, on a table that the
policy opens for writing. https://www.postgresql.org/docs/current/ddl-constraints.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from proxy.policy import parser
from proxy.policy.catalog import Constraint, ForeignKey, Name, Relation
from proxy.policy.reach import changed_columns, members, names_in, partition_columns, partitioned_above, settled_columns
from proxy.policy.refused import Refused, denied
from proxy.policy.relations import MaskedRelations
from proxy.policy.rules import StatementKind
from proxy.policy.steering import is_shown_by, read_by_policy
from proxy.policy.targets import Target
from proxy.policy.trust import Trust

INSERT, UPDATE, DELETE = StatementKind.INSERT, StatementKind.UPDATE, StatementKind.DELETE

_MOVES_ROWS: Final = 150000
_KEYS: Final = frozenset({"unique", "exclusion"})
_WORDS: Final = {
    "unique": "unique index",
    "exclusion": "exclusion constraint",
    "check": "check constraint",
    "index": "index",
    "partition": "",
    "generated": "generated column",
}


@dataclass(frozen=True, slots=True)
class Change:
    """INSERT, UPDATE or DELETE of rows of one table; `columns` are those that the statement gives values to."""

    kind: StatementKind
    columns: frozenset[str] = frozenset()


def require_silent(target: Target, change: Change, relations: MaskedRelations) -> None:
    """Raises Refused (42501) where a constraint would tell of what the role may not see."""
    _Probe(relations, target.relation).require(target.relation, change, only=target.only)


@dataclass
class _Probe:
    """One statement's search. Cascades of foreign keys make it a walk over tables."""

    relations: MaskedRelations
    first: Relation
    _seen: set[tuple[Name, Change]] = field(default_factory=set)
    _judged: dict[tuple[str, ...], bool] = field(default_factory=dict)
    """Expressions that were judged already: partitions repeat their parents'."""

    def require(self, relation: Relation, change: Change, *, only: bool = False) -> None:
        if (relation.key, change) in self._seen:
            return
        self._seen.add((relation.key, change))
        catalog = self.relations.catalog
        # A new row is the table's own, or a partition's; children that inherit get none.
        reached = members(catalog, relation, only=only or change.kind is INSERT)
        above = list(partitioned_above(catalog, relation))
        for member in reached:
            self._require_own_code(member, change)
            self._require_constraints(member, change, self._sight(relation, member), above)
        names = {r.key for r in (*reached, *above)}
        for key in catalog.foreign_keys:
            if key.table in names and change.kind is not DELETE:
                self._require_outgoing(key, change)
            if key.ref_table in names:
                self._require_incoming(key, change)
                if self._replaces(relation, change):
                    self._require_incoming(key, Change(DELETE))

    def _replaces(self, relation: Relation, change: Change) -> bool:
        """Before PostgreSQL 15, a row that changes its partition was deleted for those that refer to it.
        https://www.postgresql.org/docs/15/release-15.html"""
        catalog = self.relations.catalog
        if change.kind is not UPDATE or catalog.server_version >= _MOVES_ROWS:
            return False
        return bool(partition_columns(catalog, relation) & change.columns)

    def _sight(self, relation: Relation, member: Relation) -> tuple[frozenset[str], bool]:
        """What of a member is protected, and whether rows of it are hidden. Rules hold for a whole family by column
        name, so what has the relation's columns has its rules: thousands of partitions are not asked one by one."""
        names = frozenset(column.name for column in member.columns)
        same = names <= {column.name for column in relation.columns}
        protected = self.relations.protected_columns(relation if same else member)
        return protected & names, self.relations.is_filtered(relation)

    def _require_constraints(
        self, member: Relation, change: Change, sight: tuple[frozenset[str], bool], above: list[Relation]
    ) -> None:
        protected, hidden = sight
        if change.kind is DELETE or not (protected or hidden):
            return
        routes = [c for r in (member, *above) for c in r.constraints if c.kind == "partition"]
        checks = [*routes, *(c for c in member.constraints if c.kind != "partition"), *_generated(member)]
        # A row that changes its partition is inserted there, and meets every index.
        moves = any(c.columns & change.columns for c in routes)
        everything = frozenset(column.name for column in member.columns)
        changed, settled = changed_columns(member, change.columns), settled_columns(member, change.columns)
        for check in checks:
            if check.kind in _KEYS:
                written = everything if moves or change.kind is INSERT else changed
                tells = bool(written & check.columns) and (hidden or bool(protected & check.columns))
            else:
                unwritten = check.columns & protected - settled
                touched = not check.validated or bool(check.columns & changed)
                tells = change.kind is UPDATE and bool(unwritten) and touched
            if tells and check.name not in self._revealed(member.key):
                raise self._refused(member, f"{_WORDS[check.kind]} {check.name}".strip())

    def _require_own_code(self, member: Relation, change: Change) -> None:
        revealed, unsafe = self._revealed(member.key), self.relations.catalog.unsafe_types
        for column in member.columns:
            if column.name in change.columns and column.type_oid in unsafe and column.name not in revealed:
                raise self._refused_code(member, f"the type of column {column.name}")
        changed = changed_columns(member, change.columns)
        for check in (*member.constraints, *_generated(member)):
            computed = change.kind is INSERT or (change.kind is UPDATE and bool(check.columns & changed))
            if computed and check.name not in revealed and not self._is_trusted(check):
                raise self._refused_code(member, f"{_WORDS[check.kind]} {check.name}".strip())

    def _is_trusted(self, check: Constraint) -> bool:
        """Whether all that it calls is built in, or trusted by the policy."""
        if check.expressions not in self._judged:
            self._judged[check.expressions] = self._calls_trusted(check)
        return self._judged[check.expressions]

    def _calls_trusted(self, check: Constraint) -> bool:
        trust = Trust(self.relations.policy, self.relations.catalog)
        try:
            for text in check.expressions:
                for node in parser.nodes_of(parser.parse(f"SELECT {text}")):
                    kind = node.DESCRIPTOR.name
                    if kind == "FuncCall":
                        trust.function([part.string.sval for part in node.funcname], len(node.args), -1)
                    elif kind == "A_Expr":
                        trust.operator([part.string.sval for part in node.name], -1, qualifiable=True)
                    elif kind == "TypeName":
                        trust.type([part.string.sval for part in node.names], -1)
        except (Refused, parser.SyntaxProblem):
            return False
        return True

    def _require_outgoing(self, key: ForeignKey, change: Change) -> None:
        """The value that is written has to exist in the other table."""
        columns, writer = frozenset(key.columns), self.relations.catalog.relations.get(key.table)
        if change.kind is UPDATE and not columns & _changed(writer, change.columns):
            return
        settled = settled_columns(writer, change.columns) if writer is not None else change.columns
        unwritten = change.kind is UPDATE and self._is_closed(key.table, columns - settled, rows=False)
        if unwritten or self._is_closed(key.ref_table, frozenset(key.ref_columns)):
            self._refuse_key(key)

    def _require_incoming(self, key: ForeignKey, change: Change) -> None:
        """A row that others refer to: the server refuses, or changes those as well."""
        columns, referring = frozenset(key.ref_columns), frozenset(key.columns)
        deletes, catalog = change.kind is DELETE, self.relations.catalog
        changed = _changed(catalog.relations.get(key.ref_table), change.columns)
        if change.kind is INSERT or not (deletes or columns & changed):
            return
        action = key.on_delete if deletes else key.on_update
        compares = self._is_closed(key.ref_table, columns, rows=False) or self._is_closed(key.table, referring)
        if action != "c" and compares:
            self._refuse_key(key)
        other = catalog.relations.get(key.table)
        if action in "cnd" and other is not None:
            self._require_cascade(
                key, other, Change(DELETE) if deletes and action == "c" else Change(UPDATE, referring)
            )

    def _require_cascade(self, key: ForeignKey, other: Relation, change: Change) -> None:
        """What changes along is written too: it may not decide what the role sees, whatever `reveal` names."""
        shown = change.kind is UPDATE and is_shown_by(other, change.columns, self.relations)
        if shown or other.key in self._read_by_policy:
            raise denied(
                f"this write to {self.first.qualified} is not allowed for this role: foreign key {key.name} of "
                f"{other.qualified} would change what it sees",
                hint="a row filter, a condition or a lookup of the policy reads what the key changes",
            )
        self.require(other, change)

    @cached_property
    def _read_by_policy(self) -> frozenset[Name]:
        return read_by_policy(self.relations)

    def _is_closed(self, name: Name, columns: frozenset[str], *, rows: bool = True) -> bool:
        """Whether the role sees these columns masked or, with `rows`, not every row of the table."""
        relation = self.relations.catalog.relations.get(name)
        if relation is None:
            return True
        if columns & self.relations.protected_columns(relation):
            return True
        return rows and (not self.relations.may_read(relation) or self.relations.filter_sql(relation, "t") is not None)

    def _refuse_key(self, key: ForeignKey) -> None:
        if key.name not in self._revealed(key.table) | self._revealed(key.ref_table):
            relation = self.relations.catalog.relations.get(key.table, self.first)
            raise self._refused(relation, f"foreign key {key.name}")

    def _revealed(self, name: Name) -> frozenset[str]:
        policy, identity = self.relations.policy, self.relations.identity
        return policy.revealed(identity, name) | policy.revealed(identity, self.first.key)

    def _refused(self, relation: Relation, what: str) -> Refused:
        return denied(
            f"this write to {self.first.qualified} is not allowed for this role: {what} of {relation.qualified} "
            "would tell of values that it may not see",
            hint="reveal in the table's rule of the policy allows it, by that name",
        )

    def _refused_code(self, relation: Relation, what: str) -> Refused:
        return denied(
            f"this write to {self.first.qualified} is not allowed for this role: {what} of {relation.qualified} runs "
            "code that the policy does not trust",
            hint="functions.trust in the policy opens a function, reveal in the table's rule this one by its name",
        )


def _changed(relation: Relation | None, columns: frozenset[str]) -> frozenset[str]:
    return columns if relation is None else changed_columns(relation, columns)


def _generated(relation: Relation) -> Iterator[Constraint]:
    """Generated columns: computing one may fail, by what the others hold."""
    for column in relation.columns:
        if column.generated is not None:
            read = names_in(column.generated)
            names = frozenset(c.name for c in relation.columns)
            yield Constraint(
                column.name, "generated", names if read is None else read & names, expressions=(column.generated,)
            )
