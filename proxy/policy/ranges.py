"""What the names in a FROM stand for, at every level of a query: one walk that others fill with a meaning.

A mark is what the caller wants to know of a column: its type, or whether it may be used. The walk follows columns from
relations through joins, sub-SELECTs, WITH and set operations to where they are named, as PostgreSQL's rules of scope
have it (https://www.postgresql.org/docs/current/queries-table-expressions.html). It changes nothing.

What it cannot follow has no mark: the caller takes that for the worst. Nothing is masked or judged here. A walk has so
many steps and no more, since a text of a few lines can double its columns with each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from proxy.policy import parser
from proxy.policy.catalog import Name, Relation
from proxy.policy.steps import MAX_COLUMNS, MAX_RANGES, Steps, TooLarge

Node = Any
M = TypeVar("M")

RelationOf = Callable[[Node], Relation | None]
"""From a RangeVar to the relation that it names; None for a WITH query's name and for whatever is not known."""


@dataclass(frozen=True)
class Shape(Generic[M]):
    """Columns in order, each with its mark or None. `complete` is False where there may be others."""

    columns: tuple[tuple[str, M | None], ...] = ()
    complete: bool = True

    def marks(self, name: str) -> list[M | None]:
        return self._by_name.get(name, [])

    @cached_property
    def all_named(self) -> bool:
        """Whether a name that is not here is not meant: `output_name` does not know every name."""
        return self.complete and "" not in self._by_name

    @cached_property
    def _by_name(self) -> dict[str, list[M | None]]:
        found: dict[str, list[M | None]] = {}
        for name, mark in self.columns:
            found.setdefault(name, []).append(mark)
        return found

    def renamed(self, names: list[str]) -> Shape[M]:
        """Under a list of column aliases, which names the first columns."""
        if not names:
            return self
        if not self.complete or len(names) > len(self.columns):
            return Shape(complete=False)
        kept = tuple((new, mark) for new, (_, mark) in zip(names, self.columns, strict=False))
        return Shape(kept + self.columns[len(names) :])


@dataclass(frozen=True)
class Level(Generic[M]):
    """One FROM: its ranges by name, and the columns that a bare name or a star means. `outer` encloses it."""

    ranges: tuple[tuple[str, Shape[M]], ...] = ()
    columns: Shape[M] = field(default_factory=Shape)
    outer: Level[M] | None = None

    @cached_property
    def _by_name(self) -> dict[str, Shape[M]]:
        return dict(reversed(self.ranges))  # the first of a name

    def range(self, name: str) -> Shape[M] | None:
        """The nearest range of that name."""
        found = self._by_name.get(name)
        if found is not None or self.outer is None:
            return found
        return self.outer.range(name)

    def owns(self, names: list[str]) -> bool:
        """Whether a reference means a column of this FROM, and not of one around it."""
        if len(names) == 1:
            return bool(self.columns.marks(names[0]))
        return len(names) == 2 and names[0] in self._by_name  # noqa: PLR2004 - range.column

    def marks(self, names: list[str]) -> list[M | None]:
        """Of the columns that a reference may mean; empty where it means none that is known.

        schema.table.column is not looked up: an alias may have the table's name.
        """
        if len(names) == 1:
            found = self.columns.marks(names[0])
            if found or self.outer is None or not self.columns.all_named:
                return found
            return self.outer.marks(names)
        shape = self.range(names[0]) if len(names) == 2 else None  # noqa: PLR2004 - range.column
        return shape.marks(names[1]) if shape is not None else []


@dataclass(frozen=True, slots=True)
class Scope(Generic[M]):
    """What a query may name besides its own FROM: WITH queries, and the levels around it."""

    queries: Mapping[str, Shape[M]] = field(default_factory=dict)
    outer: Level[M] | None = None


class Walk(ABC, Generic[M]):
    """A walk over a query. The hooks may raise to end it; it raises TooLarge itself.

    Args:
        steps: those of the walk that this one is a part of.
    """

    def __init__(self, relation_of: RelationOf, steps: Steps | None = None) -> None:
        self.relation_of = relation_of
        self.steps = steps or Steps()
        self._relations: dict[Name, Shape[M]] = {}

    # Hooks

    @abstractmethod
    def relation(self, relation: Relation | None) -> Shape[M]:
        """The columns of what a RangeVar names."""

    @abstractmethod
    def condition(self, node: Node, level: Level[M], scope: Scope[M], *, having: bool = False) -> None:
        """WHERE, ON, HAVING."""

    @abstractmethod
    def equal(self, name: str, left: M | None, right: M | None) -> None:
        """USING and NATURAL compare these columns of that name; an empty name stands for columns that are not known."""

    @abstractmethod
    def item(self, node: Node, level: Level[M], scope: Scope[M]) -> M | None:
        """An expression of a select list that is no star: its mark."""

    @abstractmethod
    def clauses(self, select: Node, level: Level[M], scope: Scope[M], output: Shape[M]) -> None:
        """All else: DISTINCT, GROUP BY, WINDOW, ORDER BY, LIMIT. After a set operation `level` has no ranges."""

    @abstractmethod
    def other_source(self, item: Node, level: Level[M], scope: Scope[M]) -> None:
        """An item of FROM that is neither relation, join nor sub-SELECT; `level` is what stands left of it."""

    @abstractmethod
    def merged(self, select: Node, left: Shape[M], right: Shape[M]) -> Shape[M]:
        """The columns of a set operation."""

    def listed(self, marks: list[M | None]) -> M | None:
        """The mark of a column of VALUES, from those of its rows."""
        del marks
        return None

    def dropped(self, columns: tuple[tuple[str, M | None], ...]) -> None:
        """These are too many, and are not followed."""
        del columns

    # The walk

    def query(self, select: Node, scope: Scope[M]) -> Shape[M]:
        """The columns of a SELECT, VALUES or set operation."""
        self.steps.take()
        scope = self._with(select, scope)
        if select.op != parser.nodes.SETOP_NONE:
            output = self.merged(select, self.query(select.larg, scope), self.query(select.rarg, scope))
            self.steps.take(len(output.columns))
            self.clauses(select, Level(columns=output, outer=scope.outer), scope, output)
            return output
        if select.values_lists:
            return self._values(select, scope)
        level = self.level(select, scope)
        if select.HasField("where_clause"):
            self.condition(select.where_clause, level, scope)
        if select.HasField("having_clause"):
            self.condition(select.having_clause, level, scope, having=True)
        output = self._output(select, level, scope)
        self.clauses(select, level, scope, output)
        return output

    def level(self, select: Node, scope: Scope[M]) -> Level[M]:
        """The FROM of a SELECT."""
        level: Level[M] = Level(outer=scope.outer)
        for item in select.from_clause:
            level = self._joined(level, self._source(item, level, scope))
        return level

    def _joined(self, left: Level[M], right: Level[M]) -> Level[M]:
        """Both, side by side, in what is around the left one."""
        if len(left.ranges) + len(right.ranges) > MAX_RANGES:
            raise TooLarge
        complete = left.columns.complete and right.columns.complete
        columns = self._shape(left.columns.columns + right.columns.columns, complete=complete)
        return replace(left, ranges=left.ranges + right.ranges, columns=columns)

    def _shape(self, columns: tuple[tuple[str, M | None], ...], *, complete: bool = True) -> Shape[M]:
        self.steps.take(len(columns))
        if len(columns) <= MAX_COLUMNS:
            return Shape(columns, complete)
        self.dropped(columns)
        return Shape(complete=False)

    def _with(self, select: Node, scope: Scope[M]) -> Scope[M]:
        if not select.HasField("with_clause"):
            return scope
        for wrapper in select.with_clause.ctes:
            cte = wrapper.common_table_expr
            if cte.ctequery.WhichOneof("node") != "select_stmt":
                self.other_source(wrapper, Level(outer=scope.outer), scope)
                shape: Shape[M] = Shape(complete=False)
            else:
                shape = self._common_table(select, cte, scope)
            self.steps.take(len(scope.queries))
            scope = replace(scope, queries={**scope.queries, cte.ctename: shape})
        return scope

    def _common_table(self, select: Node, cte: Node, scope: Scope[M]) -> Shape[M]:
        names = [name.string.sval for name in cte.aliascolnames]
        query = cte.ctequery.select_stmt
        if not select.with_clause.recursive:
            return self.query(query, scope).renamed(names)
        # Every query of this WITH may be named in it, the later ones too: what those mean is not known yet.
        unknown: Shape[M] = Shape(complete=False)
        others = {w.common_table_expr.ctename: unknown for w in select.with_clause.ctes}
        self.steps.take(len(others))
        inner = replace(scope, queries={**scope.queries, **others})
        if query.op != parser.nodes.SETOP_NONE and not query.HasField("with_clause"):
            # The first branch gives the names and types: https://www.postgresql.org/docs/current/queries-with.html
            first = self.query(query.larg, inner).renamed(names)
            inner = replace(inner, queries={**inner.queries, cte.ctename: first})
        return self.query(query, inner).renamed(names)

    def _values(self, select: Node, scope: Scope[M]) -> Shape[M]:
        level: Level[M] = Level(outer=scope.outer)
        rows = [[self._item(item, level, scope) for item in row.list.items] for row in select.values_lists]
        marks = [self.listed(list(column)) for column in zip(*rows, strict=False)]
        output = self._shape(tuple((f"column{n}", mark) for n, mark in enumerate(marks, start=1)))
        self.clauses(select, Level(columns=output, outer=scope.outer), scope, output)
        return output

    def _output(self, select: Node, level: Level[M], scope: Scope[M]) -> Shape[M]:
        columns: list[tuple[str, M | None]] = []
        complete = True
        for wrapper in select.target_list:
            target = wrapper.res_target
            names = reference_names(target.val)
            if names and names[-1] == "*":
                shape = level.columns if len(names) == 1 else level.range(names[0]) if len(names) == 2 else None  # noqa: PLR2004
                shape = shape or Shape(complete=False)
                self.steps.take(len(shape.columns))
                columns += shape.columns
                complete &= shape.complete
            else:
                columns.append((target.name or output_name(target.val), self._item(target.val, level, scope)))
        return self._shape(tuple(columns), complete=complete)

    def _item(self, node: Node, level: Level[M], scope: Scope[M]) -> M | None:
        self.steps.take()
        return self.item(node, level, scope)

    def _relation(self, reference: Node) -> Shape[M]:
        relation = self.relation_of(reference)
        if relation is None:
            return self.relation(None)
        if relation.key not in self._relations:
            self._relations[relation.key] = self.relation(relation)
        return self._relations[relation.key]

    def _source(self, item: Node, left: Level[M], scope: Scope[M]) -> Level[M]:
        """One item of FROM as a level of its own."""
        self.steps.take()
        kind = item.WhichOneof("node")
        if kind == "join_expr":
            return self._join(item.join_expr, left, scope)
        shape: Shape[M]
        if kind == "range_var":
            reference = item.range_var
            known = scope.queries.get(reference.relname) if not reference.schemaname else None
            shape = known if known is not None else self._relation(reference)
            return _ranged(reference.alias, shape, reference.relname)
        if kind == "range_subselect":
            subselect = item.range_subselect
            inner = replace(scope, outer=left) if subselect.lateral else scope
            return _ranged(subselect.alias, self.query(subselect.subquery.select_stmt, inner))
        self.other_source(item, left, scope)
        alias = getattr(getattr(item, kind), "alias", None) if kind else None
        return _ranged(alias, Shape(complete=False), _function_name(item))

    def _join(self, join: Node, left_of: Level[M], scope: Scope[M]) -> Level[M]:
        left = self._source(join.larg, left_of, scope)
        right = self._source(join.rarg, self._joined(left_of, left), scope)
        both = replace(self._joined(left, right), outer=scope.outer)
        using = [name.string.sval for name in join.using_clause]
        if join.is_natural:
            if not (left.columns.complete and right.columns.complete):
                self.equal("", None, None)
            using = [name for name, _ in left.columns.columns if right.columns.marks(name)]
        if using:
            both = replace(both, columns=self._merged(left.columns, right.columns, using))
        if join.HasField("quals"):
            self.condition(join.quals, both, scope)
        if join.HasField("alias"):
            # It hides the names of what it joins.
            return _ranged(join.alias, both.columns)
        if join.HasField("join_using_alias"):
            shape: Shape[M] = Shape(complete=False)
            both = replace(both, ranges=(*both.ranges, (join.join_using_alias.aliasname, shape)))
        return both

    def _merged(self, left: Shape[M], right: Shape[M], using: list[str]) -> Shape[M]:
        first: list[tuple[str, M | None]] = []
        for name in using:
            marks = left.marks(name)[:1] + right.marks(name)[:1]
            pair = marks if len(marks) == 2 else [None, None]  # noqa: PLR2004 - one of each side
            self.equal(name, pair[0], pair[1])
            first.append((name, pair[0] if pair[0] == pair[1] else None))
        merged = frozenset(using)
        rest = [column for side in (left, right) for column in side.columns if column[0] not in merged]
        return self._shape((*first, *rest), complete=left.complete and right.complete)


def _ranged(alias: Any, shape: Shape[M], name: str = "") -> Level[M]:
    if alias is not None and alias.aliasname:
        name = alias.aliasname
        shape = shape.renamed([column.string.sval for column in alias.colnames])
    return Level(((name, shape),), shape)


def _function_name(item: Node) -> str:
    """What a function in FROM goes by without an alias."""
    calls = [function.list.items[0] for function in item.range_function.functions]
    return str(calls[0].func_call.funcname[-1].string.sval) if calls and calls[0].func_call.funcname else ""


def reference_names(node: Node) -> list[str]:
    """The parts of a Node that is a ColumnRef, a star as "*"; empty for any other."""
    return next(own_references(node.column_ref)) if node.WhichOneof("node") == "column_ref" else []


def output_name(node: Node) -> str:
    """The name that PostgreSQL gives a column, function or cast in a select list; "" for other expressions."""
    named = node
    while named.WhichOneof("node") == "type_cast":
        named = named.type_cast.arg
    names = reference_names(named)
    if names:
        return names[-1]
    if named.WhichOneof("node") == "func_call":
        return str(named.func_call.funcname[-1].string.sval)
    return str(node.type_cast.type_name.names[-1].string.sval) if node.WhichOneof("node") == "type_cast" else ""


def queries(node: Node) -> Iterator[Node]:
    """The outermost SELECTs in an expression: of SubLinks, and of JSON_ARRAY(SELECT ...)."""
    if node.DESCRIPTOR.name == "SelectStmt":
        yield node
        return
    for descriptor, value in node.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else (value,):
                yield from queries(child)


def own_references(node: Node) -> Iterator[list[str]]:
    """The column references in an expression, as their parts; those inside its sub-SELECTs not."""
    kind = node.DESCRIPTOR.name
    if kind == "SelectStmt":
        return
    if kind == "ColumnRef":
        yield ["*" if part.WhichOneof("node") == "a_star" else part.string.sval for part in node.fields]
        return
    for descriptor, value in node.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else (value,):
                yield from own_references(child)
