"""A relay that keeps what a server says to its clients, so that two servers can be compared byte by byte.

A client connects to the relay's port instead of the server's. `Recorder.said()` is what each of its connections was
sent, as messages, with the few bytes replaced that no two runs have in common: of the secret in BackendKeyData the
length is told, and a process number, there and in a NotificationResponse, is told as which of the recorded connections
has it. Nothing else is touched; times, process numbers and object numbers in rows are for the client's program to keep
out.

It knows only unencrypted connections. Messages are those of the PostgreSQL manual, chapter "Message Formats".
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from client_kinds import Place

CHUNK = 65536
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
_KEY, _NOTIFICATION = b"K", b"A"


@dataclass
class Recorded:
    """One connection, both ways, as it went over the wire."""

    asked: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)

    @property
    def is_cancel(self) -> bool:
        return any(code == CANCEL_REQUEST for code in self._requests())

    @property
    def process(self) -> int | None:
        """The process number that the client was given."""
        return next((_number(body) for tag, body in self._cut() if tag == _KEY), None)

    def messages(self, processes: Mapping[int, int]) -> list[str]:
        """What the server sent, a line a message. `processes` says which connection a process number belongs to."""
        plain = bytes(self.answered[: self._unframed])
        return [f"encryption {plain!r}", *(_line(tag, body, processes) for tag, body in self._cut())]

    @property
    def _unframed(self) -> int:
        """Each request for encryption is answered by one byte that is no message."""
        return sum(code in (SSL_REQUEST, GSS_REQUEST) for code in self._requests())

    def _cut(self) -> Iterator[tuple[bytes, bytes]]:
        return _cut(bytes(self.answered[self._unframed :]))

    def _requests(self) -> Iterator[int]:
        """The codes of the packets without a tag that the client began with."""
        at = 0
        while len(self.asked) >= at + 8:
            length, code = struct.unpack_from("!ii", self.asked, at)
            yield code
            if code not in (SSL_REQUEST, GSS_REQUEST):
                return
            at += length


def _cut(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        if len(data) < at + 5:
            yield b"?", data[at:]
            return
        (length,) = struct.unpack_from("!i", data, at + 1)
        yield data[at : at + 1], data[at + 5 : at + 1 + length]
        at += 1 + length


def _line(tag: bytes, body: bytes, processes: Mapping[int, int]) -> str:
    if tag == _KEY:
        return f"K connection {processes.get(_number(body))}, a secret of {len(body) - 4} bytes"
    if tag == _NOTIFICATION:
        return f"A connection {processes.get(_number(body))} {body[4:]!r}"
    return f"{tag.decode('latin-1')} {body!r}"


def _number(body: bytes) -> int:
    return int.from_bytes(body[:4], "big")


class Recorder:
    """Listens on a free port of the loopback interface and passes everything on to `target`."""

    def __init__(self, target: Place) -> None:
        self._target = target
        self._connections: list[Recorded] = []
        self._closing = ExitStack()
        self._listener = self._closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._threads: list[threading.Thread] = []

    @property
    def place(self) -> Place:
        """Where a client connects to be recorded."""
        return Place("127.0.0.1", self._listener.getsockname()[1], self._target.user, self._target.database)

    def said(self) -> list[list[str]]:
        """What each connection was sent, in the order that they were made; without cancel requests, which get nothing.

        To be read after the block, when every connection has ended.
        """
        connections = [connection for connection in self._connections if not connection.is_cancel]
        processes = {c.process: place for place, c in enumerate(connections) if c.process is not None}
        return [connection.messages(processes) for connection in connections]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        while self._threads:  # one of them may start others before it ends
            self._threads.pop().join()
        self._closing.close()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._closing.enter_context(client)
            try:
                server = self._closing.enter_context(self._dial())
            except OSError:  # the client is told as the server would tell it
                client.close()
                continue
            recorded = Recorded()
            self._connections.append(recorded)
            self._start(_pass, client, server, recorded.asked)
            self._start(_pass, server, client, recorded.answered)

    def _dial(self) -> socket.socket:
        if self._target.host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self._target.host}/.s.PGSQL.{self._target.port}")
            return server
        server = socket.create_connection((self._target.host, self._target.port))
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server


def _pass(source: socket.socket, sink: socket.socket, record: bytearray) -> None:
    """Until `source` ends; then `sink` is told so, and the other direction goes on."""
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            record += chunk
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
