"""Put the demo database on a server: create, fill by COPY, index, and leave it alone when it is there already.

The database's comment says what is in it and from which day. A database named `demo` without such a comment is
somebody's own, and is never touched. Rows end at the day of loading, and questions such as "orders last month"
need them to: a database that is older than a week is made again.

Everything in it belongs to the account `pgveil`, which is no superuser: the proxy connects as that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources

import asyncpg

from proxy.demo.generate import SEED, generate
from proxy.demo.tables import YEARS, TableData
from proxy.errors import ConfigError

DATABASE = "demo"
ACCOUNT = "pgveil"
SCHEMAS = ("shop", "clinic")
"""The search path of the database, so that `SELECT * FROM customers` works; they have no name in common."""
EDITION = 1
"""Grows with every change of the schema or the generators, so that older databases are made again."""
MAX_AGE = timedelta(days=7)

_MARK = f"pgveil's demo database, edition {EDITION}"
_ANY_MARK = "pgveil's demo database"
_SECOND_PART = "-- after the load"

Progress = Callable[[str, int, int], None]
"""Called with what is being loaded, the rows that are in so far, and the rows in all."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `ensure_loaded` found or made."""

    as_of: date
    made: bool
    """False: it was there."""
    tables: int
    rows: int
    """Both 0 where it was there."""


async def ensure_loaded(admin_dsn: str, today: date, progress: Progress | None = None, seed: int = SEED) -> Loaded:
    """Make the demo database unless a recent one is there. `admin_dsn` may create roles and databases.

    Raises ConfigError if a database of that name is not the demo's, and asyncpg's errors as they are.
    """
    admin = await asyncpg.connect(admin_dsn)
    try:
        comment = await _comment(admin)
        found = _day_of(comment)
        if found is not None and found <= today < found + MAX_AGE:
            return Loaded(found, made=False, tables=0, rows=0)
        await _create(admin, exists=comment is not None)
        tables = list(generate(today, seed))
        database = await asyncpg.connect(admin_dsn, database=DATABASE)
        try:
            await _fill(database, tables, today, progress or _silent)
        finally:
            await database.close()
        await _set_comment(admin, f"{_MARK}, as of {today}")
    finally:
        await admin.close()
    return Loaded(today, made=True, tables=len(tables), rows=sum(len(t.rows) for t in tables))


def schema_sql() -> tuple[str, str]:
    """What runs before the rows come, and what runs after."""
    text = resources.files("proxy.demo").joinpath("schema.sql").read_text(encoding="utf-8")
    before, mark, after = text.rpartition(_SECOND_PART)
    if not mark:
        raise ConfigError("proxy/demo/schema.sql has lost its second part")
    return before, mark + after


# The database.


async def _comment(admin: asyncpg.Connection) -> str | None:
    """The database's comment, "" where it has none, None where there is no such database."""
    found: str | None = await admin.fetchval(
        "SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = $1", DATABASE
    )
    if found is not None and not found.startswith(_ANY_MARK):
        raise ConfigError(
            f"there is a database {DATABASE!r} which pgveil did not make",
            hint="Rename it, or give the demo a server of its own.",
        )
    return found


def _day_of(comment: str | None) -> date | None:
    """The day that a whole database of this edition was made for."""
    if comment is None or not comment.startswith(f"{_MARK}, as of "):
        return None
    return date.fromisoformat(comment.rpartition(" ")[2])


async def _set_comment(admin: asyncpg.Connection, text: str) -> None:
    quoted = text.replace("'", "''")
    await admin.execute(f"COMMENT ON DATABASE {DATABASE} IS '{quoted}'")


async def _create(admin: asyncpg.Connection, *, exists: bool) -> None:
    if not await admin.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", ACCOUNT):
        await admin.execute(f"CREATE ROLE {ACCOUNT} LOGIN")
    if exists:
        await admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    await admin.execute(f"CREATE DATABASE {DATABASE} OWNER {ACCOUNT}")
    await _set_comment(admin, f"{_ANY_MARK}, not whole yet")


async def _fill(database: asyncpg.Connection, tables: Sequence[TableData], today: date, progress: Progress) -> None:
    before, after = schema_sql()
    total, done = sum(len(t.rows) for t in tables), 0
    await database.execute(f"SET ROLE {ACCOUNT}; SET synchronous_commit = off; SET search_path = ''")
    async with database.transaction():
        await database.execute(before)
        await _create_partitions(database, range(today.year - YEARS, today.year + 2))
        for table in tables:
            progress(table.qualified, done, total)
            await database.copy_records_to_table(
                table.name, schema_name=table.schema, columns=table.columns, records=table.rows
            )
            done += len(table.rows)
        progress("indexes", done, total)
        await database.execute(after)
    await database.execute(f"ALTER DATABASE {DATABASE} SET search_path = {', '.join(SCHEMAS)}; ANALYZE")
    progress("done", done, total)


async def _create_partitions(database: asyncpg.Connection, years: range) -> None:
    """One of shop.payments per year, one for any other day; each with its parent's comments."""
    bounds = {f"payments_{year}": f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')" for year in years}
    bounds["payments_other"] = "DEFAULT"
    comments = await database.fetch(
        "SELECT attname, col_description(attrelid, attnum) AS text FROM pg_attribute"
        " WHERE attrelid = 'shop.payments'::regclass AND attnum > 0"
    )
    for name, values in bounds.items():
        about = name.removeprefix("payments_")
        statements = [f"CREATE TABLE shop.{name} PARTITION OF shop.payments {values}"]
        statements.append(f"COMMENT ON TABLE shop.{name} IS 'Payments: partition {about}'")
        statements += [f"COMMENT ON COLUMN shop.{name}.{row['attname']} IS '{row['text']}'" for row in comments]
        await database.execute("; ".join(statements))


def _silent(what: str, done: int, total: int) -> None:
    """No progress wanted."""
