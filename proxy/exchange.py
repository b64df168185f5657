"""What a session and its server connection say to each other, where the connection is not the session's own.

Each message of the client is sent on, with the server's name for the statement that it is about (`leasenames`), and
what it may leave behind is noted. Each message of the server is held against what is owed, so that it is known when
the server is idle; what answers a message of ours is not for the client.

It does not take connections or give them back: `lease` does.
https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from proxy.errors import ProtocolError, UpstreamError
from proxy.leaseframes import is_reserved, parse_parts, renamed_error
from proxy.leasenames import Names
from proxy.leaseremains import Remains
from proxy.leasetexts import NO_SEQUENCE, RESERVED, trace_of
from proxy.leasetold import Told
from proxy.leasetypes import Entry, Mark
from proxy.policy.sessionstate import CHECK, CLEAN, UNKNOWN, VALUES, Trace
from proxy.refusals import POISONED, poison_parse, poison_query
from proxy.serverconn import Conn
from proxy.wire.buffer import Frame, Run, length_at
from proxy.wire.codec import HEADER_SIZE, Code
from proxy.wire.messages import IDLE, DataRow, ErrorResponse, Sync, decode_backend
from proxy.wire.replies import PART, Expected, Replies, Request

_EXTENDED: Final = frozenset({Code.PARSE, Code.BIND, Code.DESCRIBE, Code.EXECUTE, Code.CLOSE})
_NOT_IN_COPY: Final = {
    Code.QUERY: Request.QUERY,
    Code.PARSE: Request.PARSE,
    Code.BIND: Request.BIND,
    Code.DESCRIBE: Request.DESCRIBE,
    Code.EXECUTE: Request.EXECUTE,
    Code.CLOSE: Request.CLOSE,
    Code.FUNCTION_CALL: Request.FUNCTION_CALL,
}
_ENDS_SOMETHING: Final = frozenset({b"DEAL", b"DISC", b"CLOS", b"UNLI", b"DROP", b"RESE"})
"""How the tags of commands begin after which less may be left than before: DEALLOCATE, DISCARD, CLOSE, UNLISTEN..."""
_RESETS: Final = frozenset({b"RESE", b"DISC"})
_FLUSH: Final = b"H\0\0\0\4"
_SYNC: Final = Sync().encode()
_MIN_LENGTH: Final = HEADER_SIZE - 1
_READY_LENGTH: Final = 5


class Exchange:
    """Of one session."""

    __slots__ = (
        "_answered",
        "_execute",
        "_told",
        "_valued",
        "blocked",
        "connection",
        "names",
        "open",
        "remains",
        "replies",
        "section",
        "status",
        "to_client",
        "to_server",
    )

    def __init__(
        self,
        reported: Mapping[str, str],
        own: Mapping[bytes, bytes],
        max_prepared: int,
        answered: Callable[[Entry], None],
    ) -> None:
        """`reported`: what the client was told at its login; `own`: what of its startup packet is set on every
        connection."""
        self.replies: Replies[Mark] = Replies()
        self.to_server: list[bytes | bytearray] = []
        self.to_client: list[bytes | bytearray] = []
        self.connection: Conn | None = None
        self.blocked: Entry | None = None
        """No message of the client is sent until this is answered."""
        self.open = False
        """Something was sent that only a Sync ends."""
        self.status = IDLE
        self.section = 0
        """How many Syncs were sent."""
        self.remains = Remains()
        self.names = Names(self, max_prepared)
        self._answered = answered
        """Told when a query of ours has been answered."""
        self._told = Told(reported, own)
        self._execute: Mark | None = None
        self._valued = False

    def __repr__(self) -> str:
        return f"Exchange(status={self.status!r}, {self.remains!r}, {self.replies!r})"

    def begin(self, conn: Conn) -> None:
        """A connection was taken."""
        self.connection, self.status = conn, IDLE
        self._valued = False
        self.names.begin(conn)

    def end(self) -> None:
        """It is given back, or gone."""
        if self.connection is not None:
            self.names.end(self.connection)
        self.connection, self.blocked = None, None

    @property
    def idle(self) -> bool:
        """Whether the server owes nothing, and waits for the beginning of something."""
        return self.replies.head is None and not self.open and self.status == IDLE

    @property
    def passable(self) -> bool:
        """Whether the connection can go to others where the session ends now, once what is ours is answered."""
        head = self.replies.head
        only_ours = head is None or (head.ours and self.replies.last.ours)
        return only_ours and not self.open and self.status == IDLE and self.remains.pinned is None

    def catch_up(self) -> bool:
        """The client hears of settings that are not what it was told last. True: there are some."""
        changed = self._told.catch_up(self.conn)
        self.to_client += changed
        return bool(changed)

    # The client's messages

    def take(self, frame: Frame) -> bool:
        """One message. False: it has to wait. Raises ProtocolError."""
        tag = frame.tag
        if self.replies.copying_in and tag in _NOT_IN_COPY:
            self._break_copy(frame)
            return True
        if self.blocked is not None:
            if not self.blocked.done:
                return False
            self.blocked = None
        if tag == Code.QUERY:
            return self._query(frame)
        if tag in _EXTENDED:
            if self.replies.skipping:
                return True
            self.open = True
            if is_reserved(frame):
                self.refuse(frame, RESERVED)
                return True
            return self._take_extended(frame)
        if tag == Code.SYNC:
            self.open = False
            self._execute = None
            self.send_entry(frame.raw, Expected(Request.SYNC, plain=True))
            self.section += 1
        elif tag == Code.FLUSH:
            self.to_server.append(frame.raw)
        elif tag == Code.FUNCTION_CALL:
            self.mark(UNKNOWN)
            self.send_entry(frame.raw, Expected(Request.FUNCTION_CALL))
        elif tag in (Code.COPY_DONE, Code.COPY_FAIL):
            self.replies.copy_ends()
            self.to_server.append(frame.raw)
        else:
            raise ProtocolError(f"invalid frontend message type {tag}")
        return True

    def _break_copy(self, frame: Frame) -> None:
        """The server waits for COPY data, and ends the session over this; it would hear nothing if this had to wait."""
        self.blocked = None
        self.mark(UNKNOWN)
        self.send_entry(frame.raw, Expected(_NOT_IN_COPY[frame.tag]))

    def _take_extended(self, frame: Frame) -> bool:
        tag = frame.tag
        if tag == Code.BIND:
            return self.names.bind(frame)
        if tag == Code.EXECUTE:
            return self._executed(frame)
        if tag == Code.DESCRIBE:
            return self.names.describe(frame)
        if tag == Code.PARSE:
            return self._parse(frame)
        if tag == Code.CLOSE:
            return self.names.close(frame)
        raise ProtocolError(f"invalid frontend message type {tag}")

    def _query(self, frame: Frame) -> bool:
        if self.replies.skipping:
            return True
        left = trace_of(bytes(frame.raw[HEADER_SIZE:-1]))
        self.remains.unasked = True
        if left is CLEAN or left is VALUES:
            self._valued = self._valued or left is VALUES
            self._send_query(frame.raw, Expected(Request.QUERY, plain=True))
            return True
        if (left.names or left.deallocates is not None) and self.replies.head is not None:
            self.block(self.replies.last)  # what stands under the names is not known yet
            self.flush_now()
            return False
        if left.sequences and not self._valued:
            self.refuse_sequence(frame)
            return True
        note = self._names_of(left)
        self.mark(left)
        entry: Entry = Expected(Request.QUERY, note)
        self._send_query(frame.raw, entry)
        if left.names or note is not None:
            self.names.wait_for(entry)
        return True

    def _send_query(self, data: bytes | bytearray, entry: Entry) -> None:
        self.send_entry(data, entry)
        self.names.query_sent(entry)

    def _names_of(self, left: Trace) -> Mark | None:
        """Ahead of a text that knows statements by their names in SQL."""
        name = (left.deallocates or "").encode()
        if left.names and not self.names.native:
            sent = self.names.go_native()
        elif name and self.names.find(name) is not None:
            self.names.give_stray(name)
            sent = True
        else:
            return None
        if sent:  # whatever becomes of those, the server listens again
            self.send_entry(_SYNC, Expected(Request.SYNC, ours=True))
        return Mark("deallocate", None, name) if name else None

    def _parse(self, frame: Frame) -> bool:
        parts = parse_parts(frame)
        if parts is None:
            self.send_entry(frame.raw, Expected(Request.PARSE, plain=True))
            return True
        return self.names.parse(frame, parts, trace_of(parts[1]))

    def _executed(self, frame: Frame) -> bool:
        self.remains.unasked = True
        note, self._execute = self._execute, None
        self.send_entry(frame.raw, Expected(Request.EXECUTE, note, plain=note is None))
        return True

    # For `leasenames`

    @property
    def conn(self) -> Conn:
        if self.connection is None:
            raise UpstreamError("the session has no connection to the database")
        return self.connection

    @property
    def tainted(self) -> bool:
        """Whether there may be other settings than the session is known to have."""
        return self.remains.unsettled

    @property
    def skipping(self) -> bool:
        return self.replies.skipping

    @property
    def valued(self) -> bool:
        """Whether the session may have taken a sequence's value since it took this connection."""
        return self._valued

    def send_entry(self, data: bytes | bytearray, entry: Entry) -> None:
        if self.replies.expect(entry):
            self.to_server.append(data)

    def flush_now(self) -> None:
        self.to_server.append(_FLUSH)

    def block(self, entry: Entry) -> None:
        self.blocked = entry

    def refuse(self, frame: Frame, error: bytes) -> None:
        """The server fails a statement that fails always, and the client gets this error for it."""
        if frame.tag == Code.QUERY:
            self._send_query(poison_query().encode(), Expected(Request.QUERY, replacement=error))
        else:
            self.send_entry(poison_parse().encode(), Expected(Request.PARSE, replacement=error))

    def refuse_sequence(self, frame: Frame) -> None:
        self.refuse(frame, NO_SEQUENCE)

    def mark(self, left: Trace) -> None:
        """A text with these traces is sent to run."""
        self._valued = self._valued or left.values
        if left is not VALUES:
            self.remains.mark(left)

    def will_deallocate(self, name: bytes) -> None:
        self._execute = Mark("deallocate", None, name)

    # The server's messages

    def pass_on(self, data: bytes) -> int:
        """How many bytes at the start of a chunk go to the client as they are: whole messages, each of them an answer
        that is owed to it, and is what it should be. They are counted as answered."""
        replies = self.replies
        pos, end = 0, len(data)
        while (head := replies.head) is not None:
            if head.request is Request.COPY_END:
                replies.take_made()
                continue
            if not head.plain or head.ours:
                break
            passes = head.request.passes
            part = PART
            while part == PART:
                if end - pos < HEADER_SIZE:
                    return pos
                tag, length = data[pos], length_at(data, pos)
                part, stop = passes[tag], pos + 1 + length
                if part == 0 or stop > end or length < _MIN_LENGTH:
                    return pos
                if tag == Code.COMMAND_COMPLETE and data[pos + HEADER_SIZE : pos + HEADER_SIZE + 4] in _ENDS_SOMETHING:
                    return pos
                if part == PART:
                    pos = stop
            if tag == Code.READY_FOR_QUERY:
                if length != _READY_LENGTH:
                    return pos
                self._is_ready(head, data[pos + HEADER_SIZE])
            elif tag == Code.PARSE_COMPLETE and head.note is not None:
                self.names.parsed(head.note)
            replies.pop()
            pos = stop
        return pos

    def answer(self, item: Frame | Run) -> None:
        """One message, or a run of rows. Raises PgveilError where nobody waits for it."""
        head = self.replies.head
        ours = head is not None and head.ours
        if isinstance(item, Run):
            if not ours:
                self.to_client.append(item.raw)
            return
        tag = item.tag
        if tag == Code.READY_FOR_QUERY:
            self._ready(item)
        elif tag == Code.ERROR_RESPONSE:
            self._error(item)
        elif tag == Code.PARAMETER_STATUS:
            self.to_client += self._told.parameter(self.conn, item, ours=ours)
        elif tag in (Code.NOTICE_RESPONSE, Code.NOTIFICATION_RESPONSE):
            # The server notifies when it has a moment, as at the end of a question of ours.
            if not ours or tag == Code.NOTIFICATION_RESPONSE:
                self.to_client.append(item.raw)
        else:
            entry = self.replies.accept(tag)[0]
            if not ours:
                self.to_client.append(item.raw)
            if tag == Code.COMMAND_COMPLETE:
                self._completed(entry.note, item)
            elif entry.note is not None:
                self._settle(entry.note, item)
            if entry.done:
                self.replies.take_made()

    def _settle(self, mark: Mark, frame: Frame) -> None:
        tag = frame.tag
        if tag == Code.PARSE_COMPLETE:
            self.names.parsed(mark)
        elif tag == Code.CLOSE_COMPLETE and mark.kind == "close":
            self.names.closed(mark)
        elif mark.kind == "shape":
            self.names.described(mark, frame)
        elif mark.kind == "probe" and tag == Code.DATA_ROW:
            row = decode_backend(frame)
            if isinstance(row, DataRow):
                mark.rows = [*(mark.rows or ()), row.values]

    def _completed(self, mark: Mark | None, frame: Frame) -> None:
        begins = bytes(frame.raw[HEADER_SIZE : HEADER_SIZE + 4])
        if begins not in _ENDS_SOMETHING:
            return
        self._told.reset = begins in _RESETS
        if self.remains.pinned is not None:
            self.remains.left |= CHECK
        told = bytes(frame.raw[HEADER_SIZE:-1])
        if told in (b"DEALLOCATE ALL", b"DISCARD ALL"):
            self.names.forgotten(None)
        elif mark is not None and mark.kind == "deallocate":
            self.names.forgotten(mark.name)

    def _ready(self, frame: Frame) -> None:
        entry = self.replies.accept(frame.tag)[0]
        self._is_ready(entry, frame.raw[HEADER_SIZE])
        if not entry.ours:
            self.to_client.append(frame.raw)
        elif entry.note is not None:
            self._answered(entry)
        self.replies.take_made()

    def _is_ready(self, entry: Entry, status: int) -> None:
        self.status = chr(status)
        self._told.reset = False
        if self.status == IDLE:
            self.remains.tainted = False
        if entry.request is not Request.QUERY:
            return
        if entry.ours:
            self.names.displaced()
        else:
            self.names.queried()

    def _error(self, frame: Frame) -> None:
        message = decode_backend(frame)
        if not isinstance(message, ErrorResponse):
            raise UpstreamError("the server's ErrorResponse cannot be read")
        if message.severity in ("FATAL", "PANIC") and self.replies.head is None:
            self.to_client.append(frame.raw)
            return
        entry = self.replies.accept(frame.tag)[0]
        mark = entry.note
        self.names.failed(mark)
        if entry.replacement is not None and message.sqlstate == POISONED:
            self.to_client.append(entry.replacement)
        elif mark is not None and mark.kind in ("prelude", "probe"):
            mark.failed = message
        elif mark is None or mark.kind != "quiet":
            self.to_client.append(frame.raw if mark is None else renamed_error(frame.raw, mark.server, mark.name))
        self.replies.take_made()
