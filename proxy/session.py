"""One client, one upstream connection: the line that every message of the client walks, top to bottom.

A statement (Query or Parse) that holds a question becomes SQL first; then the veil decides; then the planned text
goes upstream. What is refused leaves the line in one place, `_refuse`. Bind, Execute and the others name statements
that were decided, so they are only held against the plan's age. A bypass identity's messages pass as they are,
questions apart.

Names are resolved by a search_path that statements before this one may still be changing. Then the line stops
(`Line.wait`) until the server has answered those; it also stops while the agent works or the catalogue is read.

It does not know connections (`relay`) or what the server sends back (`answers`).
https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final

from proxy.age import Age
from proxy.bounds import Bounds
from proxy.conversation import Conversation, Entry, Note, is_simple
from proxy.errors import PgveilError, ProtocolError
from proxy.nl.carriers import Question, find_question, may_ask
from proxy.order import FLUSH, Line, Order, position_in
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import StatementKind
from proxy.ports import Asking, Services, StatementEvent
from proxy.prepared import Statement
from proxy.refusals import (
    CANCELLED,
    NO_FUNCTION_CALL,
    TOO_LONG,
    TOO_MANY_NAMES,
    placed_response,
    poison_for,
    poison_query,
    refusal_response,
)
from proxy.results import tally_of
from proxy.verdict import LARGE_TEXT, Decided, decide_apart, decide_here, shown_for
from proxy.wire.buffer import SMALL_FRAME, Frame, Run, length_at
from proxy.wire.codec import HEADER_SIZE, Bytes, Code, EncodingError
from proxy.wire.messages import (
    FAILED,
    STATEMENT,
    Close,
    ErrorResponse,
    Parse,
    Query,
    decode_frontend,
    error_response,
    notice_response,
)
from proxy.wire.peek import (
    bind_names,
    execute_portal,
    names_within,
    pack_query,
    portal_within,
    significant,
    statement_text,
    text_within,
)
from proxy.wire.replies import Expected, Request

MAX_OWED: Final = 10_000
"""Messages that may be sent ahead of their replies before the line stops until those have come."""

MAX_STATEMENT: Final = 256 * 1024
"""Bytes of a masked role's statement; longer ones would keep everybody waiting while they are analysed."""
MAX_ASKING: Final = 16 * 1024
"""Bytes of a text that may hold a question."""

TAKEN: Final = -1
"""See `Session.pass_on`."""

_QUERY: Final = Code.QUERY
_PARSE: Final = Code.PARSE
_MIN_LENGTH: Final = HEADER_SIZE - 1
_REQUESTS: Final = {
    Code.QUERY: Request.QUERY,
    Code.PARSE: Request.PARSE,
    Code.BIND: Request.BIND,
    Code.DESCRIBE: Request.DESCRIBE,
    Code.EXECUTE: Request.EXECUTE,
    Code.CLOSE: Request.CLOSE,
    Code.SYNC: Request.SYNC,
    Code.FUNCTION_CALL: Request.FUNCTION_CALL,
}
"""What is answered."""
_KNOWN: Final = frozenset({*_REQUESTS, Code.FLUSH, Code.COPY_DONE, Code.COPY_FAIL, Code.TERMINATE})
_NAMES: Final = frozenset({Code.DESCRIBE, Code.EXECUTE, Code.CLOSE, Code.SYNC})
"""What has SMALL_FRAME bytes at most."""
_PASSED: Final[dict[int, Entry]] = {tag: Expected(request, plain=True) for tag, request in _REQUESTS.items()}
"""For what passes as it came: nothing is remembered of it, so all sessions share these."""


class Session:
    """The client's side of one session."""

    __slots__ = ("_age", "_asking", "_cancelled", "_line", "_services", "_talk", "_veils", "_watcher", "bounds")

    def __init__(self, talk: Conversation, services: Services, line: Line) -> None:
        self._talk = talk
        self._services = services
        self._veils = services.veils
        self._watcher = services.watcher
        self._line = line
        self._age = Age(talk, services.veils)
        self.bounds = Bounds(talk, services)
        self._asking = self._cancelled = False

    def pass_on(self, data: bytes) -> int:
        """How many bytes at the start of a chunk go to the server as they are: whole messages that need nothing more.

        They are expected answers to already. 0 where something is in the way: what is skipped, COPY, a deadline.
        TAKEN: it was one message, and it was dealt with as `take` does.
        """
        talk, replies = self._talk, self._talk.replies
        if not replies.open or self.bounds.timed:
            return 0
        if talk.masked:
            return self._pass_judged(data)
        pos, end = 0, len(data)
        while end - pos >= HEADER_SIZE and len(replies) < MAX_OWED:
            tag, length = data[pos], length_at(data, pos)
            entry, stop = _PASSED.get(tag), pos + 1 + length
            if entry is None or length < _MIN_LENGTH or stop > end or (length > SMALL_FRAME and tag in _NAMES):
                break
            if tag in (_QUERY, _PARSE):
                text = text_within(data, pos, stop, MAX_ASKING)
                if _may_ask(text):
                    break
                self._watcher.passed(text)
            replies.push(entry)
            pos = stop
        return pos

    def _pass_judged(self, data: bytes) -> int:
        """The same of a masked session: one text that needs no more than the veil, or messages about names that are
        certain. The rest is left for `take`, which judges these as this does."""
        talk, replies = self._talk, self._talk.replies
        if talk.overdue is not None or talk.waits_for is not None:
            return 0
        pos, end = 0, len(data)
        while end - pos >= HEADER_SIZE and len(replies) < MAX_OWED:
            tag, length = data[pos], length_at(data, pos)
            stop = pos + 1 + length
            if length < _MIN_LENGTH or length > SMALL_FRAME or stop > end:
                break
            if tag == _QUERY:
                return TAKEN if pos == 0 and stop == end and self._plainly(data) else pos
            entry = self._named(data, pos, stop)
            if entry is None:
                break
            replies.push(entry)
            pos = stop
        return pos

    def _named(self, data: bytes, pos: int, stop: int) -> Entry | None:
        """What is expected for a message about a name that takes nothing but sending it; None: it takes more."""
        talk, tag = self._talk, data[pos]
        entry: Entry
        if tag == Code.DESCRIBE:
            return _PASSED[Code.DESCRIBE]
        if tag == Code.SYNC:
            if talk.path.at_risk or stop - pos != HEADER_SIZE:
                return None
            talk.prepared.synced()
            return _PASSED[Code.SYNC]
        try:
            if tag == Code.BIND:
                portal, name = names_within(data, pos, stop)
                statement = self._usual(name)
                if statement is None:
                    return None
                entry = Expected(Request.BIND, Note(statement, portal), plain=True)
                talk.prepared.portals.sent(portal, statement, entry)
                return entry
            if tag == Code.EXECUTE:
                statement = talk.prepared.portals.certain(portal_within(data, pos, stop))
                if statement is not None and self._is_current(statement):
                    return Expected(Request.EXECUTE, Note(statement), plain=True)
        except ProtocolError:  # `take` raises it in its turn
            return None
        return None

    def take(self, frame: Frame) -> None:
        """One message of the client. Raises ProtocolError for one that has no place here."""
        talk, tag = self._talk, frame.tag
        if tag not in _KNOWN:
            raise ProtocolError(f"invalid frontend message type {tag}")
        if len(talk.replies) >= MAX_OWED and not talk.replies.copying_in:
            self._wait_for_all(frame)
        elif tag in (_QUERY, _PARSE):
            self._statement(frame)
        elif tag == Code.SYNC:
            self._sync(frame)
        elif tag in _REQUESTS:
            if not (talk.masked and self._judged(frame)):
                self._pass(frame, _REQUESTS[tag])
        elif tag == Code.TERMINATE:
            talk.to_upstream.append(frame.raw)
            self._line.leave()
        elif tag == Code.FLUSH:
            self._flush(frame)
        else:
            self._copy_ends(frame)

    def _judged(self, frame: Frame) -> bool:
        """What a masked session's messages about names go through; False: it is for the server alone to judge."""
        tag = frame.tag
        if tag == Code.BIND:
            self._bind(frame)
        elif tag == Code.EXECUTE:
            self._execute(frame)
        elif tag == Code.CLOSE:
            self._close(frame)
        elif tag == Code.FUNCTION_CALL:
            self._function_call()
        elif tag == Code.DESCRIBE:
            return False
        else:
            raise ProtocolError(f"frontend message type {tag} has no place in this session")
        return True

    def begin_long(self, run: Run) -> None:
        """The first part of a message of a bypass identity that is too long for a question, and passes in parts."""
        if len(self._talk.replies) >= MAX_OWED:
            self._line.wait(run, self._talk.replies.mark())
            return
        if run.tag in (_QUERY, _PARSE):
            self._watcher.passed(b"")
        self._talk.send(run.raw, Expected(_REQUESTS[run.tag], plain=True))

    def cancel(self) -> bool:
        """The client wants what runs to stop. True: it runs here, and what `hold` was given is to be cancelled."""
        self._cancelled = self._asking
        return self._asking

    # The line

    def _statement(self, frame: Frame) -> None:
        """A Query or Parse: question, decision, upstream."""
        talk = self._talk
        if not talk.masked:
            text = statement_text(frame.raw, MAX_ASKING)
            if not _may_ask(text):
                self._watcher.passed(text)
                self._pass(frame, _REQUESTS[frame.tag])
                return
        if talk.replies.skipping:
            return
        unsettled = talk.waits_for if talk.masked else None
        if unsettled is not None:
            self._line.wait(frame, unsettled)
        elif not (talk.masked and frame.tag == _QUERY and self._plainly(frame.raw)):
            self._at_length(frame)

    def _at_length(self, frame: Frame) -> None:
        """The same of any text: it may be a question, or nothing that anybody can read."""
        talk = self._talk
        try:
            message = decode_frontend(frame)
        except ProtocolError:
            if talk.masked:
                raise
            self._pass(frame, _REQUESTS[frame.tag])  # the server will say so
            return
        if not isinstance(message, Query | Parse):
            raise ProtocolError(f"{type(message).__name__} is no statement")
        if talk.masked and len(message.query) > MAX_STATEMENT:
            self._refuse(message, refusal_response(TOO_LONG))
            return
        try:
            sql = message.text()
            question = find_question(sql) if may_ask(statement_text(frame.raw, MAX_ASKING)) else None
        except EncodingError as error:
            self._not_text(message, frame, error)
        except PgveilError as error:
            self._refuse(message, error_response(error), message.query)
        else:
            order = Order(message, sql, frame.raw)
            if question is None:
                self._decide(order)
            else:
                self._question(order, question)

    def _plainly(self, message: Bytes) -> bool:
        """The short way of a Query's text that is no question: most plans take nothing but sending them.

        False: nothing was done, it may be one, or is none that can be decided on here."""
        size = len(message)
        if size > LARGE_TEXT:
            return False
        raw = bytes(message)
        if raw[size - 1] != 0:
            return False
        started = perf_counter()
        try:
            sql = raw[HEADER_SIZE : size - 1].decode()
        except UnicodeDecodeError:
            return False
        if "ask" in sql.lower() or "\0" in sql:
            return False
        talk, veils = self._talk, self._veils
        path, temps = talk.path.schemas, talk.path.temps
        generation = veils.generation  # before the veil: time may end the one, and not yet the other
        verdict = veils.veil.decide(sql, talk.identity, path, temps)
        if isinstance(verdict, Refusal) or not is_simple(verdict):
            decided = Decided(verdict, generation, shown_for(veils, verdict, sql, talk.scope, None))
            self._decide(Order(Query(sql.encode()), sql, raw, decided=decided))
            return True
        self._watcher.sent(sql, verdict, perf_counter() - started, path, temps)
        entry: Entry = Expected(Request.QUERY, Note(plan=verdict), plain=True)
        talk.send(pack_query(verdict.sql) if verdict.rewritten else raw, entry)
        if talk.path.at_risk:
            talk.unsettled = entry
        return True

    def _question(self, order: Order, question: Question) -> None:
        """The agent works on it; not in a failed transaction, where the server answers nothing."""
        if self._talk.status == FAILED and not self._talk.busy:
            self._refuse(order.message, refusal_response(CANCELLED), order.sql)
        else:
            self._line.hold(lambda: self._ask(order, question))

    async def _ask(self, order: Order, question: Question) -> None:
        started, talk = perf_counter(), self._talk
        asking = Asking(talk.identity, talk.path.schemas)
        self._asking = True
        try:
            written = tuple([(await self._services.asker.resolve(text, asking)).sql for text in question.texts])
        except PgveilError as error:
            self._watcher.ask(error.sqlstate, perf_counter() - started)
            self._refuse(order.message, error_response(error), order.sql)
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
            self._watcher.ask(CANCELLED.sqlstate, perf_counter() - started)
            self._refuse(order.message, refusal_response(CANCELLED), order.sql)
        else:
            self._watcher.ask("answered", perf_counter() - started)
            sql = question.replace(*written)
            position = position_in(question, written)
            self._decide(replace(order, sql=sql, raw=None, position=position, generated=written))
        finally:
            self._asking = self._cancelled = False

    def _decide(self, order: Order) -> None:
        """The veil's word on it. A name that the catalogue does not have is looked for once more."""
        talk, started = self._talk, perf_counter()
        if not talk.masked:
            self._watcher.statement(StatementEvent(order.sql))
            self._send(order, Statement(order.sql, Plan(order.sql, ()), (), 0, order.position, asked=True))
            return
        types = order.message.parameter_types if isinstance(order.message, Parse) else None
        scope = talk.scope
        if len(order.sql) > LARGE_TEXT and order.decided is None:
            self._line.hold(partial(self._decide_apart, order, types))
            return
        verdict, generation, shows = order.decided or decide_here(self._services.veils, order.sql, scope, types)
        if isinstance(verdict, Refusal):
            if verdict.unknown is not None and not order.refreshed:
                self._line.hold(lambda: self._refresh(replace(order, decided=None)))
            else:
                self._refuse(order.message, placed_response(verdict, order.position), order.sql, decided=True)
            return
        refusal = self._age.objection(verdict, prepares=isinstance(order.message, Parse) and order.message.name != "")
        if refusal is not None:
            self._refuse(order.message, refusal, order.sql)
            return
        made = (generation, order.position, bool(order.generated), types, scope.temps)
        statement = Statement(order.sql, verdict, scope.path, *made, priced=order.priced_at(verdict), shows=shows)
        self._admit(order, statement, perf_counter() - started)

    async def _decide_apart(self, order: Order, types: tuple[int, ...] | None) -> None:
        """A text of this size would hold everybody else's sessions."""
        decided = await decide_apart(self._services.veils, order.sql, self._talk.scope, types)
        self._decide(replace(order, decided=decided))

    async def _refresh(self, order: Order) -> None:
        await self._services.veils.refresh()
        self._decide(replace(order, refreshed=True))

    def _admit(self, order: Order, statement: Statement, seconds: float) -> None:
        """What the policy's limits have to say before it runs."""
        plan = statement.plan
        if statement.unpriced is not None:
            self._line.hold(partial(self._price, order, statement, statement.unpriced))
            return
        refusal = self.bounds.room(statement) if isinstance(order.message, Query) else None
        if refusal is not None:
            self._refuse(order.message, refusal, order.sql)
            return
        made = (statement.path, statement.types or (), statement.temps)
        self._watcher.statement(StatementEvent(order.sql, plan, None, seconds, *made))
        self._send(order, statement)

    async def _price(self, order: Order, statement: Statement, limit: float) -> None:
        """PostgreSQL's estimate; then it is decided again, for the policy may have changed meanwhile."""
        refusal = await self._priced(statement, limit)
        if refusal is None:
            self._decide(replace(order, priced=(statement.plan.sql, limit), decided=None))
        else:
            self._refuse(order.message, refusal, order.sql)

    async def _priced(self, statement: Statement, limit: float) -> ErrorResponse | None:
        self._asking = True
        try:
            return await self.bounds.price(statement, limit)
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
            return refusal_response(CANCELLED)
        finally:
            self._asking = self._cancelled = False

    def _send(self, order: Order, statement: Statement) -> None:
        """Upstream, with the notice of what was written for a question before its reply."""
        talk, message = self._talk, order.message
        for sql in order.generated:
            notice = notice_response(f"pgveil: ask ran: {sql}")
            talk.replies.expect(Expected(Request.MADE, made=notice.encode()))
        data = order.to_send(statement.plan)
        if isinstance(message, Query):
            entry: Entry = Expected(Request.QUERY, Note(statement, deadline=self.bounds.time(statement)))
            talk.send(data, entry)
            talk.watch_end(entry)
            talk.watch(statement, entry)
        else:
            name = significant(message.name)
            entry = Expected(Request.PARSE, Note(statement, name), plain=True)
            talk.send(data, entry)
            if talk.masked:
                talk.prepared.statements.sent(name, statement, entry)

    def _refuse(
        self, message: Query | Parse | None, error: ErrorResponse, sql: str | bytes = b"", *, decided: bool = False
    ) -> None:
        """The one way out of the line. None: the message is neither a Query nor a Parse, and is extended."""
        types = message.parameter_types if isinstance(message, Parse) else ()
        _, path, temps = self._talk.scope
        names = (path if self._talk.masked else None, types, temps)
        self._watcher.statement(StatementEvent(sql, None, error.sqlstate, None, *names, decided=decided))
        request = Request.QUERY if isinstance(message, Query) else Request.PARSE
        self._talk.send(poison_for(message).encode(), Expected(request, replacement=error.encode()))

    def _not_text(self, message: Query | Parse, frame: Frame, error: EncodingError) -> None:
        """Not UTF-8: a bypass session may speak another encoding, in which it asks nothing."""
        if self._talk.masked:
            self._refuse(message, error_response(error), message.query)
        else:
            self._pass(frame, _REQUESTS[frame.tag])

    # What names a statement that was decided

    def _bind(self, frame: Frame, paid: str | None = None) -> None:
        """`paid`: the text whose cost was found to be within the limit."""
        talk = self._talk
        if talk.replies.skipping:
            return
        portal, name = bind_names(frame.raw)
        usual = self._usual(name)
        if usual is not None:
            self._bind_to(frame, portal, usual)
            return
        unsettled = talk.waits_for or talk.prepared.unsure_statement(name)
        if unsettled is not None:
            self._line.wait(frame, unsettled)
            return
        if talk.prepared.portals.full:
            self._refuse(None, refusal_response(TOO_MANY_NAMES))
            return
        refusal = self._age.of_name(name)
        statement = talk.prepared.statements.find(name)
        again = None if refusal is None else self._age.planned_again(name)
        statement = statement if refusal is None else again
        if statement is not None and statement.unpriced is not None:
            if statement.plan.sql != paid:
                self._line.hold(partial(self._price_again, frame, statement, statement.unpriced))
                return
            priced = replace(statement, priced=statement.unpriced)
            talk.prepared.statements.renew(name, statement, priced)
            statement, again = priced, again and priced
        refusal = refusal if statement is None else self.bounds.room(statement)
        if refusal is not None:
            self._refuse(None, refusal)
            return
        if again is not None:
            self._prepare_again(name, again)
        if statement is not None and statement.plan.limits is not None:
            statement = replace(statement, tally=tally_of(statement.plan))
        self._bind_to(frame, portal, statement)

    def _bind_to(self, frame: Frame, portal: str, statement: Statement | None) -> None:
        talk = self._talk
        entry: Entry = Expected(Request.BIND, Note(statement, portal, deadline=self.bounds.time(statement)), plain=True)
        talk.send(frame.raw, entry)
        if statement is not None:
            talk.prepared.portals.sent(portal, statement, entry)

    def _usual(self, name: str) -> Statement | None:
        """The prepared statement, where binding it takes no more than that; None: it takes a closer look."""
        prepared = self._talk.prepared
        found = prepared.statements.certain(name)
        return None if found is None or not self._is_current(found) or prepared.portals.full else found

    def _is_current(self, statement: Statement) -> bool:
        """Whether a statement may be run with nothing more to be asked: it was decided on as it would be now, reads,
        and does nothing else to the session, without a limit."""
        talk, plan = self._talk, statement.plan
        if statement.generation != self._veils.generation or talk.waits_for is not None:
            return False
        if statement.temps != talk.path.temps or statement.path != talk.path.schemas or statement.asked:
            return False
        return is_simple(plan) and plan.statements[0].kind is StatementKind.SELECT

    async def _price_again(self, frame: Frame, statement: Statement, limit: float) -> None:
        """The policy limits the cost since the statement was prepared."""
        refusal = await self._priced(statement, limit)
        if refusal is None:
            self._bind(frame, statement.plan.sql)
        else:
            self._refuse(None, refusal)

    def _prepare_again(self, name: str, statement: Statement) -> None:
        """Ahead of a Bind, in the client's place: it hears of it only if it fails."""
        talk = self._talk
        if name:
            gone: Entry = Expected(Request.CLOSE, Note(name=name, kind=STATEMENT), ours=True)
            talk.send(Close(STATEMENT, name).encode(), gone)
        entry: Entry = Expected(Request.PARSE, Note(statement, name), ours=True)
        talk.send(Parse(name, statement.plan.sql.encode(), statement.types or ()).encode(), entry)
        talk.prepared.statements.sent(name, statement, entry)

    def _execute(self, frame: Frame) -> None:
        talk = self._talk
        if talk.replies.skipping:
            return
        portal = execute_portal(frame.raw)
        usual = talk.prepared.portals.certain(portal)
        if usual is not None and self._is_current(usual):
            talk.send(frame.raw, Expected(Request.EXECUTE, Note(usual), plain=True))
            return
        unsettled = talk.waits_for or talk.prepared.unsure_portal(portal)
        if unsettled is not None:
            self._line.wait(frame, unsettled)
            return
        refusal = self._age.of_portal(portal)
        statement = talk.prepared.portal(portal)
        refusal = refusal or self.bounds.room(statement)
        if refusal is not None:
            self._refuse(None, refusal)
            return
        note = Note(statement, deadline=self.bounds.time(statement))
        entry: Entry = Expected(Request.EXECUTE, note, plain=statement is not None and is_simple(statement.plan))
        talk.send(frame.raw, entry)
        talk.watch(statement, entry)
        if statement is not None and statement.plan.limits is not None:
            talk.to_upstream.append(FLUSH)  # its end is to be known when it ends

    def _close(self, frame: Frame) -> None:
        message = decode_frontend(frame)
        if not isinstance(message, Close):
            raise ProtocolError(f"{type(message).__name__} is no Close")
        note = Note(name=significant(message.name), kind=message.kind)
        self._talk.send(frame.raw, Expected(Request.CLOSE, note, plain=True))

    # The rest

    def _flush(self, frame: Frame) -> None:
        """Nothing is owed for it: the server's error for one that is malformed would be taken for another's."""
        if len(frame.raw) != HEADER_SIZE:
            raise ProtocolError("Flush message has bytes too many")
        self._talk.to_upstream.append(frame.raw)

    def _sync(self, frame: Frame) -> None:
        """While it reads COPY data the server would ignore a Sync, unless the COPY had failed by then, and nobody could
        tell: so it does not get it."""
        talk = self._talk
        if talk.replies.copying_in:
            return
        limit = self.bounds.time_of_sync()
        entry: Entry = Expected(Request.SYNC, None if limit is None else Note(deadline=limit), plain=True)
        talk.send(frame.raw, entry)
        if talk.masked:
            talk.prepared.synced()
            talk.watch_end(entry)

    def _copy_ends(self, frame: Frame) -> None:
        """CopyDone or CopyFail, which may have come before its COPY has begun."""
        talk = self._talk
        if talk.replies.copying_in or not talk.busy:
            talk.replies.copy_ends()
            talk.to_upstream.append(frame.raw)
        else:
            self._line.wait_for_copy(frame)

    def _function_call(self) -> None:
        if not self._talk.replies.skipping:
            self._refuse(poison_query(), refusal_response(NO_FUNCTION_CALL))

    def _pass(self, frame: Frame, request: Request) -> None:
        """As it came."""
        self._talk.send(frame.raw, Expected(request, plain=True))

    def _wait_for_all(self, frame: Frame) -> None:
        """So much is owed that the rest has to wait."""
        replies = self._talk.replies
        self._line.wait(frame, replies.mark())


def _may_ask(text: bytes) -> bool:
    """As `may_ask`, which is asked where the three letters are there at all."""
    return b"ask" in text.lower() and may_ask(text)
