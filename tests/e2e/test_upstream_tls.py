"""A real PostgreSQL with TLS behind the proxy: sessions, the proxy's own connection, cancels, channel binding."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, serving
from office_world import write_policy
from probes import CLEAR, DATABASE, POLICY, TABLES, VEILED, codes_of, eventually, ready, refusal, startup
from scripted_upstream import Authority
from tcp_postgres import TcpPostgres, tcp_postgres

TLS = {"ssl": "on", "ssl_cert_file": "own.crt", "ssl_key_file": "own.key", "ssl_ca_file": "ca.crt"}
HBA = (
    "hostssl all bound all scram-sha-256",
    "hostssl all app all trust",
    "hostssl all vouched all cert",
    "host all open all trust",
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def postgres_15(authority: Authority) -> Iterator[TcpPostgres]:
    cert, key = authority.issue("server", "localhost")
    files = {"own.crt": cert, "own.key": key, "ca.crt": authority.root}
    with tcp_postgres(15, TLS, HBA, files) as server:
        server.execute(
            f"CREATE DATABASE {DATABASE}",
            "CREATE ROLE app LOGIN",
            "CREATE ROLE open LOGIN",
            "CREATE ROLE vouched LOGIN",
        )
        server.execute(
            "CREATE ROLE bound LOGIN PASSWORD 'long enough'", "GRANT pg_read_all_data TO app, bound, open, vouched"
        )
        with psycopg.connect(server.admin, autocommit=True, dbname=DATABASE) as connection:
            connection.execute(TABLES)
        yield server


def backends(server: TcpPostgres, user: str) -> object:
    """How many connections of this account there are with TLS, and without."""
    counts = "count(*) FILTER (WHERE ssl) || ' ' || count(*) FILTER (WHERE NOT ssl)"
    return server.value(f"SELECT {counts} FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{user}'")


def test_everything_goes_in_tls(postgres_15: TcpPostgres, authority: Authority, tmp_path: Path) -> None:
    """`open` may come without TLS: only the proxy's own will is what encrypts it."""
    dsn = postgres_15.uri("open", DATABASE, sslmode="verify-full", sslrootcert=str(authority.root))
    with serving(Configuration(dsn, write_policy(tmp_path, POLICY)), tmp_path) as proxy:
        assert codes_of(proxy, "analyst") == VEILED
        assert codes_of(proxy, "dba") == CLEAR
        with psycopg.connect(proxy.dsn("dba", DATABASE), autocommit=True) as session:
            shown = session.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
            assert shown == (True,)
            assert str(backends(postgres_15, "open")).endswith(" 0")
            failures: list[BaseException] = []

            def sleep() -> None:
                try:
                    session.execute("SELECT pg_sleep(60)")
                except psycopg.errors.QueryCanceled as error:
                    failures.append(error)

            sleeping = threading.Thread(target=sleep)
            sleeping.start()
            running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND usename = 'open'"
            eventually(lambda: postgres_15.value(running) == 1, "it runs")
            session.cancel_safe()
            sleeping.join(30)
            assert len(failures) == 1
        assert ready(proxy)["ready"]


def test_a_server_of_another_name_is_trusted_by_nobody(
    postgres_15: TcpPostgres, authority: Authority, tmp_path: Path
) -> None:
    """Neither by sessions nor by what reads the catalogue."""
    dsn = postgres_15.uri("app", DATABASE, host="127.0.0.1", sslmode="verify-full", sslrootcert=str(authority.root))
    with serving(Configuration(dsn, write_policy(tmp_path, POLICY)), tmp_path) as proxy:
        for user in ("dba", "analyst"):
            error = refusal(proxy, startup(user, DATABASE))
            assert error["C"] == "08001"
            assert "not for the host" in error["M"]
            assert error["H"]
        found = ready(proxy)
        assert not found["ready"]
        assert "not for the host" in found["checks"]["upstream"]["detail"]
        assert backends(postgres_15, "app") == "0 0"


def test_the_login_is_bound_to_the_channel(postgres_15: TcpPostgres, authority: Authority, tmp_path: Path) -> None:
    query = {"sslmode": "require", "channel_binding": "require"}
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(postgres_15.uri("bound:long%20enough", DATABASE, **query), policies), tmp_path) as proxy:
        assert codes_of(proxy, "analyst") == VEILED
        assert ready(proxy)["ready"]
    (tmp_path / "second").mkdir()
    with serving(Configuration(postgres_15.uri("app", DATABASE, **query), policies), tmp_path / "second") as proxy:
        assert "channel_binding=require" in refusal(proxy, startup("dba", DATABASE))["M"], "trust binds nothing"
        assert not ready(proxy)["ready"]


def test_the_proxy_has_a_certificate(postgres_15: TcpPostgres, authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("vouched")
    own = {"sslmode": "verify-full", "sslrootcert": str(authority.root), "sslcert": str(cert), "sslkey": str(key)}
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(postgres_15.uri("vouched", DATABASE, **own), policies), tmp_path) as proxy:
        assert codes_of(proxy, "analyst") == VEILED


@pytest.mark.parametrize("mode", ["prefer", "allow"])
def test_a_server_that_wants_tls_gets_it(mode: str, postgres_15: TcpPostgres, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(postgres_15.uri("app", DATABASE, sslmode=mode), policies), tmp_path) as proxy:
        assert codes_of(proxy, "analyst") == VEILED


def test_protocol_3_2_is_asked_of_a_server_that_has_3_0(postgres_15: TcpPostgres, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY)
    dsn = postgres_15.uri("open", DATABASE, max_protocol_version="3.2")
    with serving(Configuration(dsn, policies), tmp_path) as proxy:
        assert codes_of(proxy, "analyst") == VEILED
