"""Row filters through the proxy: what each role sees, that indexes are used, and that nothing runs on a hidden row."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve, create_database

from proxy import localpg

SCHEMA = """
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, customer int, region text, amount int, note text, email text);
CREATE INDEX ON shop.orders (customer);
INSERT INTO shop.orders
    SELECT i, i % 500, CASE i % 3 WHEN 0 THEN 'EU' WHEN 1 THEN 'US' ELSE 'IN' END, i, 'note ' || i,
           'u' || i || '@x.example'
    FROM generate_series(1, 30000) AS i;
CREATE TABLE shop.customers (id int PRIMARY KEY, name text);
INSERT INTO shop.customers SELECT i, 'name ' || i FROM generate_series(0, 499) AS i;
CREATE TABLE shop.parted (id int, region text, v int) PARTITION BY LIST (region);
CREATE TABLE shop.parted_eu PARTITION OF shop.parted FOR VALUES IN ('EU');
CREATE TABLE shop.parted_us PARTITION OF shop.parted FOR VALUES IN ('US');
INSERT INTO shop.parted VALUES (1, 'EU', 10), (2, 'US', 20), (3, 'US', 30);
CREATE VIEW shop.recent AS SELECT id, region, amount FROM shop.orders WHERE id > 29000;
CREATE TABLE shop.desks (who text, region text);
INSERT INTO shop.desks VALUES ('zoe', 'IN');
CREATE TABLE shop.tickets (id int, region text, body text);
INSERT INTO shop.tickets VALUES (1, 'IN', 'in'), (2, 'EU', 'eu'), (3, 'US', 'us');
ANALYZE;
"""

POLICY = """
version: 1
roles:
  dba: {users: [postgres], bypass: true}
  eu_desk: {users: [eva, both], attributes: {region: EU, floor: 10, regions: [EU, IN]}}
  small: {users: [sam, both], attributes: {most: 100}}
  desk: {users: [zoe]}
defaults:
  statements: [select, explain, prepare, cursor, transaction, show, set, update, delete]
tables:
  - {allow: ["shop.orders", "shop.customers", "shop.recent", "shop.parted*"], roles: [eu_desk, small]}
  - {allow: ["shop.tickets"], roles: [desk, eu_desk], write: [update, delete]}
masks:
  - {columns: [shop.orders.email], mask: email}
rows:
  - {table: shop.orders, roles: [eu_desk], where: "region = {user.region} AND amount >= {user.floor}"}
  - {table: shop.orders, roles: [small], where: "amount <= {user.most}"}
  - {table: shop.parted, roles: [eu_desk], where: "region = ANY({user.regions})"}
  - table: shop.tickets
    roles: [desk]
    where: region IN (SELECT d.region FROM shop.desks AS d WHERE d.who = {user.name})
"""


@pytest.fixture(scope="module")
def proxy(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Pgveil:
    policies: Path = tmp_path_factory.mktemp("filters") / "policy.yaml"
    policies.write_text(POLICY)
    return serve(Configuration(create_database(postgres, "filters", SCHEMA), policies))


def ask(proxy: Pgveil, user: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(proxy.dsn(user, "filters"), autocommit=True) as connection:
        return connection.execute(text.encode()).fetchall()


def plan_of(proxy: Pgveil, user: str, text: str) -> str:
    return "\n".join(str(row[0]) for row in ask(proxy, user, f"EXPLAIN {text}"))


def test_a_role_sees_its_own_rows(proxy: Pgveil) -> None:
    assert ask(proxy, "eva", "SELECT DISTINCT region FROM shop.orders") == [("EU",)]
    assert ask(proxy, "eva", "SELECT min(amount), count(*) FROM shop.orders") == [(12, 9997)]
    assert ask(proxy, "sam", "SELECT count(*) FROM shop.orders") == [(100,)]
    assert ask(proxy, "postgres", "SELECT count(*) FROM shop.orders") == [(30000,)]


def test_the_filters_of_all_roles_hold(proxy: Pgveil) -> None:
    assert ask(proxy, "both", "SELECT count(*), min(amount), max(amount) FROM shop.orders") == [(30, 12, 99)]


def test_a_view_shows_the_rows_that_the_role_sees_below_it(proxy: Pgveil) -> None:
    assert ask(proxy, "eva", "SELECT DISTINCT region FROM shop.recent") == [("EU",)]
    assert ask(proxy, "sam", "SELECT count(*) FROM shop.recent") == [(0,)]


@pytest.mark.parametrize("table", ["shop.parted", "shop.parted_us", "ONLY shop.parted_us"])
def test_partitions_carry_the_filter_of_their_parent(proxy: Pgveil, table: str) -> None:
    assert ask(proxy, "eva", f"SELECT v FROM {table} WHERE region = 'US'") == []


def test_lists_and_names_of_users(proxy: Pgveil) -> None:
    assert ask(proxy, "eva", "SELECT v FROM shop.parted") == [(10,)]
    assert ask(proxy, "zoe", "SELECT body FROM shop.tickets") == [("in",)]
    assert ask(proxy, "eva", "SELECT count(*) FROM shop.tickets") == [(3,)]


def test_without_a_fence_where_all_is_leakproof(proxy: Pgveil) -> None:
    plan = plan_of(proxy, "eva", "SELECT * FROM shop.orders WHERE id = 42")
    assert "Index Scan using orders_pkey" in plan
    assert "Limit" not in plan
    joined = plan_of(
        proxy,
        "eva",
        "SELECT c.name, o.amount FROM shop.orders o JOIN shop.customers c ON c.id = o.customer WHERE c.id = 7",
    )
    assert "orders_customer_idx" in joined
    assert "Limit" not in joined


def test_with_a_fence_the_index_is_used_all_the_same(proxy: Pgveil) -> None:
    plan = plan_of(proxy, "eva", "SELECT * FROM shop.orders WHERE id = 42 AND upper(note) = 'NOTE 42'")
    # What stands above the subquery is the client's; below it the index, and the filter.
    above, _, below = plan.partition("orders_pkey")
    assert "upper(" in above
    assert "id = 42" in below
    assert "region" in below
    assert ask(proxy, "eva", "SELECT id FROM shop.orders WHERE id = 42 AND upper(note) = 'NOTE 42'") == [(42,)]


@pytest.mark.parametrize(
    "condition",
    [
        "1 / (o.amount - 1) > 0",
        "o.id = 1 AND o.note::int > 0",
        "CASE WHEN o.region <> 'EU' THEN 1 / (o.amount - o.id) ELSE 1 END = 1",
        "(SELECT 1 / (o.amount - 1)) > 0",
        "o.id = 42 AND 1 / (o.amount - 1) > 0",
        "o.id = 1 AND 1 / (o.amount - 1) > 0",
        "o.amount IN (SELECT 1 / (o.amount - 1))",
    ],
)
def test_no_condition_of_the_client_runs_on_a_hidden_row(proxy: Pgveil, condition: str) -> None:
    """Row 1 is of the US: dividing by its amount less one would fail, and so would a note as a number."""
    ask(proxy, "eva", f"SELECT count(*) FROM shop.orders o WHERE {condition}")
    ask(proxy, "eva", f"SELECT count(*) FROM shop.customers c LEFT JOIN shop.orders o ON {condition}")


def test_a_predicate_never_runs_first_whatever_it_costs(proxy: Pgveil) -> None:
    for text in (
        "SELECT sum(1 / (amount - 1)) FROM shop.orders",
        "SELECT count(*) FROM (SELECT id, 1 / (amount - 1) AS x FROM shop.orders) s WHERE x = 0",
        "SELECT DISTINCT ON (1 / (amount - 1)) id FROM shop.orders LIMIT 1",
        "SELECT id FROM shop.orders ORDER BY 1 / (amount - 1) LIMIT 1",
        "SELECT count(*) FILTER (WHERE 1 / (amount - 1) = 0) FROM shop.orders",
    ):
        ask(proxy, "eva", text)


def test_writes_reach_the_rows_that_are_seen(proxy: Pgveil) -> None:
    with psycopg.connect(proxy.dsn("zoe", "filters")) as connection:
        changed = connection.execute(
            "UPDATE shop.tickets SET body = 'x' WHERE 1 / (id - 2) <> 9 RETURNING id"
        ).fetchall()
        gone = connection.execute("DELETE FROM shop.tickets WHERE id > 0").rowcount
        connection.rollback()
    assert (changed, gone) == ([(1,)], 1)
