"""Cancel keys that travel far: the longest that a server may give, and one that arrives at another worker."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, serving
from office_world import fetch, write_policy
from probes import DATABASE, PATIENCE, POLICY, Speaker, eventually, read_to_end, startup
from raw_client import RawClient
from scripted_model import Reply, ScriptedModel
from test_workers import Client, clients, of, started


class KeyedServer:
    """Passes connections on to PostgreSQL, and gives each a cancel key of its own with so many bytes.

    PostgreSQL's is put back into a CancelRequest that has exactly the key that was given; any other is kept and goes
    no further.
    """

    def __init__(self, postgres: tuple[str, int], size: int) -> None:
        self._postgres = postgres
        self._size = size
        self._keys: dict[bytes, bytes] = {}
        self.strangers: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> KeyedServer:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._open):
            _cut(sock)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for sock in (self._listener, *self._open):
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            self._start(self._serve, client)

    def _start(self, target: Callable[..., None], *args: socket.socket) -> None:
        def run() -> None:
            try:
                target(*args)
            except (OSError, struct.error):  # somebody has left
                pass
            finally:
                for sock in args:
                    _cut(sock)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        packet = _packet(client)
        server = socket.socket(socket.AF_UNIX)
        self._open.append(server)
        server.connect(f"{self._postgres[0]}/.s.PGSQL.{self._postgres[1]}")
        if packet[4:8] == struct.pack("!i", 80877102):
            given = packet[8:]
            if given not in self._keys:
                self.strangers.append(given)
                return
            packet = struct.pack("!ii", len(self._keys[given]) + 8, 80877102) + self._keys[given]
            server.sendall(packet)
            read_to_end(server)
            return
        server.sendall(packet)
        while True:
            head = _exactly(server, 5)
            body = _exactly(server, struct.unpack("!i", head[1:])[0] - 4)
            if head[:1] == b"K":
                ours = body[:4] + os.urandom(self._size)
                self._keys[ours] = body
                head, body = b"K" + struct.pack("!i", len(ours) + 4), ours
            client.sendall(head + body)
            if head[:1] in (b"Z", b"E"):
                break
        self._start(_pass_on, server, client)
        _pass_on(client, server)


def _cut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _exactly(sock: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = sock.recv(size - len(found))
        if not part:
            raise OSError("the peer has left")
        found += part
    return found


def _packet(sock: socket.socket) -> bytes:
    head = _exactly(sock, 4)
    return head + _exactly(sock, struct.unpack("!i", head)[0] - 4)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)


def key_of(client: RawClient) -> bytes:
    return next(body for tag, body in client.greeting.messages if tag == b"K")


def cancel(proxy: Pgveil, key: bytes) -> None:
    with Speaker(proxy, struct.pack("!ii", len(key) + 8, 80877102) + key) as client:
        assert read_to_end(client.socket) == b""


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("size", [5, 256])
def test_a_key_of_any_length_from_the_database(size: int, mode: str, plain_dsn: str, tmp_path: Path) -> None:
    place = psycopg.conninfo.conninfo_to_dict(plain_dsn)
    with KeyedServer((str(place["host"]), int(str(place["port"]))), size) as server:
        dsn = (
            f"postgresql://{place['user']}@127.0.0.1:{server.port}/{DATABASE}?sslmode=disable&max_protocol_version=3.2"
        )
        settings = {"pool": {"mode": mode}}
        with serving(Configuration(dsn, write_policy(tmp_path, POLICY), settings), tmp_path) as proxy:
            for minor, length in ((0, 4), (2, 32)):
                with Speaker(proxy, startup("dba", DATABASE, 3 << 16 | minor)) as client:
                    client.greet()
                    assert len(key_of(client)) == 4 + length
                    assert_cancels(proxy, client, plain_dsn, f"key_of_{size}_bytes")
        assert server.strangers == []


def assert_cancels(proxy: Pgveil, client: Speaker, dsn: str, mark: str) -> None:
    client.send(b"Q", f"SELECT pg_sleep(3600) AS {mark}\0".encode())
    running = f"SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(3600) AS {mark}%' AND state = 'active'"
    eventually(lambda: len(fetch(dsn, running)) == 1, "it runs")
    cancel(proxy, key_of(client))
    assert client.reply().error["C"] == "57014"
    assert client.simple("SELECT 1").error == {}


@pytest.fixture
def asking(plain_dsn: str, tmp_path: Path) -> Iterator[tuple[Pgveil, ScriptedModel]]:
    """Two workers and a model that takes its time."""
    with ScriptedModel(Reply("SELECT 1 AS one", delay=PATIENCE)) as model:
        openai = {"base_url": model.base_url, "model": "scripted", "timeout_s": 2 * PATIENCE, "api_key_env": "TEST_KEY"}
        settings = {"workers": 2, "ask": {"provider": "openai", "openai": openai}}
        policies = write_policy(tmp_path, POLICY)
        configuration = Configuration(plain_dsn, policies, settings, {"TEST_KEY": "a key"})
        with serving(configuration, tmp_path) as proxy:
            yield proxy, model


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """While it is, the kernel's connections are all taken by somebody else."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("role", ["dba", "analyst"])
def test_a_session_that_waits_in_the_agent_is_cancelled_from_the_other_worker(
    role: str, asking: tuple[Pgveil, ScriptedModel]
) -> None:
    proxy, model = asking
    with clients(proxy, 6, role) as found:
        for worker in (1, 2):
            one, bystander = of(found, worker)[0], of(found, 3 - worker)[0]
            both_ask(model, one, bystander)
            cancelling = send_cancel_elsewhere(proxy, worker, one)
            assert one.reply().error["C"] == "57014"
            assert read_to_end(cancelling) == b""
            cancelling.close()
            assert one.simple("SELECT 1").error == {}
            bystander.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                bystander.socket.recv(1)
            bystander.socket.settimeout(PATIENCE)
            bystander.cancel()
            assert bystander.reply().error["C"] == "57014"


def both_ask(model: ScriptedModel, *askers: Client) -> None:
    before = len(model.requests)
    for client in askers:
        client.begin("ASK 'how many people are there'")
    eventually(lambda: len(model.requests) == before + len(askers), "they wait for the model")


def send_cancel_elsewhere(proxy: Pgveil, worker: int, client: Client) -> socket.socket:
    """A CancelRequest that another worker than the client's has read."""
    with stopped(started(proxy, worker)[-1]):
        sock = socket.create_connection((proxy.host, proxy.port), timeout=PATIENCE)
        sock.sendall(struct.pack("!ii", len(client.key) + 8, 80877102) + client.key)
        # It keeps the client until the owner, who hears nothing now, has dealt with it.
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(PATIENCE)
    return sock
