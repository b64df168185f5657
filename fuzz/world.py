"""The fuzzer's databases: the one that the veil stands before, and for each user two more.

`seen` is the database as that user should see it: the same tables under the same names, with the masked values in the
protected ones' places, and without the rows that a filter hides. What a statement answers there is what it has to
answer through the veil. `other` holds other protected values that read the same: its answers through the veil have to
be those of the first database.

All are copies of one template, so that types and tables have the same numbers in each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from fuzz.cells import USERS, Row, Table
from fuzz.rows import all_tables
from proxy import localpg
from proxy.demo.load import schema_sql
from proxy.feed import Feed
from proxy.policy.catalog import Catalog
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies

HERE = Path(__file__).parent
POLICY = HERE / "policy.yaml"
PREFIX = "fuzz"
SEARCH_PATH = ("shop", "clinic", "lab")

Connection = psycopg.Connection[tuple[object, ...]]

# Masked values need not pass what was asked of the values; primary keys stay, since GROUP BY knows them.
_OPEN = """
DO $$ DECLARE what record; BEGIN
    FOR what IN SELECT c.conrelid::regclass AS place, c.conname FROM pg_constraint AS c
        JOIN pg_class AS r ON r.oid = c.conrelid
        WHERE c.contype IN ('f', 'c', 'u') AND c.conparentid = 0
            AND r.relnamespace IN ('shop'::regnamespace, 'clinic'::regnamespace, 'lab'::regnamespace)
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', what.place, what.conname); END LOOP;
    FOR what IN SELECT a.attrelid::regclass AS place, a.attname FROM pg_attribute AS a
        JOIN pg_class AS r ON r.oid = a.attrelid AND r.relkind IN ('r', 'p') AND NOT r.relispartition
        WHERE a.attnum > 0 AND a.attnotnull
            AND r.relnamespace IN ('shop'::regnamespace, 'clinic'::regnamespace, 'lab'::regnamespace)
            AND NOT EXISTS (SELECT FROM pg_index AS i
                            WHERE i.indrelid = r.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))
    LOOP EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', what.place, what.attname); END LOOP;
END $$;
ALTER TABLE lab.sums ALTER COLUMN amount DROP EXPRESSION;
CREATE OR REPLACE VIEW shop.customer_contacts AS
    SELECT id AS customer_id, name, email, phone, '***'::text AS city, coalesce(pan, ssn) AS tax_number
    FROM shop.customers;
"""


@dataclass(frozen=True)
class World:
    """The server, its databases by name, and the veil that was made for them."""

    server: localpg.LocalPostgres
    veil: Veil
    catalog: Catalog

    @staticmethod
    def base() -> str:
        """The database that the veil stands before."""
        return f"{PREFIX}_base"

    @staticmethod
    def seen(user: str) -> str:
        return f"{PREFIX}_seen_{user}"

    @staticmethod
    def other(user: str) -> str:
        return f"{PREFIX}_other_{user}"

    def connect(self, database: str) -> Connection:
        return psycopg.connect(self.server.dsn_for(database), autocommit=True)


def make_world(server: localpg.LocalPostgres) -> World:
    """Every database anew. Raises psycopg's errors as they are."""
    tables = all_tables()
    template = f"{PREFIX}_template"
    before, after = schema_sql()
    _create(server, template, "template1", [])
    with psycopg.connect(server.dsn_for(template), autocommit=True) as connection:
        for script in (before, (HERE / "lab.sql").read_text(encoding="utf-8"), after):
            connection.execute(script.encode())
    _create(server, World.base(), template, [(t, t.as_stored()) for t in tables])
    for user, roles in USERS.items():
        _create(server, World.seen(user), template, [(t, t.as_seen(roles)) for t in tables], opened=True)
        _create(server, World.other(user), template, [(t, t.as_other(roles)) for t in tables])
    catalog = read_catalog(server.dsn_for(World.base()))
    return World(server, Veil(load_policies(POLICY), catalog), catalog)


def read_catalog(dsn: str) -> Catalog:
    async def read() -> Catalog:
        async with Feed(dsn) as feed:
            return feed.catalog

    return asyncio.run(read())


def _create(
    server: localpg.LocalPostgres,
    name: str,
    template: str,
    filled: Iterable[tuple[Table, Iterable[Row]]],
    *,
    opened: bool = False,
) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        admin.execute(f"ALTER DATABASE {name} SET search_path = {', '.join(SEARCH_PATH)}".encode())
    with psycopg.connect(server.dsn_for(name), autocommit=True) as connection:
        if opened:
            connection.execute(_OPEN.encode())
        with connection.transaction():
            for table, rows in filled:
                _fill(connection, table, list(rows))
        connection.execute("ANALYZE")


def _fill(connection: Connection, table: Table, rows: list[Row]) -> None:
    if not rows:
        return
    columns = ", ".join('"' + column.replace('"', '""') + '"' for column in rows[0])
    with connection.cursor().copy(f"COPY {table.name} ({columns}) FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(tuple(row[column] for column in rows[0]))
