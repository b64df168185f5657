"""The queue of a pool: who waits for a connection, in the order in which they came, and for how long.

It does not know which connections there are (`pool`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

from proxy.errors import PgveilError
from proxy.ports import Task
from proxy.serverconn import Conn, Facts
from proxy.upstream import Upstream

_TICK: Final = 0.001
"""The least that a clock is asked to wait."""


Opener = Callable[[], Awaitable[tuple[Upstream, Facts]]]
"""Makes a connection. Raises PgveilError."""


class Want:
    """What a session needs."""

    __slots__ = ("connect", "decided", "facts", "key", "owner")

    def __init__(
        self, key: Hashable, facts: Facts, connect: Opener, owner: object | None = None, *, decided: bool = False
    ) -> None:
        self.key = key
        self.facts = facts
        """None: whatever there is."""
        self.connect = connect
        self.owner = owner
        self.decided = decided
        """A policy has decided what is to be sent."""

    def __repr__(self) -> str:
        return f"Want(decided={self.decided})"

    def of(self, owner: object) -> Want:
        """The same, of this session."""
        return Want(self.key, self.facts, self.connect, owner, decided=self.decided)

    def takes(self, conn: Conn) -> bool:
        key, facts = self.key, self.facts
        if conn.key is not key and conn.key != key:
            return False
        return facts is None or conn.facts is facts or conn.facts == facts


class Ticket:
    """A place in the queue. `ready` is called once: with a connection, or with the reason why there is none."""

    __slots__ = ("connecting", "over", "ready", "since", "want")

    def __init__(self, want: Want, ready: Callable[[Conn | PgveilError], None], since: float) -> None:
        self.want = want
        self.ready = ready
        self.since = since
        self.connecting = False
        """A connection is being made for it."""
        self.over = False

    def __repr__(self) -> str:
        return f"Ticket(connecting={self.connecting}, over={self.over})"


class Queue:
    """Those who wait. There is one timer for all of them: their time is over in the order in which they came, and most
    wait for a moment."""

    __slots__ = ("_late", "_loop", "_seconds", "_tickets", "_timer")

    def __init__(self, seconds: float, late: Callable[[Ticket], None]) -> None:
        """`late` is told whose time is over after so many seconds; 0 is without end."""
        self._seconds = seconds
        self._late = late
        self._loop = asyncio.get_running_loop()
        self._tickets: deque[Ticket] = deque()
        self._timer: Task | None = None

    def __repr__(self) -> str:
        return f"Queue({len(self)})"

    def __len__(self) -> int:
        return sum(not ticket.over for ticket in self._tickets)

    def tickets(self) -> list[Ticket]:
        """Of those who wait now."""
        return [ticket for ticket in self._tickets if not ticket.over]

    def add(self, want: Want, ready: Callable[[Conn | PgveilError], None]) -> Ticket:
        ticket = Ticket(want, ready, self._loop.time())
        self._tickets.append(ticket)
        if self._timer is None:
            self._set_timer(ticket)
        return ticket

    def end(self, ticket: Ticket) -> float:
        """It waits no more. The seconds that it has waited."""
        ticket.over = True
        tickets = self._tickets
        while tickets and tickets[0].over:
            tickets.popleft()
        return self._loop.time() - ticket.since

    def turn(self, conn: Conn) -> Ticket | None:
        """Whose turn it is when this connection is free. Who gets one that is being made lets those by who can have
        this one."""
        for ticket in self._tickets:
            if not ticket.over and (not ticket.connecting or ticket.want.takes(conn)):
                return ticket
        return None

    def close(self) -> None:
        """Nobody waits any more."""
        self._tickets.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, first: Ticket) -> None:
        if self._seconds > 0:
            left = first.since + self._seconds - self._loop.time()
            self._timer = self._loop.call_later(max(left, _TICK), self._look)

    def _look(self) -> None:
        self._timer = None
        latest = self._loop.time() - self._seconds
        for ticket in self.tickets():
            if ticket.since > latest:
                break
            self._late(ticket)
        if self._tickets and self._timer is None:
            self._set_timer(self._tickets[0])
