"""asyncpg over a connection of ours: what the proxy itself asks the database goes the way that sessions go.

asyncpg has its own idea of hosts, TLS and logins, and not all of ours (channel binding, keepalives, where each address
of a name counts). What it reads must come from the very server that sessions talk to, proven the same way: whoever
could pose as it would choose the catalogue. So asyncpg gets an event loop whose `create_unix_connection` gives it a
connection that `open_upstream` has made and logged in: its startup packet is answered here, with what the server said.
An asyncpg that connects in another way finds nothing at the address that it is given, and is refused by name.

It does not know what is asked.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import asyncpg

from proxy.errors import InternalError
from proxy.settings import UpstreamDsn
from proxy.upstream import Upstream, UpstreamRefusedError, open_upstream
from proxy.wire.messages import AuthenticationOk, BackendKeyData, ReadyForQuery
from proxy.wire.startup import CancelRequest, StartupMessage, decode_startup

_NOWHERE = "/pgveil"
"""A directory of Unix sockets to asyncpg, which never sees one there."""
_UNUSED = "pgveil"
"""For a password: asyncpg looks for one elsewhere where it is given none."""
_CONNECT: Any = asyncpg.connect
"""Its options come as a dictionary."""


async def connect(dsn: UpstreamDsn | str, **options: Any) -> asyncpg.Connection:
    """A connection by the DSN. `options` are asyncpg's, less those about where and how to connect.

    Raises UpstreamError, or asyncpg's own for what the server says.
    """
    return await _Connector(UpstreamDsn.parse(dsn))(**options)


async def create_pool(dsn: UpstreamDsn | str, **options: Any) -> asyncpg.Pool:
    """The same for a pool. It connects when it is used, unless `min_size` says otherwise."""
    return await asyncpg.create_pool(connect=_Connector(UpstreamDsn.parse(dsn)), **options)


class _Connector:
    """Makes asyncpg's connections; for one event loop."""

    def __init__(self, dsn: UpstreamDsn) -> None:
        self._dsn = dsn
        self._loop = _Loop(asyncio.get_running_loop(), dsn)

    async def __call__(self, *_dsn: object, **options: Any) -> asyncpg.Connection:
        own = {"loop": self._loop, "host": _NOWHERE, "port": 5432, "passfile": _NOWHERE, "ssl": False}
        login = {"user": self._dsn.user, "password": _UNUSED, "database": self._dsn.database}
        asked = self._loop.asked
        try:
            opened: asyncpg.Connection = await _CONNECT(None, **{**options, **own, **login}, target_session_attrs="any")
        except (OSError, TypeError, AttributeError, asyncpg.InternalClientError) as error:
            if self._loop.asked == asked:
                raise _other_driver() from error
            raise
        if self._loop.asked == asked:
            opened.terminate()
            raise _other_driver()
        return opened


def _other_driver() -> InternalError:
    return InternalError(
        f"asyncpg {asyncpg.__version__} does not connect through the event loop that it is given",
        hint="Install the version of asyncpg that pgveil was tested with; pgveil's package says which.",
    )


class _Loop:
    """The running event loop, but for where its Unix sockets lead. Equal to it: asyncio finds tasks by their loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dsn: UpstreamDsn) -> None:
        self._real = loop
        self._dsn = dsn
        self._open: dict[tuple[int, bytes], Upstream] = {}
        """By the cancel keys that asyncpg was told: it has no room for long ones."""
        self.asked = 0
        """How many connections were wanted of this loop."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._real

    def __hash__(self) -> int:
        return hash(self._real)

    async def create_unix_connection(
        self, factory: Callable[[], asyncio.Protocol], _path: str
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """A connection, or one that takes a CancelRequest: which, its first packet says."""
        self.asked += 1
        protocol = factory()
        transport = _Transport(protocol, self._cancel)
        protocol.connection_made(transport)
        startup = transport.take_startup()
        if startup is not None:
            await self._log_in(transport, protocol, startup)
        return transport, protocol

    async def _log_in(self, transport: _Transport, protocol: asyncio.Protocol, startup: StartupMessage) -> None:
        try:
            upstream = await open_upstream(self._dsn, {**self._dsn.options, **_plain(startup.parameters)})
        except UpstreamRefusedError as error:  # asyncpg makes an error of its own of it
            protocol.data_received(error.response.encode())
            protocol.connection_lost(None)
            return
        key = (secrets.randbelow(2**31 - 1) + 1, secrets.token_bytes(4))
        self._open[key] = upstream
        transport.carry(upstream, lambda: self._open.pop(key, None))
        answers = (AuthenticationOk(), *upstream.parameters, BackendKeyData(*key), ReadyForQuery("I"))
        protocol.data_received(b"".join(message.encode() for message in answers))

    async def _cancel(self, request: CancelRequest) -> None:
        upstream = self._open.get((request.process_id, request.secret_key))
        if upstream is not None:
            await upstream.cancel()


def _plain(parameters: Mapping[str, str]) -> dict[str, str]:
    """asyncpg quotes client_encoding, as nobody has to."""
    return {name: value.strip("'") if name == "client_encoding" else value for name, value in parameters.items()}


class _Transport(asyncio.Transport):
    """asyncpg's end: its first packet is kept here, the rest goes to the connection."""

    def __init__(self, protocol: asyncio.Protocol, cancel: Callable[[CancelRequest], Any]) -> None:
        super().__init__()
        self._protocol = protocol
        self._cancel = cancel
        self._upstream: Upstream | None = None
        self._forget: Callable[[], object] = lambda: None
        self._first = b""
        self._task: asyncio.Task[None] | None = None
        self._closing = self._over = False

    def take_startup(self) -> StartupMessage | None:
        """The startup packet, if that is what came. Raises InternalError for what asyncpg would never send."""
        if not self._first:
            return None
        packet = decode_startup(self._first)
        if not isinstance(packet, StartupMessage):
            raise InternalError("the driver began with something else than a startup packet")
        return packet

    def carry(self, upstream: Upstream, forget: Callable[[], object]) -> None:
        """From here on, bytes pass."""
        self._upstream, self._forget = upstream, forget
        upstream.stream.attach(self)

    # What the connection calls

    def received(self, data: bytes) -> None:
        self._protocol.data_received(data)

    def lost(self) -> None:
        if not self._over:
            self._over = self._closing = True
            self._forget()
            self._protocol.connection_lost(None)

    def clogged(self) -> None:
        self._protocol.pause_writing()

    def cleared(self) -> None:
        self._protocol.resume_writing()

    # What asyncpg calls

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._upstream is not None:
            self._upstream.stream.send(bytes(data))
        elif not self._first and not self._is_cancel(bytes(data)):
            self._first = bytes(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def _is_cancel(self, data: bytes) -> bool:
        packet = decode_startup(data)
        if isinstance(packet, CancelRequest):
            self._task = asyncio.ensure_future(self._hand_on(packet))
            return True
        return False

    async def _hand_on(self, request: CancelRequest) -> None:
        await self._cancel(request)
        self.lost()

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        if self._upstream is not None:
            self._upstream.stream.pause_reading()

    def resume_reading(self) -> None:
        if self._upstream is not None:
            self._upstream.stream.resume_reading()

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._closing = True
        if self._upstream is not None:
            self._upstream.stream.abort()
