"""One connection's bytes: an asyncio.Protocol that hands chunks on as they come, with flow control both ways.

A connection begins as a dialogue (startup, authentication), where a coroutine asks for the next chunk with `read`.
It then goes over to a `Receiver`, which is called once per chunk: no task switch, no await per message.

The only module of this package that knows asyncio. It does not know messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
from typing import Final, Protocol, cast

HIGH_WATER: Final = 256 * 1024
"""Bytes that may wait for a slow peer before whoever feeds this side is paused..."""
LOW_WATER: Final = 64 * 1024
"""...and at which it goes on."""
MAX_UNREAD: Final = 64 * 1024
"""Bytes that may wait for `read` before the peer is paused."""


class Receiver(Protocol):
    """What a connection's bytes go to once the dialogue is over."""

    def received(self, data: bytes) -> None:
        """A chunk, of any size above 0."""

    def lost(self) -> None:
        """The connection is gone. Called once, last."""

    def clogged(self) -> None:
        """The peer is slow: send no more than must be..."""

    def cleared(self) -> None:
        """...and it caught up."""


class Stream(asyncio.Protocol):
    """A connection. `send` never blocks; what cannot be sent yet waits, and the receiver is told."""

    __slots__ = ("_closing", "_gone", "_over", "_paused", "_receiver", "_transport", "_unread", "_waiter")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._unread: bytearray | bytes = bytearray()
        """Of the dialogue. Thousands of connections idle after it, so nothing of it is kept."""
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._closing = self._over = False
        self._gone: asyncio.Future[None] | None = None
        """For those who wait for the end, once there are any."""

    def __repr__(self) -> str:
        return f"Stream(over={self._over}, paused={self._paused}, unread={len(self._unread)})"

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none of asyncio's classes
        self._transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._receiver is not None:
            self._receiver.received(data)
            return
        self._unread += data
        if len(self._unread) >= MAX_UNREAD:
            self.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """A peer that stops sending has left, as PostgreSQL sees it too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._receiver is not None and not self._closing:
            self._read_last_words()
        self._over = True
        self._wake()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        if self._receiver is not None:
            self._receiver.lost()

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.clogged()

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.cleared()

    def _read_last_words(self) -> None:
        """A peer that ends the connection while we write to it has said why, and the write that fails hides that: what
        it sent is still in the socket. Under TLS that is of no use."""
        transport = self._transport
        if transport is None or transport.get_extra_info("sslcontext") is not None:
            return
        with contextlib.suppress(OSError):  # there is no more
            while data := os.read(transport.get_extra_info("socket").fileno(), HIGH_WATER):
                self.data_received(data)

    # The dialogue

    async def read(self) -> bytes:
        """Everything that has come, at least one byte; b"" once the peer is gone. For one caller at a time."""
        while not self._unread and not self._over:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = bytes(self._unread)
        self._unread = bytearray()
        self.resume_reading()
        return data

    def unread(self, data: bytes) -> None:
        """Puts bytes back in front of those that `read` or the receiver will get."""
        self._unread = bytearray(data) + self._unread

    def attach(self, receiver: Receiver) -> None:
        """Ends the dialogue: from here on `receiver` is called, first with what nobody has read."""
        self._receiver, self._waiter = receiver, None
        data, self._unread = bytes(self._unread), b""
        if data:
            receiver.received(data)
        self.resume_reading()
        if self._over:
            receiver.lost()

    # Both

    @property
    def is_local(self) -> bool:
        """Whether the peer is on this machine."""
        if self._transport is None:
            return False
        sock, peer = self._transport.get_extra_info("socket"), self._transport.get_extra_info("peername")
        return sock is not None and (sock.family == socket.AF_UNIX or _is_loopback(peer))

    @property
    def over(self) -> bool:
        return self._over

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._over and not self._closing:
            self._transport.write(data)

    def pause_reading(self) -> None:
        if self._transport is not None and not self._paused and not self._over:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and self._paused and not self._over:
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Sends what waits, then nothing more; the connection ends when the peer has closed too, or with `abort`.

        What the peer still sends is read and thrown away: a socket that is closed with unread bytes resets the
        connection, and the peer would lose our last words.
        """
        if self._transport is None or self._over or self._closing:
            return
        self._closing = True
        self.resume_reading()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            try:
                self._transport.write_eof()
            except OSError:  # the peer has reset the connection, and the loop does not know yet
                self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Closes at once; what waits is lost."""
        if self._transport is not None and not self._over:
            self._transport.abort()

    async def wait_closed(self) -> None:
        if self._over:
            return
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._gone)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _is_loopback(peer: object) -> bool:
    """Of a peer's name as the socket module has it: (address, port, ...). IPv4 inside IPv6 counts too."""
    if not isinstance(peer, tuple) or not peer:
        return False
    try:
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def tune(sock: socket.socket) -> None:
    """Answers leave at once, and a peer that vanished without a word is noticed."""
    sock.settimeout(0)
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
