"""Whether a statement needs no fence around the filtered relations in it.

A row filter stands in the WHERE of the masked view, and the view is pulled up into the statement, so a condition of the
client's may run on a row before the filter has hidden it. A fence (OFFSET 0) prevents that, and hides the indexes too.
It is not needed where no such condition could tell of the row: where all that runs there is leakproof, which is
PostgreSQL's own rule for row security and security_barrier views
(https://www.postgresql.org/docs/current/rules-privileges.html).

Why that is enough. The filter of a relation is a condition on that relation alone (`stays_at_scan`), so it runs where
the relation is scanned, and no row leaves the scan that it hides. What runs before it is what else is checked at that
scan: WHERE, ON, HAVING without aggregates, what USING and NATURAL compare, each with the select lists of sub-SELECTs
whose columns it uses, and with everything in its sub-SELECTs. All of that must be leakproof here, and must not fail by
itself (`constants`). What runs on rows that left a scan is of no interest: the outermost select list, aggregates and
window functions, grouping, sorting, LIMIT. A sub-SELECT's column that is not leakproof has no type here, so a condition
that uses it is refused, and a list that shows it is not.

Not known here, so fenced: views, foreign tables, functions in FROM that could be inlined, and everything else that no
rule names. Masks are total and have no effects, so a condition on a masked column is one on any column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.catalog import Catalog, Relation
from proxy.policy.constants import INT8, TEXT, UNKNOWN, VARCHAR, Leaky, Parameters, Value
from proxy.policy.exprtypes import ExpressionTypes, Types
from proxy.policy.parser import nodes_of
from proxy.policy.ranges import RelationOf, Scope, Shape, Walk, own_references, queries
from proxy.policy.steps import Steps, TooLarge

Node = Any

VIRTUAL_COLUMNS_SINCE: Final = 180000
"""server_version_num: https://www.postgresql.org/docs/18/ddl-generated-columns.html"""

_SORTS_GROUPS: Final = 180000
"""Before, the planner takes a column that a filter holds to one value for sorted, where grouping sets make it NULL."""

_LATEST: Final = 190000
"""A planner from here on is not known: it may aggregate before it joins."""

# Aggregates that cannot fail, whatever they are given: the others must not run in a condition's sub-SELECT.
_TOTAL_AGGREGATES: Final = frozenset({"count", "min", "max", "bool_and", "bool_or", "every"})

_AGGREGATES: Final = _TOTAL_AGGREGATES | {"sum", "avg", "array_agg", "string_agg", "stddev", "variance"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known around one SELECT of a client. `relation_of` gives None for a WITH query's name."""

    catalog: Catalog
    relation_of: RelationOf
    parameters: Parameters


def unfenced(select: Node, facts: Facts) -> bool:
    """Whether the row filters of a statement's relations may stand without a fence.

    Args:
        select: the outermost SELECT, before any relation in it is replaced.
        facts: the parameters are those of the whole statement.
    """
    if facts.catalog.server_version >= _LATEST:
        return False
    if facts.catalog.server_version < _SORTS_GROUPS and _has_grouping_sets(select):
        return False
    try:
        _Conditions(facts).query(select, Scope())
    except (Leaky, TooLarge):
        return False
    return True


def _has_grouping_sets(select: Node) -> bool:
    return any(node.DESCRIPTOR.name == "GroupingSet" for node in nodes_of(select))


def stays_at_scan(filter_sql: str) -> bool:
    """Whether a row filter is a condition on its own row alone: a sub-SELECT in it makes a join, which other things
    may run before. A filter that is not needs its fence."""
    try:
        tree = parser.parse(f"SELECT {filter_sql}")
    except parser.SyntaxProblem:
        return False
    targets = tree.stmts[0].stmt.select_stmt.target_list
    return len(tree.stmts) == 1 and len(targets) == 1 and not any(True for _ in queries(targets[0]))


def is_computed(relation: Relation, name: str, server_version: int) -> bool:
    """Whether reading the column may run an expression, which nobody promised to be leakproof."""
    column = relation.column(name)
    return column is None or (column.generated is not None and server_version >= VIRTUAL_COLUMNS_SINCE)


class _Conditions(Walk[int]):
    """Raises Leaky at what is not leakproof and may run on hidden rows. A mark is a type's OID; None is no promise."""

    def __init__(self, facts: Facts, *, strict: bool = False, steps: Steps | None = None) -> None:
        super().__init__(facts.relation_of, steps)
        self._facts = facts
        self._strict = strict
        """Inside a condition's sub-SELECT: everything runs on behalf of hidden rows."""
        self._types = ExpressionTypes(facts.catalog, facts.parameters, self._sublink)

    def relation(self, relation: Relation | None) -> Shape[int]:
        if relation is None or relation.is_system or relation.kind not in "rpm":
            raise Leaky
        version = self._facts.catalog.server_version
        return Shape(
            tuple(
                (c.name, c.type_oid if c.plain_collation and not is_computed(relation, c.name, version) else None)
                for c in relation.columns
            )
        )

    def condition(self, node: Node, level: Types, scope: Scope[int], *, having: bool = False) -> None:
        if having:
            self._having(node, level, scope)
        else:
            self._types.boolean(node, level, scope)

    def equal(self, name: str, left: int | None, right: int | None) -> None:
        del name
        if left is None or right is None:
            raise Leaky
        self._types.comparison("=", Value(left), Value(right))

    def item(self, node: Node, level: Types, scope: Scope[int]) -> int | None:
        try:
            oid = self._types.value(node, level, scope).oid
        except Leaky:
            if self._strict:
                raise
            self._shown(node, level, scope)
            return None
        # A string or parameter that nothing gave a type is text: https://www.postgresql.org/docs/current/typeconv.html
        return TEXT if oid == UNKNOWN else oid

    def clauses(self, select: Node, level: Types, scope: Scope[int], output: Shape[int]) -> None:
        del output
        if self._strict:
            _require_plain(select)
        for part in (*select.distinct_clause, *select.group_clause, *select.window_clause, *select.sort_clause):
            self._shown(part, level, scope)
        for name in ("limit_count", "limit_offset"):
            if select.HasField(name):
                self._shown(getattr(select, name), level, scope)

    def other_source(self, item: Node, level: Types, scope: Scope[int]) -> None:
        """A function in FROM runs once a row that left a scan. Only these two: another could be SQL that is inlined,
        and so bring conditions of its own."""
        if self._strict or item.WhichOneof("node") != "range_function":
            raise Leaky
        for function in item.range_function.functions:
            call = function.list.items[0]
            if call.WhichOneof("node") != "func_call" or not self._is_builtin(call.func_call, _ROW_MAKERS):
                raise Leaky
        self._shown(item, level, scope)

    def merged(self, select: Node, left: Shape[int], right: Shape[int]) -> Shape[int]:
        """Branches of one type need no conversion; what needs one has no promise."""
        del select
        if not (left.complete and right.complete) or len(left.columns) != len(right.columns):
            return Shape(complete=False)
        pairs = zip(left.columns, right.columns, strict=True)
        return Shape(tuple((name, mark if mark == other else None) for (name, mark), (_, other) in pairs))

    # Expressions

    def _shown(self, node: Node, level: Types, scope: Scope[int]) -> None:
        """What runs above every scan of its own query: only the queries in it have conditions."""
        for select in queries(node):
            self.query(select, Scope(scope.queries, level))

    def _having(self, node: Node, level: Types, scope: Scope[int]) -> None:
        """PostgreSQL moves what has no aggregate down to WHERE. A comparison of an aggregate stays: it runs on groups.

        An aggregate over columns of a query around this one is that one's, and so none here.
        """
        kind = node.WhichOneof("node")
        if kind == "bool_expr":
            for arg in node.bool_expr.args:
                self._having(arg, level, scope)
        elif kind == "a_expr" and not self._strict and self._compares_aggregate(node.a_expr, level):
            self._shown(node, level, scope)
        else:
            self._types.boolean(node, level, scope)

    def _compares_aggregate(self, expression: Node, level: Types) -> bool:
        sides = (expression.lexpr, expression.rexpr)
        return expression.kind == parser.nodes.AEXPR_OP and any(
            side.WhichOneof("node") == "func_call"
            and self._is_builtin(side.func_call, _AGGREGATES)
            and _is_own(side.func_call, level)
            for side in sides
        )

    def _is_builtin(self, call: Node, names: frozenset[str]) -> bool:
        parts = [part.string.sval for part in call.funcname]
        if parts[-1] not in names or parts[:-1] not in ([], ["pg_catalog"]) or call.HasField("over"):
            return False
        return not self._facts.catalog.functions_by_name.get(parts[-1])

    def _sublink(self, link: Node, level: Types, scope: Scope[int]) -> int:
        """A sub-SELECT in an expression that must be leakproof: so must be all of it."""
        kind = parser.nodes.SubLinkType.Name(link.sub_link_type)
        select = link.subselect.select_stmt
        strict = self if self._strict else _Conditions(self._facts, strict=True, steps=self.steps)
        inner = Scope(scope.queries, level)
        if kind == "EXPR_SUBLINK":
            return strict.single_value(select, inner)
        output = strict.query(select, inner)
        if kind == "EXISTS_SUBLINK":
            return _BOOL
        if kind not in ("ANY_SUBLINK", "ALL_SUBLINK") or not output.complete or len(output.columns) != 1:
            raise Leaky
        mark = output.columns[0][1]
        if mark is None:
            raise Leaky
        name = self._types.operator_name(link.oper_name) if link.oper_name else "="
        self._types.members(name, self._types.value(link.testexpr, level, scope), [Value(mark)])
        return _BOOL

    def single_value(self, select: Node, scope: Scope[int]) -> int:
        """A sub-SELECT as a value fails where it has two rows: only one aggregate over all rows has one for certain."""
        _require_plain(select)
        if len(select.target_list) != 1 or select.HasField("having_clause") or not select.from_clause:
            raise Leaky
        target = select.target_list[0].res_target.val
        if target.WhichOneof("node") != "func_call" or not self._is_builtin(target.func_call, _TOTAL_AGGREGATES):
            raise Leaky
        call = target.func_call
        if call.agg_order or call.agg_distinct or call.HasField("agg_filter") or len(call.args) > 1:
            raise Leaky
        level = self.level(select, scope)
        if select.HasField("where_clause"):
            self.condition(select.where_clause, level, scope)
        mark = self.item(call.args[0], level, scope) if call.args else None
        if not _is_own(call, level):
            raise Leaky
        if call.funcname[-1].string.sval == "count":
            return INT8
        if mark is None:
            raise Leaky
        self._types.comparison("<", Value(mark), Value(mark))
        return TEXT if mark == VARCHAR else mark


_BOOL: Final = 16
_ROW_MAKERS: Final = frozenset({"generate_series", "unnest"})


def _is_own(call: Node, level: Types) -> bool:
    """Whether an aggregate belongs to the query that it stands in: it is of the nearest whose column it reads."""
    references = list(own_references(call))
    return any(level.owns(names) for names in references) or not (references or any(True for _ in queries(call)))


def _require_plain(select: Node) -> None:
    """Raises Leaky unless it is SELECT, FROM and WHERE alone: sorting and grouping compare by rules of their own."""
    if (
        select.op != parser.nodes.SETOP_NONE
        or select.values_lists
        or any(getattr(select, name) for name in ("distinct_clause", "group_clause", "window_clause", "sort_clause"))
        or any(select.HasField(name) for name in ("limit_count", "limit_offset", "with_clause"))
    ):
        raise Leaky
