"""What the tests of faults and of operation look at from outside: metrics, health, upstream backends, and patience."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import psycopg
from conftest import Pgveil
from raw_client import RawClient, Reply

PATIENCE = 60
"""Seconds after which something that has to happen counts as hanging."""

DATABASE = "plain"
TABLES = """
CREATE TABLE people (id int PRIMARY KEY, name text, code text);
INSERT INTO people SELECT i, 'person ' || i, 'zq8x-' || i FROM generate_series(1, 5) AS i;
"""
POLICY = """
version: 1
roles:
  dba: {users: [postgres, dba], bypass: true}
  analyst: {users: [analyst]}
defaults: {tables: deny}
tables:
  - {allow: ["public.*"], roles: [analyst]}
masks:
  - {columns: [public.people.code], mask: constant, with: {value: hidden}, except: [dba]}
"""


def eventually(happened: Callable[[], bool], what: str) -> None:
    """Waits for it, in short steps. Fails with `what` where it does not come."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.05)


def get(proxy: Pgveil, path: str) -> tuple[int, str]:
    """Status and body of an HTTP path."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.http_port}{path}", timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def ready(proxy: Pgveil) -> dict[str, Any]:
    status, body = get(proxy, "/readyz")
    found: dict[str, Any] = json.loads(body)
    assert (status == 200) == found["ready"]
    return found


def metric(proxy: Pgveil, name: str) -> float:
    """The sum of a metric over its labels."""
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", get(proxy, "/metrics")[1], re.MULTILINE)
    return sum(map(float, found))


def sample(proxy: Pgveil, series: str) -> float:
    """One series of a metric, labels and all; 0 while there is none."""
    lines = get(proxy, "/metrics")[1].splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{series} "))


def codes_of(proxy: Pgveil, user: str, database: str = DATABASE) -> list[str]:
    """A normal client's look: what `code` reads as."""
    with psycopg.connect(proxy.dsn(user, database), autocommit=True) as connection:
        return [row[0] for row in connection.execute("SELECT code FROM people ORDER BY id").fetchall()]


CLEAR = [f"zq8x-{i}" for i in range(1, 6)]
VEILED = ["hidden"] * 5


def assert_serves(proxy: Pgveil, database: str = DATABASE) -> None:
    """The process is up, has not failed anywhere, and normal clients get the right answers."""
    assert proxy.process.poll() is None
    assert codes_of(proxy, "analyst", database) == VEILED
    assert codes_of(proxy, "dba", database) == CLEAR
    assert metric(proxy, "pgveil_crashes_total") == 0


def assert_no_session_is_left(proxy: Pgveil) -> None:
    eventually(lambda: metric(proxy, "pgveil_sessions") == 0, "every session is gone")


def open_socket(proxy: Pgveil) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=PATIENCE)


def startup(user: str, database: str, version: int = 3 << 16, **parameters: str) -> bytes:
    """A startup packet."""
    pairs = {"user": user, "database": database, **parameters}
    body = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in pairs.items()) + b"\0"
    return struct.pack("!ii", len(body) + 8, version) + body


def read_to_end(sock: socket.socket) -> bytes:
    """Everything until the peer closes; a peer that hangs is a TimeoutError."""
    found = b""
    try:
        while chunk := sock.recv(65536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


class Speaker(RawClient):
    """A client whose startup packet is the test's own."""

    def __init__(self, proxy: Pgveil, packet: bytes) -> None:
        self.socket = open_socket(proxy)
        self._buffer = b""
        self.socket.sendall(packet)
        self.greeting = Reply()

    def greet(self) -> Reply:
        """The greeting, up to ReadyForQuery or the end."""
        self.greeting = self.reply()
        return self.greeting

    def next(self) -> tuple[bytes, bytes]:
        return next(self.messages())


def refusal(proxy: Pgveil, packet: bytes) -> dict[str, str]:
    """The error that ends a login."""
    with Speaker(proxy, packet) as client:
        found = client.greet()
        assert not any(tag == b"Z" for tag, _ in found.messages)
        assert found.error["S"] == "FATAL"
        return found.error
