"""The policy templates as files: each is a policy of its own, says what it is for, and leaves nothing half said.

What they do is tried against a database: tests/e2e/test_template_tests.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.check import check
from proxy.policy.load import load_policies
from proxy.policy.model import Policy
from proxy.policy.patterns import is_glob

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "policies" / "templates"
TEMPLATES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
REGULATIONS = {
    "dpdp": ("Digital Personal Data Protection Act, 2023", "s. 9", "rule 6(1)(a)", "UIDAI"),
    "finance": ("16 CFR 314.4(c)(1)", "15 U.S.C. 78o(g)"),
    "gdpr": ("(EU) 2016/679", "4(5)", "5(1)(b), (c)", "9(1)", "25(2)", "32(1)"),
    "hipaa": ("164.514(b)(2)(i)", "164.502(b)", *(f"({letter})" for letter in "ABCDEFGHIJKLMNOPQR")),
    "logistics": ("1798.140(w)", "18 U.S.C. 2721"),
    "pci": ("PCI DSS 4.0.1", "3.3.1", "3.4.1", "7.2.6"),
}
APPLICATIONS = {"care_app", "core_banking", "payment_app", "portal_app", "shop_app", "tms"}


def policy(name: str) -> Policy:
    return load_policies(FOLDER / f"{name}.yaml")


def opening(name: str) -> str:
    """The comment that a template begins with, on one line."""
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line.lstrip("# ") for line in lines[:end])


def test_there_is_one_for_each_regulation_with_its_schema() -> None:
    assert set(TEMPLATES) == REGULATIONS.keys()
    assert sorted(path.stem for path in (FOLDER / "schemas").iterdir()) == TEMPLATES


def test_they_are_no_part_of_the_policy_in_the_folder_above() -> None:
    assert load_policies(FOLDER.parent).roles.keys() == {"dba", "analyst", "support"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_is_a_policy_by_itself_without_problem_or_warning(name: str) -> None:
    assert check(FOLDER / f"{name}.yaml") == ()


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_opens_with_what_is_asked_for_and_what_it_does_not_do(name: str) -> None:
    text = opening(name)
    assert [words for words in REGULATIONS[name] if words not in text] == []
    assert "What it does not do: it is no legal advice" in text
    assert re.search(r"[Hh]old the lists? (below )?against your schema", text)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_table_without_a_rule_is_closed_and_only_the_dba_goes_unmasked(name: str) -> None:
    found = policy(name)
    assert not found.allow_unnamed_tables
    assert [role.name for role in found.roles.values() if role.bypass] == ["dba"]
    assert not any("dba" in rule.roles for rule in found.tables)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_masked_role_has_tables_and_only_applications_have_no_limits_or_may_write(name: str) -> None:
    found = policy(name)
    masked = {role.name for role in found.roles.values() if not role.bypass}
    assert masked == frozenset().union(*(rule.roles for rule in found.tables))
    assert masked - frozenset().union(*(rule.roles for rule in found.limits)) == masked & APPLICATIONS
    assert frozenset().union(*(rule.roles for rule in found.tables if rule.write)) <= APPLICATIONS


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_tag_has_a_mask_or_is_called_open(name: str) -> None:
    found = policy(name)
    masked = {rule.tag for rule in found.masks}
    tags = {rule.tag for rule in found.tags}
    assert {tag for tag in tags if not masked & set(found.lineage(tag))} <= {"open"}
    assert found.tag_parents.keys() <= tags


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_is_open_is_named_and_never_a_pattern(name: str) -> None:
    for rule in policy(name).tags:
        if rule.tag == "open":
            assert [pattern for pattern in rule.columns if is_glob(pattern)] == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_shows_how_an_exception_ends(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    shown = re.findall(r'^ +# - \{role: (\w+), until: "[^"]+", reason: "[^"]+",', text, re.MULTILINE)
    assert len(shown) == 1
    assert shown[0] in policy(name).roles
    assert not any(e.until for rule in policy(name).masks for e in rule.exemptions)


@pytest.mark.parametrize("name", TEMPLATES)
def test_its_own_tests_ask_for_answers_and_for_refusals_of_every_role(name: str) -> None:
    found = policy(name)
    assert len(found.tests) >= 10
    assert sum(test.refused for test in found.tests) >= 2
    assert len({test.name for test in found.tests}) == len(found.tests)
    tried = {role for test in found.tests for role in getattr(found.identify(test.user), "roles", ())}
    assert tried == found.roles.keys() - {"dba"}
