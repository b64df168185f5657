"""What the supervisor and its children say to each other, and how it is framed: a length, then a pickled message.

Pickle because both ends are this program, forked from one process, over a socket that nobody else has; what is in a
`Learned` is opened by nobody but a worker. A frame has a cap, and what is no message ends the channel.

The supervisor's end is `Line`, without an event loop; a child's is `Link`, an asyncio protocol.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, cast

from proxy.errors import InternalError
from proxy.ops.health import Health
from proxy.ops.totals import Snapshot

MAX_FRAME = 64 * 1024 * 1024
MAX_WAITING = 4 * 1024 * 1024
"""Bytes that may wait for a child that does not read; more is not sent."""
_HEAD = 4
_CHUNK = 65536

Subject = Literal["pulse", "checks", "metrics"]
Answer = Mapping[str, Health] | Snapshot | None


@dataclass(frozen=True, slots=True)
class Up:
    """A worker accepts clients."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A child cannot serve, and ends. `config`: settings or policies are why, so another one could not either."""

    message: str
    detail: str | None
    hint: str | None
    config: bool


@dataclass(frozen=True, slots=True)
class Learned:
    """The policies that a worker has in force now; for whoever replaces one."""

    policies: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cancel:
    """A CancelRequest for a session of another worker; `ticket` comes back in `Cancelled`."""

    ticket: int
    process_id: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What was to be done about it is done. Nobody learns whether there was such a session."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Look:
    """Asked of a worker: its state. Asked by the desk: everybody's."""

    ticket: int
    subject: Subject


@dataclass(frozen=True, slots=True)
class Found:
    """A worker's answer. Ticket 0 was not asked for."""

    ticket: int
    subject: Subject
    answer: Answer


@dataclass(frozen=True, slots=True)
class Report:
    """For the desk: each worker's answer by its number, None where it gave none in time.

    `past` is what remains of the metrics of workers that have ended.
    """

    ticket: int
    answers: Mapping[int, Answer]
    past: Snapshot
    workers: int


@dataclass(frozen=True, slots=True)
class Reload:
    """The operator sent SIGHUP."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Drain; said again, do not wait."""


Message = Up | Failed | Learned | Cancel | Cancelled | Look | Found | Report | Reload | Stop
_KINDS = (Up, Failed, Learned, Cancel, Cancelled, Look, Found, Report, Reload, Stop)


def encode(message: Message) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(_HEAD, "big") + body


class Inbox:
    """Cuts messages out of what has been received. Raises InternalError for what is none."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        self._buffer += data
        found = []
        while len(self._buffer) >= _HEAD:
            length = int.from_bytes(self._buffer[:_HEAD], "big")
            if length > MAX_FRAME:
                raise InternalError("a message between processes is too long")
            if len(self._buffer) < _HEAD + length:
                break
            found.append(_decode(bytes(self._buffer[_HEAD : _HEAD + length])))
            del self._buffer[: _HEAD + length]
        return found


def _decode(body: bytes) -> Message:
    message = pickle.loads(body)  # noqa: S301 - both ends are this program
    if not isinstance(message, _KINDS):
        raise InternalError("a message between processes is of no known kind")
    return message


class Line:
    """The supervisor's end. Never blocks; raises nothing but InternalError for what is no message."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self.sock = sock
        self.ended = False
        self._inbox = Inbox()
        self._waiting = bytearray()

    def __repr__(self) -> str:
        return f"Line(ended={self.ended}, waiting={len(self._waiting)})"

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def send(self, message: Message) -> bool:
        """False where it is not sent: the child has ended, or has not read for too long."""
        if self.ended or len(self._waiting) > MAX_WAITING:
            return False
        self._waiting += encode(message)
        self.flush()
        return True

    def flush(self) -> None:
        """Sends what waits, as far as it goes now."""
        try:
            while self._waiting:
                del self._waiting[: self.sock.send(self._waiting)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # the child has ended: what it said last may still be there to be read
            self._waiting.clear()

    def receive(self) -> list[Message]:
        """Everything that is there; `ended` afterwards if that was all there will be."""
        found = []
        with suppress(BlockingIOError, InterruptedError):
            while not self.ended:
                try:
                    data = self.sock.recv(_CHUNK)
                except ConnectionError:
                    data = b""
                self.ended = not data
                found += self._inbox.feed(data)
        return found

    def close(self) -> None:
        self.ended = True
        self.sock.close()


class Link(asyncio.Protocol):
    """A child's end. `heard` is called with each message, `lost` once: when the supervisor has ended."""

    def __init__(self, heard: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._inbox = Inbox()
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing = False

    @classmethod
    async def open(cls, sock: socket.socket, heard: Callable[[Message], None], lost: Callable[[], None]) -> Link:
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: cls(heard, lost), sock=sock)
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type

    def data_received(self, data: bytes) -> None:
        for message in self._inbox.feed(data):
            self._heard(message)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)
        if not self._closing:
            self._lost()

    def send(self, message: Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    async def close(self) -> None:
        """Once everything has been sent."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()
            await self._closed
