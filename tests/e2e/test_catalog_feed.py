"""What makes a new snapshot of the catalogue, and what does not."""

from __future__ import annotations

import psycopg
from conftest import create_database

from proxy import localpg
from proxy.feed import Feed


async def test_temporary_tables_make_no_new_snapshot(postgres: localpg.LocalPostgres) -> None:
    dsn = create_database(postgres, "feed", "CREATE TABLE stays (id int)")
    async with Feed(dsn) as feed:
        first = feed.catalog
        with psycopg.connect(dsn, autocommit=True) as session:
            session.execute("CREATE TEMP TABLE mine (id serial PRIMARY KEY, word text CHECK (word <> ''))")
            assert not await feed.refresh(force=True)
            assert feed.catalog is first
            session.execute("CREATE TABLE other (id int)")
            assert await feed.refresh(force=True)
            assert feed.catalog.version == first.version + 1
            assert ("public", "other") in feed.catalog.relations
