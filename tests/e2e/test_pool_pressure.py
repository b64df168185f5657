"""What is larger than memory should be, over shared connections and before the login: it passes in pieces, or waits
where it comes from.

In session mode the same is looked at in `test_streaming`, whose measure this is.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve, create_database, serving
from office_world import write_policy
from probes import DATABASE as PLAIN
from probes import PATIENCE, assert_no_session_is_left, eventually, metric, startup
from probes import POLICY as PLAIN_POLICY
from raw_client import fields
from test_streaming import (
    DATABASE,
    LARGE,
    MEGABYTE,
    ROLES,
    ROOM,
    TABLES,
    exactly,
    memory,
    open_client,
    pour,
    send_forever,
    sizes,
    until_ready,
)
from twins import COPY_DONE, POLICY, SYNC, bind, copy_data, execute, parse, query

from proxy import localpg


@pytest.fixture(scope="module")
def dsn(postgres: localpg.LocalPostgres) -> str:
    return create_database(postgres, DATABASE, TABLES)


@pytest.fixture(scope="module")
def proxy(dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgveil]:
    """One connection for everybody."""
    policies = write_policy(tmp_path_factory.mktemp("pressed"), POLICY)
    started = serve(Configuration(dsn, policies, {"pool": {"mode": "transaction", "size": 1}}))
    for role in ROLES:  # what is loaded at first use is no growth
        with open_client(started, role) as client:
            client.simple("SELECT 1; SELECT id FROM rows")
    yield started
    started.stop()


@contextmanager
def bounded(proxy: Pgveil) -> Iterator[None]:
    """The proxy stays within ROOM of what it had."""
    root = Path(f"/proc/{proxy.process.pid}")
    before = memory(root, "VmRSS")
    (root / "clear_refs").write_text("5")
    yield
    assert memory(root, "VmHWM") - before < ROOM


@pytest.fixture
def growth(proxy: Pgveil) -> Iterator[None]:
    with bounded(proxy):
        yield
    assert_no_session_is_left(proxy)


@pytest.mark.usefixtures("growth")
@pytest.mark.parametrize("role", ROLES)
def test_a_client_that_hardly_reads(role: str, proxy: Pgveil) -> None:
    with open_client(proxy, role) as client:
        client.socket.sendall(query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"))
        for _ in range(10):
            exactly(client.socket, MEGABYTE // 10)
            threading.Event().wait(0.1)


@pytest.mark.usefixtures("growth")
def test_a_client_that_sends_and_never_reads(proxy: Pgveil) -> None:
    """It takes the connection again and again, while nothing is read for it."""
    with open_client(proxy, "dba") as client:
        client.socket.settimeout(2)
        with pytest.raises(TimeoutError):
            send_forever(client.socket, query("SELECT repeat('x', 10000)") * 100)
    with open_client(proxy, "dba") as other:
        assert other.simple("SELECT 1").error == {}


@pytest.mark.usefixtures("growth")
def test_copy_in_that_waits_for_somebody_s_lock(proxy: Pgveil, dsn: str) -> None:
    with psycopg.connect(dsn) as other, open_client(proxy, "dba") as client:
        other.execute("DELETE FROM rows")
        other.commit()
        other.execute("INSERT INTO rows VALUES (1, 'theirs')")  # a duplicate of it waits for the transaction's end
        client.send(b"Q", b"COPY rows FROM STDIN\0")
        assert next(client.messages())[0] == b"G"
        sent = pour(client.socket, copy_data(b"1\t" + b"x" * MEGABYTE + b"\n"))
        assert sent < LARGE, "somebody keeps what the server does not read"
        other.rollback()
        client.socket.settimeout(PATIENCE)
        assert [fields(body)["C"] for tag, body in until_ready(client) if tag == b"E"] == ["23505"]
        assert client.simple("SELECT 1").error == {}


@pytest.mark.usefixtures("growth")
def test_who_waits_for_a_connection_sends_no_more_than_fits(proxy: Pgveil) -> None:
    """And all of it is answered in the end."""
    one = query(f"SELECT length('{'x' * (MEGABYTE // 2)}')")
    with open_client(proxy, "dba") as holder, open_client(proxy, "dba") as client:
        holder.simple("BEGIN")
        client.socket.sendall(one)
        eventually(lambda: metric(proxy, "pgveil_pool_waiting") == 1, "it waits")
        sender = threading.Thread(target=client.socket.sendall, args=(one * (LARGE // len(one)),))
        sender.start()
        sender.join(1)
        assert sender.is_alive(), "somebody keeps what nobody has run"
        assert holder.simple("COMMIT").error == {}
        for _ in range(1 + LARGE // len(one)):
            assert [tag for tag, _ in until_ready(client)] == [b"T", b"D", b"C", b"Z"]
        sender.join()


@pytest.mark.parametrize("size", [600_000, 5 * MEGABYTE])
def test_a_long_message_comes_whole(size: int, proxy: Pgveil) -> None:
    """It is not what has to wait, however long it is: the rest of it is wanted."""
    value = "x" * size
    with open_client(proxy, "dba") as client:
        assert client.simple(f"SELECT length('{value}')").data[0].endswith(str(size).encode())
        client.socket.sendall(
            parse("SELECT length($1)") + bind(values=[value.encode()]) + execute() + SYNC + query("SELECT 1")
        )
        assert [tag for tag, _ in until_ready(client)] == [b"1", b"2", b"D", b"C", b"Z"]
        assert [tag for tag, _ in until_ready(client)] == [b"T", b"D", b"C", b"Z"]


@pytest.mark.usefixtures("growth")
@pytest.mark.parametrize("role", ROLES)
def test_a_large_field_out(role: str, proxy: Pgveil) -> None:
    with open_client(proxy, role) as client:
        client.socket.sendall(query(f"SELECT repeat('x', {LARGE})"))
        assert (b"D", LARGE + 6) in sizes(client)


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
        client.simple("TRUNCATE rows")


def test_what_comes_before_the_login_waits_with_the_client(tmp_path: Path) -> None:
    """The database says nothing, so nobody is let in, and what is sent behind the startup packet is not for anybody."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dsn = f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/{PLAIN}?sslmode=disable"
        with serving(Configuration(dsn, write_policy(tmp_path, PLAIN_POLICY)), tmp_path) as proxy, bounded(proxy):
            with socket.create_connection((proxy.host, proxy.port)) as client:
                client.sendall(startup("dba", PLAIN))
                assert taken(client) < LARGE
            silent.close()  # so that nobody waits for it any more


def taken(sock: socket.socket) -> int:
    """How many bytes somebody takes, up to LARGE; a second without any progress is the end."""
    sock.settimeout(1)
    sent = 0
    try:
        while sent < LARGE:
            sent += sock.send(b"x" * MEGABYTE)
    except TimeoutError:
        pass
    return sent
