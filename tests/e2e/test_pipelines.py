"""libpq's pipeline mode, by psycopg's own pipelines and message by message: the same bytes as without the proxy."""

from __future__ import annotations

import ctypes
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg_binary
import pytest
from client_kinds import PATIENCE, Place
from client_stage import Stage, assert_masked, assert_same
from psycopg import pq

PEOPLE = "SELECT id, ssn, email FROM hr.emp WHERE id = %s"


def connect(place: Place, **options: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(place.dsn, **{"autocommit": True, **options})


# psycopg's own.


def plain(place: Place) -> list[str]:
    with connect(place) as connection, connection.pipeline():
        cursors = [connection.execute(PEOPLE, (number,)) for number in range(1, 40)]
        return [repr(cursor.fetchall()) for cursor in cursors]


def prepared(place: Place) -> list[str]:
    with connect(place, prepare_threshold=0) as connection:
        lines = []
        for _ in range(3):
            with connection.pipeline():
                cursors = [connection.execute(PEOPLE, (number,), binary=True) for number in range(1, 6)]
            lines += [repr(cursor.fetchall()) for cursor in cursors]
        return lines


def nested(place: Place) -> list[str]:
    with connect(place) as connection, connection.pipeline() as outer:
        first = connection.execute(PEOPLE, (1,))
        with connection.pipeline() as inner:
            second = connection.execute(PEOPLE, (2,))
            inner.sync()
            third = connection.execute(PEOPLE, (3,))
        outer.sync()
        outer.sync()
        fourth = connection.execute(PEOPLE, (4,))
        return [repr(cursor.fetchall()) for cursor in (first, second, third, fourth)]


def transactions(place: Place) -> list[str]:
    lines = []
    with connect(place, autocommit=False) as connection:
        with connection.pipeline():
            lines.append(repr(connection.execute(PEOPLE, (1,)).fetchall()))
            with connection.transaction():
                lines.append(repr(connection.execute(PEOPLE, (2,)).fetchall()))
            try:
                with connection.transaction():
                    connection.execute("SELECT 1 / 0").fetchall()
            except psycopg.errors.DivisionByZero as error:
                lines.append(str(error.diag.message_primary))
            lines.append(repr(connection.execute(PEOPLE, (3,)).fetchall()))
        lines.append(connection.info.transaction_status.name)
        connection.rollback()
        with connection.pipeline(), connection.cursor() as cursor:
            cursor.executemany(PEOPLE, [(number,) for number in range(1, 9)], returning=True)
            lines += [repr(found.fetchall()) for found in cursor.results()]
    return lines


# What psycopg never sends, with libpq's functions for it.


def _send_sync(connection: Any) -> None:
    """PQsendPipelineSync (libpq 17): a Sync that is not flushed."""
    (library,) = (Path(psycopg_binary.__file__).parents[1] / "psycopg_binary.libs").glob("libpq-*.so*")
    send = ctypes.CDLL(str(library)).PQsendPipelineSync
    send.argtypes = [ctypes.c_void_p]
    assert send(connection.pgconn_ptr) == 1


def _results(connection: pq.abc.PGconn, syncs: int) -> Iterator[str]:
    """A line for each result, up to the last of so many syncs. None ends a statement."""
    connection.nonblocking = 1
    connection.flush()
    while syncs:
        while connection.is_busy():
            assert select.select([connection.socket], [], [], PATIENCE)[0]
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            yield "."
            continue
        status = pq.ExecStatus(result.status)
        syncs -= status == pq.ExecStatus.PIPELINE_SYNC
        rows = [[result.get_value(row, i) for i in range(result.nfields)] for row in range(result.ntuples)]
        fields = pq.DiagnosticField
        wrong = [result.error_field(f) for f in (fields.SQLSTATE, fields.MESSAGE_PRIMARY, fields.STATEMENT_POSITION)]
        transaction = pq.TransactionStatus(connection.transaction_status).name
        yield f"{status.name} {result.command_status!r} {rows} {wrong} {transaction}"


def _piped(place: Place, send: Callable[[pq.abc.PGconn], int]) -> list[str]:
    """`send` sends, and says how many syncs it sent."""
    with connect(place) as connection:
        raw = connection.pgconn
        raw.enter_pipeline_mode()
        lines = list(_results(raw, send(raw)))
        raw.exit_pipeline_mode()
        lines.append(pq.TransactionStatus(raw.transaction_status).name)
    return lines


ONE = b"SELECT id, ssn, email FROM hr.emp WHERE id = $1"


def _statements(raw: pq.abc.PGconn) -> int:
    raw.send_prepare(b"one", ONE, [23])
    raw.send_describe_prepared(b"one")
    for number in (b"1", b"2"):
        raw.send_query_prepared(b"one", [number], result_format=1)
    raw.send_flush_request()
    raw.send_query_params(b"", [])
    raw.send_query_params(b"SELECT $1::text AS back, $2::int", [b"\xe2\x98\x83", None])
    raw.pipeline_sync()
    raw.pipeline_sync()
    raw.send_query_prepared(b"one", [b"3"])
    raw.send_close_prepared(b"one")
    raw.send_query_prepared(b"one", [b"4"])
    raw.send_query_params(b"SELECT 1", [])
    raw.pipeline_sync()
    raw.send_query_params(b"SELECT 2", [])
    raw.pipeline_sync()
    return 4


def _syncs_unflushed(raw: pq.abc.PGconn) -> int:
    for number in range(1, 6):
        raw.send_query_params(ONE if number != 3 else b"SELECT 1 / 0", [b"%d" % number] if number != 3 else [])
        _send_sync(raw)
    return 5


def _implicit_transaction(raw: pq.abc.PGconn) -> int:
    """Up to a Sync everything is one transaction, unless there is a COMMIT inside."""
    raw.send_query_params(b"SELECT 1", [])
    raw.send_query_params(b"SET LOCAL work_mem = '8MB'", [])
    raw.send_query_params(b"SHOW work_mem", [])
    raw.pipeline_sync()
    raw.send_query_params(b"SHOW work_mem", [])
    raw.send_query_params(b"BEGIN", [])
    raw.send_query_params(b"SAVEPOINT a", [])
    raw.pipeline_sync()
    raw.send_query_params(b"SELECT 1 / 0", [])
    raw.pipeline_sync()
    raw.send_query_params(b"SELECT 1", [])
    raw.pipeline_sync()
    raw.send_query_params(b"ROLLBACK TO a", [])
    raw.send_query_params(ONE, [b"7"])
    raw.send_query_params(b"COMMIT", [])
    raw.pipeline_sync()
    return 5


def _errors(raw: pq.abc.PGconn) -> int:
    """An error skips what follows to the next sync, and nothing beyond it."""
    wrongs = (
        b"SELECT 1 / 0",
        b"SELEC",
        b"SELECT nothing FROM hr.emp",
        b"SELECT 'x'::int",
        b"SELECT ssn FROM nowhere",
    )
    for wrong in wrongs:
        raw.send_query_params(ONE, [b"1"])
        raw.pipeline_sync()
        raw.send_query_params(wrong, [])
        raw.send_query_params(ONE, [b"2"])
        raw.pipeline_sync()
        raw.send_query_params(ONE, [b"3"])
        raw.pipeline_sync()
    return 3 * len(wrongs)


def statements(place: Place) -> list[str]:
    return _piped(place, _statements)


def errors(place: Place) -> list[str]:
    return _piped(place, _errors)


def syncs_unflushed(place: Place) -> list[str]:
    return _piped(place, _syncs_unflushed)


def implicit_transaction(place: Place) -> list[str]:
    return _piped(place, _implicit_transaction)


PROGRAMS = [plain, prepared, nested, transactions, statements, errors, syncs_unflushed, implicit_transaction]


@pytest.mark.parametrize("program", PROGRAMS)
def test_pipelines_are_the_same_byte_by_byte(program: Callable[[Place], list[str]], stage: Stage) -> None:
    assert_same(*stage.play(program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_pipelines_of_a_masked_role(program: Callable[[Place], list[str]], stage: Stage) -> None:
    assert_masked(*stage.play_masked(program))


def writes(place: Place) -> list[str]:
    with connect(place) as connection:
        connection.execute("TRUNCATE clients.target RESTART IDENTITY CASCADE")
        lines = []
        for names in (["a", "b", "c"], ["d", "a", "e"]):
            try:
                with connection.pipeline(), connection.cursor() as cursor:
                    insert = "INSERT INTO clients.target (name) VALUES (%s) RETURNING id"
                    cursor.executemany(insert, [(name,) for name in names], returning=True)
                    lines += [repr(found.fetchall()) for found in cursor.results()]
            except psycopg.errors.UniqueViolation as error:
                lines.append(f"{error.diag.constraint_name} {error.diag.message_detail}")
        lines.append(repr(connection.execute("SELECT id, name FROM clients.target ORDER BY id").fetchall()))
        connection.execute("TRUNCATE clients.target RESTART IDENTITY CASCADE")
    return lines


def test_writes_in_pipelines_end_together(stage: Stage) -> None:
    direct, proxied = stage.play(writes)
    assert_same(direct, proxied)
    assert direct.lines[-1] == "[(1, 'a'), (2, 'b'), (3, 'c')]"
