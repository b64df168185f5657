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
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from time import perf_counter

from proxy.age import Age
from proxy.bounds import Bounds
from proxy.conversation import Conversation, Entry, Note
from proxy.errors import PgveilError, ProtocolError
from proxy.nl.carriers import Question, find_question, may_ask
from proxy.order import FLUSH, Line, Order, position_in
from proxy.policy.plan import Plan, Refusal
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
from proxy.verdict import LARGE_TEXT, decide_apart, decide_here
from proxy.wire.buffer import Frame
from proxy.wire.codec import EncodingError
from proxy.wire.messages import (
    FAILED,
    STATEMENT,
    Close,
    ErrorResponse,
    Execute,
    Parse,
    Query,
    bind_names,
    decode_frontend,
    error_response,
    notice_response,
    statement_text,
)
from proxy.wire.replies import Expected, Request

MAX_OWED = 10_000
"""Messages that may be sent ahead of their replies before the line stops until those have come."""

MAX_STATEMENT = 256 * 1024
"""Bytes of a masked role's statement; longer ones would keep everybody waiting while they are analysed."""
MAX_ASKING = 16 * 1024
"""Bytes of a text that may hold a question."""


class Session:
    """The client's side of one session."""

    def __init__(self, talk: Conversation, services: Services, line: Line) -> None:
        self._talk = talk
        self._services = services
        self._line = line
        self._age = Age(talk, services.veils)
        self.bounds = Bounds(talk, services)
        self._asking = self._cancelled = False
        self._handlers: Mapping[int, Callable[[Frame], None]] = {
            ord("Q"): self._statement,
            ord("P"): self._statement,
            ord("B"): self._bind if talk.masked else lambda frame: self._pass(frame, Request.BIND),
            ord("D"): lambda frame: self._pass(frame, Request.DESCRIBE),
            ord("E"): self._execute,
            ord("C"): self._close,
            ord("H"): lambda frame: talk.to_upstream.append(frame.raw),
            ord("S"): self._sync,
            ord("F"): self._function_call,
            ord("c"): self._copy_ends,
            ord("f"): self._copy_ends,
            ord("X"): self._terminate,
        }

    def take(self, frame: Frame) -> None:
        """One message of the client. Raises ProtocolError for one that has no place here."""
        handler = self._handlers.get(frame.tag)
        if handler is None:
            raise ProtocolError(f"invalid frontend message type {frame.tag}")
        talk = self._talk
        if len(talk.replies) >= MAX_OWED and not talk.replies.copying_in:
            self._line.wait(frame, talk.replies.last)
        else:
            handler(frame)

    def cancel(self) -> bool:
        """The client wants what runs to stop. True: it runs here, and what `hold` was given is to be cancelled."""
        self._cancelled = self._asking
        return self._asking

    # The line

    def _statement(self, frame: Frame) -> None:
        """A Query or Parse: question, decision, upstream."""
        talk = self._talk
        if not talk.masked and not may_ask(text := statement_text(frame, MAX_ASKING)):
            self._services.watcher.statement(StatementEvent(text))
            self._pass(frame, Request.QUERY if frame.tag == ord("Q") else Request.PARSE)
            return
        if talk.replies.skipping:
            return
        if talk.masked and talk.waits_for is not None:
            self._line.wait(frame, talk.waits_for)
            return
        message = decode_frontend(frame)
        if not isinstance(message, Query | Parse):
            raise ProtocolError(f"{type(message).__name__} is no statement")
        if talk.masked and len(message.query) > MAX_STATEMENT:
            self._refuse(message, refusal_response(TOO_LONG))
            return
        try:
            sql = message.text()
            question = find_question(sql) if may_ask(statement_text(frame, MAX_ASKING)) else None
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
            self._services.watcher.ask(error.sqlstate, perf_counter() - started)
            self._refuse(order.message, error_response(error), order.sql)
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
            self._services.watcher.ask(CANCELLED.sqlstate, perf_counter() - started)
            self._refuse(order.message, refusal_response(CANCELLED), order.sql)
        else:
            self._services.watcher.ask("answered", perf_counter() - started)
            sql = question.replace(*written)
            position = position_in(question, written)
            self._decide(replace(order, sql=sql, raw=None, position=position, generated=written))
        finally:
            self._asking = self._cancelled = False

    def _decide(self, order: Order) -> None:
        """The veil's word on it. A name that the catalogue does not have is looked for once more."""
        talk, started = self._talk, perf_counter()
        if not talk.masked:
            self._services.watcher.statement(StatementEvent(order.sql))
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
        self._services.watcher.statement(StatementEvent(order.sql, plan, None, seconds, *made))
        self._send(order, statement)

    async def _price(self, order: Order, statement: Statement, limit: float) -> None:
        """PostgreSQL's estimate; then it is decided again, for the policy may have changed meanwhile."""
        refusal = await self._priced(statement, limit)
        if refusal is None:
            self._decide(replace(order, priced=(statement.plan.sql, limit)))
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
            entry = Expected(Request.PARSE, Note(statement, message.name))
            talk.send(data, entry)
            if talk.masked:
                talk.prepared.statements.sent(message.name, statement, entry)

    def _refuse(
        self, message: Query | Parse | None, error: ErrorResponse, sql: str | bytes = b"", *, decided: bool = False
    ) -> None:
        """The one way out of the line. None: the message is neither a Query nor a Parse, and is extended."""
        types = message.parameter_types if isinstance(message, Parse) else ()
        _, path, temps = self._talk.scope
        names = (path if self._talk.masked else None, types, temps)
        self._services.watcher.statement(StatementEvent(sql, None, error.sqlstate, None, *names, decided=decided))
        request = Request.QUERY if isinstance(message, Query) else Request.PARSE
        self._talk.send(poison_for(message).encode(), Expected(request, replacement=error.encode()))

    def _not_text(self, message: Query | Parse, frame: Frame, error: EncodingError) -> None:
        """Not UTF-8: a bypass session may speak another encoding, in which it asks nothing."""
        if self._talk.masked:
            self._refuse(message, error_response(error), message.query)
        else:
            self._pass(frame, Request.QUERY if isinstance(message, Query) else Request.PARSE)

    # What names a statement that was decided

    def _bind(self, frame: Frame, paid: str | None = None) -> None:
        """`paid`: the text whose cost was found to be within the limit."""
        talk = self._talk
        if talk.replies.skipping:
            return
        portal, name = bind_names(frame)
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
        if statement is not None:
            statement = replace(statement, tally=tally_of(statement.plan))
        entry: Entry = Expected(Request.BIND, Note(statement, portal, deadline=self.bounds.time(statement)))
        talk.send(frame.raw, entry)
        if statement is not None:
            talk.prepared.portals.sent(portal, statement, entry)

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
        if not talk.masked:
            self._pass(frame, Request.EXECUTE)
            return
        if talk.replies.skipping:
            return
        message = decode_frontend(frame)
        if not isinstance(message, Execute):
            raise ProtocolError(f"{type(message).__name__} is no Execute")
        unsettled = talk.waits_for or talk.prepared.unsure_portal(message.portal)
        if unsettled is not None:
            self._line.wait(frame, unsettled)
            return
        refusal = self._age.of_portal(message.portal)
        statement = talk.prepared.portal(message.portal)
        refusal = refusal or self.bounds.room(statement)
        if refusal is not None:
            self._refuse(None, refusal)
            return
        entry: Entry = Expected(Request.EXECUTE, Note(statement, deadline=self.bounds.time(statement)))
        talk.send(frame.raw, entry)
        talk.watch(statement, entry)
        if statement is not None and statement.plan.limits is not None:
            talk.to_upstream.append(FLUSH)  # its end is to be known when it ends

    def _close(self, frame: Frame) -> None:
        if not self._talk.masked:
            self._pass(frame, Request.CLOSE)
            return
        message = decode_frontend(frame)
        if not isinstance(message, Close):
            raise ProtocolError(f"{type(message).__name__} is no Close")
        self._talk.send(frame.raw, Expected(Request.CLOSE, Note(name=message.name, kind=message.kind)))

    # The rest

    def _sync(self, frame: Frame) -> None:
        talk = self._talk
        limit = self.bounds.time_of_sync()
        entry: Entry = Expected(Request.SYNC, None if limit is None else Note(deadline=limit))
        talk.send(frame.raw, entry)
        if talk.masked:
            talk.prepared.synced()
            talk.watch_end(entry)

    def _function_call(self, frame: Frame) -> None:
        if not self._talk.masked:
            self._pass(frame, Request.FUNCTION_CALL)
        elif not self._talk.replies.skipping:
            self._refuse(poison_query(), refusal_response(NO_FUNCTION_CALL))

    def _copy_ends(self, frame: Frame) -> None:
        self._talk.replies.copy_ends()
        self._talk.to_upstream.append(frame.raw)

    def _terminate(self, frame: Frame) -> None:
        self._talk.to_upstream.append(frame.raw)
        self._line.leave()

    def _pass(self, frame: Frame, request: Request) -> None:
        """As it came."""
        self._talk.send(frame.raw, Expected(request))
