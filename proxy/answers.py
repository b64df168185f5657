"""What the server sends, on its way to the client: held against what is owed, scrubbed for a masked role.

Rows pass as runs of bytes, unread. The other messages settle what the session remembers: names, the search_path, the
transaction. An error may be replaced by a refusal of ours; a message that nobody waits for ends the session.

It does not know connections (`relay`) or what the client sent (`session`).
https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.conversation import Conversation, Entry, Note, effects
from proxy.errors import ProtocolError, UpstreamError
from proxy.policy.plan import Effect
from proxy.ports import Watcher
from proxy.prepared import Statement
from proxy.refusals import POISONED
from proxy.scrub import Position, nowhere, scrub_error, scrub_notice
from proxy.wire.buffer import Frame, Run
from proxy.wire.codec import Code
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
from proxy.wire.replies import Request

ROWS = frozenset({Code.DATA_ROW, Code.COPY_DATA})
"""What passes without a look inside."""

REPORTED = frozenset(
    {
        "application_name",
        "client_encoding",
        "DateStyle",
        "default_transaction_read_only",
        "in_hot_standby",
        "integer_datetimes",
        "IntervalStyle",
        "is_superuser",
        "scram_iterations",
        "search_path",
        "server_encoding",
        "server_version",
        "session_authorization",
        "standard_conforming_strings",
        "TimeZone",
    }
)
"""The settings that PostgreSQL itself reports; an extension's may hold anything, and is kept from masked roles."""

FIXED = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""What a masked session's SQL is read by. Another value means that it got past the veil."""

_STATUSES = {ReadyForQuery(status).encode(): status for status in (IDLE, IN_TRANSACTION, FAILED)}
FATAL = frozenset({"FATAL", "PANIC"})


class Answers:
    """The server's side of one session. Everything raised here ends it."""

    def __init__(self, talk: Conversation, watcher: Watcher) -> None:
        self._talk = talk
        self._watcher = watcher
        self.said_goodbye = False
        """The server has sent its last error, and closes."""
        self._settlers: Mapping[int, Callable[[Entry, Frame], None]] = {
            Code.PARSE_COMPLETE: self._parsed,
            Code.BIND_COMPLETE: self._bound,
            Code.CLOSE_COMPLETE: self._closed,
            Code.COMMAND_COMPLETE: self._completed,
        }

    def take(self, item: Frame | Run) -> None:
        """One message of the server, or a run of rows. Raises UpstreamError for one that nobody waits for."""
        talk = self._talk
        if isinstance(item, Run):
            if not talk.replies.takes_rows:
                raise UpstreamError("the server sent rows that nobody asked for")
            talk.to_client.append(item.raw)
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

    def flush_made(self) -> None:
        """Sends what was made here and has its turn."""
        made = self._talk.replies.take_made()
        if made:
            self._talk.to_client.append(made)

    # Replies

    def _reply(self, frame: Frame) -> None:
        talk = self._talk
        entry = self._entry(frame)
        if not entry.ours:
            talk.to_client.append(frame.raw)
        if frame.tag == Code.READY_FOR_QUERY:
            self._ready(frame)
        elif talk.masked:
            settle = self._settlers.get(frame.tag)
            if settle is not None:
                settle(entry, frame)
        if entry.done:
            self.flush_made()

    def _entry(self, frame: Frame) -> Entry:
        try:
            return self._talk.replies.accept(frame.tag)[0]
        except ProtocolError as error:
            raise UpstreamError(error.message) from error

    def _ready(self, frame: Frame) -> None:
        talk = self._talk
        status = _STATUSES.get(bytes(frame.raw))
        if status is None:
            raise UpstreamError("the server's ReadyForQuery cannot be read")
        talk.status = status
        if not talk.masked:
            return
        idle = status == IDLE
        talk.path.ready(idle=idle)
        if idle:
            talk.prepared.transaction_ended()
        if not talk.busy:
            talk.prepared.quiet()

    def _parsed(self, entry: Entry, _frame: Frame) -> None:
        note = _note(entry)
        if note.statement is not None:
            self._talk.prepared.statements.settle(note.name, note.statement)

    def _bound(self, entry: Entry, _frame: Frame) -> None:
        note = _note(entry)
        if note.statement is not None:
            self._talk.prepared.portals.settle(note.name, note.statement)

    def _closed(self, entry: Entry, _frame: Frame) -> None:
        note, prepared = _note(entry), self._talk.prepared
        (prepared.statements if note.kind == STATEMENT else prepared.portals).drop(note.name)

    def _completed(self, entry: Entry, frame: Frame) -> None:
        """One statement is complete: what it does to the session is done."""
        note = _note(entry)
        if note.statement is None:
            return
        effect = _effect(entry, note, note.statement)
        if effect is None:
            return
        message = decode_backend(frame)
        if not isinstance(message, CommandComplete):
            raise UpstreamError("the server's CommandComplete cannot be read")
        self._talk.path.apply(effect, message.tag)
        if effect.kind == "prepare" and effect.name is not None:
            self._talk.prepared.statements.settle(effect.name, note.statement)
        elif effect.kind == "deallocate":
            self._talk.prepared.statements.drop(effect.name)
        elif effect.kind == "discard_all":
            self._talk.prepared.statements.drop(None)
            self._talk.prepared.portals.drop(None)

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
        if entry is not None and entry.replacement is not None and error.sqlstate == POISONED:
            talk.to_client.append(entry.replacement)
        else:
            self._watcher.upstream_error(error.sqlstate)
            talk.to_client.append(self._shown(error, entry, frame))
        self.flush_made()

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
        check_parameter(message)
        if message.name == "search_path":
            try:
                talk.path.reported(message.value)
            except ValueError:
                raise UpstreamError("the server's search_path cannot be read") from None
        if message.name in REPORTED:
            talk.to_client.append(frame.raw)


def check_parameter(message: ParameterStatus) -> None:
    """Raises UpstreamError where a masked session's SQL would be read otherwise than the veil reads it."""
    if message.name in FIXED and message.value.lower() != FIXED[message.name].lower():
        raise UpstreamError(f"{message.name} has changed under a masked session, which is ended")


def _note(entry: Entry) -> Note:
    return entry.note if entry.note is not None else Note()


def _effect(entry: Entry, note: Note, statement: Statement) -> Effect | None:
    """What the statement does that has just been completed: the next one of a simple query, the one of a portal."""
    planned = statement.plan.statements
    if entry.request is not Request.QUERY:
        return next(effects(statement), None)
    while note.completed < len(planned) and planned[note.completed].kind is None:
        note.completed += 1  # an empty statement, which nobody completes
    if note.completed >= len(planned):
        raise UpstreamError("the server completed more statements than were sent")
    note.completed += 1
    return planned[note.completed - 1].effect


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
