"""Ways around a limit, tried on a real PostgreSQL: work in messages that are no statements, clients that leave, cursors
that are filled late, prices that nobody can say."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve
from office_world import write_policy
from probes import DATABASE, eventually, get, ready
from raw_client import COPY_IN, ERROR, READY, RawClient, fields

POLICY = """
version: 1
roles:
  dba: {users: [postgres, dba], bypass: true}
  rows: {users: [rows]}
  slow: {users: [slow]}
  dear: {users: ["dear*"]}
  single: {users: ["single*"]}
defaults:
  tables: deny
  statements: [select, copy_in, cursor, prepare, transaction, set, show, temp]
tables:
  - {allow: ["public.*"], roles: [rows, slow, dear, single], write: [insert]}
masks:
  - {columns: [public.people.code], mask: constant, with: {value: hidden}, except: [dba]}
limits:
  - {roles: [rows], max_rows: 3}
  - {roles: [slow], statement_timeout_s: 1}
  - {roles: [dear], max_cost: 50}
  - {roles: [single], max_concurrent: 1}
"""

ENDLESS = "SELECT count(*) FROM generate_series(1, 10000000000) AS held"
LONG = "SELECT count(*) FROM generate_series(1, 3000000)"
PLANNED = "SELECT length(regexp_replace(repeat('ab', 9000000), '(a|b)c*', 'xx', 'g'))"
"""The planner computes it."""


@pytest.fixture(scope="module")
def proxy(plain_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Pgveil:
    policies = write_policy(tmp_path_factory.mktemp("held"), POLICY)
    return serve(Configuration(upstream=plain_dsn, policies=policies))


@pytest.fixture
def direct(plain_dsn: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(plain_dsn, autocommit=True) as connection:
        yield connection


def client(proxy: Pgveil, user: str) -> RawClient:
    return RawClient(proxy.host, proxy.port, user, DATABASE)


def parse_and_bind(session: RawClient, sql: str) -> None:
    session.send(b"P", b"\0" + sql.encode() + b"\0" + struct.pack("!h", 0))
    session.send(b"B", b"\0\0" + struct.pack("!hhh", 0, 0, 0))


def execute(session: RawClient) -> None:
    session.send(b"E", b"\0" + struct.pack("!i", 0))


def runs(direct: psycopg.Connection[tuple[object, ...]], what: str) -> bool:
    found = direct.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND position(%s IN query) > 0 "
        "AND pid <> pg_backend_pid()",
        (what,),
    ).fetchone()
    return found != (0,)


def full(proxy: Pgveil) -> bool:
    """Whether the role runs as much as it may."""
    with client(proxy, "single2") as second:
        return second.simple("SELECT 1").error.get("C") == "53400"


class TestTime:
    def test_planning_has_its_time(self, proxy: Pgveil) -> None:
        with client(proxy, "slow") as session:
            parse_and_bind(session, PLANNED)
            session.send(b"S", b"")
            assert session.reply().error["M"] == "canceling statement due to statement timeout"

    def test_so_has_the_end_of_an_implicit_transaction(self, proxy: Pgveil) -> None:
        with client(proxy, "slow") as session:
            parse_and_bind(session, f"DECLARE c CURSOR WITH HOLD FOR {ENDLESS}")
            execute(session)
            session.send(b"S", b"")
            assert session.reply().error["M"] == "canceling statement due to statement timeout"
            assert session.simple("SELECT 1").error == {}

    def test_a_copy_that_the_client_does_not_go_on_with(self, proxy: Pgveil) -> None:
        with client(proxy, "slow") as session:
            session.send(b"Q", b"COPY people (id, name) FROM STDIN\0")
            said = session.messages()
            assert next(said)[0] == COPY_IN
            (tag, body) = next(said)
            assert (tag, fields(body)["M"]) == (ERROR, "canceling statement due to statement timeout")
            assert next(said)[0] == READY
            session.send(b"d", b"900\tx\n")
            session.send(b"c", b"")
            assert session.simple("SELECT count(*) FROM people WHERE id = 900").data == [b"\0\1\0\0\0\x010"]

    def test_a_client_that_says_goodbye_and_leaves(
        self, proxy: Pgveil, direct: psycopg.Connection[tuple[object, ...]]
    ) -> None:
        session = client(proxy, "slow")
        query = ENDLESS.encode() + b"\0"
        session.socket.sendall(b"Q" + struct.pack("!i", 4 + len(query)) + query + b"X\0\0\0\4")
        session.socket.close()
        eventually(lambda: runs(direct, "AS held"), "the statement runs")
        eventually(lambda: not runs(direct, "AS held"), "it is stopped")


class TestAtOnce:
    def test_planning_takes_a_place(self, proxy: Pgveil) -> None:
        with client(proxy, "single1") as first:
            parse_and_bind(first, PLANNED)
            first.send(b"S", b"")
            eventually(lambda: full(proxy), "the place is taken")
            assert first.reply().error == {}
            assert not full(proxy)

    def test_a_cursor_takes_one_until_it_is_filled(self, proxy: Pgveil) -> None:
        with client(proxy, "single1") as first:
            first.simple("BEGIN")
            assert first.simple(f"DECLARE c CURSOR WITH HOLD FOR {LONG}").error == {}
            assert full(proxy)
            assert first.simple("COMMIT").error == {}
            assert not full(proxy)

    def test_what_runs_after_its_client_has_left_keeps_its_place(
        self, proxy: Pgveil, direct: psycopg.Connection[tuple[object, ...]]
    ) -> None:
        session = client(proxy, "single1")
        query = ENDLESS.encode() + b"\0"
        session.socket.sendall(b"Q" + struct.pack("!i", 4 + len(query)) + query + b"X\0\0\0\4")
        session.socket.shutdown(socket.SHUT_RDWR)
        session.socket.close()
        eventually(lambda: runs(direct, "AS held"), "the statement runs")
        assert full(proxy)
        direct.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE position('AS held' IN query) > 0 "
            "AND state = 'active' AND pid <> pg_backend_pid()"
        )
        eventually(lambda: not full(proxy), "the place is free")


DEAR = "SELECT count(*) FROM people a, people b, people c, people d"


class TestCost:
    @pytest.mark.parametrize(
        ("setting", "constant"),
        [("datestyle = 'ISO, DMY'", "'13/01/2020'::date"), ("xmloption = document", "'<!DOCTYPE a><a/>'::xml")],
    )
    def test_no_setting_makes_a_statement_one_without_a_price(self, proxy: Pgveil, setting: str, constant: str) -> None:
        with client(proxy, "dear") as session:
            session.simple(f"SET {setting}")
            assert session.simple(f"{DEAR} WHERE {constant} IS NOT NULL").error["C"] == "53400"

    def test_constants_are_read_as_the_session_reads_them(self, proxy: Pgveil) -> None:
        with client(proxy, "dear") as session:
            session.simple("SET datestyle = 'ISO, DMY'")
            assert session.simple("SELECT '13/01/2020'::date").data == [b"\0\1\0\0\0\n2020-01-13"]

    def test_a_name_that_is_wrong_is_told(self, proxy: Pgveil) -> None:
        with client(proxy, "dear") as session:
            assert session.simple("SELECT nothing FROM people").error["M"] == 'column "nothing" does not exist'

    def test_one_users_prices_are_nobody_elses_wait(self, proxy: Pgveil) -> None:
        sessions = [client(proxy, "dear1") for _ in range(4)]
        asking = [threading.Thread(target=session.simple, args=(PLANNED,)) for session in sessions]
        for thread in asking:
            thread.start()
        try:
            with client(proxy, "dear2") as other:
                started = time.monotonic()
                assert other.simple("SELECT 1").error == {}
                assert time.monotonic() - started < 4
            assert ready(proxy)["ready"]
            assert get(proxy, "/readyz")[0] == 200
        finally:
            for thread in asking:
                thread.join()
            for session in sessions:
                session.socket.close()


def test_what_was_moved_over_and_back_is_all_there(proxy: Pgveil) -> None:
    with client(proxy, "rows") as session:
        session.simple("BEGIN")
        session.simple("DECLARE c SCROLL CURSOR FOR SELECT id FROM people WHERE id < 3")
        session.simple("MOVE ALL IN c")
        session.simple("MOVE BACKWARD ALL IN c")
        assert len(session.simple("FETCH ALL FROM c").data) == 2


class TestTheUnnamedStatement:
    def test_the_old_one_does_not_matter_to_the_next(self, proxy: Pgveil) -> None:
        with psycopg.connect(proxy.dsn("rows", DATABASE), autocommit=True) as connection:
            connection.execute("CREATE TEMP TABLE mine (id int, v text)")
            assert connection.execute("SELECT v FROM mine WHERE id = %s", (1,)).fetchall() == []
            connection.execute("DROP TABLE mine")
            assert connection.execute("SELECT %s::int", (1,)).fetchall() == [(1,)]
            connection.execute("SELECT id FROM people WHERE id = %s", (1,))
            connection.execute("SET search_path = pg_catalog")
            assert connection.execute("SELECT %s::int", (2,)).fetchall() == [(2,)]

    def test_nothing_that_execute_runs_changes_the_session(self, proxy: Pgveil) -> None:
        with client(proxy, "rows") as session:
            for name, sql in (("path", "SET search_path = pg_catalog"), ("temp", "CREATE TEMP TABLE people (id int)")):
                session.send(b"P", f"{name}\0{sql}\0".encode() + struct.pack("!h", 0))
                session.send(b"S", b"")
                assert session.reply().error == {}
                assert session.simple(f"EXECUTE {name}").error["C"] == "0A000"
            assert len(session.simple("SELECT id FROM people").data) == 3
