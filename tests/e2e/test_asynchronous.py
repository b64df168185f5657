"""What the server says unasked, and what the client asks for on another connection: notifications, settings, notices,
CancelRequest, in the middle of everything."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from conftest import Pgveil
from probes import DATABASE, PATIENCE, eventually
from raw_client import RawClient, fields
from twins import COPY_DONE, COPY_FAIL, SYNC, bind, copy_data, execute, parse, query

Direct = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def direct(plain_dsn: str) -> Iterator[Direct]:
    with psycopg.connect(plain_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def client(plain: Pgveil) -> Iterator[RawClient]:
    with RawClient(plain.host, plain.port, "dba", DATABASE) as connected:
        yield connected


def until(client: RawClient, wanted: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    for message in client.messages():
        found.append(message)
        if message[0] in wanted:
            break
    return found


def tags(messages: list[tuple[bytes, bytes]]) -> str:
    return b"".join(tag for tag, _ in messages).decode()


def heard(message: tuple[bytes, bytes]) -> tuple[str, str]:
    """Channel and payload of a NotificationResponse."""
    assert message[0] == b"A"
    channel, payload, _ = message[1][4:].split(b"\0")
    return channel.decode(), payload.decode()


class TestNotifications:
    def test_while_idle(self, client: RawClient, direct: Direct) -> None:
        client.simple("LISTEN news")
        for number in range(3):
            direct.execute(f"NOTIFY news, 'n{number}'".encode())
            assert heard(next(client.messages())) == ("news", f"n{number}")

    def test_a_transaction_is_not_disturbed(self, client: RawClient, direct: Direct) -> None:
        client.simple("LISTEN news")
        client.simple("BEGIN")
        direct.execute("NOTIFY news, 'later'")
        assert tags(client.simple("SELECT 1").messages) == "TDCZ"
        messages = client.simple("COMMIT").messages
        assert tags(messages) == "CAZ"
        assert heard(messages[1]) == ("news", "later")

    def test_behind_a_result_that_was_on_its_way(self, client: RawClient, direct: Direct) -> None:
        client.simple("LISTEN news")
        client.socket.sendall(query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)"))
        begun = until(client, b"D")
        direct.execute("NOTIFY news, 'meanwhile'")
        rest = until(client, b"Z")
        assert tags(begun)[0] == "T"
        assert tags(rest).replace("D", "") in ("CAZ", "CZ")
        if b"A" not in dict(rest):  # it came after the server had looked
            assert heard(next(client.messages())) == ("news", "meanwhile")

    def test_behind_a_copy(self, client: RawClient, direct: Direct) -> None:
        client.simple("LISTEN news; CREATE TEMP TABLE letters (id int)")
        client.socket.sendall(query("COPY letters FROM STDIN"))
        until(client, b"G")
        direct.execute("NOTIFY news, 'meanwhile'")
        client.socket.sendall(copy_data(b"1\n") + COPY_DONE)
        assert tags(until(client, b"Z")) == "CAZ"

    def test_a_masked_role_hears_none(self, plain: Pgveil, direct: Direct) -> None:
        with RawClient(plain.host, plain.port, "analyst", DATABASE) as masked:
            assert masked.simple("LISTEN news").error["C"] == "42501"
            direct.execute("NOTIFY news, 'secret'")
            assert tags(masked.simple("SELECT 1").messages) == "TDCZ"


def test_a_setting_that_changes_while_idle(client: RawClient, direct: Direct) -> None:
    """ALTER SYSTEM and a reload report to sessions that nobody has asked anything."""
    try:
        direct.execute("ALTER SYSTEM SET scram_iterations = 5001")
        direct.execute("ALTER SYSTEM SET IntervalStyle = 'iso_8601'")
        direct.execute("SELECT pg_reload_conf()")
        eventually(lambda: direct.execute("SHOW intervalstyle").fetchone() == ("iso_8601",), "it is loaded")
        found = [body for tag, body in client.simple("SELECT 1").messages if tag == b"S"]
        while len(found) < 2:
            found += [body for tag, body in client.simple("SELECT 1").messages if tag == b"S"]
        assert sorted(found) == [b"IntervalStyle\0iso_8601\0", b"scram_iterations\x005001\0"]
    finally:
        direct.execute("ALTER SYSTEM RESET ALL")
        direct.execute("SELECT pg_reload_conf()")


class TestCancel:
    """By the key of the session's greeting, to the proxy's port."""

    @pytest.fixture(params=["dba", "analyst"])
    def either(self, request: pytest.FixtureRequest, plain: Pgveil) -> Iterator[RawClient]:
        with RawClient(plain.host, plain.port, request.param, DATABASE) as connected:
            yield connected

    def cancel(self, client: RawClient, plain: Pgveil) -> None:
        key = next(body for tag, body in client.greeting.messages if tag == b"K")
        with socket.create_connection((plain.host, plain.port), timeout=PATIENCE) as other:
            other.sendall(struct.pack("!ii", 8 + len(key), 80877102) + key)
            assert other.recv(1) == b""

    def test_a_statement_that_waits_for_a_lock(self, client: RawClient, plain: Pgveil, direct: Direct) -> None:
        with direct.transaction():
            direct.execute("LOCK TABLE people")
            client.socket.sendall(query("SELECT 1; LOCK TABLE people; SELECT 2"))
            eventually(lambda: self.waits(direct), "it waits for the lock")
            self.cancel(client, plain)
            messages = until(client, b"Z")
        assert [fields(body)["C"] for tag, body in messages if tag == b"E"] == ["57014"]
        assert client.simple("SELECT 1").error == {}

    def waits(self, direct: Direct) -> bool:
        row = direct.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return row is not None and row[0] == 1

    def test_what_waits_behind_it_is_not_cancelled(self, either: RawClient, plain: Pgveil) -> None:
        """One CancelRequest, one statement, and the pipeline behind its error is skipped to Sync."""
        slow = parse("SELECT count(*) FROM generate_series(1, 10000000000)") + bind() + execute()
        either.socket.sendall(slow + parse("SELECT 1") + bind() + execute() + SYNC + query("SELECT 2"))
        threading.Timer(0.3, self.cancel, [either, plain]).start()
        assert tags(until(either, b"Z"))[-2:] == "EZ"
        assert tags(until(either, b"Z")) == "TDCZ"

    def test_copy_out(self, either: RawClient, plain: Pgveil) -> None:
        either.socket.sendall(query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT"))
        assert tags([next(either.messages())]) == "H"
        for _, _ in zip(range(1000), either.messages(), strict=False):
            pass
        self.cancel(either, plain)
        last = [message for message in until(either, b"Z") if message[0] != b"d"]
        assert tags(last) == "EZ"
        assert fields(last[0][1])["C"] == "57014"

    def test_copy_in(self, client: RawClient, plain: Pgveil) -> None:
        """The server waits for the client: it sees the cancellation at the next message."""
        client.simple("CREATE TEMP TABLE letters (id int)")
        client.socket.sendall(query("COPY letters FROM STDIN") + copy_data(b"1\n"))
        until(client, b"G")
        self.cancel(client, plain)
        time.sleep(0.2)
        client.socket.sendall(copy_data(b"2\n") * 10 + COPY_FAIL)
        messages = until(client, b"Z")
        assert [fields(body)["C"] for tag, body in messages if tag == b"E"] == ["57014"]
        assert client.simple("SELECT count(*) FROM letters").data == [b"\0\1\0\0\0\1" + b"0"]

    def test_an_idle_session_does_not_notice(self, either: RawClient, plain: Pgveil) -> None:
        for _ in range(3):
            self.cancel(either, plain)
            assert tags(either.simple("SELECT 1").messages) == "TDCZ"

    def test_another_s_key_with_one_bit_changed_cancels_nobody(self, either: RawClient, plain: Pgveil) -> None:
        kind, key = next(message for message in either.greeting.messages if message[0] == b"K")
        wrong = key[:-1] + bytes([key[-1] ^ 1])
        either.greeting.messages = [(kind, wrong)]
        either.socket.sendall(query("SELECT count(*) FROM generate_series(1, 4000000)"))
        self.cancel(either, plain)
        assert tags(until(either, b"Z")) == "TDCZ"
