"""Statements that differ from others in numbers only, as an application sends them, through the proxy: what is sent for
them, what is told of their errors, and when they are decided on again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, serving
from office_world import write_policy
from probes import DATABASE, POLICY, eventually, metric, sample
from raw_client import RawClient

LOADED = 'pgveil_policy_loads_total{outcome="ok"}'
DECIDED = "pgveil_plan_seconds_count"


@pytest.fixture
def client(plain: Pgveil) -> Iterator[RawClient]:
    with RawClient(plain.host, plain.port, "analyst", DATABASE) as found:
        yield found


def test_each_number_gets_its_own_row(client: RawClient) -> None:
    for number in (1, 2, 3, 4, 5, 4, 99, 1):
        rows = client.simple(f"SELECT id, code FROM people WHERE id = {number} AND 7 > 0").data
        digits = str(number).encode()
        row = b"\0\x02" + len(digits).to_bytes(4, "big") + digits + b"\0\0\0\x06hidden"
        assert rows == ([row] if number <= 5 else [])


def test_an_error_stands_where_it_stands_in_the_clients_text(client: RawClient) -> None:
    """A masked view was put in before it, and numbers of other lengths stand before and behind it."""
    for number in (5, 17, 123456, 3, 999999999):
        sql = f"SELECT p.code FROM people p WHERE p.id = {number} AND p.id + {number} = p.name AND {number} > 1"
        found = client.simple(sql).error
        assert (found["C"], int(found["P"])) == ("42883", sql.index("= p.name") + 1)


def test_a_question_is_one_however_often_it_was_asked(client: RawClient) -> None:
    for number in range(4):
        found = client.simple(f"SELECT * FROM ask('what is {number} of nothing?') WHERE {number} = {number}")
        assert found.error["C"].startswith("VA"), number


def test_it_is_counted_as_a_statement(plain: Pgveil, client: RawClient) -> None:
    before = metric(plain, DECIDED)
    for number in range(50):
        client.simple(f"SELECT name FROM people WHERE id = {number} OR id = 1")
    eventually(lambda: metric(plain, DECIDED) >= before + 50, "they are counted")


def test_another_policy_holds_for_the_next_number(plain_dsn: str, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY)
    with (
        serving(Configuration(upstream=plain_dsn, policies=policies), tmp_path) as proxy,
        RawClient(proxy.host, proxy.port, "analyst", DATABASE) as session,
    ):
        seen = [session.simple(f"SELECT code FROM people WHERE id = {n}").data[0][6:] for n in range(1, 5)]
        assert seen == [b"hidden"] * 4
        loaded = sample(proxy, LOADED)
        (policies / "office.yaml").write_text(POLICY.replace("hidden", "veiled"))
        eventually(lambda: sample(proxy, LOADED) > loaded, "it is loaded")
        assert session.simple("SELECT code FROM people WHERE id = 5").data[0][6:] == b"veiled"


def test_the_search_path_and_temporary_tables_make_it_another_statement(plain_dsn: str, tmp_path: Path) -> None:
    granting = POLICY.replace("defaults: {tables: deny}", "defaults: {tables: deny, statements: [select, set, temp]}")
    configuration = Configuration(upstream=plain_dsn, policies=write_policy(tmp_path, granting))
    with (
        serving(configuration, tmp_path) as proxy,
        psycopg.connect(proxy.dsn("analyst", DATABASE), autocommit=True) as session,
    ):

        def look(number: int) -> object:
            return session.execute(f"SELECT count(*) FROM people WHERE id = {number}".encode()).fetchone()

        assert [look(number) for number in (1, 2, 3)] == [(1,)] * 3
        session.execute("CREATE TEMP TABLE people AS SELECT 9 AS id")
        assert [look(number) for number in (4, 9)] == [(0,), (1,)]
        session.execute("DROP TABLE pg_temp.people")
        assert look(5) == (1,)
        session.execute("SET search_path TO pg_catalog")
        with pytest.raises(psycopg.errors.UndefinedTable):
            look(1)
