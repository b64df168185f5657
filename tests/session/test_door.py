"""Clients that stop in the middle of a login over TLS: the login's time ends them, and nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scripted import ANALYST, FakeAsker, FakeVeils

from proxy.errors import ConfigError, PgveilError
from proxy.handshake import Door
from proxy.policy.rules import Identity
from proxy.ports import Watcher
from proxy.server import Admission, Server
from proxy.settings import UpstreamDsn
from proxy.tlsfiles import ServerTls, load_server_tls
from proxy.wire.auth import AuthMethod
from proxy.wire.scram import make_verifier, server_end_point
from proxy.wire.startup import SSLRequest, StartupMessage
from proxy.wire.userlist import Userlist

USERS = Userlist({"ana": make_verifier("right")})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a certificate and its key."""
    directory = tmp_path_factory.mktemp("door")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start.replace(year=2035))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (directory / "server.crt").write_bytes(pem)
    form, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (directory / "server.key").write_bytes(key.private_bytes(form, kind, serialization.NoEncryption()))
    locked = serialization.BestAvailableEncryption(b"s3cret")
    (directory / "locked.key").write_bytes(key.private_bytes(form, kind, locked))
    for file in ("server.key", "locked.key"):
        (directory / file).chmod(0o600)
    return directory


@pytest.fixture
def tls(files: Path) -> ServerTls:
    return load_server_tls(files / "server.crt", files / "server.key", None)


@dataclass
class Logins:
    refusals: list[str] = field(default_factory=list)
    crashes: list[BaseException] = field(default_factory=list)

    def session(self, identity: Identity) -> Watcher:
        raise AssertionError(identity)

    def refused(self, user: str | None, error: PgveilError) -> None:
        self.refusals.append(error.sqlstate)

    def crash(self, error: BaseException) -> None:
        self.crashes.append(error)

    def accept_failed(self, error: OSError) -> None:
        raise AssertionError(error)


@contextlib.asynccontextmanager
async def serving(door: Door, logins: Logins) -> AsyncIterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    admission = Admission(
        dsn=UpstreamDsn.parse("postgresql://nobody@127.0.0.1:1/nothing"),
        door=door,
        identify=lambda user: ANALYST,
        veils=FakeVeils(),
        asker=FakeAsker(),
        watch=logins,
        login_seconds=1.0,
    )
    server = Server(admission, grace_seconds=0.2)
    task = asyncio.create_task(server.run([listener]))
    try:
        yield listener.getsockname()
    finally:
        server.stop()
        server.stop()
        await task


def left() -> tuple[int, int]:
    """Sockets and tasks. An event loop opens other files of its own as it goes."""
    gc.collect()
    sockets = 0
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets += str(file.readlink()).startswith("socket:")
    return sockets, len(asyncio.all_tasks())


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not happened():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


def hello() -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def secured(sock: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock.sendall(SSLRequest().encode())
    assert sock.recv(1) == b"S"
    return context.wrap_socket(sock)


def half_a_hello(sock: socket.socket) -> socket.socket:
    sock.sendall(hello()[:40])
    return sock


def a_hello_and_no_more(sock: socket.socket) -> socket.socket:
    sock.sendall(SSLRequest().encode())
    assert sock.recv(1) == b"S"
    sock.sendall(hello())
    return sock


def asks_and_says_nothing(sock: socket.socket) -> socket.socket:
    sock.sendall(SSLRequest().encode())
    return sock


def one_byte(sock: socket.socket) -> socket.socket:
    sock.sendall(b"\0")
    return sock


def nothing_inside(sock: socket.socket) -> socket.socket:
    return secured(sock)


def no_password_inside(sock: socket.socket) -> socket.socket:
    secure = secured(sock)
    secure.sendall(StartupMessage(3, 0, {"user": "ana"}).encode())
    assert secure.recv(1) == b"R"
    return secure


STALLS = [lambda sock: sock, one_byte, asks_and_says_nothing, half_a_hello, a_hello_and_no_more, nothing_inside]
STALLS.append(no_password_inside)


@pytest.mark.parametrize("stall", STALLS)
def test_the_logins_time_holds_for_a_client_that_stalls(
    stall: Callable[[socket.socket], socket.socket], tls: ServerTls
) -> None:
    logins = Logins()

    async def scene() -> None:
        door = Door(AuthMethod.SCRAM, lambda: USERS, tls=lambda: tls)
        async with serving(door, logins) as address:
            await asyncio.sleep(0.1)  # until it accepts
            before = left()
            client = await asyncio.to_thread(lambda: stall(socket.create_connection(address)))
            await until(lambda: logins.refusals != [])
            await asyncio.to_thread(read_out, client)
            client.close()
            await until(lambda: left() == before)

    uvloop.run(scene())
    assert logins.refusals == ["57P01"]
    assert logins.crashes == []


def read_out(client: socket.socket) -> None:
    """The other side has closed: there is an end."""
    client.settimeout(20)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while client.recv(65536):
            pass


def test_what_scram_binds_to_is_the_certificate_that_is_shown(files: Path, tls: ServerTls) -> None:
    der = ssl.PEM_cert_to_DER_cert((files / "server.crt").read_text())
    assert tls.end_point == server_end_point(der)
    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls.context.options & ssl.OP_NO_RENEGOTIATION
    assert repr(tls) == "ServerTls(binding=True)"


def test_a_key_with_a_password_is_refused_and_asked_for_nowhere(files: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used") as caught:
        load_server_tls(files / "server.crt", files / "locked.key", None)
    assert "without a password" in str(caught.value.hint)
