"""One side's answer to a statement, byte by byte, and what it takes for two of them to be the same.

It does not know the veil: `oracle` says which statement goes where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

import psycopg
from psycopg import pq

NUMERIC, FLOAT, RECORD, RECORDS = 1700, 701, 2249, 2287
"""Type OIDs: https://www.postgresql.org/docs/current/catalog-pg-type.html"""
TOO_LONG: Final = frozenset({"57014", "54000", "53200", "54001"})
"""What is about time and space, and not about the statement."""

_LET_THROUGH: Final = (pq.DiagnosticField.MESSAGE_PRIMARY, pq.DiagnosticField.MESSAGE_HINT)
TIMEOUT_MS: Final = 2000
"""Of one statement."""

Cells = tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns as (name, type OID, modifier), and rows of text; or an error. COPY's lines are rows of one cell."""

    columns: tuple[tuple[bytes, int, int], ...] = ()
    rows: tuple[Cells, ...] = ()
    sqlstate: str = ""
    message: str = ""
    tag: str = ""
    spoken: bytes = b""
    """All that came besides rows: every field of an error, and notices."""

    @property
    def took_too_long(self) -> bool:
        return self.sqlstate in TOO_LONG

    @property
    def text(self) -> bytes:
        """Everything that it says, in lower case."""
        cells = (cell for row in self.rows for cell in row if cell is not None)
        names = (name for name, _, _ in self.columns)
        return b"\n".join((*cells, *names, self.message.encode(), self.spoken)).lower()


class Line:
    """A connection that gives Answers.

    Args:
        everything: what is spoken are all fields of errors and notices; else those that the veil lets through.
    """

    def __init__(self, dsn: str, *, everything: bool = False) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True, options=f"-c statement_timeout={TIMEOUT_MS}")
        self._pg = self._connection.pgconn
        self._fields = tuple(pq.DiagnosticField) if everything else _LET_THROUGH
        self._notices: list[bytes] = []
        self._pg.notice_handler = lambda result: self._notices.append(self._said(result))

    def close(self) -> None:
        self._connection.close()

    def ask(self, sql: str, parameters: Sequence[str] = ()) -> Answer:
        """One statement; with parameters by the extended protocol, their types left to the server."""
        self._notices.clear()
        if parameters:
            result = self._pg.exec_params(sql.encode(), [value.encode() for value in parameters])
        else:
            result = self._pg.exec_(sql.encode())
        if result.status == pq.ExecStatus.COPY_OUT:
            return self._copied()
        return self._answer(result)

    def tidy(self) -> None:
        """Leaves nothing of a case behind."""
        self._pg.exec_(b"ROLLBACK")
        self._pg.exec_(b"DEALLOCATE ALL")
        self._pg.exec_(b"CLOSE ALL")

    def _said(self, result: pq.abc.PGresult) -> bytes:
        return b"\n".join(result.error_field(field) or b"" for field in self._fields)

    def _copied(self) -> Answer:
        lines: list[Cells] = []
        while True:
            size, data = self._pg.get_copy_data(0)
            if size < 0:
                break
            lines.append((bytes(data),))
        last = Answer()
        while (result := self._pg.get_result()) is not None:
            last = self._answer(result)
        return Answer((), tuple(lines), last.sqlstate, last.message, last.tag, last.spoken)

    def _answer(self, result: pq.abc.PGresult) -> Answer:
        if result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE):
            state = result.error_field(pq.DiagnosticField.SQLSTATE) or b"?????"
            message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""
            spoken = b"\n".join((self._said(result), *self._notices))
            return Answer(sqlstate=state.decode(), message=message.decode(), spoken=spoken)
        columns = tuple((result.fname(i) or b"", result.ftype(i), result.fmod(i)) for i in range(result.nfields))
        rows = tuple(
            tuple(result.get_value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)
        )
        tag = (result.command_status or b"").decode()
        return Answer(columns, rows, tag=tag, spoken=b"\n".join(self._notices))


def difference(got: Answer, wanted: Answer, *, ordered: bool, row_types: frozenset[int]) -> str | None:
    """How two answers differ, in words; None where they are the same.

    Args:
        ordered: the order of rows counts too.
        row_types: OIDs of the row types that a masked view does not have: an anonymous record stands for each.
    """
    if got.sqlstate != wanted.sqlstate:
        return f"{got.sqlstate or 'rows'} ({got.message}) instead of {wanted.sqlstate or 'rows'} ({wanted.message})"
    if got.sqlstate:
        return None
    found = _other_columns(got, wanted, row_types)
    if found is not None:
        return found
    if got.tag != wanted.tag:
        return f"{got.tag} instead of {wanted.tag}"
    first, second = (_comparable(answer) for answer in (got, wanted))
    if sorted(first, key=_key) != sorted(second, key=_key):
        return "other rows"
    if ordered and first != second:
        return "another order of rows"
    return None


def _other_columns(got: Answer, wanted: Answer, row_types: frozenset[int]) -> str | None:
    if [name for name, _, _ in got.columns] != [name for name, _, _ in wanted.columns]:
        return f"other names of columns: {[c[0] for c in got.columns]} instead of {[c[0] for c in wanted.columns]}"
    for (name, kind, modifier), (_, other_kind, other_modifier) in zip(got.columns, wanted.columns, strict=True):
        if kind != other_kind and not (other_kind in row_types and kind in (RECORD, RECORDS)):
            return f"column {name.decode()} has another type: {kind} instead of {other_kind}"
        if modifier != other_modifier:
            return f"column {name.decode()} has another modifier: {modifier} instead of {other_modifier}"
    return None


def _comparable(answer: Answer) -> list[Cells]:
    """Rows with numbers in one spelling: which of 1.0 and 1.00 stands for a group is nobody's promise."""
    types = [kind for _, kind, _ in answer.columns]
    if not {NUMERIC, FLOAT} & set(types):
        return list(answer.rows)
    return [
        tuple(_number(cell) if kind in (NUMERIC, FLOAT) else cell for cell, kind in zip(row, types, strict=True))
        for row in answer.rows
    ]


def _number(cell: bytes | None) -> bytes | None:
    if cell is None:
        return None
    try:
        return str(Decimal(cell.decode()).normalize()).encode()
    except InvalidOperation:
        return cell


def _key(row: Cells) -> tuple[tuple[bool, bytes], ...]:
    return tuple((cell is None, cell or b"") for cell in row)
