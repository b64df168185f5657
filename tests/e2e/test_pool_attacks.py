"""Transaction pooling under attack: what one client does on purpose, or leaves when it dies, and what the next one on
the connection must not notice."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
from pathlib import Path

import psycopg
import pytest
from conftest import Serve, create_database
from pool_world import (
    DATABASE,
    FLUSH,
    POLICY,
    SYNC,
    TABLES,
    Shared,
    bind,
    close,
    describe,
    execute,
    open_shared,
    parse,
    query,
    run,
)
from probes import eventually, metric, sample
from raw_client import RawClient

from proxy import localpg

CODE = "SELECT code FROM people WHERE id = 1"
HOMONYMS = """
CREATE SCHEMA mine;
CREATE FUNCTION mine.sum(a int) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN set_config('work_mem', a || 'MB', false); END $$;
"""


@pytest.fixture(scope="module")
def attacked_dsn(postgres: localpg.LocalPostgres) -> str:
    return create_database(postgres, DATABASE, TABLES, HOMONYMS)


@pytest.fixture(scope="module")
def shared(attacked_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return open_shared(serve, attacked_dsn, tmp_path_factory.mktemp("attacked"), queue_timeout_s=20)


def value(connection: psycopg.Connection, sql: str) -> object:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT mine . sum(77)",
        "SELECT mine.\tsum (77)",
        'SELECT "mine"."sum"(77)',
        "SELECT mine.sum(77)",
        "UPDATE pg_settings SET setting = '78848' WHERE name = 'work_mem'",
        "UPDATE pg_catalog.\"pg_settings\" SET setting = '78848' WHERE name = 'work_mem'",
        "WITH a AS (SELECT 1) UPDATE pg_settings SET setting = '78848' WHERE name = 'work_mem'",
        "BEGIN; SET LOCAL work_mem = '77MB'; SET SESSION work_mem = '77MB'; COMMIT",
        "DO $$ BEGIN PERFORM set_config('work_mem', '77MB', false); END $$",
        "EXPLAIN ANALYZE SELECT set_config('work_mem', '77MB', false)",
        "COPY (SELECT set_config('work_mem', '77MB', false)) TO STDOUT",
    ],
)
def test_a_setting_stays_with_its_client_however_it_is_made(shared: Shared, sql: str) -> None:
    with shared.connect() as one, shared.connect() as other:
        cursor = one.cursor()
        if sql.startswith("COPY"):
            with cursor.copy(sql) as copy:
                assert list(copy)
        else:
            cursor.execute(sql)
        assert value(one, "SHOW work_mem") == "77MB"
        assert value(other, "SHOW work_mem") != "77MB"
        assert value(one, "SHOW work_mem") == "77MB"


def test_a_statement_prepared_right_after_a_setting_is_nobody_elses(shared: Shared) -> None:
    """A constant that a setting gives its meaning is read when the statement is prepared."""
    sql = "SELECT extract(month FROM '01/02/2020'::date)"
    for turn in range(10):
        with shared.raw() as one, shared.raw() as other:
            run(other, parse("month", f"{sql} + {turn}"), SYNC)
            one.simple("SET datestyle = 'ISO, DMY'")
            assert run(one, parse("month", f"{sql} + {turn}"), SYNC).error == {}
            assert run(one, bind("month"), execute(), SYNC).data == [data(2 + turn)]
            assert run(other, bind("month"), execute(), SYNC).data == [data(1 + turn)]


def data(number: int) -> bytes:
    """A row of one number, as text."""
    text = str(number).encode()
    return struct.pack("!hi", 1, len(text)) + text


@pytest.mark.parametrize("way", ["Close", "Bind", "Describe", "Parse", "DEALLOCATE", "EXECUTE"])
def test_the_servers_names_are_no_handle_on_the_statements_of_others(shared: Shared, way: str) -> None:
    sql = f"SELECT id + 1 AS {way} FROM people WHERE id = 1"
    with shared.raw() as one, shared.raw() as other:
        assert run(one, parse("mine", sql), SYNC).error == {}
        assert run(one, bind("mine"), execute(), SYNC).data == [data(2)]
        shown = other.simple(f"SELECT name FROM pg_prepared_statements WHERE statement LIKE '%AS {way}%'").data
        name = next(row[6:].decode() for row in shown)
        if way == "Close":
            assert run(other, close(name), SYNC).error["C"] == "42939"
        elif way == "Bind":
            assert run(other, bind(name), execute(), SYNC).error["C"] == "42939"
        elif way == "Describe":
            assert run(other, describe(name), SYNC).error["C"] == "42939"
        elif way == "Parse":  # where the client's names are the server's
            other.simple(f'PREPARE own AS SELECT 1; DEALLOCATE "{name}"')
            assert run(other, parse(name, "SELECT 77"), SYNC).error["C"] == "42939"
            other.simple("DEALLOCATE own")
        elif way == "DEALLOCATE":
            other.simple(f'DEALLOCATE "{name}"')
        else:
            other.simple(f'EXECUTE "{name}"; DEALLOCATE ALL')
        assert run(one, bind("mine"), execute(), SYNC).data == [data(2)]


MOMENTS: list[tuple[bytes, ...]] = [
    (query("BEGIN"),),
    (query("BEGIN"), query("INSERT INTO notes (text) VALUES ('never')")),
    (parse("", "SELECT 1"),),
    (parse("s", "SELECT 1"), bind("s"), FLUSH),
    (parse("s", "SELECT * FROM generate_series(1, 1000000)"), bind("s"), execute(), SYNC),
    (query("SELECT * FROM generate_series(1, 3000000)"),),
    (query("SELECT pg_sleep(0.2)"), query("SELECT 2")),
    (query("COPY notes (text) FROM STDIN"),),
    (query("COPY notes (text) FROM STDIN"), b"d\0\0\0\x0anever\n"),
    (query("COPY notes (text) FROM STDIN"), b"d\0\0\0\x0anever"),
    (query("SET work_mem = '77MB'"),),
    (query("SET work_mem = '77MB'"), query("CREATE TEMP TABLE people (id int)")),
    (query("CREATE TEMP TABLE people (id int)"),),
    (query("BEGIN; SET LOCAL search_path = other; DECLARE c CURSOR WITH HOLD FOR SELECT 1"),),
    (query("SELECT pg_advisory_lock(4711)"),),
    (query("LISTEN somebody"), query("NOTIFY somebody, 'me'")),
    (query("BEGIN"), query("SELECT * FRM"), query("SELECT 1")),
    (query("SELECT 1")[:7],),
    (query("BEGIN"), query("SELECT 1")[:7]),
    (parse("s", "SELECT set_config('work_mem', '77MB', false)"), bind("s"), execute(), SYNC, b"X\0\0\0\4"),
    (b"X\0\0\0\4",),
    (query("BEGIN"), b"X\0\0\0\4"),
]


@pytest.mark.parametrize("reads", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("user", ["dba", "analyst"])
def test_a_client_that_dies_at_any_moment_leaves_nothing(shared: Shared, user: str, reads: bool) -> None:
    with shared.direct() as direct:
        direct.execute("TRUNCATE notes")
    for moment in MOMENTS:
        for hard in (False, True):
            # Another name of its own: its settings are made on the connection first.
            client = shared.raw(user, application_name="dying")
            client.socket.sendall(b"".join(moment))
            if reads:
                client.socket.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    client.socket.recv(100)
            end(client, hard=hard)
            with shared.raw(user, application_name="next") as after:
                reply = after.simple("SELECT current_setting('work_mem'), name FROM people WHERE id = 1")
                assert reply.data == [b"\0\2\0\0\0\0034MB\0\0\0\x08person 1"], moment
                assert reply.status == b"I"
    eventually(lambda: metric(shared.proxy, "pgveil_pool_active") == 0, "all are given back")
    with shared.direct() as direct:
        assert value(direct, "SELECT count(*) FROM notes WHERE text LIKE 'never%'") == 0
        assert value(direct, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


@pytest.mark.parametrize(
    "waiting",
    [
        [query(CODE)],
        [parse("", CODE), bind(""), execute(), SYNC],
        [query(CODE), parse("", CODE), bind(""), execute(), SYNC, query("SELECT 1; " + CODE)],
    ],
    ids=["simple", "extended", "several"],
)
def test_what_waited_while_the_policy_changed_is_not_run(
    attacked_dsn: str, serve: Serve, tmp_path: Path, waiting: list[bytes]
) -> None:
    shared = open_shared(serve, attacked_dsn, tmp_path / "reloaded", queue_timeout_s=20)
    with shared.raw("dba") as dba, shared.raw("reader") as reader:
        assert reader.simple(CODE).data == [b"\0\1\0\0\0\x06zq8x-1"]
        dba.simple("BEGIN")
        reader.socket.sendall(b"".join(waiting))
        eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 1, "the reader waits")
        reload(shared, tmp_path / "reloaded", POLICY.replace("[dba, batch, reader]", "[dba, batch]"))
        replies = [reader.reply() for message in waiting if message == SYNC or message[:1] == b"Q"]
        assert [(reply.error.get("C"), reply.data, reply.status) for reply in replies] == [
            ("40001", [], b"I") for _ in replies
        ]
        dba.simple("COMMIT")
        assert reader.simple(CODE).data == [b"\0\1\0\0\0\x06hidden"]


def test_who_waits_without_a_mask_does_not_hear_of_policies(attacked_dsn: str, serve: Serve, tmp_path: Path) -> None:
    shared = open_shared(serve, attacked_dsn, tmp_path / "reloaded", queue_timeout_s=20)
    with shared.raw("dba") as one, shared.raw("dba") as other:
        one.simple("BEGIN")
        other.socket.sendall(query(CODE))
        eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 1, "the other waits")
        reload(shared, tmp_path / "reloaded", POLICY.replace("value: hidden", "value: gone"))
        one.simple("COMMIT")
        assert other.reply().data == [b"\0\1\0\0\0\x06zq8x-1"]


def reload(shared: Shared, directory: Path, policy: str) -> None:
    name = 'pgveil_policy_loads_total{outcome="ok"}'
    before = sample(shared.proxy, name)
    (directory / "policies" / "office.yaml").write_text(policy)
    shared.proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: sample(shared.proxy, name) > before, "the policy is read")


def end(client: RawClient, *, hard: bool) -> None:
    if hard:  # a reset in place of a goodbye
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()
