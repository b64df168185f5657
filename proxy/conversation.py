"""What both directions of one session share: who it is, what is owed, what is prepared, what names mean.

Plain state with the few moves that need more than one part of it. It does not know connections, and decides nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.limits import Deadline
from proxy.policy.plan import Effect
from proxy.policy.rules import Identity
from proxy.prepared import Prepared, Statement
from proxy.scrub import Position, nowhere
from proxy.searchpath import SearchPath
from proxy.wire.messages import IDLE
from proxy.wire.replies import Expected, Replies, Request

MOVES_PATH = frozenset({"search_path", "search_path_reset", "reset_all", "discard_all"})
MOVES_TEMPS = frozenset({"temp", "drop_temp", "discard_temp"})
SETTLES_NAMES = frozenset({"prepare", "declare"})
"""Their names stand for something only once the server has answered."""
ENDS_TRANSACTION = frozenset({"commit", "rollback", "rollback_to", "release"})


_TOLD_LATE = frozenset({Request.PARSE, Request.BIND, Request.DESCRIBE, Request.CLOSE})
"""What the server sends the replies to when it has enough of them, or is told to."""


class Scope(NamedTuple):
    """What a text's meaning depends on, besides the veil: who says it, and what its names are there and then."""

    identity: Identity
    path: tuple[str, ...]
    temps: frozenset[str]


READ_BY = frozenset({"DateStyle", "IntervalStyle", "TimeZone"})
"""The settings of `Conversation.settings`."""


@dataclass(slots=True, eq=False)
class Note:
    """What a message was, for when its replies come. `name` is a statement's for Parse, a portal's for Bind."""

    statement: Statement | None = None
    name: str = ""
    kind: str = ""
    completed: int = 0
    """How many statements of a simple query are complete."""
    deadline: Deadline | None = None

    @property
    def position(self) -> Position:
        return nowhere if self.statement is None else self.statement.position


Entry = Expected[Note]


@dataclass(slots=True, eq=False)
class Conversation:
    """One session's state. A bypass identity uses the replies and nothing else of it."""

    identity: Identity
    path: SearchPath
    replies: Replies[Note] = field(default_factory=Replies)
    prepared: Prepared = field(default_factory=Prepared)
    status: str = IDLE
    """Of the transaction, as the last ReadyForQuery said."""
    unsettled: Entry | None = None
    """What must be answered before a name can be resolved: it may change what names mean, or make one."""
    timed: deque[Entry] = field(default_factory=deque)
    """What was sent with a deadline, in order."""
    overdue: Deadline | None = None
    """The deadline that has passed: the server was asked to stop what it runs..."""
    stopped: Entry | None = None
    """...which is this, or, if it was complete at that moment, what came after it."""
    settings: dict[str, str] = field(default_factory=dict)
    """What the session's constants are read by, as the server reports it."""
    to_client: list[bytes | bytearray] = field(default_factory=list)
    to_upstream: list[bytes | bytearray] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Conversation({self.identity.user!r}, status={self.status!r}, {self.replies!r})"

    @property
    def masked(self) -> bool:
        return not self.identity.bypass

    @property
    def scope(self) -> Scope:
        return Scope(self.identity, self.path.schemas, self.path.temps)

    @property
    def busy(self) -> bool:
        """Whether the server owes an answer."""
        return len(self.replies) > 0

    @property
    def waits_for(self) -> Entry | None:
        """The entry of `unsettled` while it is not answered."""
        if self.unsettled is not None and self.unsettled.done:
            self.unsettled = None
        return self.unsettled

    @property
    def against_time(self) -> Entry | None:
        """What must be answered next by a deadline. The server may be busy with it although entries before it are not
        answered yet: it keeps small replies until it has enough, or is told to flush."""
        while self.timed and self.timed[0].done:
            self.timed.popleft()
        return self.timed[0] if self.timed else None

    def is_outlived(self, entry: Entry | None) -> bool:
        """Whether `entry` was stopped in place of another statement, which had ended. A Sync is part of what it
        ends."""
        first = self.stopped
        ends = first is not None and first.done and first.request in (Request.QUERY, Request.EXECUTE)
        return ends and entry is not None and entry is not first and entry.request is not Request.SYNC

    @property
    def untold(self) -> bool:
        """Whether the server may keep to itself that something with a deadline is done."""
        return self.against_time is not None and self.replies.last.request in _TOLD_LATE

    def send(self, data: bytes | bytearray, entry: Entry) -> None:
        """Sends a message upstream, unless the server would ignore it anyway."""
        if self.replies.expect(entry):
            self.to_upstream.append(data)
            if entry.note is not None and entry.note.deadline is not None:
                self.timed.append(entry)

    def watch(self, statement: Statement | None, entry: Entry) -> None:
        """Remembers an entry that may move what names mean, before anything after it is decided."""
        if any(effect.kind in SETTLES_NAMES or self.moves(effect) for effect in effects(statement)):
            self.unsettled = entry

    def watch_end(self, entry: Entry) -> None:
        """The same for the end of what may be an implicit transaction: if it failed, the path goes back."""
        if self.path.at_risk:
            self.unsettled = entry

    def moves(self, effect: Effect) -> bool:
        """Whether names may mean something else after it."""
        kind = effect.kind
        return kind in MOVES_PATH or kind in MOVES_TEMPS or (kind in ENDS_TRANSACTION and self.path.at_risk)


def effects(statement: Statement | None) -> Iterator[Effect]:
    """What each of the statements in a text does to the session, where it does anything."""
    if statement is not None:
        for planned in statement.plan.statements:
            if planned.effect is not None:
                yield planned.effect
