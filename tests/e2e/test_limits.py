"""Limits, temporary tables and cursors of masked roles, by real clients on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve
from office_world import write_policy
from probes import DATABASE, eventually, sample
from psycopg import sql

POLICY = """
version: 1
roles:
  dba: {users: [postgres, dba], bypass: true}
  analyst: {users: [analyst]}
  rows: {users: [rows]}
  bytes: {users: [bytes]}
  slow: {users: [slow]}
  dear: {users: [dear]}
  single: {users: ["single*"]}
defaults:
  tables: deny
  statements: [select, explain, copy_out, cursor, prepare, transaction, show, set, temp]
tables:
  - {allow: ["public.*"], roles: [analyst, rows, bytes, slow, dear, single]}
masks:
  - {columns: [public.people.code], mask: constant, with: {value: hidden}, except: [dba]}
limits:
  - {roles: [rows], max_rows: 3}
  - {roles: [bytes], max_bytes: 2000}
  - {roles: [slow], statement_timeout_s: 1}
  - {roles: [dear], max_cost: 50}
  - {roles: [single], max_concurrent: 1}
"""

Said = tuple[str | None, str | None, str | None]
Notices = list[tuple[Said, str]]
"""Severity, SQLSTATE and message, and the hint."""


@pytest.fixture(scope="module")
def proxy(plain_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Pgveil:
    policies = write_policy(tmp_path_factory.mktemp("limits"), POLICY)
    return serve(Configuration(upstream=plain_dsn, policies=policies))


def session(proxy: Pgveil, user: str, *, autocommit: bool = True) -> tuple[psycopg.Connection, Notices]:
    connection = psycopg.connect(proxy.dsn(user, DATABASE), autocommit=autocommit)
    notices: Notices = []

    def take(notice: psycopg.errors.Diagnostic) -> None:  # it is gone with its result
        primary = (notice.severity_nonlocalized, notice.sqlstate, notice.message_primary)
        notices.append((primary, notice.message_hint or ""))

    connection.add_notice_handler(take)
    return connection, notices


@pytest.fixture
def rows(proxy: Pgveil) -> Iterator[tuple[psycopg.Connection, Notices]]:
    connection, notices = session(proxy, "rows")
    with connection:
        yield connection, notices


PEOPLE = "SELECT id, code FROM people ORDER BY id"
THREE = [(1, "hidden"), (2, "hidden"), (3, "hidden")]


def said(notices: Notices) -> list[Said]:
    return [primary for primary, _ in notices]


WARNED = [("WARNING", "01000", "the result was cut after 3 rows")]


class TestRows:
    @pytest.mark.parametrize("binary", [False, True])
    def test_a_long_result_is_cut_and_says_so(self, rows: tuple[psycopg.Connection, Notices], binary: bool) -> None:
        connection, notices = rows
        cursor = connection.cursor(binary=binary).execute(PEOPLE)
        assert (cursor.fetchall(), cursor.rowcount, cursor.statusmessage) == (THREE, 3, "SELECT 3")
        assert said(notices) == WARNED
        assert "max_rows, which is 3" in notices[0][1]

    @pytest.mark.parametrize("query", [f"{PEOPLE} LIMIT 3", "SELECT id, code FROM people WHERE id < 4 ORDER BY id"])
    def test_one_of_just_that_many_rows_does_not(self, rows: tuple[psycopg.Connection, Notices], query: str) -> None:
        connection, notices = rows
        assert connection.execute(query).fetchall() == THREE
        assert notices == []

    def test_a_prepared_statement(self, rows: tuple[psycopg.Connection, Notices]) -> None:
        connection, notices = rows
        for _ in range(2):
            got = connection.execute("SELECT id FROM people WHERE id > %s ORDER BY id", (0,), prepare=True).fetchall()
            assert got == [(1,), (2,), (3,)]
        assert said(notices) == WARNED * 2
        connection.execute("PREPARE p AS SELECT id FROM people ORDER BY id")
        assert connection.execute("EXECUTE p").fetchall() == [(1,), (2,), (3,)]
        assert said(notices) == WARNED * 3

    @pytest.mark.parametrize("options", ["", "(FORMAT csv)", "(FORMAT csv, HEADER)", "(HEADER, FORMAT text)"])
    def test_copy(self, rows: tuple[psycopg.Connection, Notices], options: str) -> None:
        connection, notices = rows
        cursor = connection.cursor()
        with cursor.copy(
            sql.SQL("COPY (SELECT id FROM people ORDER BY id) TO STDOUT {}").format(sql.SQL(options))
        ) as out:
            lines = b"".join(bytes(part) for part in out).decode().split()
        assert lines == [*(["id"] if "HEADER" in options else []), "1", "2", "3"]
        assert (cursor.rowcount, said(notices)) == (3, WARNED)

    def test_binary_copy_ends_as_it_has_to(self, rows: tuple[psycopg.Connection, Notices]) -> None:
        connection, notices = rows
        with connection.cursor().copy("COPY (SELECT id FROM people ORDER BY id) TO STDOUT (FORMAT binary)") as out:
            out.set_types(["int4"])
            assert list(out.rows()) == [(1,), (2,), (3,)]
        assert said(notices) == WARNED

    def test_a_table_by_copy(self, rows: tuple[psycopg.Connection, Notices]) -> None:
        connection, _ = rows
        with connection.cursor().copy("COPY people (code) TO STDOUT") as out:
            assert [row[0] for row in out.rows()] == ["hidden"] * 3

    def test_a_cursor_over_all_its_fetches(self, proxy: Pgveil) -> None:
        connection, notices = session(proxy, "rows", autocommit=False)
        with connection, connection.cursor("c") as cursor:
            cursor.execute(PEOPLE)
            assert cursor.fetchmany(2) == THREE[:2]
            assert said(notices) == []
            assert cursor.fetchmany(2) == THREE[2:]
            assert said(notices) == WARNED
            assert cursor.fetchmany(2) == []

    def test_the_metric_counts(self, proxy: Pgveil, rows: tuple[psycopg.Connection, Notices]) -> None:
        series = 'pgveil_results_cut_total{limit="max_rows"}'
        before = sample(proxy, series)
        rows[0].execute(PEOPLE)
        assert sample(proxy, series) == before + 1

    def test_a_bypass_role_has_no_limits(self, proxy: Pgveil) -> None:
        connection, notices = session(proxy, "dba")
        with connection:
            assert len(connection.execute(PEOPLE).fetchall()) == 5
        assert notices == []


def test_bytes(proxy: Pgveil) -> None:
    connection, notices = session(proxy, "bytes")
    with connection:
        got = connection.execute("SELECT repeat('x', 500) FROM generate_series(1, 1000)").fetchall()
        assert len(got) == 3
        assert said(notices) == WARNED
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_time(proxy: Pgveil) -> None:
    connection, _ = session(proxy, "slow")
    with connection:
        for prepare in (False, True):
            with pytest.raises(psycopg.errors.QueryCanceled) as raised:
                connection.execute("SELECT count(*) FROM generate_series(1, 10000000000)", prepare=prepare)
            assert raised.value.diag.message_primary == "canceling statement due to statement timeout"
            assert "statement_timeout_s" in (raised.value.diag.message_hint or "")
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert sample(proxy, 'pgveil_limit_refusals_total{limit="statement_timeout_s"}') == 2


DEAR = "SELECT count(*) FROM people a, people b, people c, people d"


class TestCost:
    @pytest.mark.parametrize(
        "query",
        [
            DEAR,
            f"PREPARE p AS {DEAR}",
            f"PREPARE p (int) AS {DEAR} WHERE a.id > $1",
            f"DECLARE c CURSOR WITH HOLD FOR {DEAR}",
            f"CREATE TEMP TABLE t AS {DEAR}",
            f"SELECT 1; {DEAR}",
        ],
    )
    def test_what_is_too_dear_does_not_run(self, proxy: Pgveil, query: str) -> None:
        connection, _ = session(proxy, "dear")
        with connection, pytest.raises(psycopg.errors.ConfigurationLimitExceeded) as raised:
            connection.execute(query)
        assert raised.value.diag.message_detail == "The policy's max_cost is 50, in PostgreSQL's units."

    def test_parameters_are_priced_without_their_values(self, proxy: Pgveil) -> None:
        connection, _ = session(proxy, "dear")
        with connection:
            for _ in range(2):
                assert connection.execute("SELECT id FROM people WHERE id = %s", (2,)).fetchall() == [(2,)]
            with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
                connection.execute(f"{DEAR} WHERE a.id > %s AND b.name = %s", (0, "x"))
            assert connection.execute("SELECT %s::text", ("x",)).fetchall() == [("x",)]

    def test_what_costs_little_runs(self, proxy: Pgveil) -> None:
        connection, _ = session(proxy, "dear")
        with connection:
            assert connection.execute(f"{PEOPLE} LIMIT 1").fetchall() == THREE[:1]
            connection.execute("CREATE TEMP TABLE mine AS SELECT id FROM people")
            assert connection.execute("SELECT count(*) FROM mine").fetchall() == [(5,)]
            with pytest.raises(psycopg.errors.UndefinedFunction):
                connection.execute("SELECT sum(name) FROM people")

    def test_names_are_found_by_the_sessions_own_search_path(self, proxy: Pgveil) -> None:
        connection, _ = session(proxy, "dear")
        with connection:
            connection.execute("SET search_path = pg_catalog, public")
            with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
                connection.execute(DEAR)


def test_concurrency(proxy: Pgveil) -> None:
    first, _ = session(proxy, "single1")
    second, _ = session(proxy, "single2")
    with first, second:
        running = threading.Thread(target=_until_cancelled, args=(first,))
        running.start()
        try:
            eventually(lambda: _is_refused(second), "the second session is refused")
        finally:
            eventually(lambda: _cancelled(first, running), "the first session's statement ends")
        assert second.execute("SELECT 1").fetchall() == [(1,)]
        assert first.execute("SELECT 1").fetchall() == [(1,)]


def _until_cancelled(connection: psycopg.Connection) -> None:
    """Runs what does not end; the other session may have the place for a moment."""
    while True:
        try:
            connection.execute("SELECT count(*) FROM generate_series(1, 10000000000)")
        except psycopg.errors.ConfigurationLimitExceeded:
            continue
        except psycopg.errors.QueryCanceled:
            return


def _cancelled(connection: psycopg.Connection, running: threading.Thread) -> bool:
    """A server that has not begun yet does not hear a cancel."""
    connection.cancel()
    running.join(1)
    return not running.is_alive()


def _is_refused(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.errors.ConfigurationLimitExceeded as error:
        return "max_concurrent is 1" in (error.diag.message_detail or "")
    return False


class TestTemporaryTables:
    """`people` is a masked table, and the name of a temporary one for as long as that is there."""

    MAKE = "CREATE TEMP TABLE people AS SELECT 1 AS id, 'own' AS code"
    READ = "SELECT code FROM people WHERE id = 1"

    @pytest.fixture
    def analyst(self, proxy: Pgveil) -> Iterator[psycopg.Connection]:
        connection, _ = session(proxy, "analyst")
        with connection:
            yield connection

    def read(self, connection: psycopg.Connection) -> object:
        simple = psycopg.ClientCursor(connection).execute(self.READ).fetchone()
        assert connection.execute(self.READ).fetchone() == simple
        return None if simple is None else simple[0]

    def test_the_name_means_the_table_while_it_is_there(self, analyst: psycopg.Connection) -> None:
        assert self.read(analyst) == "hidden"
        analyst.execute(self.MAKE)
        assert self.read(analyst) == "own"
        analyst.execute("DROP TABLE people")
        assert self.read(analyst) == "hidden"

    @pytest.mark.parametrize("end", ["ROLLBACK", "ROLLBACK TO s", "DISCARD TEMP", "DROP TABLE people"])
    def test_and_not_longer(self, analyst: psycopg.Connection, end: str) -> None:
        analyst.execute("BEGIN")
        analyst.execute("SAVEPOINT s")
        analyst.execute(self.MAKE)
        assert self.read(analyst) == "own"
        analyst.execute(end)
        assert self.read(analyst) == "hidden"

    def test_on_commit_drop(self, analyst: psycopg.Connection) -> None:
        make = "CREATE TEMP TABLE people ON COMMIT DROP AS SELECT 1 AS id, 'own' AS code"
        with analyst.transaction():
            analyst.execute(make)
            assert self.read(analyst) == "own"
        assert self.read(analyst) == "hidden"
        analyst.execute(make)
        assert self.read(analyst) == "hidden"

    def test_in_a_pipeline(self, analyst: psycopg.Connection) -> None:
        with analyst.pipeline():
            before = analyst.execute(self.READ)
            analyst.execute(self.MAKE)
            between = analyst.execute(self.READ)
            analyst.execute("DROP TABLE people")
            after = analyst.execute(self.READ)
        assert [c.fetchone() for c in (before, between, after)] == [("hidden",), ("own",), ("hidden",)]

    def test_an_undone_pipeline(self, analyst: psycopg.Connection) -> None:
        with pytest.raises(psycopg.errors.DivisionByZero):
            self.undone(analyst)
        assert self.read(analyst) == "hidden"

    def undone(self, analyst: psycopg.Connection) -> None:
        with analyst.pipeline():
            analyst.execute(self.MAKE)
            analyst.execute("SELECT 1/0")
