"""What both directions of one session share: who it is, what is owed, what is prepared, what names mean.

Plain state with the few moves that need more than one part of it. It does not know connections, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from proxy.limits import Deadline
from proxy.policy.plan import Effect, Plan
from proxy.policy.rules import Identity
from proxy.policy.shapes import Sighted
from proxy.prepared import Prepared, Statement
from proxy.scrub import Position, nowhere
from proxy.searchpath import SearchPath
from proxy.wire.messages import IDLE
from proxy.wire.replies import Expected, Replies, Request

MOVES_PATH: Final = frozenset({"search_path", "search_path_reset", "reset_all", "discard_all"})
MOVES_TEMPS: Final = frozenset({"temp", "drop_temp", "discard_temp"})
SETTLES_NAMES: Final = frozenset({"prepare", "declare"})
"""Their names stand for something only once the server has answered."""
ENDS_TRANSACTION: Final = frozenset({"commit", "rollback", "rollback_to", "release"})


_TOLD_LATE: Final = frozenset({Request.PARSE, Request.BIND, Request.DESCRIBE, Request.CLOSE})
"""What the server sends the replies to when it has enough of them, or is told to."""


class Scope(NamedTuple):
    """What a text's meaning depends on, besides the veil: who says it, and what its names are there and then."""

    identity: Identity
    path: tuple[str, ...]
    temps: frozenset[str]


READ_BY: Final = frozenset({"DateStyle", "IntervalStyle", "TimeZone"})
"""The settings of `Conversation.settings`."""


class Note:
    """What a message was, for when its replies come. `name` is a statement's for Parse, a portal's for Bind."""

    __slots__ = ("completed", "deadline", "kind", "name", "plan", "statement")

    def __init__(
        self,
        statement: Statement | None = None,
        name: str = "",
        kind: str = "",
        deadline: Deadline | None = None,
        plan: Plan | Sighted | None = None,
    ) -> None:
        self.statement = statement
        self.name = name
        self.kind = kind
        self.deadline = deadline
        self.plan = plan
        """Of one plain statement that was sent at once, in the place of `statement`."""
        self.completed = 0
        """How many statements of a simple query are complete."""

    @property
    def position(self) -> Position:
        if self.statement is not None:
            return self.statement.position
        return nowhere if self.plan is None else self.plan.original_position


Entry = Expected[Note]


class Conversation:
    """One session's state. A bypass identity uses the replies and nothing else of it."""

    __slots__ = (
        "_prepared",
        "_settings",
        "_timed",
        "identity",
        "masked",
        "overdue",
        "path",
        "replies",
        "status",
        "stopped",
        "to_client",
        "to_upstream",
        "unsettled",
    )

    def __init__(self, identity: Identity, path: SearchPath) -> None:
        self.identity = identity
        self.masked = not identity.bypass
        self.path = path
        self.replies: Replies[Note] = Replies()
        self.status = IDLE
        """Of the transaction, as the last ReadyForQuery said."""
        self.unsettled: Entry | None = None
        """What must be answered before a name can be resolved: it may change what names mean, or make one."""
        self.overdue: Deadline | None = None
        """The deadline that has passed: the server was asked to stop what it runs..."""
        self.stopped: Entry | None = None
        """...which is this, or, if it was complete at that moment, what came after it."""
        self.to_client: list[bytes | bytearray] = []
        self.to_upstream: list[bytes | bytearray] = []
        self._prepared: Prepared | None = None
        self._settings: dict[str, str] | None = None
        self._timed: list[Entry] | None = None
        """What was sent with a deadline, in order."""

    def __repr__(self) -> str:
        return f"Conversation({self.identity.user!r}, status={self.status!r}, {self.replies!r})"

    @property
    def prepared(self) -> Prepared:
        """Made when it is first asked for: most sessions of a bypass identity never do."""
        if self._prepared is None:
            self._prepared = Prepared()
        return self._prepared

    @property
    def settings(self) -> dict[str, str]:
        """What the session's constants are read by, as the server reports it."""
        if self._settings is None:
            self._settings = {}
        return self._settings

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
        timed = self._timed
        if timed is None:
            return None
        while timed and timed[0].done:
            del timed[0]
        if timed:
            return timed[0]
        self._timed = None
        return None

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
                self._timed = [*(self._timed or ()), entry]

    def ready(self, *, status: str) -> None:
        """The server is ready for a query."""
        self.status = status
        if not self.masked:
            return
        idle = status == IDLE
        self.path.ready(idle=idle)
        if self._prepared is None:
            return
        if idle:
            self._prepared.transaction_ended()
        if not self.busy:
            self._prepared.quiet()

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


def is_simple(plan: Plan) -> bool:
    """Whether it is one statement that does nothing to the session, and no limit holds for it."""
    statements = plan.statements
    if plan.limits is not None or len(statements) != 1:
        return False
    return statements[0].effect is None and statements[0].kind is not None
