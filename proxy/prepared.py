"""The statements, portals and cursors of one session, each with the plan that it was made with.

PostgreSQL keeps one name space for statements prepared by protocol and by SQL, and this one does too. It also keeps
one for portals and for cursors that SQL declares: FETCH reads either, and so does Execute. What was sent
and not answered yet is *pending*: a pipelined Bind meets the Parse before it. What the server has answered is settled,
exactly in the order in which the server did it. A pending one whose request was ignored after an error counts as
never sent. Whoever comes before the next Sync was ignored with it; behind a Sync, what the name stands for is not known
until the server has answered.

It does not judge whether a plan is still good: that takes the veil, and is the session's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.policy.plan import Plan
from proxy.scrub import Position
from proxy.tally import Tally
from proxy.wire.replies import Expected

MAX_NAMES: Final = 10_000
"""Statements, and portals, that one session may hold..."""
MAX_TEXT: Final = 8 * 1024 * 1024
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
    priced: float | None = None
    """The max_cost that it was held against."""
    shows: str = field(default="", repr=False)
    """On the floor, where the text to run stays the same: what the masked views in it show under this veil."""

    @property
    def unpriced(self) -> float | None:
        """The policy's max_cost, where the statement has not been held against one as low."""
        limit = None if self.plan.limits is None else self.plan.limits.max_cost
        return None if limit is None or (self.priced is not None and self.priced <= limit) else limit

    def position(self, sent: int) -> int | None:
        """The client's position for one in the text that was sent."""
        planned = self.plan.original_position(sent)
        return None if planned is None else self.origin(planned)


class _Pending:
    """`ticket` is done once the request was answered, or ignored after an error."""

    __slots__ = ("item", "section", "ticket")

    def __init__(self, item: Statement, ticket: Expected[Any], section: int) -> None:
        self.item = item
        self.ticket = ticket
        self.section = section
        """How many Syncs were sent before it."""


@dataclass(slots=True)
class Names:
    """One name space: settled entries, and pending ones in front of them."""

    settled: dict[str, Statement] = field(default_factory=dict)
    pending: dict[str, _Pending] = field(default_factory=dict)
    section: int = 0
    """How many Syncs were sent."""
    _weight: int = 0
    """At least the characters of all texts."""

    def find(self, name: str) -> Statement | None:
        """What a request that is sent now will meet under this name."""
        waiting = self._waiting(name)
        return self.settled.get(name) if waiting is None else waiting.item

    def certain(self, name: str) -> Statement | None:
        """The same, where nothing that is on its way can make it something else; None: that takes a closer look."""
        waiting = self._waiting(name)
        if waiting is None:
            return self.settled.get(name)
        return waiting.item if waiting.section == self.section else None

    def all(self, name: str) -> Iterator[Statement]:
        """Everything that the name may stand for, whatever becomes of what is pending."""
        waiting = self._waiting(name)
        if waiting is not None:
            yield waiting.item
        if name in self.settled and (waiting is None or waiting.section != self.section):
            yield self.settled[name]

    def unsure(self, name: str) -> Expected[Any] | None:
        """The pending request that a Sync has come after: if it was ignored, the name stands for what it stood for
        before."""
        waiting = self._waiting(name)
        return None if waiting is None or waiting.section == self.section else waiting.ticket

    def sent(self, name: str, item: Statement, ticket: Expected[Any]) -> None:
        self.pending[name] = _Pending(item, ticket, self.section)
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

    def _waiting(self, name: str) -> _Pending | None:
        waiting = self.pending.get(name)
        return None if waiting is None or waiting.ticket.done else waiting

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
    _holding: set[str] = field(default_factory=set)
    """The cursors that outlive it, as long as it lasts: the end of the transaction is when their rows are made."""

    def __repr__(self) -> str:
        return f"Prepared({len(self.statements.settled)} statements, {len(self.portals.settled)} portals)"

    def portal(self, name: str) -> Statement | None:
        """What an Execute or a FETCH that is sent now will read under this name."""
        return self.portals.find(name) or self.cursors.find(name)

    def readable(self, name: str) -> list[Statement]:
        """Everything that it may read, whatever becomes of what is pending."""
        found = list(self.portals.all(name))
        return found if found and self.unsure_portal(name) is None else [*found, *self.cursors.all(name)]

    def unsure_statement(self, name: str) -> Expected[Any] | None:
        """What must be answered before it is known which statement the name stands for."""
        return self.statements.unsure(name) if name in self.statements.settled else None

    def unsure_portal(self, name: str) -> Expected[Any] | None:
        """The same for a portal or a cursor."""
        known = name in self.portals.settled or name in self.cursors.settled
        return self.portals.unsure(name) if known else None

    def synced(self) -> None:
        """A Sync was sent: what comes now is not ignored for an error before it."""
        self.statements.section += 1
        self.portals.section += 1

    @property
    def holding(self) -> bool:
        """Whether the end of the transaction has cursors to fill."""
        return bool(self._holding)

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
            self._holding.add(name)

    def closed(self, name: str | None) -> None:
        """The server has closed a portal or a cursor; None: all of them."""
        self.portals.drop(name)
        self.cursors.drop(name)
        if name is None:
            self._holding.clear()
        else:
            self._holding.discard(name)

    def filled(self) -> None:
        """A transaction has ended, whether another one has begun with it or not."""
        self._holding.clear()

    def transaction_ended(self) -> None:
        """Portals live as long as their transaction, and so do cursors that were not declared WITH HOLD."""
        self.portals.settled.clear()
        for name in self._passing:
            self.cursors.drop(name)
        self._passing.clear()
        self._holding.clear()

    def quiet(self) -> None:
        """Nothing is on its way: nothing is pending."""
        self.statements.pending.clear()
        self.portals.pending.clear()
