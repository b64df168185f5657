"""From an accepted socket to a client who has proven who it is: encryption, startup packet, authentication.

The first bytes are read from the bare socket, eight at a time: an encryption request has exactly as many, so nothing
that stands behind one is ever taken for part of a later dialogue (it is refused, see CVE-2021-23214), and the socket
can be handed on as it is, with TLS or without. A client that speaks TLS at once is known by its first byte, which is
looked at and left where it is. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP

It does not know roles: who has proven a name may still be in none.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from proxy.errors import AuthorizationError, ProtocolError
from proxy.ops.log import get_logger
from proxy.tlsfiles import ServerTls, alerting
from proxy.wire.auth import AuthMethod, ClientAuth, Proven
from proxy.wire.buffer import MAX_UNAUTHENTICATED_FRAME, Frame, FrameBuffer
from proxy.wire.clientcert import CertNames
from proxy.wire.messages import decode_frontend
from proxy.wire.scram import Verifier
from proxy.wire.startup import (
    ACCEPT_TLS,
    REFUSE_ENCRYPTION,
    TLS_HANDSHAKE,
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupBuffer,
    StartupMessage,
    early_bytes,
    negotiate,
    repeated,
)
from proxy.wire.stream import Stream, tune
from proxy.wire.userlist import Userlist

_log = get_logger("handshake")

_SSL = SSLRequest().encode()
_REQUESTS: Mapping[bytes, type[SSLRequest | GSSENCRequest]] = {
    _SSL: SSLRequest,
    GSSENCRequest().encode(): GSSENCRequest,
}


class Lookup(Protocol):
    """Asks a database for the verifiers of users who are in no file."""

    @property
    def iterations(self) -> int | None:
        """Those of the verifiers that the database makes, once that is known."""

    def __call__(self, user: str, known: bool) -> Awaitable[str | None]:  # noqa: FBT001
        """The verifier, or None. `known`: the user is in the file, and only the time is taken."""


@dataclass(frozen=True, slots=True)
class Door:
    """How clients prove who they are. What is called is asked at each connection: files may be loaded again."""

    method: AuthMethod
    users: Callable[[], Userlist]
    tls: Callable[[], ServerTls | None] = lambda: None
    require_tls: bool = False
    """Clients over TCP come with TLS or not at all, those on this machine too. Unix sockets have no TLS."""
    require_cert: bool = False
    """With a certificate that `tls` has verified, whatever the method."""
    names: Callable[[], CertNames] = CertNames
    lookup: Lookup | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """What the connection itself says of the client. `certificate` (DER) has been verified."""

    tls: bool = False
    unix: bool = False
    end_point: bytes | None = None
    certificate: bytes | None = None

    def __repr__(self) -> str:
        return f"Peer(tls={self.tls}, unix={self.unix}, certificate={self.certificate is not None})"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A connection that is as encrypted as it is going to be."""

    stream: Stream
    peer: Peer
    refusal: ProtocolError | None = None
    """What the peer is to hear in place of everything else."""


class TlsError(ProtocolError):
    """The client's: no TLS came about (SQLSTATE 08P01). There is no link to tell it over."""


async def open_stream(sock: socket.socket, door: Door) -> Arrival | None:
    """Answers requests for encryption, as often as a client may ask (once for each kind). None: the peer has left.

    The socket is the stream's from here on; where this raises, it is closed. Raises TlsError.
    """
    try:
        tune(sock)
        unix = sock.family == socket.AF_UNIX
        tls = None if unix else door.tls()
        if tls is not None and await _peek(sock) == TLS_HANDSHAKE:
            return await _encrypted(sock, tls, direct=True)
        head, refusal = await _first_packet(sock, offered=tls is not None)
        if head == ACCEPT_TLS and tls is not None:
            return await _encrypted(sock, tls, direct=False)
        if not head:
            sock.close()
            return None
        _, stream = await asyncio.get_running_loop().connect_accepted_socket(Stream, sock)
    except OSError:
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    stream.unread(head)
    return Arrival(stream, Peer(unix=unix), refusal)


async def _first_packet(sock: socket.socket, *, offered: bool) -> tuple[bytes, ProtocolError | None]:
    """The first eight bytes that ask for no encryption, ACCEPT_TLS where it was asked for and is promised, or why a
    request is not answered."""
    loop = asyncio.get_running_loop()
    asked: set[bytes] = set()
    while (kind := _REQUESTS.get(head := await _read_exactly(sock, len(_SSL)))) is not None:
        if head in asked:
            return head, repeated(kind)
        if _has_more(sock):
            return head, early_bytes(kind)
        asked.add(head)
        answer = ACCEPT_TLS if offered and kind is SSLRequest else REFUSE_ENCRYPTION
        await loop.sock_sendall(sock, answer)
        if answer == ACCEPT_TLS:
            return answer, None
    return head, None


async def _encrypted(sock: socket.socket, tls: ServerTls, *, direct: bool) -> Arrival | None:
    """Raises TlsError where the handshake fails, or is not for PostgreSQL; OSError where the peer leaves meanwhile."""
    loop, stream = asyncio.get_running_loop(), Stream()
    try:
        with alerting(sock):
            # What uvloop gives beside the transport is a protocol of its own.
            transport, _ = await loop.connect_accepted_socket(lambda: stream, sock, ssl=tls.context)
    except ssl.SSLError as error:
        # Words of OpenSSL's own, such as "certificate has expired".
        reason = getattr(error, "verify_message", None) or error.reason or "unknown"
        _log.warning("a TLS handshake failed", reason=str(reason))
        raise TlsError("the TLS handshake failed", detail=str(reason)) from None
    link = transport.get_extra_info("ssl_object")
    if link is None:  # lost during the handshake
        stream.abort()
        return None
    if direct and link.selected_alpn_protocol() is None:  # PostgreSQL closes without a word, too
        stream.abort()
        raise TlsError("received direct SSL connection request without ALPN protocol negotiation extension")
    return Arrival(stream, Peer(tls=True, end_point=tls.end_point, certificate=link.getpeercert(binary_form=True)))


async def _peek(sock: socket.socket) -> int | None:
    """The first byte, which stays where it is. None: the peer has left."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return next(iter(sock.recv(1, socket.MSG_PEEK)), None)
        except BlockingIOError:
            pass
        readable = loop.create_future()
        loop.add_reader(sock, _settle, readable)
        try:
            await readable
        finally:
            loop.remove_reader(sock)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _has_more(sock: socket.socket) -> bool:
    """Whether the peer has sent on without waiting for an answer: then its request is not answered but refused."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


async def _read_exactly(sock: socket.socket, size: int) -> bytes:
    """`size` bytes; fewer only where the peer has sent its last."""
    data = b""
    while len(data) < size:
        part = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
        if not part:
            break
        data += part
    return data


async def read_startup(arrival: Arrival) -> StartupMessage | CancelRequest | None:
    """The startup packet, or None where the peer leaves first. What is asked for and not there is answered at once.

    Raises ProtocolError, AuthorizationError.
    """
    if arrival.refusal is not None:
        raise arrival.refusal
    stream = arrival.stream
    buffer = StartupBuffer(encrypted=arrival.peer.tls)
    while data := await stream.read():
        packet = buffer.feed(data)
        if packet is None:
            continue
        if isinstance(packet, SSLRequest | GSSENCRequest):  # the bare socket has seen those, and TLS takes none
            raise repeated(type(packet))
        if isinstance(packet, StartupMessage) and (negotiation := negotiate(packet)) is not None:
            stream.send(negotiation.encode())
        stream.unread(buffer.take_rest())
        return packet
    return None


async def authenticate(arrival: Arrival, startup: StartupMessage, door: Door) -> Proven | None:
    """Lets the client prove that it is `startup.user`. None: it has left.

    Raises AuthenticationError (28P01, 28000) or ProtocolError where it cannot, UpstreamUnavailableError where its
    verifier would have to come from a database that does not answer.
    """
    stream, peer = arrival.stream, arrival.peer
    _admit(stream, peer, door)
    if door.method is AuthMethod.CERT:
        _match(peer, startup.user, door.names())
    auth = ClientAuth(startup.user, door.method, await _find(startup.user, door), peer.end_point)
    step = auth.start()
    stream.send(step.send)
    frames = FrameBuffer(max_frame=MAX_UNAUTHENTICATED_FRAME)
    while not step.done:
        frame = await _next_frame(stream, frames)
        if frame is None:
            return None
        message = decode_frontend(frame)
        if door.method is AuthMethod.PASSWORD:  # thousands of hashes: not on the event loop
            step = await asyncio.to_thread(auth.receive, message)
        else:
            step = auth.receive(message)
        stream.send(step.send)
    stream.unread(frames.take_rest())
    return auth.proven


def _admit(stream: Stream, peer: Peer, door: Door) -> None:
    """What the connection has to be before anything is asked. Raises AuthorizationError (28000)."""
    if door.require_tls and not peer.tls and not peer.unix:
        raise AuthorizationError("the connection is not encrypted", hint="Connect with sslmode=require or above.")
    if door.method is AuthMethod.TRUST and not stream.is_local:
        raise AuthorizationError(
            "trust is for clients on this machine only", hint="Connect from the proxy's own machine, or use SCRAM."
        )
    if door.method is AuthMethod.PASSWORD and not (peer.tls or peer.unix):
        raise AuthorizationError(
            "a password in clear text is taken over TLS only", hint="Connect with sslmode=require or above."
        )
    if (door.require_cert or door.method is AuthMethod.CERT) and peer.certificate is None:
        raise AuthorizationError(
            "connection requires a valid client certificate", hint="Connect over TLS with sslcert and sslkey."
        )


def _match(peer: Peer, user: str, names: CertNames) -> None:
    if peer.certificate is None or not names.admits(peer.certificate, user):
        raise AuthorizationError(f'certificate authentication failed for user "{user}"')


async def _find(user: str, door: Door) -> tuple[Verifier, bool]:
    """The user's verifier, or one that is made up; from the file first. Both are asked for alike."""
    users = door.users()
    if door.lookup is None or door.method not in {AuthMethod.SCRAM, AuthMethod.PASSWORD}:
        return users.find(user)
    found = await door.lookup(user, user in users)
    return users.find(user, door.lookup.iterations) if found is None else (Verifier.parse(found), True)


async def _next_frame(stream: Stream, frames: FrameBuffer) -> Frame | None:
    while (frame := next(frames.frames(), None)) is None:
        data = await stream.read()
        if not data:
            return None
        frames.feed(data)
    return frame
