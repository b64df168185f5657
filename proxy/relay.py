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
from typing import Any, Final

from proxy.answers import ROWS, Answers
from proxy.conversation import Conversation, Entry
from proxy.errors import InternalError, PgveilError, ProtocolError, ShutdownError, UpstreamError
from proxy.order import FLUSH
from proxy.overdue import Overdue
from proxy.policy.rules import Identity
from proxy.ports import Links, Services, Task
from proxy.session import TAKEN, Session
from proxy.wire.buffer import Frame, FrameBuffer, Run
from proxy.wire.codec import Code
from proxy.wire.messages import IDLE, Terminate, error_response

HELD_BYTES: Final = 64 * 1024
"""What a client may send while the line is stopped before it is paused."""
REPORT_BYTES: Final = 1024 * 1024
"""How many bytes move between two reports to the metrics."""

_FROM_CLIENT: Final = frozenset({Code.COPY_DATA})
_SMALL: Final = frozenset(
    {
        Code.CLOSE,
        Code.DESCRIBE,
        Code.EXECUTE,
        Code.FLUSH,
        Code.SYNC,
        Code.TERMINATE,
        Code.COPY_DONE,
        Code.COPY_FAIL,
    }
)
"""What PostgreSQL does not read further than that."""
_LONG: Final = frozenset({Code.QUERY, Code.PARSE, Code.BIND, Code.FUNCTION_CALL})
"""What a bypass session may send by the gigabyte."""


class Relay:
    """One session between its two connections. `client` and `upstream` are the receivers for them."""

    __slots__ = (
        "_again",
        "_alone",
        "_answers",
        "_doom",
        "_draining",
        "_dropping",
        "_ended",
        "_finished",
        "_for_copy",
        "_from_client",
        "_from_upstream",
        "_leaving",
        "_links",
        "_overdue",
        "_paused",
        "_received",
        "_sent",
        "_session",
        "_talk",
        "_task",
        "_to_client",
        "_to_upstream",
        "_unread",
        "_upstream_full",
        "_waiting",
        "_watcher",
        "client",
        "upstream",
    )

    def __init__(self, talk: Conversation, services: Services, links: Links) -> None:
        self._talk = talk
        self._links = links
        self._to_client: Callable[[bytes], None] = links.client.send
        self._to_upstream: Callable[[bytes], None] = links.upstream.send
        self._paused = False
        """The client is not read."""
        self._watcher = services.watcher
        self._session = Session(talk, services, self)
        self._answers = Answers(talk, services.watcher)
        self._from_client = FrameBuffer(max_frame=links.max_frame, passing=_FROM_CLIENT, small=_SMALL)
        if not talk.masked:
            self._from_client.long = _LONG
        self._from_upstream = FrameBuffer(passing=ROWS)
        self.client = ClientSide(self)
        self.upstream = UpstreamSide(self)
        self._task: Task | None = None
        self._waiting: tuple[Frame | Run, Entry] | None = None
        self._for_copy = False
        """It may go on as soon as the server reads COPY data, too."""
        self._again: Frame | Run | None = None
        """What has waited, and is next."""
        self._dropping = False
        """The long message that is under way is one that the server would skip."""
        self._doom: ProtocolError | None = None
        """What the client has got wrong. What it sent before is answered first, as PostgreSQL does."""
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
        if self._ended:
            return
        try:
            self._client_sent(data)
        except Exception as error:  # the edge of the session: no error of ours may pass the loop
            self._failed(error)

    def upstream_received(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            self._server_sent(data)
        except Exception as error:  # as above
            self._failed(error)

    def _client_sent(self, data: bytes) -> None:
        """A chunk of the client: what may pass as it is does so in one piece, the rest message by message."""
        buffer = self._from_client
        if not buffer.empty or self._held or self._leaving:
            buffer.feed(data)
            self._work()
            return
        passed = self._session.pass_on(data)
        if passed == TAKEN:
            self._worked()
            return
        if passed == len(data):
            self._to_upstream(data)
            if self._received >= REPORT_BYTES:
                self._report()
            return
        if passed:
            self._talk.to_upstream.append(data[:passed])
        buffer.feed(data[passed:] if passed else data)
        self._work()

    def _work(self) -> None:
        """Walks the client's messages down the line until it is stopped or there are no more."""
        try:
            while not (self._held or self._leaving or self._ended):
                item = self._from_client.take() if self._again is None else self._again
                self._again = None
                if item is None:
                    break
                if isinstance(item, Frame):
                    self._session.take(item)
                else:
                    self._part(item)
        except ProtocolError as error:
            self._condemn(error)
        self._worked()

    def _worked(self) -> None:
        """The line has stopped, or there is no more to take."""
        talk = self._talk
        self._answers.flush_made()
        if talk.to_upstream and talk.against_time is not None and talk.untold and not self.mid_message:
            talk.to_upstream.append(FLUSH)
        self._flush()
        self._watch_running()
        self._pace_client()

    def _part(self, run: Run) -> None:
        """COPY data, or a part of a long message. COPY data goes on once it is clear whether the server reads it: what
        is owed may be the COPY that it is for."""
        talk = self._talk
        if run.lead:
            if not self._dropping:
                talk.to_upstream.append(run.raw)
        elif run.tag:
            self._dropping = talk.replies.skipping
            if not self._dropping:
                self._session.begin_long(run)
        elif talk.replies.copying_in or not talk.busy:
            self._dropping = False
            talk.to_upstream.append(run.raw)
        else:
            self.wait_for_copy(run)

    def _condemn(self, error: ProtocolError) -> None:
        """Takes nothing more from the client. Raises the error once nothing is owed that could still come."""
        if not self._talk.busy or self._talk.replies.copying_in:
            raise error
        if self._doom is None:
            self._doom = error
            self._talk.to_upstream.append(FLUSH)

    def _server_sent(self, data: bytes) -> None:
        """A chunk of the server, likewise."""
        buffer = self._from_upstream
        passed = self._answers.pass_on(data) if buffer.empty else 0
        if passed:
            self._talk.to_client.append(data if passed == len(data) else data[:passed])
            self._answers.flush_made()
        if passed < len(data):
            buffer.feed(data[passed:] if passed else data)
            while (item := buffer.take()) is not None:
                self._answers.take(item)
        self._flush()
        self._watch_running()
        self._go_on()
        if self._doom is not None:
            self._condemn(self._doom)
        if self._draining and self.idle:
            self.fail(_going_down())
        elif self._alone:
            self._answer_nobody()

    def _answer_nobody(self) -> None:
        """The client has gone: what is still to be answered only has to end."""
        if not self._talk.busy:
            self._end()
            self._links.upstream.close()
        elif self._unread >= HELD_BYTES:
            self._abandon()

    def _flush(self) -> None:
        talk = self._talk
        if talk.to_client:
            data = talk.to_client[0] if len(talk.to_client) == 1 else b"".join(talk.to_client)
            talk.to_client = []
            self._sent += len(data)
            if self._alone:
                self._unread += len(data)
            else:
                self._to_client(bytes(data) if isinstance(data, bytearray) else data)
        if talk.to_upstream and not self._overdue.stopping:
            data = talk.to_upstream[0] if len(talk.to_upstream) == 1 else b"".join(talk.to_upstream)
            talk.to_upstream = []
            self._to_upstream(bytes(data) if isinstance(data, bytearray) else data)
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
        full = self._upstream_full or (self._held and self._from_client.pending >= HELD_BYTES)
        if full == self._paused:
            return
        self._paused = full
        if full:
            self._links.client.pause_reading()
        else:
            self._links.client.resume_reading()

    # What stops the line

    @property
    def _held(self) -> bool:
        stopped = self._task is not None or self._waiting is not None or self._doom is not None
        return stopped or self._overdue.stopping

    @property
    def idle(self) -> bool:
        """Whether nothing is owed to the client, and no transaction is open."""
        return not self._held and not self._talk.busy and self._talk.status == IDLE

    @property
    def resting(self) -> bool:
        """Whether nothing is owed to the client, be a transaction open or not."""
        return not self._held and not self._talk.busy

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

    def wait(self, item: Frame | Run, entry: Entry) -> None:
        """Takes no further message until `entry` is answered. The server is told to send what it has."""
        self._waiting, self._for_copy = (item, entry), False
        self._talk.to_upstream.append(FLUSH)

    def wait_for_copy(self, item: Frame | Run) -> None:
        """Takes no further message until the server reads COPY data, or has answered everything."""
        self._waiting, self._for_copy = (item, self._talk.replies.mark()), True
        self._talk.to_upstream.append(FLUSH)

    def _go_on(self) -> None:
        """The answer that the line was waiting for has come."""
        if self._waiting is None or self._overdue.stopping:
            return
        item, entry = self._waiting
        if entry.done or (self._for_copy and self._talk.replies.copying_in):
            self._again, self._waiting = item, None
            self._work()

    def _watch_running(self) -> None:
        """What is to be answered next has until its deadline, counted from here."""
        if self._session.bounds.counted and not self._talk.busy:
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
        self._talk.to_upstream = []
        if self._from_upstream.inside and not self._answers.dropping:
            self._talk.to_client = []
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

    __slots__ = ("_relay",)

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def received(self, data: bytes) -> None:
        self._relay.client_received(data)

    def lost(self) -> None:
        self._relay.client_lost()

    def clogged(self) -> None:
        self._relay.client_clogged()

    def cleared(self) -> None:
        self._relay.client_cleared()


class UpstreamSide:
    """The upstream's connection hands its bytes to this."""

    __slots__ = ("_relay",)

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def received(self, data: bytes) -> None:
        self._relay.upstream_received(data)

    def lost(self) -> None:
        self._relay.upstream_lost()

    def clogged(self) -> None:
        self._relay.upstream_clogged()

    def cleared(self) -> None:
        self._relay.upstream_cleared()


def _going_down() -> ShutdownError:
    return ShutdownError("terminating connection due to administrator command")
