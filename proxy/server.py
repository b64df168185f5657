"""Accepts clients and sees to their sessions' end: who may be cancelled, drained, stopped.

One task per connection brings it to a session (`reception`) and ends there; the session's bytes are moved by callbacks
(`relay`), and a task sees it off when it is over. Every task belongs to the server's task group, so nothing outlives
`run`.

It does not know what a session does with its messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from proxy.errors import PgveilError, ShutdownError
from proxy.handshake import open_stream
from proxy.reception import Admission, Guest, Hands, Reception
from proxy.relay import Relay
from proxy.sessions import Sessions
from proxy.wire.messages import BackendKeyData
from proxy.wire.startup import CancelRequest
from proxy.wire.stream import Stream
from proxy.workers.crew import Crew
from proxy.workers.listening import accept

__all__ = ["Admission", "Server"]

GRACE_SECONDS = 30.0
"""How long busy sessions may go on once the proxy shuts down."""
CLOSE_SECONDS = 10.0
"""How long a peer may take to read its last message and close its end..."""
LAST_SECONDS = 2.0
"""...and how long once the proxy shuts down, or where there was no session."""

_RETRY_SECONDS = 0.1


class Server:
    """The proxy's front. `run` serves until `stop` is called, then drains."""

    def __init__(self, admission: Admission, grace_seconds: float = GRACE_SECONDS, crew: Crew | None = None) -> None:
        self._admission = admission
        self._grace = grace_seconds
        self._patience = admission.patience
        self._crew = crew or Crew()
        self.sessions = Sessions(self._crew)
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._group = asyncio.TaskGroup()
        hands = Hands(self._group.create_task, asyncio.get_running_loop().call_later)
        self._reception = Reception(admission, self._crew, self, hands)
        self._connections: set[asyncio.Task[None] | Guest] = set()
        """Each of them once: the task that brings it here, the guest that it has become, or the task that sees it
        off."""
        self._empty = asyncio.Event()

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
        """The policy has changed: a session whose user has other roles now is ended, whatever it is doing. What waits
        for a shared connection is not run."""
        if self._admission.pooling is not None:
            self._admission.pooling.pool.policy_changed()
        for relay in self.sessions.relays():
            if self._admission.identify(relay.identity.user) != relay.identity:
                relay.stop()

    async def run(self, listeners: Sequence[socket.socket]) -> None:
        """Serves clients of these listening sockets, and closes them."""
        async with self._group:
            try:
                accepting = [self._group.create_task(self._accept(listener)) for listener in listeners]
                accepting += [self._group.create_task(work) for work in self._housekeeping()]
                await self._stopping.wait()
                for task in accepting:
                    task.cancel()
                for listener in listeners:
                    listener.close()
                await self._drain()
                if self._admission.pooling is not None:
                    self._admission.pooling.pool.close()
            finally:
                self._cut_off()

    def _housekeeping(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What goes on beside the sessions, until the proxy shuts down."""
        if self._admission.pooling is not None:
            yield self._admission.pooling.pool.sweep_always()
        if self._patience.needed:
            yield self._look_for_idle()

    async def _look_for_idle(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._patience.interval)
            self._patience.look(loop.time())

    # Connections

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock = await accept(listener, self._crew.ahead)
            except OSError as error:  # out of descriptors, or a client that left at once
                self._admission.watch.accept_failed(error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._start(self._receive(sock))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """A task for a connection, which counts as one until the task ends."""
        task = self._group.create_task(work)
        self._here(task)
        task.add_done_callback(self._gone)

    def _here(self, connection: asyncio.Task[None] | Guest) -> None:
        self._connections.add(connection)
        self._empty.clear()
        self._crew.has(len(self._connections))

    def _gone(self, connection: asyncio.Task[None] | Guest) -> None:
        """As often as one likes."""
        self._connections.discard(connection)
        self._crew.has(len(self._connections))
        if not self._connections:
            self._empty.set()

    async def _receive(self, sock: socket.socket) -> None:
        """A connection until it is a session, or to its end where it is none. Raises nothing: others share the task
        group."""
        stream, settled = None, False
        try:
            async with asyncio.timeout(self._admission.login_seconds):
                arrival = await open_stream(sock, self._admission.door)
                if arrival is None:
                    return
                stream = arrival.stream
                settled = await self._reception.log_in(arrival)
            if not settled:
                await _say_goodbye(stream)
        except TimeoutError:
            self._admission.watch.refused(None, ShutdownError("login timeout"))
        except PgveilError as error:  # no TLS, so nobody to tell
            self._admission.watch.refused(None, error)
        except Exception as error:  # the connection's edge: no error of ours may end the others
            self._admission.watch.crash(error)
        finally:
            if stream is None:
                sock.close()
            elif not settled:
                stream.abort()

    # Sessions

    def make_key(self, upstream: BackendKeyData | None, *, long: bool) -> BackendKeyData:
        """The cancel key of a session that is about to begin. See `Sessions`."""
        return self.sessions.make_key(upstream, long=long)

    def moves_in(self, guest: Guest, key: BackendKeyData, relay: Relay) -> None:
        """A session begins, in place of the task that has brought it here."""
        guest.key = key
        self.sessions.add(key, relay)
        self._here(guest)
        task = asyncio.current_task()
        if task is not None:
            self._gone(task)

    def moves_out(self, guest: Guest) -> None:
        """It has ended: both of its connections are being closed."""
        work = self._see_off(guest)
        try:
            self._start(work)
        except RuntimeError:  # the task group is ending, because something has failed: nobody waits for anybody
            work.close()
            self._forget(guest)
            guest.abort()
            guest.watcher.closed()
        self._gone(guest)

    async def _see_off(self, guest: Guest) -> None:
        """Until both connections are closed. Raises nothing, as above."""
        try:
            self._forget(guest)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS if self.stopping else CLOSE_SECONDS):
                    await guest.client.wait_closed()
                    await guest.upstream.wait_closed()
        except Exception as error:
            self._admission.watch.crash(error)
        finally:
            guest.abort()
            self._forget(guest)
            guest.watcher.closed()

    def _forget(self, guest: Guest) -> None:
        """Nobody can cancel it any more, and its place is free. As often as one likes."""
        if guest.key is not None:
            self.sessions.remove(guest.key)
            guest.key = None
        if guest.place is not None:
            guest.place.leave()

    async def cancel_anywhere(self, request: CancelRequest) -> None:
        """A CancelRequest, whichever worker has the session."""
        if self._crew.worker_of(request.secret_key) == self._crew.number:
            await self.cancel(request)
        else:
            await self._crew.hand_over(request)

    async def cancel(self, request: CancelRequest) -> None:
        """Of a session here: the client's own connection, or another worker, has brought it."""
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

    async def _all_gone(self, seconds: float) -> None:
        """Waits for every connection to end, but no longer than this, nor once `stop` was called again."""
        if not self._connections:
            return
        hurry = asyncio.ensure_future(self._hurry.wait())
        gone = asyncio.ensure_future(self._empty.wait())
        await asyncio.wait({hurry, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        gone.cancel()

    def _cut_off(self) -> None:
        """Whoever is still here."""
        for connection in list(self._connections):
            if isinstance(connection, Guest):
                connection.abort()
            else:
                connection.cancel()


async def _say_goodbye(stream: Stream) -> None:
    """Lets the peer read what was sent last, if it does so soon."""
    stream.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            await stream.wait_closed()
