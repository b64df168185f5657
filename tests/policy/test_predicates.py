"""Columns that may only be shown: what counts as a use."""

from __future__ import annotations

import pytest
from fence_world import catalog, facts, parse

from proxy.policy.catalog import Relation
from proxy.policy.predicates import denied_use

DENIED = {"emp": frozenset({"salary"})}


def used(sql: str) -> str | None:
    tree, select = parse(sql)

    def denied(relation: Relation) -> frozenset[str]:
        return DENIED.get(relation.name, frozenset())

    found = denied_use(select, facts(tree, known=catalog()).relation_of, denied)
    return None if found is None else found.column


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT salary FROM emp WHERE id = 1",
        "SELECT emp.salary AS pay FROM emp ORDER BY id",
        "SELECT * FROM emp ORDER BY id",
        "SELECT * FROM emp ORDER BY 1",
        "SELECT emp.*, title FROM emp JOIN dept ON dept.emp_id = emp.id",
        "SELECT count(*) FROM emp",
        "SELECT id, count(*) FROM emp GROUP BY id HAVING count(*) > 1",
        "SELECT DISTINCT id FROM emp",
        "SELECT * FROM (SELECT * FROM emp) AS s WHERE s.id = 1",
        "WITH s AS (SELECT id, salary AS pay FROM emp) SELECT pay FROM s WHERE id = 1",
        "SELECT salary FROM emp UNION ALL SELECT id FROM dept",
        "SELECT id FROM emp e WHERE EXISTS (SELECT salary FROM emp WHERE id = e.boss)",
        "SELECT salary AS id FROM emp WHERE id = 1",
        "SELECT d.title AS salary FROM dept d ORDER BY salary",
        "SELECT d.salary FROM (SELECT id AS salary FROM dept) d, emp WHERE d.salary = 1",
        "SELECT title FROM emp JOIN dept USING (id)",
        "SELECT salary FROM emp LIMIT 5",
    ],
)
def test_showing_is_no_use(sql: str) -> None:
    assert used(sql) is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM emp WHERE salary = 1",
        "SELECT id FROM emp WHERE hr.emp.salary = 1",
        "SELECT id FROM emp WHERE salary IS NULL",
        "SELECT salary + 1 FROM emp",
        "SELECT salary::text FROM emp",
        "SELECT max(salary) FROM emp",
        "SELECT count(salary) FROM emp",
        "SELECT salary FROM emp ORDER BY salary",
        "SELECT salary AS pay FROM emp ORDER BY pay",
        "SELECT id, salary FROM emp ORDER BY 2 DESC",
        "SELECT salary FROM emp GROUP BY 1",
        "SELECT id FROM emp GROUP BY id, salary",
        "SELECT id FROM emp GROUP BY ROLLUP (salary)",
        "SELECT id FROM emp GROUP BY id HAVING min(salary) > 1",
        "SELECT DISTINCT salary FROM emp",
        "SELECT DISTINCT * FROM emp",
        "SELECT DISTINCT ON (salary) id FROM emp",
        "SELECT row_number() OVER (ORDER BY salary) FROM emp",
        "SELECT row_number() OVER w FROM emp WINDOW w AS (PARTITION BY salary)",
        "SELECT count(*) FILTER (WHERE salary > 1) FROM emp",
        "SELECT emp FROM emp",
        "SELECT to_json(emp) FROM emp",
        "SELECT to_json(emp.*) FROM emp",
        "SELECT ROW(emp.*) FROM emp",
        "SELECT (emp).salary FROM emp",
        "SELECT id FROM emp JOIN dept ON salary = title",
        "SELECT 1 FROM emp a JOIN emp b USING (salary)",
        "SELECT 1 FROM emp a NATURAL JOIN emp b",
        "SELECT pay FROM (SELECT salary AS pay FROM emp) s WHERE pay = 1",
        "SELECT p FROM (SELECT salary FROM emp) s(p) ORDER BY p",
        "SELECT x.a FROM (emp JOIN dept ON true) AS x(a, b, c, d, pay) WHERE pay = 1",
        "WITH s AS (SELECT salary AS pay FROM emp) SELECT 1 FROM s WHERE pay = 1",
        "WITH s(p) AS (SELECT salary FROM emp) SELECT 1 FROM s WHERE p = 1",
        "WITH RECURSIVE s AS (SELECT salary AS p FROM emp UNION ALL SELECT p FROM s) SELECT 1 FROM s WHERE p = 1",
        "SELECT salary FROM emp UNION SELECT id FROM dept",
        "SELECT id FROM dept EXCEPT SELECT salary FROM emp",
        "SELECT id FROM dept UNION ALL SELECT salary FROM emp ORDER BY 1",
        "SELECT * FROM (SELECT id FROM dept UNION ALL SELECT salary FROM emp) u WHERE id = 1",
        "SELECT (SELECT salary FROM emp WHERE id = 1)",
        "SELECT id IN (SELECT salary FROM emp) FROM dept",
        "SELECT (SELECT 1 WHERE e.salary = 1) FROM emp e",
        "SELECT 1 IN (SELECT 1 FROM emp WHERE salary = 1)",
        "SELECT JSON_ARRAY(SELECT salary FROM emp)",
        "SELECT g FROM emp, generate_series(1, salary) AS g",
        "SELECT x FROM emp, LATERAL (SELECT emp.salary * 2 AS x) y",
        "SELECT x FROM emp, LATERAL (VALUES (salary)) y(x) WHERE x = 1",
        "SELECT id FROM emp LIMIT (SELECT max(salary) FROM emp)",
    ],
)
def test_everything_else_is(sql: str) -> None:
    assert used(sql) == "hr.emp.salary"


def test_the_place_is_told() -> None:
    tree, select = parse("SELECT id FROM emp WHERE salary = 1")
    found = denied_use(select, facts(tree).relation_of, lambda _: frozenset({"salary"}))
    assert found is not None
    assert found.location == 25


def test_nested_queries_are_searched_once() -> None:
    sql = "SELECT 1"
    for _ in range(12):
        sql = f"SELECT 1 FROM emp WHERE id = ({sql})"
    assert used(sql) is None
