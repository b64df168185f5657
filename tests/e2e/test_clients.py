"""Real clients through the proxy: the same statements as a bypass role, which gets what PostgreSQL says, and as a masked
role, which gets what hand-written masked views say.
"""

from __future__ import annotations

import asyncio
import io
import socket
import struct
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pg8000.dbapi
import psycopg
import psycopg2.extensions
import psycopg2.extras
import pytest
from client_kinds import KINDS, PATIENCE, Clients, Place, Psql
from conftest import Configuration, Pgveil, Serve
from office_world import EMPLOYEES, PHOTO, SECRET, make_masked_office, make_office, secrets_in, write_policy
from psycopg import sql as psql_sql
from psycopg.rows import dict_row

from proxy import localpg

ROLES = ("dba", "analyst")


@dataclass(frozen=True)
class Office:
    """The proxy, and where each role's right answers are: the database itself, and the masked views."""

    proxy: Pgveil
    socket_dir: str

    def through(self, role: str) -> Place:
        return Place(self.proxy.host, self.proxy.port, role, "office")

    def direct(self, role: str) -> Place:
        database = "office" if role == "dba" else "office_masked"
        return Place(self.socket_dir, 5432, "postgres", database)

    def connect(self, role: str, **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.through(role).dsn, **{"autocommit": True, **options})


@pytest.fixture(scope="module")
def office(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Office:
    dsn = make_office(postgres, "office")
    make_masked_office(postgres, "office_masked")
    policies = write_policy(tmp_path_factory.mktemp("office"))
    return Office(serve(Configuration(upstream=dsn, policies=policies)), str(postgres.socket_dir))


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with Clients() as opened:
        yield opened


@pytest.fixture
async def masked_asyncpg(office: Office) -> AsyncIterator[Any]:
    connection = await connect_asyncpg(office, "analyst")
    yield connection
    await connection.close()


async def connect_asyncpg(office: Office, role: str, **options: Any) -> Any:
    place = office.through(role)
    return await asyncpg.connect(
        host=place.host, port=place.port, user=place.user, database=place.database, timeout=PATIENCE, **options
    )


# Statements that every client sends.


@dataclass(frozen=True)
class Statement:
    """`$1` stands for a parameter. psql sends every value as text, and the others what Python has."""

    name: str
    sql: str
    values: tuple[object, ...] = ()
    not_for: frozenset[str] = field(default_factory=frozenset)


PLACED = datetime(2024, 3, 11, tzinfo=UTC)
STATEMENTS = [
    Statement("star", "SELECT * FROM hr.emp ORDER BY id"),
    Statement("view", "SELECT * FROM hr.directory ORDER BY id"),
    Statement("every type", "SELECT * FROM shop.orders ORDER BY id"),
    Statement("masked text", "SELECT ssn, email FROM hr.emp ORDER BY id"),
    Statement("masked numbers", "SELECT id, salary, photo, score FROM hr.emp ORDER BY id"),
    Statement("whole row as JSON", "SELECT to_jsonb(e) FROM hr.emp AS e ORDER BY e.id"),
    Statement("predicate on a masked column", "SELECT count(*) FROM hr.emp WHERE ssn LIKE 'zq8x%'"),
    Statement("sorted by a masked column", "SELECT id FROM hr.emp ORDER BY salary DESC NULLS LAST, id"),
    Statement("aggregate", "SELECT dept, count(*), sum(salary), max(hired) FROM hr.emp GROUP BY dept ORDER BY dept"),
    Statement("join", "SELECT e.name, o.total FROM hr.emp e JOIN shop.orders o ON o.sold_by = e.id ORDER BY o.id"),
    Statement("CTE", "WITH e AS (SELECT * FROM hr.emp) SELECT name, meta FROM e WHERE id <= 3 ORDER BY id"),
    Statement("window", "SELECT id, rank() OVER (ORDER BY salary DESC) FROM hr.emp ORDER BY id"),
    Statement("union", "SELECT ssn FROM hr.emp UNION SELECT code FROM hr.dept ORDER BY 1"),
    Statement("arrays", "SELECT tags, array_agg(ssn) OVER () FROM hr.emp WHERE id = 1"),
    Statement("no rows", "SELECT * FROM hr.emp WHERE false"),
    Statement("no table", "SELECT 1 AS one, 'two' AS two, NULL AS nothing"),
    Statement("unicode", "SELECT 'மீரா' || chr(9731) AS text, length('श्री')"),
    Statement("VALUES", "VALUES (1, 'a'), (2, 'b')"),
    Statement("TABLE", "TABLE hr.dept"),
    Statement("SHOW", "SHOW server_version"),
    Statement("catalogue", "SELECT typname FROM pg_type WHERE oid IN (16, 23, 25) ORDER BY 1"),
    Statement("integer parameter", "SELECT name, ssn FROM hr.emp WHERE id = $1::int", (7,)),
    Statement("text parameter", "SELECT id, email FROM hr.emp WHERE name = $1::text", ("person 5",)),
    Statement("text with quotes", "SELECT $1::text AS back", ('it\'s a "test" \\ %',)),
    Statement("two parameters", "SELECT id FROM hr.emp WHERE dept = $1::text AND id > $2::int ORDER BY id", ("eng", 4)),
    Statement("masked column = parameter", "SELECT id FROM hr.emp WHERE ssn = $1::text", ("zq8x-0003",)),
    Statement("numeric parameter", "SELECT id FROM shop.orders WHERE total > $1::numeric", (Decimal("399.9"),)),
    Statement("date parameter", "SELECT id, hired FROM hr.emp WHERE hired < $1::date", (date(2021, 1, 1),)),
    Statement("time parameter", "SELECT id, placed FROM shop.orders WHERE placed < $1::timestamptz", (PLACED,)),
    Statement("boolean parameter", "SELECT count(*) FROM shop.orders WHERE express = $1::boolean", (True,)),
    Statement(
        "uuid parameter", "SELECT id FROM shop.orders WHERE ref = $1::uuid", (uuid.UUID(int=0x4000 << 64 | 1 << 127),)
    ),
    Statement("syntax error", "SELEC 1"),
    Statement("unknown table", "SELECT * FROM hr.nothing"),
    Statement("unknown column", "SELECT nothing FROM hr.emp"),
    Statement("bad cast", "SELECT ssn::int FROM hr.emp"),
    Statement("division by zero", "SELECT id / 0 FROM hr.dept, generate_series(1, 2) AS id"),
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.name)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_right_one(
    kind: str, role: str, statement: Statement, office: Office, clients: Clients
) -> None:
    client = clients.of(kind, office.through(role))
    answer = client.run(statement.sql, *statement.values)
    assert answer == clients.of(kind, office.direct(role)).run(statement.sql, *statement.values)
    if role == "analyst":
        assert secrets_in(repr(answer)) == []
    # Whatever it was, the connection goes on.
    assert [str(value) for value in client.run("SELECT 41 + 1").rows[0]] == ["42"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_masks_hide_what_the_bypass_role_sees(kind: str, office: Office, clients: Clients) -> None:
    sql = "SELECT * FROM hr.emp ORDER BY id"
    clear = clients.of(kind, office.through("dba")).run(sql)
    veiled = clients.of(kind, office.through("analyst")).run(sql)
    assert len(clear.rows) == len(veiled.rows) == EMPLOYEES
    assert secrets_in(repr(clear.rows))
    assert secrets_in(repr(veiled.rows)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_reach_every_client_as_an_error(kind: str, office: Office, clients: Clients) -> None:
    client = clients.of(kind, office.through("analyst"))
    for sql, sqlstate in (
        ("DELETE FROM hr.emp", "42501"),
        ("SELECT line FROM shop.diary", "42501"),
        ("SELECT pg_sleep(0)", "42501"),
        ("SELECT no_such_function(1)", "42501"),
        ("DO $$ BEGIN END $$", "42501"),
        ("SET ROLE postgres", "42501"),
    ):
        assert client.run(sql).sqlstate == sqlstate, sql
        assert client.run("SELECT 1").sqlstate is None


# psql.

BACKSLASH = r"""
\d
\d+
\dt
\dt+
\dt hr.*
\d hr.emp
\d+ hr.emp
\d shop.orders
\dv
\dv+ hr.*
\d+ hr.directory
\di
\di+ hr.*
\ds
\dn
\dn+
\dT
\dT+ shop.*
\df
\df+ hr.*
\da
\do
\du
\du+
\dg
\l
\l+
\dp
\z hr.emp
\ddp
\dd
\db
\dc
\dC
\dD
\dx
\dy
\dO
\drds
\dconfig work_mem
\dF
\dL
\dRp
\dRs
\des
\det
\dew
\deu
\dPt
\dP
\dm
\dE
\sv hr.directory
\conninfo
\encoding
""".split("\n")


@pytest.mark.parametrize("command", [line for line in BACKSLASH if line])
def test_psql_backslash_commands_work_for_a_masked_role(command: str, office: Office) -> None:
    done = Psql(office.through("analyst")).script(f"{command}\n", "-v", "ON_ERROR_STOP=1")
    assert done.returncode == 0
    assert done.stderr == "" or done.stderr.lower().startswith("did not find any")
    assert secrets_in(done.stdout + done.stderr) == []


def test_psql_lists_what_is_there(office: Office) -> None:
    psql = Psql(office.through("analyst"))
    described = psql.script("\\d hr.emp\n").stdout
    assert all(column in described for column in ("ssn", "salary", "numeric(12,2)", "emp_pkey"))
    assert "orders" in psql.script("\\dt shop.*\n").stdout
    assert "The people who work here" in psql.script("\\dt+ hr.*\n").stdout


def test_psql_variables_loops_and_scripts(office: Office) -> None:
    psql = Psql(office.through("analyst"))
    script = """
        SELECT count(*) AS n FROM hr.emp \\gset
        \\echo :n people
        SELECT format('SELECT %s AS made', id) FROM hr.emp WHERE id < 3 ORDER BY id \\gexec
        SELECT ssn FROM hr.emp WHERE id = 1 \\gx
        SELECT id, dept, name FROM hr.emp WHERE id < 4 \\crosstabview id dept name
        SELECT salary FROM hr.emp \\gdesc
    """
    done = psql.script(script, "-v", "ON_ERROR_STOP=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{EMPLOYEES} people" in done.stdout
    assert "****-**01" in done.stdout
    assert secrets_in(done.stdout) == []


def test_psql_copies_out_and_in(office: Office, tmp_path: Any) -> None:
    dba, analyst = Psql(office.through("dba")), Psql(office.through("analyst"))
    out = analyst.script(f"\\copy hr.emp TO '{tmp_path}/emp.csv' CSV HEADER\n")
    assert out.stderr == ""
    written = (tmp_path / "emp.csv").read_text()
    assert written.startswith("id,name,dept,ssn")
    assert len(written.splitlines()) == EMPLOYEES + 1
    assert secrets_in(written) == []
    (tmp_path / "diary.csv").write_text("first,1\nsecond,2\n")
    into = dba.script(
        f"\\copy shop.diary (line, amount) FROM '{tmp_path}/diary.csv' CSV\nSELECT line FROM shop.diary;\n"
    )
    assert into.stderr == ""
    assert "second" in into.stdout
    refused = analyst.script(f"\\copy shop.diary (line, amount) FROM '{tmp_path}/diary.csv' CSV\n")
    assert "ERROR" in refused.stderr
    dba.script("TRUNCATE shop.diary;\n")


# psycopg 3.


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
            with connection.pipeline() as pipeline:
                connection.execute("SELECT 1")
                connection.execute(wrong)
                connection.execute("SELECT 2")
                pipeline.sync()
        with connection.pipeline() as pipeline:
            first = connection.execute("SELECT count(*) FROM hr.emp")
            pipeline.sync()
            second = connection.execute("SELECT ssn FROM hr.emp WHERE id = 1")
        assert first.fetchone() == (EMPLOYEES,)
        assert second.fetchone() == ((f"{SECRET}-0001",) if role == "dba" else ("****-**01",))


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
            with cursor.copy("COPY shop.diary (line, amount) FROM STDIN") as copy:
                copy.write("one column only\n")
        found = connection.execute("SELECT count(*), sum(amount) FROM shop.diary").fetchone()
        connection.rollback()
    assert found == (5001, Decimal(sum(range(5000)) + 7))


def test_copy_in_that_the_client_gives_up(office: Office) -> None:
    with office.connect("dba") as connection:
        with pytest.raises(ZeroDivisionError):
            with connection.cursor().copy("COPY shop.diary (line) FROM STDIN") as copy:
                copy.write_row(("never there",))
                _ = 1 / 0
        assert connection.execute("SELECT count(*) FROM shop.diary").fetchone() == (0,)


def test_copy_in_is_refused_for_the_masked_role(office: Office) -> None:
    with office.connect("analyst") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            with connection.cursor().copy("COPY hr.dept FROM STDIN") as copy:
                copy.write_row(("x", "X"))
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


@pytest.mark.parametrize("role", ROLES)
def test_transactions_fail_and_go_on_as_in_postgresql(role: str, office: Office) -> None:
    refused = "DELETE FROM hr.dept WHERE code = 'none'" if role == "analyst" else "SELECT 1 / 0"
    with office.connect(role, autocommit=False) as connection:
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.DivisionByZero)):
            connection.execute(refused)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT ssn FROM hr.emp")
        connection.rollback()
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.DivisionByZero)):
            with connection.transaction():
                connection.execute("SAVEPOINT mine")
                connection.execute(refused)
        with connection.transaction():
            connection.execute("SELECT 1")
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.DivisionByZero)):
                with connection.transaction():
                    connection.execute(refused)
            assert connection.execute("SELECT count(*) FROM hr.emp").fetchone() == (EMPLOYEES,)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


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
        heard: list[str] = []
        with office.connect(role) as connection:
            connection.add_notice_handler(lambda d, heard=heard: heard.append(d.message_primary))
            connection.execute(sql)
        assert heard == [wanted]


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


SLOW = {
    "dba": "SELECT pg_sleep(600)",
    "analyst": "SELECT count(*) FROM shop.many a, shop.many b, shop.many c WHERE a.id <> b.id",
}


@pytest.mark.parametrize("role", ROLES)
def test_cancelling(role: str, office: Office) -> None:
    with office.connect(role) as connection:
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(SLOW[role].encode())
        timer.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.cancel()  # with nothing to cancel
        assert connection.execute("SELECT 2").fetchone() == (2,)


@pytest.mark.parametrize("role", ROLES)
async def test_a_timeout_of_asyncpg_cancels_at_the_server(role: str, office: Office) -> None:
    connection = await connect_asyncpg(office, role)
    try:
        with pytest.raises(TimeoutError):
            await connection.fetch(SLOW[role], timeout=0.3)
        assert await connection.fetchval("SELECT 1") == 1
    finally:
        await connection.close()


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


# Many sessions.


async def test_fifty_sessions_at_once(office: Office) -> None:
    async def session(number: int) -> list[Any]:
        connection = await connect_asyncpg(office, ROLES[number % 2])
        try:
            found = []
            for i in range(1, 6):
                found.append(await connection.fetchval("SELECT ssn FROM hr.emp WHERE id = $1", i))
            return found
        finally:
            await connection.close()

    async with asyncio.timeout(PATIENCE):
        answers = await asyncio.gather(*(session(number) for number in range(50)))
    clear = [f"{SECRET}-000{i}" for i in range(1, 6)]
    veiled = [f"****-**0{i}" for i in range(1, 6)]
    assert answers == [clear, veiled] * 25


async def test_the_pool_of_asyncpg_resets_its_connections(office: Office) -> None:
    place = office.through("analyst")
    pool = await asyncpg.create_pool(
        host=place.host, port=place.port, user=place.user, database=place.database, min_size=1, max_size=2
    )
    async with pool:
        for i in range(1, 6):
            async with pool.acquire() as connection:
                await connection.execute("SET statement_timeout = '20s'")
                assert await connection.fetchval("SELECT ssn FROM hr.emp WHERE id = $1", i) == f"****-**0{i}"
        async with pool.acquire() as connection:
            assert await connection.fetchval("SHOW statement_timeout") == "0"


async def test_reset_of_asyncpg(masked_asyncpg: Any) -> None:
    await masked_asyncpg.execute("SET work_mem = '8MB'")
    await masked_asyncpg.reset()
    assert await masked_asyncpg.fetchval("SHOW work_mem") == "4MB"
    assert await masked_asyncpg.fetchval("SELECT count(*) FROM hr.emp") == EMPLOYEES


# asyncpg, beyond the table above.


async def test_asyncpg_describes_what_it_gets(masked_asyncpg: Any) -> None:
    statement = await masked_asyncpg.prepare("SELECT id, ssn, salary, tags FROM hr.emp WHERE id = $1")
    assert [(a.name, a.type.name) for a in statement.get_attributes()] == [
        ("id", "int4"), ("ssn", "text"), ("salary", "numeric"), ("tags", "text[]")
    ]  # fmt: skip
    assert [p.name for p in statement.get_parameters()] == ["int4"]
    assert await statement.fetchrow(4) == (4, "****-**04", None, ["tag 4", "x,y", None])


async def test_asyncpg_enums_arrays_and_records(masked_asyncpg: Any) -> None:
    # Types of the database's own: asyncpg reads the catalogue to know them.
    rows = await masked_asyncpg.fetch("SELECT state, array_agg(id ORDER BY id) FROM shop.orders GROUP BY 1 ORDER BY 1")
    assert [row[0] for row in rows] == ["open", "paid", "sent"]
    assert await masked_asyncpg.fetchval("SELECT (1, ssn) FROM hr.emp WHERE id = 2") == (1, "****-**02")
    assert (
        await masked_asyncpg.fetchval("SELECT count(*) FROM shop.orders WHERE state = ANY($1)", ["open", "sent"]) == 26
    )
    await masked_asyncpg.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str, format="text")
    assert await masked_asyncpg.fetchval("SELECT meta FROM hr.emp WHERE id = 1") == "{}"


async def test_asyncpg_cursors_copies_and_transactions(masked_asyncpg: Any) -> None:
    async with masked_asyncpg.transaction(isolation="serializable", readonly=True):
        seen = [row["ssn"] async for row in masked_asyncpg.cursor("SELECT ssn FROM hr.emp ORDER BY id", prefetch=5)]
    assert seen == [f"****-**{i:02}" for i in range(1, EMPLOYEES + 1)]
    out = io.BytesIO()
    await masked_asyncpg.copy_from_table("emp", schema_name="hr", columns=["id", "ssn"], output=out, format="csv")
    assert out.getvalue().splitlines()[0] == b"1,****-**01"
    out = io.BytesIO()
    await masked_asyncpg.copy_from_query("SELECT email FROM hr.emp WHERE id = $1", 1, output=out)
    assert out.getvalue() == b"z***@***.test\n"
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with masked_asyncpg.transaction():
            await masked_asyncpg.execute("SELECT 1 / 0")
    assert await masked_asyncpg.fetchval("SELECT 1") == 1


async def test_asyncpg_copies_records_in_for_the_bypass_role(office: Office) -> None:
    connection = await connect_asyncpg(office, "dba")
    try:
        transaction = connection.transaction()
        await transaction.start()
        done = await connection.copy_records_to_table(
            "diary", schema_name="shop", columns=["line", "amount"], records=[("a", Decimal(1)), ("b", Decimal(2))]
        )
        assert done == "COPY 2"
        await connection.executemany("INSERT INTO shop.diary (line) VALUES ($1)", [("c",), ("d",)])
        assert await connection.fetchval("SELECT count(*) FROM shop.diary") == 4
        await transaction.rollback()
    finally:
        await connection.close()


# psycopg2.


def test_psycopg2_encodings_and_isolation_levels(office: Office) -> None:
    connection = psycopg2.connect(office.through("analyst").dsn)
    try:
        connection.set_client_encoding("UTF8")
        connection.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=False)
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone() == ("serializable",)
            cursor.execute("SELECT ssn FROM hr.emp WHERE id = %s", (1,))
            assert cursor.fetchone() == ("****-**01",)
        connection.set_session(isolation_level=psycopg2.extensions.ISOLATION_LEVEL_READ_COMMITTED, readonly=False)
        with pytest.raises(psycopg2.Error):
            connection.set_client_encoding("LATIN1")
        connection.rollback()
        connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version_num')::int > 180000 - 1")
            assert cursor.fetchone() == (True,)
        assert connection.get_parameter_status("server_encoding") == "UTF8"
        connection.reset()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
    finally:
        connection.close()


def test_psycopg2_named_cursors_and_extras(office: Office) -> None:
    connection = psycopg2.connect(office.through("analyst").dsn)
    try:
        with connection, connection.cursor("people") as cursor:
            cursor.itersize = 5
            cursor.execute("SELECT ssn FROM hr.emp ORDER BY id")
            assert [row[0] for row in cursor] == [f"****-**{i:02}" for i in range(1, EMPLOYEES + 1)]
        with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute("SELECT meta, tags FROM hr.emp WHERE id = 1")
            assert cursor.fetchone() == {"meta": {}, "tags": ["tag 1", "x,y", None]}
            out = io.StringIO()
            cursor.copy_expert("COPY (SELECT id, ssn FROM hr.emp WHERE id < 3) TO STDOUT", out)
            assert out.getvalue() == "1\t****-**01\n2\t****-**02\n"
            psycopg2.extras.register_uuid(conn_or_curs=connection)
            psycopg2.extras.register_default_jsonb(connection)
    finally:
        connection.close()


def test_psycopg2_writes_as_the_bypass_role(office: Office) -> None:
    connection = psycopg2.connect(office.through("dba").dsn)
    try:
        with connection.cursor() as cursor:
            psycopg2.extras.execute_values(
                cursor, "INSERT INTO shop.diary (line, amount) VALUES %s", [(f"l{i}", i) for i in range(250)]
            )
            psycopg2.extras.execute_batch(
                cursor, "UPDATE shop.diary SET amount = 0 WHERE line = %s", [("l1",), ("l2",)]
            )
            cursor.copy_expert("COPY shop.diary (line, amount) FROM STDIN", io.StringIO("copied\t5\n"))
            cursor.execute("SELECT count(*), sum(amount) FROM shop.diary")
            assert cursor.fetchone() == (251, Decimal(sum(range(250)) - 3 + 5))
        connection.rollback()
    finally:
        connection.close()


# pg8000.


def test_pg8000_dbapi(office: Office) -> None:
    place = office.through("analyst")
    connection = pg8000.dbapi.Connection(place.user, host=place.host, port=place.port, database=place.database)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT id, ssn, hired, tags FROM hr.emp WHERE id < %s ORDER BY id", (3,))
        assert [column[0] for column in cursor.description] == ["id", "ssn", "hired", "tags"]
        assert list(cursor.fetchall()[0]) == [1, "****-**01", date(2020, 1, 1), ["tag 1", "x,y", None]]
        with pytest.raises(pg8000.dbapi.DatabaseError) as failure:
            cursor.execute("DELETE FROM hr.emp")
        assert failure.value.args[0]["C"] == "42501"
        connection.rollback()
        out = io.BytesIO()
        cursor.execute("COPY (SELECT ssn FROM hr.emp WHERE id = 1) TO STDOUT", stream=out)
        assert out.getvalue() == b"****-**01\n"
        connection.commit()
    finally:
        connection.close()


def test_pg8000_native_prepares(office: Office, clients: Clients) -> None:
    connection = clients.of("pg8000", office.through("analyst")).connection
    statement = connection.prepare("SELECT ssn FROM hr.emp WHERE id = :id")
    assert [statement.run(id=i) for i in (1, 2)] == [[["****-**01"]], [["****-**02"]]]
    statement.close()


def test_binary_photos_of_the_bypass_role(office: Office, clients: Clients) -> None:
    client = clients.of("psycopg-binary", office.through("dba"))
    assert client.run("SELECT photo FROM hr.emp WHERE id = 1").rows == [(PHOTO,)]
