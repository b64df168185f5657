"""The process that starts the workers, replaces those that die, and carries what they have to say to each other.

It serves nobody itself. One thread, no event loop: it waits on its children's sockets and on signals, and may therefore
fork whenever it wants. SIGHUP, SIGTERM and SIGINT are sent to it alone, and told to workers over their channels, where
one that is still starting finds them too. A child whose channel ends, ends.

A worker that dies is replaced, after a pause if it did not live long. One that dies at once again and again ends the
whole, so that whoever started it learns of that, but not while another one serves clients. The desk, which has none,
is replaced for ever.

It does not know sessions, policies or metrics; it passes on what others understand (`switchboard`).
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import uvloop

from proxy.errors import ConfigError, InternalError, PgveilError
from proxy.ops.log import get_logger
from proxy.workers.board import Board
from proxy.workers.channel import (
    Cancel,
    Cancelled,
    Failed,
    Found,
    Learned,
    Look,
    Message,
    Reload,
    Stop,
    Up,
)
from proxy.workers.children import DESK, HANDLED, Child, fork
from proxy.workers.desk import attend
from proxy.workers.member import Member
from proxy.workers.switchboard import Switchboard, Ways

SHORT_LIFE_SECONDS = 10.0
"""Who has lived no longer than this has died at once..."""
FALLS = 5
"""...and where a worker did so as often in a row and no other serves, nobody is started again."""
PAUSE_SECONDS = 0.2
"""Before the first time that one is started again who died at once; twice as long each time..."""
RETRY_SECONDS = 5.0
"""...up to this, which is also the pause before one is started again whose settings or policies could not be used."""
END_SECONDS = 45.0
"""From the order to drain: longer than a worker's own patience with its sessions."""
HURRY_SECONDS = 8.0
"""The same, once told not to wait."""

_log = get_logger("supervisor")


class WorkersError(PgveilError):
    """Ours, or the machine's: workers cannot be kept running."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is supervised."""

    workers: int
    listeners: Sequence[socket.socket]
    http: socket.socket
    work: Callable[[Member], None]
    """A worker's whole life, in its own process."""
    reload: Callable[[], None]
    """Reads again what the supervisor keeps for workers to come. Raises nothing."""
    ready: Callable[[], None]
    """Told once, when every worker accepts clients."""


@dataclass(slots=True)
class _State:
    """How far it is."""

    announced: bool = False
    stopping: bool = False
    failure: PgveilError | None = None
    policies: bytes | None = None
    falls: dict[int, int] = field(default_factory=dict)


class Supervisor:
    """`run` returns when everything has ended. To be used before any thread or event loop was started."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._board = Board(plan.workers)
        self._children: dict[int, Child] = {}
        self._state = _State()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._signals: list[int] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)
        self._switchboard = Switchboard(plan.workers, self._children, Ways(self._send, self._later))

    def __repr__(self) -> str:
        return f"Supervisor(children={len(self._children)}, stopping={self._state.stopping})"

    def run(self) -> None:
        """Raises ConfigError where workers cannot start as they are told to, WorkersError where they do not live."""
        with self._listening_to_signals():
            try:
                for number in range(1, self._plan.workers + 1):
                    self._start(number)
                while not (self._state.stopping and not self._children):
                    self._turn()
            finally:
                self._end()
        if self._state.failure is not None:
            raise self._state.failure
        _log.info("stopped")

    # The loop

    @contextmanager
    def _listening_to_signals(self) -> Iterator[None]:
        for sock in (self._wake, self._woken):
            sock.settimeout(0)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        before = {number: signal.signal(number, self._noted) for number in HANDLED}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        woken_before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken_before)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _noted(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _turn(self) -> None:
        timeout = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        for key, events in self._selector.select(timeout):
            if key.data is None:
                self._drain_wake()
            else:
                self._attend(key.data, events)
        while self._signals:
            self._obey(self._signals.pop(0))
        for child in list(self._children.values()):
            status = child.ended()
            if status is not None:
                self._bury(child, status)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _drain_wake(self) -> None:
        with suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), call))

    def _attend(self, child: Child, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            child.line.flush()
        if events & selectors.EVENT_READ:
            self._listen_to(child)
        self._watch(child)

    def _watch(self, child: Child) -> None:
        """Waits for what there is to wait for; a channel that has ended says so for ever."""
        if child.line.ended:
            with suppress(KeyError, ValueError):
                self._selector.unregister(child.line.sock)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.line.waiting else 0)
        with suppress(KeyError):
            self._selector.modify(child.line.sock, wanted, child)

    def _send(self, child: Child, message: Message) -> bool:
        sent = child.line.send(message)
        self._watch(child)
        return sent

    # Children

    def _start(self, number: int) -> None:
        if self._state.stopping:
            return
        not_its = [self._wake, self._woken, *(child.line.sock for child in self._children.values())]
        if number == DESK:
            child = fork(DESK, self._attend_desk, [*not_its, *self._plan.listeners])
        else:
            child = fork(number, partial(self._work, number), [*not_its, self._plan.http])
        child.policies = self._state.policies
        self._children[number] = child
        self._selector.register(child.line.sock, selectors.EVENT_READ, child)
        _log.info("a process was started", worker=_name(number), pid=child.pid)

    def _work(self, number: int, sock: socket.socket) -> None:
        self._selector.close()
        self._plan.work(Member(sock, self._board.seat(number), self._plan.listeners, self._state.policies))

    def _attend_desk(self, sock: socket.socket) -> None:
        self._selector.close()
        uvloop.run(attend(sock, self._plan.http))

    def _bury(self, child: Child, status: int) -> None:
        """It has ended. What it said last is still heard, and whoever waits for it need not any more."""
        self._listen_to(child)
        del self._children[child.number]
        with suppress(KeyError, ValueError):
            self._selector.unregister(child.line.sock)
        child.line.close()
        if child.number != DESK:
            self._board.clear(child.number)
        self._switchboard.gone(child)
        state = self._state
        if state.stopping:
            self._end_desk()
            return
        _log.error("a process ended; it is replaced", worker=_name(child.number), pid=child.pid, reason=_how(status))
        if child.misconfigured and any(other.up for other in self._children.values()):
            self._later(RETRY_SECONDS, partial(self._start, child.number))  # somebody may mend it
            return
        lived = time.monotonic() - child.started
        falls = state.falls[child.number] = state.falls.get(child.number, 0) + 1 if lived < SHORT_LIFE_SECONDS else 0
        if falls >= FALLS and not self._can_do_without(child):
            self._give_up(
                WorkersError(
                    f"worker {child.number} has ended {FALLS} times within {SHORT_LIFE_SECONDS:g} seconds of its start",
                    hint="The log says how each of them ended.",
                )
            )
        else:
            pause = min(PAUSE_SECONDS * 2 ** min(falls - 1, FALLS), RETRY_SECONDS) if falls else 0.0
            self._later(pause, partial(self._start, child.number))

    def _can_do_without(self, child: Child) -> bool:
        """Whether clients are served meanwhile."""
        others = any(other.up for other in self._children.values())
        return self._state.announced and (child.number == DESK or others)

    def _give_up(self, failure: PgveilError) -> None:
        state = self._state
        if state.failure is None:
            state.failure = failure
        if not state.stopping:
            self._stop()
        if not state.announced:
            self._stop()

    # Signals

    def _obey(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            _log.info("reading policies and users again", signal=name)
            self._plan.reload()
            for child in self._children.values():
                self._send(child, Reload())
        else:
            _log.info("draining", signal=name)
            self._stop()

    def _stop(self) -> None:
        """Nobody else is accepted; each worker ends when its sessions have. Again: it does not wait for them."""
        seconds = HURRY_SECONDS if self._state.stopping else END_SECONDS
        self._state.stopping = True
        for listener in self._plan.listeners:
            listener.close()
        for child in self._children.values():
            if child.number != DESK:
                self._send(child, Stop())
        self._later(seconds, self._kill_all)
        self._end_desk()

    def _end_desk(self) -> None:
        """Last of all: it says how the others are."""
        desk = self._children.get(DESK)
        if desk is not None and len(self._children) == 1:
            self._send(desk, Stop())
            self._later(HURRY_SECONDS, desk.kill)

    def _kill_all(self) -> None:
        for child in self._children.values():
            if child.number != DESK:
                _log.error("a worker does not end; it is killed", worker=_name(child.number), pid=child.pid)
            child.kill()

    def _end(self) -> None:
        """Whatever is left, if this process fails: nobody would look after it."""
        for child in self._children.values():
            child.kill()
        for sock in (*self._plan.listeners, self._plan.http, self._wake, self._woken):
            sock.close()
        self._selector.close()

    # What children say

    def _listen_to(self, child: Child) -> None:
        try:
            for message in child.line.receive():
                self._hear(child, message)
        except InternalError as error:  # what it says cannot be trusted any more
            name = _name(child.number)
            _log.error("a process said what nobody understands; it is killed", worker=name, exc_info=error)
            child.line.ended = True
            child.kill()

    def _hear(self, child: Child, message: Message) -> None:
        match message:
            case Up():
                child.up = True
                if child.policies != self._state.policies and self._state.policies is not None:
                    self._send(child, Learned(self._state.policies))  # others have moved on while it started
                self._announce_if_all_up()
            case Failed():
                self._failed(child, message)
            case Learned(policies):
                self._state.policies = child.policies = policies
            case Cancel():
                self._switchboard.cancel(child, message)
            case Cancelled(ticket):
                self._switchboard.cancelled(ticket)
            case Look() if child.number == DESK:
                self._switchboard.look(message)
            case Found():
                self._switchboard.found(child, message)
            case _:
                raise InternalError("a message of a kind that no child sends")

    def _announce_if_all_up(self) -> None:
        state = self._state
        up = sum(child.up for child in self._children.values())
        if state.announced or state.stopping or up < self._plan.workers:
            return
        state.announced = True
        self._start(DESK)
        self._plan.ready()

    def _failed(self, child: Child, failed: Failed) -> None:
        """At the start that is everybody's failure; later, the others go on without it, and it is tried again."""
        reason = "config" if failed.config else "internal"
        _log.error("a process cannot start", worker=_name(child.number), reason=reason)
        child.misconfigured = failed.config
        if not self._state.announced:
            kind = ConfigError if failed.config else WorkersError
            self._give_up(kind(failed.message, detail=failed.detail, hint=failed.hint))


def _how(status: int) -> str:
    return f"status {status}" if status >= 0 else signal.Signals(-status).name


def _name(number: int) -> int | str:
    """As the process calls itself in the log."""
    return number or "http"
