"""The few messages about prepared statements that `leasenames` writes and rewrites, as bytes.

Names are bytes here: which encoding they have is the client's and the server's affair. It does not know sessions.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from typing import Final

from proxy.wire.buffer import Frame
from proxy.wire.codec import HEADER_SIZE, Code
from proxy.wire.peek import MAX_NAME

PREFIX: Final = b"pgveil_s_"
_KEY: Final = secrets.token_bytes(16)
"""Names cannot be guessed by clients, and are the same on all connections of the process."""


def server_name(text: bytes, types: bytes, salt: bytes) -> bytes:
    """The server's name for a statement. `salt`: what it is analysed by."""
    made = hashlib.blake2b(text, digest_size=16, key=_KEY)
    made.update(b"\0" + types + b"\0" + salt)
    return PREFIX + made.hexdigest().encode()


def framed(tag: int, body: bytes) -> bytes:
    return bytes((tag,)) + struct.pack("!i", len(body) + 4) + body


def parse_frame(name: bytes, text: bytes, types: bytes) -> bytes:
    return framed(Code.PARSE, name + b"\0" + text + b"\0" + types)


def describe_frame(name: bytes) -> bytes:
    return framed(Code.DESCRIBE, b"S" + name + b"\0")


def close_frame(name: bytes) -> bytes:
    return framed(Code.CLOSE, b"S" + name + b"\0")


def parse_parts(frame: Frame) -> tuple[bytes, bytes, bytes] | None:
    """Name, text, types; None: the server shall say what is wrong with it."""
    name, found, rest = bytes(frame.raw[HEADER_SIZE:]).partition(b"\0")
    text, also, types = rest.partition(b"\0")
    if not found or not also:
        return None
    return name[:MAX_NAME], text, types


def bound_name(frame: Frame) -> tuple[int, int, bytes] | None:
    """Where the statement's name begins and ends in a Bind, and the name; None as above."""
    start = frame.raw.find(b"\0", HEADER_SIZE) + 1
    end = frame.raw.find(b"\0", start)
    if not start or end < 0:
        return None
    return start, end, bytes(frame.raw[start:end])[:MAX_NAME]


def renamed(frame: Frame, start: int, end: int, name: bytes) -> bytes:
    raw = frame.raw
    return framed(raw[0], bytes(raw[HEADER_SIZE:start]) + name + bytes(raw[end:]))


def named(frame: Frame) -> bytes | None:
    """The statement's name in a Describe or Close; None where it is about a portal, or about nothing known."""
    body = bytes(frame.raw[HEADER_SIZE:])
    if body[:1] != b"S" or body[-1:] != b"\0":
        return None
    return body[1:-1][:MAX_NAME]


def is_reserved(frame: Frame) -> bool:
    """Whether the client names a statement as only the server does: it could run or replace what is everybody's."""
    if PREFIX not in frame.raw:
        return False
    if frame.tag == Code.BIND:
        found = bound_name(frame)
        return found is not None and found[2].startswith(PREFIX)
    if frame.tag == Code.PARSE:
        return frame.raw.startswith(PREFIX, HEADER_SIZE)
    return frame.tag in (Code.DESCRIBE, Code.CLOSE) and frame.raw.startswith(b"S" + PREFIX, HEADER_SIZE)


def renamed_error(raw: bytes | bytearray, server: bytes, name: bytes) -> bytes | bytearray:
    """An ErrorResponse about a statement, with the client's name for it."""
    if not server or server not in raw:
        return raw
    return framed(raw[0], bytes(raw[HEADER_SIZE:]).replace(b'"' + server + b'"', b'"' + name + b'"'))


_COLUMN: Final = struct.Struct("!ihihih")
"""Table, column number, type, its size, modifier, format: PostgreSQL compares the type and the modifier."""


def shape_of(frame: Frame) -> bytes:
    """Names and types of a RowDescription's columns; empty for NoData."""
    if frame.tag != Code.ROW_DESCRIPTION:
        return b""
    body, pos, found = bytes(frame.raw[HEADER_SIZE:]), 2, []
    while pos < len(body):
        end = body.index(b"\0", pos) + 1
        _, _, kind, _, modifier, _ = _COLUMN.unpack_from(body, end)
        found.append(body[pos:end] + struct.pack("!Ii", kind & 0xFFFFFFFF, modifier))
        pos = end + _COLUMN.size
    return b"".join(found)
