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

from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final

from proxy.age import Age
from proxy.bounds import Bounds
from proxy.conversation import Conversation, Entry, Note
from proxy.errors import PgveilError, ProtocolError
from proxy.extended import Extended
from proxy.nl.carriers import Question, find_question, may_ask
from proxy.order import Line, Order, position_in
from proxy.passing import MAX_ASKING, MAX_OWED, REQUESTS, Passing, may_be_question
from proxy.policy.plan import Plan, Refusal
from proxy.ports import Asking, Services, StatementEvent
from proxy.prepared import Statement
from proxy.refusals import (
    CANCELLED,
    NO_FUNCTION_CALL,
    TOO_LONG,
    placed_response,
    poison_for,
    poison_query,
    refusal_response,
)
from proxy.stoppable import Stoppable
from proxy.verdict import LARGE_TEXT, decide_apart, decide_here
from proxy.wire.buffer import Frame, Run
from proxy.wire.codec import HEADER_SIZE, Code, EncodingError
from proxy.wire.messages import (
    FAILED,
    ErrorResponse,
    Parse,
    Query,
    decode_frontend,
    error_response,
    notice_response,
)
from proxy.wire.peek import (
    significant,
    statement_text,
)
from proxy.wire.replies import Expected, Request

MAX_STATEMENT: Final = 256 * 1024
"""Bytes of a masked role's statement; longer ones would keep everybody waiting while they are analysed."""

_QUERY: Final = Code.QUERY
_PARSE: Final = Code.PARSE
_KNOWN: Final = frozenset({*REQUESTS, Code.FLUSH, Code.COPY_DONE, Code.COPY_FAIL, Code.TERMINATE})


class Session:
    """The client's side of one session."""

    __slots__ = (
        "_age",
        "_asker",
        "_extended",
        "_line",
        "_stoppable",
        "_talk",
        "_veils",
        "_watcher",
        "bounds",
        "passing",
    )

    def __init__(self, talk: Conversation, services: Services, line: Line) -> None:
        self._talk = talk
        self._asker = services.asker
        self._veils = services.veils
        self._watcher = services.watcher
        self._line = line
        self._stoppable = Stoppable()
        self._age = Age(talk, services.veils)
        self.bounds = Bounds(talk, services, self._stoppable)
        self.passing = Passing(talk, services, self.bounds, self._decide)
        refuse = partial(self._refuse, None)
        self._extended = Extended(talk, line, self._age, self.bounds, self.passing, refuse)

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
        elif tag in REQUESTS:
            if talk.masked:
                self._judge(frame)
            else:
                self._pass(frame, REQUESTS[tag])
        elif tag == Code.TERMINATE:
            talk.to_upstream.append(frame.raw)
            self._line.leave()
        elif tag == Code.FLUSH:
            self._flush(frame)
        else:
            self._copy_ends(frame)

    def _judge(self, frame: Frame) -> None:
        """What a masked session's messages about names go through. PostgreSQL answers one that it cannot read with an
        error and goes on, so one that cannot be read here is refused, and no more."""
        try:
            if not self._judged(frame):
                self._pass(frame, REQUESTS[frame.tag])
        except ProtocolError as error:
            self._refuse(None, error_response(error))

    def _judged(self, frame: Frame) -> bool:
        """False: it is for the server alone to judge."""
        tag = frame.tag
        if tag == Code.BIND:
            self._extended.bind(frame)
        elif tag == Code.EXECUTE:
            self._extended.execute(frame)
        elif tag == Code.CLOSE:
            self._extended.close(frame)
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
        self._talk.send(run.raw, Expected(REQUESTS[run.tag], plain=True))

    def cancel(self) -> bool:
        """The client wants what runs to stop. True: it runs here, and what `hold` was given is to be cancelled."""
        return self._stoppable.stop()

    # The line

    def _statement(self, frame: Frame) -> None:
        """A Query or Parse: question, decision, upstream."""
        talk = self._talk
        if not talk.masked:
            text = statement_text(frame.raw, MAX_ASKING)
            if not may_be_question(text):
                self._watcher.passed(text)
                self._pass(frame, REQUESTS[frame.tag])
                return
        if talk.replies.skipping:
            return
        unsettled = talk.waits_for if talk.masked else None
        if unsettled is not None:
            self._line.wait(frame, unsettled)
        elif not (talk.masked and frame.tag == _QUERY and self.passing.text(bytes(frame.raw))):
            self._at_length(frame)

    def _at_length(self, frame: Frame) -> None:
        """The same of any text: it may be a question, or nothing that anybody can read."""
        talk = self._talk
        try:
            message = decode_frontend(frame)
        except ProtocolError as error:
            if talk.masked:
                self._refuse(Query(b"") if frame.tag == _QUERY else None, error_response(error))
            else:
                self._pass(frame, REQUESTS[frame.tag])  # the server will say so
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

    def _question(self, order: Order, question: Question) -> None:
        """The agent works on it; not in a failed transaction, where the server answers nothing."""
        if self._talk.status == FAILED and not self._talk.busy:
            self._refuse(order.message, refusal_response(CANCELLED), order.sql)
        else:
            self._line.hold(lambda: self._ask(order, question))

    async def _ask(self, order: Order, question: Question) -> None:
        started, talk = perf_counter(), self._talk
        asking = Asking(talk.identity, talk.path.schemas)
        try:
            written = await self._stoppable.run(self._written(question, asking))
        except PgveilError as error:
            self._watcher.ask(error.sqlstate, perf_counter() - started)
            self._refuse(order.message, error_response(error), order.sql)
        else:
            self._watcher.ask("answered", perf_counter() - started)
            sql = question.replace(*written)
            position = position_in(question, written)
            self._decide(replace(order, sql=sql, raw=None, position=position, generated=written))

    async def _written(self, question: Question, asking: Asking) -> tuple[str, ...]:
        """The SQL for each text of the question."""
        return tuple([(await self._asker.resolve(text, asking)).sql for text in question.texts])

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
        verdict, generation, shows = order.decided or decide_here(self._veils, order.sql, scope, types)
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
        decided = await decide_apart(self._veils, order.sql, self._talk.scope, types)
        self._decide(replace(order, decided=decided))

    async def _refresh(self, order: Order) -> None:
        await self._veils.refresh()
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
        refusal = await self.bounds.price(statement, limit)
        if refusal is None:
            self._decide(replace(order, priced=(statement.plan.sql, limit), decided=None))
        else:
            self._refuse(order.message, refusal, order.sql)

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
            self._pass(frame, REQUESTS[frame.tag])

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
