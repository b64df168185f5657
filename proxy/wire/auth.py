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
from typing import NamedTuple, assert_never

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
from proxy.wire.scram import ClientExchange, ScramKeys, ServerExchange, Verifier


class Step(NamedTuple):
    """What to send now (perhaps nothing), and whether the login is done."""

    send: bytes
    done: bool

    def __repr__(self) -> str:
        return f"Step(<{len(self.send)} bytes>, done={self.done})"


class AuthMethod(StrEnum):
    TRUST = "trust"
    SCRAM = "scram"
    PASSWORD = "password"  # noqa: S105 - its name
    """In clear text: for a link that nobody else reads."""
    CERT = "cert"
    """The client's TLS certificate has proven the name already: nothing is asked."""


@dataclass(frozen=True, slots=True, repr=False)
class Proven:
    """What a client's login leaves to log in with elsewhere: keys, or a password, or nothing."""

    keys: ScramKeys | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Proven(keys={self.keys is not None}, password={self.password is not None})"


class _ClientStage(Enum):
    NEW = auto()
    OFFERED = auto()
    CHALLENGED = auto()
    ASKED = auto()
    DONE = auto()


class ClientAuth:
    """The server's side of one client's login: `start` once, then `receive` each message until a step is done.

    `found` is the user's verifier and whether there is such a user (`Userlist.find`): one who does not exist goes
    through the same exchange, and fails at its end like a wrong password. `end_point` (`scram.server_end_point` of our
    certificate) puts SCRAM-SHA-256-PLUS on offer; None without TLS. With `PASSWORD`, `receive` costs PBKDF2 and may be
    called from a thread.
    """

    def __init__(
        self, user: str, method: AuthMethod, found: tuple[Verifier, bool], end_point: bytes | None = None
    ) -> None:
        self.user = user
        self._method = method
        self._stage = _ClientStage.NEW
        self._verifier, self._known = found
        self._exchange = ServerExchange(self._verifier, end_point)
        self._password: str | None = None

    def __repr__(self) -> str:
        return f"ClientAuth({self._method.value}, {self._stage.name})"

    @property
    def keys(self) -> ScramKeys | None:
        """The client's keys after a SCRAM exchange that succeeded."""
        return self._exchange.keys if self._stage is _ClientStage.DONE and self._known else None

    @property
    def proven(self) -> Proven:
        """What the login leaves, once a step was done."""
        return Proven(self.keys, self._password)

    def start(self) -> Step:
        """The first authentication request; for `trust` and `cert` the last too."""
        if self._stage is not _ClientStage.NEW:
            raise ProtocolError("the login has begun already")
        match self._method:
            case AuthMethod.TRUST | AuthMethod.CERT:
                self._stage = _ClientStage.DONE
                return Step(AuthenticationOk().encode(), done=True)
            case AuthMethod.PASSWORD:
                self._stage = _ClientStage.ASKED
                return Step(AuthenticationCleartextPassword().encode(), done=False)
            case AuthMethod.SCRAM:
                self._stage = _ClientStage.OFFERED
                return Step(AuthenticationSASL(self._exchange.mechanisms).encode(), done=False)
            case _:
                assert_never(self._method)

    def receive(self, message: Message) -> Step:
        """Raises ProtocolError for what does not belong here, AuthenticationError (28P01, 28000) for a failed login."""
        if not isinstance(message, PasswordMessage):
            wanted = "password response" if self._stage is _ClientStage.ASKED else "SASL response"
            raise ProtocolError(f"expected {wanted}, got {type(message).__name__}")
        match self._stage:
            case _ClientStage.OFFERED:
                return self._challenge(message.as_sasl_initial())
            case _ClientStage.CHALLENGED:
                return self._finish(message.as_sasl())
            case _ClientStage.ASKED:
                return self._check(message.data)
            case _:
                raise ProtocolError("an authentication response was not asked for")

    def _challenge(self, initial: SASLInitialResponse) -> Step:
        if initial.data is None:
            raise ProtocolError("the SASL initial response is missing")
        answer = self._exchange.first(initial.mechanism, initial.data)
        self._stage = _ClientStage.CHALLENGED
        return Step(AuthenticationSASLContinue(answer).encode(), done=False)

    def _finish(self, response: SASLResponse) -> Step:
        self._stage = _ClientStage.DONE  # one try
        failure = self._failure()
        try:
            answer = self._exchange.final(response.data)
        except AuthenticationError as exc:
            raise (failure if exc.sqlstate == failure.sqlstate else exc) from None
        if not self._known:
            raise failure
        return Step(AuthenticationSASLFinal(answer).encode() + AuthenticationOk().encode(), done=True)

    def _check(self, data: bytes) -> Step:
        """A password in clear text. PostgreSQL's recv_password_packet and plain_crypt_verify."""
        self._stage = _ClientStage.DONE  # one try
        password, end, rest = data.partition(b"\0")
        if not end or rest:
            raise ProtocolError("invalid password packet size")
        if not password:
            raise AuthenticationError("empty password returned by client")
        if not (self._verifier.accepts(password) and self._known):
            raise self._failure()
        self._password = password.decode(errors="surrogateescape")
        return Step(AuthenticationOk().encode(), done=True)

    def _failure(self) -> AuthenticationError:
        return AuthenticationError(f'password authentication failed for user "{self.user}"')


@dataclass(frozen=True, slots=True)
class UpstreamLogin:
    """Who to log in as. `private_link`: TLS, a unix socket or loopback, where a password may go in clear text.

    `end_point` is `scram.server_end_point` of the server's TLS certificate, None without TLS. `keys` are proven in
    place of a password where the server asks for SCRAM.
    """

    user: str
    password: str | None = field(repr=False, default=None)
    private_link: bool = False
    end_point: bytes | None = field(repr=False, default=None)
    keys: ScramKeys | None = field(repr=False, default=None)


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
            secret = self._password() if login.keys is None else login.keys
            self._exchange = ClientExchange(secret, message.mechanisms, login.end_point)
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
        if not self._login.password and self._login.keys is not None:
            raise UpstreamError(
                "the upstream server asks for a password, and the proxy has the client's SCRAM keys only",
                hint="Use scram-sha-256 in the server's pg_hba.conf.",
            )
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
