"""Numbers that go up with every statement. A counter of the metrics' library takes a microsecond, these do not.

They know no names and no labels: `metrics` does.
"""

from __future__ import annotations

from collections.abc import Sequence


class Tally:
    """How often something happened."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> None:
        self.count += 1


class Buckets:
    """How often something was how large: `counts` of what is at most each of the `bounds`, which rise, and no more
    than the one before; the last count is of what is larger than all of them. `total` is the sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = list(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        index = 0
        for bound in self._bounds:
            if value <= bound:
                break
            index += 1
        self.counts[index] += 1
        self.total += value

    def least(self) -> None:
        """As `observe` of something too small to be worth a look at the clock."""
        self.counts[0] += 1
