"""A database that is down when the proxy starts, or goes down under it: clients are told, and it recovers."""

from __future__ import annotations

from pathlib import Path

from conftest import Configuration, Pgveil, create_database, serving
from office_world import write_policy
from probes import (
    CLEAR,
    DATABASE,
    POLICY,
    TABLES,
    assert_no_session_is_left,
    assert_serves,
    codes_of,
    eventually,
    get,
    ready,
)
from raw_client import RawClient, fields

from proxy import localpg

ROLES = ("dba", "analyst")


def test_a_database_that_goes_down_and_comes_back(tmp_path: Path) -> None:
    server = localpg.start(tmp_path / "pg", durable=False)
    try:
        create_database(server, DATABASE, TABLES)
        policies = write_policy(tmp_path, POLICY)
        with serving(Configuration(upstream=server.dsn_for(DATABASE), policies=policies), tmp_path) as proxy:
            assert_serves(proxy)
            session = RawClient(proxy.host, proxy.port, "analyst", DATABASE)
            server.stop()
            with session:  # it hears of it, and is not left waiting
                errors = [fields(body) for tag, body in session.messages() if tag == b"E"]
            assert [error["S"] for error in errors] == ["FATAL"]
            assert_down(proxy)
            server = localpg.start(tmp_path / "pg", durable=False)
            eventually(lambda: ready(proxy)["ready"], "the proxy is ready again")
            assert_serves(proxy)
            assert_no_session_is_left(proxy)
    finally:
        server.stop()


def test_a_proxy_that_starts_before_its_database(tmp_path: Path) -> None:
    server = localpg.start(tmp_path / "pg", durable=False)
    dsn = create_database(server, DATABASE, TABLES)
    server.stop()
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(upstream=dsn, policies=policies), tmp_path) as proxy:
        assert_down(proxy)
        server = localpg.start(tmp_path / "pg", durable=False)
        try:
            assert codes_of(proxy, "dba") == CLEAR
            eventually(lambda: ready(proxy)["ready"], "the catalogue is read")
            assert_serves(proxy)
        finally:
            server.stop()


def assert_down(proxy: Pgveil) -> None:
    """Clients get a FATAL with a hint, the operator a 503; the process turns."""
    for user in ROLES:
        with RawClient(proxy.host, proxy.port, user, DATABASE) as client:
            error = client.greeting.error
        assert (error["S"], error["C"]) == ("FATAL", "08001")
        assert error["H"]
    assert get(proxy, "/healthz")[0] == 200
    found = ready(proxy)
    assert not found["ready"]
    assert not found["checks"]["upstream"]["ok"]
    assert proxy.process.poll() is None
