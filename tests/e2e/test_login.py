"""Who gets in: passwords of clients, the proxy's own account, what a startup packet may ask for, protocol versions."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pg8000.native  # type: ignore[import-untyped]
import psycopg
import psycopg2
import pytest
from client_kinds import Place, Psql
from conftest import Configuration, Pgveil, Serve, create_database, serving
from office_world import write_policy
from probes import CLEAR, DATABASE, PATIENCE, POLICY, TABLES, VEILED, Speaker, codes_of, eventually, metric, startup
from raw_client import RawClient, fields

from proxy import localpg

PASSWORDS = {"analyst": 'an, alyst\'s "pass" wörd', "dba": "dba-pass", "stranger": "of-no-role"}


@pytest.fixture
def trusting(plain: Pgveil) -> Pgveil:
    """A proxy that asks for no password."""
    return plain


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The users file, each line as `pgveil user` prints it."""
    path = tmp_path_factory.mktemp("users") / "users.txt"
    path.write_text("".join(user_line(name, password) for name, password in PASSWORDS.items()))
    return path


@pytest.fixture(scope="module")
def guarded(plain_dsn: str, serve: Serve, users: Path, tmp_path_factory: pytest.TempPathFactory) -> Pgveil:
    """A proxy that asks for passwords."""
    policies = write_policy(tmp_path_factory.mktemp("guarded"), POLICY)
    auth = {"method": "scram", "users": str(users)}
    return serve(Configuration(upstream=plain_dsn, policies=policies, settings={"auth": auth}))


def pgveil(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def user_line(name: str, password: str) -> str:
    done = pgveil("user", name, stdin=password + "\n")
    assert done.returncode == 0
    assert password not in done.stdout
    return done.stdout


def connect(proxy: Pgveil, user: str, password: str | None) -> psycopg.Connection[Any]:
    return psycopg.connect(proxy.dsn(user, DATABASE), password=password or "", autocommit=True)


def refusal(proxy: Pgveil, packet: bytes) -> dict[str, str]:
    """The error that ends a login."""
    with Speaker(proxy, packet) as client:
        found = client.greet()
        assert not any(tag == b"Z" for tag, _ in found.messages)
        assert found.error["S"] == "FATAL"
        return found.error


# Passwords of clients.


@pytest.mark.parametrize(("user", "codes"), [("analyst", VEILED), ("dba", CLEAR)])
async def test_every_driver_logs_in_with_its_password(user: str, codes: list[str], guarded: Pgveil) -> None:
    place, password = Place(guarded.host, guarded.port, user, DATABASE), PASSWORDS[user]
    sql = "SELECT code FROM people ORDER BY id"
    with connect(guarded, user, password) as first:
        assert [row[0] for row in first.execute(sql.encode()).fetchall()] == codes
    second = psycopg2.connect(place.dsn, password=password)
    with second.cursor() as cursor:
        cursor.execute(sql)
        assert [row[0] for row in cursor.fetchall()] == codes
    second.close()
    third = pg8000.native.Connection(user, host=place.host, port=place.port, database=DATABASE, password=password)
    assert [row[0] for row in third.run(sql) or []] == codes
    third.close()
    fourth = await asyncpg.connect(
        host=place.host, port=place.port, user=user, database=DATABASE, password=password, timeout=PATIENCE
    )
    assert [row[0] for row in await fourth.fetch(sql)] == codes
    await fourth.close()


def test_psql_logs_in_with_its_password(guarded: Pgveil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORDS["analyst"])
    done = Psql(Place(guarded.host, guarded.port, "analyst", DATABASE)).command("SELECT code FROM people WHERE id = 1")
    assert "hidden" in done.stdout
    monkeypatch.setenv("PGPASSWORD", "wrong")
    done = Psql(Place(guarded.host, guarded.port, "analyst", DATABASE)).command("SELECT 1")
    assert 'password authentication failed for user "analyst"' in done.stderr


def test_a_wrong_password_and_an_unknown_user_look_the_same(guarded: Pgveil) -> None:
    messages = set()
    for user in ("analyst", "nobody", "dba"):
        with pytest.raises(psycopg.OperationalError) as failure:
            connect(guarded, user, "wrong")
        messages.add(str(failure.value).replace(user, "USER"))
        assert "password authentication failed for user" in str(failure.value)
    assert len(messages) == 1
    assert metric(guarded, "pgveil_login_failures_total") >= 3
    with connect(guarded, "analyst", PASSWORDS["analyst"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_user_without_a_role_is_told_so_after_the_password_only(guarded: Pgveil) -> None:
    with pytest.raises(psycopg.OperationalError, match="in no role of the policy"):
        connect(guarded, "stranger", PASSWORDS["stranger"])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(guarded, "stranger", "wrong")


def test_a_user_without_a_role_gets_a_code_and_a_hint(trusting: Pgveil) -> None:
    error = refusal(trusting, startup("stranger", DATABASE))
    assert error["C"] == "28000"
    assert error["H"]


def test_nothing_runs_before_the_password(guarded: Pgveil) -> None:
    query = b"Q" + struct.pack("!i", 13) + b"SELECT 1\0"
    with Speaker(guarded, startup("dba", DATABASE) + query) as client:
        found = client.greet()
    assert found.messages[0][0] == b"R"
    assert found.error["C"] == "08P01"
    assert b"D" not in {tag for tag, _ in found.messages}


@pytest.mark.parametrize(
    "body",
    [
        b"SCRAM-SHA-256-PLUS\0" + struct.pack("!i", 4) + b"p=tl",
        b"SCRAM-SHA-1\0" + struct.pack("!i", 4) + b"n,,x",
        b"SCRAM-SHA-256\0" + struct.pack("!i", -1),
        b"SCRAM-SHA-256\0" + struct.pack("!i", 2**31 - 1) + b"n,,n=,r=x",
        b"SCRAM-SHA-256\0" + struct.pack("!i", 9) + b"y,,n=,r=\0",
        b"no mechanism",
        b"",
        b"x" * 20_000,
    ],
)
def test_a_login_that_is_no_scram(body: bytes, guarded: Pgveil) -> None:
    with Speaker(guarded, startup("dba", DATABASE)) as client:
        assert client.next()[0] == b"R"
        client.send(b"p", body)
        errors = [fields(error) for tag, error in client.messages() if tag == b"E"]
    assert [error["C"][:2] for error in errors] in (["08"], ["28"])
    assert metric(guarded, "pgveil_crashes_total") == 0


def test_the_users_file_is_read_again(guarded: Pgveil, users: Path) -> None:
    with pytest.raises(psycopg.OperationalError):
        connect(guarded, "postgres", "new")
    with users.open("a") as file:
        file.write(user_line("postgres", "new"))
    guarded.process.send_signal(1)
    eventually(lambda: gets_in(guarded, "postgres", "new"), "the new user gets in")
    assert gets_in(guarded, "analyst", PASSWORDS["analyst"])


def gets_in(proxy: Pgveil, user: str, password: str) -> bool:
    try:
        connect(proxy, user, password).close()
    except psycopg.OperationalError:
        return False
    return True


def test_no_password_is_ever_written_down(guarded: Pgveil) -> None:
    for path in guarded.directory.iterdir():
        text = path.read_text(errors="replace")
        assert [password for password in PASSWORDS.values() if password in text] == [], path.name


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("listen: 0.0.0.0:0\nauth: {method: trust}\n", "loopback"),
        ('listen: "[::]:0"\nauth: {method: trust}\n', "loopback"),
        ("auth: {method: scram, users: nowhere.txt}\n", "nowhere.txt"),
        ("auth: {method: scram, users: clear.txt}\n", "clear.txt"),
        ("auth: {method: md5}\n", "auth.method"),
    ],
)
def test_logins_that_are_not_safe_keep_the_proxy_from_starting(settings: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "clear.txt").write_text('"analyst" "a-clear-password"\n')
    policies = write_policy(tmp_path, POLICY)
    config = tmp_path / "pgveil.yaml"
    config.write_text(
        f"http: 127.0.0.1:0\npolicies: {policies}\nupstream: {{dsn: 'postgresql://a@127.0.0.1:1/b'}}\n{settings}"
    )
    done = pgveil("serve", "--config", str(config))
    assert done.returncode == 2
    assert said in done.stderr
    assert "a-clear-password" not in done.stderr


# What a startup packet may ask for.


@pytest.mark.parametrize(
    "options",
    [
        "-c role=postgres",
        "-crole=postgres",
        "--session-authorization=postgres",
        "-c standard_conforming_strings=off",
        "-c client_min_messages=debug5",
        "-c my.setting=1",
        "-c search_path=public,pg_catalog",
        "-c search_path=pg_temp",
        "-c log_statement=all",
        "-c client_encoding=LATIN1",
        "-c statement_timeout=1s -c row_security=off",
        "-c",
        "-B 1",
        "-d 5",
        "work_mem=1MB",
    ],
)
def test_options_that_could_lift_the_veil_are_refused(options: str, trusting: Pgveil) -> None:
    error = refusal(trusting, startup("analyst", DATABASE, options=options))
    assert error["C"] in {"42501", "0A000"}
    assert error["H"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"role": "postgres"},
        {"session_authorization": "postgres"},
        {"standard_conforming_strings": "off"},
        {"client_encoding": "LATIN1"},
        {"client_encoding": "SJIS"},
        {"replication": "database"},
        {"replication": "true"},
        {"replication": "1"},
        {"replication": "on"},
        {"nonsense": "1"},
    ],
    ids=repr,
)
def test_parameters_that_could_lift_the_veil_are_refused(parameters: dict[str, str], trusting: Pgveil) -> None:
    error = refusal(trusting, startup("analyst", DATABASE, 3 << 16, **parameters))
    assert error["C"] in {"42501", "0A000"}
    assert error["H"]


def test_options_that_change_how_answers_look_work(trusting: Pgveil) -> None:
    options = "-c statement_timeout=5s --work-mem=5MB -c DateStyle=German\\ , -c application_name=a\\ b"
    with RawClient(
        trusting.host, trusting.port, "analyst", DATABASE, options=options.replace("\\ ,", ""), TimeZone="Asia/Kolkata",
        client_encoding="'utf-8'", replication="false",
    ) as client:  # fmt: skip
        for name, value in (
            ("statement_timeout", b"5s"), ("work_mem", b"5MB"), ("timezone", b"Asia/Kolkata"),
            ("application_name", b"a b"),
        ):  # fmt: skip
            assert client.simple(f"SHOW {name}").data[0].endswith(value)
        assert client.simple("SELECT code FROM people WHERE id = 1").data[0].endswith(b"hidden")


def test_a_bypass_role_s_options_are_postgresql_s_own(trusting: Pgveil) -> None:
    with RawClient(
        trusting.host,
        trusting.port,
        "dba",
        DATABASE,
        options="-c my.setting=mine -c geqo=off",
        client_encoding="LATIN1",
    ) as client:
        assert client.simple("SHOW my.setting").data[0].endswith(b"mine")
        assert client.simple("SELECT U&'\\00e9'").data[0].endswith(b"\xe9")
        client.send(b"Q", b"SELECT length('\xe9')\0")
        assert client.reply().data[0].endswith(b"1")
    error = refusal(trusting, startup("dba", DATABASE, options="-c no_such_setting=1"))
    assert error["C"] == "42704"


def test_a_bypass_role_replicates(trusting: Pgveil) -> None:
    with RawClient(trusting.host, trusting.port, "dba", DATABASE, replication="database") as client:
        assert DATABASE.encode() in client.simple("IDENTIFY_SYSTEM").data[0]


def test_other_databases(trusting: Pgveil) -> None:
    error = refusal(trusting, startup("analyst", "postgres"))
    assert error["C"] == "3D000"
    assert error["H"]
    with RawClient(trusting.host, trusting.port, "dba", "postgres") as client:
        assert client.simple("SELECT current_database()").data[0].endswith(b"postgres")
    assert refusal(trusting, startup("dba", "no_such_database"))["C"] == "3D000"


# Protocol versions.


def negotiated(messages: list[tuple[bytes, bytes]]) -> tuple[int, list[bytes]] | None:
    """Version and refused options of NegotiateProtocolVersion, or None where there was none."""
    found = [body for tag, body in messages if tag == b"v"]
    if not found:
        return None
    version, count = struct.unpack_from("!ii", found[0])
    names = found[0][8:].split(b"\0")[:-1]
    assert len(names) == count
    return version, names


def key_of(messages: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    body = next(body for tag, body in messages if tag == b"K")
    return struct.unpack_from("!i", body)[0], body[4:]


@pytest.mark.parametrize(
    ("minor", "parameters", "answer", "key_size"),
    [
        (0, {}, None, 4),
        (1, {}, None, 4),
        (2, {}, None, 32),
        (3, {}, (3 << 16 | 2, []), 32),
        (9999, {}, (3 << 16 | 2, []), 32),
        (0, {"_pq_.nothing": "1"}, (3 << 16, [b"_pq_.nothing"]), 4),
        (9999, {"_pq_.a": "1", "_pq_.b": "2"}, (3 << 16 | 2, [b"_pq_.a", b"_pq_.b"]), 32),
    ],
)
@pytest.mark.parametrize("role", ["dba", "analyst"])
def test_versions_are_negotiated(
    role: str,
    minor: int,
    parameters: dict[str, str],
    answer: tuple[int, list[bytes]] | None,
    key_size: int,
    trusting: Pgveil,
) -> None:
    with Speaker(trusting, startup(role, DATABASE, 3 << 16 | minor, **parameters)) as client:
        messages = client.greet().messages
        assert negotiated(messages) == answer
        # Before anything else, so that the client knows what the rest means.
        assert answer is None or messages[0][0] == b"v"
        assert len(key_of(messages)[1]) == key_size
        assert client.simple("SELECT code FROM people WHERE id = 1").error == {}


@pytest.mark.parametrize("minor", [0, 2])
def test_a_cancel_key_of_each_length_cancels(minor: int, trusting: Pgveil) -> None:
    with Speaker(trusting, startup("dba", DATABASE, 3 << 16 | minor)) as client:
        number, secret = key_of(client.greet().messages)
        client.send(b"Q", b"SELECT pg_sleep(3600)\0")
        for wrong in (secret[:-1] + bytes([secret[-1] ^ 1]), secret + b"x", b"\0" * len(secret)):
            cancel(trusting, number, wrong)
        cancel(trusting, number + 1, secret)
        # Nothing has come of those: the statement still runs, and the right key ends it.
        cancel(trusting, number, secret)
        eventually(lambda: again(trusting, number, secret, client), "the statement is cancelled")
        assert client.reply().error["C"] == "57014"
        assert client.simple("SELECT 1").error == {}


def again(proxy: Pgveil, number: int, secret: bytes, client: Speaker) -> bool:
    """A cancel request may come before the statement does; whether the answer is there."""
    client.socket.settimeout(0.2)
    try:
        client.socket.recv(1, 2)  # MSG_PEEK
    except TimeoutError:
        cancel(proxy, number, secret)
        return False
    finally:
        client.socket.settimeout(PATIENCE)
    return True


def cancel(proxy: Pgveil, number: int, secret: bytes) -> None:
    packet = struct.pack("!iii", 12 + len(secret), 80877102, number) + secret
    with Speaker(proxy, packet) as client:
        assert client.socket.recv(1) == b""


def test_psql_of_this_version_speaks_3_2(trusting: Pgveil) -> None:
    place = Place(
        trusting.host, trusting.port, "analyst", f"{DATABASE} min_protocol_version=3.2 max_protocol_version=3.2"
    )
    done = Psql(place).command("SELECT code FROM people WHERE id = 1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "hidden" in done.stdout


# The proxy's own account.

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


async def test_many_logins_at_once(guarded: Pgveil) -> None:
    async def log_in(number: int) -> str:
        user = "analyst" if number % 2 else "dba"
        connection = await asyncpg.connect(
            host=guarded.host,
            port=guarded.port,
            user=user,
            database=DATABASE,
            password=PASSWORDS[user],
            timeout=PATIENCE,
        )
        try:
            return str(await connection.fetchval("SELECT code FROM people WHERE id = 1"))
        finally:
            await connection.close()

    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*map(log_in, range(30))) == ["zq8x-1", "hidden"] * 15
