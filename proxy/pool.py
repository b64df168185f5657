"""Server connections that sessions take in turn: who gets one, who waits and for how long, which are too old.

One *group* for each account and database, with a number of connections that it never passes. Within it a connection
belongs to a *key*: the startup parameters and the role set that it was made for. It never serves a session of another
key. The queue is first come, first served, whatever the keys: where the longest waiting session needs another key than
the connection that has become free, that connection is closed and another one made.

A connection that is being cancelled is given to nobody until the CancelRequest has been delivered.

It does not know what sessions do with a connection (`lease`), nor how one is made (`upstream`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.errors import PgveilError, UpstreamError
from proxy.ops.log import get_logger
from proxy.poolerrors import PolicyChangedError, QueueTimeoutError
from proxy.poolqueue import Queue, Ticket, Want
from proxy.ports import PoolWatcher, Task
from proxy.serverconn import Conn

_log = get_logger("pool")


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Times in seconds; 0 is without end."""

    size: int = 20
    queue_seconds: float = 30.0
    lifetime_seconds: float = 3600.0
    idle_seconds: float = 600.0
    max_prepared: int = 200
    check_always: bool = False


class Group:
    """The connections of one account to one database."""

    def __init__(
        self, limits: PoolLimits, spawn: Callable[[Coroutine[Any, Any, None]], Task], watch: PoolWatcher
    ) -> None:
        self._limits = limits
        self._spawn = spawn
        self._metrics = watch
        self._loop = asyncio.get_running_loop()
        self._idle: list[Conn] = []
        self._all: set[Conn] = set()
        self._connecting = 0
        self._queue = Queue(limits.queue_seconds, self._give_up)
        self._closed = False

    def __repr__(self) -> str:
        return f"Group(idle={len(self._idle)}, open={len(self._all)}, waiting={self.waiting})"

    @property
    def limits(self) -> PoolLimits:
        return self._limits

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def active(self) -> int:
        return len(self._all) - len(self._idle)

    def take(self, want: Want, settings: Mapping[bytes, bytes]) -> Conn | None:
        """A connection that is free now. Its own last one first, then one with the same settings, then any."""
        best: Conn | None = None
        found = False
        """It has the same settings."""
        for conn in reversed(self._idle):
            if conn.over or not want.takes(conn):
                continue
            alike = conn.settings is settings or conn.settings == settings
            if alike and conn.unnamed_of is want.owner:
                best = conn
                break
            if best is None or (alike and not found):
                best, found = conn, alike
        if best is not None:
            self._idle.remove(best)
        return best

    def queue(self, want: Want, ready: Callable[[Conn | PgveilError], None]) -> Ticket:
        """A place in the queue, where `take` had nothing."""
        ticket = self._queue.add(want, ready)
        self._grow()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """It is not waited for any more."""
        self._queue.end(ticket)
        self._grow()

    def give_back(self, conn: Conn) -> None:
        """Its user has done with it, and it is idle."""
        conn.user = None
        conn.stream.resume_reading()
        if conn.over:
            self.drop(conn)
            return
        if conn.cancels == 0:
            self._free(conn)

    def cancel(self, conn: Conn) -> Coroutine[Any, Any, None]:
        """A CancelRequest to it. From this call on, and not from when it is awaited, nobody else gets it."""
        conn.cancels += 1
        return self._cancel(conn)

    async def _cancel(self, conn: Conn) -> None:
        delivered = False
        try:
            delivered = await conn.upstream.deliver_cancel()
        finally:
            self.cancelled(conn, delivered=delivered)

    def cancelled(self, conn: Conn, *, delivered: bool) -> None:
        """A CancelRequest to it has ended. Where nobody knows how, it might still hit the next session."""
        conn.cancels -= 1
        if not delivered:
            conn.over = True
        if conn.cancels == 0 and conn.user is None and conn in self._all and conn not in self._idle:
            if conn.over:
                self._retire(conn)
            else:
                self._free(conn)

    def drop(self, conn: Conn) -> None:
        """It has gone, or is of no use to anybody else."""
        if conn in self._all:
            self._all.remove(conn)
            if conn in self._idle:
                self._idle.remove(conn)
            self._grow()

    def sweep(self) -> None:
        """Closes what has been idle, or alive, for too long."""
        now = self._loop.time()
        for conn in [c for c in self._idle if self._too_old(c, now) or self._too_idle(c, now)]:
            self._retire(conn)

    def policy_changed(self) -> None:
        """What waits was decided under the policy before."""
        for ticket in [ticket for ticket in self._queue.tickets() if ticket.want.decided]:
            self._fail(
                ticket,
                PolicyChangedError(
                    "the policy has changed while the statement waited for a connection", hint="Try again."
                ),
            )

    def pinned(self, reason: str) -> None:
        """A session keeps a connection for itself."""
        self._metrics.pinned(reason)
        _log.info("a session keeps its connection", reason=reason)

    def crashed(self, error: BaseException) -> None:
        """An error of ours."""
        self._metrics.crash()
        _log.error("a shared connection failed in the proxy", exc_info=error)

    def close(self) -> None:
        """Nobody gets a connection any more."""
        self._closed = True
        for conn in list(self._idle):
            self._retire(conn)
        for ticket in self._queue.tickets():
            ticket.over = True
        self._queue.close()

    # Inside

    def _free(self, conn: Conn) -> None:
        now = self._loop.time()
        if self._closed or self._too_old(conn, now):
            self._retire(conn)
            return
        ticket = self._queue.turn(conn)
        if ticket is None:
            conn.idle_since = now
            self._idle.append(conn)
        elif ticket.want.takes(conn):
            self._metrics.waited(self._queue.end(ticket))
            ticket.ready(conn)
        else:  # it was here first, and gets this one's place
            self._retire(conn)

    def _retire(self, conn: Conn) -> None:
        self.drop(conn)
        conn.close()

    def _grow(self) -> None:
        """Makes connections for those who wait, as far as there is room."""
        if self._closed or (not self._idle and len(self._all) + self._connecting >= self._limits.size):
            return
        for ticket in self._queue.tickets():
            if ticket.connecting:
                continue
            if len(self._all) + self._connecting >= self._limits.size:
                unused = next((c for c in self._idle if not ticket.want.takes(c)), None)
                if unused is None:
                    return
                self._idle.remove(unused)
                self._all.discard(unused)
                unused.close()
            ticket.connecting = True
            self._connecting += 1
            self._spawn(self._connect(ticket))

    async def _connect(self, ticket: Ticket) -> None:
        want = ticket.want
        try:
            upstream, facts = await want.connect()
        except PgveilError as error:
            self._connecting -= 1
            self._fail(ticket, error)
            self._grow()
            return
        except BaseException:
            self._connecting -= 1
            raise
        self._connecting -= 1
        ticket.connecting = False
        conn = Conn(upstream, want.key, facts, self._loop.time())
        self._all.add(conn)
        conn.watch(self.drop)
        if want.facts is not None and facts != want.facts:
            self._fail(
                ticket, UpstreamError("the server's settings for this login have changed", hint="Connect again.")
            )
        if not conn.over:
            self._free(conn)

    def _fail(self, ticket: Ticket, error: PgveilError) -> None:
        if not ticket.over:
            self._queue.end(ticket)
            ticket.ready(error)

    def _give_up(self, ticket: Ticket) -> None:
        if not ticket.over:
            self._metrics.waited(self._loop.time() - ticket.since)
            self._fail(
                ticket,
                QueueTimeoutError(
                    "no connection to the database became free in time",
                    hint=f"All {self._limits.size} are in use (pool.size); try again.",
                ),
            )

    def _too_old(self, conn: Conn, now: float) -> bool:
        lifetime = self._limits.lifetime_seconds
        return lifetime > 0 and now - conn.born >= lifetime

    def _too_idle(self, conn: Conn, now: float) -> bool:
        idle = self._limits.idle_seconds
        return idle > 0 and now - conn.idle_since >= idle


SWEEP_SECONDS = 1.0


class Pool:
    """All groups of the process, each made when it is first asked for."""

    def __init__(self, limits: PoolLimits, watch: PoolWatcher) -> None:
        self.limits = limits
        self.watch = watch
        self._groups: dict[Hashable, Group] = {}

    def group(self, place: Hashable, spawn: Callable[[Coroutine[Any, Any, None]], Task]) -> Group:
        """The connections of one account to one database."""
        if place not in self._groups:
            self._groups[place] = Group(self.limits, spawn, self.watch)
        return self._groups[place]

    async def sweep_always(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for group in self._groups.values():
                group.sweep()

    def policy_changed(self) -> None:
        """A new policy is in force. What masked sessions have sent, and nobody runs yet, is not run."""
        for group in self._groups.values():
            group.policy_changed()

    def close(self) -> None:
        for group in self._groups.values():
            group.close()

    def count(self, state: str) -> int:
        """Of `idle`, `active` or `waiting`, for the metrics."""
        return sum(int(getattr(group, state)) for group in self._groups.values())
