"""Masked views in the client's own text: where a name is plain its place is used, and every other goes the long way."""

from __future__ import annotations

import pytest
from both_texts import both_texts_compared, same_statement
from plan_world import SEARCH_PATH, identity, veil
from test_plans import CASES

from proxy.policy.plan import Plan

SPLICED = (
    "SELECT * FROM hr.emp",
    "select ssn from HR.Emp",
    'SELECT ssn FROM "hr"."emp" e',
    "SELECT ssn FROM hr . emp",
    "SELECT ssn FROM\n\thr\n.\nemp\nWHERE id > 1",
    "SELECT 'é', ssn FROM hr.emp WHERE name > 'ü'",
    "SELECT a.ssn FROM hr.emp a JOIN hr.emp b ON a.id > b.id",
    "SELECT 1 FROM public.item, hr.emp",
    "SELECT (SELECT max(salary) FROM hr.emp)",
    "SELECT 1 FROM (hr.emp a CROSS JOIN hr.emp b)",
    "SELECT * FROM hr.emp, item",
)

WRITTEN = (
    "TABLE hr.emp",
    "TABLE -- from\nhr.emp",
    "SELECT ssn FROM ONLY hr.emp",
    "SELECT ssn FROM ONLY (hr.emp)",
    "SELECT ssn FROM hr.emp *",
    "SELECT ssn FROM hr.emp /* hidden */ *",
    "SELECT ssn FROM /* hr.emp */ hr.emp",
    "SELECT ssn FROM hr /* . */ . emp",
    "SELECT ssn FROM -- from\nhr.emp",
    'SELECT ssn FROM hr.U&"\\0065mp"',
    "SELECT ssn FROM db.hr.emp",
    "COPY hr.emp TO STDOUT",
    "SELECT hr.emp.ssn FROM hr.emp",
)


@pytest.mark.parametrize("sql", [*SPLICED, *WRITTEN])
def test_both_ways_are_one_statement(sql: str) -> None:
    with both_texts_compared() as seen:
        plan = veil().decide(sql, identity("analyst"), SEARCH_PATH)
    assert isinstance(plan, Plan)
    assert plan.rewritten
    assert (seen.spliced, seen.written) == ((1, 0) if sql in SPLICED else (0, 1))


def test_what_the_fixtures_have_is_one_statement_both_ways() -> None:
    with both_texts_compared() as seen:
        for case in CASES:
            veil().decide(case.sql, identity(case.user), SEARCH_PATH)
    assert seen.spliced > 10
    assert seen.written > 10


def test_a_text_that_looks_like_a_marker_is_text() -> None:
    sql = "SELECT 'pgveil_0123456789abcdef.v0', hr.emp.ssn FROM hr.emp"
    plan = veil().decide(sql, identity("analyst"), SEARCH_PATH)
    assert isinstance(plan, Plan)
    assert plan.sql.startswith("SELECT 'pgveil_0123456789abcdef.v0', emp.ssn FROM (SELECT ")


def test_a_name_that_is_not_replaced_gets_its_schema() -> None:
    plan = veil().decide("SELECT 1 FROM hr.emp, item", identity("analyst"), SEARCH_PATH)
    assert isinstance(plan, Plan)
    assert same_statement(plan.sql, plan.sql.replace('"public"."item"', "public.item"))
    assert '"public"."item"' in plan.sql


@pytest.mark.parametrize("sql", [*SPLICED, *WRITTEN])
def test_positions_are_found_again(sql: str) -> None:
    """An error behind the last relation has its place in the client's text."""
    if sql.startswith(("COPY", "TABLE")):
        sql = "SELECT 1 FROM hr.emp"
    text = f"{sql} ORDER BY nothing"
    plan = veil().decide(text, identity("analyst"), SEARCH_PATH)
    assert isinstance(plan, Plan)
    assert plan.original_position(plan.sql.rindex("nothing") + 1) == text.rindex("nothing") + 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ssn FROM hr.emp ORDER BY id NULLS /* x */ FIRST",
        "SELECT ssn FROM hr.emp WHERE name NOT -- é\nLIKE 'a'",
        "SELECT 'a' -- x\n 'b', ssn FROM hr.emp",
        "SELECT ssn /* 'é */, 'NULLS /* */ FIRST' FROM hr.emp ORDER BY 1 NULLS/**/LAST",
    ],
)
def test_a_comment_between_two_words_of_a_token_is_a_blank(sql: str) -> None:
    with both_texts_compared():
        plan = veil().decide(sql, identity("analyst"), SEARCH_PATH)
    assert isinstance(plan, Plan), plan
