"""From an accepted socket to a client who has proven who it is: startup packet, negotiation, authentication.

The first bytes are read from the bare socket, eight at a time: an encryption request has exactly as many, so nothing
that stands behind one is ever taken for part of a later dialogue (it is refused, see CVE-2021-23214), and the socket
can be handed on as it is, with TLS or without. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP

It does not know roles: who has proven a name may still be in none.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

from proxy.errors import AuthorizationError, ProtocolError
from proxy.wire.auth import AuthMethod, ClientAuth
from proxy.wire.buffer import MAX_UNAUTHENTICATED_FRAME, Frame, FrameBuffer
from proxy.wire.messages import decode_frontend
from proxy.wire.startup import (
    REFUSE_ENCRYPTION,
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupBuffer,
    StartupMessage,
    negotiate,
)
from proxy.wire.stream import Stream, tune
from proxy.wire.userlist import Userlist

_REQUESTS = (SSLRequest().encode(), GSSENCRequest().encode())


@dataclass(frozen=True, slots=True)
class Door:
    """How clients prove who they are. `users` is asked at each login: the list may be loaded again."""

    method: AuthMethod
    users: Callable[[], Userlist]


async def open_stream(sock: socket.socket) -> Stream | None:
    """Says no to encryption as often as a client may ask (once for each kind). None: the peer has left.

    The socket is the stream's from here on; where this raises, it is closed.
    """
    try:
        tune(sock)
        head = await _read_exactly(sock, len(_REQUESTS[0]))
        unasked = set(_REQUESTS)
        while head in unasked and not _has_more(sock):
            unasked.discard(head)
            await asyncio.get_running_loop().sock_sendall(sock, REFUSE_ENCRYPTION)
            head = await _read_exactly(sock, len(_REQUESTS[0]))
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
    return stream


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


async def read_startup(stream: Stream) -> StartupMessage | CancelRequest | None:
    """The startup packet, or None where the peer leaves first. Raises ProtocolError, AuthorizationError."""
    buffer = StartupBuffer()
    while data := await stream.read():
        packet = buffer.feed(data)
        if isinstance(packet, SSLRequest | GSSENCRequest):
            raise ProtocolError(
                f"unexpected {type(packet).__name__}",
                detail="It was sent again, or with data behind it that did not wait for the answer.",
            )
        if packet is not None:
            stream.unread(buffer.take_rest())
            return packet
    return None


async def authenticate(stream: Stream, startup: StartupMessage, door: Door) -> bool:
    """Lets the client prove that it is `startup.user`. False: it has left.

    Raises AuthenticationError (28P01, 28000) or ProtocolError where it cannot.
    """
    if door.method is AuthMethod.TRUST and not stream.is_local:
        raise AuthorizationError(
            "trust is for clients on this machine only", hint="Connect from the proxy's own machine, or use SCRAM."
        )
    negotiation = negotiate(startup)
    auth = ClientAuth(startup.user, door.method, door.users())
    step = auth.start()
    stream.send((b"" if negotiation is None else negotiation.encode()) + step.send)
    frames = FrameBuffer(max_frame=MAX_UNAUTHENTICATED_FRAME)
    while not step.done:
        frame = await _next_frame(stream, frames)
        if frame is None:
            return False
        step = auth.receive(decode_frontend(frame))
        stream.send(step.send)
    stream.unread(frames.take_rest())
    return True


async def _next_frame(stream: Stream, frames: FrameBuffer) -> Frame | None:
    while (frame := next(frames.frames(), None)) is None:
        data = await stream.read()
        if not data:
            return None
        frames.feed(data)
    return frame
