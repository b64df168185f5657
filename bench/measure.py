"""Timing: cases run in turn, round after round, so that what the machine does besides falls on all of them alike.

A case is a function that does its work `number` times and a name; a figure is seconds for one time. The noise of the
machine is measured like a case: a fixed piece of arithmetic, whose figures would be equal on a machine that is at rest.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ROUNDS = 7


@dataclass(frozen=True)
class Case:
    """One row of the table.

    `run` does the work as often as its argument says and gives the seconds that it took, without those of preparing it.
    `target` is the most that the median may be, in seconds, or None.
    """

    name: str
    run: Callable[[int], float]
    number: int
    target: float | None = None


@dataclass(frozen=True)
class Figure:
    """Seconds for one time, one for each round."""

    case: Case
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def within(self) -> bool | None:
        """Whether the median keeps to the target; None where there is none."""
        return None if self.case.target is None else self.median <= self.case.target


def timed(work: Callable[[], object], number: int) -> float:
    """Seconds for `number` calls of `work`, without the collector of cycles."""
    collects = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(number):
            work()
        return time.perf_counter() - start
    finally:
        if collects:
            gc.enable()


def noise() -> Case:
    """The machine itself: 20,000 additions."""
    return Case("fixed arithmetic (the machine's noise)", lambda n: timed(lambda: sum(range(20_000)), n), 200)


def measure(cases: Sequence[Case], rounds: int = ROUNDS) -> list[Figure]:
    """Every case once a round, in order, after one round that does not count."""
    found: list[list[float]] = [[] for _ in cases]
    for turn in range(rounds + 1):
        for case, seconds in zip(cases, found, strict=True):
            gc.collect()
            spent = case.run(case.number) / case.number
            if turn:
                seconds.append(spent)
    return [Figure(case, tuple(seconds)) for case, seconds in zip(cases, found, strict=True)]
