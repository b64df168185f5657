"""GROUP BY a primary key, kept working over a masked view.

PostgreSQL lets a statement that groups by a table's primary key use the table's other columns, since there is one row a
group (https://www.postgresql.org/docs/current/sql-select.html#SQL-GROUPBY). It knows that of tables, not of subqueries.
So the other columns are added to the list: groups stay what they were, and the planner drops the additions again once
it has pulled the subquery up.

A column of a grouping set beside the key is not added: it is there in some of the sets and NULL in the others. It does
not look for keys in grouping sets, or at keys that are masked themselves: those stay as they were written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proxy.policy import parser
from proxy.policy.catalog import Relation

Node = Any

# Types without an equality that GROUP BY could use.
_UNGROUPABLE = ("json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "refcursor", "pg_")


@dataclass(frozen=True, slots=True)
class Source:
    """A masked relation in the FROM of one SELECT, under the name that its columns go by there."""

    alias: str
    relation: Relation
    masked: frozenset[str] = frozenset()


def complete_groups(select: Node, sources: list[Source], used: set[str]) -> bool:
    """Adds the columns that a grouped primary key determines, in place. True where there were any.

    Args:
        used: the names of all columns that stand above the groups; `*` for a star, an alias for a whole row.
    """
    before = len(select.group_clause)
    grouped = [_grouped_column(item, select) for item in select.group_clause]
    in_sets = [_grouped_column(item, select) for item in _of_sets(select.group_clause)]
    for source in sources:
        key = source.relation.primary_key
        if not key or source.masked & set(key) or not _needs_more(source, [*grouped, *in_sets], used, sources):
            continue
        if all(_is_grouped(source, column, grouped, sources) for column in key):
            for column in source.relation.columns:
                if column.name in key or _is_grouped(source, column.name, in_sets, sources):
                    continue
                if _is_groupable(column.type_name):
                    reference = select.group_clause.add().column_ref
                    reference.fields.add().string.sval = source.alias
                    reference.fields.add().string.sval = column.name
                    reference.location = -1
    return len(select.group_clause) > before


def _is_groupable(type_name: str) -> bool:
    return type_name.startswith("jsonb") or not type_name.startswith(_UNGROUPABLE)


def _needs_more(source: Source, grouped: list[list[str]], used: set[str], sources: list[Source]) -> bool:
    """Whether the SELECT may refer to a column of the source that it does not group by."""
    return bool(used & {"*", source.alias}) or any(
        column.name in used and not _is_grouped(source, column.name, grouped, sources)
        for column in source.relation.columns
    )


def _grouped_column(item: Node, select: Node) -> list[str]:
    """The names of a grouped column reference; a number stands for an item of the select list."""
    kind = item.WhichOneof("node")
    if kind == "a_const" and item.a_const.WhichOneof("val") == "ival":
        position = item.a_const.ival.ival
        if 0 < position <= len(select.target_list):
            return _grouped_column(select.target_list[position - 1].res_target.val, parser.nodes.SelectStmt())
    if kind != "column_ref":
        return []
    return [field.string.sval for field in item.column_ref.fields]


def _of_sets(items: Node) -> Iterator[Node]:
    """The items of the grouping sets in a list, those of `(a, b)` in one of them one by one."""
    for item in items:
        if item.WhichOneof("node") == "grouping_set":
            for inner in item.grouping_set.content:
                yield from _members(inner)


def _members(item: Node) -> Iterator[Node]:
    kind = item.WhichOneof("node")
    if kind == "grouping_set":
        yield from _of_sets((item,))
    elif kind == "row_expr":
        for inner in item.row_expr.args:
            yield from _members(inner)
    else:
        yield item


def _is_grouped(source: Source, column: str, grouped: list[list[str]], sources: list[Source]) -> bool:
    if [source.alias, column] in grouped or [source.relation.schema, source.alias, column] in grouped:
        return True
    alone = sum(1 for other in sources if other.relation.column(column)) == 1
    return alone and [column] in grouped
