"""The dialogue between a startup packet that is sent and the first ReadyForQuery.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP. Who to log in as is `UpstreamAuth`'s;
added here is what depends on the connection: the protocol's version, and `channel_binding=require`, by which a server
that asks for less than SCRAM-SHA-256-PLUS is no server of ours (libpq's check_expected_areq).

It does not know hosts, and it shows nobody what the server said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.dial import Link
from proxy.errors import UpstreamError, UpstreamUnavailableError
from proxy.wire.auth import UpstreamAuth, UpstreamLogin
from proxy.wire.buffer import Frame, FrameBuffer
from proxy.wire.messages import (
    AuthenticationMessage,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    BackendKeyData,
    BackendMessage,
    ErrorResponse,
    NegotiateProtocolVersion,
    NoticeResponse,
    ParameterStatus,
    ReadyForQuery,
    decode_backend,
)
from proxy.wire.scram import SCRAM_PLUS, ScramKeys
from proxy.wire.startup import MAJOR, StartupMessage
from proxy.wire.stream import Stream

_MAX_LOGIN_FRAME = 64 * 1024
_NO_SUCH_VERSION = frozenset({"0A000", "08P01"})
"""How servers of before 9.3, and poolers, refuse a minor version instead of negotiating."""


class Rejection(Exception):  # noqa: N818 - for `upstream`, which makes an error of it
    """The server's ErrorResponse in place of a login. `asked`: it had asked for a password or the like before."""

    def __init__(self, response: ErrorResponse, *, asked: bool) -> None:
        super().__init__("the server refused the login")
        self.response = response
        self.asked = asked


class OldProtocolError(UpstreamError):
    """The upstream's: it does not know the minor version, and did not say so as it should (SQLSTATE 08006)."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in, with what. `minor` is the protocol's that is asked for, `least` the one that will do."""

    user: str
    password: str | None = field(repr=False, default=None)
    keys: ScramKeys | None = field(repr=False, default=None)
    own: bool = False
    """Whether it is the client's own, so that nobody has put a password for it anywhere."""
    binding: str = "prefer"
    minor: int = 0
    least: int = 0

    @property
    def has_nothing(self) -> bool:
        """Whether it is the client's own and the client has proven nothing that could be used again."""
        return self.own and self.password is None and self.keys is None


@dataclass(slots=True)
class LoggedIn:
    """What the server told before it was ready. `minor` is the protocol's that is spoken."""

    minor: int
    parameters: list[ParameterStatus] = field(default_factory=list)
    notices: list[NoticeResponse] = field(default_factory=list)
    key: BackendKeyData | None = None


class Dialogue:
    """Whole messages from a stream that is still read by a coroutine."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = FrameBuffer(max_frame=_MAX_LOGIN_FRAME)

    async def next(self) -> BackendMessage:
        """Raises UpstreamUnavailableError where the server closes, ProtocolError for what is no message."""
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


async def log_in(link: Link, account: Account, parameters: Mapping[str, str]) -> LoggedIn:
    """Logs in. The stream is then ready for queries.

    Raises Rejection, OldProtocolError, UpstreamUnavailableError where the server leaves, UpstreamError for what else it
    does wrong, ProtocolError for what is no message.
    """
    login = _Login(link, account)
    link.stream.send(StartupMessage(MAJOR, account.minor, parameters).encode())
    while True:
        message = await login.dialogue.next()
        if isinstance(message, ReadyForQuery):
            login.check_end()
            link.stream.unread(login.dialogue.rest())
            return login.told
        await login.take(message)


class _Login:
    def __init__(self, link: Link, account: Account) -> None:
        self._stream = link.stream
        self._account = account
        self._binding = _Binding(account.binding)
        end_point = link.end_point if account.binding != "disable" else None
        self._auth = UpstreamAuth(
            UpstreamLogin(
                account.user,
                account.password,
                private_link=link.encrypted or link.stream.is_local,
                end_point=end_point,
                keys=account.keys,
            )
        )
        self._asked = self._done = False
        self.dialogue = Dialogue(link.stream)
        self.told = LoggedIn(account.minor)

    async def take(self, message: BackendMessage) -> None:
        match message:
            case ParameterStatus():
                self.told.parameters.append(message)
            case BackendKeyData():
                self.told.key = message
            case NoticeResponse():
                self.told.notices.append(message)
            case ErrorResponse():
                self._refused(message)
            case NegotiateProtocolVersion():
                self._negotiated(message)
            case AuthenticationMessage():
                await self._authenticate(message)
            case _:
                raise UpstreamError(f"the database sent {type(message).__name__} during the login")

    def check_end(self) -> None:
        if not self._done:
            raise UpstreamError("the database was ready before it had let the proxy in")

    def _refused(self, response: ErrorResponse) -> None:
        newer = self._account.minor > self._account.least
        if newer and not self._asked and not self._done and response.sqlstate in _NO_SUCH_VERSION:
            raise OldProtocolError("the database does not know this version of the protocol")
        raise Rejection(response, asked=self._asked or self._done)

    def _negotiated(self, message: NegotiateProtocolVersion) -> None:
        """libpq's pqGetNegotiateProtocolVersion3. No `_pq_.` options were sent, so none can be unknown."""
        major, minor = message.version >> 16, message.version & 0xFFFF
        if self._asked or self._done or message.options or major != MAJOR or minor > self._account.minor:
            raise UpstreamError("the database negotiated about what it was not asked")
        if minor < self._account.least:
            raise UpstreamUnavailableError(
                f"the database speaks protocol {MAJOR}.{minor}, and min_protocol_version asks for more",
                hint="Protocol 3.2 needs PostgreSQL 18.",
            )
        self.told.minor = minor

    async def _authenticate(self, message: AuthenticationMessage) -> None:
        message = self._binding.admit(message)
        if not isinstance(message, AuthenticationOk) and self._account.has_nothing:
            raise UpstreamUnavailableError(
                "the database asks for this user's password, and the client has not been asked for one",
                hint="With upstream.login: same_user, use auth.method: scram, or let the database trust the proxy.",
            )
        if isinstance(message, AuthenticationSASLContinue):  # thousands of hashes: not on the event loop
            step = await asyncio.to_thread(self._auth.receive, message)
        else:
            step = self._auth.receive(message)
        if step.send:
            self._asked = True
            self._stream.send(step.send)
        self._done = step.done


class _Binding:
    """What `channel_binding=require` lets a server ask for: SCRAM-SHA-256-PLUS, to its end."""

    def __init__(self, wish: str) -> None:
        self._required = wish == "require"
        self._begun = False

    def admit(self, message: AuthenticationMessage) -> AuthenticationMessage:
        """The message, without the mechanisms that bind nothing. Raises UpstreamUnavailableError."""
        if not self._required or self._begun:
            return message
        if isinstance(message, AuthenticationSASL) and SCRAM_PLUS in message.mechanisms:
            self._begun = True
            return AuthenticationSASL((SCRAM_PLUS,))
        raise UpstreamUnavailableError(
            "channel_binding=require, and the database does not bind the login to the TLS channel",
            hint="It takes TLS, scram-sha-256 in the server's pg_hba.conf, and a password that is kept that way.",
        )
