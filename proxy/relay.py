"""Moves the bytes of one session: what each side received to the line, what came out of it to the other side.

One scan and one write per chunk that was received, on either side, and no task switch. A side that is slow pauses
the other. The line can be stopped (`hold`, `wait`): then the client's messages stay in their buffer, and once that
holds enough, the client is paused as well; it is read until then, so that its leaving is noticed.

How it ends: the client leaves, the server does, somebody breaks the protocol, or the proxy shuts down. Whoever is
still there gets an error, if no message to it is half sent; a server that works for nobody gets a CancelRequest. What
runs under a limit is held to it, and counts, until the server itself has closed.

It does not know messages: `session` and `answers` do.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from proxy.answers import ROWS, Answers
from proxy.conversation import Conversation, Entry
from proxy.errors import InternalError, PgveilError, ShutdownError, UpstreamError
from proxy.order import FLUSH
from proxy.overdue import Overdue
from proxy.policy.rules import Identity
from proxy.ports import Links, Services, Task
from proxy.session import Session
from proxy.wire.buffer import Frame, FrameBuffer
from proxy.wire.codec import Code
from proxy.wire.messages import IDLE, Terminate, error_response

HELD_BYTES = 64 * 1024
"""What a client may send while the line is stopped before it is paused."""
REPORT_BYTES = 1024 * 1024
"""How many bytes move between two reports to the metrics."""

_FROM_CLIENT = frozenset({Code.COPY_DATA})


class Relay:
    """One session between its two connections. `client` and `upstream` are the receivers for them."""

    def __init__(self, talk: Conversation, services: Services, links: Links) -> None:
        self._talk = talk
        self._links = links
        self._watcher = services.watcher
        self._session = Session(talk, services, self)
        self._answers = Answers(talk, services.watcher)
        self._from_client = FrameBuffer(max_frame=links.max_frame, passing=_FROM_CLIENT)
        self._from_upstream = FrameBuffer(passing=ROWS)
        self.client = ClientSide(self)
        self.upstream = UpstreamSide(self)
        self._task: Task | None = None
        self._waiting: tuple[Frame, Entry] | None = None
        self._overdue = Overdue(talk, links, self)
        self._upstream_full = False
        self._leaving = self._ended = self._draining = False
        self._alone = False
        """The client has gone, and the server works on what it asked before, within its limits."""
        self._unread = 0
        """Bytes that nobody was there to read."""
        self._finished = False
        self._received = self._sent = 0

    def __repr__(self) -> str:
        return f"Relay({self._talk!r}, held={self._held}, ended={self._ended})"

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def identity(self) -> Identity:
        return self._talk.identity

    # Bytes

    def client_received(self, data: bytes) -> None:
        self._received += len(data)
        self._from_client.feed(data)
        self._guarded(self._work)

    def upstream_received(self, data: bytes) -> None:
        self._from_upstream.feed(data)
        self._guarded(self._answer)

    def _work(self) -> None:
        """Walks the client's messages down the line until it is stopped or there are no more."""
        items = self._from_client.cut()
        while not (self._held or self._leaving or self._ended):
            item = next(items, None)
            if item is None:
                break
            if isinstance(item, Frame):
                self._session.take(item)
            else:
                self._talk.to_upstream.append(item.raw)
        self._answers.flush_made()
        if self._talk.to_upstream and self._talk.untold:
            self._talk.to_upstream.append(FLUSH)
        self._flush()
        self._watch_running()
        self._pace_client()

    def _answer(self) -> None:
        if self._ended:
            return
        take = self._answers.take
        for item in self._from_upstream.cut():
            take(item)
        self._flush()
        self._watch_running()
        self._go_on()
        if self._draining and self.idle:
            self.fail(_going_down())
        elif self._alone and not self._talk.busy:
            self._end()
            self._links.upstream.close()
        elif self._alone and self._unread >= HELD_BYTES:
            self._abandon()

    def _flush(self) -> None:
        talk = self._talk
        if talk.to_client:
            data = talk.to_client[0] if len(talk.to_client) == 1 else b"".join(talk.to_client)
            talk.to_client.clear()
            self._sent += len(data)
            if self._alone:
                self._unread += len(data)
            else:
                self._links.client.send(bytes(data) if isinstance(data, bytearray) else data)
        if talk.to_upstream and not self._overdue.stopping:
            data = talk.to_upstream[0] if len(talk.to_upstream) == 1 else b"".join(talk.to_upstream)
            talk.to_upstream.clear()
            self._links.upstream.send(bytes(data) if isinstance(data, bytearray) else data)
        if self._received + self._sent >= REPORT_BYTES:
            self._report()

    def _report(self) -> None:
        self._watcher.moved(self._received, self._sent)
        self._received = self._sent = 0

    # Flow control

    def client_clogged(self) -> None:
        self._links.upstream.pause_reading()

    def client_cleared(self) -> None:
        self._links.upstream.resume_reading()

    def upstream_clogged(self) -> None:
        self._upstream_full = True
        self._pace_client()

    def upstream_cleared(self) -> None:
        self._upstream_full = False
        self._pace_client()

    def _pace_client(self) -> None:
        if self._upstream_full or (self._held and self._from_client.pending >= HELD_BYTES):
            self._links.client.pause_reading()
        else:
            self._links.client.resume_reading()

    # What stops the line

    @property
    def _held(self) -> bool:
        return self._task is not None or self._waiting is not None or self._overdue.stopping

    @property
    def idle(self) -> bool:
        """Whether nothing is owed to the client, and no transaction is open."""
        return not self._held and not self._talk.busy and self._talk.status == IDLE

    def hold(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Takes no further message from the client until `work` is done; work may hold again."""

        async def run() -> None:
            try:
                await work()
            except Exception as error:  # a task's errors would go nowhere
                self._failed(error)
            finally:
                if self._task is task:
                    self._task = None
            self._guarded(self._work)

        task = self._task = self._links.spawn(run())

    def wait(self, frame: Frame, entry: Entry) -> None:
        """Takes no further message until `entry` is answered. The server is told to send what it has."""
        self._waiting = (frame, entry)
        self._talk.to_upstream.append(FLUSH)

    def _go_on(self) -> None:
        """The answer that the line was waiting for has come."""
        if self._waiting is None or not self._waiting[1].done or self._overdue.stopping:
            return
        frame, self._waiting = self._waiting[0], None
        self._session.take(frame)
        self._work()

    def _watch_running(self) -> None:
        """What is to be answered next has until its deadline, counted from here."""
        if not self._talk.busy:
            self._session.bounds.rest()
        self._overdue.watch()

    @property
    def mid_message(self) -> bool:
        return self._from_client.inside

    def flush(self) -> None:
        self._flush()

    def resume(self) -> None:
        self._guarded(self._go_on)
        self._guarded(self._work)

    async def cancel(self) -> None:
        """The client's CancelRequest has come: a question stops here, a statement in the server."""
        if self._ended:
            return
        if self._session.cancel() and self._task is not None:
            self._task.cancel()
        elif self._talk.busy:
            await self._links.cancel_upstream()

    # The end

    def leave(self) -> None:
        """The client has said goodbye. What it asked before is still the server's to finish."""
        self._leaving = True

    def client_lost(self) -> None:
        if self._ended:
            return
        if self._leaving and self._limited:
            self._alone = True
            self._links.upstream.resume_reading()
        elif self._talk.busy and not self._leaving:
            self._abandon()
        else:
            self._end()
            self._dismiss_upstream()

    def upstream_lost(self) -> None:
        if self._ended:
            self._finish()
            return
        if self._leaving or self._answers.said_goodbye:
            self._end()
            self._links.client.close()
        else:
            self.fail(
                UpstreamError(
                    "the connection to the database was lost",
                    hint="Connect again; what was not committed is undone.",
                ),
                now=True,
            )

    def drain(self) -> None:
        """Ends the session as soon as it is idle."""
        self._draining = True
        if self.idle and not self._ended:
            self.fail(_going_down())

    def stop(self) -> None:
        """Ends the session now."""
        if self._ended:
            self._links.upstream.abort()
            self._finish()
        else:
            self.fail(_going_down(), now=True)

    def fail(self, error: PgveilError, *, now: bool = False) -> None:
        """Ends the session with an error, which the client gets unless a message to it is half sent. `now`: it is not
        waited for a server that still runs something under a limit."""
        if self._ended:
            return
        self._talk.to_upstream.clear()
        if self._from_upstream.inside and not self._answers.dropping:
            self._talk.to_client.clear()
        else:
            self._talk.to_client.append(error_response(error, "FATAL").encode())
        self._flush()
        if self._talk.busy:
            self._abandon(now=now)
        else:
            self._end()
            self._dismiss_upstream()
        self._links.client.close()

    @property
    def _limited(self) -> bool:
        """Whether the server runs something that a limit holds for."""
        return self._talk.busy and (self._session.bounds.counted or self._talk.against_time is not None)

    def _abandon(self, *, now: bool = False) -> None:
        """Nobody waits for what the server runs. It may not have begun, or have more to begin: what is limited is
        cancelled again until it closes."""
        if now or not self._limited:
            self._end()
            self._links.spawn(self._links.cancel_upstream())
            self._links.upstream.abort()
            return
        self._shut()
        self._dismiss_upstream()
        self._overdue.cancel_until(lambda: self._finished)

    def _dismiss_upstream(self) -> None:
        if not self._leaving:
            self._links.upstream.send(Terminate().encode())
        self._links.upstream.close()

    def _end(self) -> None:
        self._shut()
        self._finish()

    def _shut(self) -> None:
        """Nothing more goes to the client."""
        self._ended = True
        self._report()
        self._overdue.end()
        if self._task is not None:
            self._task.cancel()

    def _finish(self) -> None:
        """Nothing more comes from the server."""
        if not self._finished:
            self._finished = True
            self._session.bounds.end()
            self._overdue.end()
            self._links.ended()

    def _guarded(self, step: Callable[[], None]) -> None:
        """Runs a step. Whatever it raises ends the session: nothing is known of its state any more."""
        if self._ended:
            return
        try:
            step()
        except Exception as error:  # the edge of the session: no error of ours may pass the loop
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, PgveilError):
            self.fail(error)
        else:
            self._watcher.crash(error)
            self.fail(InternalError("the proxy failed; the session is ended"))


class ClientSide:
    """The client's connection hands its bytes to this."""

    def __init__(self, relay: Relay) -> None:
        self.received = relay.client_received
        self.lost = relay.client_lost
        self.clogged = relay.client_clogged
        self.cleared = relay.client_cleared


class UpstreamSide:
    """The upstream's connection hands its bytes to this."""

    def __init__(self, relay: Relay) -> None:
        self.received = relay.upstream_received
        self.lost = relay.upstream_lost
        self.clogged = relay.upstream_clogged
        self.cleared = relay.upstream_cleared


def _going_down() -> ShutdownError:
    return ShutdownError("terminating connection due to administrator command")
