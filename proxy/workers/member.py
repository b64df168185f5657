"""A worker's end of the channel to the supervisor: what is asked of it, what it says, which cancels it hands over.

A worker ends when the supervisor does, however that ended: its sessions could not be reloaded, drained or counted any
more. Signals are the supervisor's; a worker ignores them, or a terminal's Ctrl-C, which reaches every process, would
stop it twice.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from proxy.errors import ConfigError, InternalError, PgveilError
from proxy.limits import Running
from proxy.ops.health import Check, run_checks
from proxy.ops.totals import Snapshot
from proxy.wire.startup import CancelRequest
from proxy.workers.board import Seat
from proxy.workers.channel import (
    Answer,
    Cancel,
    Cancelled,
    Failed,
    Found,
    Learned,
    Link,
    Look,
    Message,
    Reload,
    Stop,
    Up,
)
from proxy.workers.crew import Crew

HAND_OVER_SECONDS = 10.0
"""How long a client that cancels is kept waiting for another worker."""
TELL_SECONDS = 1.0
"""Between two times that a worker tells its numbers unasked."""


@dataclass(frozen=True, slots=True)
class Duties:
    """What the worker does when it is told to."""

    stop: Callable[[], None]
    """Drain; called again, do not wait."""
    reload: Callable[[], None]
    adopt: Callable[[bytes], None]
    """These policies are in force in the others."""
    cancel: Callable[[CancelRequest], Awaitable[None]]
    checks: Mapping[str, Check]
    numbers: Callable[[], Snapshot]


class Member:
    """One worker. `policies` is what the supervisor last learned of the policies in force, None at the first start."""

    def __init__(
        self, sock: socket.socket, seat: Seat, listeners: Sequence[socket.socket], policies: bytes | None
    ) -> None:
        self.listeners = listeners
        self.policies = policies
        self.crew = Crew(
            number=seat.number,
            workers=seat.workers,
            running=Running(seat),
            ahead=seat.ahead,
            has=seat.has,
            hand_over=self._hand_over,
            numbers=seat.session_numbers(),
        )
        self._sock = sock
        self._link: Link | None = None
        self._duties: Duties | None = None
        self._group = asyncio.TaskGroup()
        self._main: asyncio.Task[None] | None = None
        self._reload_at_once = False
        self._tickets = itertools.count(1)
        self._handed_over: dict[int, asyncio.Future[None]] = {}

    def __repr__(self) -> str:
        return f"Member({self.crew.number})"

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """In touch with the supervisor, which learns what the block raises, and the last numbers."""
        self._main = asyncio.current_task()
        self._link = await Link.open(self._sock, self._heard, self._supervisor_lost)
        try:
            async with self._group:
                telling = self._group.create_task(self._tell())
                yield
                telling.cancel()
            self._tell_now()
        except Exception as error:
            self._send(failure(error))
            raise
        finally:
            await self._link.close()

    def serves(self, duties: Duties) -> None:
        """From here on the worker accepts clients, and does what it is told."""
        self._duties = duties
        self.crew.has(0)
        self._send(Up())
        if self._reload_at_once:
            duties.reload()

    def learned(self, policies: bytes) -> None:
        """These are in force now."""
        self._send(Learned(policies))

    # What it hears

    def _heard(self, message: Message) -> None:
        match message:
            case Stop():
                self._stop()
            case Reload():
                self._reload()
            case Cancel():
                self._group.create_task(self._cancel(message))
            case Cancelled(ticket):
                waiting = self._handed_over.pop(ticket, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(None)
            case Learned(policies):
                if self._duties is not None:
                    self._duties.adopt(policies)
            case Look():
                self._group.create_task(self._look(message))
            case _:
                raise InternalError("a worker was sent a message that is not for one")

    def _stop(self) -> None:
        if self._duties is not None:
            self._duties.stop()
        elif self._main is not None:  # nobody is served yet
            self._main.cancel()

    def _reload(self) -> None:
        if self._duties is not None:
            self._duties.reload()
        self._reload_at_once = True

    async def _cancel(self, asked: Cancel) -> None:
        if self._duties is not None:
            await self._duties.cancel(CancelRequest(asked.process_id, asked.secret))
        self._send(Cancelled(asked.ticket))

    async def _look(self, asked: Look) -> None:
        answer: Answer = {}
        if self._duties is not None and asked.subject == "checks":
            answer = await run_checks(self._duties.checks)
        elif self._duties is not None and asked.subject == "metrics":
            answer = self._duties.numbers()
        self._send(Found(asked.ticket, asked.subject, answer))

    def _supervisor_lost(self) -> None:
        self._stop()
        self._stop()

    # What it says

    def _send(self, message: Message) -> None:
        if self._link is not None:
            self._link.send(message)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            self._tell_now()

    def _tell_now(self) -> None:
        if self._duties is not None:
            self._send(Found(0, "metrics", self._duties.numbers()))

    async def _hand_over(self, request: CancelRequest) -> None:
        ticket = next(self._tickets)
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handed_over[ticket] = waiting
        self._send(Cancel(ticket, request.process_id, request.secret_key))
        with suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS):
                await waiting
        self._handed_over.pop(ticket, None)


def only(error: BaseException) -> BaseException:
    """What task groups wrapped, where it is one error."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def failure(error: BaseException) -> Failed:
    """What the operator is told of a child that cannot serve."""
    found = only(error)
    if isinstance(found, PgveilError):
        return Failed(found.message, found.detail, found.hint, config=isinstance(found, ConfigError))
    return Failed(f"a worker failed: {type(found).__name__}", None, "The log says where.", config=False)
