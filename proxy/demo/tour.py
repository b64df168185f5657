"""`pgveil demo`: a database, a proxy in front of it, and a tour that real clients take through it.

Each stop of the tour runs something, shows what a client got, and checks that it is what it claims: a step that
fails, and an attack that is not refused, end the demo with an error.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from proxy.demo import stops
from proxy.demo.child import ChildProxy
from proxy.demo.clients import Clients
from proxy.demo.load import DATABASE
from proxy.demo.screen import Screen
from proxy.demo.setup import Place, prepared
from proxy.ops.log import configure_logging

HOME = Path(".pgveil")


def run_demo(*, tour_only: bool = False, home: Path = HOME) -> int:
    """Start everything, take the tour, and stay until Ctrl-C unless `tour_only`. Returns the exit status.

    `home` is the directory for all that the demo makes. Raises PgveilError (ConfigError, DemoError,
    UpstreamUnavailableError) where something fails; everything is stopped again then.
    """
    configure_logging("error", "console")
    screen = Screen()
    with _ends_on_signals(), prepared(screen, home) as place:
        with screen.working("Starting pgveil", "pgveil accepts connections"):
            child = ChildProxy.start(place.config, place.log)
        try:
            clients = Clients(child.address, DATABASE, place.server.bin_dir / "psql")
            _take_tour(screen, clients, place)
            if not tour_only:
                _how_to_connect(screen, clients, place)
                _stay(screen, child)
        finally:
            child.stop()
    return 0


def _take_tour(screen: Screen, clients: Clients, place: Place) -> None:
    started = time.monotonic()
    stops.side_by_side(screen, clients)
    stops.question(screen, clients)
    asyncio.run(stops.private_question(screen, clients, place))
    stops.attacks(screen, clients)
    screen.say("")
    screen.say(f"The tour took {time.monotonic() - started:.1f} s.")


def _how_to_connect(screen: Screen, clients: Clients, place: Place) -> None:
    arguments = f"-h {clients.address.host} -p {clients.address.port} -U analyst {clients.database}"
    screen.heading("Your turn")
    screen.say("Connect as analyst, support or dba; there are no passwords in the demo:")
    screen.output(f"psql {arguments}", "bold")
    screen.say("No psql? There is one here:")
    screen.output(f"{_relative(clients.psql_path)} {arguments}", "bold")
    screen.say("Then ask, or write SQL as ever:")
    screen.output("/* ask: how many customers per city */;\nSELECT * FROM ask('average price per category');", "bold")
    screen.say(
        f"The policy is {_relative(place.settings.policies)}/demo.yaml, the settings are {_relative(place.config)}."
    )
    screen.say(f"Metrics: http://{place.settings.http}/metrics   Log: {_relative(place.log)}")


def _stay(screen: Screen, child: ChildProxy) -> None:
    """Until Ctrl-C. A proxy that ends by itself is an error."""
    screen.say("")
    screen.say("pgveil stays up until you press Ctrl-C.")
    try:
        raise child.wait()
    except KeyboardInterrupt:
        screen.say("")
        screen.say("Stopping.")


def _relative(path: Path) -> str:
    """Below the working directory without it: shorter, and it may be copied."""
    absolute = Path(os.path.normpath(Path.cwd() / path))
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)


@contextmanager
def _ends_on_signals() -> Iterator[None]:
    """SIGTERM, and a terminal that goes away, end the demo as orderly as Ctrl-C; during the end all are ignored."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
