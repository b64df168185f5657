"""What a policy's limits leave of one result: rows are counted, and those too many are taken out of the stream.

Rows come as runs of bytes. While a run fits, it passes as it is; the one that does not is cut between two messages.
The server was asked for one row more than the limit, so that a result of exactly that many rows is not called cut.

It does not know which statement a result is of: `results` does.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from proxy.wire.buffer import Run
from proxy.wire.codec import HEADER, Bytes
from proxy.wire.messages import CommandComplete, CopyData, NoticeResponse, notice_response

_BINARY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""COPY's, with no flags and no extension: it comes in one message with the first row."""
_TRAILER: Final = 4 + 2
"""The length of the message that ends a binary COPY."""
_EMPTY_BINARY: Final = 4 + len(_BINARY_HEADER) + 2
"""The length of the only message of a binary COPY without rows."""

_COUNTED: Final = frozenset({"SELECT", "FETCH", "MOVE", "COPY"})
"""Tags whose number is of rows that were shown; an INSERT's is of what was done."""


class Tally:
    """What is left of the limits on one result, over every FETCH or Execute that it is read by. None: no limit."""

    def __init__(self, max_rows: int | None, max_bytes: int | None) -> None:
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.shown = 0
        """Rows that have passed."""
        self.cut: str | None = None
        """The limit that this result has met."""
        self._bytes = 0
        self._said = self._scrolled = False

    def __repr__(self) -> str:
        return f"Tally(max_rows={self.max_rows}, max_bytes={self.max_bytes}, shown={self.shown}, cut={self.cut})"

    def takes(self, rows: int, size: int) -> bool:
        """Counts them in, if all of them fit."""
        if self._over(rows, size) is not None:
            return False
        self.shown += rows
        self._bytes += size
        return True

    def take_row(self, size: int) -> bool:
        """Counts one row in, or says no to it and to every row after it."""
        self.cut = self._over(1, size)
        return self.cut is None and self.takes(1, size)

    def take_head(self, size: int) -> None:
        """Counts what is no row, and always passes."""
        self._bytes += size

    def skip(self, rows: int) -> int:
        """MOVE has gone past so many rows: how many of them the client may know of."""
        if self._scrolled or self.max_rows is None:  # the LIMIT in the server holds for what scrolls
            return rows
        left = max(0, min(rows, self.max_rows - self.shown))
        self.shown += left
        if left < rows:
            self.cut = "max_rows"
        return left

    def scroll(self) -> None:
        """The cursor goes elsewhere than forward: its place is not known any more, and nothing counts its rows."""
        self._scrolled = self._scrolled or self.max_rows is not None
        if self.cut == "max_rows":
            self.cut = None

    def warning(self) -> NoticeResponse | None:
        """What the client is to be told, once."""
        if self._said or (self.cut is None and not self._scrolled):
            return None
        self._said = True
        if self.cut == "max_bytes":
            return _warning(_cut_after(self.shown), f"max_bytes, which is {self.max_bytes}")
        if self.cut == "max_rows":
            return _warning(_cut_after(self.shown), f"max_rows, which is {self.max_rows}")
        return _warning("a cursor that scrolls may end before its query does", f"max_rows, which is {self.max_rows}")

    def _over(self, rows: int, size: int) -> str | None:
        if self.cut is not None:
            return self.cut
        if self.max_rows is not None and not self._scrolled and self.shown + rows > self.max_rows:
            return "max_rows"
        if self.max_bytes is not None and self._bytes + size > self.max_bytes:
            return "max_bytes"
        return None


@dataclass(slots=True)
class Result:
    """The rows between two other messages of the server. `head` messages at its start are no rows: COPY's HEADER."""

    tally: Tally
    binary: bool = False
    """COPY's binary format."""
    head: int = 0
    dropped: int = 0
    _dropping: bool = False
    _first: bool = True

    @property
    def dropping(self) -> bool:
        """Whether the message that is under way does not pass."""
        return self._dropping

    def take(self, run: Run) -> Bytes:
        """What of the run passes."""
        head = min(self.head, run.frames)
        if not self._dropping and self.tally.takes(run.frames - head, run.size):
            self.head -= head
            self._first = self._first and run.frames == 0
            return run.raw
        if self.tally.cut is not None and not self.binary:
            return self._none(run)
        return self._some(run)

    def complete(self, message: CommandComplete) -> CommandComplete:
        """With the number of rows that have passed."""
        command, _, count = message.tag.rpartition(" ")
        if command not in _COUNTED or not count.isdigit():
            return message
        if command == "MOVE":
            return replace(message, tag=f"MOVE {self.tally.skip(int(count))}")
        return replace(message, tag=f"{command} {max(0, int(count) - self.dropped)}")

    def _none(self, run: Run) -> Bytes:
        """Everything is over the limit, but the rest of a row that is not."""
        kept = b"" if self._dropping else run.raw[: run.lead]
        self.dropped += run.frames
        self._dropping = self._dropping or run.frames > 0
        return kept

    def _some(self, run: Run) -> Bytes:
        raw, pos, kept = run.raw, run.lead, bytearray()
        if not self._dropping:
            kept += raw[:pos]
        while pos < len(raw):
            _, length = HEADER.unpack_from(raw, pos)
            stop = pos + 1 + length
            self._dropping = not self._passes(length)
            if not self._dropping:
                kept += raw[pos:stop]
            elif self.binary and self._first:
                kept += CopyData(_BINARY_HEADER).encode()
            self._first = False
            pos = stop
        return kept

    def _passes(self, length: int) -> bool:
        """Whether the message of this length is a row that fits, or none at all."""
        if self.head:
            self.head -= 1
            self.tally.take_head(1 + length)
            return True
        if self.binary and length == (_EMPTY_BINARY if self._first else _TRAILER):
            return True
        if self.tally.take_row(1 + length):
            return True
        self.dropped += 1
        return False


def _cut_after(rows: int) -> str:
    return f"the result was cut after {rows} row{'' if rows == 1 else 's'}"


def _warning(message: str, limit: str) -> NoticeResponse:
    hint = f"The policy limits results of this role by {limit}."
    return notice_response(message, sqlstate="01000", severity="WARNING", hint=hint)
