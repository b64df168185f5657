"""What a session reads of a client's message that is passed on as it is: a name, a text, and nothing else of it.

PostgreSQL judges the rest. `messages_frontend` is for those that are decoded; this is for every message, and quick.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

from proxy.errors import ProtocolError
from proxy.wire.codec import HEADER, HEADER_SIZE, Bytes, Code


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
    first = raw.find(b"\0", HEADER_SIZE)
    second = raw.find(b"\0", first + 1) if first >= 0 else -1
    if second < 0:
        raise ProtocolError("Bind message is too short for what it announces")
    return _name(raw[HEADER_SIZE:first]), _name(raw[first + 1 : second])


def execute_portal(raw: Bytes) -> str:
    """The portal of an Execute. Raises ProtocolError where anything but a number of rows follows it."""
    end = raw.find(b"\0", HEADER_SIZE)
    if end < 0 or len(raw) < end + 5:
        raise ProtocolError("Execute message is too short for what it announces")
    if len(raw) > end + 5:
        raise ProtocolError(f"Execute message has {len(raw) - end - 5} bytes too many")
    return _name(raw[HEADER_SIZE:end])


def pack_query(sql: str) -> bytes:
    """A Query message."""
    text = sql.encode()
    return HEADER.pack(Code.QUERY, len(text) + 5) + text + b"\0"


def _name(text: Bytes) -> str:
    """As `codec.Reader.name` has it."""
    return text.decode(errors="surrogateescape") if text else ""
