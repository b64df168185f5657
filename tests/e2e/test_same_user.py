"""`upstream.login: same_user`: each session is its own account at the database, and nobody's password is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, serving
from office_world import write_policy
from probes import CLEAR, DATABASE, POLICY, TABLES, VEILED, refusal, startup
from scripted_upstream import Authority
from tcp_postgres import TcpPostgres, tcp_postgres

PASSWORDS = {"su_analyst": "analyst's own", "su_dba": "dba's own", "su_root": "root's own"}
HBA = (
    "host all su_trusted all trust",
    "host all su_plain all password",
    "host all su_service all trust",
    "host all all all scram-sha-256",
)
SAME_USER_POLICY = POLICY.replace("users: [postgres, dba]", "users: [su_dba]").replace(
    "users: [analyst]", "users: [su_analyst, su_root, su_trusted, su_plain, su_nobody]"
)


@pytest.fixture(scope="module")
def home() -> Iterator[TcpPostgres]:
    """A PostgreSQL with accounts of all kinds. The service account may read nothing but catalogues."""
    with tcp_postgres(18, {}, HBA) as server:
        server.execute(f"CREATE DATABASE {DATABASE}", "CREATE ROLE su_service LOGIN")
        for user, password in PASSWORDS.items():
            server.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password.replace(chr(39), chr(39) * 2)}'")
        server.execute("ALTER ROLE su_root SUPERUSER", "CREATE ROLE su_trusted LOGIN")
        server.execute("CREATE ROLE su_plain LOGIN PASSWORD 'of the database'")
        server.execute("GRANT pg_read_all_data TO su_analyst, su_dba, su_trusted, su_plain")
        with psycopg.connect(server.admin, autocommit=True, dbname=DATABASE) as connection:
            connection.execute(TABLES)
        yield server


def settings(directory: Path, home: TcpPostgres, verifiers: dict[str, str], **auth: object) -> Configuration:
    users = directory / "users.txt"
    users.write_text("".join(f'"{user}" "{verifier}"\n' for user, verifier in verifiers.items()))
    dsn = home.uri("su_service", DATABASE, sslmode="disable")
    chosen = {"upstream": {"dsn": dsn, "login": "same_user"}, "auth": {"users": str(users), **auth}}
    return Configuration(dsn, write_policy(directory, SAME_USER_POLICY), chosen)


def stored(home: TcpPostgres) -> dict[str, str]:
    names = list(PASSWORDS)
    return {u: str(home.value(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{u}'")) for u in names}


@pytest.fixture(scope="module")
def proxy(home: TcpPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgveil]:
    directory = tmp_path_factory.mktemp("same_user")
    with serving(settings(directory, home, stored(home)), directory) as found:
        yield found


def open_session(proxy: Pgveil, user: str, password: str, **options: str) -> psycopg.Connection:
    return psycopg.connect(proxy.dsn(user, DATABASE, **options), password=password, autocommit=True)


@pytest.mark.parametrize(("user", "expected"), [("su_analyst", VEILED), ("su_dba", CLEAR)])
def test_a_session_is_its_own_account(user: str, expected: list[str], proxy: Pgveil, home: TcpPostgres) -> None:
    with open_session(proxy, user, PASSWORDS[user]) as session:
        assert [row[0] for row in session.execute("SELECT code FROM people ORDER BY id")] == expected
        assert session.execute("SELECT current_user, session_user").fetchone() == (user, user)
        assert home.value(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'") == 1


def test_a_wrong_password_gets_to_nobody(proxy: Pgveil, home: TcpPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "su_analyst"'):
        open_session(proxy, "su_analyst", PASSWORDS["su_dba"])


def test_a_masked_superuser_is_refused(proxy: Pgveil) -> None:
    with pytest.raises(psycopg.OperationalError, match="may not run as a superuser"):
        open_session(proxy, "su_root", PASSWORDS["su_root"])


def test_a_verifier_that_is_not_the_databases(home: TcpPostgres, tmp_path: Path) -> None:
    """What `pgveil user` makes has a salt of its own: the client's key does not fit the database's."""
    from proxy.wire.scram import make_verifier

    made = {"su_analyst": make_verifier(PASSWORDS["su_analyst"])}
    with serving(settings(tmp_path, home, made), tmp_path) as proxy:
        with pytest.raises(psycopg.OperationalError, match="another SCRAM verifier") as caught:
            open_session(proxy, "su_analyst", PASSWORDS["su_analyst"])
        assert "rolpassword" in str(caught.value)


def test_without_a_password_the_database_has_to_trust(home: TcpPostgres, tmp_path: Path) -> None:
    with serving(settings(tmp_path, home, {}, method="trust"), tmp_path) as proxy:
        with psycopg.connect(proxy.dsn("su_trusted", DATABASE), autocommit=True) as session:
            assert session.execute("SELECT current_user").fetchone() == ("su_trusted",)
        error = refusal(proxy, startup("su_analyst", DATABASE))
        assert error["C"] == "08001"
        assert "has not been asked for one" in error["M"]
        assert error["H"]
        error = refusal(proxy, startup("su_nobody", DATABASE))
        assert error["C"] == "08001"


def test_a_password_in_clear_text_goes_on_to_the_database(home: TcpPostgres, tmp_path: Path) -> None:
    """The proxy's users file and the database may keep different passwords: the second no is the client's to hear."""
    from proxy.wire.scram import make_verifier

    cert, key = Authority(tmp_path).issue("front", "localhost")
    verifiers = {**stored(home), "su_plain": make_verifier("of the proxy")}
    given = settings(tmp_path, home, verifiers, method="password")
    tls = {"tls": {"cert": str(cert), "key": str(key)}}
    configuration = Configuration(given.upstream, given.policies, {**given.settings, **tls})
    with serving(configuration, tmp_path) as proxy:
        with open_session(proxy, "su_analyst", PASSWORDS["su_analyst"], sslmode="require") as session:
            assert session.execute("SELECT current_user").fetchone() == ("su_analyst",)
        error = 'password authentication failed for user "su_plain"'
        with pytest.raises(psycopg.OperationalError, match=error):
            open_session(proxy, "su_plain", "of the proxy", sslmode="require")
        assert "of the proxy" not in proxy.output()
        home.execute("ALTER ROLE su_plain PASSWORD 'of the proxy'")
        with open_session(proxy, "su_plain", "of the proxy", sslmode="require") as session:
            assert session.execute("SELECT current_user").fetchone() == ("su_plain",)
