"""The TLS context towards clients, from the files of the settings. One for all connections; a reload makes another.

What it takes is what PostgreSQL's ssl settings take: TLS 1.2 at least, PEM files, a certificate of the client that is
asked for where there is an authority for it and verified where it is given.
https://www.postgresql.org/docs/current/ssl-tcp.html

A connection keeps the context that it began with, and with it the hash that SCRAM binds to: the files may change.

Whoever is refused in the handshake hears why: TLS has alerts for that, and neither uvloop nor asyncio sends them.

It does not know sockets, nor whose certificate a client's is: `wire.clientcert` does.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.errors import ConfigError
from proxy.tlscontext import KEY_MODE, open_to_others
from proxy.wire.scram import server_end_point

ALPN = "postgresql"
"""https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL"""


_NO_ALERT = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLSyscallError)
_peer: ContextVar[socket.socket | None] = ContextVar("peer", default=None)


@contextmanager
def alerting(sock: socket.socket) -> Iterator[None]:
    """Within it, a handshake with one of our contexts that fails sends its alert to this socket."""
    token = _peer.set(sock)
    try:
        yield
    finally:
        _peer.reset(token)


class _Handshake(ssl.SSLObject):
    """`outgoing` is where OpenSSL has left the alert; the event loop drops what is in there when it is told of it."""

    outgoing: ssl.MemoryBIO | None = None
    peer: socket.socket | None = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except _NO_ALERT:
            raise
        except ssl.SSLError:
            if self.peer is not None and self.outgoing is not None:
                with suppress(OSError):  # the peer has left, or reads nothing
                    self.peer.send(self.outgoing.read())
            raise
        if self.outgoing is not None:
            del self.outgoing, self.peer


class _Context(ssl.SSLContext):
    """Its connections are told apart by the task that makes them."""

    sslobject_class = _Handshake

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, *args, **options)
        if isinstance(made, _Handshake):
            made.outgoing, made.peer = outgoing, _peer.get()
        return made


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What connections that begin now are encrypted with."""

    context: ssl.SSLContext
    end_point: bytes | None
    """What SCRAM-SHA-256-PLUS binds to; None where the certificate defines none."""

    def __repr__(self) -> str:
        return f"ServerTls(binding={self.end_point is not None})"


def load_server_tls(cert: Path, key: Path, client_ca: Path | None) -> ServerTls:
    """Raises ConfigError, which names a file and never what is in it."""
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    # PostgreSQL resumes no session: each connection shows its certificate anew. Of TLS 1.2, tickets stay: without them
    # OpenSSL would keep the sessions itself, 20,000 of them.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_RENEGOTIATION
    end_point = _end_point(cert)
    _check_mode(key)
    try:
        # No password: a key that has one would be asked for on the terminal.
        context.load_cert_chain(cert, key, password=b"")
    except (OSError, ValueError) as error:
        raise _unusable(f"tls.cert {cert} and tls.key {key}", error) from None
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ValueError) as error:
            raise _unusable(f"tls.client_ca {client_ca}", error) from None
        context.verify_mode = ssl.CERT_OPTIONAL
    return ServerTls(context, end_point)


def _end_point(cert: Path) -> bytes | None:
    """Of the first certificate in the file: the server's own."""
    # 11 MB, which those without TLS do without.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        first = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    except (OSError, ValueError) as error:
        raise _unusable(f"tls.cert {cert}", error) from None
    return server_end_point(first.public_bytes(Encoding.DER))


def _check_mode(key: Path) -> None:
    """As PostgreSQL does for ssl_key_file."""
    try:
        found = key.stat()
    except OSError as error:
        raise _unusable(f"tls.key {key}", error) from None
    if open_to_others(found):
        raise ConfigError(f"tls.key {key} may be read by others than its owner", hint=KEY_MODE)


def _unusable(what: str, error: Exception) -> ConfigError:
    """OpenSSL's word for it is a constant's name; Python's own texts are not shown."""
    reason = (getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None) or ""
    if not reason:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not PEM"
    return ConfigError(
        f"{what} cannot be used: {reason}",
        hint="They have to be PEM, the key without a password and that of the first certificate.",
    )
