"""The checked-in function list against real servers, and the built-in rules against their catalogues."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from proxy import localpg
from proxy.policy import system
from proxy.policy.functions import QUERY, BuiltinFunction, admitted, compute

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module", params=[16, 18])
def connection(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    version = int(request.param)
    server = localpg.start(tmp_path_factory.mktemp(f"functions{version}"), version=version, durable=False)
    try:
        with psycopg.connect(server.dsn, autocommit=True) as opened:
            yield opened
    finally:
        server.stop()


def functions_of(connection: Connection) -> list[BuiltinFunction]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return [BuiltinFunction(**{**row, "types": tuple(row["types"])}) for row in cursor.execute(QUERY)]


def test_the_list_is_what_the_servers_say(connection: Connection) -> None:
    functions = functions_of(connection)
    computed = compute(functions)
    names = {function.name for function in functions}
    here = {entry for entry in admitted() if entry.partition("/")[0] in names}
    assert here <= computed, "the server refuses what the list admits: run scripts/builtin_functions.py"
    # A name may be left out only where an older server has a refused overload of it.
    assert len(computed - here) <= 12, sorted(computed - here)


def test_nothing_that_reads_sleeps_sends_or_sets_is_on_it() -> None:
    forbidden = {
        "query_to_xml",
        "table_to_xml",
        "schema_to_xml",
        "database_to_xml",
        "cursor_to_xml",
        "ts_stat",
        "pg_read_file",
        "pg_ls_dir",
        "lo_get",
        "loread",
        "pg_sleep",
        "pg_notify",
        "set_config",
        "nextval",
        "currval",
        "setval",
        "pg_advisory_lock",
        "pg_terminate_backend",
        "pg_stat_get_activity",
        "current_query",
        "dblink",
        "pg_get_functiondef",
        "pg_logical_slot_peek_changes",
    }
    assert forbidden & admitted() == set()


def test_hidden_columns_exist(connection: Connection) -> None:
    """A rule for a column that no server has would protect nothing."""
    found = {
        (schema, table, column)
        for schema, table, column in connection.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
        )
    }
    tables = {(schema, table) for schema, table, _ in found}
    missing = [
        (key, column)
        for key, rule in system.RULES.items()
        for column in rule.hidden
        if key in tables and (*key, column) not in found
    ]
    assert missing == []
    assert len([key for key in system.RULES if key in tables]) > 150
