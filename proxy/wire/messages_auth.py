"""The server's authentication requests: one message code, and a number that says which.

https://www.postgresql.org/docs/current/protocol-message-formats.html. GSS, SSPI and Kerberos requests are
decoded so that they can be refused by name; pgveil answers none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from proxy.errors import ProtocolError
from proxy.wire.codec import Code, Reader, Writer
from proxy.wire.message import Message


class AuthenticationMessage(Message):
    """Base: `request` is the number behind the code; `data` is written after it."""

    __slots__ = ()
    code: ClassVar[int] = Code.AUTHENTICATION
    request: ClassVar[int]

    def rest(self) -> bytes:
        return b""

    def body(self) -> bytes:
        return Writer().int32(self.request).raw(self.rest()).body()


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationOk(AuthenticationMessage):
    request: ClassVar[int] = 0


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationKerberosV5(AuthenticationMessage):
    request: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationCleartextPassword(AuthenticationMessage):
    request: ClassVar[int] = 3


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationMD5Password(AuthenticationMessage):
    """`salt` has four bytes."""

    request: ClassVar[int] = 5
    salt: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.take(4))

    def rest(self) -> bytes:
        return self.salt


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationGSS(AuthenticationMessage):
    request: ClassVar[int] = 7


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationGSSContinue(AuthenticationMessage):
    request: ClassVar[int] = 8
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def rest(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationSSPI(AuthenticationMessage):
    request: ClassVar[int] = 9


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationSASL(AuthenticationMessage):
    """The mechanisms that the server offers, its favourite first."""

    request: ClassVar[int] = 10
    shown: ClassVar[frozenset[str]] = frozenset({"mechanisms"})
    mechanisms: tuple[str, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        mechanisms = []
        while name := reader.name():
            mechanisms.append(name)
        return cls(tuple(mechanisms))

    def rest(self) -> bytes:
        writer = Writer()
        for name in self.mechanisms:
            writer.name(name)
        return writer.byte(0).body()


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationSASLContinue(AuthenticationMessage):
    request: ClassVar[int] = 11
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def rest(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationSASLFinal(AuthenticationMessage):
    request: ClassVar[int] = 12
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def rest(self) -> bytes:
        return self.data


Authentication = (
    AuthenticationOk
    | AuthenticationKerberosV5
    | AuthenticationCleartextPassword
    | AuthenticationMD5Password
    | AuthenticationGSS
    | AuthenticationGSSContinue
    | AuthenticationSSPI
    | AuthenticationSASL
    | AuthenticationSASLContinue
    | AuthenticationSASLFinal
)

AUTHENTICATION: Mapping[int, type[Authentication]] = {
    cls.request: cls
    for cls in (
        AuthenticationOk,
        AuthenticationKerberosV5,
        AuthenticationCleartextPassword,
        AuthenticationMD5Password,
        AuthenticationGSS,
        AuthenticationGSSContinue,
        AuthenticationSSPI,
        AuthenticationSASL,
        AuthenticationSASLContinue,
        AuthenticationSASLFinal,
    )
}


def decode_authentication(reader: Reader) -> Authentication:
    """The request in an Authentication body. ProtocolError for a number that PostgreSQL does not have."""
    request = reader.int32()
    cls = AUTHENTICATION.get(request)
    if cls is None:
        raise ProtocolError(f"authentication request {request} is not known")
    reader.what = cls.__name__
    return cls.decode(reader)
