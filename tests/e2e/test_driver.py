"""The proxy's own connections: asyncpg over what sessions have."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import asyncpg
import psycopg
import pytest
import uvloop
from conftest import create_database
from probes import TABLES
from scripted_upstream import dead_port, listening, on_uvloop, refusing

from proxy import driver, localpg
from proxy.errors import InternalError, UpstreamUnavailableError


@pytest.fixture(scope="module")
def dsn(postgres: localpg.LocalPostgres) -> str:
    return create_database(postgres, "driver", TABLES)


@on_uvloop
class TestConnect:
    async def test_statements_and_settings(self, dsn: str) -> None:
        connection = await driver.connect(dsn, server_settings={"application_name": "own", "work_mem": "1MB"})
        assert await connection.fetchval("SELECT name FROM people WHERE id = $1", 3) == "person 3"
        assert await connection.fetchval("SHOW work_mem") == "1MB"
        assert await connection.fetchval("SHOW application_name") == "own"
        assert await connection.fetchval("SHOW client_encoding") == "UTF8"
        await connection.close()

    async def test_more_than_fits_into_a_buffer(self, dsn: str) -> None:
        connection = await driver.connect(dsn)
        sent = "x" * 3_000_000
        assert await connection.fetchval("SELECT $1::text", sent) == sent
        assert len(await connection.fetch("SELECT g, repeat('y', 500) FROM generate_series(1, 20000) AS g")) == 20000
        await connection.close()

    async def test_what_takes_too_long_is_cancelled_at_the_server(
        self, dsn: str, postgres: localpg.LocalPostgres
    ) -> None:
        """And the connection is as good as before."""
        connection = await driver.connect(dsn + "&min_protocol_version=3.2")
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT pg_sleep(60)", timeout=0.2)
        assert await connection.fetchval("SELECT 1") == 1
        with psycopg.connect(postgres.dsn) as admin:
            query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND datname = 'driver'"
            assert admin.execute(query).fetchone() == (0,)
        await connection.close()

    async def test_a_connection_that_is_lost(self, dsn: str, postgres: localpg.LocalPostgres) -> None:
        connection = await driver.connect(dsn)
        real = await connection.fetchval("SELECT pg_backend_pid()")
        with psycopg.connect(postgres.dsn, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [real])
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
            await connection.fetchval("SELECT pg_sleep(60)")
        assert connection.is_closed()

    async def test_the_servers_no_is_asyncpgs_error(self) -> None:
        refused = pytest.raises(asyncpg.TooManyConnectionsError)
        with listening(refusing("53300", "sorry, too many clients already")) as server, refused:
            await driver.connect(f"postgresql://app@{server.place}/shop?sslmode=disable")

    async def test_nobody_there_is_our_error(self) -> None:
        with pytest.raises(UpstreamUnavailableError):
            await driver.connect(f"postgresql://app@127.0.0.1:{dead_port()}/shop")

    @pytest.mark.parametrize("change", ["another loop", "another method"])
    async def test_an_asyncpg_that_connects_in_another_way_is_refused_by_name(
        self, change: str, dsn: str, postgres: localpg.LocalPostgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It might find a server of its own, whom nobody has looked at: then that is not used either."""

        async def other(_dsn: None, **options: Any) -> asyncpg.Connection:
            if change == "another loop":
                return await asyncpg.connect(None, **{**options, "loop": None})
            return await asyncpg.connect(postgres.dsn)

        monkeypatch.setattr(driver, "_CONNECT", other)
        with pytest.raises(InternalError, match=f"asyncpg {asyncpg.__version__} does not connect through") as caught:
            await driver.connect(dsn)
        assert "version" in str(caught.value.hint)

    async def test_a_pool(self, dsn: str) -> None:
        pool = await driver.create_pool(dsn, min_size=0, max_size=3)
        found = await asyncio.gather(*(pool.fetchval("SELECT $1::int", n) for n in range(20)))
        assert found == list(range(20))
        await pool.close()


def test_nothing_is_left_open(dsn: str, postgres: localpg.LocalPostgres) -> None:
    async def visit() -> None:
        pool = await driver.create_pool(dsn, min_size=0, max_size=3)
        await pool.fetchval("SELECT 1")
        pool.terminate()

    uvloop.run(visit())
    gc.collect()
    with psycopg.connect(postgres.dsn, autocommit=True) as admin:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'driver'"
        for _ in range(200):
            if admin.execute(query).fetchone() == (0,):
                return
        pytest.fail("a connection is left")
