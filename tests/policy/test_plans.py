"""Statements and their plans, from plans/*.txt: SQL and a user in; the SQL that runs, or the refusal, out."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_cases import Case, load_cases
from plan_world import SEARCH_PATH, identity, veil

from proxy.policy.plan import Refusal

CASES = load_cases(Path(__file__).with_name("plans"))


def spoken(sql: str, user: str) -> str:
    """What the veil says, as the fixture files write it."""
    decision = veil().decide(sql, identity(user), SEARCH_PATH)
    if isinstance(decision, Refusal):
        where = f" at {decision.position}" if decision.position else ""
        return f"refused {decision.sqlstate}{where}: {decision.message}"
    return decision.sql if decision.rewritten else "as it came"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name} ({case.user})")
def test_plan(case: Case) -> None:
    assert spoken(case.sql, case.user) == case.plan


def test_names_are_unique() -> None:
    assert len({(case.name, case.user) for case in CASES}) == len(CASES)


def test_position_of_an_error_in_the_planned_text_is_mapped_back() -> None:
    sql = "SELECT 'é', e.salary + nothing FROM hr.emp AS e"
    plan = veil().decide(sql, identity("analyst"), SEARCH_PATH)
    assert not isinstance(plan, Refusal)
    planned = plan.sql.index("nothing") + 1
    assert plan.original_position(planned) == sql.index("nothing") + 1
    # Nothing of the client's stands where the mask does.
    assert plan.original_position(plan.sql.index("t.id") + 1) is None


def test_a_decision_is_made_once() -> None:
    judge = veil()
    first = judge.decide("SELECT * FROM hr.emp", identity("analyst"), SEARCH_PATH)
    assert judge.decide("SELECT * FROM hr.emp", identity("analyst"), SEARCH_PATH) is first
    other = judge.decide("SELECT * FROM hr.emp", identity("pia"), SEARCH_PATH)
    assert not isinstance(other, Refusal)
    assert not isinstance(first, Refusal)
    assert other.sql != first.sql


def test_visible_relations_leave_out_what_the_role_may_not_read() -> None:
    names = {relation.qualified for relation in veil().visible(identity("analyst"))}
    assert {"hr.emp", "hr.v", "public.item"} <= names
    assert "secret.vault" not in names
    assert "hr.saved" not in names


def test_generated_sql_is_one_select_for_everybody() -> None:
    judge = veil()
    for sql in ("DELETE FROM public.item", "SELECT 1; SELECT 2", "SELECT pg_sleep(1)", "SET role x", ""):
        for user in ("analyst", "postgres"):
            assert isinstance(judge.decide_generated(sql, identity(user), SEARCH_PATH), Refusal), sql
    plan = judge.decide_generated("SELECT ssn FROM hr.emp", identity("postgres"), SEARCH_PATH)
    assert not isinstance(plan, Refusal)
    assert plan.sql == "SELECT ssn FROM hr.emp"


def test_nesting_that_cannot_be_analysed_is_refused() -> None:
    sql = "SELECT " + "(" * 200 + "1" + " + 1)" * 200
    decision = veil().decide(sql, identity("analyst"), SEARCH_PATH)
    assert isinstance(decision, Refusal)
    assert decision.sqlstate == "0A000"
