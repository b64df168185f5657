"""What the server sends, on its way to the client: held against what is owed, scrubbed for a masked role.

Rows pass as runs of bytes, unread, but for those that a limit cuts off. The other messages settle what the session
remembers: names, what they mean, the transaction. An error may be replaced by a refusal of ours; a message that nobody
waits for ends the session.

It does not know connections (`relay`) or what the client sent (`session`).
https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from proxy.conversation import Conversation, Entry, Note
from proxy.errors import ProtocolError, UpstreamError
from proxy.limits import passed_before
from proxy.parameters import reported
from proxy.policy.plan import Effect, PlannedStatement
from proxy.policy.rules import StatementKind
from proxy.ports import Watcher
from proxy.prepared import Statement
from proxy.refusals import CANCELLED, POISONED, refusal_response
from proxy.results import current, result_of, tally_of
from proxy.scrub import Position, nowhere, scrub_error, scrub_notice
from proxy.tally import Result
from proxy.wire.buffer import Frame, Run, length_at
from proxy.wire.codec import HEADER_SIZE, Code
from proxy.wire.messages import (
    FAILED,
    IDLE,
    IN_TRANSACTION,
    STATEMENT,
    CommandComplete,
    ErrorResponse,
    NoticeResponse,
    ParameterStatus,
    ReadyForQuery,
    decode_backend,
)
from proxy.wire.replies import PART, Request

ROWS: Final = frozenset({Code.DATA_ROW, Code.COPY_DATA})
"""What passes without a look inside."""

_STATUSES: Final = {ReadyForQuery(status).encode(): status for status in (IDLE, IN_TRANSACTION, FAILED)}
_LETTERS: Final = {ord(status): status for status in _STATUSES.values()}
_READY_LENGTH: Final = 5
FATAL: Final = frozenset({"FATAL", "PANIC"})
_UNREAD: Final = frozenset(
    {
        Code.ROW_DESCRIPTION,
        Code.PARAMETER_DESCRIPTION,
        Code.NO_DATA,
        Code.DATA_ROW,
        Code.EMPTY_QUERY_RESPONSE,
    }
)
"""What a masked session has nothing to do about, where the entry is plain. COPY is looked at."""
_MIN_LENGTH: Final = HEADER_SIZE - 1
_ENDS: Final = frozenset({Code.COMMAND_COMPLETE, Code.PORTAL_SUSPENDED, Code.READY_FOR_QUERY})
"""What comes after the rows of a result."""


class Answers:
    """The server's side of one session. Everything raised here ends it."""

    __slots__ = ("_begun", "_result", "_talk", "_watcher", "said_goodbye")

    def __init__(self, talk: Conversation, watcher: Watcher) -> None:
        self._talk = talk
        self._watcher = watcher
        self.said_goodbye = False
        """The server has sent its last error, and closes."""
        self._result: Result | None = None
        """Of the rows that come now, where a limit holds for them..."""
        self._begun = not talk.masked
        """...and whether that was asked."""

    def pass_on(self, data: bytes) -> int:
        """How many bytes at the start of a chunk go to the client as they are: whole messages, each of them an answer
        that is owed and that nobody has to look into. They are counted as answered."""
        talk, replies = self._talk, self._talk.replies
        pos, end = 0, len(data)
        if self._result is not None:
            return 0
        while (head := replies.head) is not None and head.plain:
            passes = head.request.passes
            part = PART
            while part == PART:
                if end - pos < HEADER_SIZE:
                    return pos
                tag, length = data[pos], length_at(data, pos)
                part = passes[tag]
                stop = pos + 1 + length
                if part == 0 or stop > end or length < _MIN_LENGTH:
                    return pos
                if talk.masked and not self._settles(head, tag):
                    return pos
                if part == PART:
                    pos = stop
            if tag == Code.READY_FOR_QUERY:
                if length != _READY_LENGTH or data[stop - 1] not in _LETTERS:
                    return pos
                status = _LETTERS[data[stop - 1]]
                replies.pop()
                talk.ready(status=status)
            else:
                replies.pop()
            pos = stop
        return pos

    def _settles(self, head: Entry, tag: int) -> bool:
        """Does what a masked session does about a reply to a plain entry. False: it takes more than that."""
        note = head.note
        if tag == Code.COMMAND_COMPLETE:
            if head.request is Request.QUERY and note is not None:
                note.completed += 1
                if note.completed > 1:
                    return False
            self._begun = False
        elif tag in _ENDS:
            self._begun = False
        elif tag == Code.PARSE_COMPLETE:
            self._parsed(head)
        elif tag == Code.BIND_COMPLETE:
            self._bound(head)
        elif tag == Code.CLOSE_COMPLETE:
            self._closed(head)
        else:
            return tag in _UNREAD
        return True

    def take(self, item: Frame | Run) -> None:
        """One message of the server, or a run of rows. Raises UpstreamError for one that nobody waits for."""
        talk = self._talk
        if isinstance(item, Run):
            head = talk.replies.head
            if head is None or not talk.replies.takes_rows:
                raise UpstreamError("the server sent rows that nobody asked for")
            if not self._begun:
                self._result, self._begun = result_of(talk, head), True
            talk.to_client.append(item.raw if self._result is None else self._result.take(item))
            return
        tag = item.tag
        if tag == Code.NOTICE_RESPONSE:
            self._notice(item)
        elif tag == Code.PARAMETER_STATUS:
            self._parameter(item)
        elif tag == Code.NOTIFICATION_RESPONSE:
            if not talk.masked:
                talk.to_client.append(item.raw)
        elif tag == Code.ERROR_RESPONSE:
            self._error(item)
        else:
            self._reply(item)

    @property
    def dropping(self) -> bool:
        """Whether the row that is under way does not go to the client."""
        return self._result is not None and self._result.dropping

    def flush_made(self) -> None:
        """Sends what was made here and has its turn."""
        made = self._talk.replies.take_made()
        if made:
            self._talk.to_client.append(made)

    # Replies

    def _reply(self, frame: Frame) -> None:
        talk, tag = self._talk, frame.tag
        entry = self._entry(frame)
        if not entry.ours:
            ends = talk.masked and tag in _ENDS
            talk.to_client.append(self._end_of_result(entry, frame) if ends else frame.raw)
        if tag == Code.READY_FOR_QUERY:
            self._ready(frame)
        elif talk.masked:
            self._settle(entry, frame)
        self.flush_made()

    def _settle(self, entry: Entry, frame: Frame) -> None:
        """What a reply says of the names that a masked session has."""
        tag = frame.tag
        if tag == Code.PARSE_COMPLETE:
            self._parsed(entry)
        elif tag == Code.BIND_COMPLETE:
            self._bound(entry)
        elif tag == Code.CLOSE_COMPLETE:
            self._closed(entry)
        elif tag == Code.COMMAND_COMPLETE:
            self._completed(entry, frame)
        elif tag == Code.COPY_OUT_RESPONSE:
            self._copying(entry, frame)

    def _entry(self, frame: Frame) -> Entry:
        try:
            return self._talk.replies.accept(frame.tag)[0]
        except ProtocolError as error:
            raise UpstreamError(error.message) from error

    def _ready(self, frame: Frame) -> None:
        status = _STATUSES.get(bytes(frame.raw))
        if status is None:
            raise UpstreamError("the server's ReadyForQuery cannot be read")
        self._talk.ready(status=status)

    def _parsed(self, entry: Entry) -> None:
        note = _note(entry)
        if note.statement is not None:
            self._talk.prepared.statements.settle(note.name, note.statement)

    def _bound(self, entry: Entry) -> None:
        note = _note(entry)
        if note.statement is not None:
            self._talk.prepared.bound(note.name, note.statement)

    def _closed(self, entry: Entry) -> None:
        note, prepared = _note(entry), self._talk.prepared
        if note.kind == STATEMENT:
            prepared.statements.drop(note.name)
        else:
            prepared.closed(note.name)

    def _completed(self, entry: Entry, frame: Frame) -> None:
        """One statement is complete: what it does to the session is done."""
        note = _note(entry)
        if note.plan is not None:
            note.completed += 1
            if note.completed > 1:
                raise UpstreamError("the server completed more statements than were sent")
        if note.statement is None:
            return
        planned = _planned(entry, note, note.statement)
        if planned is None or planned.effect is None:
            return
        message = decode_backend(frame)
        if not isinstance(message, CommandComplete):
            raise UpstreamError("the server's CommandComplete cannot be read")
        self._talk.path.apply(planned.effect, message.tag)
        self._apply(planned.effect, note.statement, planned)

    def _apply(self, effect: Effect, statement: Statement, planned: PlannedStatement) -> None:
        prepared, name = self._talk.prepared, effect.name
        if effect.kind == "prepare" and name is not None:
            prepared.statements.settle(name, replace(statement, types=None))
        elif effect.kind == "declare" and name is not None:
            prepared.declared(name, _cursor(statement, planned), passing=effect.local)
        elif effect.kind in ("commit", "rollback"):
            prepared.filled()
        elif effect.kind == "deallocate":
            prepared.statements.drop(name)
        elif effect.kind == "close":
            prepared.closed(name)
        elif effect.kind == "discard_all":
            prepared.statements.drop(None)
            prepared.closed(None)

    # Limits

    def _copying(self, entry: Entry, frame: Frame) -> None:
        """COPY TO begins: not every message of it is a row."""
        self._result, self._begun = result_of(self._talk, entry, copy_format=frame.raw[HEADER_SIZE]), True

    def _end_of_result(self, entry: Entry, frame: Frame) -> bytes | bytearray:
        """The message after the rows; what was cut is said before it, and not counted in it."""
        result, begun = self._result, self._begun
        self._result, self._begun = None, False
        completes = frame.tag == Code.COMMAND_COMPLETE
        if not begun and completes:  # MOVE shows no rows, and goes past them
            result = result_of(self._talk, entry)
        if result is None:
            return frame.raw
        message = decode_backend(frame)
        if isinstance(message, CommandComplete):
            message = result.complete(message)
        warning = result.tally.warning()
        if warning is not None:
            self._talk.to_client.append(warning.encode())
            if result.tally.cut is not None:
                self._watcher.cut(result.tally.cut)
        return message.encode()

    # Errors

    def _error(self, frame: Frame) -> None:
        talk = self._talk
        error = decode_backend(frame)
        if not isinstance(error, ErrorResponse):
            raise UpstreamError("the server's ErrorResponse cannot be read")
        last = error.severity in FATAL
        if last:  # it may come at any time, and ends everything
            self.said_goodbye = True
        entry = None if last and not talk.busy else self._entry(frame)
        if talk.masked:
            talk.path.failed()
            self._result, self._begun = None, False
        if entry is not None and entry.replacement is not None and error.sqlstate == POISONED:
            talk.to_client.append(entry.replacement)
        else:
            self._watcher.upstream_error(error.sqlstate)
            talk.to_client.append(self._overdue(error, entry) or self._shown(error, entry, frame))
        self.flush_made()

    def _overdue(self, error: ErrorResponse, entry: Entry | None) -> bytes | None:
        """The server was asked to stop, since a deadline had passed."""
        talk = self._talk
        deadline = talk.overdue
        if deadline is None or error.sqlstate != CANCELLED.sqlstate:
            return None
        if deadline.limit is not None:
            self._watcher.limited(deadline.limit)
        told = passed_before(deadline.refusal) if talk.is_outlived(entry) else deadline.refusal
        talk.overdue = talk.stopped = None
        return refusal_response(told).encode()

    def _shown(self, error: ErrorResponse, entry: Entry | None, frame: Frame) -> bytes | bytearray:
        position = _position(entry)
        if self._talk.masked:
            return scrub_error(error, position).encode()
        if position is nowhere:
            return frame.raw
        return ErrorResponse(tuple(_moved(error, position))).encode()

    # What may come at any time

    def _notice(self, frame: Frame) -> None:
        talk = self._talk
        if not talk.masked:
            talk.to_client.append(frame.raw)
            return
        notice = decode_backend(frame)
        if not isinstance(notice, NoticeResponse):
            raise UpstreamError("the server's NoticeResponse cannot be read")
        shown = scrub_notice(notice, _position(talk.replies.head))
        if shown is not None:
            talk.to_client.append(shown.encode())

    def _parameter(self, frame: Frame) -> None:
        talk = self._talk
        if not talk.masked:
            talk.to_client.append(frame.raw)
            return
        message = decode_backend(frame)
        if not isinstance(message, ParameterStatus):
            raise UpstreamError("the server's ParameterStatus cannot be read")
        if reported(talk, message):
            talk.to_client.append(frame.raw)


def _note(entry: Entry) -> Note:
    return entry.note if entry.note is not None else Note()


def _planned(entry: Entry, note: Note, statement: Statement) -> PlannedStatement | None:
    """The statement that has just been completed; the next one is current from here on."""
    found = current(entry, note, statement.plan)
    if entry.request is not Request.QUERY:
        return None if found is None else found[1]
    if found is None:
        raise UpstreamError("the server completed more statements than were sent")
    note.completed = found[0] + 1
    return found[1]


def _cursor(statement: Statement, planned: PlannedStatement) -> Statement:
    """What a DECLARE has made: a query, as a portal's is."""
    query = replace(planned, kind=StatementKind.SELECT, effect=None)
    tally = tally_of(statement.plan, planned)
    return replace(statement, plan=replace(statement.plan, statements=(query,)), tally=tally)


def _position(entry: Entry | None) -> Position:
    return nowhere if entry is None else _note(entry).position


def _moved(error: ErrorResponse, position: Position) -> list[tuple[str, str]]:
    """The error's fields with its position moved, or left out."""
    fields = []
    for code, text in error.fields:
        found = position(int(text)) if code == "P" and text.isdigit() else None
        if code != "P":
            fields.append((code, text))
        elif found is not None:
            fields.append((code, str(found)))
    return fields
