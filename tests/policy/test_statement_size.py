"""What a statement costs that was written to cost much, for roles with row filters and rules about predicates.

Calls and memory are counted and not seconds: a text of twice the length may take twice the work, and little more.
"""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from types import FrameType

import pytest
from fence_world import catalog

from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.plan import Plan, Refusal

POLICY = """
version: 1
roles:
  filtered: {users: [fil]}
  raw: {users: [raw]}
  denied: {users: [den]}
tables: [{allow: ["hr.*"], roles: [filtered, raw, denied]}]
masks:
  - {columns: [hr.emp.salary], mask: 'null', predicates: raw, reason: look-ups, except: [denied, filtered]}
  - {columns: [hr.emp.name], mask: 'null', predicates: deny, except: [raw, filtered]}
rows:
  - {table: hr.emp, roles: [filtered, raw], where: "region = 'EU'"}
"""
USERS = ("fil", "raw", "den")


@pytest.fixture(scope="module")
def veil(tmp_path_factory: pytest.TempPathFactory) -> Veil:
    path: Path = tmp_path_factory.mktemp("size") / "policy.yaml"
    path.write_text(POLICY)
    found = Veil(load_policies(path), catalog(), cache_size=0)
    for user in USERS:
        decide(found, user, "SELECT * FROM hr.emp")
    return found


def decide(veil: Veil, user: str, sql: str) -> Plan | Refusal:
    identity = veil.policy.identify(user)
    assert identity is not None
    return veil.decide(sql, identity, ("hr",))


def calls(veil: Veil, user: str, sql: str) -> int:
    """How many Python functions a decision calls."""
    count = 0

    def counted(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        del frame, arg
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        decide(veil, user, sql)
    finally:
        sys.setprofile(before)
    return count


def doubling(levels: int) -> str:
    ctes = "".join(f", c{n} AS (SELECT * FROM c{n - 1} a, c{n - 1} b)" for n in range(1, levels + 1))
    return f"WITH c0 AS (SELECT * FROM hr.emp){ctes} SELECT 1 FROM c{levels}"


def doubling_joins(levels: int) -> str:
    ctes = "".join(f", c{n} AS (SELECT * FROM c{n - 1} a JOIN c{n - 1} b ON true)" for n in range(1, levels + 1))
    return f"WITH c0 AS (SELECT * FROM hr.emp){ctes} SELECT 1 FROM c{levels}"


def doubling_stars(levels: int) -> str:
    ctes = "".join(f", c{n} AS (SELECT *, * FROM c{n - 1})" for n in range(1, levels + 1))
    return f"WITH c0 AS (SELECT * FROM hr.emp){ctes} SELECT 1 FROM c{levels}"


def doubling_keys(levels: int) -> str:
    ctes = "".join(
        f", c{n} AS (SELECT a.*, b.* FROM c{n - 1} a JOIN c{n - 1} b USING (id))" for n in range(1, levels + 1)
    )
    return f"WITH c0 AS (SELECT id, salary, name FROM hr.emp){ctes} SELECT 1 FROM c{levels}"


def doubling_unions(levels: int) -> str:
    ctes = "".join(
        f", c{n} AS (SELECT * FROM c{n - 1} a, c{n - 1} b UNION ALL SELECT * FROM c{n - 1} a, c{n - 1} b)"
        for n in range(1, levels + 1)
    )
    return f"WITH c0 AS (SELECT * FROM hr.emp){ctes} SELECT 1 FROM c{levels}"


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("text", [doubling, doubling_joins, doubling_stars, doubling_keys, doubling_unions])
def test_columns_that_double_take_no_memory(veil: Veil, user: str, text: object) -> None:
    assert callable(text)
    tracemalloc.start()
    try:
        decide(veil, user, text(18))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16_000_000


def test_a_use_among_too_many_columns_is_not_overlooked(veil: Veil) -> None:
    sql = doubling(10).replace("SELECT 1 FROM c10", "SELECT 1 FROM c10 WHERE name = 'x'")
    found = decide(veil, "den", sql)
    assert isinstance(found, Refusal)
    assert (found.sqlstate, found.message) == ("0A000", "this statement is too large to be analysed")
    assert isinstance(decide(veil, "den", doubling(10).replace("hr.emp", "hr.dept")), Plan)


def recursive(levels: int) -> str:
    sql = "SELECT id FROM hr.emp"
    for n in range(levels):
        sql = f"SELECT 1 FROM (WITH RECURSIVE r{n} AS ({sql} UNION ALL SELECT 1) SELECT * FROM r{n}) AS x"
    return sql


@pytest.mark.parametrize("user", USERS)
def test_queries_of_with_recursive_inside_one_another(veil: Veil, user: str) -> None:
    """Each is walked twice, as its first branch gives the types."""
    assert isinstance(decide(veil, user, recursive(3)), Plan)
    assert calls(veil, user, recursive(12)) < 1_000_000


def listed(count: int, part: str, joined: str) -> str:
    return joined.join(part.format(n=n) for n in range(count))


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    ("before", "part", "joined", "after"),
    [
        ("SELECT 1 FROM ", "hr.emp a{n}", ", ", " WHERE a1.id = 1 AND a2.salary = 2"),
        ("SELECT 1 FROM hr.emp WHERE ", "id = 1", " AND ", ""),
        ("SELECT 1 FROM hr.emp WHERE ", "salary = 1", " AND ", ""),
        ("SELECT 1 FROM hr.emp WHERE ", "salary = 1", " OR ", ""),
        ("SELECT 1 FROM hr.emp WHERE ", "id = ${n}", " OR ", ""),
        ("SELECT 1 FROM hr.emp e WHERE ", "EXISTS (SELECT 1 FROM hr.dept d WHERE d.id = e.id)", " AND ", ""),
        ("SELECT 1 FROM hr.emp, (VALUES ", "(1)", ", ", ") AS v"),
        ("SELECT 1 FROM hr.emp ORDER BY ", "id", ", ", ""),
        ("SELECT 1 FROM hr.emp e, ", "LATERAL (SELECT e.id) l{n}", ", ", ""),
        ("SELECT ", "id", ", ", " FROM hr.emp"),
        ("WITH ", "c{n} AS (SELECT id FROM hr.emp)", ", ", " SELECT 1"),
        ("WITH RECURSIVE ", "c{n} AS (SELECT 1)", ", ", " SELECT 1 FROM hr.emp"),
    ],
)
def test_work_grows_as_the_text_does(veil: Veil, user: str, before: str, part: str, joined: str, after: str) -> None:
    short, long = (calls(veil, user, before + listed(count, part, joined) + after) for count in (100, 400))
    assert long < 4.5 * short


@pytest.mark.parametrize("user", ["fil", "raw"])
def test_work_does_not_multiply(veil: Veil, user: str) -> None:
    """References times conditions, as far as so many references may be."""
    counts = []
    for references, conditions in ((15, 100), (60, 400)):
        ranges, where = listed(references, "hr.emp a{n}", ", "), listed(conditions, "a1.id = 1", " AND ")
        counts.append(calls(veil, user, f"SELECT 1 FROM {ranges} WHERE {where}"))
    assert counts[1] < 4.5 * counts[0]


def test_too_many_references_are_refused_as_ever(veil: Veil) -> None:
    sql = f"SELECT 1 FROM {listed(65, 'hr.emp a{n}', ', ')} WHERE a0.id = 1"
    found = decide(veil, "fil", sql)
    assert isinstance(found, Refusal)
    assert found.message == "more than 64 references to masked tables in one statement are not supported"
    assert isinstance(decide(veil, "fil", sql.replace(", hr.emp a64", "")), Plan)
