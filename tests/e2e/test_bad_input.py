"""Broken policies, databases that are down, broken frames, clients that vanish: nothing hangs, nothing leaks.

A socket that waits too long fails its test; no test measures how long something takes.
"""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, create_database, serving
from office_world import fetch, write_policy
from probes import (
    CLEAR,
    DATABASE,
    PATIENCE,
    POLICY,
    TABLES,
    VEILED,
    assert_no_session_is_left,
    assert_serves,
    codes_of,
    eventually,
    get,
    metric,
    open_socket,
    read_to_end,
    ready,
    sample,
    startup,
)
from raw_client import RawClient, fields

from proxy import localpg

ROLES = ("dba", "analyst")
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSS_REQUEST = struct.pack("!ii", 8, 80877104)
ENDLESS = "SELECT repeat('x', 1000), generate_series(1, 500000000)"


@pytest.fixture
def proxy(plain: Pgveil) -> Pgveil:
    return plain


@pytest.fixture
def dsn(plain_dsn: str) -> str:
    return plain_dsn


@pytest.fixture
def still_serves(proxy: Pgveil) -> Iterator[None]:
    """After the test a normal client works, and nothing is left of the others."""
    yield
    assert_serves(proxy)
    assert_no_session_is_left(proxy)


# Policies and settings.


def run_serve(directory: Path, policy: str, settings: str = "") -> subprocess.CompletedProcess[str]:
    policies = write_policy(directory, policy)
    config = directory / "pgveil.yaml"
    config.write_text(
        f"listen: 127.0.0.1:0\nhttp: 127.0.0.1:0\nauth: {{method: trust}}\npolicies: {policies}\n"
        f"upstream: {{dsn: 'postgresql://nobody@127.0.0.1:1/nothing'}}\naudit: {{path: null}}\n{settings}"
    )
    return subprocess.run(
        [sys.executable, "-m", "proxy", "serve", "--config", str(config)],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


BROKEN_POLICIES = {
    "no YAML": ("version: 1\nroles: {dba: {users: [postgres]\n", ["office.yaml:"]),
    "an unknown mask": (POLICY.replace("mask: constant", "mask: constnat"), ["office.yaml:10", "constant"]),
    "two problems": (
        POLICY.replace("mask: constant", "mask: nonsense").replace("bypass: true", "bypas: true"),
        ["office.yaml:4", "office.yaml:10"],
    ),
}


@pytest.mark.parametrize("case", BROKEN_POLICIES)
def test_a_policy_that_cannot_be_used_keeps_the_proxy_from_starting(case: str, tmp_path: Path) -> None:
    text, said = BROKEN_POLICIES[case]
    done = run_serve(tmp_path, text)
    assert done.returncode == 2
    assert "listening" not in done.stdout
    assert [part for part in said if part not in done.stderr] == []
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("asq: {}\n", "unknown setting asq; did you mean ask?"),
        ("ask: {provider: opnai}\n", "ask.provider"),
        ("workers: many\n", "workers"),
        ("tls: {cert: a, key: b}\n", "tls"),
    ],
)
def test_settings_that_cannot_be_used_keep_the_proxy_from_starting(settings: str, said: str, tmp_path: Path) -> None:
    done = run_serve(tmp_path, POLICY, settings)
    assert done.returncode == 2
    assert f"pgveil.yaml:7: {said}" in done.stderr


def test_a_policy_that_breaks_later_leaves_the_good_one_in_force(dsn: str, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(upstream=dsn, policies=policies), tmp_path) as proxy:
        with psycopg.connect(proxy.dsn("analyst", DATABASE), autocommit=True) as session:
            reload(proxy, policies, POLICY.replace("mask: constant", "mask: nonsense"), "failed")
            assert "office.yaml:10" in proxy.output()
            assert "the old ones stay in force" in proxy.output()
            assert codes_of(proxy, "analyst") == VEILED
            assert session.execute("SELECT code FROM people WHERE id = 1").fetchone() == ("hidden",)
            reload(proxy, policies, POLICY.replace("value: hidden", "value: gone"), "ok")
            # The open session too.
            assert session.execute("SELECT code FROM people WHERE id = 1").fetchone() == ("gone",)
            (policies / "office.yaml").unlink()
            reload(proxy, policies, None, "failed")
            assert session.execute("SELECT code FROM people WHERE id = 1").fetchone() == ("gone",)
        assert codes_of(proxy, "dba") == CLEAR


def reload(proxy: Pgveil, policies: Path, text: str | None, outcome: str) -> None:
    """SIGHUP with a new policy, and the wait for the metric that tells what became of it."""
    name = f'pgveil_policy_loads_total{{outcome="{outcome}"}}'
    before = sample(proxy, name)
    if text is not None:
        (policies / "office.yaml").write_text(text)
    proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: sample(proxy, name) == before + 1, f"{name} goes up")


def test_a_session_whose_role_is_gone_is_ended(dsn: str, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(upstream=dsn, policies=policies), tmp_path) as proxy:
        with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
            reload(proxy, policies, POLICY.replace("users: [analyst]", "users: [somebody]"), "ok")
            assert [fields(body)["C"] for tag, body in client.messages() if tag == b"E"] == ["57P01"]
        with pytest.raises(psycopg.OperationalError, match="in no role of the policy"):
            psycopg.connect(proxy.dsn("analyst", DATABASE))


# A database that is down.


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


# Frames.


@pytest.mark.parametrize("length", [2**31 - 1, 2**30 + 4, -1, -(2**31), 0, 3])
@pytest.mark.parametrize("tag", [b"Q", b"B", b"d", b"\x00"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("still_serves")
def test_a_length_that_cannot_be(role: str, tag: bytes, length: int, proxy: Pgveil) -> None:
    with RawClient(proxy.host, proxy.port, role, DATABASE) as client:
        client.socket.sendall(tag + struct.pack("!i", length) + b"SELECT 1\0" * 4)
        errors = [fields(body) for kind, body in client.messages() if kind == b"E"]
    assert [(error["S"], error["C"]) for error in errors] == [("FATAL", "08P01")]


@pytest.mark.parametrize("sent", [b"Q", b"Q\0\0", b"Q\0\0\0\x20SELECT", b"P\0\0\1\0name\0SEL", b"d\0\0\0\5"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("still_serves")
def test_a_frame_that_ends_in_the_middle(role: str, sent: bytes, proxy: Pgveil) -> None:
    with RawClient(proxy.host, proxy.port, role, DATABASE) as client:
        client.socket.sendall(sent)
        client.socket.shutdown(socket.SHUT_WR)
        assert list(client.messages()) == []


MESSAGES = {
    "an unknown type": (b"z", b""),
    "type zero": (b"\x00", b""),
    "a backend's message": (b"T", b"\0\0"),
    "a password after the login": (b"p", b"secret\0"),
    "a query without its end": (b"Q", b"SELECT 1"),
    "a query with two ends": (b"Q", b"SELECT 1\0SELECT 2\0"),
    "a Parse that is short": (b"P", b"name\0"),
    "a Parse with parameters that are not there": (b"P", b"\0SELECT 1\0\x7f\xff"),
    "a Bind that is short": (b"B", b"\0"),
    "an Execute without a limit": (b"E", b"\0"),
}


@pytest.mark.parametrize("case", MESSAGES)
@pytest.mark.usefixtures("still_serves")
def test_a_message_that_is_none(case: str, proxy: Pgveil) -> None:
    with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
        client.send(*MESSAGES[case])
        client.send(b"S", b"")
        client.socket.shutdown(socket.SHUT_WR)
        errors = [fields(body) for kind, body in client.messages() if kind == b"E"]
    assert [error["C"] for error in errors] == ["08P01"]


@pytest.mark.parametrize("case", MESSAGES)
@pytest.mark.usefixtures("still_serves")
def test_a_message_that_is_none_from_a_bypass_role(case: str, proxy: Pgveil) -> None:
    """PostgreSQL itself may be the one who says so."""
    with RawClient(proxy.host, proxy.port, "dba", DATABASE) as client:
        client.send(*MESSAGES[case])
        client.send(b"S", b"")
        client.socket.shutdown(socket.SHUT_WR)
        errors = [fields(body) for kind, body in client.messages() if kind == b"E"]
    assert [error["C"] for error in errors] in (["08P01"], [])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("still_serves")
def test_codes_of_nothing_are_ordinary_errors(role: str, proxy: Pgveil) -> None:
    with RawClient(proxy.host, proxy.port, role, DATABASE) as client:
        for tag, body, sqlstate in (
            (b"B", b"\0nothing\0" + struct.pack("!hhh", 0, 0, 0), "26000"),
            (b"E", b"nothing\0" + struct.pack("!i", 0), "34000"),
            (b"D", b"Pnothing\0", "34000"),
            (b"D", b"Snothing\0", "26000"),
        ):
            client.send(tag, body)
            client.send(b"S", b"")
            assert client.reply().error["C"] == sqlstate
        client.send(b"C", b"Snothing\0")
        client.send(b"S", b"")
        assert client.reply().error == {}
        client.send(b"d", b"data that nobody waits for")
        client.send(b"c", b"")
        assert client.simple("SELECT 1").data == [b"\0\1\0\0\0\1" + b"1"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("still_serves")
def test_sql_that_is_not_utf_8_is_an_ordinary_error(role: str, proxy: Pgveil) -> None:
    with RawClient(proxy.host, proxy.port, role, DATABASE) as client:
        client.send(b"Q", b"SELECT '\xff\xfe'\0")
        assert client.reply().error["C"] == "22021"
        assert client.simple("SELECT 1").error == {}


@pytest.mark.usefixtures("still_serves")
def test_a_statement_that_is_too_long_to_analyse(proxy: Pgveil) -> None:
    with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
        assert client.simple("SELECT '" + "x" * 2_000_000 + "'").error["C"] == "54000"
        assert client.simple("SELECT " + "(" * 20_000 + "1" + ")" * 20_000).error["C"] in {
            "54000",
            "54001",
            "0A000",
            "42601",
        }
        assert client.simple("SELECT 1").error == {}


# Before the login.

EARLY = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS at once": bytes.fromhex("16030100a5010000a10303") + b"\0" * 160,
    "zeros": b"\0" * 64,
    "an endless packet": struct.pack("!ii", 2**31 - 1, 3 << 16) + b"user\0",
    "a packet that is too long": struct.pack("!ii", 10_001, 3 << 16) + b"u" * 9_993,
    "a negative length": struct.pack("!ii", -8, 3 << 16),
    "a length of 3": struct.pack("!ii", 3, 3 << 16),
    "protocol 2": struct.pack("!ii", 8, 2 << 16),
    "protocol 4": startup("analyst", DATABASE, 4 << 16),
    "no user": struct.pack("!ii", 9, 3 << 16) + b"\0",
    "no end": struct.pack("!ii", 13, 3 << 16) + b"user\0",
    "a name without a value": struct.pack("!ii", 14, 3 << 16) + b"user\0\0",
    "a short cancel request": struct.pack("!iii", 12, 80877102, 1),
    "a long cancel request": struct.pack("!iii", 12 + 300, 80877102, 1) + b"k" * 300,
    "TLS asked for twice": SSL_REQUEST + SSL_REQUEST,
    "a startup packet behind the request for TLS": SSL_REQUEST + startup("dba", DATABASE),
    "a startup packet behind the request for GSS": GSS_REQUEST + startup("dba", DATABASE),
}


@pytest.mark.parametrize("case", EARLY)
@pytest.mark.usefixtures("still_serves")
def test_what_is_no_startup_packet(case: str, proxy: Pgveil) -> None:
    with open_socket(proxy) as sock:
        sock.sendall(EARLY[case])
        sock.shutdown(socket.SHUT_WR)
        answer = read_to_end(sock)
    # Never a login: no authentication request, no parameter, no ReadyForQuery.
    assert not answer.lstrip(b"N").startswith((b"R", b"S", b"Z"))
    assert b"server_version" not in answer


def test_encryption_is_declined_and_the_client_goes_on(proxy: Pgveil) -> None:
    with open_socket(proxy) as sock:
        for request in (GSS_REQUEST, SSL_REQUEST):
            sock.sendall(request)
            assert sock.recv(1) == b"N"
        sock.sendall(startup("analyst", DATABASE) + b"X\0\0\0\4")
        assert b"server_version" in read_to_end(sock)
    with pytest.raises(psycopg.OperationalError, match="SSL"):
        psycopg.connect(proxy.dsn("analyst", DATABASE, sslmode="require"))
    assert_serves(proxy)


@pytest.mark.usefixtures("still_serves")
def test_clients_that_say_nothing_keep_nobody_waiting(proxy: Pgveil) -> None:
    silent = [open_socket(proxy) for _ in range(40)]
    for i, sock in enumerate(silent):
        sock.sendall(startup("analyst", DATABASE)[: i % 20])
    assert_serves(proxy)
    for sock in silent:
        sock.close()


# Clients that vanish.


def backends(dsn: str) -> list[tuple[object, ...]]:
    """The upstream's connections for clients, with what they wait for."""
    return fetch(
        dsn,
        f"""SELECT pid, wait_event FROM pg_stat_activity WHERE datname = '{DATABASE}' AND pid <> pg_backend_pid()
            AND application_name = 'the one that vanishes'""",
    )


@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("still_serves")
def test_a_client_that_vanishes_in_the_middle_of_a_result(
    role: str, extended: bool, reset: bool, proxy: Pgveil, dsn: str
) -> None:
    client = RawClient(proxy.host, proxy.port, role, DATABASE, application_name="the one that vanishes")
    ask_endless(client, extended=extended)
    for _, _ in zip(range(1000), client.messages(), strict=False):
        pass
    assert len(backends(dsn)) == 1
    if reset:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()
    eventually(lambda: backends(dsn) == [], "the upstream connection ends")


def ask_endless(client: RawClient, *, extended: bool) -> None:
    if extended:
        client.send(b"P", b"\0" + ENDLESS.encode() + b"\0\0\0")
        client.send(b"B", b"\0\0" + struct.pack("!hhh", 0, 0, 0))
        client.send(b"E", b"\0" + struct.pack("!i", 0))
        client.send(b"S", b"")
    else:
        client.send(b"Q", ENDLESS.encode() + b"\0")


@pytest.mark.usefixtures("still_serves")
def test_a_client_that_vanishes_while_the_server_computes(proxy: Pgveil, dsn: str) -> None:
    client = RawClient(proxy.host, proxy.port, "dba", DATABASE, application_name="the one that vanishes")
    client.send(b"Q", b"SELECT pg_sleep(3600)\0")
    eventually(lambda: any(wait == "PgSleep" for _, wait in backends(dsn)), "the statement runs")
    client.socket.close()
    eventually(lambda: backends(dsn) == [], "the upstream connection ends")


@pytest.mark.usefixtures("still_serves")
def test_a_client_that_vanishes_in_the_middle_of_a_copy(proxy: Pgveil, dsn: str) -> None:
    client = RawClient(proxy.host, proxy.port, "dba", DATABASE, application_name="the one that vanishes")
    client.send(b"Q", b"COPY people (id) FROM STDIN\0")
    assert next(tag for tag, _ in client.messages()) == b"G"
    client.send(b"d", b"100\n101\n")
    client.socket.close()
    eventually(lambda: backends(dsn) == [], "the upstream connection ends")
    assert fetch(dsn, "SELECT count(*) FROM people") == [(5,)]


@pytest.mark.usefixtures("still_serves")
def test_a_client_that_vanishes_in_a_transaction(proxy: Pgveil, dsn: str) -> None:
    client = RawClient(proxy.host, proxy.port, "dba", DATABASE, application_name="the one that vanishes")
    client.simple("BEGIN; LOCK TABLE people IN ACCESS EXCLUSIVE MODE; DELETE FROM people")
    client.socket.close()
    eventually(lambda: backends(dsn) == [], "the upstream connection ends")
    assert fetch(dsn, "SELECT count(*) FROM people") == [(5,)]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("still_serves")
def test_a_client_that_does_not_read_holds_the_server_back(role: str, proxy: Pgveil, dsn: str) -> None:
    with RawClient(proxy.host, proxy.port, role, DATABASE, application_name="the one that vanishes") as client:
        ask_endless(client, extended=False)
        eventually(lambda: [wait for _, wait in backends(dsn)] == ["ClientWrite"], "the server waits for the client")
        assert_serves(proxy)
        assert [wait for _, wait in backends(dsn)] == ["ClientWrite"]
    eventually(lambda: backends(dsn) == [], "the upstream connection ends")


@pytest.mark.usefixtures("still_serves")
def test_a_client_that_stops_sending_in_the_middle_of_a_result(proxy: Pgveil, dsn: str) -> None:
    """A half-open connection: to PostgreSQL such a client has left."""
    with RawClient(proxy.host, proxy.port, "analyst", DATABASE, application_name="the one that vanishes") as client:
        ask_endless(client, extended=False)
        client.socket.shutdown(socket.SHUT_WR)
        eventually(lambda: backends(dsn) == [], "the upstream connection ends")
        read_to_end(client.socket)


@pytest.mark.usefixtures("still_serves")
def test_an_upstream_connection_that_is_killed(proxy: Pgveil, dsn: str) -> None:
    for role in ROLES:
        with RawClient(proxy.host, proxy.port, role, DATABASE, application_name="the one that vanishes") as client:
            fetch(dsn, f"SELECT pg_terminate_backend({backends(dsn)[0][0]})")
            errors = [fields(body) for tag, body in client.messages() if tag == b"E"]
        assert [(error["S"], error["C"]) for error in errors] == [("FATAL", "57P01")]


def test_everything_above_was_no_failure_of_the_proxy_s_own(proxy: Pgveil) -> None:
    assert metric(proxy, "pgveil_crashes_total") == 0
    assert "Traceback" not in proxy.output()
    assert '"trace"' not in proxy.output()
    assert "zq8x" not in proxy.output()
