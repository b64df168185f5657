"""Which statements may stand without a fence around their row filters."""

from __future__ import annotations

import pytest
from fence_world import CLOSED_CONDITIONS, LEAKPROOF, OPEN_CONDITIONS, catalog, facts, parse

from proxy.policy.catalog import Catalog
from proxy.policy.catalog_leakproof import Leakproof
from proxy.policy.leakproof import stays_at_scan, unfenced


def is_unfenced(sql: str, types: tuple[int, ...] = (), known: Catalog | None = None) -> bool:
    tree, select = parse(sql)
    return unfenced(select, facts(tree, types, known))


@pytest.mark.parametrize("condition", OPEN_CONDITIONS)
def test_a_leakproof_condition_needs_no_fence(condition: str) -> None:
    assert is_unfenced(f"SELECT * FROM hr.emp WHERE {condition}")
    assert is_unfenced(f"SELECT one FROM hr.emp LEFT JOIN (SELECT 1 AS one) AS o ON {condition}")


@pytest.mark.parametrize("condition", CLOSED_CONDITIONS)
def test_any_other_condition_does(condition: str) -> None:
    assert not is_unfenced(f"SELECT * FROM hr.emp WHERE {condition}")
    assert not is_unfenced(f"SELECT * FROM hr.emp WHERE id = 1 AND ({condition})")
    assert not is_unfenced(f"SELECT count(*) FROM hr.dept LEFT JOIN hr.emp ON {condition}")
    assert not is_unfenced(f"SELECT * FROM (SELECT * FROM hr.emp WHERE {condition}) AS s")
    assert not is_unfenced(f"WITH s AS (SELECT * FROM hr.emp) SELECT (SELECT 1 FROM s AS emp WHERE {condition})")
    assert not is_unfenced(f"SELECT id FROM hr.dept UNION ALL SELECT id FROM hr.emp WHERE {condition}")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT upper(name), salary / 0, random() FROM hr.emp WHERE id = 42",
        "SELECT region, sum(salary) FROM hr.emp GROUP BY region HAVING avg(salary) > 5 / 2 ORDER BY 2 LIMIT $1",
        "SELECT date_trunc('month', seen), count(*) FROM hr.emp WHERE active GROUP BY 1 ORDER BY 1",
        "SELECT *, row_number() OVER (PARTITION BY lower(region) ORDER BY salary / 2) FROM hr.emp",
        "SELECT e.name, d.title FROM hr.emp e LEFT JOIN hr.dept d ON d.emp_id = e.id WHERE d.id = 3",
        "SELECT title FROM hr.emp JOIN hr.dept USING (id)",
        "SELECT title FROM hr.emp NATURAL JOIN hr.dept WHERE id = 3",
        "SELECT * FROM (SELECT * FROM hr.emp) AS t WHERE t.id = 42",
        "SELECT n FROM (SELECT id, upper(name) AS n FROM hr.emp) AS t(k, n) WHERE k = 42",
        "WITH e AS (SELECT id, salary * 2 AS s FROM hr.emp) SELECT s FROM e WHERE id = 42",
        "WITH RECURSIVE r(i, u) AS (SELECT id, boss FROM emp UNION SELECT id, boss FROM emp JOIN r ON id = u) TABLE r",
        "SELECT * FROM (SELECT id FROM hr.emp UNION ALL SELECT id FROM hr.dept) u WHERE id = 3",
        "SELECT e.id, x.title FROM hr.emp e, LATERAL (SELECT title FROM hr.dept d WHERE d.emp_id = e.id LIMIT 1) x",
        "SELECT e.id, g FROM hr.emp e, generate_series(1, e.id) AS g WHERE e.id = 4",
        "SELECT (SELECT string_agg(upper(title), ',') FROM hr.dept d WHERE d.emp_id = e.id) FROM hr.emp e",
        "SELECT DISTINCT ON (lower(name)) * FROM hr.emp WHERE id = 1 ORDER BY lower(name), salary / 3",
        "SELECT title FROM (hr.emp e JOIN hr.dept d ON d.emp_id = e.id) AS j WHERE boss = 3",
        "EXPLAIN SELECT * FROM hr.emp WHERE id = 42",
    ],
)
def test_what_runs_above_every_scan_is_free(sql: str) -> None:
    assert is_unfenced(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM (SELECT 1 / (id - 100) AS x FROM hr.emp) s WHERE x > 0",
        "WITH s AS (SELECT name::int AS x FROM hr.emp) SELECT * FROM s WHERE x IS NULL",
        "SELECT * FROM (SELECT salary AS id FROM hr.emp) s WHERE id = 1",
        "SELECT * FROM hr.emp GROUP BY id HAVING 1 / (id - 100) > 0",
        "SELECT region FROM hr.emp GROUP BY region HAVING sum(name) > 5",  # a user's function has that name
        "SELECT id FROM hr.emp GROUP BY id HAVING count(*) > 1 AND 1 / (id - 100) > 0",
        "SELECT id FROM hr.emp GROUP BY id HAVING NOT (count(*) > 1 OR 1 / (id - 100) > 0)",
        "SELECT id FROM hr.emp GROUP BY id HAVING CASE WHEN true THEN 1 / (id - 100) ELSE sum(id) END > 0",
        "SELECT (SELECT 1 FROM dept d GROUP BY d.id HAVING max(e.id) > 1 / (d.id - 100)) FROM emp e GROUP BY e.id",
        "SELECT (SELECT 1 FROM hr.dept WHERE 1 / (id - 100) > 0)",
        "SELECT 1 IN (SELECT 1 FROM hr.dept WHERE 1 / (id - 100) > 0)",
        "SELECT (SELECT true FROM hr.dept WHERE 1 / (id - 100) > 0) IN (SELECT true)",
        "SELECT JSON_ARRAY(SELECT id FROM hr.dept WHERE 1 / (id - 100) > 0)",
        "SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM hr.dept d WHERE 1 / d.id > 0)) FROM hr.emp",
        "SELECT * FROM hr.emp ORDER BY (SELECT 1 FROM hr.dept WHERE 1 / (id - 100) > 0)",
        "SELECT * FROM hr.emp e, LATERAL (SELECT 1 FROM hr.dept d WHERE 1 / (e.id - 100) > 0) x",
        "SELECT * FROM hr.emp e, LATERAL (SELECT 1 / (e.id - 100) AS y FROM hr.dept) x WHERE y > 0",
        "SELECT * FROM hr.emp a JOIN hr.emp b USING (salary)",
        "SELECT * FROM hr.emp a NATURAL JOIN (SELECT salary FROM hr.emp) b",
        "SELECT * FROM hr.emp, mine(id) AS f WHERE id = 1",
        "SELECT * FROM hr.emp, generate_series(1, 3) AS g(x) WHERE x = 1",
        "SELECT * FROM hr.emp TABLESAMPLE bernoulli (10)",
        "SELECT * FROM hr.v WHERE id = 1",
        "SELECT * FROM nothing WHERE id = 1",
        "SELECT * FROM (SELECT id FROM hr.emp UNION ALL SELECT salary FROM hr.emp) u WHERE id = 3",
        "SELECT * FROM (VALUES (1), (2)) v(x) WHERE x = 1",
        "WITH d AS (DELETE FROM hr.emp RETURNING id) SELECT * FROM d",
        'SELECT * FROM (SELECT name COLLATE "C" AS a, name COLLATE "POSIX" AS b FROM hr.emp) s WHERE a < b',
        "SELECT 1 FROM hr.emp, LATERAL (SELECT nothing = 1 FROM generate_series(1, 2) id) x WHERE emp.nothing = 2",
        "SELECT * FROM (SELECT 1 AS ctid) o WHERE EXISTS (SELECT 1 FROM hr.emp WHERE ctid = 1)",
    ],
)
def test_conditions_are_found_wherever_they_hide(sql: str) -> None:
    assert not is_unfenced(sql)


@pytest.mark.parametrize(
    ("sql", "types", "expected"),
    [
        ("SELECT * FROM hr.emp WHERE id = $1", (), True),
        ("SELECT * FROM hr.emp WHERE id = $1", (0,), True),
        ("SELECT * FROM hr.emp WHERE id = $1", (23,), True),
        ("SELECT * FROM hr.emp WHERE id = $1", (20,), True),
        ("SELECT * FROM hr.emp WHERE id = $1", (1700,), False),
        ("SELECT * FROM hr.emp WHERE code = $1", (1043,), True),
        ("SELECT * FROM hr.emp WHERE rate = $1", (1700,), False),
        ("SELECT * FROM hr.emp WHERE id = $1::int", (), True),
        ("SELECT * FROM hr.emp WHERE id = $1::int", (25,), False),
        ("SELECT * FROM hr.emp WHERE id = ANY ($1)", (), True),
        ("SELECT * FROM hr.emp WHERE id = ANY ($1)", (1007,), True),
        ("SELECT * FROM hr.emp WHERE id = ANY ($1)", (1231,), False),
        ("SELECT * FROM hr.emp WHERE id = 1 / $1", (23,), False),
        # An undeclared parameter takes its type where it is met first.
        ("SELECT $1::numeric FROM hr.emp WHERE id = $1", (), False),
        ("PREPARE p (numeric) AS SELECT * FROM hr.emp WHERE id = $1", (), False),
        ("PREPARE p (int) AS SELECT * FROM hr.emp WHERE id = $1", (), True),
        ("PREPARE p (hr.mood) AS SELECT * FROM hr.emp WHERE id = $1", (), False),
    ],
)
def test_parameters(sql: str, types: tuple[int, ...], *, expected: bool) -> None:
    assert is_unfenced(sql, types) is expected


def test_a_users_operator_on_built_in_types_leaves_a_doubt() -> None:
    overloaded = catalog(Leakproof(LEAKPROOF.operators, LEAKPROOF.functions, overloaded=frozenset({"="})))
    assert not is_unfenced("SELECT * FROM hr.emp WHERE id = 1", known=overloaded)
    assert is_unfenced("SELECT * FROM hr.emp WHERE id < 1", known=overloaded)
    converted = catalog(Leakproof(LEAKPROOF.operators, LEAKPROOF.functions, converted=frozenset({1043})))
    assert not is_unfenced("SELECT * FROM hr.emp WHERE code = 'x'", known=converted)
    assert is_unfenced("SELECT * FROM hr.emp WHERE id = 1", known=converted)


def test_columns_that_are_computed_when_read() -> None:
    sql = "SELECT * FROM hr.computed WHERE twice = 1"
    assert not is_unfenced(sql)
    assert is_unfenced(sql, known=catalog(version=170000))
    assert is_unfenced("SELECT twice FROM hr.computed WHERE id = 1")


def test_a_server_of_the_future_is_not_known() -> None:
    assert not is_unfenced("SELECT * FROM hr.emp WHERE id = 1", known=catalog(version=190000))


def test_nested_conditions_are_judged_once() -> None:
    """Ten levels would keep everybody waiting if each took its parts several times."""
    condition = "id"
    for _ in range(10):
        condition = f"CASE WHEN 1 BETWEEN 0 AND {condition} THEN 1 END"
    assert is_unfenced(f"SELECT * FROM hr.emp WHERE {condition} = 1")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("t.region = 'EU'", True),
        ("t.region IN ('EU', 'US') AND t.id > 3", True),
        ("t.region IN (SELECT region FROM hr.grants)", False),
        ("EXISTS (SELECT 1)", False),
        ("t.region = (", False),
    ],
)
def test_filters_that_stay_at_the_scan(condition: str, *, expected: bool) -> None:
    assert stays_at_scan(condition) is expected
