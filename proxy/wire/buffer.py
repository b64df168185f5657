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
from typing import Final

from proxy.errors import ProtocolError
from proxy.wire.codec import HEADER_SIZE, Bytes

MAX_FRAME: Final = 0x3FFFFFFF + 4
"""PostgreSQL's own limit: bodies of at most 1 GiB - 1 (MaxAllocSize); a length counts its own four bytes."""
SMALL_FRAME: Final = 10_000
"""PostgreSQL's limit for messages that hold a name at most (PQ_SMALL_MESSAGE_LIMIT)."""
LONG_FRAME: Final = 256 * 1024
"""A length above which a message need not be held to be passed on."""
MAX_UNAUTHENTICATED_FRAME: Final = 16 * 1024
"""Enough for any password or SASL message; PostgreSQL's own limits there are 1000 to 65535 bytes."""

_MIN_LENGTH: Final = HEADER_SIZE - 1
"""A length counts itself, not the code."""

NOTHING: frozenset[int] = frozenset()


class Frame:
    """One whole message. `raw` is all of it, header included, and is never changed after it was given out."""

    __slots__ = ("raw", "tag")

    def __init__(self, tag: int, raw: Bytes) -> None:
        self.tag = tag
        self.raw = raw

    @property
    def body(self) -> bytes:
        """A copy of what follows the header."""
        return bytes(self.raw[HEADER_SIZE:])

    @classmethod
    def of(cls, raw: bytes) -> Frame:
        """The frame of an encoded message."""
        return cls(raw[0], raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and (self.tag, self.raw) == (other.tag, other.raw)

    def __hash__(self) -> int:
        return hash((self.tag, bytes(self.raw)))

    def __repr__(self) -> str:
        return f"Frame({chr(self.tag)!r}, {len(self.raw)} bytes)"


class Run:
    """Consecutive passing messages, or a part of one long one, to be forwarded as they are. `frames` counts those that
    begin in it."""

    __slots__ = ("frames", "lead", "raw", "rest", "tag")

    def __init__(self, raw: Bytes, frames: int, lead: int = 0, rest: int = 0, tag: int = 0) -> None:
        self.raw = raw
        self.frames = frames
        self.lead = lead
        """How many bytes at its start belong to a message that began in an earlier run."""
        self.rest = rest
        """How many bytes of its last message are still to come."""
        self.tag = tag
        """The code of the long message that begins in it, or 0."""

    @property
    def size(self) -> int:
        """Bytes of the messages that begin in it, whole."""
        return len(self.raw) - self.lead + self.rest if self.frames else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[bytes, int, int, int]:
        return bytes(self.raw), self.frames, self.lead, self.rest

    def __repr__(self) -> str:
        return f"Run({len(self.raw)} bytes, {self.frames} frames)"


class FrameBuffer:
    """`feed` it bytes, then take what `cut` gives. Both may be called at any time, in any order.

    `passing` and `max_frame` may be changed between two items of `cut`, and hold for what comes next. A
    reader that stops taking keeps its place: what was not taken stays here, first in the next `cut`.
    """

    __slots__ = ("_data", "_long", "_missing", "_partial", "_pos", "_run_left", "long", "max_frame", "passing", "small")

    def __init__(
        self,
        max_frame: int = MAX_FRAME,
        passing: frozenset[int] = NOTHING,
        small: frozenset[int] = NOTHING,
        long: frozenset[int] = NOTHING,
    ) -> None:
        self.max_frame = max_frame
        self.passing = passing
        self.small = small
        """The codes of messages that have at most SMALL_FRAME..."""
        self.long = long
        """...and of those that come as runs, of one message each, where they are longer than LONG_FRAME."""
        self._long = False
        """Whether the run that is under way is such a message."""
        self._data: bytes = b""
        self._pos = 0
        self._partial: bytearray | None = None
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
        held = len(self._data) - self._pos
        return held if self._partial is None else held + len(self._partial)

    @property
    def empty(self) -> bool:
        """Whether nothing is held, and no run is under way: the next chunk begins with a message."""
        return self._pos == len(self._data) and self._partial is None and self._run_left == 0

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
        """Everything that is complete, as `take` gives it."""
        while (item := self.take()) is not None:
            yield item

    def take(self) -> Frame | Run | None:
        """The next frame or run; None: it is not complete. Raises ProtocolError for a length below 4 or above
        `max_frame`."""
        if self._partial is not None:
            return self._fill(self._partial)
        data, pos = self._data, self._pos
        end = len(data)
        if self._run_left and pos < end:
            return self._run()
        if end - pos < HEADER_SIZE:
            self._data, self._pos = data[pos:], 0  # let go of the chunk
            return None
        tag, length = data[pos], length_at(data, pos)
        if length < _MIN_LENGTH or length > self.max_frame:
            raise _bad_length(length, self.max_frame)
        if length > SMALL_FRAME and tag in self.small:
            raise _bad_length(length, SMALL_FRAME)
        if tag in self.passing:
            return self._run()
        stop = pos + 1 + length
        if stop > end:
            if length > LONG_FRAME and tag in self.long:
                return self._begin_long(tag, stop)
            self._hold(stop)
            return None
        self._pos = stop
        return Frame(tag, data if pos == 0 and stop == end else data[pos:stop])

    def frames(self) -> Iterator[Frame]:
        """`cut` for a reader that lets nothing pass: whole messages only."""
        if self.passing or self._run_left:
            raise ValueError("frames() is for a buffer with no passing codes")
        for item in self.cut():
            if isinstance(item, Frame):
                yield item

    def take_rest(self) -> bytes:
        """Everything that is held, and forgets it: for handing a connection on."""
        rest = bytes(self._partial or b"") + self._data[self._pos :]
        self._data, self._pos = b"", 0
        self._partial, self._missing = None, 0
        return rest

    def _run(self) -> Run:
        """The longest stretch of passing frames from here; it may end inside one."""
        data, start, passing, left = self._data, self._pos, self.passing, self._run_left
        end, limit = len(data), self.max_frame
        pos, frames = start + left, 0
        while pos + HEADER_SIZE <= end and not self._long:
            if data[pos] not in passing:
                break
            length = length_at(data, pos)
            if length < _MIN_LENGTH or length > limit:
                break  # `take` says so, once what stands before it was taken
            pos += 1 + length
            frames += 1
        self._pos = min(pos, end)
        self._run_left = pos - self._pos
        self._long = self._long and self._run_left > 0
        raw = data if start == 0 and self._pos == end else data[start : self._pos]
        return Run(raw, frames, min(left, len(raw)), self._run_left)

    def _begin_long(self, tag: int, stop: int) -> Run:
        """The part of a long message that is there."""
        raw = self._data[self._pos :]
        self._run_left = stop - len(self._data)
        self._data, self._pos, self._long = b"", 0, True
        return Run(raw, 1, 0, self._run_left, tag)

    def _hold(self, stop: int) -> None:
        """Keeps the beginning of a frame that ends at `stop`, beyond this chunk."""
        self._partial = bytearray(memoryview(self._data)[self._pos :])
        self._missing = stop - len(self._data)
        self._data, self._pos = b"", 0

    def _fill(self, partial: bytearray) -> Frame | None:
        """Goes on with the frame that is held; gives it once it is whole."""
        part = self._data[self._pos : self._pos + self._missing]
        self._pos += len(part)
        partial += part
        self._missing -= len(part)
        if self._missing:
            return None
        self._partial = None
        return Frame(partial[0], partial)


def length_at(data: bytes, pos: int) -> int:
    """The length in the header at `pos`, which is whole: it counts its own four bytes. Unsigned."""
    return data[pos + 1] << 24 | data[pos + 2] << 16 | data[pos + 3] << 8 | data[pos + 4]


def _bad_length(length: int, limit: int) -> ProtocolError:
    if length >= 1 << 31:
        length -= 1 << 32
    if length < _MIN_LENGTH:
        return ProtocolError(f"invalid message length {length}")
    return ProtocolError(f"message of {length} bytes is over the limit of {limit} bytes")
