"""One statement as a user's session would run it, and what comes back: for a policy's own tests.

The veil decides, by the code that serves; what it plans runs on a connection of its own, with the startup parameters
and the login that the session would have, in a transaction that is rolled back. Values are PostgreSQL's texts, in a
session whose time zone is UTC.

Of a role's limits it keeps `max_rows`. It does not answer questions, and does not know what a test expects.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SIMPLE-QUERY
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from proxy.admission import upstream_parameters
from proxy.errors import UpstreamError
from proxy.nl.carriers import find_question
from proxy.policy import parser
from proxy.policy.decide import Veil
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import Identity
from proxy.searchpath import SearchPath, parse_path
from proxy.settings import UpstreamDsn
from proxy.upstream import FloorLogin, Upstream, open_upstream
from proxy.wire.buffer import FrameBuffer
from proxy.wire.messages import (
    BackendMessage,
    CopyFail,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    ErrorResponse,
    Query,
    ReadyForQuery,
    RowDescription,
    decode_backend,
)
from proxy.wire.startup import StartupMessage

SECONDS = 60.0
"""For one statement."""

_SESSION = {"timezone": "UTC", "datestyle": "ISO, MDY", "intervalstyle": "postgres", "extra_float_digits": "1"}
_SESSION_FACTS = "SELECT pg_catalog.current_setting('search_path'), current_user"


@dataclass(frozen=True, slots=True)
class Trialist:
    """Where statements are tried, and by which veil. `floor` where masked roles have logins of their own."""

    veil: Veil
    dsn: UpstreamDsn
    floor: FloorLogin | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows as texts (None is NULL), with the types' OIDs."""

    rows: tuple[tuple[str | None, ...], ...] = field(repr=False)
    types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong that is no refusal of the veil: the server's error, or what a test cannot be."""

    message: str = field(repr=False)


Outcome = Answer | Refusal | Failure


async def attempt(trialist: Trialist, identity: Identity, sql: str, *, run: bool = True) -> Outcome:
    """What becomes of `sql`. With `run` False it is decided on and not run: then an Answer has no rows.

    Raises UpstreamError, UpstreamUnavailableError where there is no connection, or the server ends it.
    """
    fault = _unfit(sql)
    if fault is not None:
        return Failure(fault)
    async with _session(trialist, identity) as upstream:
        decision = await _decide(trialist.veil, identity, sql, upstream)
        if isinstance(decision, Refusal):
            return decision
        if not run:
            return Answer(())
        try:
            async with asyncio.timeout(SECONDS):
                return _cut(await _rolled_back(upstream, decision.sql), decision)
        except TimeoutError:
            await upstream.cancel()
            return Failure(f"it took more than {SECONDS:g} seconds")


def _unfit(sql: str) -> str | None:
    """A test is one statement: a COMMIT between two would keep what the first one did."""
    if find_question(sql) is not None:
        return "a test takes SQL, and this is a question"
    try:
        statements = parser.parse(sql).stmts
    except parser.SyntaxProblem:
        return None  # the veil's to refuse, or the server's
    return None if len(statements) <= 1 else "a test is one statement, and these are several"


async def _decide(veil: Veil, identity: Identity, sql: str, upstream: Upstream) -> Plan | Refusal:
    if identity.bypass:
        return Plan(sql, ())
    path, user = await upstream.first_row(_SESSION_FACTS)
    try:
        names = SearchPath(parse_path((path or b"").decode()), (user or b"").decode())
    except ValueError:
        raise UpstreamError("the server's search_path cannot be read") from None
    return veil.decide(sql, identity, names.schemas)


@asynccontextmanager
async def _session(trialist: Trialist, identity: Identity) -> AsyncIterator[Upstream]:
    dsn = trialist.dsn if trialist.floor is None else trialist.floor.dsn(trialist.dsn, identity)
    startup = StartupMessage(3, 0, {"user": identity.user, "database": dsn.database, **_SESSION})
    upstream = await open_upstream(dsn, upstream_parameters(startup, identity, dsn))
    try:
        yield upstream
    finally:
        upstream.stream.abort()


async def _rolled_back(upstream: Upstream, sql: str) -> Outcome:
    reader = _Reader(upstream)
    begun = await reader.query("BEGIN")
    if isinstance(begun, Failure):
        return begun
    outcome = await reader.query(sql)
    # So that the next test does not wait for this one's locks; where it fails, the connection's end does the same.
    await reader.query("ROLLBACK")
    return outcome


def _cut(outcome: Outcome, plan: Plan) -> Outcome:
    """Without the row that tells a session that there are more than it may have."""
    limits = [s.max_rows for s in plan.statements if s.max_rows is not None]
    if isinstance(outcome, Answer) and limits:
        return Answer(outcome.rows[: limits[0]], outcome.types)
    return outcome


class _Reader:
    """Simple queries on a connection, one after the other."""

    def __init__(self, upstream: Upstream) -> None:
        self._stream = upstream.stream
        self._buffer = FrameBuffer()

    async def query(self, sql: str) -> Outcome:
        self._stream.send(Query(sql.encode()).encode())
        rows: list[tuple[str | None, ...]] = []
        types: tuple[int, ...] = ()
        failure: Failure | None = None
        while not isinstance(message := await self._next(), ReadyForQuery):
            match message:
                case RowDescription():
                    types = tuple(f.type_oid for f in message.fields)
                case DataRow():
                    rows.append(tuple(None if v is None else v.decode(errors="replace") for v in message.values))
                case ErrorResponse() if failure is None:
                    failure = Failure(f"the database says {message.sqlstate}: {message.get('M')}")
                case CopyInResponse():
                    self._stream.send(CopyFail("a test has no data to copy").encode())
                case CopyOutResponse():
                    failure = Failure("a test compares rows, and COPY gives none")
                case _:
                    continue
        return Answer(tuple(rows), types) if failure is None else failure

    async def _next(self) -> BackendMessage:
        while (frame := next(self._buffer.frames(), None)) is None:
            data = await self._stream.read()
            if not data:
                raise UpstreamError("the database closed the connection")
            self._buffer.feed(data)
        return decode_backend(frame)
