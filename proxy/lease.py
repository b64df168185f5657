"""A session's place at the server where it has no connection of its own: it takes one when it has something to send,
and gives it back when the server is idle. For `relay` this is the upstream's connection.

Taken is a connection of the session's own key (`pool`), with the session's settings on it. Given back is one that owes
nothing, is in no transaction and no COPY, of which no CancelRequest is on its way, and on which nothing of the session
is left: after a text that may have left something, the server is asked (`leftovers`). Settings go along with the
session. Whatever else is found keeps the connection with the session, which is told so: it is *pinned*, until it ends,
or the server says that nothing is left.

It does not know who the session is, nor what is said on the connection (`exchange`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from proxy.errors import InternalError, PgveilError
from proxy.exchange import Exchange
from proxy.inquiry import Inquiry, Origin
from proxy.leaseinbox import Ending, Inbox, Pressure
from proxy.leasetypes import Entry, Mark
from proxy.leftovers import difference
from proxy.pool import Group
from proxy.poolerrors import PolicyChangedError
from proxy.poolqueue import Ticket, Want
from proxy.refusals import CANCELLED, refusal_response
from proxy.serverconn import Conn, User
from proxy.wire.buffer import NOTHING, Frame, FrameBuffer, Run
from proxy.wire.codec import Code
from proxy.wire.messages import ErrorResponse, Query, Terminate, error_response
from proxy.wire.replies import Expected, Request

ROWS: Final = frozenset({Code.DATA_ROW, Code.COPY_DATA})


class Lease:
    """Of one session. To the relay it is the upstream's `Stream`, to the connection its `User`."""

    __slots__ = (
        "_closing",
        "_end",
        "_ended",
        "_failed",
        "_from_server",
        "_group",
        "_inbox",
        "_inquiry",
        "_leaving",
        "_line",
        "_loop",
        "_paused",
        "_pressure",
        "_pumping",
        "_receiver",
        "_ticket",
        "_want",
    )

    def __init__(self, group: Group, want: Want, origin: Origin, ended: Callable[[], None] = lambda: None) -> None:
        """`ended` is called once, when the session takes no connection any more."""
        self._group = group
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._receiver: User | None = None
        self._inbox = Inbox(origin.max_frame)
        self._from_server = FrameBuffer(passing=ROWS)
        self._line = Exchange(origin.reported, origin.settings, group.limits.max_prepared, self._answered)
        self._want = want.of(self._line.names)
        self._inquiry = Inquiry(self._line, group, origin)
        self._ticket: Ticket | None = None
        self._failed: ErrorResponse | None = None
        """Why the session's settings could not be made on this connection."""
        self._leaving = False
        """The client has said goodbye: a server would close once it has done what it was sent."""
        self._paused = self._closing = self._pumping = False
        self._pressure = Pressure()
        self._end = Ending()

    def __repr__(self) -> str:
        return f"Lease(waiting={self._ticket is not None}, {self._line!r})"

    # For the relay

    def attach(self, receiver: User) -> None:
        self._receiver = self._pressure.receiver = receiver

    def send(self, data: bytes) -> None:
        if not self._closing:
            self._inbox.feed(data)
            self._pump()

    def pause_reading(self) -> None:
        self._paused = True
        if self._line.connection is not None:
            self._line.connection.stream.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if self._line.connection is not None:
            self._line.connection.stream.resume_reading()

    def close(self) -> None:
        """The session is over. What it sent is still the server's to finish."""
        if self._closing:
            return
        self._closing = True
        self._leave_queue()
        conn = self._line.connection
        if conn is None:
            self._finish()
        elif self._line.passable:
            self._rest()
        else:
            self._dismiss(conn)

    def abort(self) -> None:
        self._closing = True
        conn = self._line.connection
        if conn is not None:
            self._part(conn)
            conn.abort()
        self._finish()

    async def wait_closed(self) -> None:
        await self._end.wait()

    def cancel(self) -> Coroutine[Any, Any, None]:
        """The client's CancelRequest. It reaches the connection of this moment, and nobody else gets that meanwhile."""
        conn = self._line.connection
        return self._stop_waiting() if conn is None else self._group.cancel(conn)

    async def _stop_waiting(self) -> None:
        if self._ticket is not None:
            self._leave_queue()
            self._reject(refusal_response(CANCELLED))

    # For the connection

    def received(self, data: bytes) -> None:
        try:
            self._hear(data)
        except Exception as error:  # the edge of the session: no error of ours may pass the loop
            self._break(error)

    def _hear(self, data: bytes) -> None:
        buffer, line = self._from_server, self._line
        passed = line.pass_on(data) if buffer.empty else 0
        if passed:
            line.to_client.append(data if passed == len(data) else data[:passed])
        if passed < len(data):
            buffer.feed(data[passed:] if passed else data)
            while (item := buffer.take()) is not None:
                line.answer(item)
        if self._failed is not None:
            self._give_up(self._failed)
            return
        self._deliver()
        if not self._inbox.empty:
            self._pump()
        self._rest()

    def lost(self) -> None:
        self._line.connection = None
        self._deliver()
        self._finish()

    def clogged(self) -> None:
        self._pressure.on_connection(full=True)

    def cleared(self) -> None:
        self._pressure.on_connection(full=False)

    # What the client sends

    def _pump(self) -> None:
        """Sends what has come from the client, as far as it goes."""
        if self._pumping:
            return
        self._pumping = True
        try:
            self._send_on()
        except Exception as error:  # as in `received`; the relay is in the middle of something
            self._loop.call_soon(self._break, error)
        finally:
            self._pumping = False
        self._flush()
        if self._leaving:
            self._loop.call_soon(self._rest)
        if self._inbox.full != self._pressure.here:
            self._pressure.here = self._inbox.full
            self._loop.call_soon(self._pressure.tell)

    def _send_on(self) -> None:
        while not self._end.over:
            item = self._inbox.next()
            if item is None:
                return
            if isinstance(item, Run):
                if self._line.connection is not None:
                    self._line.to_server.append(item.raw)
            elif not self._take(item):
                self._inbox.hold(item)
                return

    def _take(self, frame: Frame) -> bool:
        """One message. False: it has to wait."""
        tag = frame.tag
        if tag == Code.TERMINATE:
            self._leaving = True
            return True
        if self._line.connection is None:
            if self._inbox.takes_alone(tag, self._tell):
                return True
            if not self._lease():
                return False
        return self._line.take(frame)

    def _lease(self) -> bool:
        """Whether there is a connection at once."""
        if self._ticket is not None:
            return False
        conn = self._group.take(self._want, self._inquiry.settings)
        if conn is None:
            self._ticket = self._group.queue(self._want, self._ready)
            return False
        self._begin(conn)
        return True

    def _ready(self, found: Conn | PgveilError) -> None:
        """The queue is over."""
        self._ticket = None
        if isinstance(found, Conn):
            self._begin(found)
            self._pump()
            self._rest()
        else:
            self._reject(error_response(found), everything=isinstance(found, PolicyChangedError))

    def _begin(self, conn: Conn) -> None:
        conn.user = self
        self._line.begin(conn)
        if self._paused:
            conn.stream.pause_reading()
        own = self._inquiry.settings
        if conn.settings is not own and conn.settings != own:
            self._line.block(self._ask("prelude", difference(conn.settings, own)))
            return
        conn.settings = own
        if self._line.catch_up():
            self._loop.call_soon(self._deliver)

    def _ask(self, kind: str, text: bytes) -> Entry:
        """A query of ours."""
        entry: Entry = Expected(Request.QUERY, Mark(kind), ours=True)
        self._line.names.displaced()
        self._line.send_entry(Query(text).encode(), entry)
        self._flush()
        return entry

    # Refusing without a connection

    def _reject(self, error: ErrorResponse, *, everything: bool = False) -> None:
        self._line.to_client += self._inbox.reject_all(error) if everything else self._inbox.reject(error)
        self._deliver()
        self._pump()

    def _tell(self, data: bytes) -> None:
        """In the middle of what the relay is doing: the client hears it afterwards."""
        self._line.to_client.append(data)
        self._loop.call_soon(self._deliver)

    # Giving it back

    def _answered(self, entry: Entry) -> None:
        """A query of ours was answered. No message is under way now."""
        mark = entry.note
        if mark is not None and mark.kind == "probe":
            self._from_server.passing = ROWS
            if mark.failed is None:
                self._inquiry.answered(mark)
            else:
                self._inquiry.unanswered()
        elif mark is not None and mark.kind == "prelude":
            self._failed = mark.failed
            if mark.failed is None:
                self._line.conn.settings = self._inquiry.settings
                self._line.catch_up()

    def _rest(self) -> None:
        """If the server is idle: asks what is left, or gives the connection back."""
        line, conn = self._line, self._line.connection
        if self._leaving and not self._closing and self._goes():
            return
        if conn is None or self._end.over:
            return
        if not line.idle:
            if self._closing and line.replies.head is None:  # it was sent what the client will not end any more
                self._dismiss(conn)
            return
        if not self._inbox.between and not self._closing:
            return
        asked = self._inquiry.question()
        if asked is not None:
            self._from_server.passing = NOTHING
            self._ask("probe", asked)
            return
        if line.remains.pinned is None:
            self._give_back(conn)
        else:
            self._keep(conn)

    def _goes(self) -> bool:
        """The client has said goodbye, and the server has done what it was sent; in COPY that is an error there."""
        conn, replies = self._line.connection, self._line.replies
        if conn is not None and replies.copying_in:
            self._leaving = False
            self._group.drop(conn)
            conn.stream.send(Terminate().encode())
        elif replies.head is None and not self._inbox.holds:
            self.close()
        else:
            return False
        return True

    def _give_back(self, conn: Conn) -> None:
        self._part(conn, whole=True)
        self._inquiry.over()
        self._group.give_back(conn)
        if self._closing:
            self._finish()

    def _keep(self, conn: Conn) -> None:
        self._inquiry.over()
        if self._closing:
            self._dismiss(conn)
        else:
            self._inquiry.tell()
            self._deliver()

    # Ends

    def _dismiss(self, conn: Conn) -> None:
        """The connection ends with the session."""
        self._group.drop(conn)
        if not conn.over:
            conn.close()

    def _part(self, conn: Conn, *, whole: bool = False) -> None:
        """The connection is the session's no more. `whole`: it is of use to others."""
        conn.user = None
        self._line.end()
        if not whole:
            self._group.drop(conn)

    def _give_up(self, error: ErrorResponse) -> None:
        """The session's settings could not be made: nothing of it runs without them."""
        conn, self._failed = self._line.conn, None
        self._part(conn, whole=True)
        self._group.give_back(conn)
        self._reject(error)

    def _break(self, error: Exception) -> None:
        """Nothing is known of the connection's state any more."""
        conn = self._line.connection
        if conn is not None:
            self._part(conn)
            conn.abort()
        if not isinstance(error, PgveilError):
            self._group.crashed(error)
            error = InternalError("the proxy failed; the session is ended")
        if not self._from_server.inside:
            self._line.to_client.append(error_response(error, "FATAL").encode())
        self._deliver()
        self._finish()

    def _leave_queue(self) -> None:
        if self._ticket is not None:
            self._group.leave(self._ticket)
            self._ticket = None

    def _finish(self) -> None:
        if self._end.over:
            return
        self._end.come()
        self._leave_queue()
        self._ended()
        if self._receiver is not None:
            self._loop.call_soon(self._receiver.lost)

    def _deliver(self) -> None:
        told = self._line.to_client
        if told and self._receiver is not None:
            data = b"".join(told)
            told.clear()
            self._receiver.received(data)

    def _flush(self) -> None:
        conn, sent = self._line.connection, self._line.to_server
        if sent and conn is not None:
            data = b"".join(sent)
            sent.clear()
            conn.stream.send(data)
