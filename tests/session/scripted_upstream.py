"""PostgreSQL servers that do what a test says, with TLS, on sockets of their own; and certificates for them."""

from __future__ import annotations

import contextlib
import functools
import inspect
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from proxy.wire.messages import AuthenticationOk, BackendKeyData, ErrorResponse, Message, ParameterStatus, ReadyForQuery
from proxy.wire.startup import SSLRequest, StartupPacket, decode_startup

_C = TypeVar("_C", bound=type)

SSL_REQUEST = SSLRequest().encode()
PATIENCE = 20
KEY = BackendKeyData(4711, b"abcd")


def on_uvloop(tests: _C) -> _C:
    """Runs the class's tests on the loop that the proxy has: TLS is where it differs from asyncio's."""

    def runs(test: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: object, **kwargs: object) -> None:
            uvloop.run(test(*args, **kwargs))

        return run

    for name, test in list(vars(tests).items()):
        if name.startswith("test_") and inspect.iscoroutinefunction(test):
            setattr(tests, name, runs(test))
    return tests


@dataclass(frozen=True)
class Authority:
    """Signs certificates. Files are PEM, below `directory`."""

    directory: Path
    name: str = "authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def root(self) -> Path:
        """Its own certificate."""
        path = self.directory / f"{self.name}.crt"
        if not path.exists():
            path.write_bytes(self._signed(self.name, self.key, authority=True).public_bytes(Encoding.PEM))
        return path

    def issue(
        self,
        name: str,
        *alternatives: str,
        common_name: str | None = None,
        expired: bool = False,
        self_signed: bool = False,
    ) -> tuple[Path, Path]:
        """Certificate and key for these alternative names (addresses where they look like one)."""
        key = ec.generate_private_key(ec.SECP256R1())
        others = [
            x509.IPAddress(ip_address(a)) if a[0].isdigit() or ":" in a else x509.DNSName(a) for a in alternatives
        ]
        signed = self._signed(
            common_name or name, key, names=others, expired=expired, signer=key if self_signed else None
        )
        cert, secret = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        cert.write_bytes(signed.public_bytes(Encoding.PEM))
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        secret.chmod(0o600)
        return cert, secret

    def revoke(self, cert: Path) -> Path:
        """A revocation list with this certificate."""
        number = x509.load_pem_x509_certificate(cert.read_bytes()).serial_number
        now = datetime.now(UTC)
        revoked = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now).build()
        builder = x509.CertificateRevocationListBuilder().issuer_name(_name(self.name)).last_update(now)
        listed = builder.next_update(now + timedelta(days=1)).add_revoked_certificate(revoked)
        path = self.directory / f"{self.name}.crl"
        path.write_bytes(listed.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path

    def _signed(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        names: Sequence[x509.GeneralName] = (),
        authority: bool = False,
        expired: bool = False,
        signer: ec.EllipticCurvePrivateKey | None = None,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        end = now - timedelta(days=1) if expired else now + timedelta(days=2)
        builder = x509.CertificateBuilder().subject_name(_name(name)).public_key(key.public_key())
        builder = builder.issuer_name(_name(name if signer is not None else self.name))
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=3))
        builder = builder.not_valid_after(end)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer or self.key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def server_context(cert: tuple[Path, Path], *alpn: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*cert)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Visit:
    """One connection that came, from the server's side. Every byte that was read is in `heard`."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.heard = b""
        self._line = sock.dup()

    def cut(self) -> None:
        """Ends the connection, whatever the script is doing with it."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def read(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (part := self.socket.recv(size - len(found))):
            found += part
            self.heard += part
        return found

    def packet(self) -> StartupPacket:
        head = self.read(4)
        return decode_startup(head + self.read(struct.unpack("!i", head)[0] - 4))

    def message(self) -> tuple[bytes, bytes]:
        head = self.read(5)
        return head[:1], self.read(struct.unpack("!i", head[1:])[0] - 4)

    def send(self, *messages: Message | bytes) -> None:
        self.socket.sendall(b"".join(m if isinstance(m, bytes) else m.encode() for m in messages))

    def encrypt(self, context: ssl.SSLContext) -> None:
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def agree(self, context: ssl.SSLContext) -> None:
        """SSLRequest, and TLS."""
        assert self.read(8) == SSL_REQUEST
        self.send(b"S")
        self.encrypt(context)

    def welcome(self, **parameters: str) -> None:
        """Lets in who comes, and waits for the end."""
        self.send(AuthenticationOk(), *(ParameterStatus(k, v) for k, v in parameters.items()), KEY, ReadyForQuery("I"))

    def wait(self) -> None:
        """Until the other side closes."""
        while self.socket.recv(4096):
            pass


Script = Callable[[Visit], None]


@dataclass
class Listener:
    """A server whose n-th connection follows the n-th script, the last one again and again."""

    host: str
    port: int
    visits: list[Visit] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"


@contextlib.contextmanager
def listening(*scripts: Script, host: str = "127.0.0.1") -> Iterator[Listener]:
    """Serves the scripts. What goes wrong in one of them, but for a peer that leaves, fails the test."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        found = Listener(host, sock.getsockname()[1])
        serving = threading.Thread(target=_accept, args=(sock, found, scripts))
        serving.start()
        try:
            yield found
        finally:
            sock.shutdown(socket.SHUT_RDWR)
            for visit in found.visits:  # the loop of the test does not turn here: nothing more will come
                visit.cut()
            serving.join(PATIENCE)
    assert found.failures == []


def _accept(sock: socket.socket, listener: Listener, scripts: tuple[Script, ...]) -> None:
    threads = []
    with contextlib.suppress(OSError):
        while True:
            taken, _ = sock.accept()
            taken.settimeout(PATIENCE)
            visit = Visit(taken)
            script = scripts[min(len(listener.visits), len(scripts) - 1)]
            listener.visits.append(visit)
            threads.append(threading.Thread(target=_run, args=(script, visit, listener)))
            threads[-1].start()
    for thread in threads:
        thread.join(PATIENCE)


def _run(script: Script, visit: Visit, listener: Listener) -> None:
    try:
        script(visit)
    except (OSError, struct.error):  # SSLError too: the proxy may hang up wherever it likes
        pass
    except Exception as error:
        listener.failures.append(error)
    finally:
        visit.socket.close()
        visit.cut()


def dead_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def refusing(sqlstate: str, message: str) -> Script:
    def script(visit: Visit) -> None:
        visit.packet()
        visit.send(ErrorResponse((("S", "FATAL"), ("V", "FATAL"), ("C", sqlstate), ("M", message))))

    return script
