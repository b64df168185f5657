"""Broken frames, broken startup packets and messages out of place: nothing hangs, nothing leaks, the process stays up.

A socket that waits too long fails its test; no test measures how long something takes.
"""

from __future__ import annotations

import socket
import struct

import psycopg
import pytest
from conftest import Pgveil
from probes import (
    DATABASE,
    assert_serves,
    metric,
    open_socket,
    read_to_end,
    startup,
)
from raw_client import RawClient, fields

ROLES = ("dba", "analyst")
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSS_REQUEST = struct.pack("!ii", 8, 80877104)


@pytest.fixture
def proxy(plain: Pgveil) -> Pgveil:
    return plain


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


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("case", MESSAGES)
@pytest.mark.usefixtures("still_serves")
def test_a_message_that_is_none(case: str, role: str, proxy: Pgveil) -> None:
    """Of what only cannot be read, PostgreSQL itself may be the one who says so, and the session goes on."""
    with RawClient(proxy.host, proxy.port, role, DATABASE) as client:
        client.send(*MESSAGES[case])
        client.send(b"S", b"")
        errors = [fields(body) for kind, body in client.reply().messages if kind == b"E"]
    assert [error["C"] for error in errors] == ["08P01"]


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


def test_everything_above_was_no_failure_of_the_proxy_s_own(proxy: Pgveil) -> None:
    assert metric(proxy, "pgveil_crashes_total") == 0
    assert "Traceback" not in proxy.output()
    assert '"trace"' not in proxy.output()
    assert "zq8x" not in proxy.output()
