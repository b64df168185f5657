"""What is larger than memory should be passes in pieces: slow readers, slow servers, large values, long pipelines.

The proxy's peak of resident memory is the kernel's own figure (VmHWM), set back before each test.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve, create_database
from office_world import write_policy
from probes import PATIENCE, assert_no_session_is_left, eventually
from raw_client import RawClient, fields
from twins import COPY_DONE, POLICY, SYNC, bind, copy_data, describe, execute, packed, parse, query

from proxy import localpg

DATABASE = "streaming"
TABLES = """
CREATE TABLE rows (id bigint PRIMARY KEY, text text);
CREATE TABLE people (id int, code text);
"""
MEGABYTE = 1024 * 1024
ROOM = 64 * MEGABYTE
"""What the proxy may grow by."""
LARGE = 150 * MEGABYTE
ROLES = ("dba", "analyst")


@pytest.fixture(scope="module")
def dsn(postgres: localpg.LocalPostgres) -> str:
    return create_database(postgres, DATABASE, TABLES)


@pytest.fixture(scope="module")
def proxy(dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgveil]:
    started = serve(Configuration(dsn, write_policy(tmp_path_factory.mktemp("streaming"), POLICY)))
    for role in ROLES:  # what is loaded at first use is no growth
        with open_client(started, role) as client:
            client.simple("SELECT 1; SELECT id FROM rows")
    yield started
    started.stop()


@pytest.fixture
def growth(proxy: Pgveil) -> Iterator[None]:
    """The proxy stays within ROOM of what it had, whatever the test does."""
    root = Path(f"/proc/{proxy.process.pid}")
    before = memory(root, "VmRSS")
    (root / "clear_refs").write_text("5")
    yield
    assert memory(root, "VmHWM") - before < ROOM
    assert_no_session_is_left(proxy)


def memory(root: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", (root / "status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def open_client(proxy: Pgveil, role: str) -> RawClient:
    return RawClient(proxy.host, proxy.port, role, DATABASE)


def frame(client: RawClient) -> tuple[bytes, int]:
    """A message's type and the size of its body, which is read and thrown away."""
    header = exactly(client.socket, 5)
    size = struct.unpack("!i", header[1:])[0] - 4
    left = size
    while left:
        left -= len(client.socket.recv(min(left, MEGABYTE)))
    return header[:1], size


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, "the connection has ended"
        data += part
    return data


def sizes(client: RawClient) -> list[tuple[bytes, int]]:
    """Up to ReadyForQuery, without keeping any of it."""
    found = [frame(client)]
    while found[-1][0] != b"Z":
        found.append(frame(client))
    return found


# Slow readers


SLOW = {
    "rows": query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"),
    "COPY": query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT"),
    "an extended query": parse("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)") + bind() + execute() + SYNC,
}


@pytest.mark.usefixtures("growth")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("what", SLOW)
def test_a_client_that_reads_a_megabyte_a_second(what: str, role: str, proxy: Pgveil) -> None:
    """A gigabyte is on its way; it is looked at for two seconds, and the rest is not waited for."""
    with open_client(proxy, role) as client:
        client.socket.sendall(SLOW[what])
        for _ in range(20):
            exactly(client.socket, MEGABYTE // 10)
            time.sleep(0.1)


@pytest.mark.usefixtures("growth")
def test_many_slow_readers(proxy: Pgveil) -> None:
    clients = [open_client(proxy, "dba") for _ in range(20)]
    for client in clients:
        client.socket.sendall(SLOW["rows"])
    for client in clients:
        exactly(client.socket, MEGABYTE)
    time.sleep(0.5)
    for client in clients:
        client.socket.close()


# A slow server


@pytest.mark.usefixtures("growth")
@pytest.mark.parametrize("role", ["dba"])
def test_copy_in_that_waits_for_somebody_s_lock(role: str, proxy: Pgveil, dsn: str) -> None:
    with psycopg.connect(dsn) as other, open_client(proxy, role) as client:
        other.execute("DELETE FROM rows")
        other.commit()
        other.execute("INSERT INTO rows VALUES (1, 'theirs')")  # a duplicate of it waits for the transaction's end
        client.send(b"Q", b"COPY rows FROM STDIN\0")
        assert next(client.messages())[0] == b"G"
        sent = pour(client.socket, copy_data(b"1\t" + b"x" * MEGABYTE + b"\n"))
        assert sent < LARGE, "somebody keeps what the server does not read"
        other.rollback()
        client.socket.settimeout(PATIENCE)
        errors = [fields(body)["C"] for tag, body in until_ready(client) if tag == b"E"]
        assert errors == ["23505"]  # the second of ours
        assert client.simple("SELECT 1").error == {}


def pour(sock: socket.socket, data: bytes) -> int:
    """Sends as much as somebody takes, to the end of a message; gives up after a second without any progress."""
    sent, view = 0, memoryview(data)
    while sent < LARGE:
        at = 0
        while at < len(data):
            _, writable, _ = select.select([], [sock], [], 1 if at == 0 else 3)
            if not writable:
                finisher = threading.Thread(target=sock.sendall, args=(bytes(view[at:]) + COPY_DONE,))
                finisher.start()
                return sent
            at += sock.send(view[at : at + 65536])
        sent += len(data)
    return sent


def until_ready(client: RawClient) -> Iterator[tuple[bytes, bytes]]:
    for message in client.messages():
        yield message
        if message[0] == b"Z":
            return


# Large values


@pytest.mark.usefixtures("growth")
@pytest.mark.parametrize("role", ROLES)
def test_a_large_field_out(role: str, proxy: Pgveil) -> None:
    with open_client(proxy, role) as client:
        client.socket.sendall(query(f"SELECT repeat('x', {LARGE})"))
        found = sizes(client)
        client.socket.sendall(query(f"COPY (SELECT repeat('x', {LARGE})) TO STDOUT"))
        copied = sizes(client)
    assert (b"D", LARGE + 6) in found
    assert (b"d", LARGE + 1) in copied


@pytest.mark.usefixtures("growth")
def test_a_large_copy_row_in(proxy: Pgveil) -> None:
    with open_client(proxy, "dba") as client:
        client.simple("TRUNCATE rows")
        client.send(b"Q", b"COPY rows FROM STDIN\0")
        assert next(client.messages())[0] == b"G"
        client.socket.sendall(b"d" + struct.pack("!i", LARGE + 4 + 3) + b"7\t")
        for _ in range(LARGE // MEGABYTE):
            client.socket.sendall(b"x" * MEGABYTE)
        client.socket.sendall(b"\n" + COPY_DONE)
        assert [tag for tag, _ in until_ready(client)] == [b"C", b"Z"]
        assert client.simple("SELECT length(text) FROM rows").data[0].endswith(str(LARGE).encode())
        client.simple("TRUNCATE rows")


@pytest.mark.usefixtures("growth")
def test_a_large_parameter_in(proxy: Pgveil) -> None:
    with open_client(proxy, "dba") as client:
        client.socket.sendall(parse("SELECT length($1), md5($1)"))
        client.socket.sendall(b"B" + struct.pack("!i", 4 + 2 + 2 + 2 + 4 + LARGE + 2) + b"\0\0\0\0\0\1")
        client.socket.sendall(struct.pack("!i", LARGE))
        for _ in range(LARGE // MEGABYTE):
            client.socket.sendall(b"x" * MEGABYTE)
        client.socket.sendall(b"\0\0" + describe("P") + execute() + SYNC)
        messages = list(until_ready(client))
        assert [tag for tag, _ in messages] == [b"1", b"2", b"T", b"D", b"C", b"Z"]
        assert str(LARGE).encode() in messages[3][1]


@pytest.mark.usefixtures("growth")
def test_a_large_parameter_after_an_error_is_skipped(proxy: Pgveil) -> None:
    with open_client(proxy, "dba") as client:
        client.socket.sendall(parse("SELEC") + packed(b"H"))
        assert next(client.messages())[0] == b"E"
        client.socket.sendall(b"B" + struct.pack("!i", 4 + LARGE))
        for _ in range(LARGE // MEGABYTE):
            client.socket.sendall(b"x" * MEGABYTE)
        client.socket.sendall(SYNC + query("SELECT 1"))
        assert [tag for tag, _ in until_ready(client)] == [b"Z"]
        assert [tag for tag, _ in until_ready(client)] == [b"T", b"D", b"C", b"Z"]


@pytest.mark.usefixtures("growth")
@pytest.mark.parametrize("tag", [b"Q", b"P", b"B", b"F"])
def test_a_message_over_a_masked_role_s_cap_is_refused_before_it_has_come(tag: bytes, proxy: Pgveil) -> None:
    with open_client(proxy, "analyst") as client:
        client.socket.sendall(query("SELECT 1") + tag + struct.pack("!i", 65 * MEGABYTE))
        messages = list(client.messages())
    assert [kind for kind, _ in messages] == [b"T", b"D", b"C", b"Z", b"E"]
    assert fields(messages[-1][1])["C"] == "08P01"


# Long pipelines


@pytest.mark.usefixtures("growth")
@pytest.mark.parametrize("role", ROLES)
def test_a_pipeline_of_any_length(role: str, proxy: Pgveil) -> None:
    """Sent without reading anything, and far more than may be owed, by a client that reads later."""
    count = 12_000
    one = bind("s", "", [b"1"]) + execute()
    with open_client(proxy, role) as client:
        sender = threading.Thread(
            target=client.socket.sendall, args=(parse("SELECT $1::int", "s") + one * count + SYNC,)
        )
        sender.start()
        time.sleep(0.3)
        tags = [tag for tag, _ in until_ready(client)]
        sender.join()
    assert tags == [b"1", *[b"2", b"D", b"C"] * count, b"Z"]


def send_forever(sock: socket.socket, data: bytes) -> None:
    while True:
        sock.sendall(data)


@pytest.mark.usefixtures("growth")
def test_a_client_that_sends_and_never_reads(proxy: Pgveil, dsn: str) -> None:
    with open_client(proxy, "dba") as client:
        data = query("SELECT repeat('x', 10000)") * 100
        client.socket.settimeout(2)
        with pytest.raises(TimeoutError):
            send_forever(client.socket, data)
    with psycopg.connect(dsn, autocommit=True) as direct:
        eventually(
            lambda: (
                direct.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%10000%'").fetchone() == (1,)
            ),
            "the server's session is gone",
        )
