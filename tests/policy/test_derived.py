"""Which columns of a view are told to be masked."""

from __future__ import annotations

import pytest
from plan_world import identity, veil

from proxy.policy.derived import derived_columns

MASKED = frozenset({"ssn", "salary"})


@pytest.mark.parametrize(
    ("definition", "columns", "expected"),
    [
        ("SELECT id, name FROM hr.emp", ("id", "name"), set()),
        ("SELECT id, emp.ssn FROM hr.emp", ("id", "ssn"), {"ssn"}),
        ("SELECT id, ssn AS x FROM hr.emp", ("id", "x"), {"x"}),
        (
            "SELECT id, left(ssn, 3) AS area, salary * 2 AS twice FROM hr.emp",
            ("id", "area", "twice"),
            {"area", "twice"},
        ),
        ("SELECT count(*) AS n, max(e.salary) AS top FROM hr.emp e", ("n", "top"), {"top"}),
        ("SELECT s.x FROM (SELECT ssn AS x FROM hr.emp) s", ("x",), {"x"}),
        ("WITH s AS (SELECT ssn AS x FROM hr.emp) SELECT s.x AS y, 1 AS one FROM s", ("y", "one"), {"y"}),
        ("WITH s(a) AS (SELECT ssn FROM hr.emp) SELECT s.a FROM s", ("a",), {"a"}),
        ("SELECT e.a FROM hr.emp e(a, b)", ("a",), {"a"}),
        ("SELECT id, row_to_json(e.*) AS j FROM hr.emp e", ("id", "j"), {"j"}),
        ("SELECT id AS a FROM hr.emp UNION SELECT salary FROM hr.emp", ("a",), {"a"}),
        ("SELECT (SELECT max(salary) FROM hr.emp) AS m, 1 AS one", ("m", "one"), {"m"}),
        ("not sql", ("a", "b"), {"a", "b"}),
    ],
)
def test_derived(definition: str, columns: tuple[str, ...], expected: set[str]) -> None:
    assert derived_columns(definition, columns, MASKED) == expected


def test_nothing_masked_below_derives_nothing() -> None:
    assert derived_columns("SELECT ssn FROM hr.emp", ("ssn",), frozenset()) == frozenset()


def test_a_masked_roles_view_says_which_columns_are_masked() -> None:
    judge = veil()
    view = judge.catalog.relations[("hr", "v")]
    assert dict(judge.masked_columns(identity("analyst"), view)) == {"area": "view"}
    assert dict(judge.masked_columns(identity("postgres"), view)) == {}
