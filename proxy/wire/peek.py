"""What a session reads of a client's message that is passed on as it is: a name, a text, and nothing else of it.

PostgreSQL judges the rest. `messages_frontend` is for those that are decoded; this is for every message, and quick.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

from typing import Final

from proxy.errors import ProtocolError
from proxy.wire.codec import HEADER, HEADER_SIZE, Bytes, Code

MAX_NAME: Final = 63
"""Bytes of a name that PostgreSQL looks at (NAMEDATALEN - 1)."""


def statement_text(raw: Bytes, limit: int) -> bytes:
    """The SQL of a Query or Parse; empty where the message is longer than `limit` bytes, or has none."""
    size = len(raw)
    if size > limit:
        return b""
    return text_within(bytes(raw), 0, size, limit)


def text_within(data: bytes, pos: int, stop: int, limit: int) -> bytes:
    """The same of the message that stands between `pos` and `stop`."""
    if stop - pos > limit:
        return b""
    start = pos + HEADER_SIZE
    if start >= stop:
        return b""
    if data[pos] == Code.QUERY:
        return data[start : stop - 1]
    start = data.find(b"\0", start, stop) + 1
    if start == 0:
        return b""
    end = data.find(b"\0", start, stop)
    return data[start : end if end >= 0 else stop]


def bind_names(raw: Bytes) -> tuple[str, str]:
    """Portal and statement of a Bind. Raises ProtocolError where they do not end."""
    return names_within(bytes(raw), 0, len(raw))


def names_within(data: bytes, pos: int, stop: int) -> tuple[str, str]:
    """The same of the message that stands between `pos` and `stop`."""
    start = pos + HEADER_SIZE
    first = _end_of_name(data, start, stop)
    second = _end_of_name(data, first + 1, stop) if first >= 0 else -1
    if second < 0:
        raise ProtocolError("Bind message is too short for what it announces")
    return _name(data, start, first), _name(data, first + 1, second)


def execute_portal(raw: Bytes) -> str:
    """The portal of an Execute. Raises ProtocolError where anything but a number of rows follows it."""
    return portal_within(bytes(raw), 0, len(raw))


def portal_within(data: bytes, pos: int, stop: int) -> str:
    """The same of the message that stands between `pos` and `stop`."""
    start = pos + HEADER_SIZE
    end = _end_of_name(data, start, stop)
    if end < 0 or stop < end + 5:
        raise ProtocolError("Execute message is too short for what it announces")
    if stop > end + 5:
        raise ProtocolError(f"Execute message has {stop - end - 5} bytes too many")
    return _name(data, start, end)


def pack_query(text: bytes) -> bytes:
    """A Query message."""
    return HEADER.pack(Code.QUERY, len(text) + 5) + text + b"\0"


def _end_of_name(data: bytes, start: int, stop: int) -> int:
    """Where its terminator stands, or -1. Most names are empty."""
    return start if start < stop and data[start] == 0 else data.find(b"\0", start, stop)


def _name(data: bytes, start: int, stop: int) -> str:
    """As `codec.Reader.name` has it, cut as `significant` cuts."""
    return data[start : min(stop, start + MAX_NAME)].decode(errors="surrogateescape") if stop > start else ""


def significant(name: str) -> str:
    """What PostgreSQL looks at of a statement's or portal's name: two that begin alike are one.

    https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
    """
    if len(name) * 4 <= MAX_NAME:
        return name
    return name.encode(errors="surrogateescape")[:MAX_NAME].decode(errors="surrogateescape")
