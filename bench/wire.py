"""What pgveil costs on the wire, held against pgbouncer in the same run.

CPU is the proxy's alone, user and system, by the kernel's own clock: it is what a transaction costs, however busy the
machine is otherwise. pgbouncer is in session mode but for the rows of transaction pooling; it does not parse, mask or
keep an audit trail. The rows with the audit trail on, and those of transaction pooling, have nothing to reach.

`python -m bench wire` takes about ten minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import load, start, workers
from bench.compare import Comparison, Measure, Reach, Row, Unit, measured
from bench.servers import ACCOUNTS, BYPASS, MASKED, Server, Site, bouncer_prepares, site

SECONDS = 4.0
"""Of one pgbench run."""
MODES = ("simple", "prepared")
POOLED_SECONDS = 2.0
POOLED_MODES = ("simple", "extended", "prepared")
IDLE = 5_000
ROWS = 1_000_000
RESULTS = 7
"""Of each side, in one round."""
PROBES = 3_000

_ACCOUNT = "SELECT abalance FROM pgbench_accounts WHERE aid = "
_SCRIPTS = {
    "plain": f"\\set aid random(1, {ACCOUNTS})\n{_ACCOUNT}:aid;\n",
    "people": f"\\set aid random(1, {ACCOUNTS})\nSELECT abalance, email, phone FROM people WHERE aid = :aid;\n",
}
_VISITS = f"SELECT id, person, email, phone FROM visits LIMIT {ROWS}"


@dataclass(frozen=True, slots=True)
class Field:
    """The servers of a run, and the scripts of pgbench."""

    site: Site
    bouncer: Server
    pgveil: Server
    audited: Server
    scripts: dict[str, Path]

    def cpu(self, server: Server, user: str, script: str, mode: str) -> Measure:
        """Seconds of the proxy's for one transaction."""
        return lambda: load.pgbench(self.site, server, user, self.scripts[script], mode, SECONDS).cpu


def compare(rounds: int) -> list[Comparison]:
    """Every row, after one round that does not count."""
    with ExitStack() as stack:
        place = stack.enter_context(site())
        workers.prepare(place)
        scripts = {}
        for name, text in _SCRIPTS.items():
            scripts[name] = place.directory / f"{name}.sql"
            scripts[name].write_text(text)
        field = Field(
            place,
            stack.enter_context(place.pgbouncer()),
            stack.enter_context(place.pgveil()),
            stack.enter_context(place.pgveil(audit={"path": str(place.directory / "audit.jsonl")})),
            scripts,
        )
        found = measured([*_cpu(field), *_results(field), *_latency(field)], rounds)
        found += measured([*_pooled(stack, place, scripts["plain"])], rounds)
        found += measured([*workers.rows(place), _idle(place), *_start(place)], rounds)
    return found


class _Both:
    """One large result, of the peer and of pgveil in turn, for several rows of a round."""

    def __init__(self, peer: load.Side, ours: load.Side) -> None:
        self._sides = peer, ours
        self._found: list[load.Result] = []

    def take(self) -> float:
        """Measures both; the peer's wall time."""
        self._found = load.results(self._sides, RESULTS)
        return self._found[0].wall

    def wall(self) -> float:
        return self._found[1].wall

    def peers_cpu(self) -> float:
        return self._found[0].cpu

    def cpu(self) -> float:
        return self._found[1].cpu


class _Kept:
    """One measurement of the peer's for several rows of a round."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._value = 0.0

    def take(self) -> float:
        """Measures."""
        self._value = self._measure()
        return self._value

    def again(self) -> float:
        """What was measured last."""
        return self._value


def _cpu(field: Field) -> Iterator[Row]:
    for mode in MODES:
        name, what = f"CPU of a transaction, -M {mode}", Unit.SECONDS
        peer = _Kept(field.cpu(field.bouncer, BYPASS, "plain", mode))
        ours, audited = field.pgveil, field.audited
        yield Row(f"{name}, bypass role", what, field.cpu(ours, BYPASS, "plain", mode), peer.take, Reach(1.0))
        yield Row(
            f"{name}, masked role, no protected table",
            what,
            field.cpu(ours, MASKED, "plain", mode),
            peer.again,
            Reach(1.25),
        )
        yield Row(f"{name}, bypass role, audited", what, field.cpu(audited, BYPASS, "plain", mode), peer.again)
        people = field.cpu(field.bouncer, BYPASS, "people", mode)
        yield Row(f"{name}, two SQL masks", what, field.cpu(ours, MASKED, "people", mode), people, Reach(1.5))


def _pooled(stack: ExitStack, place: Site, script: Path) -> Iterator[Row]:
    """Twice as many clients as connections, which take them in turn. The peer's transaction mode knows statements that
    were prepared where it is new enough."""
    prepares = bouncer_prepares()
    more = {"max_prepared_statements": 200} if prepares else {}
    size = load.CLIENTS // 2
    ours = stack.enter_context(place.pgveil(pool={"mode": "transaction", "size": size}))
    bouncer = stack.enter_context(place.pgbouncer(pool_mode="transaction", default_pool_size=size, **more))

    def cpu(server: Server, user: str, mode: str) -> Measure:
        return lambda: load.pgbench(place, server, user, script, mode, POOLED_SECONDS).cpu

    for mode in POOLED_MODES:
        peer = _Kept(cpu(bouncer, BYPASS, mode))
        takes, again = (peer.take, peer.again) if prepares or mode != "prepared" else (None, None)
        name, what = f"CPU of a transaction, -M {mode}, transaction pooling", Unit.SECONDS
        yield Row(f"{name}, bypass role", what, cpu(ours, BYPASS, mode), takes)
        yield Row(f"{name}, masked role, no protected table", what, cpu(ours, MASKED, mode), again)


def _results(field: Field) -> Iterator[Row]:
    masked = _as_sent(field.site, _VISITS)
    for name, user, sql in (("bypass role", BYPASS, _VISITS), ("two SQL masks", MASKED, masked)):
        both = _Both((field.bouncer, BYPASS, sql), (field.pgveil, user, _VISITS))
        title = f"{ROWS:,} rows, {name}"
        # At least 0.95 of the peer's speed.
        yield Row(title, Unit.SECONDS, both.wall, both.take, Reach(1 / 0.95))
        yield Row(f"{title}, CPU", Unit.SECONDS, both.cpu, both.peers_cpu)


def _as_sent(place: Site, sql: str) -> str:
    """What pgveil sends for a masked role: the peer is asked for it too, so that the server's work is the same."""
    config = sorted(place.directory.glob("pgveil*/pgveil.yaml"))[0]
    command = [sys.executable, "-m", "proxy", "simulate", "--as", MASKED, "--json", "--config", str(config), sql]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    return str(json.loads(done.stdout)["sql"])


def _latency(field: Field) -> Iterator[Row]:
    """What each proxy adds to a query that goes to the server without one."""
    statements = [f"{_ACCOUNT}{n}" for n in range(1, PROBES + 1)]
    ports = ((field.site.postgres, "postgres"), (field.bouncer.port, BYPASS), (field.pgveil.port, BYPASS))
    found: list[tuple[float, float]] = []

    def added(which: int, part: int, *, again: bool) -> Measure:
        def measure() -> float:
            if not again:
                found[:] = load.latencies(ports, statements)
            return found[which][part] - found[0][part]

        return measure

    for part, name in enumerate(("median", "99th percentile")):
        yield Row(
            f"latency that it adds to a one-row query, {name}",
            Unit.SECONDS,
            added(2, part, again=True),
            added(1, part, again=part > 0),
            Reach(1.5),
        )


def _idle(place: Site) -> Row:
    """Clients that hold no connection of the server's: transaction pooling."""

    def ours() -> float:
        with place.pgveil(pool={"mode": "transaction", "size": 4}) as server:
            return load.idle_bytes(server, MASKED, IDLE)

    def peer() -> float:
        with place.pgbouncer(pool_mode="transaction", default_pool_size=4, max_client_conn=2 * IDLE) as server:
            return load.idle_bytes(server, MASKED, IDLE)

    return Row(f"memory of one of {IDLE:,} idle clients", Unit.BYTES, ours, peer, Reach(8 * 1024, own=True))


def _start(place: Site) -> Iterator[Row]:
    yield Row(
        "from the command to the listening line",
        Unit.SECONDS,
        lambda: start.start_seconds(1, place)[0],
        reach=Reach(1.5, own=True),
    )
    yield Row(
        "memory before the first question",
        Unit.BYTES,
        lambda: float(start.rss_bytes(place)),
        reach=Reach(90e6, own=True),
    )
