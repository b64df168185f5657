"""What a session is given from outside, as small protocols, so that it can be run without sockets, database or model.

`app` fills them with the real services; tests fill them with scripted ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from proxy.errors import PgveilError
from proxy.limits import Running
from proxy.policy.decide import Desk
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import Identity
from proxy.policy.shapes import Sighted
from proxy.wire.buffer import MAX_FRAME
from proxy.wire.messages import ErrorResponse


class Pipe(Protocol):
    """One side's connection: `wire.stream.Stream`, or a test's."""

    def send(self, data: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class VeilPort(Protocol):
    """`policy.decide.Veil`."""

    def decide(
        self,
        sql: str,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Plan | Refusal: ...

    def desk(
        self,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Desk: ...

    def sight(self, desk: Desk, text: bytes) -> Sighted | None: ...

    def decide_apart(
        self,
        sql: str,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Plan | Refusal: ...

    def decide_parameters(self, types: tuple[int, ...]) -> Refusal | None: ...


class Veils(Protocol):
    """Who holds the veil that is in force. `generation` is a new number with every policy and every catalogue."""

    @property
    def veil(self) -> VeilPort: ...

    @property
    def inline(self) -> VeilPort:
        """The same with the masked views written out; another one than `veil` on the floor alone."""

    @property
    def generation(self) -> int: ...

    async def refresh(self) -> None:
        """Reads the catalogue again, no more than once a second for everybody. Raises nothing: the old one stays."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, for the agent."""

    identity: Identity
    search_path: tuple[str, ...]


class AnswerPort(Protocol):
    """What the agent made of a question: one SELECT, values restored, and how often it was written again."""

    @property
    def sql(self) -> str: ...


class AskerPort(Protocol):
    """Turns a question into SQL that this identity may run. Raises AskError."""

    async def resolve(self, question: str, asking: Asking) -> AnswerPort: ...


PRICED_NAME = "pgveil_price"
"""The name under which a PREPARE is priced."""


@dataclass(frozen=True, slots=True)
class Priced:
    """One query to be priced, by PostgreSQL's own estimate. Its text is never for a log."""

    sql: str = field(repr=False)
    search_path: tuple[str, ...]
    types: tuple[int, ...] = ()
    """Type OIDs of its parameters as far as the client declared them; 0 is undeclared."""
    prepares: bool = False
    """It is a PREPARE of `PRICED_NAME`."""
    temporary: bool = False
    """It names temporary tables of the session."""
    settings: tuple[tuple[str, str], ...] = ()
    """Names and values of what the session has set and constants are read by."""
    user: str = ""
    """Who is waiting for the price."""


class UnpricedError(Exception):
    """PostgreSQL gave an error in place of a price."""

    def __init__(self, error: ErrorResponse) -> None:
        super().__init__(error.sqlstate)
        self.error = error


Price = Callable[[Priced], Awaitable[float | None]]
"""The estimate, in PostgreSQL's units; None where it is about a temporary table. Raises TimeoutError, UnpricedError."""


class Watcher(Protocol):
    """Metrics, log and audit. None of it sees a value."""

    def statement(self, event: StatementEvent) -> None: ...

    def passed(self, text: bytes) -> None:
        """As `statement`, of one of a bypass identity."""

    def sent(
        self, text: bytes, plan: Plan, seconds: float | None, path: tuple[str, ...], temps: frozenset[str]
    ) -> None:
        """As `statement`, of one whose plan takes nothing but sending it. `plan` may be that of another text of its
        shape; `seconds` is None then, as it was not decided on."""

    def ask(self, outcome: str, seconds: float) -> None: ...
    def upstream_error(self, sqlstate: str) -> None: ...
    def cut(self, limit: str) -> None: ...

    def limited(self, limit: str) -> None:
        """A limit refused or stopped a statement. `limit` is its name in the policy."""

    def moved(self, received: int, sent: int) -> None: ...
    def crash(self, error: BaseException) -> None: ...

    def closed(self) -> None:
        """The session is over; nothing comes after this."""


class LoginWatcher(Protocol):
    """The same for what happens before there is a session."""

    def session(self, identity: Identity) -> Watcher:
        """A client was admitted."""

    def refused(self, user: str | None, error: PgveilError) -> None: ...
    def crash(self, error: BaseException) -> None: ...
    def accept_failed(self, error: OSError) -> None: ...


class PoolWatcher(Protocol):
    """What the pool of server connections tells."""

    def waited(self, seconds: float) -> None:
        """A session that had to wait got a connection, or gave up, after so long."""

    def crash(self) -> None: ...
    def pinned(self, reason: str) -> None:
        """A session keeps its connection. `reason` is one of a closed list of words."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the line needs from outside."""

    veils: Veils
    asker: AskerPort
    watcher: Watcher
    ask_seconds: float = 30.0
    """How long SQL that was written for a question may run."""
    price: Price | None = None
    """None: nobody can say, and max_cost refuses what it would have to price."""
    running: Running = field(default_factory=Running)
    """Shared by all sessions."""


@dataclass(frozen=True, slots=True)
class StatementEvent:
    """A statement was decided. `sql` is for a keyed digest, never for keeping; empty where it is too long for one."""

    sql: str | bytes | bytearray = field(repr=False)
    plan: Plan | None = None
    sqlstate: str | None = None
    """Why it was refused; None where it was not."""
    seconds: float | None = None
    search_path: tuple[str, ...] | None = None
    """By which its names were resolved; None where nobody followed it."""
    types: tuple[int, ...] = ()
    """The parameter types that a Parse declared."""
    temps: frozenset[str] = frozenset()
    """The session's temporary tables."""
    decided: bool = True
    """False for what was refused before the veil was asked, or by what the session itself allows."""

    def __repr__(self) -> str:
        return f"StatementEvent(sqlstate={self.sqlstate!r})"


class Task(Protocol):
    def cancel(self) -> object: ...


Spawn = Callable[[Coroutine[Any, Any, None]], Task]
"""Starts a task that somebody owns and ends (a TaskGroup's)."""

Canceller = Callable[[], Coroutine[Any, Any, None]]
"""Sends the upstream a CancelRequest for this session's connection. Raises nothing."""


@dataclass(frozen=True, slots=True)
class Links:
    """A session's connections, and what it may do beside them."""

    client: Pipe
    upstream: Pipe
    cancel_upstream: Canceller
    spawn: Spawn
    call_later: Callable[[float, Callable[[], None]], Task]
    ended: Callable[[], None]
    """Called once: both connections are being closed, and whoever made them sees to it that they are."""
    max_frame: int = MAX_FRAME
