"""Which parts of a text have a price, as PostgreSQL can be asked for it: EXPLAIN takes queries, not COPY or PREPARE.

What runs now, what a cursor or a temporary table will read, and what a prepared statement will run each time.

It does not know how the server is asked (`feed`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.limits import NO_PRICE, too_dear
from proxy.policy import parser
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import StatementKind
from proxy.ports import PRICED_NAME, Price, Priced
from proxy.prepared import Statement

_FREE = frozenset({None, StatementKind.TRANSACTION, StatementKind.SET, StatementKind.SHOW})

_QUERIES = frozenset({"select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"})
_HOLDERS = frozenset({"declare_cursor_stmt", "create_table_as_stmt", "explain_stmt", "copy_stmt"})
"""Statements with a query inside."""


async def over_cost(price: Price | None, statement: Statement, limit: float) -> Refusal | None:
    """The refusal of a statement that would cost more than `limit`, or whose cost nobody could say in time.

    A query that the server does not know goes on: it says what is wrong itself.
    """
    for part in priced_parts(statement.plan, statement.path, statement.types or ()):
        if price is None:
            return NO_PRICE
        try:
            cost = await price(part)
        except TimeoutError:
            return NO_PRICE
        if cost is not None and cost > limit:
            return too_dear(limit)
    return None


def priced_parts(plan: Plan, search_path: tuple[str, ...], types: tuple[int, ...]) -> list[Priced]:
    """The queries of the planned text; `types` are those that its Parse declared."""
    if all(planned.kind in _FREE for planned in plan.statements):
        return []
    found: list[Priced] = []
    for raw in parser.parse(plan.sql).stmts:
        for text, prepares in _texts(raw.stmt):
            found.append(Priced(text, search_path, types, prepares=prepares))
    return found


def _texts(wrapper: Any) -> Iterator[tuple[str, bool]]:
    """Each query of a statement as text, and whether that is a PREPARE."""
    name = wrapper.WhichOneof("node")
    if name in _QUERIES:
        yield _text(wrapper), False
    elif name == "prepare_stmt":
        named = parser.nodes.Node.FromString(wrapper.SerializeToString())
        named.prepare_stmt.name = PRICED_NAME
        yield _text(named), True
    elif name == "explain_stmt" and not _runs(wrapper.explain_stmt):
        return
    elif name == "copy_stmt" and wrapper.copy_stmt.HasField("relation"):
        if not wrapper.copy_stmt.is_from:
            yield _text(_whole_table(wrapper.copy_stmt.relation)), False
    elif name in _HOLDERS and getattr(wrapper, name).HasField("query"):
        yield from _texts(getattr(wrapper, name).query)


def _runs(explain: Any) -> bool:
    """EXPLAIN ANALYZE, whatever value it gives to the option."""
    return any(option.def_elem.defname == "analyze" for option in explain.options)


def _whole_table(relation: Any) -> Any:
    tree = parser.parse("SELECT * FROM t")
    statement = tree.stmts[0].stmt
    statement.select_stmt.from_clause[0].range_var.CopyFrom(relation)
    return statement


def _text(wrapper: Any) -> str:
    tree = parser.nodes.ParseResult()
    tree.stmts.add().stmt.CopyFrom(wrapper)
    return parser.deparse(tree)
