"""Clients that vanish, do not read or stop sending: the upstream connection ends soon, and others go on."""

from __future__ import annotations

import socket
import struct

import pytest
from conftest import Pgveil
from office_world import fetch
from probes import (
    DATABASE,
    assert_serves,
    eventually,
    read_to_end,
)
from raw_client import RawClient, fields

ROLES = ("dba", "analyst")
ENDLESS = "SELECT repeat('x', 1000), generate_series(1, 500000000)"


@pytest.fixture
def proxy(plain: Pgveil) -> Pgveil:
    return plain


@pytest.fixture
def dsn(plain_dsn: str) -> str:
    return plain_dsn


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
