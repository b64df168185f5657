"""Which conditions of a WHERE go below a fence, as copies or in place of the outer ones."""

from __future__ import annotations

import pytest
from fence_world import CLOSED_CONDITIONS, COMPUTED, EMP, VIEW, facts, parse

from proxy.policy import parser
from proxy.policy.catalog import Relation
from proxy.policy.pushdown import MAX_COPIES, Moved, Target, copies, moved

RAW = frozenset({"salary", "name"})
MASKED_NAME = Target("emp", EMP, frozenset({"name"}))
ALL_MASKED = Target("emp", EMP, RAW | {"uid"}, RAW)


def copied(sql: str, target: Target = MASKED_NAME, types: tuple[int, ...] = ()) -> list[str]:
    tree, select = parse(sql)
    before = tree.SerializeToString()
    found = copies(select, [target], facts(tree, types))
    assert tree.SerializeToString() == before
    assert found.keys() <= {target.name}
    return found.get(target.name, [])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("id = 42", ['(t.id = 42)']),
        ("42 < emp.id", ['(42 < t.id)']),
        ("id = 1 AND (boss > 2 AND upper(title) = 'X') AND 1 / id > 0", ["(t.id = 1)", "(t.boss > 2)"]),
        ("id IN (1, 2)", ["(t.id IN (1, 2))"]),
        ("id BETWEEN 1 AND 5", ["(t.id BETWEEN 1 AND 5)"]),
        ("id = ANY ('{1,2}')", ["(t.id = ANY('{1,2}'))"]),
        ("born >= current_date - 30", ["(t.born >= (current_date - 30))"]),
        ("seen > now() - interval '7 days'", ["(t.seen > (now() - '7 days'::interval))"]),
        ("code = 'x'", ["(t.code = 'x')"]),
        ("nick = 'x'", ["(t.nick = 'x')"]),
        ("id = NULL", ["(t.id = NULL)"]),
        # Masked, not strict, not a column with constants, or not joined with AND.
        ("name = 'x'", []),
        ("id IS NULL", []),
        ("id IS NOT DISTINCT FROM 3", []),
        ("id <> ALL ('{}')", []),
        ("NOT id = 3", []),
        ("id = 1 OR boss = 2", []),
        ("id = boss", []),
        ("id NOT BETWEEN 1 AND 5", []),
        ("id = (SELECT 1)", []),
        ("md5(region) = 'x'", []),
        ("id BETWEEN 1 AND boss", []),
        ("nothing = 1", []),
        ("x.id = 1", []),
        ("id = (random() * 9)::int", []),
    ],
)  # fmt: skip
def test_copies(condition: str, expected: list[str]) -> None:
    assert copied(f"SELECT upper(name) FROM hr.emp WHERE {condition}") == expected


@pytest.mark.parametrize("condition", CLOSED_CONDITIONS)
def test_nothing_that_could_fail_is_copied(condition: str) -> None:
    assert copied(f"SELECT 1 FROM hr.emp WHERE {condition}") == []


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 FROM emp e WHERE e.id = 1 AND id = 2", ["(t.id = 1)", "(t.id = 2)"]),
        ("SELECT 1 FROM emp e JOIN dept d ON true WHERE id = 1 AND e.id = 2 AND d.id = 3", ["(t.id = 2)"]),
        ("SELECT 1 FROM emp e JOIN dept d USING (id) WHERE id = 1 AND e.id = 2", ["(t.id = 2)"]),
        ("SELECT 1 FROM dept d LEFT JOIN emp e ON e.id = d.emp_id WHERE e.id = 2 AND boss = 3",
         ["(t.id = 2)", "(t.boss = 3)"]),
        ("SELECT 1 FROM emp e FULL JOIN dept d ON e.id = d.emp_id WHERE e.id = 2", ["(t.id = 2)"]),
        ("SELECT 1 FROM emp e, (SELECT 1 AS boss) x WHERE boss = 3 AND e.id = 4", ["(t.id = 4)"]),
        ("SELECT 1 FROM emp e, generate_series(1, 3) AS boss WHERE boss = 3", []),
        ("SELECT 1 FROM emp e(a, b) WHERE e.a = 3 AND e.id = 2", []),
        ("SELECT 1 FROM (emp e JOIN dept d ON true) AS j WHERE e.id = 3 AND id = 4", []),
        ("SELECT 1 FROM (emp e JOIN dept d ON true) AS j, emp WHERE id = 4", []),
        ("SELECT 1 FROM emp e, missing m WHERE id = 3", []),
        ("SELECT 1 FROM dept WHERE e.id = 3", []),
        ("SELECT 1 FROM emp e", []),
    ],
)  # fmt: skip
def test_only_columns_of_that_range_count(sql: str, expected: list[str]) -> None:
    assert copied(sql, Target("e", EMP, frozenset())) == expected


@pytest.mark.parametrize(
    ("sql", "types", "expected"),
    [
        ("SELECT 1 FROM emp WHERE id = $1", (), ["(t.id = $1)"]),
        ("SELECT 1 FROM emp WHERE id = $1", (20,), ["(t.id = $1)"]),
        ("SELECT 1 FROM emp WHERE id = $1", (1700,), []),
        ("SELECT $1::text FROM emp WHERE id = $1", (), []),
        ("SELECT $1 FROM emp WHERE id = $1", (23,), ["(t.id = $1)"]),
    ],
)
def test_parameters_are_copied_with_a_known_type(sql: str, types: tuple[int, ...], expected: list[str]) -> None:
    assert copied(sql, types=types) == expected


@pytest.mark.parametrize(("relation", "column"), [(VIEW, "id"), (COMPUTED, "twice")])
def test_what_is_computed_is_not_copied(relation: Relation, column: str) -> None:
    target = Target(relation.name, relation, frozenset())
    assert copied(f"SELECT 1 FROM hr.{relation.name} WHERE {column} = 1", target) == []


def move(sql: str, *targets: Target) -> tuple[dict[str, Moved], str]:
    """What was moved, and the statement that is left."""
    tree, select = parse(sql)
    found = moved(select, targets or [ALL_MASKED], facts(tree))
    text = parser.deparse(tree)
    parsed = parser.parse(text)
    assert parser.paired_locations(tree, parsed) is not None
    return found, text


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name = 'x'", "(t.name = 'x')"),
        ("salary > 1000", "(t.salary > 1000)"),
        ("salary BETWEEN 1 AND 2.5", "(t.salary BETWEEN 1 AND 2.5)"),
        ("salary IN (1, 2.5)", "(t.salary IN (1, 2.5))"),
        ("salary NOT IN ($1, 2.5)", "(t.salary NOT IN ($1, 2.5))"),
        ("name LIKE 'a%'", "(t.name LIKE 'a%')"),
        ("name NOT ILIKE 'a%'", "(t.name NOT ILIKE 'a%')"),
        (r"name LIKE '100\%'", r"(t.name LIKE E'100\\%')"),
        ("name IS NULL", "(t.name IS NULL)"),
        ("NOT (name = 'x' OR salary = 1)", "(NOT (t.name = 'x' OR t.salary = 1))"),
        ("(name = 'x' OR id = 1)", "(t.name = 'x' OR t.id = 1)"),
    ],
)
def test_moves(condition: str, expected: str) -> None:
    found, left = move(f"SELECT name FROM hr.emp WHERE {condition}")
    assert (found["emp"].text, left) == (expected, "SELECT name FROM hr.emp")


@pytest.mark.parametrize(
    "condition",
    [
        "id = 1", "uid IS NULL", "name = 'x' OR uid IS NULL", "name = region", "name::int = 5", "upper(name) = 'X'",
        "salary + 1 > 5", "salary > 1 / 0", "name LIKE region", "name LIKE $1", r"name LIKE 'a\'", r"name LIKE '\\\'",
        "name LIKE 'a' ESCAPE 'b'", "name ~ 'a'", "name SIMILAR TO 'a'", "name || 'a' = 'x'", "name IN (SELECT 'x')",
        "name IS DISTINCT FROM 'x'", "name = 'x' OR EXISTS (SELECT 1)", "name = 'x' OR title = 'y'",
        'name COLLATE "C" > \'x\'',
        "emp IS NULL", "salary = random()", "name LIKE 'a' IS TRUE",
    ],
)  # fmt: skip
def test_what_stays_outside(condition: str) -> None:
    before = f"SELECT name FROM hr.emp WHERE {condition}"
    assert move(before) == ({}, parser.deparse(parser.parse(before)))


@pytest.mark.parametrize(
    ("sql", "text", "left"),
    [
        ("SELECT 1 FROM emp WHERE id = 1 AND name = 'x' AND boss = 2", "(t.name = 'x')",
         "SELECT 1 FROM emp WHERE id = 1 AND boss = 2"),
        ("SELECT 1 FROM emp WHERE id = 1 AND (name = 'x' AND salary = 2)", "(t.name = 'x' AND t.salary = 2)",
         "SELECT 1 FROM emp WHERE id = 1"),
        ("SELECT 1 FROM emp LEFT JOIN dept d ON true WHERE name = 'x'", "(t.name = 'x')",
         "SELECT 1 FROM emp LEFT JOIN dept d ON true"),
        ("SELECT 1 FROM dept d RIGHT JOIN emp ON true WHERE name = 'x'", "(t.name = 'x')",
         "SELECT 1 FROM dept d RIGHT JOIN emp ON true"),
        ("SELECT 1 FROM dept d LEFT JOIN emp ON true WHERE name IS NULL", None, None),
        ("SELECT 1 FROM emp RIGHT JOIN dept d ON true WHERE name = 'x'", None, None),
        ("SELECT 1 FROM emp FULL JOIN dept d ON true WHERE name = 'x'", None, None),
        ("SELECT 1 FROM dept d LEFT JOIN (dept x JOIN emp ON true) ON true WHERE name = 'x'", None, None),
        ("SELECT 1 FROM emp, emp AS other WHERE name = 'x'", None, None),
        ("SELECT 1 FROM emp, dept WHERE (name = 'x' OR dept.id = 1)", None, None),
    ],
)  # fmt: skip
def test_moves_where_no_outer_join_adds_nulls(sql: str, text: str | None, left: str | None) -> None:
    found, rest = move(sql)
    expected = left if left is not None else parser.deparse(parser.parse(sql))
    assert ({name: moved.text for name, moved in found.items()}, rest) == ({"emp": text} if text else {}, expected)


def test_the_columns_that_are_compared_are_told() -> None:
    found, _ = move("SELECT 1 FROM emp WHERE id = 1 AND salary > 5 AND (name = 'x' OR id = 2)")
    assert found["emp"].columns == {"salary", "name"}
    assert move("SELECT 1 FROM emp WHERE salary > 5 AND title = name")[0]["emp"].columns == {"salary"}


def test_each_range_gets_its_own() -> None:
    targets = [Target(name, EMP, RAW, RAW) for name in ("a", "b")]
    found, left = move("SELECT 1 FROM emp a, emp b WHERE a.name = 'x' AND b.name = 'y' AND name = 'z'", *targets)
    assert {name: moved.text for name, moved in found.items()} == {"a": "(t.name = 'x')", "b": "(t.name = 'y')"}
    assert left == "SELECT 1 FROM emp a, emp b WHERE name = 'z'"
    assert move("SELECT 1 FROM emp a, emp b WHERE a.name = 'x' OR b.name = 'y'", *targets)[0] == {}


def test_so_many_are_copied_and_no_more() -> None:
    assert len(copied("SELECT 1 FROM emp WHERE " + " AND ".join(["id = 1"] * 200))) == MAX_COPIES


def test_of_moved_conditions_none_is_left() -> None:
    found, left = move("SELECT 1 FROM emp WHERE " + " AND ".join(["salary = 1"] * 200))
    assert (found["emp"].text.count("salary"), left) == (200, "SELECT 1 FROM emp")
