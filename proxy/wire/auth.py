"""Logging in, on both sides: what to send, given what came. No I/O.

`ClientAuth` is the server that the client meets; `UpstreamAuth` is the client that the upstream server meets. Each
gives a `Step`: bytes to send, and whether the login is done. What fails is raised, and the connection ends.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP

Neither knows roles or policies: who has proven a name may still be refused by the session.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import NamedTuple

from proxy.errors import AuthenticationError, InternalError, ProtocolError, UpstreamError
from proxy.wire.message import Message
from proxy.wire.messages_auth import (
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationMessage,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
)
from proxy.wire.messages_frontend import PasswordMessage, SASLInitialResponse, SASLResponse
from proxy.wire.scram import ClientExchange, ServerExchange
from proxy.wire.userlist import Userlist


class Step(NamedTuple):
    """What to send now (perhaps nothing), and whether the login is done."""

    send: bytes
    done: bool

    def __repr__(self) -> str:
        return f"Step(<{len(self.send)} bytes>, done={self.done})"


class AuthMethod(StrEnum):
    TRUST = "trust"
    """Also for a client whose TLS certificate has already proven its name."""
    SCRAM = "scram"


class _ClientStage(Enum):
    NEW = auto()
    OFFERED = auto()
    CHALLENGED = auto()
    DONE = auto()


class ClientAuth:
    """The server's side of one client's login: `start` once, then `receive` each message until a step is done.

    `end_point` (`scram.server_end_point` of our certificate) puts SCRAM-SHA-256-PLUS on offer; None without TLS.
    A user who is not in the list goes through the same exchange, and fails at its end like a wrong password.
    """

    def __init__(self, user: str, method: AuthMethod, users: Userlist, end_point: bytes | None = None) -> None:
        self.user = user
        self._method = method
        self._stage = _ClientStage.NEW
        verifier, self._known = users.find(user)
        self._exchange = ServerExchange(verifier, end_point)

    def __repr__(self) -> str:
        return f"ClientAuth({self._method.value}, {self._stage.name})"

    def start(self) -> Step:
        """The first authentication request; for `trust` the last too."""
        if self._stage is not _ClientStage.NEW:
            raise ProtocolError("the login has begun already")
        if self._method is AuthMethod.TRUST:
            self._stage = _ClientStage.DONE
            return Step(AuthenticationOk().encode(), done=True)
        self._stage = _ClientStage.OFFERED
        return Step(AuthenticationSASL(self._exchange.mechanisms).encode(), done=False)

    def receive(self, message: Message) -> Step:
        """Raises ProtocolError for what does not belong here, AuthenticationError (28P01, 28000) for a failed login."""
        if not isinstance(message, PasswordMessage):
            raise ProtocolError(f"expected SASL response, got {type(message).__name__}")
        if self._stage is _ClientStage.OFFERED:
            return self._challenge(message.as_sasl_initial())
        if self._stage is _ClientStage.CHALLENGED:
            return self._finish(message.as_sasl())
        raise ProtocolError("an authentication response was not asked for")

    def _challenge(self, initial: SASLInitialResponse) -> Step:
        if initial.data is None:
            raise ProtocolError("the SASL initial response is missing")
        answer = self._exchange.first(initial.mechanism, initial.data)
        self._stage = _ClientStage.CHALLENGED
        return Step(AuthenticationSASLContinue(answer).encode(), done=False)

    def _finish(self, response: SASLResponse) -> Step:
        self._stage = _ClientStage.DONE  # one try
        failure = AuthenticationError(f'password authentication failed for user "{self.user}"')
        try:
            answer = self._exchange.final(response.data)
        except AuthenticationError as exc:
            raise (failure if exc.sqlstate == failure.sqlstate else exc) from None
        if not self._known:
            raise failure
        return Step(AuthenticationSASLFinal(answer).encode() + AuthenticationOk().encode(), done=True)


@dataclass(frozen=True, slots=True)
class UpstreamLogin:
    """Who to log in as. `private_link`: TLS, a unix socket or loopback, where a password may go in clear text.

    `end_point` is `scram.server_end_point` of the server's TLS certificate, None without TLS.
    """

    user: str
    password: str | None = field(repr=False, default=None)
    private_link: bool = False
    end_point: bytes | None = field(repr=False, default=None)


class _UpstreamStage(Enum):
    STARTED = auto()
    PASSWORD_SENT = auto()
    SASL_STARTED = auto()
    SASL_ANSWERED = auto()
    SASL_VERIFIED = auto()
    DONE = auto()


_MAY_END = frozenset({_UpstreamStage.STARTED, _UpstreamStage.PASSWORD_SENT, _UpstreamStage.SASL_VERIFIED})


class UpstreamAuth:
    """The client's side of a login: `receive` each authentication request until a step is done.

    Everything that the server does wrong, or asks and does not get, is an UpstreamError. An AuthenticationSASLContinue
    costs PBKDF2 (see `ClientExchange.final`): `receive` may be called from a thread.
    """

    def __init__(self, login: UpstreamLogin) -> None:
        self._login = login
        self._stage = _UpstreamStage.STARTED
        self._exchange: ClientExchange | None = None

    def __repr__(self) -> str:
        return f"UpstreamAuth({self._stage.name})"

    def receive(self, message: AuthenticationMessage) -> Step:
        match self._stage, message:
            case _, AuthenticationOk():
                return self._end()
            case _UpstreamStage.STARTED, _:
                return self._answer(message)
            case _UpstreamStage.SASL_STARTED, AuthenticationSASLContinue(data):
                return self._send(SASLResponse(self._scram().final(data)), _UpstreamStage.SASL_ANSWERED)
            case _UpstreamStage.SASL_ANSWERED, AuthenticationSASLFinal(data):
                self._scram().verify(data)
                self._stage = _UpstreamStage.SASL_VERIFIED
                return Step(b"", done=False)
            case _:
                raise UpstreamError(f"the upstream server sent {type(message).__name__} out of turn")

    def _scram(self) -> ClientExchange:
        if self._exchange is None:
            raise InternalError("a SCRAM stage without an exchange")
        return self._exchange

    def _end(self) -> Step:
        if self._stage in {_UpstreamStage.SASL_STARTED, _UpstreamStage.SASL_ANSWERED}:
            raise UpstreamError(
                "the upstream server ended SCRAM authentication before it had proven itself",
                hint="Something else may be answering at its address.",
            )
        if self._stage not in _MAY_END:
            raise UpstreamError("the upstream server ended a login twice")
        self._stage = _UpstreamStage.DONE
        return Step(b"", done=True)

    def _answer(self, message: AuthenticationMessage) -> Step:
        if isinstance(message, AuthenticationSASL):
            login = self._login
            self._exchange = ClientExchange(self._password(), message.mechanisms, login.end_point)
            initial = SASLInitialResponse(self._exchange.mechanism, self._exchange.first())
            return self._send(initial, _UpstreamStage.SASL_STARTED)
        if isinstance(message, AuthenticationMD5Password):
            return self._send(PasswordMessage.of(self._md5(message.salt)), _UpstreamStage.PASSWORD_SENT)
        if isinstance(message, AuthenticationCleartextPassword):
            if not self._login.private_link:
                raise UpstreamError(
                    "the upstream server asks for the password in clear text over a link that is not encrypted",
                    hint="Use TLS (sslmode=verify-full), or scram-sha-256 in the server's pg_hba.conf.",
                )
            return self._send(PasswordMessage.of(self._bytes()), _UpstreamStage.PASSWORD_SENT)
        raise UpstreamError(
            f"the upstream server asks for {type(message).__name__}, which pgveil does not have",
            hint="pgveil logs in with trust, password, md5 or scram-sha-256.",
        )

    def _send(self, message: Message, stage: _UpstreamStage) -> Step:
        self._stage = stage
        return Step(message.encode(), done=False)

    def _password(self) -> str:
        if not self._login.password:
            raise UpstreamError(
                "the upstream server asks for a password and none is set",
                hint="Put it into upstream.dsn or the password file that it names.",
            )
        return self._login.password

    def _bytes(self) -> bytes:
        password = self._password().encode(errors="surrogateescape")
        if 0 in password:
            raise UpstreamError("the password for the upstream server has a zero byte")
        return password

    def _md5(self, salt: bytes) -> bytes:
        """`md5` and md5(md5(password user) salt) in hexadecimal, as the protocol asks."""
        user = self._login.user.encode(errors="surrogateescape")
        inner = hashlib.md5(self._bytes() + user, usedforsecurity=False).hexdigest()
        outer = hashlib.md5(inner.encode("ascii") + salt, usedforsecurity=False).hexdigest()
        return b"md5" + outer.encode("ascii")
