"""The pool's limits: waiting, ages, idle clients, servers that go away, and masked roles."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
import sqlalchemy
from conftest import Serve, create_database
from pool_world import DATABASE, SYNC, TABLES, Shared, bind, execute, kinds, open_shared, parse, query, run
from probes import eventually, metric, sample

from proxy import localpg


@pytest.fixture(scope="module")
def pooled_dsn(postgres: localpg.LocalPostgres) -> str:
    return create_database(postgres, DATABASE, TABLES)


@pytest.fixture(scope="module")
def shared(pooled_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return open_shared(serve, pooled_dsn, tmp_path_factory.mktemp("shared"), queue_timeout_s=0.5)


def one_value(connection: psycopg.Connection[Any], sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


# Waiting


def test_who_waits_too_long_is_told_and_may_go_on(shared: Shared) -> None:
    with shared.connect() as one, shared.connect() as other:
        one.execute("BEGIN")
        with pytest.raises(psycopg.errors.TooManyConnections, match="became free in time"):
            other.execute("SELECT 1")
        with pytest.raises(psycopg.errors.TooManyConnections, match="became free in time"):
            other.execute("SELECT %s", (1,), prepare=True)
        assert other.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        one.execute("COMMIT")
        assert one_value(other, "SELECT 1") == 1


def test_a_pipeline_that_gets_no_connection_fails_up_to_its_sync(shared: Shared) -> None:
    with shared.connect() as one, shared.raw() as other:
        one.execute("BEGIN")
        other.socket.sendall(parse("a", "SELECT 1") + bind("a") + execute() + query("SELECT 2") + SYNC)
        first = other.reply()
        assert (kinds(first), first.error["C"]) == (b"EZ", "53300")
        one.execute("COMMIT")
        assert run(other, bind("a"), SYNC).error["C"] == "26000"


def test_a_client_that_leaves_while_it_waits_takes_no_connection(shared: Shared) -> None:
    with shared.connect() as one:
        one.execute("BEGIN")
        with shared.raw() as gone:
            gone.socket.sendall(query("INSERT INTO notes (text) VALUES ('left')"))
            eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 1, "it waits")
        eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 0, "it is gone")
        one.execute("COMMIT")
        assert one_value(one, "SELECT count(*) FROM notes WHERE text = 'left'") == 0


def test_waits_are_measured(shared: Shared) -> None:
    before = sample(shared.proxy, "pgveil_pool_wait_seconds_sum")
    with shared.connect() as one, shared.connect() as other:
        one.execute("BEGIN")
        with pytest.raises(psycopg.errors.TooManyConnections):
            other.execute("SELECT 1")
        one.execute("ROLLBACK")
    assert sample(shared.proxy, "pgveil_pool_wait_seconds_sum") >= before + 0.5


def test_clients_are_counted(pooled_dsn: str, serve: Serve, tmp_path: Path) -> None:
    shared = open_shared(serve, pooled_dsn, tmp_path / "two", max_clients=2)
    with shared.connect(), shared.connect(), pytest.raises(psycopg.OperationalError, match="too many clients"):
        shared.connect()


# Ages


def test_connections_are_replaced_after_their_lifetime(pooled_dsn: str, serve: Serve, tmp_path: Path) -> None:
    shared = open_shared(serve, pooled_dsn, tmp_path / "short", server_lifetime_s=0.5)
    with shared.connect() as one:
        with one.transaction():
            process = one_value(one, "SELECT pg_backend_pid()")
            time.sleep(0.6)
            assert one_value(one, "SELECT pg_backend_pid()") == process
        assert one_value(one, "SELECT pg_backend_pid()") != process


def test_connections_that_nobody_uses_are_closed(pooled_dsn: str, serve: Serve, tmp_path: Path) -> None:
    shared = open_shared(serve, pooled_dsn, tmp_path / "idle", server_idle_s=0.1)
    with shared.connect() as one:
        process = one_value(one, "SELECT pg_backend_pid()")
        eventually(lambda: metric(shared.proxy, "pgveil_pool_idle") == 0, "it is closed")
        assert one_value(one, "SELECT pg_backend_pid()") != process


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_idle_clients_are_sent_away(pooled_dsn: str, serve: Serve, tmp_path: Path, mode: str) -> None:
    shared = open_shared(serve, pooled_dsn, tmp_path / mode, mode=mode, client_idle_s=0.6, idle_transaction_s=0.3)
    with shared.raw() as one:
        assert one.reply().error["C"] == "57P05"
    with shared.raw() as one:
        one.simple("BEGIN")
        assert one.reply().error["C"] == "25P03"
    with shared.connect() as busy:
        assert one_value(busy, "SELECT 1 FROM pg_sleep(1.5)") == 1


# Servers that go away


def test_a_connection_that_died_while_nobody_had_it(shared: Shared) -> None:
    with shared.connect() as one, shared.direct() as direct:
        process = one_value(one, "SELECT pg_backend_pid()")
        direct.execute("SELECT pg_terminate_backend(%s)", (process,))
        eventually(lambda: metric(shared.proxy, "pgveil_pool_idle") == 0, "it is dropped")
        assert one_value(one, "SELECT pg_backend_pid()") != process


def test_a_connection_that_dies_in_a_transaction_ends_the_session(shared: Shared) -> None:
    with shared.direct() as direct:
        one = shared.connect()
        one.execute("BEGIN")
        direct.execute("SELECT pg_terminate_backend(%s)", (one_value(one, "SELECT pg_backend_pid()"),))
        with pytest.raises(psycopg.OperationalError):
            one.execute("SELECT 1")
        one.close()
        with shared.connect() as other:
            assert one_value(other, "SELECT 1") == 1


# Who shares with whom


def test_role_sets_never_share_a_connection(pooled_dsn: str, serve: Serve, tmp_path: Path) -> None:
    shared = open_shared(serve, pooled_dsn, tmp_path / "roles", size=4)
    processes: dict[str, int] = {}
    for user in ("dba", "batch", "analyst", "reader", "postgres"):
        with shared.connect(user) as connection:
            for _ in range(3):
                connection.execute("SELECT 1")
            processes[user] = connection.execute("SELECT pg_backend_pid()").fetchone()[0]  # type: ignore[index]
    assert len({processes[user] for user in ("dba", "batch", "analyst", "reader")}) == 4
    assert processes["postgres"] == processes["dba"]


def test_one_connection_serves_several_role_sets_by_being_replaced(shared: Shared) -> None:
    with shared.connect("dba") as dba, shared.connect("analyst") as analyst, shared.connect("reader") as reader:
        for _ in range(3):
            assert one_value(dba, "SELECT code FROM people WHERE id = 1") == "zq8x-1"
            assert one_value(analyst, "SELECT code FROM people WHERE id = 1") == "hidden"
            assert one_value(reader, "SELECT code FROM people WHERE id = 1") == "zq8x-1"


def test_modes_of_single_roles(pooled_dsn: str, serve: Serve, tmp_path: Path) -> None:
    shared = open_shared(serve, pooled_dsn, tmp_path / "modes", mode="session", roles={"batch": "transaction"})
    with shared.connect("dba") as one, shared.connect("dba") as other:
        one.execute("BEGIN")
        assert one_value(one, "SELECT pg_backend_pid()") != one_value(other, "SELECT pg_backend_pid()")
    with shared.connect("batch") as one, shared.connect("batch") as other:
        assert one_value(one, "SELECT pg_backend_pid()") == one_value(other, "SELECT pg_backend_pid()")


# Masked roles


def test_a_role_that_no_policy_has_is_told(pooled_dsn: str, serve: Serve, tmp_path: Path) -> None:
    roles = {"btach": "transaction", "dba": "transaction"}
    shared = open_shared(serve, pooled_dsn, tmp_path / "roles", mode="session", roles=roles)
    line = next(line for line in shared.proxy.output().splitlines() if "pool.roles names roles" in line)
    assert "btach" in line
    assert "dba" not in line


def test_masked_sessions_find_names_where_they_look(shared: Shared) -> None:
    with shared.connect("analyst") as one, shared.connect("analyst") as other:
        one.execute("SET search_path TO other, public")
        for prepare in (False, True):
            for _ in range(3):
                found = one.execute("SELECT name FROM people WHERE id = 1", prepare=prepare).fetchone()
                assert found == ("somebody else",)
                found = other.execute("SELECT name, code FROM people WHERE id = 1", prepare=prepare).fetchone()
                assert found == ("person 1", "hidden")


def test_masked_sessions_temporary_tables_are_their_own(shared: Shared) -> None:
    one = shared.connect("analyst")
    one.execute("CREATE TEMP TABLE people AS SELECT 7 AS id, 'temporary' AS name")
    assert one.execute("SELECT name FROM people").fetchall() == [("temporary",)]
    with shared.connect("analyst") as other:
        with pytest.raises(psycopg.errors.TooManyConnections):
            other.execute("SELECT 1")
        one.execute("DROP TABLE people")
        assert other.execute("SELECT code FROM people WHERE id = 1").fetchall() == [("hidden",)]
        assert one.execute("SELECT code FROM people WHERE id = 1").fetchall() == [("hidden",)]
    one.close()


def test_refusals_leave_the_connection_in_order(shared: Shared) -> None:
    with shared.connect("analyst") as one, shared.connect("analyst") as other:
        for _ in range(3):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                one.execute("SELECT pg_read_file('x')")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                one.execute("SELECT pg_read_file(%s)", ("x",), prepare=True)
            assert one_value(other, "SELECT code FROM people WHERE id = 1") == "hidden"


# Drivers and their caches of statements


def test_psycopg_prepares_by_itself(shared: Shared) -> None:
    with shared.connect() as one, shared.connect() as other:
        for number in range(20):
            for connection in (one, other):
                row = connection.execute("SELECT %s::int + id FROM people WHERE id = 1", (number,)).fetchone()
                assert row == (number + 1,)
        with one.pipeline():
            cursors = [one.execute("SELECT %s::int", (number,), prepare=True) for number in range(20)]
        assert [cursor.fetchone() for cursor in cursors] == [(number,) for number in range(20)]


def test_psycopg_forgets_statements_when_it_has_too_many(shared: Shared) -> None:
    with shared.connect(prepare_threshold=0) as one:
        one.prepared_max = 3
        for number in range(12):
            assert one_value(one, f"SELECT {number} + 1") == number + 1


def test_asyncpg_with_its_cache_and_its_pool(shared: Shared) -> None:
    async def ask() -> list[int]:
        place = f"postgresql://dba@{shared.proxy.host}:{shared.proxy.port}/{DATABASE}"
        async with asyncpg.create_pool(place, min_size=3, max_size=3, command_timeout=30) as pool:

            async def work(number: int) -> int:
                async with pool.acquire() as connection, connection.transaction():
                    return int(await connection.fetchval("SELECT $1::int + id FROM people WHERE id = 1", number))

            found = [await work(number) for number in range(10)]
            async with pool.acquire() as connection:
                await connection.executemany("INSERT INTO notes (text) VALUES ($1)", [("many",)] * 50)
                statement = await connection.prepare("SELECT count(*) FROM notes WHERE text = $1")
                assert await statement.fetchval("many") == 50
                async with connection.transaction():
                    assert [r["id"] async for r in connection.cursor("SELECT id FROM people ORDER BY id")] == [
                        1,
                        2,
                        3,
                        4,
                        5,
                    ]
            return found

    assert asyncio.run(ask()) == list(range(1, 11))


def test_sqlalchemy_reflects_and_works(shared: Shared) -> None:
    url = f"postgresql+psycopg://dba@{shared.proxy.host}:{shared.proxy.port}/{DATABASE}"
    engine = sqlalchemy.create_engine(url, pool_size=2)
    try:
        table = sqlalchemy.Table("notes", sqlalchemy.MetaData(), autoload_with=engine)
        with engine.begin() as connection:
            made = connection.execute(table.insert().values(text="made").returning(table.c.id)).scalar_one()
        with engine.connect() as connection, engine.connect() as other:
            assert connection.execute(sqlalchemy.select(table.c.text).where(table.c.id == made)).scalar_one() == "made"
            connection.rollback()
            assert other.execute(sqlalchemy.text("SELECT 1")).scalar_one() == 1
    finally:
        engine.dispose()


def test_many_clients_at_once(pooled_dsn: str, serve: Serve, tmp_path: Path) -> None:
    """Each with settings and statements of its own, on three connections."""
    shared = open_shared(serve, pooled_dsn, tmp_path / "many", size=3)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with shared.connect(prepare_threshold=0) as connection:
                connection.execute(f"SET app.number = '{number}'")
                for turn in range(30):
                    with connection.transaction():
                        row = connection.execute(
                            "SELECT current_setting('app.number')::int, %s::int", (number * 1000 + turn,)
                        ).fetchone()
                        assert row == (number, number * 1000 + turn)
                    assert connection.execute(f"SELECT {number}").fetchone() == (number,)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_no_statement_names_is_found_where_the_database_is_always_asked(
    pooled_dsn: str, serve: Serve, tmp_path: Path
) -> None:
    shared = open_shared(serve, pooled_dsn, tmp_path / "always", check="always", queue_timeout_s=0.5)
    with shared.direct() as direct:
        direct.execute(
            "CREATE FUNCTION hidden() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN CREATE TEMP TABLE secretly (a int); RETURN NULL; END $$;"
            "CREATE TABLE watched (a int);"
            "CREATE TRIGGER hidden AFTER INSERT ON watched FOR EACH STATEMENT EXECUTE FUNCTION hidden()"
        )
    with shared.connect() as one, shared.connect() as other:
        for _ in range(3):
            assert one_value(one, "SELECT 1") == one_value(other, "SELECT 1")
        one.execute("INSERT INTO watched VALUES (1)")
        with pytest.raises(psycopg.errors.TooManyConnections):
            other.execute("SELECT 1")
        one.execute("DROP TABLE secretly")
        assert one_value(other, "SELECT 1") == 1
