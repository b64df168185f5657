"""What the client sends that needs nothing done to it, or nothing but other text to run: most of all messages.

Chunk by chunk, with no object for a message. It judges as `session` and `extended` do, and leaves to them whatever it
is not certain of: a question, a statement that does something to the session, a name that may be another's by the time
the server gets there, a limit.

It does not know connections (`relay`), and refuses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Final

from proxy.bounds import Bounds
from proxy.conversation import Conversation, Entry, Note, is_simple
from proxy.errors import ProtocolError
from proxy.nl.carriers import may_ask
from proxy.order import Order
from proxy.policy.decide import Desk
from proxy.policy.plan import Refusal
from proxy.policy.rules import StatementKind
from proxy.ports import Services, VeilPort
from proxy.prepared import Statement
from proxy.verdict import LARGE_TEXT, Decided, shown_for
from proxy.wire.buffer import SMALL_FRAME, length_at
from proxy.wire.codec import HEADER_SIZE, Code
from proxy.wire.messages import Query
from proxy.wire.peek import names_within, pack_query, portal_within, text_within
from proxy.wire.replies import Expected, Request

MAX_OWED: Final = 10_000
"""Messages that may be sent ahead of their replies before the line stops until those have come."""
MAX_ASKING: Final = 16 * 1024
"""Bytes of a text that may hold a question."""
TAKEN: Final = -1
"""See `Passing.chunk`."""

REQUESTS: Final = {
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
_QUERY: Final = Code.QUERY
_PARSE: Final = Code.PARSE
_BIND: Final = Code.BIND
_DESCRIBE: Final = Code.DESCRIBE
_EXECUTE: Final = Code.EXECUTE
_SYNC: Final = Code.SYNC
_MIN_LENGTH: Final = HEADER_SIZE - 1
_NAMES: Final = frozenset({Code.DESCRIBE, Code.EXECUTE, Code.CLOSE, Code.SYNC})
"""What has SMALL_FRAME bytes at most."""
_PASSED: Final[dict[int, Entry]] = {tag: Expected(request, plain=True) for tag, request in REQUESTS.items()}
"""For what passes as it came: nothing is remembered of it, so all sessions share these."""


class Passing:
    """Of one session. `decide` takes what turned out to need more than sending."""

    __slots__ = (
        "_bounds",
        "_decide",
        "_desk",
        "_generation",
        "_path",
        "_talk",
        "_temps",
        "_veil",
        "_veils",
        "_watcher",
        "instead",
    )

    def __init__(self, talk: Conversation, services: Services, bounds: Bounds, decide: Callable[[Order], None]) -> None:
        self._talk = talk
        self._veils = services.veils
        self._watcher = services.watcher
        self._bounds = bounds
        self._decide = decide
        self._generation = -1
        self.instead: bytes | None = None
        """What to send in place of the chunk that has just passed."""
        self._desk: Desk | None = None
        """Where the veil decides for this session, as long as these three are what they are."""
        self._veil: VeilPort | None = None
        self._path: tuple[str, ...] | None = None
        self._temps: frozenset[str] | None = None

    def chunk(self, data: bytes) -> int:
        """How many bytes at the start of a chunk go to the server as they are, or as `instead` has them: whole messages
        that need nothing more.

        They are expected answers to already. 0 where something is in the way: what is skipped, COPY, a deadline.
        TAKEN: it was one message, and it was dealt with as `session` does.
        """
        talk, replies = self._talk, self._talk.replies
        if not replies.open or self._bounds.timed:
            return 0
        if talk.masked:
            return self._judged(data)
        pos, end = 0, len(data)
        while end - pos >= HEADER_SIZE and len(replies) < MAX_OWED:
            tag, length = data[pos], length_at(data, pos)
            entry, stop = _PASSED.get(tag), pos + 1 + length
            if entry is None or length < _MIN_LENGTH or stop > end or (length > SMALL_FRAME and tag in _NAMES):
                break
            if tag in (_QUERY, _PARSE):
                text = text_within(data, pos, stop, MAX_ASKING)
                if may_be_question(text):
                    break
                self._watcher.passed(text)
            replies.push(entry)
            pos = stop
        return pos

    def _judged(self, data: bytes) -> int:
        """The same of a masked session: one text that needs no more than the veil, or messages about names that are
        certain."""
        talk, replies = self._talk, self._talk.replies
        if talk.overdue is not None or talk.waits_for is not None:
            return 0
        self.look()
        pos, end = 0, len(data)
        while end - pos >= HEADER_SIZE and len(replies) < MAX_OWED:
            tag, length = data[pos], length_at(data, pos)
            stop = pos + 1 + length
            if length < _MIN_LENGTH or length > SMALL_FRAME or stop > end:
                break
            if tag == _QUERY:
                if pos or stop < end:
                    break
                return stop if self._at_sight(data) else TAKEN if self.text(data) else 0
            entry = self._named(data, pos, stop)
            if entry is None:
                break
            replies.push(entry)
            pos = stop
        return pos

    def look(self) -> None:
        """Looks which veil is in force. What comes in one piece is held against one: a Bind must not be let pass, and
        the Execute behind it be refused, because a second has ended between the two."""
        self._generation = self._veils.generation

    # Texts

    def _at_sight(self, data: bytes) -> bool:
        """A Query whose text differs from one that was decided on in integers only."""
        talk, stop = self._talk, len(data) - 1
        text = data[HEADER_SIZE:stop]
        if data[stop] != 0 or b"ask" in text.lower():
            return False
        veil, path, temps = self._veils.veil, talk.path.schemas, talk.path.temps
        desk = self._desk
        if desk is None or veil is not self._veil or path is not self._path or temps is not self._temps:
            desk = self._desk = veil.desk(talk.identity, path, temps)
            self._veil, self._path, self._temps = veil, path, temps
        seen = veil.sight(desk, text)
        if seen is None or not is_simple(seen.model):
            return False
        self._watcher.sent(text, seen.model, None, path, temps)
        entry: Entry = Expected(Request.QUERY, Note(plan=seen), plain=True)
        talk.replies.push(entry)
        if talk.path.at_risk:
            talk.unsettled = entry
        run = seen.text()
        self.instead = pack_query(run) if run else None
        return True

    def text(self, message: bytes) -> bool:
        """A Query of a masked session that is no question: most plans take nothing but sending them.

        False: nothing was done, it may be one, or is none that can be decided on here."""
        size = len(message)
        if size > LARGE_TEXT or message[size - 1] != 0:
            return False
        started = perf_counter()
        text = message[HEADER_SIZE : size - 1]
        try:
            sql = text.decode()
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
            self._decide(Order(Query(text), sql, message, decided=decided))
            return True
        self._watcher.sent(text, verdict, perf_counter() - started, path, temps)
        entry: Entry = Expected(Request.QUERY, Note(plan=verdict), plain=True)
        talk.send(pack_query(verdict.sql.encode()) if verdict.rewritten else message, entry)
        if talk.path.at_risk:
            talk.unsettled = entry
        return True

    # Names

    def _named(self, data: bytes, pos: int, stop: int) -> Entry | None:
        """What is expected for a message about a name that takes nothing but sending it; None: it takes more."""
        talk, tag = self._talk, data[pos]
        entry: Entry
        if tag == _DESCRIBE:
            return _PASSED[_DESCRIBE]
        if tag == _SYNC:
            if talk.path.at_risk or stop - pos != HEADER_SIZE:
                return None
            talk.prepared.synced()
            return _PASSED[_SYNC]
        try:
            if tag == _BIND:
                portal, name = names_within(data, pos, stop)
                statement = self.usual(name)
                if statement is None:
                    return None
                entry = Expected(Request.BIND, Note(statement, portal), plain=True)
                talk.prepared.portals.sent(portal, statement, entry)
                return entry
            if tag == _EXECUTE:
                statement = talk.prepared.portals.certain(portal_within(data, pos, stop))
                if statement is not None and self.is_current(statement):
                    return Expected(Request.EXECUTE, Note(statement), plain=True)
        except ProtocolError:  # `extended` raises it in its turn
            return None
        return None

    def usual(self, name: str) -> Statement | None:
        """The prepared statement, where binding it takes no more than that; None: it takes a closer look."""
        prepared = self._talk.prepared
        found = prepared.statements.certain(name)
        return None if found is None or not self.is_current(found) or prepared.portals.full else found

    def is_current(self, statement: Statement) -> bool:
        """Whether a statement may be run with nothing more to be asked: it was decided on as it would be now, reads,
        and does nothing else to the session, without a limit."""
        talk, plan = self._talk, statement.plan
        if statement.generation != self._generation or talk.waits_for is not None:
            return False
        if statement.temps != talk.path.temps or statement.path != talk.path.schemas or statement.asked:
            return False
        return is_simple(plan) and plan.statements[0].kind is StatementKind.SELECT


def may_be_question(text: bytes) -> bool:
    """As `may_ask`, which is asked where the three letters are there at all."""
    return b"ask" in text.lower() and may_ask(text)
