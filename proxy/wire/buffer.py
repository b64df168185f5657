"""Cuts a stream of tagged messages into frames: one scan per chunk, and no copy of what is only passed on.

A chunk of a large result holds thousands of DataRow messages that nobody needs to look at. The reader says
which codes those are (`passing`), and then gets them as one `Run` of bytes. A run may end inside a frame; its
rest comes first in the next chunk's run, so a value of a gigabyte passes in pieces and memory stays at one
chunk. Every other message comes as one whole `Frame`, held until it is complete: memory is bounded by
`max_frame`, which is checked when the header arrives.

Nothing may be put between the parts of a frame that is under way: see `FrameBuffer.inside`.

It does not know what messages mean, and untagged startup packets are `startup`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from proxy.errors import ProtocolError
from proxy.wire.codec import HEADER, HEADER_SIZE, Bytes

MAX_FRAME = 0x3FFFFFFF + 4
"""PostgreSQL's own limit: bodies of at most 1 GiB - 1 (MaxAllocSize); a length counts its own four bytes."""
MAX_UNAUTHENTICATED_FRAME = 16 * 1024
"""Enough for any password or SASL message; PostgreSQL's own limits there are 1000 to 65535 bytes."""

_MIN_LENGTH = HEADER_SIZE - 1
"""A length counts itself, not the code."""

NOTHING: frozenset[int] = frozenset()


class Frame(NamedTuple):
    """One whole message. `raw` is all of it, header included, and is never changed after it was given out."""

    tag: int
    raw: Bytes

    @property
    def body(self) -> bytes:
        """A copy of what follows the header."""
        return bytes(self.raw[HEADER_SIZE:])

    @classmethod
    def of(cls, raw: bytes) -> Frame:
        """The frame of an encoded message."""
        return cls(raw[0], raw)

    def __repr__(self) -> str:
        return f"Frame({chr(self.tag)!r}, {len(self.raw)} bytes)"


class Run(NamedTuple):
    """Consecutive passing messages, to be forwarded as they are. `frames` counts those that begin in it."""

    raw: Bytes
    frames: int
    lead: int = 0
    """How many bytes at its start belong to a message that began in an earlier run."""
    rest: int = 0
    """How many bytes of its last message are still to come."""

    @property
    def size(self) -> int:
        """Bytes of the messages that begin in it, whole."""
        return len(self.raw) - self.lead + self.rest if self.frames else 0

    def __repr__(self) -> str:
        return f"Run({len(self.raw)} bytes, {self.frames} frames)"


_new = tuple.__new__
"""Frame(...) without the call of its __new__, which is half of the cost of cutting a small frame."""


class FrameBuffer:
    """`feed` it bytes, then take what `cut` gives. Both may be called at any time, in any order.

    `passing` and `max_frame` may be changed between two items of `cut`, and hold for what comes next. A
    reader that stops taking keeps its place: what was not taken stays here, first in the next `cut`.
    """

    def __init__(self, max_frame: int = MAX_FRAME, passing: frozenset[int] = NOTHING) -> None:
        self.max_frame = max_frame
        self.passing = passing
        self._data: bytes = b""
        self._pos = 0
        self._partial = bytearray()
        """The beginning of a frame that needs more chunks, header included..."""
        self._missing = 0
        """...and how many bytes it still needs."""
        self._run_left = 0
        """How many bytes of the run's last frame are still to come."""

    def __repr__(self) -> str:
        return f"FrameBuffer(pending={self.pending}, inside={self.inside})"

    @property
    def pending(self) -> int:
        """Bytes held: fed and not taken."""
        return len(self._data) - self._pos + len(self._partial)

    @property
    def inside(self) -> bool:
        """Whether the last run that was given out ends inside a frame: only its rest may be sent after it."""
        return self._run_left > 0

    def feed(self, data: bytes) -> None:
        """Adds a chunk. What was not taken yet is kept in front of it."""
        rest = self._data[self._pos :] if self._pos else self._data
        self._data = rest + data if rest else data
        self._pos = 0

    def cut(self) -> Iterator[Frame | Run]:
        """Everything that is complete. Raises ProtocolError for a length below 4 or above `max_frame`."""
        while True:
            data, pos = self._data, self._pos
            if self._missing:
                frame = self._fill()
                if frame is None:
                    return
                yield frame
                continue
            if self._run_left and pos < len(data):
                yield self._run()
                continue
            if len(data) - pos < HEADER_SIZE:
                self._data, self._pos = data[pos:], 0  # let go of the chunk
                return
            tag, length = HEADER.unpack_from(data, pos)
            if not _MIN_LENGTH <= length <= self.max_frame:
                raise _bad_length(length, self.max_frame)
            if tag in self.passing:
                yield self._run()
                continue
            stop = pos + 1 + length
            if stop > len(data):
                self._hold(stop)
                return
            self._pos = stop
            yield _new(Frame, (tag, data[pos:stop]))

    def frames(self) -> Iterator[Frame]:
        """`cut` for a reader that lets nothing pass: whole messages only."""
        if self.passing or self._run_left:
            raise ValueError("frames() is for a buffer with no passing codes")
        for item in self.cut():
            if isinstance(item, Frame):
                yield item

    def take_rest(self) -> bytes:
        """Everything that is held, and forgets it: for handing a connection on."""
        rest = bytes(self._partial) + self._data[self._pos :]
        self._data, self._pos = b"", 0
        self._partial, self._missing = bytearray(), 0
        return rest

    def _run(self) -> Run:
        """The longest stretch of passing frames from here; it may end inside one."""
        data, start, passing, left = self._data, self._pos, self.passing, self._run_left
        unpack, end, limit = HEADER.unpack_from, len(data), self.max_frame
        pos, frames = start + left, 0
        while pos + HEADER_SIZE <= end:
            tag, length = unpack(data, pos)
            if tag not in passing:
                break
            if not _MIN_LENGTH <= length <= limit:
                raise _bad_length(length, limit)
            pos += 1 + length
            frames += 1
        self._pos = min(pos, end)
        self._run_left = pos - self._pos
        raw = data if start == 0 and self._pos == end else data[start : self._pos]
        return Run(raw, frames, min(left, len(raw)), self._run_left)

    def _hold(self, stop: int) -> None:
        """Keeps the beginning of a frame that ends at `stop`, beyond this chunk."""
        self._partial = bytearray(memoryview(self._data)[self._pos :])
        self._missing = stop - len(self._data)
        self._data, self._pos = b"", 0

    def _fill(self) -> Frame | None:
        """Goes on with the frame that is held; gives it once it is whole."""
        part = self._data[self._pos : self._pos + self._missing]
        self._pos += len(part)
        self._partial += part
        self._missing -= len(part)
        if self._missing:
            return None
        raw, self._partial = self._partial, bytearray()
        return Frame(raw[0], raw)


def _bad_length(length: int, limit: int) -> ProtocolError:
    if length < _MIN_LENGTH:
        return ProtocolError(f"invalid message length {length}")
    return ProtocolError(f"message of {length} bytes is over the limit of {limit} bytes")
