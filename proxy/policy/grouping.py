"""GROUP BY a primary key, kept working over a masked view.

PostgreSQL lets a statement that groups by a table's primary key use the table's other columns, since there is one row a
group (https://www.postgresql.org/docs/current/sql-select.html#SQL-GROUPBY). It knows that of tables, not of subqueries.
So the other columns are added to the list: groups stay what they were, and the planner drops the additions again once
it has pulled the subquery up.

It does not look into grouping sets, or at keys that are masked themselves: those stay as they were written.
"""

from __future__ import annotations

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
    for source in sources:
        key = source.relation.primary_key
        if not key or source.masked & set(key) or not _needs_more(source, grouped, used):
            continue
        if all(_is_grouped(source, column, grouped, sources) for column in key):
            for column in source.relation.columns:
                if column.name not in key and _is_groupable(column.type_name):
                    reference = select.group_clause.add().column_ref
                    reference.fields.add().string.sval = source.alias
                    reference.fields.add().string.sval = column.name
                    reference.location = -1
    return len(select.group_clause) > before


def _is_groupable(type_name: str) -> bool:
    return type_name.startswith("jsonb") or not type_name.startswith(_UNGROUPABLE)


def _needs_more(source: Source, grouped: list[list[str]], used: set[str]) -> bool:
    """Whether the SELECT may refer to a column of the source that it does not group by."""
    listed = {names[-1] for names in grouped if names}
    return bool(used & {"*", source.alias}) or any(
        column.name in used and column.name not in listed for column in source.relation.columns
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


def _is_grouped(source: Source, column: str, grouped: list[list[str]], sources: list[Source]) -> bool:
    if [source.alias, column] in grouped or [source.relation.schema, source.alias, column] in grouped:
        return True
    alone = sum(1 for other in sources if other.relation.column(column)) == 1
    return alone and [column] in grouped
