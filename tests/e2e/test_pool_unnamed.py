"""The unnamed prepared statement on shared connections: it is its client's until the client's next one, or its next
simple query, whatever the proxy asks the server meanwhile (as psql's \\gdesc uses it, and PQprepare with no name)."""

from __future__ import annotations

import psycopg
import pytest
from conftest import Serve, create_database
from pool_world import DATABASE, TABLES, Shared, open_shared
from psycopg import pq

from proxy import localpg


@pytest.fixture(scope="module")
def shared(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return open_shared(serve, create_database(postgres, DATABASE, TABLES), tmp_path_factory.mktemp("unnamed"))


def value(result: pq.abc.PGresult) -> bytes | None:
    assert result.status == pq.ExecStatus.TUPLES_OK, result.error_message
    return result.get_value(0, 0)


@pytest.mark.parametrize(
    "leaves", [b"SELECT 1", b"SET work_mem = '5MB'", b"CREATE TEMP TABLE mine (id int)", b"PREPARE p AS SELECT 1"]
)
def test_it_outlives_questions_of_the_proxys_own(shared: Shared, leaves: bytes) -> None:
    with shared.connect() as connection:
        raw = connection.pgconn
        raw.exec_(leaves)
        assert raw.prepare(b"", b"SELECT 'seven'").status == pq.ExecStatus.COMMAND_OK
        assert raw.describe_prepared(b"").fname(0) == b"?column?"
        assert [value(raw.exec_prepared(b"", [])) for _ in range(2)] == [b"seven"] * 2


def test_it_outlives_what_itself_leaves(shared: Shared) -> None:
    with shared.connect() as connection:
        raw = connection.pgconn
        raw.prepare(b"", b"SELECT set_config('work_mem', '6MB', false)")
        assert [value(raw.exec_prepared(b"", [])) for _ in range(3)] == [b"6MB"] * 3


def test_it_outlives_the_turn_of_another_client(shared: Shared) -> None:
    with shared.connect() as connection, shared.connect() as other:
        connection.execute("SET work_mem = '7MB'")
        raw = connection.pgconn
        raw.prepare(b"", b"SELECT current_setting('work_mem')")
        assert other.execute("SELECT current_setting('work_mem')").fetchone() != ("7MB",)
        assert value(raw.exec_prepared(b"", [])) == b"7MB"


def test_a_simple_query_of_the_clients_own_ends_it(shared: Shared) -> None:
    with shared.connect() as connection:
        raw = connection.pgconn
        raw.prepare(b"", b"SELECT 'seven'")
        raw.exec_(b"SELECT 1")
        assert raw.exec_prepared(b"", []).error_field(pq.DiagnosticField.SQLSTATE) == b"26000"
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            connection.execute("EXECUTE nothing")
