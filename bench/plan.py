"""What a decision costs: `Veil.decide` over texts never seen before, over texts that differ in numbers only, and over
one that its cache has.

`python -m bench plan --profile` says where the time of a cold plan goes.
"""

from __future__ import annotations

import cProfile
import itertools
import pstats
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import isfunction
from typing import Any

from bench import world
from bench.measure import Case, timed
from proxy.policy import parser
from proxy.policy.decide import Veil
from proxy.policy.plan import Plan

MILLISECOND = 1e-3
MICROSECOND = 1e-6

PARAMETERS = (25, 20, 23, 1043, 1700, 1082, 1184, 16)
"""OIDs of text, bigint, integer, varchar, numeric, date, timestamptz and boolean."""


def cases() -> list[Case]:
    """The rows of this module."""
    fresh = itertools.count(1)
    return [
        Case(
            "cold plan, join of 10 tables, 2 masks each",
            _cold(lambda: world.join("masked", next(fresh))),
            40,
            1 * MILLISECOND,
        ),
        Case("cold plan, join of 10 tables without masks", _cold(lambda: world.join("plain", next(fresh))), 100),
        Case("cold plan, one masked table", _cold(lambda: world.simple(next(fresh))), 200),
        Case("cached plan, join of 10 tables, 2 masks each", _cached(world.join("masked", 0)), 5_000, 15 * MICROSECOND),
        Case("cached plan, one masked table", _cached(world.simple(0)), 20_000, 15 * MICROSECOND),
        Case(
            "plan of a known shape, no masked table",
            _shaped(lambda number: f"SELECT id, total FROM plain.orders WHERE id = {number};"),
            20_000,
            3 * MICROSECOND,
        ),
        Case("plan of a known shape, one masked table", _shaped(world.simple), 20_000, 5 * MICROSECOND),
        Case("types of 8 parameters", _parameters(), 2_000),
    ]


def _warm(veil: Veil | None = None) -> Veil:
    """A veil that has met each table: its masked views are made."""
    veil = veil or world.veil()
    for sql in (world.join("masked", 0), world.join("plain", 0), world.simple(0)):
        decided(veil, sql)
    return veil


def _forgetful() -> Veil:
    """As `_warm`, without a cache: the texts of these cases are of one shape."""
    return _warm(Veil(world.POLICY, world.CATALOG, cache_size=0))


def decided(veil: Veil, sql: str) -> Plan:
    """The plan. Raises RuntimeError for a refusal: its time would be no plan's."""
    found = veil.decide(sql, world.identity(), world.SEARCH_PATH)
    if isinstance(found, Plan):
        return found
    raise RuntimeError(f"the veil refused a statement of the benchmark: {found.message}")


def _cold(text: Callable[[], str]) -> Callable[[int], float]:
    veil, identity = _forgetful(), world.identity()

    def run(number: int) -> float:
        decided(veil, text())
        texts = iter([text() for _ in range(number)])
        return timed(lambda: veil.decide(next(texts), identity, world.SEARCH_PATH), number)

    return run


def _shaped(text: Callable[[int], str]) -> Callable[[int], float]:
    """Each text with a number that none had before it."""
    veil, identity = _warm(), world.identity()
    fresh = itertools.count(1)

    def run(number: int) -> float:
        texts = iter([text(next(fresh)) for _ in range(number + 2)])
        for _ in range(2):
            decided(veil, next(texts))
        return timed(lambda: veil.decide(next(texts), identity, world.SEARCH_PATH), number)

    return run


def _cached(sql: str) -> Callable[[int], float]:
    veil, identity = _warm(), world.identity()
    return lambda number: timed(lambda: veil.decide(sql, identity, world.SEARCH_PATH), number)


def _parameters() -> Callable[[int], float]:
    veil = _warm()
    return lambda number: timed(lambda: veil.decide_parameters(PARAMETERS), number)


# Where the time goes


NATIVE = ("_parsed", "_deparsed")
"""Of `parser`: the calls into libpg_query, where they have functions of their own."""


@dataclass
class _Clock:
    """Calls and seconds of functions of `parser`, by who called them (`outer > inner`); an outer one's seconds are
    without those of the inner ones."""

    calls: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    open: list[str] = field(default_factory=list)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            if self.open and self.open[-1].endswith(name):
                return function(*arguments, **named)
            outer = self.open[-1] if self.open else ""
            path = f"{outer} > {name}" if outer else name
            self.open.append(path)
            start = time.perf_counter()
            try:
                found = function(*arguments, **named)
                # A generator does its work where it is read: it is read here.
                return iter(list(found)) if name == "nodes_of" else found
            finally:
                self.open.pop()
                spent = time.perf_counter() - start
                self.calls[path] += 1
                self.seconds[path] += spent
                if outer:
                    self.seconds[outer] -= spent

        return run


@contextmanager
def _watched(clock: _Clock) -> Iterator[None]:
    names = [name for name in (*parser.__all__, *NATIVE) if isfunction(getattr(parser, name, None))]
    before = {name: getattr(parser, name) for name in names}
    for name, function in before.items():
        setattr(parser, name, clock.around(name, function))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(parser, name, function)


def profile(number: int = 100) -> str:
    """Text: where the time of a cold plan goes, by stage, then by function."""
    texts = {
        "join of 10 tables, 2 masks each": lambda i: world.join("masked", i),
        "join of 10 tables without masks": lambda i: world.join("plain", i),
        "one masked table": world.simple,
    }
    parts = [_stages(title, text, number) for title, text in texts.items()]
    return "\n".join([*parts, _functions(texts["join of 10 tables, 2 masks each"], number)])


def _stages(title: str, text: Callable[[int], str], number: int) -> str:
    veil, clock = _forgetful(), _Clock()
    texts = [text(i) for i in range(1, number + 1)]
    start = time.perf_counter()
    with _watched(clock):
        for sql in texts:
            decided(veil, sql)
    spent = time.perf_counter() - start
    lines = [f"{title}: {spent / number * 1e6:.0f} µs"]
    lines += [
        f"  {seconds / number * 1e6:8.0f} µs  {path} ({clock.calls[path] / number:g} calls)"
        for path, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1])
    ]
    rest = spent - sum(clock.seconds.values())
    lines.append(f"  {rest / number * 1e6:8.0f} µs  everything else: the walk, the cache, the plan")
    return "\n".join(lines) + "\n"


def _functions(text: Callable[[int], str], number: int) -> str:
    veil = _forgetful()
    texts = [text(i) for i in range(1, number + 1)]
    profiler = cProfile.Profile()
    with profiler:
        for sql in texts:
            decided(veil, sql)
    rows = sorted(pstats.Stats(profiler).get_stats_profile().func_profiles.items(), key=lambda item: -item[1].tottime)
    lines = ["join of 10 tables, 2 masks each, by function (the profiler's own time included)"]
    lines += [
        f"  {p.tottime / number * 1e6:8.0f} µs  {name} {p.file_name.rpartition('/')[2]}:{p.line_number} "
        f"({p.ncalls} calls in {number})"
        for name, p in rows[:25]
    ]
    return "\n".join(lines) + "\n"
