"""Accepts clients, admits them, and keeps the list of sessions: who may be cancelled, drained, stopped.

One task per connection does its login and then waits for its end; its bytes are moved by callbacks (`relay`). Every
task belongs to the server's task group, so nothing outlives `run`.

It does not know what a session does with its messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxy.admission import upstream_parameters
from proxy.answers import REPORTED, check_parameter
from proxy.conversation import READ_BY, Conversation
from proxy.errors import AuthorizationError, InternalError, PgveilError, ShutdownError, UpstreamError
from proxy.handshake import Door, authenticate, open_stream, read_startup
from proxy.limits import Running
from proxy.policy.rules import Identity
from proxy.ports import AskerPort, Links, LoginWatcher, Price, Services, Veils, Watcher
from proxy.relay import Relay
from proxy.scrub import nowhere, scrub_error, scrub_notice
from proxy.searchpath import SearchPath, parse_path
from proxy.settings import UpstreamDsn
from proxy.upstream import FloorLogin, Upstream, UpstreamRefusedError, open_upstream
from proxy.wire.buffer import MAX_FRAME
from proxy.wire.messages import BackendKeyData, ReadyForQuery, error_response
from proxy.wire.startup import CancelRequest, StartupMessage
from proxy.wire.stream import Stream

BACKLOG = 1024
LOGIN_SECONDS = 60.0
"""From a connection's first byte to the end of its login; PostgreSQL's authentication_timeout."""
GRACE_SECONDS = 30.0
"""How long busy sessions may go on once the proxy shuts down."""
CLOSE_SECONDS = 10.0
"""How long a peer may take to read its last message and close its end..."""
LAST_SECONDS = 2.0
"""...and how long once the proxy shuts down, or where there was no session."""

MASKED_FRAME = 64 * 1024 * 1024
"""The longest message of a masked session; a bypass session has PostgreSQL's own limit."""

_SHORT_KEY, _LONG_KEY = 4, 32
_RETRY_SECONDS = 0.1
_SESSION_FACTS = "SELECT pg_catalog.current_setting('search_path'), current_user"


@dataclass(frozen=True, slots=True)
class Admission:
    """What decides about new sessions, asked anew for each: any part of it may change while the server runs."""

    dsn: UpstreamDsn
    """The account of bypass sessions, and of all of them where there is no floor."""
    door: Door
    identify: Callable[[str], Identity | None]
    veils: Veils
    asker: AskerPort
    watch: LoginWatcher
    ask_seconds: float = 30.0
    price: Price | None = None
    max_sessions: int | None = None
    floor: FloorLogin | None = None


@dataclass(frozen=True, slots=True)
class _Key:
    secret: bytes
    relay: Relay


@dataclass(slots=True)
class Sessions:
    """The open sessions, by the process number that their clients were told."""

    _keys: dict[int, _Key] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._keys)

    def relays(self) -> list[Relay]:
        return [key.relay for key in self._keys.values()]

    def make_key(self, *, long: bool) -> BackendKeyData:
        """A process number that no open session has, and a secret of 4 bytes (protocol 3.0) or 32."""
        while (number := secrets.randbelow(2**31 - 1) + 1) in self._keys:
            pass
        return BackendKeyData(number, secrets.token_bytes(_LONG_KEY if long else _SHORT_KEY))

    def add(self, key: BackendKeyData, relay: Relay) -> None:
        self._keys[key.process_id] = _Key(key.secret_key, relay)

    def remove(self, key: BackendKeyData) -> None:
        self._keys.pop(key.process_id, None)

    def find(self, request: CancelRequest) -> Relay | None:
        """The session that the request names with the right secret, compared in constant time."""
        found = self._keys.get(request.process_id)
        if found is None or found.relay.ended or not hmac.compare_digest(found.secret, request.secret_key):
            return None
        return found.relay


class Server:
    """The proxy's front. `run` serves until `stop` is called, then drains."""

    def __init__(self, admission: Admission, grace_seconds: float = GRACE_SECONDS) -> None:
        self._admission = admission
        self._grace = grace_seconds
        self.sessions = Sessions()
        self._running = Running()
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._connections: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"Server(sessions={len(self.sessions)}, stopping={self._stopping.is_set()})"

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Accepts nobody else, and ends each session as it becomes idle. Called again: does not wait for them."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def identify_again(self) -> None:
        """The policy has changed: a session whose user has other roles now is ended, whatever it is doing."""
        for relay in self.sessions.relays():
            if self._admission.identify(relay.identity.user) != relay.identity:
                relay.stop()

    async def run(self, listeners: Sequence[socket.socket]) -> None:
        """Serves clients of these listening sockets, and closes them."""
        async with self._group:
            accepting = [self._group.create_task(self._accept(listener)) for listener in listeners]
            await self._stopping.wait()
            for task in accepting:
                task.cancel()
            for listener in listeners:
                listener.close()
            await self._drain()

    # Connections

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:  # out of descriptors, or a client that left at once
                self._admission.watch.accept_failed(error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            task = self._group.create_task(self._serve(sock))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _serve(self, sock: socket.socket) -> None:
        """One connection, from its first byte to its last. Raises nothing: others share the task group."""
        try:
            stream = None
            async with asyncio.timeout(LOGIN_SECONDS):
                stream = await open_stream(sock)
                if stream is None:
                    return
                session = await self._log_in(stream)
            if session is not None:
                await self._stay(session)
            else:
                await _say_goodbye(stream)
        except TimeoutError:
            self._admission.watch.refused(None, ShutdownError("login timeout"))
        except Exception as error:  # the connection's edge: no error of ours may end the others
            self._admission.watch.crash(error)
        finally:
            if stream is not None:
                stream.abort()
            else:
                sock.close()

    async def _log_in(self, stream: Stream) -> _Opened | None:
        """The dialogue before a session. Errors become the client's, as FATAL."""
        user: str | None = None
        try:
            packet = await read_startup(stream)
            if isinstance(packet, CancelRequest):
                await self._cancel(packet)
            elif packet is not None:
                user = packet.user
                return await self._open(stream, packet)
        except PgveilError as error:
            self._admission.watch.refused(user, error)
            stream.send(_fatal(error))
        except Exception as error:
            self._admission.watch.crash(error)
            stream.send(_fatal(InternalError("the proxy failed; the connection is ended")))
        return None

    async def _open(self, stream: Stream, startup: StartupMessage) -> _Opened | None:
        admission = self._admission
        if admission.max_sessions is not None and len(self.sessions) >= admission.max_sessions:
            raise TooManyError("sorry, too many clients already", hint="Try again when others have left.")
        if not await authenticate(stream, startup, admission.door):
            return None
        identity = admission.identify(startup.user)
        if identity is None:
            raise AuthorizationError(
                f'user "{startup.user}" is in no role of the policy',
                hint="The operator can add it to the users of a role.",
            )
        dsn = admission.dsn if admission.floor is None else admission.floor.dsn(admission.dsn, identity)
        parameters = upstream_parameters(startup, identity, dsn)
        upstream = await _connect(identity, parameters, dsn)
        try:
            return await self._begin(_Entrant(stream, startup, identity, upstream))
        except BaseException:
            upstream.stream.abort()
            raise

    async def _begin(self, entrant: _Entrant) -> _Opened:
        """Joins the two connections. From here on the relay moves the bytes."""
        identity, upstream = entrant.identity, entrant.upstream
        path = await _search_path(identity, upstream)
        watcher = self._admission.watch.session(identity)
        admission = self._admission
        services = Services(
            admission.veils, admission.asker, watcher, admission.ask_seconds, admission.price, self._running
        )
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        links = Links(
            client=entrant.stream,
            upstream=upstream.stream,
            cancel_upstream=upstream.cancel,
            spawn=self._group.create_task,
            call_later=loop.call_later,
            ended=ended.set,
            max_frame=MAX_FRAME if identity.bypass else MASKED_FRAME,
        )
        talk = Conversation(identity, path)
        talk.settings.update((s.name, s.value) for s in upstream.parameters if s.name in READ_BY)
        relay = Relay(talk, services, links)
        key = self.sessions.make_key(long=entrant.startup.long_cancel_keys)
        self.sessions.add(key, relay)
        entrant.stream.send(_greeting(identity, upstream, key))
        upstream.stream.attach(relay.upstream)
        entrant.stream.attach(relay.client)
        if self.stopping:
            relay.drain()
        return _Opened(entrant.stream, upstream.stream, key, watcher, ended)

    async def _stay(self, opened: _Opened) -> None:
        """Until the session has ended and both connections are closed."""
        try:
            await opened.ended.wait()
            self.sessions.remove(opened.key)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS if self.stopping else CLOSE_SECONDS):
                    await opened.client.wait_closed()
                    await opened.upstream.wait_closed()
        finally:
            opened.upstream.abort()
            self.sessions.remove(opened.key)
            opened.watcher.closed()

    async def _cancel(self, request: CancelRequest) -> None:
        relay = self.sessions.find(request)
        if relay is not None:
            await relay.cancel()

    # The end

    async def _drain(self) -> None:
        for relay in self.sessions.relays():
            relay.drain()
        await self._all_gone(self._grace)
        for relay in self.sessions.relays():
            relay.stop()
        await self._all_gone(LAST_SECONDS)
        for task in self._connections:
            task.cancel()

    async def _all_gone(self, seconds: float) -> None:
        """Waits for every connection to end, but no longer than this, nor once `stop` was called again."""
        if not self._connections:
            return
        hurry = asyncio.ensure_future(self._hurry.wait())
        gone = asyncio.ensure_future(asyncio.wait(set(self._connections)))
        await asyncio.wait({hurry, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        gone.cancel()


class TooManyError(PgveilError):
    """Ours: no more sessions are admitted (SQLSTATE 53300)."""

    sqlstate = "53300"


@dataclass(frozen=True, slots=True)
class _Entrant:
    stream: Stream
    startup: StartupMessage
    identity: Identity
    upstream: Upstream


@dataclass(frozen=True, slots=True)
class _Opened:
    client: Stream
    upstream: Stream
    key: BackendKeyData
    watcher: Watcher
    ended: asyncio.Event


async def _connect(identity: Identity, parameters: dict[str, str], dsn: UpstreamDsn) -> Upstream:
    """The upstream connection. What the server says about a refusal is scrubbed for a masked role."""
    try:
        upstream = await open_upstream(dsn, parameters)
    except UpstreamRefusedError as error:
        if identity.bypass:
            raise
        raise UpstreamRefusedError(scrub_error(error.response, nowhere)) from None
    if not identity.bypass:
        for status in upstream.parameters:
            check_parameter(status)
    return upstream


async def _search_path(identity: Identity, upstream: Upstream) -> SearchPath:
    """Where a masked session starts to look for names; a bypass session's is nobody's business."""
    if identity.bypass:
        return SearchPath((), "")
    path, user = await upstream.first_row(_SESSION_FACTS)
    try:
        return SearchPath(parse_path((path or b"").decode()), (user or b"").decode())
    except ValueError:
        raise UpstreamError("the server's search_path cannot be read") from None


def _greeting(identity: Identity, upstream: Upstream, key: BackendKeyData) -> bytes:
    """What follows AuthenticationOk: notices, settings, the cancel key, ReadyForQuery."""
    messages = []
    for notice in upstream.notices:
        shown = notice if identity.bypass else scrub_notice(notice, nowhere)
        if shown is not None:
            messages.append(shown.encode())
    messages += [s.encode() for s in upstream.parameters if identity.bypass or s.name in REPORTED]
    return b"".join((*messages, key.encode(), ReadyForQuery("I").encode()))


async def _say_goodbye(stream: Stream) -> None:
    """Lets the peer read what was sent last, if it does so soon."""
    stream.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            await stream.wait_closed()


def _fatal(error: PgveilError) -> bytes:
    if isinstance(error, UpstreamRefusedError):
        return error.response.encode()
    return error_response(error, "FATAL").encode()
