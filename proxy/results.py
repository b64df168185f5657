"""Which limits hold for the rows that come next: those of the statement, portal or cursor that they are of.

A cursor's rows are one result, however many FETCHes read it, and so are a portal's.

It does not cut (`tally`), and does not know connections.
"""

from __future__ import annotations

from typing import Final

from proxy.conversation import Conversation, Entry, Note
from proxy.policy import parser
from proxy.policy.copying import is_on
from proxy.policy.plan import Plan, PlannedStatement
from proxy.policy.rules import StatementKind
from proxy.prepared import Statement
from proxy.tally import Result, Tally
from proxy.wire.replies import Request

_WRITES: Final = frozenset({StatementKind.INSERT, StatementKind.UPDATE, StatementKind.DELETE, StatementKind.MERGE})
"""What RETURNING shows of them has no LIMIT in the server, so it is counted here alone."""

TEXT, BINARY = 0, 1
"""COPY's formats, as CopyOutResponse gives them."""


def current(entry: Entry, note: Note, plan: Plan) -> tuple[int, PlannedStatement] | None:
    """Where in the text the statement stands whose replies come now, and the statement: the next one of a simple
    query, the only one of a portal. None where the server has answered all of them."""
    planned, at = plan.statements, 0
    if entry.request is Request.QUERY:
        at = note.completed
    while at < len(planned) and planned[at].kind is None:
        at += 1  # an empty statement, which nobody completes
    return (at, planned[at]) if at < len(planned) else None


def result_of(talk: Conversation, entry: Entry, copy_format: int | None = None) -> Result | None:
    """The result that begins now, or None where no limit holds for it. `copy_format`: it is a COPY's."""
    note, statement = entry.note, None if entry.note is None else entry.note.statement
    if note is None or statement is None:
        return None
    found = current(entry, note, statement.plan)
    if found is None:
        return None
    at, planned = found
    tally = _tally(talk, statement, planned)
    if tally is None:
        return None
    if copy_format is None:
        return Result(tally)
    head = 1 if copy_format == TEXT and _has_header(statement.plan.sql, at) else 0
    return Result(tally, binary=copy_format == BINARY, head=head)


def tally_of(plan: Plan, planned: PlannedStatement | None = None) -> Tally | None:
    """What a new portal or cursor may show; None where no limit holds. `planned`: of the text, or else the first."""
    planned = planned or next((p for p in plan.statements if p.kind is not None), None)
    limits = plan.limits
    if limits is None or planned is None:
        return None
    rows = limits.max_rows if planned.kind in _WRITES else planned.max_rows
    return Tally(rows, limits.max_bytes) if rows is not None or limits.max_bytes is not None else None


def _tally(talk: Conversation, statement: Statement, planned: PlannedStatement) -> Tally | None:
    effect = planned.effect
    if effect is not None and effect.kind == "fetch":
        cursor = None if effect.name is None else talk.prepared.portal(effect.name)
        if cursor is not None:
            if cursor.tally is not None and effect.local:
                cursor.tally.scroll()
            return cursor.tally
    return statement.tally or tally_of(statement.plan, planned)


def _has_header(sql: str, at: int) -> bool:
    """Whether the COPY at this place of the text begins with a line of names.
    https://www.postgresql.org/docs/current/sql-copy.html"""
    statement = parser.parse(sql).stmts[at].stmt
    if statement.WhichOneof("node") != "copy_stmt":
        return False
    return any(o.def_elem.defname == "header" and is_on(o.def_elem) for o in statement.copy_stmt.options)
