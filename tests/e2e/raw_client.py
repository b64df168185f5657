"""A client that keeps every byte that it is sent: for what drivers would hide, drop or tidy up."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

PROTOCOL_3_0 = 196608
READY, COPY_IN, ERROR, DATA_ROW, COPY_DATA, NOTICE, PARAMETER = b"Z", b"G", b"E", b"D", b"d", b"N", b"S"


@dataclass
class Reply:
    """Everything between a request and ReadyForQuery."""

    messages: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        return b"".join(tag + struct.pack("!i", len(body) + 4) + body for tag, body in self.messages)

    @property
    def data(self) -> list[bytes]:
        """Bodies of DataRow and CopyData, in order."""
        return [body for tag, body in self.messages if tag in (DATA_ROW, COPY_DATA)]

    @property
    def error(self) -> dict[str, str]:
        """The fields of the first ErrorResponse, or nothing."""
        return next((fields(body) for tag, body in self.messages if tag == ERROR), {})

    @property
    def status(self) -> bytes:
        """The transaction status of ReadyForQuery: I, T or E."""
        return self.messages[-1][1]


def fields(body: bytes) -> dict[str, str]:
    parts = (part for part in body.split(b"\0") if part)
    return {chr(part[0]): part[1:].decode() for part in parts}


class RawClient:
    """A session over TCP or, where `host` is a directory, a unix socket; no password."""

    def __init__(self, host: str, port: int, user: str, database: str, **parameters: str) -> None:
        if host.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(str(Path(host) / f".s.PGSQL.{port}"))
        else:
            self.socket = socket.create_connection((host, port))
            # Parse, Bind and the rest are sent one by one: each would wait for the one before to be acknowledged.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(60)
        self._buffer = b""
        pairs = {"user": user, "database": database, **parameters}
        body = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in pairs.items()) + b"\0"
        self.socket.sendall(struct.pack("!ii", len(body) + 8, PROTOCOL_3_0) + body)
        self.greeting = self.reply()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def simple(self, sql: str) -> Reply:
        """A simple query; a COPY that wants data is failed."""
        self.send(b"Q", sql.encode() + b"\0")
        return self.reply()

    def extended(self, sql: str, *, binary: bool = False, describe: bool = True) -> Reply:
        """Parse, Bind, (Describe,) Execute, Sync of the unnamed statement."""
        self.send(b"P", b"\0" + sql.encode() + b"\0" + struct.pack("!h", 0))
        self.send(b"B", b"\0\0" + struct.pack("!hhhh", 0, 0, 1, int(binary)))
        if describe:
            self.send(b"D", b"P\0")
        self.send(b"E", b"\0" + struct.pack("!i", 0))
        self.send(b"S", b"")
        return self.reply()

    def send(self, tag: bytes, body: bytes) -> None:
        self.socket.sendall(tag + struct.pack("!i", len(body) + 4) + body)

    def reply(self) -> Reply:
        """Reads up to ReadyForQuery, or to the end of the connection after an error."""
        found = Reply()
        for tag, body in self.messages():
            found.messages.append((tag, body))
            if tag == COPY_IN:
                self.send(b"f", b"no data\0")
            if tag == READY:
                break
        return found

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Messages as they come, until the connection ends."""
        while True:
            header = self._read(5)
            if header is None:
                return
            body = self._read(struct.unpack("!i", header[1:])[0] - 4)
            if body is None:
                return
            yield header[:1], body

    def _read(self, size: int) -> bytes | None:
        while len(self._buffer) < size:
            chunk = self.socket.recv(65536)
            if not chunk:
                return None
            self._buffer += chunk
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found
