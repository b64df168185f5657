"""Which columns of a view show masked values because its definition reads masked columns.

The veil itself does not need to know: it rewrites the definition. What is told about a view does: a model's schema, the
columns that may be searched for a question's words. So this errs on the side of calling a column masked.

It follows names, not columns: an output whose expression uses a masked name, under whatever alias, counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.policy import parser
from proxy.policy.catalog import Name

Node = Any


def derived_columns(definition: str, columns: tuple[str, ...], masked: frozenset[str]) -> frozenset[str]:
    """The view's columns whose expressions use a name of `masked`; all of them where that cannot be told.

    Args:
        definition: the view's SELECT, as pg_get_viewdef writes it: every output has its name, and no star is left.
        columns: the view's columns, in order.
        masked: names of masked columns of the relations that it reads.
    """
    if not masked:
        return frozenset()
    try:
        select = parser.parse(definition).stmts[0].stmt.select_stmt
    except parser.SyntaxProblem:
        return frozenset(columns)
    if any(_renames(node) for node in parser.nodes_of(select)):
        return frozenset(columns)
    names = _closure(select, masked)
    found: set[str] = set()
    for part in _leaves(select):
        if len(part.target_list) != len(columns):
            return frozenset(columns)
        found |= {c for c, target in zip(columns, part.target_list, strict=True) if _uses(target, names)}
    return frozenset(found)


def passed_through(definition: str, columns: tuple[str, ...]) -> dict[str, tuple[Name, str]]:
    """The view's columns that are a relation's column as it is, to that relation and column.

    Only what can be told from a single SELECT over relations with schemas is in it, as pg_get_viewdef writes them.
    """
    try:
        select = parser.parse(definition).stmts[0].stmt.select_stmt
    except parser.SyntaxProblem:
        return {}
    if select.HasField("larg") or select.HasField("with_clause") or len(select.target_list) != len(columns):
        return {}
    ranges = dict(_ranges(select.from_clause))
    found = {}
    for column, target in zip(columns, select.target_list, strict=True):
        names = [field.string.sval for field in target.res_target.val.column_ref.fields]
        source = ranges.get(names[0]) if len(names) == 2 else None  # noqa: PLR2004 - alias.column
        if len(names) == 1 and len(ranges) == 1:
            source = next(iter(ranges.values()))
        if source is not None and names[-1]:
            found[column] = (source, names[-1])
    return found


def _ranges(items: Node) -> Iterator[tuple[str, Name | None]]:
    """Alias to relation, for every entry of FROM; None for one that is no relation."""
    for item in items:
        kind = item.WhichOneof("node")
        if kind == "range_var":
            reference = item.range_var
            plain = bool(reference.schemaname) and not reference.alias.colnames
            yield (
                reference.alias.aliasname or reference.relname,
                ((reference.schemaname, reference.relname) if plain else None),
            )
        elif kind == "join_expr":
            join = item.join_expr
            yield from _ranges((join.larg, join.rarg))
            if join.HasField("alias") or join.using_clause or join.is_natural:
                yield join.alias.aliasname or "", None
        else:
            yield "", None


def reads_whole_rows(definition: str) -> bool:
    """Whether a row is used as a whole somewhere: PostgreSQL records no dependency on its columns then."""
    try:
        tree = parser.parse(definition)
    except parser.SyntaxProblem:
        return True
    return any(node.DESCRIPTOR.name == "A_Star" for node in parser.nodes_of(tree))


def expression_uses(expression: str, names: frozenset[str]) -> bool:
    """Whether an expression refers to a column of one of these names; True where it cannot be read."""
    try:
        tree = parser.parse(f"SELECT {expression}")
    except parser.SyntaxProblem:
        return True
    return _uses(tree, names)


def _closure(select: Node, masked: frozenset[str]) -> frozenset[str]:
    """The masked names, and every alias that an expression over one of them was given anywhere."""
    targets = [node for node in parser.nodes_of(select) if node.DESCRIPTOR.name == "ResTarget" and node.name]
    names = masked
    while True:
        more = names | {target.name for target in targets if _uses(target, names)}
        if more == names:
            return names
        names = more


def _uses(target: Node, names: frozenset[str]) -> bool:
    """Whether a reference below names one of them, or is a star: pg_get_viewdef writes a whole row as `alias.*`."""
    references = (node for node in parser.nodes_of(target) if node.DESCRIPTOR.name == "ColumnRef")
    return any(
        field.WhichOneof("node") == "a_star" or field.string.sval in names
        for reference in references
        for field in reference.fields[-1:]
    )


def _renames(node: Node) -> bool:
    """A list of column aliases: names mean something else behind it."""
    kind = node.DESCRIPTOR.name
    return (kind == "Alias" and len(node.colnames) > 0) or (kind == "CommonTableExpr" and len(node.aliascolnames) > 0)


def _leaves(select: Node) -> Iterator[Node]:
    """The SELECTs of a set operation."""
    if select.HasField("larg"):
        yield from _leaves(select.larg)
        yield from _leaves(select.rarg)
    else:
        yield select
