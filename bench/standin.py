"""A server that costs next to nothing, for figures of what a proxy can do where the server is not the limit.

It stands before PostgreSQL and hands everything on, but for statements that begin in one way: the first of a
connection is PostgreSQL's to answer, and that answer, byte for byte, is what each later one gets, at once. Server and
proxy share their cores in a benchmark, and nowhere else: what is left of the server's part here is a read and a write.

`python -m bench.standin PORT BEGINNING` prints the port that it listens on. It knows no message but Query.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

_QUERY = ord("Q")
_HEADER = 5
_READY = b"Z\0\0\0\5I"


class _Client(asyncio.Protocol):
    """A connection of the proxy's, and the one to PostgreSQL that belongs to it."""

    def __init__(self, port: int, beginning: bytes) -> None:
        self._port = port
        self._beginning = beginning
        self._transport: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._held = b""
        self._recording: bytearray | None = None
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: _Server(self), "127.0.0.1", self._port)
        self._server = transport
        held, self._held = self._held, b""
        if held:
            self.data_received(held)

    def data_received(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        if self._server is None or self._goes_on(data):
            self._held = data
        elif data[0] != _QUERY or not data.startswith(self._beginning, _HEADER):
            self._server.write(data)
        elif self._answer and self._transport is not None:
            self._transport.write(self._answer)
        else:
            self._recording = bytearray()
            self._server.write(data)

    @staticmethod
    def _goes_on(data: bytes) -> bool:
        """Whether it is a part of a Query, the rest of which is still to come."""
        return data[0] == _QUERY and (len(data) < _HEADER or len(data) <= int.from_bytes(data[1:_HEADER], "big"))

    def answered(self, data: bytes) -> None:
        """PostgreSQL says this."""
        if self._recording is not None:
            self._recording += data
            if self._recording.endswith(_READY):
                self._answer, self._recording = bytes(self._recording), None
        if self._transport is not None:
            self._transport.write(data)

    def connection_lost(self, _error: Exception | None) -> None:
        if self._server is not None:
            self._server.close()

    def close(self) -> None:
        """PostgreSQL has closed."""
        if self._transport is not None:
            self._transport.close()


class _Server(asyncio.Protocol):
    """A connection to PostgreSQL."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.answered(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._client.close()


async def listening(port: int, beginning: bytes) -> asyncio.Server:
    """Accepts the proxy's connections, on a port of its own. `port` is PostgreSQL's."""
    return await asyncio.get_running_loop().create_server(lambda: _Client(port, beginning), "127.0.0.1", 0)


async def serve(port: int, beginning: bytes) -> None:
    """Until it is ended."""
    server = await listening(port, beginning)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2].encode()))
