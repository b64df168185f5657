"""What a session leaves on the shared connection in rarer ways, and what happens where nobody can tell."""

from __future__ import annotations

import struct
import threading
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Serve, create_database
from office_world import write_policy
from pool_world import DATABASE, POLICY, SYNC, TABLES, Shared, bind, execute, message, open_shared, parse, run, text
from probes import eventually, metric

from proxy import localpg

NAME = "leftovers"
LIMITED = """
CREATE ROLE leftovers_login LOGIN;
REVOKE EXECUTE ON FUNCTION pg_listening_channels() FROM PUBLIC;
"""


@pytest.fixture(scope="module")
def pooled_dsn(postgres: localpg.LocalPostgres) -> str:
    return create_database(postgres, DATABASE, TABLES)


@pytest.fixture(scope="module")
def shared(pooled_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return open_shared(serve, pooled_dsn, tmp_path_factory.mktemp("leftovers"))


def value(connection: psycopg.Connection, sql: str) -> object:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


IN_A_BLOCK = "DO $$ BEGIN PERFORM set_config('{}', '{}', false); END $$"


@pytest.mark.parametrize(
    ("makes", "sees", "ends"),
    [
        ("CREATE FUNCTION pg_temp.kept() RETURNS int RETURN 1", "SELECT pg_temp.kept()", "DROP FUNCTION pg_temp.kept"),
        ("CREATE TYPE pg_temp.kept AS ENUM ('1')", "SELECT '1'::pg_temp.kept::text::int", "DISCARD TEMP"),
        ('CREATE COLLATION pg_temp.kept FROM "C"', "SELECT ('a' < 'b' COLLATE pg_temp.kept)::int", "DISCARD TEMP"),
        ("SET ROLE pg_monitor", "SELECT (current_user = 'pg_monitor')::int", "RESET ROLE"),
        (
            "SET SESSION AUTHORIZATION pg_monitor",
            "SELECT (session_user = 'pg_monitor')::int",
            "RESET SESSION AUTHORIZATION",
        ),
        (
            IN_A_BLOCK.format("client_encoding", "LATIN1"),
            "SELECT (current_setting('client_encoding') = 'LATIN1')::int",
            "DISCARD ALL",
        ),
    ],
    ids=["function", "type", "collation", "role", "session user", "encoding"],
)
def test_rarer_things_keep_the_connection_until_they_are_gone(shared: Shared, makes: str, sees: str, ends: str) -> None:
    with shared.connect() as one, shared.connect() as other:
        one.execute(makes.encode())
        got: list[object] = []
        waiting = threading.Thread(target=lambda: got.append(value(other, "SELECT current_user::text")))
        waiting.start()
        eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 1, "the other one waits")
        assert value(one, sees) == 1
        one.execute(ends.encode())
        waiting.join()
        assert got == ["postgres"]
        assert value(other, "SHOW client_encoding") == "UTF8"


def test_who_asks_for_settings_in_its_startup_packet_shares_with_its_like(shared: Shared) -> None:
    with shared.raw(options="-c work_mem=7MB") as one, shared.raw() as other:
        for _ in range(3):
            assert one.simple("SHOW work_mem").data[0].endswith(b"7MB")
            assert other.simple("SHOW work_mem").data[0].endswith(b"4MB")


def test_nothing_runs_without_the_settings_of_its_session(shared: Shared) -> None:
    """Somebody has dropped what one of them names."""
    with shared.connect() as one, shared.connect() as other, shared.direct() as direct:
        direct.execute("CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple)")
        one.execute("SET default_text_search_config = 'public.mine'")
        assert value(other, "SHOW default_text_search_config") != "public.mine"
        direct.execute("DROP TEXT SEARCH CONFIGURATION mine")
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            one.execute("INSERT INTO notes (text) VALUES ('without')")
        assert value(other, "SELECT count(*) FROM notes WHERE text = 'without'") == 0


def test_one_text_with_other_types_is_another_statement(shared: Shared) -> None:
    with shared.raw() as one, shared.raw() as other:
        for client, kind in ((one, 23), (other, 1184)):
            sql = text("typed") + text("SELECT pg_typeof($1)::oid::int") + struct.pack("!hI", 1, kind)
            assert run(client, message(b"P", sql), SYNC).error == {}
        assert run(one, bind("typed", None), execute(), SYNC).data[0].endswith(b"23")
        assert run(other, bind("typed", None), execute(), SYNC).data[0].endswith(b"1184")


def test_one_text_under_other_settings_is_another_statement(shared: Shared) -> None:
    """A constant is read when the statement is prepared."""
    sql = "SELECT extract(month FROM '01/02/2020'::date)::int"
    with shared.raw() as one, shared.raw() as other:
        one.simple("SET datestyle = 'ISO, DMY'")
        assert other.simple("SELECT 1").error == {}
        assert one.simple("SELECT 1").error == {}
        for client in (other, one):
            assert run(client, parse("month", sql), SYNC).error == {}
        assert run(one, bind("month"), execute(), SYNC).data[0].endswith(b"2")
        assert run(other, bind("month"), execute(), SYNC).data[0].endswith(b"1")


def is_told(notices: list[str]) -> bool:
    return any("the server does not say what is left" in notice for notice in notices)


def test_where_the_server_does_not_say_what_is_left_the_session_keeps_its_connection(
    postgres: localpg.LocalPostgres, serve: Serve, tmp_path: Path
) -> None:
    dsn = create_database(postgres, NAME, LIMITED)
    try:
        policies = write_policy(tmp_path, POLICY)
        settings = {"pool": {"mode": "transaction", "size": 2}}
        login = dsn.replace("://postgres@", "://leftovers_login@")
        assert login != dsn
        proxy = serve(Configuration(login, policies, settings))
        notices: list[str] = []
        with (
            psycopg.connect(proxy.dsn("dba", NAME), autocommit=True) as one,
            psycopg.connect(proxy.dsn("dba", NAME), autocommit=True) as other,
        ):
            one.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
            one.execute("SET work_mem = '7MB'")
            assert value(one, "SHOW work_mem") == "7MB"
            eventually(lambda: value(one, "SELECT 1") == 1 and is_told(notices), "the client is told")
            assert value(other, "SHOW work_mem") == "4MB"
            assert value(one, "SHOW work_mem") == "7MB"
        proxy.stop()
    finally:
        with psycopg.connect(dsn, autocommit=True) as direct:
            direct.execute("DROP OWNED BY leftovers_login; DROP ROLE leftovers_login")
