"""From an accepted socket to a session that runs: the login, the way to the database, and the joining of the two.

A coroutine per connection does that, and ends with it: what is left of a session that idles is its two connections, the
objects that stand between them, and a `Guest`, which knows what has to be seen to when it is over.

It does not know which sessions there are: that is the `House` (`server`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol

from proxy.admission import upstream_parameters
from proxy.conversation import READ_BY, Conversation
from proxy.errors import AuthorizationError, InternalError, PgveilError, UpstreamError
from proxy.handshake import Arrival, Door, authenticate, read_startup
from proxy.lease import Lease
from proxy.parameters import REPORTED, check_parameter
from proxy.patience import Patience
from proxy.policy.rules import Identity
from proxy.pooling import Borrowed, Entry, Pooling
from proxy.ports import AskerPort, Links, LoginWatcher, Price, Services, Task, Veils, Watcher
from proxy.relay import Relay
from proxy.scrub import nowhere, scrub_error, scrub_notice
from proxy.searchpath import SearchPath, parse_path
from proxy.settings import UpstreamDsn
from proxy.upstream import Login, SameUser, Upstream, UpstreamRefusedError, check_own_account, open_upstream
from proxy.wire.auth import Proven
from proxy.wire.messages import BackendKeyData, ReadyForQuery, error_response
from proxy.wire.startup import CancelRequest, StartupMessage, VersionError
from proxy.wire.stream import Stream
from proxy.workers.crew import Crew

LOGIN_SECONDS = 60.0
"""From a connection's first byte to the end of its login; PostgreSQL's authentication_timeout."""

MAX_IDENTITIES = 1000
"""Users whose identity is kept, for their sessions to share."""

MASKED_FRAME = 64 * 1024 * 1024
"""The longest message of a masked session..."""
BYPASS_FRAME = 0x3FFFFFFE
"""...and of a bypass session: PostgreSQL's own limit for what clients send (PQ_LARGE_MESSAGE_LIMIT)."""

_CLIENTS: tuple[str, ...] = ()
"""Under this they are counted: no role set is empty."""
_SESSION_FACTS = "SELECT pg_catalog.current_setting('search_path'), current_user"


@dataclass(frozen=True, slots=True)
class Admission:
    """What decides about new sessions, asked anew for each: any part of it may change while the server runs."""

    dsn: UpstreamDsn
    """The service account: of all sessions where there is no `login`, of bypass ones where that is the floor."""
    door: Door
    identify: Callable[[str], Identity | None]
    veils: Veils
    asker: AskerPort
    watch: LoginWatcher
    ask_seconds: float = 30.0
    price: Price | None = None
    max_sessions: int | None = None
    login: Login | None = None
    pooling: Pooling | None = None
    """None: every session has a connection of its own."""
    patience: Patience = field(default_factory=Patience)
    login_seconds: float = LOGIN_SECONDS


class TooManyError(PgveilError):
    """Ours: no more sessions are admitted (SQLSTATE 53300)."""

    sqlstate = "53300"


class Guest:
    """A session that runs, as far as its end has to be seen to. `ended` is for `ports.Links`."""

    __slots__ = ("_left", "client", "key", "place", "upstream", "watcher")

    def __init__(
        self, stream: Stream, upstream: Stream | Lease, watcher: Watcher, left: Callable[[Guest], None]
    ) -> None:
        self.client = stream
        self.upstream = upstream
        self.watcher = watcher
        self.key: BackendKeyData | None = None
        self.place: Place | None = None
        self._left = left

    def __repr__(self) -> str:
        return f"Guest({self.client!r})"

    def ended(self) -> None:
        self._left(self)

    def abort(self) -> None:
        self.upstream.abort()
        self.client.abort()


class Place:
    """One of those that all workers have together; as at PostgreSQL, who is still to log in has one already."""

    __slots__ = ("_crew",)

    def __init__(self, crew: Crew, limit: int) -> None:
        if not crew.running.enter(_CLIENTS, limit):
            raise TooManyError("sorry, too many clients already", hint="Try again when others have left.")
        self._crew: Crew | None = crew

    def leave(self) -> None:
        """As often as one likes."""
        if self._crew is not None:
            self._crew.running.leave(_CLIENTS)
            self._crew = None


class House(Protocol):
    """What the server is for this."""

    @property
    def stopping(self) -> bool: ...

    def make_key(self, upstream: BackendKeyData | None, *, long: bool) -> BackendKeyData: ...

    def moves_in(self, guest: Guest, key: BackendKeyData, relay: Relay) -> None:
        """In place of the task that has brought it here, which ends now."""

    def moves_out(self, guest: Guest) -> None:
        """Both connections are being closed."""

    async def cancel_anywhere(self, request: CancelRequest) -> None: ...


@dataclass(frozen=True, slots=True)
class Hands:
    """What sessions get done beside their callbacks."""

    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    call_later: Callable[[float, Callable[[], None]], Task]


class Reception:
    """Of one server."""

    def __init__(self, admission: Admission, crew: Crew, house: House, hands: Hands) -> None:
        self._admission = admission
        self._crew = crew
        self._house = house
        self._hands = hands
        self._identities: dict[str, Identity] = {}
        """By user, as they were last; sessions share them."""

    def __repr__(self) -> str:
        return f"Reception({self._house!r})"

    async def log_in(self, arrival: Arrival) -> bool:
        """The dialogue before a session. Errors become the client's, as FATAL. Whether there is a session now."""
        user: str | None = None
        stream = arrival.stream
        try:
            packet = await read_startup(arrival)
            if isinstance(packet, CancelRequest):
                await self._house.cancel_anywhere(packet)
            elif packet is not None:
                user = packet.user
                return await self._take_in(arrival, packet)
        except PgveilError as error:
            self._admission.watch.refused(user, error)
            stream.send(_fatal(error))
        except Exception as error:
            self._admission.watch.crash(error)
            stream.send(_fatal(InternalError("the proxy failed; the connection is ended")))
        return False

    async def _take_in(self, arrival: Arrival, startup: StartupMessage) -> bool:
        limit = self._admission.max_sessions
        place, taken = None if limit is None else Place(self._crew, limit), False
        try:
            entrant = await self._admit(arrival, startup)
            if entrant is None:
                return False
            try:
                path = await _search_path(entrant.identity, entrant.upstream)
                self._begin(entrant, path, place)
                taken = True
            except BaseException:
                entrant.upstream.stream.abort()
                raise
        finally:
            if place is not None and not taken:
                place.leave()
        return True

    async def _admit(self, arrival: Arrival, startup: StartupMessage) -> _Entrant | None:
        """Who it is, and its way to the database. None: the client has left."""
        admission = self._admission
        proven = await authenticate(arrival, startup, admission.door)
        if proven is None:
            return None
        identity = self._identify(startup.user)
        if identity is None:
            raise AuthorizationError(
                f'user "{startup.user}" is in no role of the policy',
                hint="The operator can add it to the users of a role.",
            )
        dsn = admission.dsn if admission.login is None else admission.login.dsn(admission.dsn, identity)
        parameters = upstream_parameters(startup, identity, dsn)
        own = proven if isinstance(admission.login, SameUser) else None
        connect = partial(_connect, identity, dsn=dsn, proven=own)
        facts = None if identity.bypass else _SESSION_FACTS
        entry = Entry(identity, dsn, parameters, connect, facts, _max_frame(identity))
        upstream = await self._upstream(startup, entry)
        return _Entrant(arrival.stream, startup.long_cancel_keys, identity, upstream)

    def _identify(self, user: str) -> Identity | None:
        identity, known = self._admission.identify(user), self._identities.get(user)
        if identity is None:
            return None
        if known is not None and identity == known:
            return known
        if len(self._identities) >= MAX_IDENTITIES:
            self._identities.clear()
        self._identities[user] = identity
        return identity

    async def _upstream(self, startup: StartupMessage, entry: Entry) -> Upstream | Borrowed:
        """A connection of the session's own, or a place at the pool's. Replication is nothing to share."""
        pooling = self._admission.pooling
        if pooling is None or startup.replication or not pooling.shares(entry.identity):
            return await entry.connect(dict(entry.parameters))
        return await pooling.enter(entry, self._hands.spawn)

    def _begin(self, entrant: _Entrant, path: SearchPath, place: Place | None) -> None:
        """Joins the two connections. From here on the relay moves the bytes."""
        identity, upstream, admission = entrant.identity, entrant.upstream, self._admission
        watcher = admission.watch.session(identity)
        guest = Guest(entrant.stream, upstream.stream, watcher, self._house.moves_out)
        services = Services(
            admission.veils, admission.asker, watcher, admission.ask_seconds, admission.price, self._crew.running
        )
        links = Links(
            client=entrant.stream,
            upstream=upstream.stream,
            cancel_upstream=upstream.cancel,
            spawn=self._hands.spawn,
            call_later=self._hands.call_later,
            ended=guest.ended,
            max_frame=_max_frame(identity),
        )
        talk = Conversation(identity, path)
        if talk.masked:
            talk.settings.update((s.name, s.value) for s in upstream.parameters if s.name in READ_BY)
        relay = Relay(talk, services, links)
        own = upstream.key if isinstance(upstream, Upstream) else None
        key = self._house.make_key(own, long=entrant.long_keys)
        guest.place = place
        self._house.moves_in(guest, key, relay)
        entrant.stream.send(_greeting(identity, upstream, key))
        upstream.stream.attach(relay.upstream)
        entrant.stream.attach(admission.patience.watch(relay, talk))
        if self._house.stopping:
            relay.drain()


@dataclass(frozen=True, slots=True)
class _Entrant:
    stream: Stream
    long_keys: bool
    identity: Identity
    upstream: Upstream | Borrowed


def _max_frame(identity: Identity) -> int:
    return BYPASS_FRAME if identity.bypass else MASKED_FRAME


async def _connect(identity: Identity, parameters: dict[str, str], dsn: UpstreamDsn, proven: Proven | None) -> Upstream:
    """The upstream connection; `proven` where it is the client's own account. What the server says about a refusal is
    scrubbed for a masked role."""
    try:
        upstream = await open_upstream(dsn, parameters, proven=proven)
    except UpstreamRefusedError as error:
        if identity.bypass:
            raise
        raise UpstreamRefusedError(scrub_error(error.response, nowhere)) from None
    try:
        if not identity.bypass:
            for status in upstream.parameters:
                check_parameter(status)
        if proven is not None:
            check_own_account(identity, upstream)
    except PgveilError:
        upstream.stream.abort()
        raise
    return upstream


async def _search_path(identity: Identity, upstream: Upstream | Borrowed) -> SearchPath:
    """Where a masked session starts to look for names; a bypass session's is nobody's business."""
    if identity.bypass:
        return SearchPath((), "")
    path, user = await upstream.first_row(_SESSION_FACTS)
    try:
        return SearchPath(*_path_of(path or b"", user or b""))
    except ValueError:
        raise UpstreamError("the server's search_path cannot be read") from None


@lru_cache
def _path_of(path: bytes, user: bytes) -> tuple[tuple[str, ...], str]:
    """Both read; the same for nearly all sessions, which share it. Raises ValueError."""
    return parse_path(path.decode()), user.decode()


def _greeting(identity: Identity, upstream: Upstream | Borrowed, key: BackendKeyData) -> bytes:
    """What follows AuthenticationOk: notices, settings, the cancel key, ReadyForQuery."""
    messages = []
    for notice in upstream.notices:
        shown = notice if identity.bypass else scrub_notice(notice, nowhere)
        if shown is not None:
            messages.append(shown.encode())
    messages += [s.encode() for s in upstream.parameters if identity.bypass or s.name in REPORTED]
    return b"".join((*messages, key.encode(), ReadyForQuery("I").encode()))


def _fatal(error: PgveilError) -> bytes:
    if isinstance(error, UpstreamRefusedError):
        return error.response.encode()
    if isinstance(error, VersionError) and (old := error.old_response()) is not None:
        return old
    return error_response(error, "FATAL").encode()
