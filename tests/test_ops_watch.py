"""What a session's watcher writes for each statement: the record, the version that decided, nothing of a value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proxy.ops.audit import Audit
from proxy.ops.metrics import Metrics
from proxy.policy.plan import AppliedMask, Plan, PlannedStatement
from proxy.policy.rules import Identity, StatementKind, Where
from proxy.ports import StatementEvent
from proxy.watch import LoginWatch

ANA = Identity("ana", ("analyst", "support"))
SECRET = "123-45-6789"
PLAN = Plan(
    f"SELECT '{SECRET}'",
    (PlannedStatement(StatementKind.SELECT), PlannedStatement(StatementKind.SHOW)),
    rewritten=True,
    masks=(AppliedMask("hr.emp", "ssn", "partial", Where("p.yaml", 3)),),
    policy_version="0123456789abcdef",
    raw_predicates=("hr.emp.email",),
)


def written(directory: Path, *events: StatementEvent) -> list[dict[str, Any]]:
    path = directory / "audit.jsonl"
    with Audit(path) as audit:
        session = LoginWatch(Metrics(), audit, lambda: None, version=lambda: "in force").session(ANA)
        for event in events:
            session.statement(event)
        session.closed()
    assert SECRET not in path.read_text()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_record_says_what_was_decided_and_by_which_policy(tmp_path: Path) -> None:
    (record,) = written(tmp_path, StatementEvent(PLAN.sql, PLAN))
    assert (record["user"], record["roles"]) == ("ana", ["analyst", "support"])
    assert (record["kind"], record["outcome"], record["masks"]) == ("select+show", "rewritten", 1)
    assert (record["policy"], record["raw_predicates"]) == ("0123456789ab", ["hr.emp.email"])
    assert "shadow" not in record


def test_without_a_plan_it_is_the_policy_in_force(tmp_path: Path) -> None:
    refused, bypass = written(
        tmp_path,
        StatementEvent(f'DROP TABLE "{SECRET}"', sqlstate="42501"),
        StatementEvent(f"SELECT '{SECRET}'".encode()),
    )
    assert (refused["policy"], refused["outcome"], refused["sqlstate"]) == ("in force", "refused", "42501")
    assert (bypass["policy"], bypass["outcome"], bypass["raw_predicates"]) == ("in force", "bypass", [])


def test_every_field_of_a_record_is_documented(tmp_path: Path) -> None:
    (record,) = written(tmp_path, StatementEvent(PLAN.sql, PLAN))
    page = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
    assert [name for name in [*record, "shadow", "masks_added", "masks_removed"] if f"`{name}`" not in page] == []
