"""A figure of pgveil's beside a peer's, taken in turn in the same run, and what the two may be to each other.

It does not know who the peer is or how a figure is taken: rows say so.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))

Measure = Callable[[], float]


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    # Rounded first: 999.9 µs has three digits as 1 ms, and none as 1e+03 µs.
    rounded = float(f"{seconds:.3g}")
    size, unit = next(((size, unit) for size, unit in UNITS if rounded >= size), UNITS[-1])
    return f"{rounded / size:.3g} {unit}"


class Unit(Enum):
    """What a figure counts, and how it is written."""

    SECONDS = "seconds"
    PER_SECOND = "per second"
    BYTES = "bytes"

    def show(self, value: float) -> str:
        """Three digits and a unit."""
        if self is Unit.SECONDS:
            return duration(value)
        if self is Unit.PER_SECOND:
            return f"{value:,.0f}/s"
        return f"{value / 1024:.3g} KiB" if value < 1 << 20 else f"{value / (1 << 20):.3g} MiB"


@dataclass(frozen=True, slots=True)
class Reach:
    """What a row's number has to keep to: at most, or at least, so much.

    The number is the ratio to the peer, or pgveil's own figure where there is no peer to hold it against.
    """

    bound: float
    at_least: bool = False
    own: bool = False

    def met(self, number: float) -> bool:
        return number >= self.bound if self.at_least else number <= self.bound

    def show(self, unit: Unit) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {unit.show(self.bound)}" if self.own else f"{sign} {self.bound:g} ×"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table. `peer` and `ours` have one figure for each round; `peer` may be empty."""

    name: str
    unit: Unit
    ours: tuple[float, ...]
    peer: tuple[float, ...] = ()
    reach: Reach | None = None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios: what the machine did in one round fell on both sides of it."""
        if not self.peer:
            return None
        return statistics.median(ours / peer for ours, peer in zip(self.ours, self.peer, strict=True))

    @property
    def within(self) -> bool | None:
        """Whether the row keeps to what it has to reach; None where nothing is asked."""
        if self.reach is None:
            return None
        number = statistics.median(self.ours) if self.reach.own else self.ratio
        return number is not None and self.reach.met(number)


@dataclass(frozen=True, slots=True)
class Row:
    """A line to be measured."""

    name: str
    unit: Unit
    ours: Measure
    peer: Measure | None = None
    reach: Reach | None = None


def measured(rows: Sequence[Row], rounds: int) -> list[Comparison]:
    """Every row once a round, the peer right before pgveil, after one round that does not count."""
    ours: list[list[float]] = [[] for _ in rows]
    peers: list[list[float]] = [[] for _ in rows]
    for turn in range(rounds + 1):
        for row, own, others in zip(rows, ours, peers, strict=True):
            other = None if row.peer is None else row.peer()
            figure = row.ours()
            if turn:
                own.append(figure)
                if other is not None:
                    others.append(other)
    return [
        Comparison(row.name, row.unit, tuple(own), tuple(peer), row.reach)
        for row, own, peer in zip(rows, ours, peers, strict=True)
    ]


def table(comparisons: Sequence[Comparison]) -> list[str]:
    """Lines of Markdown. Figures are medians over the rounds, and so is the ratio: of the rounds' own ratios."""
    lines = ["| what | peer | pgveil | ratio | reach | |", "|---|---:|---:|---:|---|---|"]
    for row in comparisons:
        other = row.unit.show(statistics.median(row.peer)) if row.peer else ""
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        reach = "" if row.reach is None else row.reach.show(row.unit)
        verdict = {None: "", True: "kept", False: "**missed**"}[row.within]
        own = row.unit.show(statistics.median(row.ours))
        lines.append(f"| {row.name} | {other} | {own} | {ratio} | {reach} | {verdict} |")
    return lines
