"""Row filters and indexes on a real PostgreSQL: what stands without a fence, and what is copied below one.

The texts are what a masked view comes to, written by hand; the decisions are the program's own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import create_database
from psycopg.rows import dict_row

from proxy import localpg
from proxy.policy import parser
from proxy.policy.catalog import Catalog
from proxy.policy.catalog_read import QUERIES, build_catalog
from proxy.policy.constants import Parameters
from proxy.policy.leakproof import Facts, unfenced
from proxy.policy.pushdown import Target, copies, moved

sys.path.insert(0, str(Path(__file__).parents[1] / "policy"))

from fence_world import CLOSED_CONDITIONS, OPEN_CONDITIONS, TABLE

Connection = psycopg.Connection[tuple[Any, ...]]

DATA = """
CREATE VIEW hr.barrier WITH (security_barrier) AS SELECT * FROM hr.emp WHERE region = 'EU';
CREATE TABLE hr.staff (id int PRIMARY KEY, region text, salary int, ssn text, team int);
INSERT INTO hr.staff SELECT n, CASE WHEN n % 10 = 0 THEN 'EU' ELSE 'US' END,
  CASE WHEN n % 10 = 0 THEN 1000 ELSE 0 END, CASE WHEN n % 10 = 0 THEN n::text ELSE 'secret' END, n % 1000
  FROM generate_series(1, 20000) AS n;
CREATE INDEX ON hr.staff (team);
CREATE TABLE hr.a (id int, x int, y text);
INSERT INTO hr.a VALUES (1, 1, 'p'), (2, 2, 'q'), (3, NULL, 'r'), (4, 2, NULL), (NULL, 1, 'p');
CREATE TABLE hr.b (id int, x int, z text);
INSERT INTO hr.b VALUES (1, 2, 'p'), (2, 2, 'u'), (2, 3, NULL), (5, 1, 'w'), (NULL, 2, 'p');
ANALYZE;
"""

# Dearer than the client's condition below, so that the planner would run that one first.
FILTER = "lower(trim(t.region)) = 'eu'"


@pytest.fixture(scope="module")
def connection(postgres: localpg.LocalPostgres) -> Iterator[Connection]:
    dsn = create_database(postgres, "filter_plans", TABLE, DATA)
    with psycopg.connect(dsn, autocommit=True) as found:
        yield found


@pytest.fixture(scope="module")
def catalog(connection: Connection) -> Catalog:
    with connection.transaction(force_rollback=True), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SET LOCAL search_path = pg_catalog")
        rows = {name: cursor.execute(sql).fetchall() for name, sql in QUERIES.items()}
    return build_catalog(rows, version=1)


def facts(tree: Any, catalog: Catalog) -> Facts:
    return Facts(
        catalog,
        lambda reference: catalog.resolve(reference.schemaname or None, reference.relname, ("hr",)),
        Parameters(tree),
    )


def is_unfenced(sql: str, catalog: Catalog) -> bool:
    tree = parser.parse(sql)
    return unfenced(tree.stmts[0].stmt.select_stmt, facts(tree, catalog))


def copied(sql: str, name: str, table: str, catalog: Catalog) -> list[str]:
    tree = parser.parse(sql)
    target = Target(name, catalog.relations[("hr", table)], frozenset())
    return copies(tree.stmts[0].stmt.select_stmt, [target], facts(tree, catalog)).get(name, [])


def view(table: str, alias: str, *conditions: str, fence: bool) -> str:
    """The masked view of a table whose columns are all plain."""
    where = " AND ".join((FILTER if table == "staff" else "t.x IS NOT NULL", *conditions))
    return f"(SELECT t.* FROM hr.{table} AS t WHERE {where}{' OFFSET 0' if fence else ''}) AS {alias}"


def plan(connection: Connection, sql: str) -> str:
    return "\n".join(row[0] for row in connection.execute(f"EXPLAIN (COSTS OFF) {sql}"))


@pytest.mark.parametrize("condition", OPEN_CONDITIONS)
def test_postgresql_calls_them_leakproof_too(connection: Connection, catalog: Catalog, condition: str) -> None:
    """What runs below a security barrier is what PostgreSQL itself takes for leakproof. It never moves sub-SELECTs, and
    has COALESCE on no list, though that only chooses one of its arguments."""
    assert is_unfenced(f"SELECT * FROM hr.emp WHERE {condition}", catalog)
    if "SELECT" not in condition and "coalesce" not in condition:
        found = plan(connection, f"SELECT * FROM hr.barrier AS emp WHERE {condition}")
        assert "Subquery Scan" not in found


@pytest.mark.parametrize("condition", CLOSED_CONDITIONS)
def test_a_real_catalogue_opens_no_other(catalog: Catalog, condition: str) -> None:
    assert not is_unfenced(f"SELECT * FROM hr.emp WHERE {condition}", catalog)


def test_a_fence_alone_hides_the_index(connection: Connection) -> None:
    found = plan(connection, f"SELECT * FROM {view('staff', 'staff', fence=True)} WHERE id = 42")
    assert "Seq Scan on staff" in found


def test_without_a_fence_the_index_is_used(connection: Connection, catalog: Catalog) -> None:
    assert is_unfenced("SELECT upper(ssn) FROM hr.staff WHERE id = 42", catalog)
    found = plan(connection, f"SELECT upper(ssn) FROM {view('staff', 'staff', fence=False)} WHERE id = 42")
    assert "Index Scan using staff_pkey" in found
    assert "Index Cond: (id = 42)" in found


def test_a_join_without_a_fence_uses_the_index(connection: Connection, catalog: Catalog) -> None:
    text = "SELECT count(*) FROM hr.b JOIN {} ON s.team = b.x WHERE b.id = 5"
    assert is_unfenced(text.format("hr.staff AS s"), catalog)
    found = plan(connection, text.format(view("staff", "s", fence=False)))
    assert "staff_team_idx" in found


def test_a_copy_below_the_fence_uses_the_index(connection: Connection, catalog: Catalog) -> None:
    sql = "SELECT * FROM hr.staff WHERE id = 40 AND 1 / (salary - 100) >= 0"
    assert not is_unfenced(sql, catalog)
    below = copied(sql, "staff", "staff", catalog)
    assert below == ["(t.id = 40)"]
    text = f"SELECT id FROM {view('staff', 'staff', *below, fence=True)} WHERE id = 40 AND 1 / (salary - 100) >= 0"
    assert "Index Cond: (id = 40)" in plan(connection, text)
    assert connection.execute(text).fetchall() == [(40,)]


@pytest.mark.parametrize("condition", ["1 / salary >= 0", "ssn::int > 0", "1 / salary >= 0 AND ssn::int > 0"])
def test_a_malicious_condition_never_meets_a_hidden_row(
    connection: Connection, catalog: Catalog, condition: str
) -> None:
    """Every hidden row would make it fail: without the fence the first of them does."""
    sql = f"SELECT count(*) FROM hr.staff AS s WHERE {condition}"
    assert not is_unfenced(sql, catalog)
    assert copied(sql, "s", "staff", catalog) == []
    with pytest.raises(psycopg.DataError):
        connection.execute(f"SELECT count(*) FROM {view('staff', 's', fence=False)} WHERE {condition}")
    fenced = f"SELECT count(*) FROM {view('staff', 's', fence=True)} WHERE {condition}"
    assert connection.execute(fenced).fetchone() == (2000,)


def test_a_copy_does_not_let_it_meet_one_either(connection: Connection, catalog: Catalog) -> None:
    """Row 7 is hidden, and would fail."""
    sql = "SELECT count(*) FROM hr.staff WHERE id = 7 AND 1 / salary >= 0"
    below = copied(sql, "staff", "staff", catalog)
    text = f"SELECT count(*) FROM {view('staff', 'staff', *below, fence=True)} WHERE id = 7 AND 1 / salary >= 0"
    assert connection.execute(text).fetchone() == (0,)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 / salary, ssn::int FROM {} WHERE id < 100",
        "SELECT sum(1 / salary) FROM {} GROUP BY ssn::int HAVING sum(1 / salary) >= 0 ORDER BY ssn::int",
        "SELECT DISTINCT ON (ssn::int) 1 / salary FROM {} ORDER BY ssn::int, 1 / salary",
        "SELECT * FROM (SELECT id, 1 / salary AS x FROM {}) AS q WHERE id < 100",
        "WITH q AS (SELECT id, ssn::int AS x FROM {}) SELECT x FROM q WHERE id < 100 ORDER BY x LIMIT 3",
        "SELECT b.id, q.x FROM hr.b LEFT JOIN (SELECT team, 1 / salary AS x FROM {}) AS q ON q.team = b.x",
        "SELECT b.id, q.x FROM hr.b FULL JOIN (SELECT id, 1 / salary AS x FROM {}) AS q USING (id)",
        "SELECT s.id, g FROM {}, generate_series(1, 3, s.salary) AS g WHERE s.team < 9",
        "SELECT s.id, q.y FROM {}, LATERAL (SELECT 1 / s.salary AS y FROM hr.b WHERE b.id = s.team) AS q",
        "SELECT sum(1 / salary) OVER (PARTITION BY ssn::int % 7) FROM {} WHERE team = 5",
        "SELECT (SELECT max(b.x / s.salary) FROM hr.b WHERE b.id = s.team) FROM {}",
        "SELECT ssn::int FROM {} WHERE team = 3 UNION SELECT 1 / salary FROM {} WHERE id < 9",
        "SELECT count(*) FROM hr.b WHERE b.x IN (SELECT s.team FROM {} WHERE s.id < 500)",
    ],
)
@pytest.mark.parametrize("settings", ["", "SET LOCAL enable_hashjoin = off", "SET LOCAL enable_seqscan = off"])
def test_what_runs_above_the_scan_never_meets_a_hidden_row(
    connection: Connection, catalog: Catalog, text: str, settings: str
) -> None:
    """Each would fail on a hidden row, stands without a fence, and gives what it gives with one."""
    assert is_unfenced(text.replace("{}", "hr.staff AS s"), catalog)
    answers = []
    with connection.transaction(force_rollback=True):
        connection.execute(settings or "SELECT")
        for fence in (True, False):
            sql = text.replace("{}", view("staff", "s", fence=fence))
            answers.append(sorted(map(repr, connection.execute(sql).fetchall())))
    assert answers[0] == answers[1]


JOINS = (
    "{a} JOIN {b} ON a.x = b.x",
    "{a} LEFT JOIN {b} ON a.x = b.x",
    "{a} RIGHT JOIN {b} ON a.x = b.x",
    "{a} FULL JOIN {b} ON a.x = b.x",
    "{a} LEFT JOIN ({b} JOIN (SELECT x AS cx FROM hr.a) AS c ON cx = b.id) ON a.id = b.id",
    "{a}, LATERAL (SELECT count(*) AS n FROM hr.b AS l WHERE l.x = a.x) AS l, {b}",
    "{a} NATURAL LEFT JOIN {b}",
    "{b} LEFT JOIN {a} USING (x)",
)
WHERES = (
    "a.x = 2",
    "b.x = 2 AND y = 'p'",
    "b.id <> 1",
    "z = 'p' AND b.id IS NULL",
    "a.id BETWEEN 1 AND 3 AND (b.id IS NULL OR b.id = 2)",
    "b.x IN (2, 3) AND a.id < ANY ('{2,4}')",
    "y > 'p' AND coalesce(z, 'u') = 'u'",
    "a.id = NULL",
    "NOT a.x = 2 AND b.id NOT IN (5, 6)",
)


@pytest.mark.parametrize(("join", "where"), list(product(JOINS, WHERES)))
def test_a_copy_changes_no_answer(connection: Connection, catalog: Catalog, join: str, where: str) -> None:
    select = "SELECT a.*, b.* FROM {} WHERE {} ORDER BY 1, 2, 3, 4, 5, 6"
    client = select.format(join.format(a="hr.a AS a", b="hr.b AS b"), where)
    below = {name: copied(client, name, name, catalog) for name in ("a", "b")}
    answers = [
        connection.execute(
            select.format(
                join.format(**{n: view(n, n, *(below[n] if is_copied else []), fence=True) for n in ("a", "b")}), where
            )
        ).fetchall()
        for is_copied in (False, True)
    ]
    assert answers[0] == answers[1]


def test_a_moved_condition_finds_the_row_behind_the_mask(connection: Connection, catalog: Catalog) -> None:
    tree = parser.parse("SELECT id, ssn FROM hr.staff AS s WHERE ssn = '40' AND id > 3")
    target = Target("s", catalog.relations[("hr", "staff")], frozenset({"ssn"}), frozenset({"ssn"}))
    inside = moved(tree.stmts[0].stmt.select_stmt, [target], facts(tree, catalog))["s"]
    assert inside.columns == {"ssn"}
    assert parser.deparse(tree) == "SELECT id, ssn FROM hr.staff s WHERE id > 3"
    masked = f"(SELECT t.id, '***'::text AS ssn FROM hr.staff AS t WHERE {FILTER} AND {inside.text}) AS s"
    assert connection.execute(f"SELECT id, ssn FROM {masked} WHERE id > 3").fetchall() == [(40, "***")]
