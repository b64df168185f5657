"""Moves the bytes of one session: what each side received to the line, what came out of it to the other side.

One scan and one write per chunk that was received, on either side, and no task switch. A side that is slow pauses
the other. The line can be stopped (`hold`, `wait`): then the client's messages stay in their buffer, and once that
holds enough, the client is paused as well; it is read until then, so that its leaving is noticed.

How it ends is told in `ending`. It does not know messages: `session` and `answers` do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.answers import ROWS, Answers
from proxy.conversation import Conversation
from proxy.ending import Ending
from proxy.errors import InternalError, PgveilError, ProtocolError
from proxy.halt import Halt
from proxy.order import FLUSH
from proxy.overdue import Overdue
from proxy.passing import TAKEN
from proxy.policy.rules import Identity
from proxy.ports import Links, Services
from proxy.session import Session
from proxy.wire.buffer import Frame, FrameBuffer, Run
from proxy.wire.codec import Code
from proxy.wire.messages import IDLE

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
        "_answers",
        "_from_client",
        "_from_upstream",
        "_halt",
        "_links",
        "_overdue",
        "_paused",
        "_received",
        "_sent",
        "_session",
        "_skips",
        "_talk",
        "_to_client",
        "_to_upstream",
        "_upstream_full",
        "_watcher",
        "client",
        "ending",
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
        self._overdue = Overdue(talk, links, self)
        self._halt = Halt(talk, links, self._overdue, self._resume, self._crashed)
        self._session = Session(talk, services, self._halt)
        self._answers = Answers(talk, services.watcher)
        self._from_client = FrameBuffer(max_frame=links.max_frame, passing=_FROM_CLIENT, small=_SMALL)
        if not talk.masked:
            self._from_client.long = _LONG
        self._from_upstream = FrameBuffer(passing=ROWS)
        self.client = ClientSide(self)
        self.upstream = UpstreamSide(self)
        self._skips = False
        """The long message that is under way is one that the server would skip."""
        self.ending = Ending(talk, links, self._session.bounds, self._overdue, self._halt, self)
        self._upstream_full = False
        self._received = self._sent = 0

    def __repr__(self) -> str:
        return f"Relay({self._talk!r}, stands={self._halt.stands}, ended={self.ending.ended})"

    @property
    def ended(self) -> bool:
        return self.ending.ended

    @property
    def identity(self) -> Identity:
        return self._talk.identity

    # Bytes

    def client_received(self, data: bytes) -> None:
        self._received += len(data)
        if self.ending.ended:
            return
        try:
            self._client_sent(data)
        except Exception as error:  # the edge of the session: no error of ours may pass the loop
            self._crashed(error)

    def upstream_received(self, data: bytes) -> None:
        if self.ending.ended:
            return
        try:
            self._server_sent(data)
        except Exception as error:  # as above
            self._crashed(error)

    def _client_sent(self, data: bytes) -> None:
        """A chunk of the client: what may pass as it is does so in one piece, the rest message by message."""
        buffer = self._from_client
        if not buffer.empty or self._halt.stands or self._halt.left:
            buffer.feed(data)
            self._work()
            return
        passing = self._session.passing
        passed = passing.chunk(data)
        if passed == len(data):
            self._to_upstream(passing.instead or data)
            passing.instead = None
            if self._received >= REPORT_BYTES:
                self._report()
        elif passed == TAKEN:
            self._worked()
        else:
            if passed:
                self._talk.to_upstream.append(data[:passed])
            buffer.feed(data[passed:] if passed else data)
            self._work()

    def _work(self) -> None:
        """Walks the client's messages down the line until it is stopped or there are no more."""
        self._session.passing.look()
        try:
            while not (self._halt.stands or self._halt.left or self.ending.ended):
                item = self._halt.again() or self._from_client.take()
                if item is None:
                    break
                if isinstance(item, Frame):
                    self._session.take(item)
                else:
                    self._part(item)
        except ProtocolError as error:
            self._halt.condemn(error)
        self._worked()

    def _worked(self) -> None:
        """The line has stopped, or there is no more to take."""
        talk = self._talk
        self._answers.flush_made()
        if talk.to_upstream and talk.against_time is not None and talk.untold and not self.mid_message:
            talk.to_upstream.append(FLUSH)
        self.flush()
        self._watch_running()
        self._pace_client()

    def _part(self, run: Run) -> None:
        """COPY data, or a part of a long message. COPY data goes on once it is clear whether the server reads it: what
        is owed may be the COPY that it is for."""
        talk = self._talk
        if run.lead:
            if not self._skips:
                talk.to_upstream.append(run.raw)
        elif run.tag:
            self._skips = talk.replies.skipping
            if not self._skips:
                self._session.begin_long(run)
        elif talk.replies.copying_in or not talk.busy:
            self._skips = False
            talk.to_upstream.append(run.raw)
        else:
            self._halt.wait_for_copy(run)

    def _server_sent(self, data: bytes) -> None:
        """A chunk of the server, likewise."""
        buffer, talk = self._from_upstream, self._talk
        passed = self._answers.pass_on(data) if buffer.empty else 0
        if passed:
            talk.to_client.append(data if passed == len(data) else data[:passed])
            if talk.busy:
                self._answers.flush_made()
        if passed < len(data):
            buffer.feed(data[passed:] if passed else data)
            while (item := buffer.take()) is not None:
                self._answers.take(item)
        self.flush()
        self._watch_running()
        if self._halt.answered:
            self._work()
        if self._halt.doom is not None:
            self._halt.condemn(self._halt.doom)
        if self.ending.due:
            self.ending.check()

    def flush(self) -> None:
        """Sends what waits for either side."""
        talk = self._talk
        if talk.to_client:
            data = _joined(talk.to_client)
            talk.to_client = []
            self._sent += len(data)
            if self.ending.alone:
                self.ending.unread(len(data))
            else:
                self._to_client(data)
        if talk.to_upstream and not self._overdue.stopping:
            data = _joined(talk.to_upstream)
            talk.to_upstream = []
            self._to_upstream(data)
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
        full = self._upstream_full or (self._halt.stands and self._from_client.pending >= HELD_BYTES)
        if full == self._paused:
            return
        self._paused = full
        if full:
            self._links.client.pause_reading()
        else:
            self._links.client.resume_reading()

    # The line

    @property
    def idle(self) -> bool:
        """Whether nothing is owed to the client, and no transaction is open."""
        return not self._halt.stands and not self._talk.busy and self._talk.status == IDLE

    @property
    def resting(self) -> bool:
        """Whether nothing is owed to the client, be a transaction open or not."""
        return not self._halt.stands and not self._talk.busy

    def _watch_running(self) -> None:
        """What is to be answered next has until its deadline, counted from here."""
        if self._session.bounds.counted and not self._talk.busy:
            self._session.bounds.rest()
        self._overdue.watch()

    @property
    def mid_message(self) -> bool:
        return self._from_client.inside

    def resume(self) -> None:
        """Goes on, now that no CancelRequest is on its way any more."""
        if not self.ending.ended and self._halt.answered:
            self._resume()
        self._resume()

    def _resume(self) -> None:
        """Walks on. Whatever that raises ends the session."""
        if self.ending.ended:
            return
        try:
            self._work()
        except Exception as error:  # the edge of the session: no error of ours may pass the loop
            self._crashed(error)

    def _crashed(self, error: Exception) -> None:
        """Ends the session: nothing is known of its state any more."""
        if isinstance(error, PgveilError):
            self.fail(error)
        else:
            self._watcher.crash(error)
            self.fail(InternalError("the proxy failed; the session is ended"))

    async def cancel(self) -> None:
        """The client's CancelRequest has come: a question stops here, a statement in the server."""
        if self.ending.ended:
            return
        if self._session.cancel():
            self._halt.cancel()
        elif self._talk.busy:
            await self._links.cancel_upstream()

    # The end

    def client_lost(self) -> None:
        self.ending.client_lost()

    def upstream_lost(self) -> None:
        self.ending.upstream_lost(said_goodbye=self._answers.said_goodbye)

    def drain(self) -> None:
        """Ends the session as soon as it is idle."""
        self.ending.drain()

    def stop(self) -> None:
        """Ends the session now."""
        self.ending.stop()

    def fail(self, error: PgveilError) -> None:
        """Ends the session with an error."""
        self.ending.fail(error)

    @property
    def half_sent(self) -> bool:
        return self._from_upstream.inside and not self._answers.dropping

    def closing(self) -> None:
        """Nothing more goes to the client."""
        self._report()
        self._halt.cancel()


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


def _joined(parts: list[bytes | bytearray]) -> bytes:
    return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
