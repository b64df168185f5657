"""What time it is for the policy: a clock that never goes back.

Exceptions end by it, and one that has ended must not come to life again because somebody set the machine's clock back,
or because it was corrected. So it follows the machine's clock forward, jumps included, and where that one falls behind
it goes on by the time that has really passed. A clock that was wrong and ahead ends exceptions early, until the
process starts again: masked is the safe side.

It does not know time zones: moments are in UTC.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

Seconds = Callable[[], float]


class Clock:
    """`wall` gives seconds since 1970 (UTC), `steady` seconds that nobody can set. Safe to ask from any thread."""

    def __init__(self, wall: Seconds = time.time, steady: Seconds = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._lock = threading.Lock()
        self._seen = (wall(), steady())

    def seconds(self) -> float:
        """Since 1970, UTC."""
        with self._lock:
            # In this order: a thread that is put aside in between reads less, never more, and nothing adds up.
            wall, steady = self._wall(), self._steady()
            reckoned = self._seen[0] + (steady - self._seen[1])
            if wall < reckoned:
                return reckoned
            self._seen = (wall, steady)
            return wall

    def moment(self) -> datetime:
        """The same, as exceptions have it."""
        return datetime.fromtimestamp(self.seconds(), UTC)
