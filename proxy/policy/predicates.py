"""`predicates: deny`: whether a statement uses a column for anything but showing it.

Such a column may be a bare item of a select list, or stand under a star there. A condition, a join, a group, an order,
a function, an operator or a cast of it is a use, and so is what follows it under another name through sub-SELECTs, WITH
and set operations. What would be compared is masked in any case: this keeps people from believing an answer that masked
values gave them, so it errs on the side of finding a use.

It looks at names, before relations are replaced. What it cannot follow is no use; what it does not follow because it is
too large is not answered at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from proxy.policy import parser
from proxy.policy.catalog import Relation
from proxy.policy.ranges import Level, RelationOf, Scope, Shape, Walk, own_references, reference_names
from proxy.policy.steps import TooLarge

Node = Any
Names = Level[str]

Denied = Callable[[Relation], frozenset[str]]
"""The columns of a relation that may only be shown."""


@dataclass(frozen=True, slots=True)
class Use:
    """A denied column, as schema.table.column, and where it is used: bytes from 0, or -1."""

    column: str
    location: int


def denied_use(select: Node, relation_of: RelationOf, denied: Denied) -> Use | None:
    """The first use of a denied column in a SELECT, or None.

    Args:
        select: the outermost SELECT, before any relation in it is replaced.

    Raises:
        TooLarge: it was not followed to its end.
    """
    try:
        _Uses(relation_of, denied).query(select, Scope())
    except _Found as found:
        return found.use
    return None


class _Found(Exception):  # noqa: N818 - an answer, and no fault
    def __init__(self, column: str, location: int = -1) -> None:
        super().__init__()
        self.use = Use(column, location)


class _Uses(Walk[str]):
    """Raises _Found at a use. A mark is the full name of the denied column that a column shows; None is no mark."""

    def __init__(self, relation_of: RelationOf, denied: Denied) -> None:
        super().__init__(relation_of)
        self._denied = denied

    def relation(self, relation: Relation | None) -> Shape[str]:
        if relation is None:
            return Shape(complete=False)
        denied = self._denied(relation)
        columns = [(c.name, f"{relation.qualified}.{c.name}" if c.name in denied else None) for c in relation.columns]
        return Shape(tuple(columns))

    def condition(self, node: Node, level: Names, scope: Scope[str], *, having: bool = False) -> None:
        del having
        self._require_unused(node, level, scope)

    def equal(self, name: str, left: str | None, right: str | None) -> None:
        del name
        _raise_for(left or right)

    def item(self, node: Node, level: Names, scope: Scope[str]) -> str | None:
        names = reference_names(node)
        if not names or self._row(names, level):
            self._require_unused(node, level, scope)
            return None
        return next(self._marks(names, level), None)

    def clauses(self, select: Node, level: Names, scope: Scope[str], output: Shape[str]) -> None:
        distinct = bool(select.distinct_clause) and select.distinct_clause[0].WhichOneof("node") is None
        if distinct:
            _raise_for(*(mark for _, mark in output.columns))
        for part in select.distinct_clause:
            if part.WhichOneof("node") is not None:
                self._key(part, level, scope, output)
        for part in select.group_clause:
            self._key(part, level, scope, output)
        for part in select.sort_clause:
            self._key(part.sort_by.node, level, scope, output)
        for part in select.window_clause:
            self._require_unused(part, level, scope)
        for name in ("limit_count", "limit_offset"):
            if select.HasField(name):
                self._require_unused(getattr(select, name), level, scope)

    def other_source(self, item: Node, level: Names, scope: Scope[str]) -> None:
        self._require_unused(item, level, scope)

    def merged(self, select: Node, left: Shape[str], right: Shape[str]) -> Shape[str]:
        if not (select.op == parser.nodes.SETOP_UNION and select.all):
            _raise_for(*(mark for _, mark in (*left.columns, *right.columns)))
        others = [mark for _, mark in right.columns] + [None] * len(left.columns)
        pairs = zip(left.columns, others, strict=False)
        return Shape(tuple((name, mark or other) for (name, mark), other in pairs), left.complete and right.complete)

    def listed(self, marks: list[str | None]) -> str | None:
        return next((mark for mark in marks if mark is not None), None)

    def dropped(self, columns: tuple[tuple[str, str | None], ...]) -> None:
        if any(mark is not None for _, mark in columns):
            raise TooLarge

    # Expressions

    def _key(self, node: Node, level: Names, scope: Scope[str], output: Shape[str]) -> None:
        """An item of ORDER BY, GROUP BY or DISTINCT ON: an expression, the name of an output, or its number."""
        if node.WhichOneof("node") == "a_const" and node.a_const.HasField("ival"):
            at = node.a_const.ival.ival - 1
            if 0 <= at < len(output.columns):
                _raise_for(output.columns[at][1])
            return
        names = reference_names(node)
        if len(names) == 1:
            _raise_for(*output.marks(names[0]), location=node.column_ref.location)
        self._require_unused(node, level, scope)

    def _require_unused(self, node: Node, level: Names, scope: Scope[str]) -> None:
        references, selects = _parts(node)
        for reference in references:
            names = next(own_references(reference))
            _raise_for(*self._marks(names, level), *self._row(names, level), location=reference.location)
        for select, location, is_exists in selects:
            output = self.query(select, Scope(scope.queries, level))
            if not is_exists:
                _raise_for(*(mark for _, mark in output.columns), location=location)

    def _marks(self, names: list[str], level: Names) -> Iterator[str]:
        # schema.table.column: whatever goes by the table's name.
        return (mark for mark in level.marks(names[-2:]) if mark is not None)

    def _row(self, names: list[str], level: Names) -> list[str]:
        """The denied columns in a whole row, as `emp` or `emp.*`; a column of that name comes first."""
        if names[-1] == "*":
            names = names[:-1]
        elif len(names) > 1 or level.marks(names):
            return []
        shape = level.range(names[-1]) if names else level.columns
        if shape is None:
            return []
        self.steps.take(len(shape.columns))
        return [mark for _, mark in shape.columns if mark is not None]


def _raise_for(*marks: str | None, location: int = -1) -> None:
    found = next((mark for mark in marks if mark is not None), None)
    if found is not None:
        raise _Found(found, location)


def _parts(node: Node) -> tuple[list[Node], list[tuple[Node, int, bool]]]:
    """The ColumnRefs in an expression, and its outermost SELECTs: each with its place, and whether it is only asked if
    it has rows."""
    references = []
    selects = []
    waiting = [node]
    while waiting:
        found = waiting.pop()
        kind = found.DESCRIPTOR.name
        if kind == "ColumnRef":
            references.append(found)
        elif kind == "SelectStmt":
            selects.append((found, -1, False))
        elif kind == "SubLink":
            is_exists = found.sub_link_type == parser.nodes.EXISTS_SUBLINK
            selects.append((found.subselect.select_stmt, found.location, is_exists))
            waiting.append(found.testexpr)
        else:
            for descriptor, value in found.ListFields():
                if descriptor.message_type is not None:
                    waiting.extend(value if descriptor.is_repeated else (value,))
    return references, selects
