"""The statements, portals and cursors of one session, each with the plan that it was made with.

PostgreSQL keeps one name space for statements prepared by protocol and by SQL, and this one does too. It also keeps
one for portals and for cursors that SQL declares: FETCH reads either, and so does Execute. What was sent
and not answered yet is *pending*: a pipelined Bind meets the Parse before it. What the server has answered is settled,
exactly in the order in which the server did it. A pending one whose request was ignored after an error counts as
never sent.

It does not judge whether a plan is still good: that takes the veil, and is the session's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proxy.policy.plan import Plan
from proxy.scrub import Position
from proxy.tally import Tally
from proxy.wire.replies import Expected

MAX_NAMES = 10_000
"""Statements, and portals, that one session may hold..."""
MAX_TEXT = 8 * 1024 * 1024
"""...and characters of their texts together: what is remembered of them here is bounded."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's text as the veil got it, the plan for it, and what the plan was made under."""

    sql: str = field(repr=False)
    plan: Plan = field(repr=False)
    path: tuple[str, ...]
    generation: int
    """Which veil decided: the holder's number, new with every policy and catalogue."""
    origin: Position
    """From a position in `sql` to one in the client's text."""
    asked: bool = False
    """It was written for a question."""
    types: tuple[int, ...] | None = None
    """The parameter types of its Parse; None where it was not prepared by protocol."""
    temps: frozenset[str] = frozenset()
    """The session's temporary tables, as `path` is its search_path."""
    tally: Tally | None = field(default=None, compare=False)
    """Of a portal or a cursor under limits: what is left of them."""

    def position(self, sent: int) -> int | None:
        """The client's position for one in the text that was sent."""
        planned = self.plan.original_position(sent)
        return None if planned is None else self.origin(planned)


@dataclass(slots=True)
class _Pending:
    """`ticket` is done once the request was answered, or ignored after an error."""

    item: Statement
    ticket: Expected[Any]


@dataclass(slots=True)
class Names:
    """One name space: settled entries, and pending ones in front of them."""

    settled: dict[str, Statement] = field(default_factory=dict)
    pending: dict[str, _Pending] = field(default_factory=dict)
    _weight: int = 0
    """At least the characters of all texts."""

    def find(self, name: str) -> Statement | None:
        """What a request that is sent now will meet under this name."""
        waiting = self.pending.get(name)
        if waiting is not None and not waiting.ticket.done:
            return waiting.item
        return self.settled.get(name)

    def all(self, name: str) -> Iterator[Statement]:
        """Everything that the name may stand for, whatever becomes of what is pending."""
        waiting = self.pending.get(name)
        if waiting is not None and not waiting.ticket.done:
            yield waiting.item
            if not name:  # the next request for the unnamed one forgets it, whether it succeeds or not
                return
        if name in self.settled:
            yield self.settled[name]

    def sent(self, name: str, item: Statement, ticket: Expected[Any]) -> None:
        self.pending[name] = _Pending(item, ticket)
        self._weight += len(item.sql)

    def settle(self, name: str, item: Statement) -> None:
        """The server has answered: the name stands for `item` now."""
        self.settled[name] = item
        self._weight += len(item.sql)

    def renew(self, name: str, old: Statement, new: Statement) -> None:
        """What the name stands for was decided again, with the same text to run."""
        if self.settled.get(name) is old:
            self.settled[name] = new
        waiting = self.pending.get(name)
        if waiting is not None and waiting.item is old:
            waiting.item = new

    def drop(self, name: str | None) -> None:
        """The server has forgotten the name; None: all of them."""
        if name is None:
            self.settled.clear()
        else:
            self.settled.pop(name, None)

    @property
    def full(self) -> bool:
        if self._weight > MAX_TEXT:  # not counted down at each drop: counted again here
            waiting = (entry.item for entry in self.pending.values())
            self._weight = sum(len(item.sql) for item in (*self.settled.values(), *waiting))
        return len(self.settled) + len(self.pending) >= MAX_NAMES or self._weight > MAX_TEXT


@dataclass(slots=True)
class Prepared:
    """What a session has prepared, bound and declared."""

    statements: Names = field(default_factory=Names)
    portals: Names = field(default_factory=Names)
    cursors: Names = field(default_factory=Names)
    """Declared by SQL. Unlike portals they may outlive their transaction."""
    _passing: set[str] = field(default_factory=set)
    """The cursors that do not."""

    def __repr__(self) -> str:
        return f"Prepared({len(self.statements.settled)} statements, {len(self.portals.settled)} portals)"

    def portal(self, name: str) -> Statement | None:
        """What an Execute or a FETCH that is sent now will read under this name."""
        return self.portals.find(name) or self.cursors.find(name)

    def bound(self, name: str, item: Statement) -> None:
        """The server has made a portal."""
        self.portals.settle(name, item)
        self.cursors.drop(name)

    def declared(self, name: str, item: Statement, *, passing: bool) -> None:
        """The server has made a cursor. `passing`: it ends with its transaction."""
        self.cursors.settle(name, item)
        self.portals.drop(name)
        if passing:
            self._passing.add(name)
        else:
            self._passing.discard(name)

    def closed(self, name: str | None) -> None:
        """The server has closed a portal or a cursor; None: all of them."""
        self.portals.drop(name)
        self.cursors.drop(name)

    def transaction_ended(self) -> None:
        """Portals live as long as their transaction, and so do cursors that were not declared WITH HOLD."""
        self.portals.settled.clear()
        for name in self._passing:
            self.cursors.drop(name)
        self._passing.clear()

    def quiet(self) -> None:
        """Nothing is on its way: nothing is pending."""
        self.statements.pending.clear()
        self.portals.pending.clear()
