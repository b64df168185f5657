"""How long `pgveil serve` takes to its listening line, and what it weighs before it has been asked anything.

A database, the demo's policy, one worker. The memory is what the process has once its HTTP port has answered too, which
is loaded after clients are accepted: an orchestrator asks it within seconds, so leaving it out would flatter.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.servers import Site, free_port, site

_POLICIES = Path(__file__).parents[1] / "policies"
_PATIENCE = 30.0
_PAGES = ("healthz", "readyz", "metrics")


def start_seconds(rounds: int, place: Site | None = None) -> list[float]:
    """From the command to the line, so many times, after one that warms the machine's caches up."""
    found = []
    with _at(place) as there:
        for _ in range(rounds + 1):
            begun = time.perf_counter()
            with there.pgveil(policies=str(_POLICIES)):
                found.append(time.perf_counter() - begun)
    return found[1:]


def rss_bytes(place: Site | None = None) -> int:
    """Resident memory before the first question, in bytes."""
    port = free_port()
    with _at(place) as there, there.pgveil(policies=str(_POLICIES), http=f"127.0.0.1:{port}") as server:
        for page in _PAGES:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=_PATIENCE) as answer:
                answer.read()
        return server.rss_bytes()


@contextmanager
def _at(place: Site | None) -> Iterator[Site]:
    if place is not None:
        yield place
    else:
        with site() as made:
            yield made
