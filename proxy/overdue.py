"""Holds one session's statements to their deadlines: what takes too long is stopped in the server.

A CancelRequest goes by a connection of its own and stops whatever the server runs when it comes. So nothing more is
sent while one is on its way; what was sent before may be hit in place of what has ended at that moment, and its error
then says so (`answers`). A server that waits for the client's COPY data hears no CancelRequest: it is told that the
data ends with a failure.

It does not know where deadlines come from (`bounds`).
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from proxy.conversation import Conversation, Entry
from proxy.errors import PgveilError, ProtocolError
from proxy.limits import Deadline
from proxy.ports import Links, Task
from proxy.wire.messages import CopyFail

AGAIN_SECONDS: Final = 1.0
"""Between two requests to cancel what is overdue: a server that has not begun yet does not hear one."""


class Session(Protocol):
    """What `relay` is for this."""

    @property
    def mid_message(self) -> bool:
        """Whether a message of the client was sent in part."""

    def flush(self) -> None:
        """Sends what waits for the server."""

    def resume(self) -> None:
        """Goes on with what was held."""

    def fail(self, error: PgveilError) -> None: ...


class Overdue:
    """Of one session."""

    __slots__ = ("_ended", "_links", "_running", "_session", "_talk", "_timer", "stopping")

    def __init__(self, talk: Conversation, links: Links, session: Session) -> None:
        self._talk = talk
        self._links = links
        self._session = session
        self._running: Entry | None = None
        self._timer: Task | None = None
        self._ended = False
        self.stopping = False
        """A CancelRequest is on its way: what the server got now might be hit by it."""

    def watch(self) -> None:
        """What is to be answered next has until its deadline, counted from here."""
        talk = self._talk
        entry = talk.against_time
        if entry is None and self._running is None and talk.overdue is None:
            return
        if not talk.busy or (entry is not self._running and self._running is not talk.stopped):
            talk.overdue = talk.stopped = None
        if entry is self._running:
            return
        self._running = entry
        self._clear()
        if entry is not None and entry.note is not None and entry.note.deadline is not None:
            deadline = entry.note.deadline
            self._timer = self._links.call_later(deadline.seconds, lambda: self._expire(entry, deadline))

    def end(self) -> None:
        """Deadlines do not matter any more. As often as one likes."""
        self._ended = True
        self._clear()

    def cancel_until(self, ended: Callable[[], bool]) -> None:
        """Whatever the server runs is cancelled, now and again until it has `ended`."""
        if not ended():
            self._links.spawn(self._links.cancel_upstream())
            self._timer = self._links.call_later(AGAIN_SECONDS, lambda: self.cancel_until(ended))

    def _clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self, entry: Entry, deadline: Deadline, *, again: bool = False) -> None:
        talk = self._talk
        if entry is not talk.against_time or self._ended:
            return
        talk.overdue, talk.stopped = deadline, entry
        inside = self._session.mid_message
        if talk.replies.copying_in and inside and again:
            self._session.fail(ProtocolError("the client did not go on with its COPY before its time was over"))
            return
        if talk.replies.copying_in and not inside:
            talk.replies.copy_ends()
            talk.to_upstream.append(CopyFail("timeout").encode())
            self._session.flush()
        elif not self.stopping:
            self.stopping = True
            self._links.spawn(self._stop())
        self._timer = self._links.call_later(AGAIN_SECONDS, lambda: self._expire(entry, deadline, again=True))

    async def _stop(self) -> None:
        try:
            await self._links.cancel_upstream()
        finally:
            self.stopping = False
        self._session.resume()
