"""One connection to the database, up to where the startup packet may be sent: TLS or not, and with whom.

The TLS part is done on the bare socket, byte by byte, and the socket is then handed over with the context (uvloop's
start_tls loses what was buffered). Whatever stands behind the server's one-byte answer was not encrypted and is not
taken for what is (CVE-2021-23222); an error in place of that answer is nobody's words, so it is not shown
(CVE-2024-10977). The server's name is checked before anything is sent to it.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from enum import Enum, auto

from proxy.errors import UpstreamError, UpstreamUnavailableError
from proxy.route import Route, connect
from proxy.settings.libpq import LinkParameters, TlsWish
from proxy.tlscontext import ALPN, client_context
from proxy.wire.certificate import Certificate
from proxy.wire.startup import ACCEPT_TLS, REFUSE_ENCRYPTION, SSLRequest
from proxy.wire.stream import Stream

_ERROR = b"E"


class Way(Enum):
    """How to encrypt a connection."""

    PLAIN = auto()
    TLS = auto()
    TLS_IF_OFFERED = auto()
    """Plain on the same connection where the server says no."""


def ways(wish: TlsWish, route: Route) -> tuple[Way, ...]:
    """Those that the sslmode lets, the one to begin with first. No TLS on a Unix socket, as in libpq."""
    if route.is_local_socket or wish.mode == "disable":
        return (Way.PLAIN,)
    if wish.mode == "allow":
        return (Way.PLAIN, Way.TLS)
    if wish.mode == "prefer":
        return (Way.TLS_IF_OFFERED, Way.PLAIN)
    return (Way.TLS,)


class TlsError(UpstreamUnavailableError):
    """The upstream's: no TLS with it, or none with the right server (SQLSTATE 08001)."""


class NoTlsError(UpstreamUnavailableError):
    """The upstream's: it has no TLS (SQLSTATE 08001)."""


@dataclass(frozen=True, slots=True)
class Link:
    """A connection to which nothing has been sent yet. `encrypted`: to a server that was checked as the DSN asks."""

    stream: Stream
    encrypted: bool = False
    end_point: bytes | None = None


async def dial(route: Route, link: LinkParameters, way: Way) -> Link:
    """Connects. Raises UpstreamUnavailableError where nobody answers, NoTlsError, TlsError, and UpstreamError for what
    breaks the protocol."""
    context = None if way is Way.PLAIN else await asyncio.to_thread(client_context, link.tls)
    sock = await connect(route, link.keepalive)
    try:
        if context is None or not await _agree(sock, link.tls, way):
            return Link(await _plain(sock, route))
        return await _encrypted(sock, context, route, link)
    except OSError:
        sock.close()
        raise UpstreamUnavailableError(
            "the database closed the connection", hint="It may be going down; try again."
        ) from None
    except BaseException:
        sock.close()
        raise


async def _agree(sock: socket.socket, wish: TlsWish, way: Way) -> bool:
    """Whether both sides go on with TLS."""
    if wish.direct:
        return True
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, SSLRequest().encode())
    answer = await loop.sock_recv(sock, 1)
    if answer == ACCEPT_TLS:
        if _has_more(sock):
            raise UpstreamError(
                "the database sent unencrypted data after it had agreed to TLS",
                hint="Something on the way to it may be changing what is sent.",
            )
        return True
    if answer == REFUSE_ENCRYPTION:
        if way is Way.TLS:
            raise NoTlsError(
                "the database does not have TLS, and sslmode asks for it",
                hint="Turn ssl on in postgresql.conf, or use another sslmode in upstream.dsn.",
            )
        return False
    if answer == _ERROR:
        raise UpstreamUnavailableError(
            "the database answered the request for TLS with an error", hint="The server's log says which."
        )
    if not answer:
        raise UpstreamUnavailableError(
            "the database closed the connection at the request for TLS", hint="It may be going down; try again."
        )
    raise UpstreamError("the database broke the protocol: no answer of PostgreSQL to the request for TLS")


def _has_more(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


async def _plain(sock: socket.socket, route: Route) -> Stream:
    loop = asyncio.get_running_loop()
    if route.is_local_socket:
        _, stream = await loop.create_unix_connection(Stream, sock=sock)
    else:
        _, stream = await loop.create_connection(Stream, sock=sock)
    return stream


async def _encrypted(sock: socket.socket, context: ssl.SSLContext, route: Route, link: LinkParameters) -> Link:
    name = _sni(route.host.host) if link.tls.sni else ""
    try:
        transport, stream = await asyncio.get_running_loop().create_connection(
            Stream, sock=sock, ssl=context, server_hostname=name
        )
    except ssl.SSLCertVerificationError as error:
        raise TlsError(
            f"the database's certificate was not accepted: {error.verify_message}",
            hint="Look at sslrootcert in upstream.dsn, and at the server's certificate.",
        ) from None
    except OSError:  # SSLError is one, and so is a server that closes
        raise TlsError(
            "the TLS handshake with the database failed",
            hint="Its TLS versions, or what it asks of a client's certificate, may not fit upstream.dsn.",
        ) from None
    try:
        return Link(stream, encrypted=True, end_point=await _checked(transport, route, link))
    except BaseException:
        stream.abort()
        raise


async def _checked(transport: asyncio.BaseTransport, route: Route, link: LinkParameters) -> bytes | None:
    """The channel binding of a server that is who it has to be. Raises TlsError."""
    session = transport.get_extra_info("ssl_object")
    protocol = session.selected_alpn_protocol()
    if protocol != ALPN and (protocol is not None or link.tls.direct):
        raise TlsError(
            "the server agreed to TLS for another protocol than PostgreSQL's",
            hint="sslnegotiation=direct needs PostgreSQL 17 or newer.",
        )
    wanted = link.tls.mode == "verify-full"
    if not wanted and link.channel_binding == "disable":
        return None
    try:
        found = await asyncio.to_thread(Certificate.decode, session.getpeercert(binary_form=True))
    except ValueError:
        if not wanted and link.channel_binding != "require":
            return None
        raise TlsError("the database's certificate cannot be read") from None
    if wanted and not found.is_for(route.host.host):
        raise TlsError(
            "the database's certificate is not for the host that upstream.dsn names",
            hint="Name the host as the certificate does, or give the server one for this name.",
        )
    return found.end_point


def _sni(host: str) -> str:
    """The name for the server to choose its certificate by; "" for none. Addresses are none (RFC 6066, section 3)."""
    try:
        host.encode("idna")
    except UnicodeError:
        return ""
    return "" if ":" in host or host.replace(".", "").isdigit() else host
