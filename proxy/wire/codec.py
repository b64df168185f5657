"""Readers and writers of the protocol's data types, and its one-byte message codes.

https://www.postgresql.org/docs/current/protocol-message-types.html. Numbers are big-endian. Counts are read
as unsigned 16 bits, as PostgreSQL reads them: a Bind may carry 65535 parameters.

Names (statements, portals, columns, settings) become `str` with surrogateescape, so any client encoding
survives the way through. SQL text stays `bytes`; who needs text asks `sql_text`.

It does not know messages: what follows what is `messages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error, pack, unpack
from typing import Final

from pg8000 import core  # type: ignore[import-untyped]

from proxy.errors import PgveilError, ProtocolError

Bytes = bytes | bytearray

HEADER: Final = Struct("!Bi")
"""A message's header: its code, and its length in bytes with these four included."""
HEADER_SIZE: Final = 5

_INT16 = Struct("!h")
_INT32 = Struct("!i")
_UINT32 = Struct("!I")


class Code:
    """The message codes, as the integers that indexing bytes gives. Both directions use some of them.

    Written out, so that compiled code has them as constants; a test holds them against pg8000's.
    """

    # Frontend
    BIND: Final = 0x42  # B
    CLOSE: Final = 0x43  # C
    COPY_FAIL: Final = 0x66  # f
    DESCRIBE: Final = 0x44  # D
    EXECUTE: Final = 0x45  # E
    FLUSH: Final = 0x48  # H
    FUNCTION_CALL: Final = 0x46  # F
    PARSE: Final = 0x50  # P
    PASSWORD: Final = 0x70  # p
    QUERY: Final = 0x51  # Q
    SYNC: Final = 0x53  # S
    TERMINATE: Final = 0x58  # X
    # Both
    COPY_DATA: Final = 0x64  # d
    COPY_DONE: Final = 0x63  # c
    # Backend
    AUTHENTICATION: Final = 0x52  # R
    BACKEND_KEY_DATA: Final = 0x4B  # K
    BIND_COMPLETE: Final = 0x32  # 2
    CLOSE_COMPLETE: Final = 0x33  # 3
    COMMAND_COMPLETE: Final = 0x43  # C
    COPY_BOTH_RESPONSE: Final = 0x57  # W
    COPY_IN_RESPONSE: Final = 0x47  # G
    COPY_OUT_RESPONSE: Final = 0x48  # H
    DATA_ROW: Final = 0x44  # D
    EMPTY_QUERY_RESPONSE: Final = 0x49  # I
    ERROR_RESPONSE: Final = 0x45  # E
    FUNCTION_CALL_RESPONSE: Final = 0x56  # V
    NEGOTIATE_PROTOCOL_VERSION: Final = 0x76  # v
    NO_DATA: Final = 0x6E  # n
    NOTICE_RESPONSE: Final = 0x4E  # N
    NOTIFICATION_RESPONSE: Final = 0x41  # A
    PARAMETER_DESCRIPTION: Final = 0x74  # t
    PARAMETER_STATUS: Final = 0x53  # S
    PARSE_COMPLETE: Final = 0x31  # 1
    PORTAL_SUSPENDED: Final = 0x73  # s
    READY_FOR_QUERY: Final = 0x5A  # Z
    ROW_DESCRIPTION: Final = 0x54  # T


class EncodingError(PgveilError):
    """The client's: SQL text that is not UTF-8 (SQLSTATE 22021). The session goes on."""

    sqlstate = "22021"


def sql_text(sql: bytes) -> str:
    """SQL as text. Raises EncodingError where it is not UTF-8; the text names the offset, never the bytes."""
    try:
        return sql.decode()
    except UnicodeDecodeError as exc:
        raise EncodingError(
            'invalid byte sequence for encoding "UTF8"',
            detail=f"The byte at offset {exc.start} of the statement does not start or continue a character.",
            hint="Set client_encoding to UTF8.",
        ) from None


class Reader:
    """Reads one message body from start to end. Every method raises ProtocolError where bytes are missing.

    `what` is the message's name, for the error's text.
    """

    __slots__ = ("_data", "_pos", "what")

    def __init__(self, data: Bytes, start: int = 0, what: str = "message") -> None:
        self._data = data
        self._pos = start
        self.what = what

    def _number(self, form: Struct) -> int:
        try:
            (value,) = form.unpack_from(self._data, self._pos)
        except error:
            raise self._short() from None
        self._pos += form.size
        return int(value)

    def byte(self) -> int:
        if self._pos >= len(self._data):
            raise self._short()
        self._pos += 1
        return self._data[self._pos - 1]

    def int16(self) -> int:
        return self._number(_INT16)

    def int32(self) -> int:
        return self._number(_INT32)

    def uint32(self) -> int:
        return self._number(_UINT32)

    def count(self) -> int:
        """An unsigned 16-bit number of things to come."""
        try:
            (value,) = core.H_unpack(self._data, self._pos)
        except error:
            raise self._short() from None
        self._pos += 2
        return int(value)

    def take(self, size: int) -> bytes:
        stop = self._pos + size
        if size < 0 or stop > len(self._data):
            raise self._short()
        value = bytes(self._data[self._pos : stop])
        self._pos = stop
        return value

    def value(self) -> bytes | None:
        """A 32-bit length and that many bytes; the length -1 is NULL."""
        size = self.int32()
        if size == -1:
            return None
        return self.take(size)

    def values(self) -> tuple[bytes | None, ...]:
        """A count and that many values. One loop without calls: rows come by the million."""
        count = self.count()
        data, pos, end, read = self._data, self._pos, len(self._data), _INT32.unpack_from
        found: list[bytes | None] = []
        for _ in range(count):
            if pos + 4 > end:
                raise self._short()
            (size,) = read(data, pos)
            pos += 4
            if size == -1:
                found.append(None)
                continue
            if size < 0 or pos + size > end:
                raise self._short()
            found.append(bytes(data[pos : pos + size]))
            pos += size
        self._pos = pos
        return tuple(found)

    def int16s(self) -> tuple[int, ...]:
        """A count and that many 16-bit numbers."""
        count = self.count()
        return unpack(f"!{count}h", self.take(2 * count))

    def uint32s(self) -> tuple[int, ...]:
        """A count and that many unsigned 32-bit numbers."""
        count = self.count()
        return unpack(f"!{count}I", self.take(4 * count))

    def cstring(self) -> bytes:
        stop = self._data.find(0, self._pos)
        if stop < 0:
            raise self._short()
        value = bytes(self._data[self._pos : stop])
        self._pos = stop + 1
        return value

    def name(self) -> str:
        """A C string as text that `Writer.name` turns back into the same bytes."""
        return self.cstring().decode(errors="surrogateescape")

    def rest(self) -> bytes:
        """Everything to the end."""
        return self.take(len(self._data) - self._pos)

    def finish(self) -> None:
        """Raises ProtocolError where bytes are left over."""
        left = len(self._data) - self._pos
        if left:
            raise ProtocolError(f"{self.what} message has {left} bytes too many")

    def _short(self) -> ProtocolError:
        return ProtocolError(f"{self.what} message is too short for what it announces")


class Writer:
    """Builds one message body; every method gives the writer back. ValueError: it cannot be written."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def raw(self, data: bytes) -> Writer:
        self._parts.append(data)
        return self

    def byte(self, value: int) -> Writer:
        return self.raw(bytes((value,)))

    def int16(self, value: int) -> Writer:
        return self.raw(_fit(_INT16, value))

    def int32(self, value: int) -> Writer:
        return self.raw(_fit(_INT32, value))

    def uint32(self, value: int) -> Writer:
        return self.raw(_fit(_UINT32, value))

    def count(self, value: int) -> Writer:
        try:
            return self.raw(core.H_pack(value))
        except error as exc:
            raise ValueError(f"a message cannot count to {value}") from exc

    def int16s(self, values: Sequence[int]) -> Writer:
        """A count and that many 16-bit numbers."""
        return self._many("h", values)

    def uint32s(self, values: Sequence[int]) -> Writer:
        """A count and that many unsigned 32-bit numbers."""
        return self._many("I", values)

    def values(self, values: Sequence[bytes | None]) -> Writer:
        """A count and that many values."""
        self.count(len(values))
        for value in values:
            self.value(value)
        return self

    def _many(self, form: str, values: Sequence[int]) -> Writer:
        self.count(len(values))
        try:
            return self.raw(pack(f"!{len(values)}{form}", *values))
        except error as exc:
            raise ValueError("a number does not fit in its bytes") from exc

    def value(self, data: bytes | None) -> Writer:
        if data is None:
            return self.int32(-1)
        return self.int32(len(data)).raw(data)

    def cstring(self, data: bytes) -> Writer:
        if 0 in data:
            raise ValueError("a C string cannot hold a zero byte")
        return self.raw(data + b"\0")

    def name(self, text: str) -> Writer:
        return self.cstring(text.encode(errors="surrogateescape"))

    def body(self) -> bytes:
        return b"".join(self._parts)


def _fit(form: Struct, value: int) -> bytes:
    try:
        return form.pack(value)
    except error as exc:
        raise ValueError(f"{value} does not fit in {form.size} bytes") from exc


def pack_frame(code: int, body: bytes) -> bytes:
    """A tagged message: code, length, body."""
    return HEADER.pack(code, len(body) + 4) + body
