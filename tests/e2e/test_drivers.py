"""asyncpg, psycopg2 and pg8000 through the proxy, each in what is its own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import asyncpg
import pg8000.dbapi  # type: ignore[import-untyped]
import psycopg2.extensions
import psycopg2.extras
import pytest
from client_kinds import PATIENCE, Pg8000
from office_front import ROLES, SLOW, Office
from office_world import EMPLOYEES, SECRET


@pytest.fixture
async def masked_asyncpg(office: Office) -> AsyncIterator[Any]:
    connection = await office.connect_asyncpg("analyst")
    yield connection
    await connection.close()


# asyncpg.


async def test_asyncpg_describes_what_it_gets(masked_asyncpg: Any) -> None:
    statement = await masked_asyncpg.prepare("SELECT id, ssn, salary, tags FROM hr.emp WHERE id = $1")
    assert [(a.name, a.type.name) for a in statement.get_attributes()] == [
        ("id", "int4"), ("ssn", "text"), ("salary", "numeric"), ("tags", "text[]")
    ]  # fmt: skip
    assert [p.name for p in statement.get_parameters()] == ["int4"]
    assert await statement.fetchrow(4) == (4, "****-**04", None, ["tag 4", "x,y", None])


async def test_asyncpg_enums_arrays_and_records(masked_asyncpg: Any) -> None:
    # Types of the database's own: asyncpg reads the catalogue to know them.
    rows = await masked_asyncpg.fetch("SELECT state, array_agg(id ORDER BY id) FROM shop.orders GROUP BY 1 ORDER BY 1")
    assert [row[0] for row in rows] == ["open", "paid", "sent"]
    assert await masked_asyncpg.fetchval("SELECT (1, ssn) FROM hr.emp WHERE id = 2") == (1, "****-**02")
    assert (
        await masked_asyncpg.fetchval("SELECT count(*) FROM shop.orders WHERE state = ANY($1)", ["open", "sent"]) == 26
    )
    await masked_asyncpg.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str, format="text")
    assert await masked_asyncpg.fetchval("SELECT meta FROM hr.emp WHERE id = 1") == "{}"


async def test_asyncpg_cursors_copies_and_transactions(masked_asyncpg: Any) -> None:
    async with masked_asyncpg.transaction(isolation="serializable", readonly=True):
        seen = [row["ssn"] async for row in masked_asyncpg.cursor("SELECT ssn FROM hr.emp ORDER BY id", prefetch=5)]
    assert seen == [f"****-**{i:02}" for i in range(1, EMPLOYEES + 1)]
    out = io.BytesIO()
    await masked_asyncpg.copy_from_table("emp", schema_name="hr", columns=["id", "ssn"], output=out, format="csv")
    assert out.getvalue().splitlines()[0] == b"1,****-**01"
    out = io.BytesIO()
    await masked_asyncpg.copy_from_query("SELECT email FROM hr.emp WHERE id = $1", 1, output=out)
    assert out.getvalue() == b"z***@***.test\n"
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with masked_asyncpg.transaction():
            await masked_asyncpg.execute("SELECT 1 / 0")
    assert await masked_asyncpg.fetchval("SELECT 1") == 1


async def test_asyncpg_copies_records_in_for_the_bypass_role(office: Office) -> None:
    connection = await office.connect_asyncpg("dba")
    try:
        transaction = connection.transaction()
        await transaction.start()
        done = await connection.copy_records_to_table(
            "diary", schema_name="shop", columns=["line", "amount"], records=[("a", Decimal(1)), ("b", Decimal(2))]
        )
        assert done == "COPY 2"
        await connection.executemany("INSERT INTO shop.diary (line) VALUES ($1)", [("c",), ("d",)])
        assert await connection.fetchval("SELECT count(*) FROM shop.diary") == 4
        await transaction.rollback()
    finally:
        await connection.close()


@pytest.mark.parametrize("role", ROLES)
async def test_a_timeout_of_asyncpg_cancels_at_the_server(role: str, office: Office) -> None:
    connection = await office.connect_asyncpg(role)
    try:
        with pytest.raises(TimeoutError):
            await connection.fetch(SLOW[role], timeout=0.3)
        assert await connection.fetchval("SELECT 1") == 1
    finally:
        await connection.close()


async def test_fifty_sessions_at_once(office: Office) -> None:
    async def session(number: int) -> list[Any]:
        connection = await office.connect_asyncpg(ROLES[number % 2])
        try:
            found = []
            for i in range(1, 6):
                found.append(await connection.fetchval("SELECT ssn FROM hr.emp WHERE id = $1", i))
            return found
        finally:
            await connection.close()

    async with asyncio.timeout(PATIENCE):
        answers = await asyncio.gather(*(session(number) for number in range(50)))
    clear = [f"{SECRET}-000{i}" for i in range(1, 6)]
    veiled = [f"****-**0{i}" for i in range(1, 6)]
    assert answers == [clear, veiled] * 25


async def test_the_pool_of_asyncpg_resets_its_connections(office: Office) -> None:
    place = office.through("analyst")
    pool = await asyncpg.create_pool(
        host=place.host, port=place.port, user=place.user, database=place.database, min_size=1, max_size=2
    )
    async with pool:
        for i in range(1, 6):
            async with pool.acquire() as connection:
                await connection.execute("SET statement_timeout = '20s'")
                assert await connection.fetchval("SELECT ssn FROM hr.emp WHERE id = $1", i) == f"****-**0{i}"
        async with pool.acquire() as connection:
            assert await connection.fetchval("SHOW statement_timeout") == "0"


async def test_reset_of_asyncpg(masked_asyncpg: Any) -> None:
    await masked_asyncpg.execute("SET work_mem = '8MB'")
    await masked_asyncpg.reset()
    assert await masked_asyncpg.fetchval("SHOW work_mem") == "4MB"
    assert await masked_asyncpg.fetchval("SELECT count(*) FROM hr.emp") == EMPLOYEES


# psycopg2.


def test_psycopg2_encodings_and_isolation_levels(office: Office) -> None:
    connection = psycopg2.connect(office.through("analyst").dsn)
    try:
        connection.set_client_encoding("UTF8")
        connection.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=False)
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone() == ("serializable",)
            cursor.execute("SELECT ssn FROM hr.emp WHERE id = %s", (1,))
            assert cursor.fetchone() == ("****-**01",)
        connection.set_session(isolation_level=psycopg2.extensions.ISOLATION_LEVEL_READ_COMMITTED, readonly=False)
        with pytest.raises(psycopg2.Error):
            connection.set_client_encoding("LATIN1")
        connection.rollback()
        connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version_num')::int > 180000 - 1")
            assert cursor.fetchone() == (True,)
        assert connection.get_parameter_status("server_encoding") == "UTF8"
        connection.reset()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
    finally:
        connection.close()


def test_psycopg2_named_cursors_and_extras(office: Office) -> None:
    connection = psycopg2.connect(office.through("analyst").dsn)
    try:
        with connection, connection.cursor("people") as cursor:
            cursor.itersize = 5
            cursor.execute("SELECT ssn FROM hr.emp ORDER BY id")
            assert [row[0] for row in cursor] == [f"****-**{i:02}" for i in range(1, EMPLOYEES + 1)]
        with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute("SELECT meta, tags FROM hr.emp WHERE id = 1")
            assert cursor.fetchone() == {"meta": {}, "tags": ["tag 1", "x,y", None]}
            out = io.StringIO()
            cursor.copy_expert("COPY (SELECT id, ssn FROM hr.emp WHERE id < 3) TO STDOUT", out)
            assert out.getvalue() == "1\t****-**01\n2\t****-**02\n"
            psycopg2.extras.register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]
            psycopg2.extras.register_default_jsonb(connection)
    finally:
        connection.close()


def test_psycopg2_writes_as_the_bypass_role(office: Office) -> None:
    connection = psycopg2.connect(office.through("dba").dsn)
    try:
        with connection.cursor() as cursor:
            psycopg2.extras.execute_values(
                cursor, "INSERT INTO shop.diary (line, amount) VALUES %s", [(f"l{i}", i) for i in range(250)]
            )
            psycopg2.extras.execute_batch(
                cursor, "UPDATE shop.diary SET amount = 0 WHERE line = %s", [("l1",), ("l2",)]
            )
            cursor.copy_expert("COPY shop.diary (line, amount) FROM STDIN", io.StringIO("copied\t5\n"))
            cursor.execute("SELECT count(*), sum(amount) FROM shop.diary")
            assert cursor.fetchone() == (251, Decimal(sum(range(250)) - 3 + 5))
        connection.rollback()
    finally:
        connection.close()


# pg8000.


def test_pg8000_dbapi(office: Office) -> None:
    place = office.through("analyst")
    connection = pg8000.dbapi.Connection(place.user, host=place.host, port=place.port, database=place.database)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT id, ssn, hired, tags FROM hr.emp WHERE id < %s ORDER BY id", (3,))
        assert [column[0] for column in cursor.description] == ["id", "ssn", "hired", "tags"]
        assert list(cursor.fetchall()[0]) == [1, "****-**01", date(2020, 1, 1), ["tag 1", "x,y", None]]
        with pytest.raises(pg8000.dbapi.DatabaseError) as failure:
            cursor.execute("DELETE FROM hr.emp")
        assert failure.value.args[0]["C"] == "42501"
        connection.rollback()
        out = io.BytesIO()
        cursor.execute("COPY (SELECT ssn FROM hr.emp WHERE id = 1) TO STDOUT", stream=out)
        assert out.getvalue() == b"****-**01\n"
        connection.commit()
    finally:
        connection.close()


def test_pg8000_native_prepares(office: Office) -> None:
    client = Pg8000(office.through("analyst"))
    statement = client.connection.prepare("SELECT ssn FROM hr.emp WHERE id = :id")
    assert [statement.run(id=i) for i in (1, 2)] == [[["****-**01"]], [["****-**02"]]]
    statement.close()
    client.close()
