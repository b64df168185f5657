"""`predicates: raw` in whole plans: what is moved, what is told of it, and what a plan depends on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fence_world import EMP, catalog

from proxy.policy.catalog import Catalog
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.plan import Plan

POLICY = """
version: 1
roles:
  desk: {users: [dora]}
tables: [{allow: ["hr.*"], roles: [desk]}]
masks:
  - {columns: [hr.emp.salary, hr.emp.name], mask: 'null', predicates: raw, reason: look-ups}
"""


def veil(directory: Path, text: str = POLICY, known: Catalog | None = None) -> Veil:
    path = directory / "policy.yaml"
    path.write_text(text)
    return Veil(load_policies(path), known or catalog())


def plan(veil: Veil, sql: str, types: tuple[int, ...] = ()) -> Plan:
    identity = veil.policy.identify("dora")
    assert identity is not None
    found = veil.decide(sql, identity, ("hr",), types=types)
    assert isinstance(found, Plan)
    return found


@pytest.mark.parametrize(
    ("sql", "where", "columns"),
    [
        ("SELECT id FROM hr.emp WHERE salary = 5", "WHERE (t.salary = 5)", ("hr.emp.salary",)),
        ("SELECT id FROM ONLY emp e WHERE e.salary = 5", "WHERE (t.salary = 5)", ("hr.emp.salary",)),
        ("SELECT id FROM emp WHERE name = 'x' AND salary = 5", "WHERE (t.name = 'x' AND t.salary = 5)",
         ("hr.emp.name", "hr.emp.salary")),
        ("PREPARE p AS SELECT id FROM emp WHERE salary = $1", "WHERE (t.salary = $1)", ("hr.emp.salary",)),
    ],
)  # fmt: skip
def test_the_condition_stands_inside_and_nowhere_else(
    tmp_path: Path, sql: str, where: str, columns: tuple[str, ...]
) -> None:
    found = plan(veil(tmp_path), sql)
    assert where in found.sql
    assert found.sql.count("WHERE") == 1
    assert found.raw_predicates == columns
    assert found.rewritten


def test_a_plan_depends_on_the_types_of_parameters(tmp_path: Path) -> None:
    """One of a type that the operator is not known for stays outside; the same text may come with another."""
    asked = veil(tmp_path)
    sql = "SELECT id FROM hr.emp WHERE salary = $1"
    found = [plan(asked, sql, types).raw_predicates for types in ((701,), (23,), (701,), ())]
    assert found == [(), ("hr.emp.salary",), (), ("hr.emp.salary",)]


def test_a_child_with_a_stricter_rule_closes_its_parents_column(tmp_path: Path) -> None:
    """A parent shows the rows of its children."""
    child = replace(EMP, oid=9, name="kid", parents=(("hr", "emp"),))
    known = catalog()
    known = replace(known, relations={**known.relations, child.key: child})
    text = POLICY + "  - {columns: [hr.kid.salary], mask: 'null'}\n"
    asked = veil(tmp_path, text, known)
    assert plan(asked, "SELECT id FROM hr.emp WHERE salary = 5").raw_predicates == ()
    assert plan(asked, "SELECT id FROM hr.emp WHERE name = 'x'").raw_predicates == ("hr.emp.name",)
    assert plan(asked, "SELECT id FROM hr.kid WHERE salary = 5").raw_predicates == ()
