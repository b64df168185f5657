"""Who gets in: passwords of clients, and what a startup packet may ask for."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pg8000.native  # type: ignore[import-untyped]
import psycopg
import psycopg2
import pytest
from client_kinds import Place, Psql
from conftest import Configuration, Pgveil, Serve
from office_world import write_policy
from probes import (
    CLEAR,
    DATABASE,
    PATIENCE,
    POLICY,
    VEILED,
    Speaker,
    eventually,
    metric,
    refusal,
    startup,
)
from raw_client import RawClient, fields

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


def test_a_bypass_role_replicates_where_the_policy_says_so_only(trusting: Pgveil) -> None:
    error = refusal(trusting, startup("dba", DATABASE, replication="database"))
    assert error["C"] == "42501"
    assert "defaults.statements" in error["H"]


def test_other_databases(trusting: Pgveil) -> None:
    error = refusal(trusting, startup("analyst", "postgres"))
    assert error["C"] == "3D000"
    assert error["H"]
    with RawClient(trusting.host, trusting.port, "dba", "postgres") as client:
        assert client.simple("SELECT current_database()").data[0].endswith(b"postgres")
    assert refusal(trusting, startup("dba", "no_such_database"))["C"] == "3D000"


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
