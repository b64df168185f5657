"""What a second worker adds on two cores, with what can be added there at all.

The server and the client run on the same two cores as the workers. Where a transaction takes P seconds of the workers'
CPU and S of everybody else's, one worker answers at most 1/P of them a second and two 2/(P+S), so that 2P/(P+S) is the
most that the second one can add. PostgreSQL's part of the statements that were tried is a quarter of P or more, which
leaves 1.6 at most: it is not the workers that are measured then. So PostgreSQL is there for the catalogue and for the
first answers, and a stand-in (`standin`) gives them again.

The statements are reports as BI tools write them: a join of ten tables, two masked columns in each, in a text that was
never seen before.

Before all that stands what the machine makes of two processes that have nothing to do with each other. Where this is
not 2, cores are shared with somebody else, or with each other.
"""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import yaml

from bench import load, world
from bench.compare import Measure, Reach, Row, Unit
from bench.servers import DATABASE, MASKED, Server, Site
from proxy import localpg
from proxy.localpg.account import run

SECONDS = 3.0
"""Of one pgbench run."""
WORKERS = 2

_ARITHMETIC_SECONDS = 1.0
_ADDITIONS = 20_000
_WARM_SECONDS = 2.0
"""What a worker does once and for all, such as the masked views of its tables, is done by then."""
_CONSTANT = "'paid'"
_NEW = "'paid-:word'"


def prepare(place: Site) -> None:
    """Makes the tables of the reports. Before any pgveil is started, which would have to learn of them."""
    tables = "".join(f"CREATE TABLE masked.{name} ({columns});" for name, columns in world.TABLES.items())
    sql = ["-v", "ON_ERROR_STOP=1", "-c", f"CREATE SCHEMA masked; {tables}"]
    psql = [place.program("psql"), "-h", "127.0.0.1", "-p", str(place.postgres), "-U", localpg.SUPERUSER]
    done = run([*psql, "-X", "-q", *sql, DATABASE], cwd=place.directory)
    if done.returncode:
        raise RuntimeError(f"the tables of the reports cannot be made: {done.stdout}")


def rows(place: Site) -> Iterator[Row]:
    """The machine, two workers against one, and the most that it could be."""
    yield Row(
        "additions of two processes, against one: the machine itself",
        Unit.PER_SECOND,
        lambda: additions(WORKERS),
        lambda: additions(1),
    )
    reports = _Reports(place)
    name = "transactions of two workers, against one: reports, each text new, from a server that answers at once"
    yield Row(name, Unit.PER_SECOND, reports.rate(WORKERS), reports.rate(1), Reach(1.7, at_least=True))
    yield Row("... the most that their CPU and the others' allow", Unit.PER_SECOND, reports.both, reports.alone)


def additions(processes: int, seconds: float = _ARITHMETIC_SECONDS) -> float:
    """Rounds of a fixed arithmetic that so many processes do in a second, all together."""
    context = multiprocessing.get_context("fork")
    ends = [context.Pipe(duplex=False) for _ in range(processes)]
    running = [context.Process(target=_add, args=(seconds, sender)) for _, sender in ends]
    for process in running:
        process.start()
    found: list[float] = [receiver.recv() for receiver, _ in ends]
    for process in running:
        process.join()
    return sum(found)


def _add(seconds: float, sender: Connection) -> None:
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        sum(range(_ADDITIONS))
        done += 1
    sender.send(done / spent)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of CPU for one transaction: the workers', and of the server's and the client's together."""

    workers: float
    others: float

    @property
    def most_of_one(self) -> float:
        """Transactions a second of one worker that has a core to itself."""
        return 1 / max(self.workers, (self.workers + self.others) / 2)

    @property
    def most_of_two(self) -> float:
        """Of two workers, while the others use the same two cores."""
        return 2 / (self.workers + self.others)


class _Reports:
    """Runs of pgbench, and what their transactions cost."""

    def __init__(self, place: Site) -> None:
        self._place = place
        self._script = place.directory / "reports.sql"
        text = " ".join(world.join("masked", 1).replace(_CONSTANT, _NEW).split())
        self._beginning, _, _ = text.partition(",")
        self._script.write_text(f"\\set word random(1, 1000000000)\n{text};\n")
        self._policies = place.directory / "reports"
        self._policies.mkdir()
        (self._policies / "reports.yaml").write_text(yaml.safe_dump(_policy()))
        self._cost = Cost(0.0, 0.0)
        """Of the last run."""

    def rate(self, workers: int) -> Measure:
        return lambda: self._run(workers)

    def both(self) -> float:
        return self._cost.most_of_two

    def alone(self) -> float:
        return self._cost.most_of_one

    def _run(self, workers: int) -> float:
        place = self._place
        with standin(place, self._beginning) as server:
            dsn = f"postgresql://{localpg.SUPERUSER}@127.0.0.1:{server.port}/{DATABASE}"
            with place.pgveil(workers=workers, upstream={"dsn": dsn}, policies=str(self._policies)) as proxy:
                load.pgbench(place, proxy, MASKED, self._script, "simple", _WARM_SECONDS)
                others = _others(server)
                found = load.pgbench(place, proxy, MASKED, self._script, "simple", SECONDS)
                spent = others() / (found.per_second * SECONDS)
        self._cost = Cost(found.cpu, spent)
        return found.per_second


def _others(server: Server) -> Callable[[], float]:
    """Seconds of CPU, from now on, of the stand-in and of clients that have ended."""

    def so_far() -> float:
        clients = resource.getrusage(resource.RUSAGE_CHILDREN)
        return server.cpu_seconds() + clients.ru_utime + clients.ru_stime

    before = so_far()
    return lambda: so_far() - before


@contextmanager
def standin(place: Site, beginning: str) -> Iterator[Server]:
    """A `standin` before the PostgreSQL of the site, for statements that begin so."""
    command = [sys.executable, "-m", "bench.standin", str(place.postgres), beginning]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=root) as process:
        try:
            said = b"" if process.stdout is None else process.stdout.readline()
            if not said.strip().isdigit():
                raise RuntimeError("the stand-in of the benchmark did not start")
            yield Server("stand-in", int(said), process.pid)
        finally:
            process.terminate()


def _policy() -> dict[str, object]:
    return {
        "version": 1,
        "roles": {"analyst": {"users": [MASKED]}},
        "defaults": {"tables": "deny", "statements": ["select"]},
        "tables": [{"allow": ["masked.*"], "roles": ["analyst"]}],
        "masks": [
            {"columns": [f"masked.{table}.{column}"], "mask": mask}
            for table, masks in world.MASKED.items()
            for column, mask in masks.items()
        ],
    }
