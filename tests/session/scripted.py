"""A conversation without sockets: a relay between a scripted client and a scripted server.

    talk = Scripted()
    talk.client(Query(b"SELECT 1"))
    assert talk.at_server() == [Query(b"SELECT 1")]
    talk.server(CommandComplete("SELECT 1"), ReadyForQuery("I"))
    assert talk.at_client() == [CommandComplete("SELECT 1"), ReadyForQuery("I")]

`at_client` and `at_server` give what arrived since they were last asked, decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.conversation import Conversation
from proxy.errors import PgveilError
from proxy.limits import Running
from proxy.policy.decide import Desk
from proxy.policy.plan import Effect, Plan, PlannedStatement, Refusal
from proxy.policy.rules import Identity, StatementKind
from proxy.policy.shapes import Sighted
from proxy.ports import Asking, Links, Priced, Services, StatementEvent, Task
from proxy.refusals import POISON
from proxy.relay import Relay
from proxy.searchpath import SearchPath
from proxy.wire.buffer import Frame, FrameBuffer
from proxy.wire.messages import (
    BackendMessage,
    ErrorResponse,
    FrontendMessage,
    Message,
    Parse,
    Query,
    decode_backend,
    decode_frontend,
)

ANALYST = Identity("ana", ("analyst",))
DBA = Identity("postgres", ("dba",), bypass=True)

SELECT = PlannedStatement(StatementKind.SELECT)


def error(sqlstate: str, message: str = "words", severity: str = "ERROR", **fields: str) -> ErrorResponse:
    """What a server sends; more fields by their one-letter codes."""
    return ErrorResponse((("S", severity), ("V", severity), ("C", sqlstate), ("M", message), *sorted(fields.items())))


def poison_query() -> Query:
    return Query(POISON)


def poison_parse(name: str = "pgveil refused") -> Parse:
    return Parse(name, POISON)


POISONED = error("42883", "function pg_catalog.pgveil_refused() does not exist", P="8")


def plan(sql: str, *effects: Effect | None, rewritten: bool = False) -> Plan:
    """A plan with one statement for each effect; without any, one SELECT."""
    kinds = {None: StatementKind.SELECT, "prepare": StatementKind.PREPARE, "execute": StatementKind.PREPARE}
    statements = tuple(
        PlannedStatement(kinds.get(None if e is None else e.kind, StatementKind.SET), e) for e in effects
    )
    return Plan(sql, statements or (SELECT,), rewritten=rewritten)


@dataclass
class FakePipe:
    """One side's connection. What is sent is kept until somebody takes it."""

    frames: FrameBuffer = field(default_factory=FrameBuffer)
    paused: bool = False
    closed: bool = False
    aborted: bool = False
    writes: int = 0

    def send(self, data: bytes) -> None:
        assert not self.closed, "sent after it was closed"
        self.writes += 1
        self.frames.feed(data)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def take(self) -> list[Frame]:
        return list(self.frames.frames())


Verdict = Plan | Refusal


@dataclass
class FakeVeils:
    """Verdicts by text; what is not listed runs as it is. `asked` is every decision: text and path.

    A text with ` /* with a, b */` after it is for sessions with those temporary tables. `temps` and `types` are those
    of the last decision.
    """

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    generation: int = 1
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    refreshes: int = 0
    apart: int = 0
    after_refresh: dict[str, Verdict] = field(default_factory=dict)
    temps: frozenset[str] = frozenset()
    types: tuple[int, ...] = ()
    written_out: FakeVeils | None = None
    """On the floor: what the masked views show, under the same texts."""

    @property
    def veil(self) -> FakeVeils:
        return self

    @property
    def inline(self) -> FakeVeils:
        return self.written_out or self

    def decide(
        self,
        sql: str,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Verdict:
        self.asked.append((sql, search_path))
        self.temps, self.types = temps, types
        return self.verdicts.get(f"{sql} /* with {', '.join(sorted(temps))} */" if temps else sql) or self.verdicts.get(
            sql, plan(sql)
        )

    def desk(
        self,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Desk:
        return Desk()

    def sight(self, desk: Desk, text: bytes) -> Sighted | None:
        """Every text is another one to it."""
        return None

    def decide_apart(
        self,
        sql: str,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Verdict:
        self.apart += 1
        return self.decide(sql, identity, search_path, temps, types)

    def decide_parameters(self, types: tuple[int, ...]) -> Refusal | None:
        return Refusal("42501", "no such parameter") if 666 in types else None

    async def refresh(self) -> None:
        self.refreshes += 1
        await asyncio.sleep(0)
        self.verdicts |= self.after_refresh


@dataclass(frozen=True)
class FakeAnswer:
    sql: str


@dataclass
class FakeAsker:
    """Answers by question; an exception is raised. `gate` holds every answer back until it is set."""

    answers: dict[str, str | PgveilError] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def resolve(self, question: str, asking: Asking) -> FakeAnswer:
        self.asked.append((question, asking.search_path))
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers[question]
        if isinstance(answer, PgveilError):
            raise answer
        return FakeAnswer(answer)


@dataclass
class FakePricer:
    """Prices by a word in the text; 1 for every other. None: of a temporary table; an exception is raised."""

    prices: dict[str, float | Exception | None] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    asked: list[Priced] = field(default_factory=list)

    async def price(self, statement: Priced) -> float | None:
        self.asked.append(statement)
        if self.gate is not None:
            await self.gate.wait()
        price = next((p for word, p in self.prices.items() if word in statement.sql), 1.0)
        if isinstance(price, Exception):
            raise price
        return price


@dataclass
class FakeWatcher:
    events: list[StatementEvent] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    crashes: list[BaseException] = field(default_factory=list)
    bytes_moved: int = 0
    cuts: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)

    def statement(self, event: StatementEvent) -> None:
        self.events.append(event)

    def passed(self, text: bytes) -> None:
        self.events.append(StatementEvent(text))

    def sent(
        self, text: bytes, plan: Plan, seconds: float | None, path: tuple[str, ...], temps: frozenset[str]
    ) -> None:
        self.events.append(StatementEvent(text.decode(), plan, None, seconds, path, (), temps))

    def ask(self, outcome: str, seconds: float) -> None:
        self.asks.append(outcome)

    def upstream_error(self, sqlstate: str) -> None:
        self.errors.append(sqlstate)

    def cut(self, limit: str) -> None:
        self.cuts.append(limit)

    def limited(self, limit: str) -> None:
        self.limits.append(limit)

    def moved(self, received: int, sent: int) -> None:
        self.bytes_moved += received + sent

    def crash(self, error: BaseException) -> None:
        self.crashes.append(error)

    def closed(self) -> None: ...


class _Done:
    def cancel(self) -> None: ...


class FakeTimer:
    """One that does not know that it was cancelled: it may have been about to go off."""

    def cancel(self) -> None: ...


class Scripted:
    """The relay and both ends. Tasks run on the running loop; without one they are started and dropped."""

    def __init__(
        self,
        identity: Identity = ANALYST,
        verdicts: Mapping[str, Verdict] | None = None,
        answers: Mapping[str, str | PgveilError] | None = None,
        path: tuple[str, ...] = ("public",),
        running: Running | None = None,
    ) -> None:
        self.veils = FakeVeils(dict(verdicts or {}))
        self.asker = FakeAsker(dict(answers or {}))
        self.watcher = FakeWatcher()
        self.client_pipe, self.server_pipe = FakePipe(), FakePipe()
        self.cancels = self.ends = 0
        self.cancelling: asyncio.Event | None = None
        """Holds every CancelRequest on its way until it is set."""
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.talk = Conversation(identity, SearchPath(path, "app"))
        links = Links(
            client=self.client_pipe,
            upstream=self.server_pipe,
            cancel_upstream=self._cancel,
            spawn=self._spawn,
            call_later=self._call_later,
            ended=self._end,
        )
        self.pricer = FakePricer()
        services = Services(self.veils, self.asker, self.watcher, price=self.pricer.price, running=running or Running())
        self.relay = Relay(self.talk, services, links)

    def client(self, *messages: Message) -> None:
        """The client sends these, in one chunk."""
        self.relay.client.received(b"".join(m.encode() for m in messages))

    def server(self, *messages: Message) -> None:
        self.relay.upstream.received(b"".join(m.encode() for m in messages))

    def at_client(self) -> list[BackendMessage]:
        return [decode_backend(frame) for frame in self.client_pipe.take()]

    def at_server(self) -> list[FrontendMessage]:
        return [decode_frontend(frame) for frame in self.server_pipe.take()]

    def exchange(self, sent: Message, *replies: Message) -> list[BackendMessage]:
        """The client sends, the server replies; what the client gets. Nothing is left at either end."""
        self.client(sent)
        self.server(*replies)
        self.at_server()
        return self.at_client()

    async def _cancel(self) -> None:
        self.cancels += 1
        if self.cancelling is not None:
            await self.cancelling.wait()

    def _call_later(self, seconds: float, call: Callable[[], None]) -> FakeTimer:
        self.timers.append((seconds, call))
        return FakeTimer()

    def _end(self) -> None:
        self.ends += 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> Task:
        try:
            return asyncio.get_running_loop().create_task(work)
        except RuntimeError:
            try:
                work.send(None)
            except StopIteration:
                return _Done()
            raise AssertionError("a task that waits needs an event loop") from None


async def settle() -> None:
    """Lets every task run until it waits for something that is not there yet."""
    for _ in range(10):
        await asyncio.sleep(0)
