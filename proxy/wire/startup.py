"""The packets that open a connection, before any message has a code.

https://www.postgresql.org/docs/current/protocol-message-formats.html (StartupMessage, SSLRequest, GSSENCRequest,
CancelRequest) and https://www.postgresql.org/docs/current/protocol-changes.html for 3.2: longer cancel keys.

As in PostgreSQL, a parameter that is given twice counts as given last, and values are bytes that need not be UTF-8
(they become `str` with surrogateescape). Only the user's name has to be: policies and users files know no other.

What is refused: every protocol but 3, a length over PostgreSQL's own cap (known from the first four bytes), a
second request for the same encryption, and bytes sent behind such a request before its answer: an attacker on
the path could have put them there, to be read as if they had come encrypted (CVE-2021-23214 and its family).

It does not know TLS or sockets: the caller answers a request with one byte and acts on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from proxy.errors import AuthorizationError, ProtocolError
from proxy.wire.codec import Reader, Writer
from proxy.wire.messages_backend import NegotiateProtocolVersion

MAX_STARTUP_PACKET = 10000
"""Bytes; PostgreSQL's MAX_STARTUP_PACKET_LENGTH."""
TLS_HANDSHAKE = 0x16
"""A first byte that no startup packet has: the client speaks TLS at once (sslnegotiation=direct)."""

ACCEPT_TLS = b"S"
REFUSE_ENCRYPTION = b"N"

MAJOR = 3
LATEST_MINOR = 2
_LONG_KEY_MINOR = 2
_OPTION_PREFIX = "_pq_."

_CANCEL_CODE = 1234 << 16 | 5678
_SSL_CODE = 1234 << 16 | 5679
_GSSENC_CODE = 1234 << 16 | 5680
_HEAD = Struct("!II")
_LENGTH = Struct("!I")
_BARE = _HEAD.size
_MIN_KEY, _MAX_KEY = 4, 256

_FALSE = frozenset({"false", "fals", "fal", "fa", "f", "no", "n", "off", "of", "0"})


class VersionError(ProtocolError):
    """The peer's: a protocol that is not 3, or an encryption that is not to be asked for now (SQLSTATE 0A000).

    PostgreSQL says the same of both: it reads the second request as a version.
    """

    sqlstate = "0A000"

    def __init__(self, code: int) -> None:
        self.major, minor = code >> 16, code & 0xFFFF
        super().__init__(
            f"unsupported frontend protocol {self.major}.{minor}: server supports 3.0 to {MAJOR}.{LATEST_MINOR}"
        )

    def old_response(self) -> bytes | None:
        """The ErrorResponse for a client of protocol 1 or 2, which knows no other form."""
        return f"EFATAL:  {self.message}\n\0".encode() if 0 < self.major < MAJOR else None


@dataclass(frozen=True, slots=True)
class SSLRequest:
    """Answered with ACCEPT_TLS or REFUSE_ENCRYPTION."""

    def encode(self) -> bytes:
        return _HEAD.pack(_BARE, _SSL_CODE)


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    """Answered with REFUSE_ENCRYPTION: pgveil has no GSS."""

    def encode(self) -> bytes:
        return _HEAD.pack(_BARE, _GSSENC_CODE)


@dataclass(frozen=True, slots=True, repr=False)
class CancelRequest:
    """Asks to cancel what another connection runs. `secret_key` has 4 to 256 bytes."""

    process_id: int
    secret_key: bytes

    def encode(self) -> bytes:
        body = Writer().uint32(_CANCEL_CODE).int32(self.process_id).raw(self.secret_key).body()
        return _LENGTH.pack(len(body) + 4) + body

    def __repr__(self) -> str:
        return f"CancelRequest(process_id={self.process_id}, secret_key=<{len(self.secret_key)} bytes>)"


@dataclass(frozen=True, slots=True, repr=False)
class StartupMessage:
    """Who the client wants to be, and the settings that it starts with. `decode_startup` refuses one without user."""

    major: int
    minor: int
    parameters: Mapping[str, str]

    @property
    def user(self) -> str:
        return self.parameters["user"]

    @property
    def database(self) -> str:
        """The user's name where the client names none."""
        return self.parameters.get("database", "") or self.user

    @property
    def replication(self) -> bool:
        """Whether this asks for a walsender. What is not clearly a "no" is a yes."""
        return self.parameters.get("replication", "false").strip().lower() not in _FALSE

    @property
    def spoken_minor(self) -> int:
        """The minor version that both sides speak once `negotiate` has had its say."""
        return min(self.minor, LATEST_MINOR)

    @property
    def long_cancel_keys(self) -> bool:
        """Whether the client takes cancel keys of more than four bytes (protocol 3.2)."""
        return self.spoken_minor >= _LONG_KEY_MINOR

    def encode(self) -> bytes:
        writer = Writer().uint32(self.major << 16 | self.minor)
        for name, value in self.parameters.items():
            writer.name(name).name(value)
        body = writer.byte(0).body()
        return _LENGTH.pack(len(body) + 4) + body

    def __repr__(self) -> str:
        return f"StartupMessage({self.major}.{self.minor}, parameters={sorted(self.parameters)})"


StartupPacket = StartupMessage | SSLRequest | GSSENCRequest | CancelRequest


def negotiate(startup: StartupMessage) -> NegotiateProtocolVersion | None:
    """What the client must hear if it asked for more than there is: a newer minor version, unknown `_pq_.` options.

    Sent before the first authentication request. `version` is the whole number (3 * 65536 + minor), as PostgreSQL
    sends it.
    """
    options = tuple(name for name in startup.parameters if name.startswith(_OPTION_PREFIX))
    if startup.minor <= LATEST_MINOR and not options:
        return None
    return NegotiateProtocolVersion(MAJOR << 16 | startup.spoken_minor, options)


class StartupBuffer:
    """Collects a connection's first bytes until a packet is whole.

    `feed` gives the packet once it is there. After an SSLRequest or GSSENCRequest the caller must send its answer
    before it may read on: with REFUSE_ENCRYPTION it calls `refused` and feeds this buffer again; with ACCEPT_TLS it
    hands the socket over and feeds a new buffer (`encrypted=True`) with what TLS gives. After a StartupMessage,
    `take_rest` has what came behind it.
    """

    def __init__(self, *, encrypted: bool = False) -> None:
        self._data = b""
        self._encrypted = encrypted
        self._asked: set[type[SSLRequest | GSSENCRequest]] = set()
        self._waiting: type[SSLRequest | GSSENCRequest] | None = None

    def __repr__(self) -> str:
        return f"StartupBuffer({len(self._data)} bytes, waiting={self._waiting is not None})"

    def feed(self, data: bytes) -> StartupPacket | None:
        """The next packet, or None while it is not whole. Raises ProtocolError, and AuthorizationError for no user."""
        if self._waiting is not None and data:
            raise early_bytes(self._waiting)
        self._data += data
        if len(self._data) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._data)
        if not _BARE <= length <= MAX_STARTUP_PACKET:
            raise ProtocolError("invalid length of startup packet")
        if len(self._data) < length:
            return None
        raw, self._data = self._data[:length], self._data[length:]
        return self._admit(decode_startup(raw))

    def refused(self) -> None:
        """The encryption that was asked for was answered with a no: the next packet may come."""
        self._waiting = None

    def take_rest(self) -> bytes:
        """What came behind the last packet, and forgets it."""
        rest, self._data = self._data, b""
        return rest

    def _admit(self, packet: StartupPacket) -> StartupPacket:
        if isinstance(packet, SSLRequest | GSSENCRequest):
            kind = type(packet)
            if self._encrypted or kind in self._asked:
                raise repeated(kind)
            if self._data:
                raise early_bytes(kind)
            self._asked.add(kind)
            self._waiting = kind
        return packet


def decode_startup(raw: bytes) -> StartupPacket:
    """One whole packet, its length included. Raises ProtocolError, and AuthorizationError where no user is named."""
    if len(raw) < _BARE:
        raise ProtocolError("invalid length of startup packet")
    length, code = _HEAD.unpack_from(raw)
    if length != len(raw):
        raise ProtocolError("invalid length of startup packet")
    if code == _CANCEL_CODE:
        return _decode_cancel(Reader(raw, _BARE, "CancelRequest"))
    if code in {_SSL_CODE, _GSSENC_CODE}:
        packet = SSLRequest() if code == _SSL_CODE else GSSENCRequest()
        Reader(raw, _BARE, type(packet).__name__).finish()
        return packet
    major, minor = code >> 16, code & 0xFFFF
    if major != MAJOR:
        raise VersionError(code)
    parameters = _decode_parameters(Reader(raw, _BARE, "StartupMessage"))
    if not parameters.get("user"):
        raise AuthorizationError("no PostgreSQL user name specified in startup packet")
    if not _is_utf8(parameters["user"]):
        raise AuthorizationError("the user name in the startup packet is not UTF-8")
    return StartupMessage(major, minor, parameters)


def _decode_cancel(reader: Reader) -> CancelRequest:
    process_id, key = reader.int32(), reader.rest()
    if not _MIN_KEY <= len(key) <= _MAX_KEY:
        raise ProtocolError("invalid length of query cancel packet")
    return CancelRequest(process_id, key)


def _decode_parameters(reader: Reader) -> Mapping[str, str]:
    """Names and values, each name once, where it stands last."""
    parameters: dict[str, str] = {}
    try:
        while name := reader.name():
            value = reader.name()
            parameters.pop(name, None)
            parameters[name] = value
        reader.finish()
    except ProtocolError:
        raise ProtocolError("invalid startup packet layout: expected terminator as last byte") from None
    return parameters


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def repeated(kind: type[SSLRequest | GSSENCRequest]) -> VersionError:
    """A request that has had its answer, or comes inside TLS."""
    return VersionError(_SSL_CODE if kind is SSLRequest else _GSSENC_CODE)


def early_bytes(kind: type[SSLRequest | GSSENCRequest]) -> ProtocolError:
    """Somebody has sent on behind a request without waiting for its answer."""
    name = "SSL request" if kind is SSLRequest else "GSSAPI encryption request"
    return ProtocolError(
        f"received unencrypted data after {name}",
        detail="This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
    )
