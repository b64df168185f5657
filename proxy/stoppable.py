"""Work of the proxy's own for one session that its client may stop by a CancelRequest: the agent's on a question, and
PostgreSQL's estimate of a statement's cost.

It does not know what the work is, and not how a CancelRequest finds the session (`relay`).
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from proxy.errors import StoppedError

T = TypeVar("T")


class Stoppable:
    """Of one session: one piece of work at a time."""

    __slots__ = ("_running", "_stopped")

    def __init__(self) -> None:
        self._running = self._stopped = False

    def stop(self) -> bool:
        """Whether something runs here. Then its task is to be cancelled, and `run` says why."""
        self._stopped = self._running
        return self._running

    async def run(self, work: Awaitable[T]) -> T:
        """Raises StoppedError if the work was cancelled after `stop`; otherwise whatever it raises."""
        self._running = True
        try:
            return await work
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            raise StoppedError("canceling statement due to user request") from None
        finally:
            self._running = self._stopped = False
