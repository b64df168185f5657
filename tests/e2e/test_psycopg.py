"""psycopg 3 through the proxy: pipelines, cursors, copies, transactions, large results, cancelling."""

from __future__ import annotations

import socket
import struct
import threading
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from client_kinds import PATIENCE
from office_front import ROLES, SLOW, Office
from office_world import EMPLOYEES, SECRET
from psycopg import sql as psql_sql
from psycopg.rows import dict_row


@pytest.mark.parametrize("role", ROLES)
def test_pipeline_mode(role: str, office: Office) -> None:
    with office.connect(role) as connection, connection.pipeline():
        cursors = [connection.execute("SELECT ssn FROM hr.emp WHERE id = %s", (i,)) for i in range(1, 6)]
        found = [cursor.fetchone() for cursor in cursors]
    clear = [(f"{SECRET}-000{i}",) for i in range(1, 6)]
    assert found == (clear if role == "dba" else [(f"****-**0{i}",) for i in range(1, 6)])


@pytest.mark.parametrize("role", ROLES)
def test_an_error_in_a_pipeline_aborts_what_follows_to_its_sync(role: str, office: Office) -> None:
    wrong = "DELETE FROM hr.emp" if role == "analyst" else "SELECT no_such_column FROM hr.emp"
    with office.connect(role) as connection:
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedColumn)):
            pipeline_of(connection, "SELECT 1", wrong, "SELECT 2")
        with connection.pipeline() as pipeline:
            first = connection.execute("SELECT count(*) FROM hr.emp")
            pipeline.sync()
            second = connection.execute("SELECT ssn FROM hr.emp WHERE id = 1")
        assert first.fetchone() == (EMPLOYEES,)
        assert second.fetchone() == ((f"{SECRET}-0001",) if role == "dba" else ("****-**01",))


def pipeline_of(connection: psycopg.Connection[Any], *statements: str) -> None:
    with connection.pipeline() as pipeline:
        for sql in statements:
            connection.execute(sql.encode())
        pipeline.sync()


def test_prepared_statements_are_reused(office: Office) -> None:
    with office.connect("analyst", prepare_threshold=1) as connection:
        for i in range(1, 8):
            row = connection.execute("SELECT ssn, email FROM hr.emp WHERE id = %s", (i,)).fetchone()
            assert row == (f"****-**0{i}", "z***@***.test")
        connection.execute("DEALLOCATE ALL")
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("role", ROLES)
def test_sql_prepare_and_execute(role: str, office: Office) -> None:
    with office.connect(role) as connection:
        connection.execute("PREPARE one (int) AS SELECT ssn FROM hr.emp WHERE id = $1")
        clear = "****-**02" if role == "analyst" else f"{SECRET}-0002"
        assert connection.execute("EXECUTE one (2)").fetchone() == (clear,)
        connection.execute("DEALLOCATE one")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            connection.execute("EXECUTE one (2)")


@pytest.mark.parametrize("role", ROLES)
def test_named_cursors_scroll(role: str, office: Office) -> None:
    with office.connect(role, autocommit=False) as connection:
        with connection.cursor(name="people", scrollable=True) as cursor:
            cursor.execute("SELECT id, ssn FROM hr.emp ORDER BY id")
            assert [row[0] for row in cursor.fetchmany(5)] == [1, 2, 3, 4, 5]
            cursor.scroll(-5)
            row = cursor.fetchone()
            assert row == (1, "****-**01" if role == "analyst" else f"{SECRET}-0001")
            assert len(cursor.fetchall()) == EMPLOYEES - 1
        with connection.cursor(name="again", withhold=True) as cursor:
            cursor.execute("SELECT id FROM hr.emp WHERE id < %s ORDER BY id", (4,))
            connection.commit()
            assert cursor.fetchall() == [(1,), (2,), (3,)]


def test_streamed_rows(office: Office) -> None:
    with office.connect("analyst") as connection:
        streamed = list(connection.cursor().stream("SELECT id, email FROM hr.emp ORDER BY id"))
    assert streamed == [(i, "z***@***.test") for i in range(1, EMPLOYEES + 1)]


COPIES = (
    "COPY hr.emp TO STDOUT",
    "COPY hr.emp (id, ssn, email) TO STDOUT WITH (FORMAT csv, HEADER)",
    "COPY (SELECT id, ssn, photo FROM hr.emp ORDER BY id) TO STDOUT (FORMAT binary)",
    "COPY (SELECT to_jsonb(e) FROM hr.emp e ORDER BY id) TO STDOUT",
)


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("role", ROLES)
def test_copy_out(role: str, copy: str, office: Office) -> None:
    found = []
    # COPY of a view's name does not work in PostgreSQL, so the masked views are read by a SELECT.
    for place, sql in ((office.through(role), copy), (office.direct(role), copy_of_view(copy, role))):
        with psycopg.connect(place.dsn, autocommit=True) as connection, connection.cursor().copy(sql.encode()) as out:
            found.append(b"".join(out))
    assert found[0] == found[1]
    assert (SECRET.encode() in found[0]) == (role == "dba")


def copy_of_view(copy: str, role: str) -> str:
    if role == "dba" or "COPY (" in copy:
        return copy
    return copy.replace("hr.emp (id, ssn, email)", "(SELECT id, ssn, email FROM hr.emp)").replace(
        "COPY hr.emp ", "COPY (SELECT * FROM hr.emp) "
    )


def test_copy_in_for_the_bypass_role(office: Office) -> None:
    with office.connect("dba", autocommit=False) as connection:
        cursor = connection.cursor()
        with cursor.copy("COPY shop.diary (line, amount) FROM STDIN") as copy:
            for i in range(5000):
                copy.write_row((f"line {i}", i))
        with cursor.copy("COPY shop.diary (line, amount) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["text", "numeric"])
            copy.write_row(("binary", Decimal(7)))
        with pytest.raises(psycopg.errors.BadCopyFileFormat), connection.transaction():
            copy_in(connection, "one column only\n")
        found = connection.execute("SELECT count(*), sum(amount) FROM shop.diary").fetchone()
        connection.rollback()
    assert found == (5001, Decimal(sum(range(5000)) + 7))


def copy_in(connection: psycopg.Connection[Any], *pieces: str | Exception) -> None:
    """Writes pieces of data; an exception among them is raised in its turn."""
    with connection.cursor().copy("COPY shop.diary (line, amount) FROM STDIN") as copy:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            copy.write(piece)


def test_copy_in_that_the_client_gives_up(office: Office) -> None:
    with office.connect("dba") as connection:
        with pytest.raises(LookupError):
            copy_in(connection, "never there\t1\n", LookupError("given up"))
        assert connection.execute("SELECT count(*) FROM shop.diary").fetchone() == (0,)


def test_copy_in_is_refused_for_the_masked_role(office: Office) -> None:
    with office.connect("analyst") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            copy_in(connection, "x\tX\n")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_executemany(office: Office) -> None:
    with office.connect("dba", autocommit=False) as connection:
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO shop.diary (line, amount) VALUES (%s, %s)", [(f"l{i}", i) for i in range(500)])
        assert cursor.rowcount == 500
        cursor.executemany("INSERT INTO shop.diary (line) VALUES (%s) RETURNING line", [("a",), ("b",)], returning=True)
        returned = [cursor.fetchone()]
        while cursor.nextset():
            returned.append(cursor.fetchone())
        connection.rollback()
    assert returned == [("a",), ("b",)]


def test_executemany_of_a_masked_role_reads_veiled(office: Office) -> None:
    with office.connect("analyst") as connection:
        cursor = connection.cursor()
        cursor.executemany("SELECT ssn FROM hr.emp WHERE id = %s", [(i,) for i in range(1, 6)], returning=True)
        found = [cursor.fetchone()]
        while cursor.nextset():
            found.append(cursor.fetchone())
    assert found == [(f"****-**0{i}",) for i in range(1, 6)]


@pytest.mark.parametrize("role", ROLES)
def test_several_statements_in_one_simple_query(role: str, office: Office) -> None:
    with office.connect(role, cursor_factory=psycopg.ClientCursor) as connection:
        cursor = connection.execute("SELECT 1; SELECT ssn FROM hr.emp WHERE id = 1; SELECT 'last'")
        found = [cursor.fetchall()]
        while cursor.nextset():
            found.append(cursor.fetchall())
    assert found == [[(1,)], [(f"{SECRET}-0001" if role == "dba" else "****-**01",)], [("last",)]]


# Transactions.


FAILURES = (psycopg.errors.InsufficientPrivilege, psycopg.errors.DivisionByZero)


@pytest.mark.parametrize("role", ROLES)
def test_transactions_fail_and_go_on_as_in_postgresql(role: str, office: Office) -> None:
    failing = b"DELETE FROM hr.dept WHERE code = 'none'" if role == "analyst" else b"SELECT 1 / 0"
    with office.connect(role, autocommit=False) as connection:
        with pytest.raises(FAILURES):
            connection.execute(failing)
        assert connection.info.transaction_status.name == "INERROR"
        for sql in ("SELECT 1", "SELECT ssn FROM hr.emp", "SAVEPOINT s", "SELECT nothing"):
            with pytest.raises(psycopg.errors.InFailedSqlTransaction):
                connection.execute(sql.encode())
        connection.rollback()
        with connection.transaction():
            connection.execute("SELECT 1")
            with pytest.raises(FAILURES), connection.transaction():  # a savepoint
                connection.execute(failing)
            assert connection.execute("SELECT count(*) FROM hr.emp").fetchone() == (EMPLOYEES,)
        assert connection.info.transaction_status.name == "IDLE"


def test_isolation_and_read_only_transactions(office: Office) -> None:
    with office.connect("analyst", autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.deferrable = True
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("repeatable read",)
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)


def test_notices_reach_the_client(office: Office) -> None:
    for role, sql, wanted in (
        ("dba", "DO $$ BEGIN RAISE NOTICE 'from a function'; END $$", "from a function"),
        ("dba", "DROP TABLE IF EXISTS nothing_here", 'table "nothing_here" does not exist, skipping'),
        ("analyst", "ROLLBACK", "there is no transaction in progress"),
    ):
        with office.connect(role) as connection:
            heard = notices_of(connection)
            connection.execute(sql.encode())
        assert heard == [wanted]


def notices_of(connection: psycopg.Connection[Any]) -> list[str]:
    """A list that gets what the connection is told from now on."""
    heard: list[str] = []
    connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
    return heard


def test_parameter_status_reaches_the_client(office: Office) -> None:
    for role in ROLES:
        with office.connect(role, application_name="tests") as connection:
            assert connection.info.server_version >= 180000
            assert connection.info.parameter_status("client_encoding") == "UTF8"
            assert connection.info.parameter_status("application_name") == "tests"
            assert connection.info.parameter_status("integer_datetimes") == "on"
            connection.execute("SET TIME ZONE 'Asia/Kolkata'")
            assert connection.info.parameter_status("TimeZone") == "Asia/Kolkata"
            assert str(connection.info.timezone) == "Asia/Kolkata"
            connection.execute("SET datestyle = 'German'")
            row = connection.execute("SELECT date '2024-03-01'::text").fetchone()
            assert row == ("01.03.2024",)


def test_the_bypass_role_listens_and_notifies(office: Office) -> None:
    with office.connect("dba") as listener, office.connect("dba") as sender:
        listener.execute("LISTEN tests")
        sender.execute("SELECT pg_notify('tests', 'hello')")
        assert [(n.channel, n.payload) for n in listener.notifies(timeout=PATIENCE, stop_after=1)] == [
            ("tests", "hello")
        ]


def test_composed_sql_and_row_factories(office: Office) -> None:
    with office.connect("analyst", row_factory=dict_row) as connection:
        query = psql_sql.SQL("SELECT {}, {} FROM {} WHERE {} = %s").format(
            *(psql_sql.Identifier(name) for name in ("name", "ssn")),
            psql_sql.Identifier("hr", "emp"),
            psql_sql.Identifier("id"),
        )
        assert connection.execute(query, (3,)).fetchone() == {"name": "person 3", "ssn": "****-**03"}


# Large results and cancelling.


@pytest.mark.parametrize("role", ROLES)
def test_a_large_result_arrives_whole(role: str, office: Office) -> None:
    with office.connect(role) as connection:
        cursor = connection.execute("SELECT id, code, email FROM shop.many")
        rows = cursor.fetchall()
    assert len(rows) == 200_000
    assert sum(row[0] for row in rows) == 200_000 * 200_001 // 2
    assert {"zq8x" in row[2] for row in rows} == {role == "dba"}


def test_a_large_value_arrives_whole(office: Office) -> None:
    text = "x" * 8_000_000
    for role in ROLES:
        with office.connect(role) as connection:
            assert connection.execute("SELECT repeat('x', 8000000)").fetchone() == (text,)
            assert connection.execute("SELECT length(%s::text)", (text,)).fetchone() == (8_000_000,)


@pytest.mark.parametrize("role", ROLES)
def test_cancelling(role: str, office: Office) -> None:
    with office.connect(role) as connection:
        over = threading.Event()
        canceller = threading.Thread(target=cancel_until, args=(over, connection))
        canceller.start()
        try:
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(SLOW[role].encode())
        finally:
            over.set()
            canceller.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.cancel()  # with nothing to cancel
        assert connection.execute("SELECT 2").fetchone() == (2,)


def cancel_until(over: threading.Event, connection: psycopg.Connection[Any]) -> None:
    """A request may come before the statement does, so there are as many as it takes."""
    while not over.wait(0.3):
        connection.cancel()


def test_somebody_else_s_cancel_key_is_of_no_use(office: Office) -> None:
    """A cancel request with a right process number and a wrong secret changes nothing."""
    with office.connect("analyst") as connection:
        slow = threading.Timer(0.2, send_cancel, (office, connection.info.backend_pid, b"\0\0\0\0"))
        slow.start()
        row = connection.execute("SELECT count(*) FROM shop.many a JOIN shop.many b USING (id)").fetchone()
        slow.join()
    assert row == (200_000,)


def send_cancel(office: Office, pid: int, secret: bytes) -> None:
    with socket.create_connection((office.proxy.host, office.proxy.port), timeout=PATIENCE) as sock:
        sock.sendall(struct.pack("!iii", 12 + len(secret), 80877102, pid) + secret)
        assert sock.recv(1) == b""
