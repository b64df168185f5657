"""How a session comes by its connection to the database: one of its own, or one of the pool for each transaction.

The settings say which roles share connections. What sessions may share one is its key: the account, the database, the
startup parameters and the role set. Only application_name is left out of it, and is set on the connection that is
taken.

The first session of a key is what a connection is made for at its login; the ones after it are told what that
connection reported, and take one when they have something to send.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.errors import PgveilError, UpstreamUnavailableError
from proxy.inquiry import Origin
from proxy.lease import Lease
from proxy.policy.rules import Identity
from proxy.pool import Group, Pool, PoolLimits
from proxy.poolqueue import Want
from proxy.ports import Canceller, PoolWatcher, Task
from proxy.serverconn import Conn
from proxy.settings import PoolSettings, UpstreamDsn
from proxy.upstream import Upstream
from proxy.wire.messages import NoticeResponse, ParameterStatus

_APPLICATION = "application_name"
MAX_KNOWN = 1000
"""Keys whose last connection is remembered."""
MAX_TOLD = 100
"""Application names of a key whose greetings are kept."""

Row = tuple[bytes | None, ...]
Spawn = Callable[[Coroutine[Any, Any, None]], Task]


@dataclass(slots=True)
class Borrowed:
    """What `Upstream` is to a session that has a connection of its own."""

    stream: Lease
    parameters: Sequence[ParameterStatus]
    facts: Row | None
    notices: list[NoticeResponse] = field(default_factory=list)

    @property
    def cancel(self) -> Canceller:
        """The lease's own: nothing else of this is kept for as long as the session."""
        return self.stream.cancel

    async def first_row(self, _sql: str) -> Row:
        """What the connection's session was asked when it was made: `Entry.facts`."""
        return self.facts or ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A session that is to begin. `connect` makes a connection of its key, with these `parameters`; `facts` is the
    query whose first row the session has to know, and every connection that it takes has to give as well."""

    identity: Identity
    dsn: UpstreamDsn
    parameters: Mapping[str, str]
    connect: Callable[[dict[str, str]], Awaitable[Upstream]] = field(repr=False)
    facts: str | None = None
    max_frame: int = 0

    @property
    def settings(self) -> dict[bytes, bytes]:
        name = self.parameters.get(_APPLICATION)
        return {} if not name else {_APPLICATION.encode(): name.encode()}

    @property
    def shared(self) -> dict[str, str]:
        return {name: value for name, value in self.parameters.items() if name != _APPLICATION}

    @property
    def place(self) -> Hashable:
        return self.dsn.user, self.parameters.get("database", self.dsn.database)

    @property
    def key(self) -> Hashable:
        return self.place, frozenset(self.shared.items()), self.identity.roles, self.identity.bypass

    async def open(self) -> tuple[Upstream, Row | None]:
        upstream = await self.connect(self.shared)
        try:
            return upstream, None if self.facts is None else await upstream.first_row(self.facts)
        except BaseException:
            upstream.stream.abort()
            raise


@dataclass(frozen=True, slots=True)
class _Told:
    """What sessions of a key with one application_name begin with. Thousands of them may be idle, so they share it."""

    origin: Origin
    parameters: tuple[ParameterStatus, ...]


class _Kin:
    """The sessions of one key: what they begin with, and how a connection of theirs is made."""

    __slots__ = ("_entry", "_sessions", "_told", "facts", "key", "left", "open", "reported")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self._entry: Entry | None = None
        """The newest of them: where clients log in as themselves, what that one has proven is what holds now. None
        once they have all left: what they have proven is nobody's to keep."""
        self._sessions = 0
        self.open = self._open
        self.left = self._left
        self.facts: Row | None = None
        self.reported: dict[str, str] | None = None
        """By the last connection that was made. None: there was none."""
        self._told: dict[str | None, _Told] = {}

    def __repr__(self) -> str:
        return f"_Kin(known={self.reported is not None})"

    def join(self, entry: Entry) -> None:
        """A session begins, until `left` is called."""
        self._entry = entry
        self._sessions += 1

    def _left(self) -> None:
        self._sessions -= 1
        if not self._sessions:
            self._entry = None

    def learn(self, reported: dict[str, str], facts: Row | None) -> None:
        """What a connection of this key begins with."""
        if reported != self.reported:
            self._told.clear()
            self.reported = reported
        self.facts = self.facts if facts == self.facts else facts

    def told(self, entry: Entry) -> _Told:
        name = entry.parameters.get(_APPLICATION) or None
        found = self._told.get(name)
        if found is None:
            told = dict(self.reported or {})
            if name is not None and _APPLICATION in told:
                told[_APPLICATION] = name
            origin = Origin(entry.dsn.user, entry.settings, told, entry.max_frame)
            found = _Told(origin, tuple([ParameterStatus(n, v) for n, v in told.items()]))
            if len(self._told) >= MAX_TOLD:
                self._told.clear()
            self._told[name] = found
        return found

    async def _open(self) -> tuple[Upstream, Row | None]:
        if self._entry is None:
            raise UpstreamUnavailableError("the session that wanted a connection has ended")
        upstream, found = await self._entry.open()
        self.learn({s.name: s.value for s in upstream.parameters}, found)
        return upstream, self.facts


class Pooling:
    """Of one process."""

    def __init__(self, settings: PoolSettings, watch: PoolWatcher) -> None:
        self._mode = settings.mode
        self._roles = settings.roles
        self.pool = Pool(
            PoolLimits(
                size=settings.size,
                queue_seconds=settings.queue_timeout_s,
                lifetime_seconds=settings.server_lifetime_s,
                idle_seconds=settings.server_idle_s,
                max_prepared=settings.max_prepared,
                check_always=settings.check == "always",
            ),
            watch,
        )
        self._kin: OrderedDict[Hashable, _Kin] = OrderedDict()
        """By key; who was asked for last is last."""

    def __repr__(self) -> str:
        return f"Pooling({self._mode}, {self.pool.count('active')} in use)"

    def shares(self, identity: Identity) -> bool:
        """Whether this user's sessions take connections in turn: all of its roles have to say so."""
        return all(self._roles.get(role, self._mode) == "transaction" for role in identity.roles)

    async def enter(self, entry: Entry, spawn: Spawn) -> Borrowed:
        """The session's place at the server. Raises PgveilError where no connection can be made, or none is free."""
        group, kin = self.pool.group(entry.place, spawn), self._kin_of(entry)
        kin.join(entry)
        try:
            if kin.reported is None:
                await _learn(group, kin)
            told = kin.told(entry)
            want = Want(kin.key, kin.facts, kin.open, decided=not entry.identity.bypass)
            lease = Lease(group, want, told.origin, kin.left)
        except BaseException:
            kin.left()
            raise
        return Borrowed(lease, told.parameters, kin.facts)

    def _kin_of(self, entry: Entry) -> _Kin:
        key = entry.key
        kin = self._kin.get(key)
        if kin is None:
            kin = self._kin[key] = _Kin(key)
            if len(self._kin) > MAX_KNOWN:
                self._kin.popitem(last=False)
        self._kin.move_to_end(key)
        return kin


async def _learn(group: Group, kin: _Kin) -> None:
    """What sessions of this key begin with, of a connection."""
    conn = await _one(group, Want(kin.key, None, kin.open))
    if kin.reported is None:  # it had been made for those before them, who are forgotten
        kin.learn(dict(conn.reported), conn.facts if isinstance(conn.facts, tuple) else None)
    group.give_back(conn)


async def _one(group: Group, want: Want) -> Conn:
    """A connection, as soon as there is one."""
    conn = group.take(want, {})
    if conn is not None:
        return conn
    found: asyncio.Future[Conn] = asyncio.get_running_loop().create_future()

    def ready(result: Conn | PgveilError) -> None:
        if found.done():
            if isinstance(result, Conn):
                group.give_back(result)
        elif isinstance(result, Conn):
            found.set_result(result)
        else:
            found.set_exception(result)

    ticket = group.queue(want, ready)
    try:
        return await found
    except asyncio.CancelledError:
        if found.done() and not found.cancelled() and found.exception() is None:  # it came at the same moment
            group.give_back(found.result())
        raise
    finally:
        group.leave(ticket)
