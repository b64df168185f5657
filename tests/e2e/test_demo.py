"""The demo database on a real server, and the tour that a newcomer takes through it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from proxy import localpg
from proxy.demo.generate import generate
from proxy.demo.load import ACCOUNT, DATABASE, ensure_loaded
from proxy.errors import ConfigError

TODAY = date(2026, 11, 21)
Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[localpg.LocalPostgres]:
    running = localpg.start(tmp_path_factory.mktemp("demo"), durable=False)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def loaded(server: localpg.LocalPostgres) -> localpg.LocalPostgres:
    asyncio.run(ensure_loaded(server.dsn, TODAY))
    return server


@pytest.fixture
def demo(loaded: localpg.LocalPostgres) -> Iterator[Connection]:
    """As the account that the proxy uses."""
    with psycopg.connect(loaded.dsn_for(DATABASE, ACCOUNT), autocommit=True) as connection:
        yield connection


def column(connection: Connection, sql: str) -> list[object]:
    return [row[0] for row in connection.execute(sql.encode()).fetchall()]


# The database.


def test_every_row_arrives(demo: Connection) -> None:
    for table in generate(TODAY):
        assert column(demo, f"SELECT count(*) FROM {table.qualified}") == [len(table.rows)], table.qualified


OF_THE_DEMO = """
    FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v')
    AND c.relnamespace IN ('shop'::regnamespace, 'clinic'::regnamespace)
"""


def test_every_table_and_column_has_a_comment(demo: Connection) -> None:
    assert (
        column(demo, f"SELECT c.oid::regclass::text {OF_THE_DEMO} AND obj_description(c.oid, 'pg_class') IS NULL") == []
    )
    bare = f"""SELECT a.attrelid::regclass || '.' || a.attname FROM pg_attribute a
        WHERE a.attrelid IN (SELECT c.oid {OF_THE_DEMO}) AND a.attnum > 0 AND NOT a.attisdropped
        AND col_description(a.attrelid, a.attnum) IS NULL"""
    assert column(demo, bare) == []
    (tables,) = column(demo, f"SELECT count(*) {OF_THE_DEMO}")
    assert isinstance(tables, int)
    assert tables >= 20


def test_it_has_one_of_each_kind_of_object(demo: Connection) -> None:
    assert column(demo, "SELECT count(*) FROM pg_views WHERE schemaname IN ('shop', 'clinic')") >= [3]
    assert column(demo, "SELECT relkind::text FROM pg_class WHERE oid = 'shop.payments'::regclass") == ["p"]
    assert column(demo, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0") >= [15]
    assert column(demo, "SELECT 'placed'::shop.order_status::text") == ["placed"]
    assert "order_totals" in str(column(demo, "SELECT pg_get_viewdef('shop.monthly_sales'::regclass)")[0])


def test_every_year_of_payments_has_its_partition(demo: Connection) -> None:
    rows = "SELECT DISTINCT tableoid::regclass::text FROM shop.payments ORDER BY 1"
    assert column(demo, rows) == [f"payments_{year}" for year in (2023, 2024, 2025, 2026)]


def test_the_account_is_no_superuser_and_needs_no_schema_names(demo: Connection) -> None:
    assert column(demo, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [False]
    assert column(demo, "SELECT name FROM customers WHERE id = 1") == ["Priya Sharma"]
    assert column(demo, "SELECT count(*) > 0 FROM visits") == [True]


async def test_a_recent_database_is_left_alone(loaded: localpg.LocalPostgres, demo: Connection) -> None:
    demo.execute("CREATE TABLE shop.mine ()")
    again = await ensure_loaded(loaded.dsn, TODAY + timedelta(days=6))
    assert (again.made, again.as_of) == (False, TODAY)
    demo.execute("DROP TABLE shop.mine")


async def test_an_old_or_half_made_database_is_made_again(server: localpg.LocalPostgres) -> None:
    await ensure_loaded(server.dsn, TODAY)
    later = await ensure_loaded(server.dsn, TODAY + timedelta(days=7))
    assert (later.made, later.as_of) == (True, TODAY + timedelta(days=7))
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute("COMMENT ON DATABASE demo IS 'pgveil''s demo database, not whole yet'")
    seen: list[tuple[str, int, int]] = []
    made = await ensure_loaded(server.dsn, TODAY, lambda *progress: seen.append(progress))
    assert made.made
    assert seen[0][1] == 0
    assert seen[-1] == ("done", made.rows, made.rows)


async def test_somebody_s_own_database_is_not_touched(tmp_path: Path) -> None:
    server = localpg.start(tmp_path / "pg", durable=False)
    try:
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            admin.execute("CREATE DATABASE demo")
        with pytest.raises(ConfigError, match="which pgveil did not make"):
            await ensure_loaded(server.dsn, TODAY)
        with psycopg.connect(server.dsn_for("demo")) as own:
            assert own.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'shop'").fetchone() == (0,)
    finally:
        server.stop()
