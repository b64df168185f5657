"""Bind, Execute and Close of a masked session: what names a statement that was decided on when it was prepared.

The decision is held against the veil in force, and so is its cost; what may not run any more is refused, or prepared
again in the client's place where that shows nothing but other masks.

It does not know how a statement is decided on (`session`), nor what may be sent without all this (`passing`).
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from proxy.age import Age
from proxy.bounds import Bounds
from proxy.conversation import Conversation, Entry, Note, is_simple
from proxy.errors import ProtocolError
from proxy.order import FLUSH, Line
from proxy.passing import Passing
from proxy.prepared import Statement
from proxy.refusals import TOO_MANY_NAMES, refusal_response
from proxy.results import tally_of
from proxy.wire.buffer import Frame
from proxy.wire.messages import STATEMENT, Close, ErrorResponse, Parse, decode_frontend
from proxy.wire.peek import bind_names, execute_portal, significant
from proxy.wire.replies import Expected, Request


class Extended:
    """Of one session. `refuse` sends the client an error in place of the message."""

    __slots__ = ("_age", "_bounds", "_line", "_passing", "_refuse", "_talk")

    def __init__(
        self,
        talk: Conversation,
        line: Line,
        age: Age,
        bounds: Bounds,
        passing: Passing,
        refuse: Callable[[ErrorResponse], None],
    ) -> None:
        self._talk = talk
        self._line = line
        self._age = age
        self._bounds = bounds
        self._passing = passing
        self._refuse = refuse

    def bind(self, frame: Frame, paid: str | None = None) -> None:
        """`paid`: the text whose cost was found to be within the limit. Raises ProtocolError."""
        talk = self._talk
        if talk.replies.skipping:
            return
        portal, name = bind_names(frame.raw)
        usual = self._passing.usual(name)
        if usual is not None:
            self._bind_to(frame, portal, usual)
            return
        unsettled = talk.waits_for or talk.prepared.unsure_statement(name)
        if unsettled is not None:
            self._line.wait(frame, unsettled)
            return
        if talk.prepared.portals.full:
            self._refuse(refusal_response(TOO_MANY_NAMES))
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
        refusal = refusal if statement is None else self._bounds.room(statement)
        if refusal is not None:
            self._refuse(refusal)
            return
        if again is not None:
            self._prepare_again(name, again)
        if statement is not None and statement.plan.limits is not None:
            statement = replace(statement, tally=tally_of(statement.plan))
        self._bind_to(frame, portal, statement)

    def execute(self, frame: Frame) -> None:
        """Raises ProtocolError for a message that cannot be read."""
        talk = self._talk
        if talk.replies.skipping:
            return
        portal = execute_portal(frame.raw)
        usual = talk.prepared.portals.certain(portal)
        if usual is not None and self._passing.is_current(usual):
            talk.send(frame.raw, Expected(Request.EXECUTE, Note(usual), plain=True))
            return
        unsettled = talk.waits_for or talk.prepared.unsure_portal(portal)
        if unsettled is not None:
            self._line.wait(frame, unsettled)
            return
        refusal = self._age.of_portal(portal)
        statement = talk.prepared.portal(portal)
        refusal = refusal or self._bounds.room(statement)
        if refusal is not None:
            self._refuse(refusal)
            return
        note = Note(statement, deadline=self._bounds.time(statement))
        entry: Entry = Expected(Request.EXECUTE, note, plain=statement is not None and is_simple(statement.plan))
        talk.send(frame.raw, entry)
        talk.watch(statement, entry)
        if statement is not None and statement.plan.limits is not None:
            talk.to_upstream.append(FLUSH)  # its end is to be known when it ends

    def close(self, frame: Frame) -> None:
        """Raises ProtocolError for a message that cannot be read."""
        if self._talk.replies.skipping:
            return
        message = decode_frontend(frame)
        if not isinstance(message, Close):
            raise ProtocolError(f"{type(message).__name__} is no Close")
        note = Note(name=significant(message.name), kind=message.kind)
        self._talk.send(frame.raw, Expected(Request.CLOSE, note, plain=True))

    def _bind_to(self, frame: Frame, portal: str, statement: Statement | None) -> None:
        talk, limit = self._talk, self._bounds.time(statement)
        entry: Entry = Expected(Request.BIND, Note(statement, portal, deadline=limit), plain=True)
        talk.send(frame.raw, entry)
        if statement is not None:
            talk.prepared.portals.sent(portal, statement, entry)

    async def _price_again(self, frame: Frame, statement: Statement, limit: float) -> None:
        """The policy limits the cost since the statement was prepared."""
        refusal = await self._bounds.price(statement, limit)
        if refusal is None:
            self.bind(frame, statement.plan.sql)
        else:
            self._refuse(refusal)

    def _prepare_again(self, name: str, statement: Statement) -> None:
        """Ahead of a Bind, in the client's place: it hears of it only if it fails."""
        talk = self._talk
        if name:
            gone: Entry = Expected(Request.CLOSE, Note(name=name, kind=STATEMENT), ours=True)
            talk.send(Close(STATEMENT, name).encode(), gone)
        entry: Entry = Expected(Request.PARSE, Note(statement, name), ours=True)
        talk.send(Parse(name, statement.plan.sql.encode(), statement.types or ()).encode(), entry)
        talk.prepared.statements.sent(name, statement, entry)
