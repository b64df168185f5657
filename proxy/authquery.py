"""The verifiers of users who are in no file, asked of the database: what pgbouncer calls auth_query.

The query runs with an account of its own or the upstream's, over the extended protocol, with the user's name as its
parameter. An answer is kept for a few seconds, a no as well as a yes, and those who ask for the same user meanwhile
wait for one query.

Nobody should learn from the time of an answer who exists: what is known already is told no sooner than the last query
took, also for users of the file.

It does not know the login: whoever is asked about here has proven nothing yet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import asyncpg

from proxy import driver
from proxy.errors import UpstreamError, UpstreamUnavailableError
from proxy.ops.log import get_logger
from proxy.settings import UpstreamDsn
from proxy.wire.scram import DEFAULT_ITERATIONS, Verifier

DEFAULT_QUERY = (
    "SELECT rolname, rolpassword FROM pg_catalog.pg_authid "
    "WHERE rolname = $1 AND rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil > pg_catalog.now())"
)
KEEP_SECONDS = 5.0
MAX_KEPT = 10_000
_ITERATIONS = "SELECT pg_catalog.current_setting($1, true)"
_ITERATIONS_SETTING = "scram_iterations"
"""Of PostgreSQL 16 and newer; before, there are always as many as in `DEFAULT_ITERATIONS`."""
POOL_SIZE = 2
QUERY_SECONDS = 5.0
MAX_PRETENCE_SECONDS = 0.25
"""One query that was slow is no reason for everybody to wait as long."""
_PER_ROW = 2

_FAILURES = (OSError, TimeoutError, UpstreamError, asyncpg.PostgresError, asyncpg.InterfaceError)

Rows = list[tuple[Any, ...]]
Ask = Callable[[str, str], Awaitable[Rows]]
"""Runs a query with one parameter. Raises OSError, TimeoutError, asyncpg's errors."""

_log = get_logger("authquery")


@dataclass(slots=True)
class _Kept:
    """A user's answer, or the query that will give it."""

    answer: asyncio.Future[str | None]
    until: float = field(default=float("inf"))

    def __repr__(self) -> str:
        return f"_Kept(done={self.answer.done()})"


class AuthQuery:
    """Asks and remembers. `ask` runs the query; tests give one without a database."""

    def __init__(self, ask: Ask, query: str = DEFAULT_QUERY, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._query = query
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._took = 0.0
        self._iterations: int | None = None

    def __repr__(self) -> str:
        return f"AuthQuery(kept={len(self._kept)})"

    @property
    def iterations(self) -> int | None:
        """What the database makes verifiers with; None before it was asked for the first."""
        return self._iterations

    async def __call__(self, user: str, known: bool) -> str | None:  # noqa: FBT001 - the shape of `handshake.Lookup`
        """The verifier of `user`, or None. `known`: only takes the time.

        Raises UpstreamUnavailableError where the database does not answer.
        """
        started = self._clock()
        kept = self._kept.get(user)
        if known:
            found = None
        elif kept is not None and (not kept.answer.done() or self._clock() < kept.until):
            found = await asyncio.shield(kept.answer)
        else:
            return await self._look(user)
        await asyncio.sleep(max(0.0, min(self._took, MAX_PRETENCE_SECONDS) - (self._clock() - started)))
        return found

    async def _look(self, user: str) -> str | None:
        started = self._clock()
        self._forget(started)
        kept = self._kept[user] = _Kept(asyncio.get_running_loop().create_future())
        try:
            found = await self._fetch(user)
        except BaseException as error:
            # Nobody may be waiting for it; whoever is, asks anew with the next login.
            self._kept.pop(user, None)
            kept.answer.set_exception(_unavailable(error))
            kept.answer.exception()
            if isinstance(error, _FAILURES):
                _log.error("auth.query failed", error_type=type(error).__name__)
                raise _unavailable(error) from None
            raise
        self._took = self._clock() - started
        kept.until = self._clock() + KEEP_SECONDS
        kept.answer.set_result(found)
        return found

    async def _fetch(self, user: str) -> str | None:
        """The one verifier that the query gives; whatever else it gives is nobody's."""
        if "\0" in user:
            return None
        async with asyncio.timeout(QUERY_SECONDS):
            if self._iterations is None:
                self._iterations = _number(await self._ask(_ITERATIONS, _ITERATIONS_SETTING))
            rows = await self._ask(self._query, user)
        if not rows:
            return None
        if len(rows) > 1 or len(rows[0]) != _PER_ROW:
            _log.error("auth.query gave something else than one row of a name and a verifier", rows=len(rows))
            return None
        name, secret = rows[0]
        if name != user or not isinstance(secret, str):
            return None
        try:
            Verifier.parse(secret)
        except ValueError:
            _log.warning("auth.query gave a secret that is no SCRAM-SHA-256 verifier", user=user)
            return None
        return secret

    def _forget(self, now: float) -> None:
        """What is too old, the oldest first; all of it where somebody asks for thousands of names."""
        while self._kept and next(iter(self._kept.values())).until <= now:
            del self._kept[next(iter(self._kept))]
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()


def _number(rows: Rows) -> int:
    """Of a setting that the server may not have."""
    found = rows[0][0] if rows and rows[0] else None
    return int(found) if isinstance(found, str) and found.isdigit() else DEFAULT_ITERATIONS


def _unavailable(error: BaseException) -> UpstreamUnavailableError:
    return UpstreamUnavailableError(
        "the database cannot say who may log in", detail=type(error).__name__, hint="Try again later."
    )


class Accounts:
    """The connections that the query runs on. Use as `async with Accounts(dsn) as accounts`."""

    def __init__(self, dsn: UpstreamDsn) -> None:
        self._dsn = dsn
        self._pool: asyncpg.Pool | None = None

    async def __aenter__(self) -> Self:
        """It connects when it is used."""
        self._pool = await driver.create_pool(
            self._dsn,
            min_size=0,
            max_size=POOL_SIZE,
            timeout=QUERY_SECONDS,
            command_timeout=QUERY_SECONDS,
            server_settings={"application_name": "pgveil", "search_path": "pg_catalog"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def ask(self, query: str, user: str) -> Rows:
        if self._pool is None:
            raise UpstreamUnavailableError("the connections of auth.query are not open")
        async with self._pool.acquire() as connection:
            return [tuple(row) for row in await connection.fetch(query, user)]
