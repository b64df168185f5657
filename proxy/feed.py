"""The proxy's own connection to the upstream: reads the catalogue, prices a plan, looks private values up. asyncpg.

The snapshot is replaced whole. A timer asks the server for one short digest and reads again only when it changed; a
statement that names an unknown relation asks at once (but not more than once a second). Connections are read only and
have a statement timeout; what they read stays in this process.

It does not see what a session's own open transaction created: such names are unknown until it commits.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

import asyncpg

from proxy import driver
from proxy.errors import PgveilError, UpstreamError, UpstreamUnavailableError
from proxy.ops.log import get_logger
from proxy.policy.catalog import Catalog
from proxy.policy.catalog_read import DIGEST, PIN, QUERIES, Rows, build_catalog
from proxy.ports import PRICED_NAME, Priced, UnpricedError
from proxy.settings import UpstreamDsn
from proxy.wire.messages import ErrorResponse

_log = get_logger("feed")

POOL_SIZE = 3
"""Connections for the catalogue and for look-ups, and as many for prices."""
CONNECT_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 30.0
MIN_REFRESH_S = 1.0
PRICE_SECONDS = 5.0

_SETTINGS = {
    "application_name": "pgveil",
    "search_path": "pg_catalog",
    "default_transaction_read_only": "on",
    "standard_conforming_strings": "on",
}

_NO_SUCH_TABLE = frozenset({"42P01", "3F000"})

_TYPE_NAMES = """
SELECT CASE oid WHEN 0 THEN 'unknown' ELSE pg_catalog.format_type(oid, NULL) END
FROM pg_catalog.unnest($1::oid[]) WITH ORDINALITY AS types (oid, place) ORDER BY place
"""
_COUNT_PARAMETERS = (
    "SELECT pg_catalog.cardinality(parameter_types) FROM pg_catalog.pg_prepared_statements WHERE name = $1"
)

Changed = Callable[[Catalog], None]


def _newer(old: Catalog | None, rows: Rows) -> Catalog | None:
    """The snapshot that the rows make, or None where it is what the old one is: sessions' temporary tables come and
    go in the same catalogues."""
    if old is None:
        return build_catalog(rows, version=1)
    found = build_catalog(rows, version=old.version)
    return None if found == old else replace(found, version=old.version + 1)


class Feed:
    """The catalogue's source. Use as `async with Feed(dsn) as feed`: the first snapshot is read on entry.

    Args:
        dsn: a libpq URI, or what it says. Its server has to prove itself as sessions' servers have to (`driver`).
        changed: called with every new snapshot, on the event loop.
    """

    def __init__(self, dsn: UpstreamDsn | str, changed: Changed | None = None, *, interval_s: float = 1.0) -> None:
        self._dsn = UpstreamDsn.parse(dsn)
        self._changed = changed
        self._interval_s = interval_s
        self._pool: asyncpg.Pool | None = None
        self._pricing: asyncpg.Pool | None = None
        """Apart from the other: planning takes as long as whoever wrote the query likes."""
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._catalog: Catalog | None = None
        self._digest = ""
        self._lock = asyncio.Lock()
        self._last_refresh = 0.0
        self._look_soon = asyncio.Event()
        self._digest_seconds = 0.0

    @property
    def catalog(self) -> Catalog:
        """The latest snapshot. Raises UpstreamUnavailableError before the first could be read."""
        if self._catalog is None:
            raise UpstreamUnavailableError("the upstream's catalogue has not been read yet")
        return self._catalog

    async def __aenter__(self) -> Self:
        try:
            self._pool = await self._make_pool()
            self._pricing = await self._make_pool()
            await self.refresh(force=True)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, UpstreamError) as error:
            raise unreachable(error) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._pool, self._pricing):
            if pool is not None:
                pool.terminate()

    async def _make_pool(self) -> asyncpg.Pool:
        """It connects when it is used."""
        return await driver.create_pool(
            self._dsn,
            min_size=0,
            max_size=POOL_SIZE,
            timeout=self._patience,
            command_timeout=STATEMENT_TIMEOUT_S,
            server_settings=_SETTINGS,
            # Statements over other people's tables: nothing of them is worth keeping prepared.
            statement_cache_size=0,
        )

    async def watch(self) -> None:
        """Looks for DDL every `interval_s` seconds, until cancelled. An upstream that is down is tried again.

        A catalogue so large that looking takes long is looked at less often: at most a fiftieth of one server process.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(self._interval_s, 50 * self._digest_seconds)):
                    await self._look_soon.wait()
            self._look_soon.clear()
            try:
                await self.refresh()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, UpstreamError) as error:
                _log.warning("the catalogue could not be read again", reason=_reason(error))

    def look_soon(self) -> None:
        """The server knows less or other names than the snapshot: `watch` looks at once."""
        self._look_soon.set()

    async def refresh(self, *, force: bool = False) -> bool:
        """Reads the catalogue again if the server's differs. True where there is a new snapshot.

        Calls within a second of the last answer False without asking, unless `force` is set.
        """
        async with self._lock:
            if not force and time.monotonic() - self._last_refresh < MIN_REFRESH_S:
                return False
            self._last_refresh = time.monotonic()
            async with self._acquire() as connection:
                started = time.monotonic()
                digest = str(await connection.fetchval(DIGEST))
                self._digest_seconds = time.monotonic() - started
                if digest == self._digest:
                    return False
                rows = await self._read(connection)
            # Thousands of rows: off the event loop.
            found = await asyncio.to_thread(_newer, self._catalog, rows)
            self._digest = digest
            if found is None:
                return False
            self._catalog, version = found, found.version
        if self._changed is not None:
            self._changed(self._catalog)
        _log.info("the catalogue was read", version=version, relations=len(self._catalog.relations))
        return True

    async def fetch(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """Rows of a local look-up, as the service account."""
        async with self._acquire() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *args)]

    async def explain_cost(self, sql: str) -> float:
        """PostgreSQL's total cost of a SELECT, in its own units, without running it.

        Raises:
            asyncpg.PostgresError: the statement does not pass PostgreSQL's analysis.
        """
        async with self._acquire() as connection:
            text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}")
        return float(json.loads(text)[0]["Plan"]["Total Cost"])

    async def price(self, statement: Priced) -> float | None:
        """PostgreSQL's total cost of a session's query, in its own units, without running it.

        Parameters have no values yet, so what has some is priced by its generic plan:
        https://www.postgresql.org/docs/current/sql-prepare.html. None where the query is over a temporary table, which
        is another session's. One user's queries are priced one after the other, so that nobody else waits for them
        while they are planned.

        Raises:
            TimeoutError: it took longer than `PRICE_SECONDS`, waiting for a connection included, or there is none.
            UnpricedError: the server gave an error.
        """
        turn = self._turns.setdefault(statement.user, asyncio.Lock())
        try:
            async with asyncio.timeout(PRICE_SECONDS), turn, self._pricing_connection() as connection:
                text = await _explained(connection, statement)
        except asyncpg.PostgresError as error:
            if isinstance(error, asyncpg.QueryCanceledError):
                raise TimeoutError from None
            if statement.temporary and error.sqlstate in _NO_SUCH_TABLE:
                return None
            raise UnpricedError(_told(error)) from None
        except (OSError, asyncpg.InterfaceError, UpstreamError):
            raise TimeoutError from None
        return float(json.loads(text)[0]["Plan"]["Total Cost"])

    async def check(self) -> str | None:
        """None where the upstream answers; else what is wrong, in words of ours. For readiness."""
        try:
            async with asyncio.timeout(2.0), self._acquire() as connection:
                await connection.fetchval("SELECT 1")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, UpstreamError) as error:
            return _reason(error)
        return None

    async def _read(self, connection: Any) -> dict[str, Sequence[Mapping[str, Any]]]:
        # One snapshot of the server for all queries: DDL between two of them would tear the catalogue.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(PIN)
            return {name: [dict(row) for row in await connection.fetch(sql)] for name, sql in QUERIES.items()}

    def _acquire(self) -> Any:
        return self._from(self._pool)

    def _pricing_connection(self) -> Any:
        return self._from(self._pricing)

    def _from(self, pool: asyncpg.Pool | None) -> Any:
        if pool is None:
            raise UpstreamUnavailableError("the upstream cannot be reached")
        return pool.acquire(timeout=self._patience)

    @property
    def _patience(self) -> float:
        """Seconds to wait for a connection: what all hosts may take together."""
        each = self._dsn.link.connect_timeout_s
        return CONNECT_TIMEOUT_S if each is None else max(CONNECT_TIMEOUT_S, 2 * each * len(self._dsn.hosts))


def unreachable(error: Exception) -> UpstreamUnavailableError:
    """What to tell an operator whose database gives this error to whoever connects."""
    hint = error.hint if isinstance(error, PgveilError) else None
    return UpstreamUnavailableError(
        f"the upstream cannot be reached: {_reason(error)}", hint=hint or "check upstream.dsn"
    )


def _reason(error: Exception) -> str:
    """Our own errors name no value; others are their kind."""
    return error.message if isinstance(error, PgveilError) else type(error).__name__


def _told(error: asyncpg.PostgresError) -> ErrorResponse:
    """The driver's error as the server sent it, without what is about the proxy's own text."""
    fields = {
        "S": error.severity,
        "V": error.severity_en,
        "C": error.sqlstate,
        "M": error.message,
        "H": error.hint,
        "W": error.context,
        "F": error.server_source_filename,
        "R": error.server_source_function,
    }
    return ErrorResponse(tuple((code, str(text)) for code, text in fields.items() if text))


async def _explained(connection: Any, statement: Priced) -> str:
    """EXPLAIN's answer for a query by the session's own search_path. Raises asyncpg.PostgresError."""
    async with connection.transaction(readonly=True):
        path = ", ".join(_quoted(name) for name in statement.search_path)
        for name, value in (("search_path", path), *statement.settings):
            await connection.execute("SELECT pg_catalog.set_config($1, $2, true)", name, value)
        if not statement.prepares and "$" not in statement.sql:
            return str(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}"))
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute("DEALLOCATE ALL")  # what the last one left, whatever became of it
        await connection.execute(await _prepare_text(connection, statement))
        count = await connection.fetchval(_COUNT_PARAMETERS, PRICED_NAME)
        values = f"({', '.join(['NULL'] * count)})" if count else ""
        return str(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {PRICED_NAME}{values}"))


async def _prepare_text(connection: Any, statement: Priced) -> str:
    if statement.prepares:
        return statement.sql
    rows = await connection.fetch(_TYPE_NAMES, list(statement.types))
    types = f"({', '.join(row[0] for row in rows)})" if rows else ""
    return f"PREPARE {PRICED_NAME}{types} AS {statement.sql}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
