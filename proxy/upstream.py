"""Connections to the database: one per client session, and a short one for each CancelRequest.

`open_upstream` connects, logs in and gives a stream that is ready for queries. Whatever goes wrong is an UpstreamError;
the server's own words about it (too many connections, no such database) come along where they are meant for clients.

It does not know sessions, and it does not speak TLS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import SecretStr

from proxy.errors import PgveilError, ProtocolError, UpstreamError, UpstreamUnavailableError
from proxy.policy.floor import floor_login
from proxy.policy.rules import Identity
from proxy.settings import UpstreamDsn
from proxy.wire.auth import UpstreamAuth, UpstreamLogin
from proxy.wire.buffer import Frame, FrameBuffer
from proxy.wire.messages import (
    AuthenticationMessage,
    AuthenticationSASLContinue,
    BackendKeyData,
    BackendMessage,
    DataRow,
    ErrorResponse,
    NegotiateProtocolVersion,
    NoticeResponse,
    ParameterStatus,
    Query,
    ReadyForQuery,
    decode_backend,
)
from proxy.wire.startup import CancelRequest, StartupMessage
from proxy.wire.stream import Stream

CONNECT_SECONDS = 10.0
CANCEL_SECONDS = 5.0

_MAX_LOGIN_FRAME = 64 * 1024
_OF_THE_ACCOUNT = "28"
"""SQLSTATE class of failed logins: about the proxy's own account, so nothing for the client."""


@dataclass(frozen=True, slots=True)
class FloorLogin:
    """Masked sessions log in where the floor of their roles is. `password` is that of all its logins."""

    password: SecretStr | None = None

    def dsn(self, service: UpstreamDsn, identity: Identity) -> UpstreamDsn:
        if identity.bypass:
            return service
        return replace(service, user=floor_login(identity.roles), password=self.password)


class UpstreamRefusedError(UpstreamError):
    """The upstream's: it answered, with an error that the client may see (scrubbed for a masked role)."""

    def __init__(self, response: ErrorResponse) -> None:
        super().__init__("the database refused the connection")
        self.response = response


@dataclass(slots=True)
class Upstream:
    """A connection that is ready for queries."""

    stream: Stream
    dsn: UpstreamDsn
    parameters: list[ParameterStatus] = field(default_factory=list)
    notices: list[NoticeResponse] = field(default_factory=list)
    key: BackendKeyData | None = None

    def __repr__(self) -> str:
        return f"Upstream({self.dsn})"

    async def cancel(self) -> None:
        """Asks the server to cancel what this connection runs. Raises nothing: there may be nobody to hear it."""
        if self.key is None:
            return
        request = CancelRequest(self.key.process_id, self.key.secret_key)
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                stream = await _connect(self.dsn)
                stream.send(request.encode())
                await stream.read()  # the server closes once the signal is on its way
                stream.close()
        except (UpstreamError, TimeoutError):
            return

    async def first_row(self, sql: str) -> tuple[bytes | None, ...]:
        """The first row of a query of ours. Raises UpstreamError where there is none."""
        row: tuple[bytes | None, ...] | None = None
        self.stream.send(Query(sql.encode()).encode())
        dialogue = _Dialogue(self.stream)
        while not isinstance(message := await dialogue.next(), ReadyForQuery):
            if isinstance(message, DataRow) and row is None:
                row = message.values
            elif isinstance(message, ParameterStatus):
                self.parameters.append(message)
            elif isinstance(message, ErrorResponse):
                raise UpstreamError("the database refused a query of the proxy's own")
        if row is None:
            raise UpstreamError("the database gave no row for a query of the proxy's own")
        return row


async def open_upstream(dsn: UpstreamDsn, parameters: Mapping[str, str], seconds: float = CONNECT_SECONDS) -> Upstream:
    """A new connection, logged in with the DSN's account and `parameters`.

    Raises UpstreamUnavailableError (08001) where no connection can be made within `seconds`, UpstreamRefusedError
    where the server refuses it, UpstreamError for everything else that the server does wrong.
    """
    try:
        async with asyncio.timeout(seconds):
            stream = await _connect(dsn)
            try:
                return await _log_in(stream, dsn, parameters)
            except BaseException:
                stream.abort()
                raise
    except TimeoutError:
        raise UpstreamUnavailableError(
            "the database does not answer", hint="It may be overloaded, or a firewall drops what is sent to it."
        ) from None
    except ProtocolError as error:
        raise UpstreamError(f"the database broke the protocol: {error.message}") from error


async def _connect(dsn: UpstreamDsn) -> Stream:
    loop = asyncio.get_running_loop()
    try:
        if dsn.socket_path is not None:
            _, stream = await loop.create_unix_connection(Stream, dsn.socket_path)
        else:
            _, stream = await loop.create_connection(Stream, dsn.host, dsn.port)
    except OSError:
        raise UpstreamUnavailableError(
            "the database cannot be reached", hint="It may be down or starting; try again."
        ) from None
    return stream


class _Dialogue:
    """Whole messages from a stream that is still read by a coroutine."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = FrameBuffer(max_frame=_MAX_LOGIN_FRAME)

    async def next(self) -> BackendMessage:
        while (frame := self._frame()) is None:
            data = await self._stream.read()
            if not data:
                raise UpstreamUnavailableError(
                    "the database closed the connection", hint="It may be going down; try again."
                )
            self._buffer.feed(data)
        return decode_backend(frame)

    def _frame(self) -> Frame | None:
        return next(self._buffer.frames(), None)

    def rest(self) -> bytes:
        return self._buffer.take_rest()


async def _log_in(stream: Stream, dsn: UpstreamDsn, parameters: Mapping[str, str]) -> Upstream:
    password = None if dsn.password is None else dsn.password.get_secret_value()
    auth = UpstreamAuth(UpstreamLogin(dsn.user, password, private_link=stream.is_local))
    upstream, dialogue = Upstream(stream, dsn), _Dialogue(stream)
    stream.send(StartupMessage(3, 0, parameters).encode())
    while True:
        message = await dialogue.next()
        match message:
            case ReadyForQuery():
                stream.unread(dialogue.rest())
                return upstream
            case ParameterStatus():
                upstream.parameters.append(message)
            case BackendKeyData():
                upstream.key = message
            case NoticeResponse():
                upstream.notices.append(message)
            case ErrorResponse():
                raise _refusal(message)
            case NegotiateProtocolVersion():
                continue
            case AuthenticationMessage():
                await _authenticate(stream, auth, message)
            case _:
                raise UpstreamError(f"the database sent {type(message).__name__} during the login")


async def _authenticate(stream: Stream, auth: UpstreamAuth, message: AuthenticationMessage) -> None:
    if isinstance(message, AuthenticationSASLContinue):  # thousands of hashes: not on the event loop
        step = await asyncio.to_thread(auth.receive, message)
    else:
        step = auth.receive(message)
    if step.send:
        stream.send(step.send)


def _refusal(response: ErrorResponse) -> PgveilError:
    if response.sqlstate.startswith(_OF_THE_ACCOUNT):
        return UpstreamUnavailableError(
            "the database refused the proxy's own account", hint="The operator has to look at upstream.dsn."
        )
    return UpstreamRefusedError(response)
