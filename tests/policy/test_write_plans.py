"""Writes and temporary tables, from write_plans/*.txt: SQL and a user in; the SQL that runs, or the refusal, out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from plan_cases import Case, load_cases
from write_world import CATALOG, POLICY, SEARCH_PATH, TEMPS, identity, veil

from proxy.policy.decide import Veil
from proxy.policy.plan import Plan, Refusal

CASES = load_cases(Path(__file__).with_name("write_plans"))


def decided(sql: str, user: str) -> Plan | Refusal:
    return veil().decide(sql, identity(user), SEARCH_PATH, TEMPS)


def spoken(decision: Plan | Refusal) -> str:
    if isinstance(decision, Refusal):
        where = f" at {decision.position}" if decision.position else ""
        return f"refused {decision.sqlstate}{where}: {decision.message}"
    effects = [
        f"  {s.effect.kind} {s.effect.name}" for s in decision.statements if s.effect and s.effect.kind != "prepare"
    ]
    return "\n".join((decision.sql if decision.rewritten else "as it came", *effects))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name} ({case.user})")
def test_plan(case: Case) -> None:
    decision = decided(case.sql, case.user)
    assert "\n".join(line.strip() for line in spoken(decision).splitlines()) == case.plan
    if isinstance(decision, Refusal) and decision.sqlstate in ("42501", "0A000"):
        assert decision.hint


def test_names_are_unique() -> None:
    assert len({(case.name, case.user) for case in CASES}) == len(CASES)


def test_a_masked_target_counts_as_touched() -> None:
    decision = decided("UPDATE hr.emp SET name = 'x'", "wanda")
    assert isinstance(decision, Plan)
    assert decision.touched == {"hr.emp"}


def test_a_table_that_stays_until_the_commit_says_so() -> None:
    for clause, local in (("ON COMMIT DROP ", True), ("ON COMMIT PRESERVE ROWS ", False), ("", False)):
        decision = decided(f"CREATE TEMP TABLE x {clause}AS SELECT 1 AS one", "wanda")
        assert isinstance(decision, Plan)
        effect = decision.statements[0].effect
        assert effect is not None
        assert (effect.kind, effect.name, effect.local) == ("temp", "x", local)


def test_rows_that_change_their_partition_take_others_along_before_version_15() -> None:
    """They were deleted and inserted: https://www.postgresql.org/docs/15/release-15.html"""
    old = Veil(POLICY, replace(CATALOG, server_version=140000))
    decision = old.decide("UPDATE shop.pier SET side = 'x'", identity("lou"), SEARCH_PATH)
    assert isinstance(decision, Refusal)
    assert "mooring_pier" in decision.message
