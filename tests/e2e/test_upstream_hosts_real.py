"""A primary and its standby behind one DSN; keys of protocol 3.2. Real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, create_database, serving
from office_world import write_policy
from probes import CLEAR, DATABASE, POLICY, TABLES, VEILED, codes_of, eventually, ready, refusal, startup
from scripted_upstream import dead_port
from tcp_postgres import TcpPostgres, standby_of, tcp_postgres

from proxy import localpg

SIDES = "SELECT pg_is_in_recovery()"


@pytest.fixture(scope="module", params=[15, 18], ids=["15", "18"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[TcpPostgres, TcpPostgres]]:
    hba = ("local replication all trust", "host all all all trust")
    with tcp_postgres(request.param, {"wal_level": "replica"}, hba) as primary:
        primary.execute(f"CREATE DATABASE {DATABASE}")
        with psycopg.connect(primary.admin, autocommit=True, dbname=DATABASE) as connection:
            connection.execute(TABLES)
        with standby_of(primary, {"hot_standby": "on"}) as standby:
            eventually(lambda: reads(standby), "the standby has caught up")
            yield primary, standby


def reads(server: TcpPostgres) -> bool:
    try:
        with psycopg.connect(f"{server.admin} dbname={DATABASE}") as connection:
            return connection.execute("SELECT count(*) FROM people").fetchone() == (5,)
    except psycopg.Error:
        return False


def dsn(*ports: int, **query: str) -> str:
    places = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://postgres@{places}/{DATABASE}?" + "&".join(f"{k}={v}" for k, v in query.items())


def side(proxy: Pgveil) -> bool:
    with psycopg.connect(proxy.dsn("dba", DATABASE), autocommit=True) as session:
        found = session.execute(SIDES).fetchone()
    assert found is not None
    return bool(found[0])


@pytest.mark.parametrize(
    ("target", "on_standby"),
    [("read-write", False), ("primary", False), ("standby", True), ("prefer-standby", True), ("read-only", True)],
)
def test_sessions_are_where_the_dsn_wants_them(
    target: str, on_standby: bool, pair: tuple[TcpPostgres, TcpPostgres], tmp_path: Path
) -> None:
    primary, standby = pair
    first, second = (primary, standby) if on_standby else (standby, primary)
    text = dsn(dead_port(), first.port, second.port, target_session_attrs=target)
    with serving(Configuration(text, write_policy(tmp_path, POLICY)), tmp_path) as proxy:
        assert side(proxy) is on_standby
        assert codes_of(proxy, "analyst") == VEILED
        assert codes_of(proxy, "dba") == CLEAR
        assert ready(proxy)["ready"], "the catalogue is read from there too"


def test_no_server_of_the_kind(pair: tuple[TcpPostgres, TcpPostgres], tmp_path: Path) -> None:
    text = dsn(pair[1].port, target_session_attrs="read-write")
    with serving(Configuration(text, write_policy(tmp_path, POLICY)), tmp_path) as proxy:
        error = refusal(proxy, startup("dba", DATABASE))
        assert error["C"] == "08001"
        assert "target_session_attrs=read-write" in error["M"]
        assert error["H"]


def test_the_next_host_is_taken_when_one_goes_down(tmp_path: Path) -> None:
    with tcp_postgres(18, {}) as one, tcp_postgres(18, {}) as two:
        for server in (one, two):
            server.execute(f"CREATE DATABASE {DATABASE}")
            with psycopg.connect(server.admin, autocommit=True, dbname=DATABASE) as connection:
                connection.execute(TABLES)
        with serving(Configuration(dsn(one.port, two.port), write_policy(tmp_path, POLICY)), tmp_path) as proxy:
            with psycopg.connect(proxy.dsn("dba", DATABASE)) as session:
                assert session.execute("SHOW port").fetchone() == (str(one.port),)
            one.stop()
            with psycopg.connect(proxy.dsn("dba", DATABASE)) as session:
                assert session.execute("SHOW port").fetchone() == (str(two.port),)
            eventually(lambda: bool(ready(proxy)["ready"]), "the catalogue is read from the other")
            assert codes_of(proxy, "analyst") == VEILED


def test_a_long_key_cancels(postgres: localpg.LocalPostgres, tmp_path: Path) -> None:
    """PostgreSQL 18 gives 32 bytes to whoever asks for protocol 3.2, and takes no part of them for a cancel."""
    text = create_database(postgres, "long_keys", TABLES) + "&min_protocol_version=3.2"
    with (
        serving(Configuration(text, write_policy(tmp_path, POLICY)), tmp_path) as proxy,
        psycopg.connect(proxy.dsn("dba", "long_keys"), autocommit=True) as session,
    ):
        cancelled = threading.Event()

        def sleep() -> None:
            with pytest.raises(psycopg.errors.QueryCanceled):
                session.execute("SELECT pg_sleep(60) AS long_key")
            cancelled.set()

        sleeping = threading.Thread(target=sleep)
        sleeping.start()
        with psycopg.connect(postgres.dsn, autocommit=True) as admin:
            running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%AS long_key' AND state = 'active'"
            eventually(lambda: admin.execute(running).fetchone() == (1,), "it runs")
        session.cancel_safe()
        assert cancelled.wait(30)
        sleeping.join()
