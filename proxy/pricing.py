"""Which parts of a text have a price, as PostgreSQL can be asked for it: EXPLAIN takes queries, not COPY or PREPARE.

What runs now, what a cursor or a temporary table will read, and what a prepared statement will run each time.

It does not know how the server is asked (`feed`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.limits import NO_PRICE, too_dear, unpriced
from proxy.policy import parser
from proxy.policy.rules import StatementKind
from proxy.ports import PRICED_NAME, Price, Priced, UnpricedError
from proxy.prepared import Statement
from proxy.refusals import refusal_response
from proxy.scrub import nowhere, scrub_error
from proxy.wire.messages import ErrorResponse

_FREE = frozenset({None, StatementKind.TRANSACTION, StatementKind.SET, StatementKind.SHOW})

_QUERIES = frozenset({"select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"})
_TEMPORARY = "pg_temp"
_NOT_ALLOWED = "42501"
"""Of the proxy's own account it says nothing about the session's."""
_HOLDERS = frozenset({"declare_cursor_stmt", "create_table_as_stmt", "explain_stmt", "copy_stmt"})
"""Statements with a query inside."""


async def over_cost(
    price: Price | None, statement: Statement, limit: float, user: str, settings: Mapping[str, str]
) -> ErrorResponse | None:
    """The refusal of a statement that would cost more than `limit`, or whose cost nobody could say.

    `settings` are those that constants are read by; `user` waits. A query over temporary tables goes on without a
    price. What is wrong with a query is told in PostgreSQL's words: it may not run to hear them from the server.
    """
    for part in priced_parts(statement, user, tuple(settings.items())):
        if price is None:
            return refusal_response(NO_PRICE)
        try:
            cost = await price(part)
        except TimeoutError:
            return refusal_response(NO_PRICE)
        except UnpricedError as unknown:
            return _told(unknown.error)
        if cost is not None and cost > limit:
            return refusal_response(too_dear(limit))
    return None


def priced_parts(statement: Statement, user: str, settings: tuple[tuple[str, str], ...]) -> list[Priced]:
    """The queries of the planned text."""
    plan, types = statement.plan, statement.types or ()
    if all(planned.kind in _FREE for planned in plan.statements):
        return []
    found: list[Priced] = []
    for raw in parser.parse(plan.sql).stmts:
        for text, prepares in _texts(raw.stmt):
            temporary = _names_temporary(raw.stmt)
            found.append(Priced(text, statement.path, types, prepares, temporary, settings, user))
    return found


def _told(error: ErrorResponse) -> ErrorResponse:
    """The server's own error where it is about the query, and would be the same in the session: a name or a type."""
    if error.sqlstate.startswith("42") and error.sqlstate != _NOT_ALLOWED:
        return scrub_error(error, nowhere)
    return refusal_response(unpriced(error.sqlstate))


def _names_temporary(statement: Any) -> bool:
    """The veil writes their schema out."""
    references = (node for node in parser.nodes_of(statement) if node.DESCRIPTOR.name == "RangeVar")
    return any(reference.schemaname == _TEMPORARY for reference in references)


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
