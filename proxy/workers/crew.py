"""What a server knows of the other workers: its own number, who may take the next client, and where cancels go.

A cancel key says which worker it is of: its secret's first four bytes, read as a number, leave that as the remainder of
a division by the number of workers. So a secret of protocol 3.0, which has these four alone, is as random as it can be:
with two workers it has 31 bits for 32. The key's process number is the server's, and is left alone.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from proxy.limits import Running
from proxy.wire.startup import CancelRequest

MAX_WORKERS = 255
_MARKED = 4
"""Bytes of the secret that say which worker it is of."""


def make_secret(crew: Crew, length: int) -> bytes:
    """A random secret that is this worker's."""
    marked = secrets.randbelow(2 ** (8 * _MARKED) // crew.workers) * crew.workers + crew.number - 1
    return marked.to_bytes(_MARKED, "big") + secrets.token_bytes(length - _MARKED)


def worker_of(secret: bytes, workers: int) -> int:
    """The worker whose secret this is, if it is anybody's."""
    return int.from_bytes(secret[:_MARKED], "big") % workers + 1


async def _nowhere(_request: CancelRequest) -> None:
    """There is no other worker."""


def _ignore(_count: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Crew:
    """A server's place among the workers, of which it is number 1 to `workers`; by default it is alone."""

    number: int = 1
    workers: int = 1
    running: Running = field(default_factory=Running)
    """For limits that hold across workers."""
    ahead: Callable[[], int] = int
    """How many connections more than another worker this one has."""
    has: Callable[[int], None] = _ignore
    """Is told how many connections this one has."""
    hand_over: Callable[[CancelRequest], Awaitable[None]] = _nowhere
    """Has the request dealt with by its worker, and comes back once that is done. Raises nothing."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Of sessions; no two in all workers are the same."""

    def worker_of(self, secret: bytes) -> int:
        return worker_of(secret, self.workers)
