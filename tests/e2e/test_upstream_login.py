"""The proxy's own account: every way in which a server asks for a password, and a server that refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from conftest import Configuration, create_database, serving
from office_world import write_policy
from probes import CLEAR, DATABASE, POLICY, TABLES, VEILED, codes_of, metric, refusal, startup
from raw_client import RawClient

from proxy import localpg

ACCOUNTS = {"by_scram": "scram-sha-256", "by_md5": "md5", "by_password": "password"}
OWN_PASSWORD = "pa ss/wörd@:?#%&+"


@pytest.fixture(scope="module")
def picky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[localpg.LocalPostgres]:
    """A PostgreSQL that asks its clients for passwords, each account in its own way."""
    server = localpg.start(tmp_path_factory.mktemp("picky") / "pg", durable=False)
    try:
        create_database(server, DATABASE, TABLES)
        lines = ["local all postgres trust\n"]
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            for account, method in ACCOUNTS.items():
                stored = "md5" if method == "md5" else "scram-sha-256"
                admin.execute(f"SET password_encryption = '{stored}'".encode())
                password = psycopg.sql.Literal(OWN_PASSWORD).as_string(admin)
                admin.execute(f"CREATE ROLE {account} LOGIN PASSWORD {password}".encode())
                admin.execute(f"GRANT pg_read_all_data TO {account}".encode())
                lines.append(f"local all {account} {method}\n")
            hba = admin.execute("SHOW hba_file").fetchone()
            assert hba is not None
            Path(hba[0]).write_text("".join(lines))
            admin.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.stop()


def own_dsn(server: localpg.LocalPostgres, account: str, password: str | None) -> str:
    secret = "" if password is None else f":{quote(password, safe='')}"
    return server.dsn_for(DATABASE, account).replace(f"{account}@", f"{account}{secret}@")


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_proxy_logs_in_as_the_server_asks(account: str, picky: localpg.LocalPostgres, tmp_path: Path) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(own_dsn(picky, account, "wrong"))
    policies = write_policy(tmp_path, POLICY)
    configuration = Configuration(upstream=own_dsn(picky, account, OWN_PASSWORD), policies=policies)
    with serving(configuration, tmp_path) as proxy:
        assert codes_of(proxy, "analyst") == VEILED
        assert codes_of(proxy, "dba") == CLEAR
        with RawClient(proxy.host, proxy.port, "dba", DATABASE) as client:
            assert client.simple("SELECT current_user").data[0].endswith(account.encode())
        assert "wörd" not in proxy.output()


@pytest.mark.parametrize("password", ["wrong", None], ids=["wrong", "none"])
def test_an_account_that_the_server_refuses(password: str | None, picky: localpg.LocalPostgres, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(upstream=own_dsn(picky, "by_scram", password), policies=policies), tmp_path) as proxy:
        for role in ("dba", "analyst"):
            error = refusal(proxy, startup(role, DATABASE))
            assert error["C"] in {"08001", "08006"}
            assert error["H"]
            assert "by_scram" not in str(error)
        assert proxy.process.poll() is None
        assert metric(proxy, "pgveil_crashes_total") == 0
