"""What has to be exact across workers at every moment, in memory that they share.

Three things: how many statements of each role set run in each worker (a policy's `max_concurrent`), how many
connections each worker has (whose turn it is to accept the next), and the number of the next session. A worker writes
its own column only, so what a dead one leaves is wiped by clearing its column.

The lock is a record lock of a file (fcntl(2)): it is the process's, and the kernel takes it back from a process that is
killed while it holds it, which no semaphore does. It is held for microseconds.

It has to be made before the workers are forked.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

ROLE_SETS = 1024
"""Role sets that may have limited statements running at one moment. One more is refused."""
_ABSENT = 2**32 - 1
_KEY = 16


class Board:
    """For workers 1 to `workers`. The supervisor's; a worker uses its `Seat`."""

    def __init__(self, workers: int) -> None:
        self.width = workers + 1
        self._file, name = tempfile.mkstemp(prefix="pgveil-")
        os.unlink(name)  # noqa: PTH108 - it is a file to lock, and nothing else
        self.sessions = _shared(8).cast("Q")
        self.connections = _shared(4 * self.width).cast("I")
        self.keys = _shared(_KEY * ROLE_SETS)
        self.counts = _shared(4 * self.width * ROLE_SETS).cast("I")
        for number in range(self.width):
            self.connections[number] = _ABSENT

    @contextmanager
    def locked(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def seat(self, number: int) -> Seat:
        return Seat(self, number)

    def clear(self, number: int) -> None:
        """That worker has ended, and everything that it ran."""
        with self.locked():
            self.connections[number] = _ABSENT
            for row in range(ROLE_SETS):
                if self.counts[row * self.width + number]:
                    self.counts[row * self.width + number] = 0


class Seat:
    """One worker's view of the board; its `enter` and `leave` are what `limits.Running` asks for."""

    def __init__(self, board: Board, number: int) -> None:
        self._board = board
        self.number = number
        self.workers = board.width - 1
        self._rows: dict[tuple[str, ...], int] = {}

    def __repr__(self) -> str:
        return f"Seat({self.number})"

    # Connections

    def has(self, connections: int) -> None:
        """This worker has so many connections now."""
        self._board.connections[self.number] = connections

    def ahead(self) -> int:
        """How many connections more than the worker with the fewest this one has."""
        counts = self._board.connections
        return max(0, counts[self.number] - min(counts[1:]))

    # Numbers

    def session_numbers(self) -> Iterator[int]:
        """1, 2, ...: each once among all workers, whichever ends and is replaced."""
        while True:
            with self._board.locked():
                self._board.sessions[0] += 1
                number = self._board.sessions[0]
            yield number

    # Limits

    def count(self, roles: tuple[str, ...]) -> int:
        """How many run in all workers."""
        with self._board.locked():
            row = self._row(roles)
            return 0 if row is None else self._sum(row)

    def enter(self, roles: tuple[str, ...], limit: int) -> bool:
        """Counts one more, unless `limit` run already."""
        with self._board.locked():
            row = self._row(roles)
            if row is None or self._sum(row) >= limit:
                return False
            self._board.counts[row * self._board.width + self.number] += 1
            return True

    def leave(self, roles: tuple[str, ...]) -> None:
        # Counted by `enter`, so the row has not been given to another role set meanwhile.
        self._board.counts[self._rows[roles] * self._board.width + self.number] -= 1

    def _sum(self, row: int) -> int:
        start = row * self._board.width
        return sum(self._board.counts[start : start + self._board.width])

    def _row(self, roles: tuple[str, ...]) -> int | None:
        """The role set's row; made where it has none. None where there are too many. Under the lock."""
        key = hashlib.blake2b("\0".join(roles).encode(), digest_size=_KEY).digest()
        known = self._rows.get(roles)
        if known is not None and self._key(known) == key:
            return known
        row = self._find(key)
        if row is not None:
            self._rows[roles] = row
        return row

    def _find(self, key: bytes) -> int | None:
        idle = None
        for row in range(ROLE_SETS):
            found = self._key(row)
            if found == key:
                return row
            if not any(found):
                idle = row  # no row behind it has ever been used
                break
        if idle is None:
            idle = next((row for row in range(ROLE_SETS) if not self._sum(row)), None)
        if idle is not None:
            self._board.keys[idle * _KEY : (idle + 1) * _KEY] = key
        return idle

    def _key(self, row: int) -> bytes:
        return bytes(self._board.keys[row * _KEY : (row + 1) * _KEY])


def _shared(size: int) -> memoryview:
    return memoryview(mmap.mmap(-1, size))
