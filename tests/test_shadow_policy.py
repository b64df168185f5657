"""The shadow policy: what it would change about a statement, and that nobody waits for it."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy import shadow as module
from proxy.clock import Clock
from proxy.ops.audit import Audit, AuditRecord
from proxy.ops.log import configure_logging
from proxy.ops.metrics import Metrics
from proxy.policy.catalog import Catalog, Column, Relation
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.model import Policy
from proxy.policy.plan import Plan, Refusal
from proxy.policyfiles import Broken
from proxy.ports import StatementEvent
from proxy.shadow import Case, Change, Judge, Shadow, Surroundings, Verdict

TODAY = """
version: 1
roles:
  dba: {users: [root], bypass: true}
  analyst: {users: [ana]}
defaults: {tables: deny}
tables:
  - {allow: ["shop.users"], roles: [analyst]}
masks:
  - {columns: [shop.users.email], mask: partial, with: {show_last: 4}}
"""
SELECT = "SELECT id, email, phone FROM shop.users"
COLUMNS = tuple(Column(n, "text", attnum=i) for i, n in enumerate(("id", "email", "phone"), start=1))
CATALOG = Catalog(
    1,
    {("shop", t): Relation(i, "shop", t, "r", COLUMNS) for i, t in enumerate(("users", "orders"), start=1)},
    builtin_types=frozenset({"text"}),
)
EMAIL = {"relation": "shop.users", "column": "email", "mask": "partial"}
PATIENCE = 30


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def policy(directory: Path, text: str) -> Policy:
    file = directory / "p.yaml"
    file.write_text(text)
    return load_policies(file)


def surroundings(catalog: Catalog | None = CATALOG, clock: Clock | None = None) -> Surroundings:
    return Surroundings(lambda: catalog, clock or Clock())


def case(directory: Path, sql: str = SELECT, user: str = "ana", record: AuditRecord | None = None) -> Case:
    """The statement as today's policy decides it."""
    today = policy(directory, TODAY)
    identity = today.identify(user)
    assert identity is not None
    if identity.bypass:
        return Case(user, "bypass", StatementEvent(sql.encode()), record)
    found = Veil(today, CATALOG).decide(sql, identity, ("shop",))
    if isinstance(found, Refusal):
        return Case(user, "refused", StatementEvent(sql, sqlstate=found.sqlstate, search_path=("shop",)), record)
    outcome = "rewritten" if found.rewritten else "plain"
    return Case(user, outcome, StatementEvent(sql, found, search_path=("shop",)), record)


def judged(directory: Path, shadow: str, sql: str = SELECT, user: str = "ana") -> Verdict:
    today = case(directory, sql, user)
    found = Judge(policy(directory, shadow), surroundings()).judge(today)
    assert found is not None
    return found


# What would change.


def test_the_same_policy_changes_nothing(directory: Path) -> None:
    for sql, user in (
        (SELECT, "ana"),
        ("SELECT id FROM shop.orders", "ana"),
        ("SELECT 1", "ana"),
        ("SELECT", "ana"),
        ("SELEC 1", "ana"),
        (SELECT, "root"),
        ("DROP TABLE shop.users", "root"),
    ):
        found = judged(directory, TODAY, sql, user)
        assert (found.change, found.added, found.removed) == (Change.SAME, (), ()), sql


def test_a_column_that_would_be_masked(directory: Path) -> None:
    found = judged(directory, TODAY + "  - {columns: [shop.users.phone], mask: phone}\n")
    assert (found.change, found.outcome) == (Change.MASKS, "rewritten")
    assert found.added == ({"relation": "shop.users", "column": "phone", "mask": "phone"},)
    assert found.removed == ()


def test_a_column_that_would_be_clear(directory: Path) -> None:
    found = judged(directory, TODAY.replace("shop.users.email", "shop.users.phone"))
    assert found.removed == (EMAIL,)
    assert [mask["column"] for mask in found.added] == ["phone"]


def test_another_mask_for_the_same_column(directory: Path) -> None:
    found = judged(directory, TODAY.replace("mask: partial, with: {show_last: 4}", "mask: email"))
    assert (found.change, found.added, found.removed) == (Change.MASKS, ({**EMAIL, "mask": "email"},), (EMAIL,))


def test_the_same_mask_with_other_parameters_is_a_change_too(directory: Path) -> None:
    assert judged(directory, TODAY.replace("show_last: 4", "show_last: 1")).change is Change.OTHER


def test_a_row_filter_is_a_change_too(directory: Path) -> None:
    rows = "rows:\n  - {table: shop.users, roles: [analyst], where: \"id = 'x'\"}\n"
    assert judged(directory, TODAY + rows, "SELECT phone FROM shop.users").change is Change.OTHER


def test_a_statement_that_would_be_refused_or_allowed(directory: Path) -> None:
    found = judged(directory, TODAY.replace('shop.users"]', 'shop.orders"]'))
    assert (found.change, found.outcome, found.sqlstate) == (Change.REFUSED, "refused", "42501")
    wider = TODAY.replace('allow: ["shop.users"]', 'allow: ["shop.*"]')
    assert judged(directory, wider, "SELECT id FROM shop.orders").change is Change.ALLOWED


def test_a_user_without_a_role_could_not_log_in(directory: Path) -> None:
    found = judged(directory, TODAY.replace("[ana]", "[bob]"))
    assert (found.change, found.outcome, found.sqlstate) == (Change.LOGIN, "refused", "28000")
    assert judged(directory, TODAY.replace("[root]", "[bob]"), SELECT, "root").change is Change.LOGIN


def test_users_who_bypass_today_may_be_masked_and_the_other_way_round(directory: Path) -> None:
    masked = TODAY.replace("users: [root]", "users: [bob]").replace("[ana]", "[ana, root]")
    found = judged(directory, masked, SELECT, "root")
    assert (found.change, found.added) == (Change.MASKS, (EMAIL,))
    assert judged(directory, masked, "SELECT 1", "root").change is Change.SAME
    assert judged(directory, masked, "DROP TABLE shop.users", "root").change is Change.REFUSED
    free = TODAY.replace("users: [root]", "users: [ana]").replace("[ana]}\ndefaults", "[bob]}\ndefaults")
    assert judged(directory, free).removed == (EMAIL,)
    assert judged(directory, free, "SELECT id FROM shop.orders").change is Change.ALLOWED


def test_a_sessions_own_path_and_temporary_tables_count(directory: Path) -> None:
    judge = Judge(policy(directory, TODAY), surroundings())
    found = judge.judge(case(directory, "SELECT email FROM users"))
    assert found is not None
    assert found.change is Change.SAME
    elsewhere = replace(case(directory, "SELECT email FROM users"), event=StatementEvent("SELECT email FROM users"))
    found = judge.judge(elsewhere)  # whose path nobody followed: "public" has no such table
    assert found is not None
    assert found.change is Change.REFUSED


def test_on_the_floor_both_are_decided_on_as_if_there_were_none(directory: Path) -> None:
    """What runs there names views of the database, which say nothing of parameters and filters."""
    today = policy(directory, TODAY)
    around = replace(surroundings(), floored=lambda: today)
    floored = case(directory)
    plan = replace(floored.event.plan or Plan("", ()), sql="SELECT id, email, phone FROM pgveil_analyst.users")
    floored = replace(floored, event=replace(floored.event, plan=plan))
    changes = []
    for text in (TODAY, TODAY.replace("show_last: 4", "show_last: 1"), TODAY.replace("[ana]", "[bob]")):
        found = Judge(policy(directory, text), around).judge(floored)
        assert found is not None
        changes.append(found.change)
    assert changes == [Change.SAME, Change.OTHER, Change.LOGIN]


def test_a_veil_is_not_made_for_each_statement(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Veil] = []

    def make(*arguments: Any) -> Veil:
        made.append(Veil(*arguments))
        return made[-1]

    monkeypatch.setattr(module, "Veil", make)
    over = "{role: analyst, until: 2020-05-01T12:00Z, reason: a ticket}"
    text = TODAY.replace("{show_last: 4}", f"{{show_last: 4}}, except: [{over}]")
    judge = Judge(policy(directory, text), surroundings())
    for _ in range(3):
        judge.judge(case(directory))
    assert len(made) == 1


def test_what_was_not_kept_cannot_be_judged(directory: Path) -> None:
    judge = Judge(policy(directory, TODAY), surroundings())
    for sql in (b"", b"SELECT '\xff'"):
        assert judge.judge(Case("ana", "bypass", StatementEvent(sql), None)) is None
    assert Judge(policy(directory, TODAY), surroundings(None)).judge(case(directory)) is None


def test_a_text_that_is_too_long_for_the_veil_would_be_refused(directory: Path) -> None:
    sql = "SELECT '" + "x" * 300_000 + "'"
    found = judged(directory, TODAY.replace("[root]", "[bob]").replace("[ana]", "[root]"), sql, "root")
    assert (found.change, found.sqlstate) == (Change.REFUSED, "54000")


def test_an_exception_of_the_shadow_ends_too(directory: Path) -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
    now = [noon - 1]
    until = "{role: analyst, until: 2026-05-01T12:00Z, reason: a ticket}"
    text = TODAY.replace("{show_last: 4}", f"{{show_last: 4}}, except: [{until}]")
    judge = Judge(policy(directory, text), surroundings(clock=Clock(lambda: now[0], lambda: now[0])))
    before = judge.judge(case(directory))
    now[0] = noon
    after = judge.judge(case(directory))
    assert before is not None
    assert after is not None
    assert (before.change, before.removed, after.change) == (Change.MASKS, (EMAIL,), Change.SAME)


# The thread.


def value(metrics: Metrics, series: str) -> float:
    found = [line for line in metrics.render().decode().splitlines() if line.startswith(f"{series} ")]
    return float(found[0].split()[-1]) if found else 0


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    out = io.StringIO()
    configure_logging("info", "json", out)
    yield out
    configure_logging(stream=io.StringIO())


def trail(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


RECORD = AuditRecord(1, "ana", ("analyst",), "select", "rewritten", digest="0f", masks=1, policy="1a")


def test_the_record_is_written_with_what_was_found(directory: Path) -> None:
    metrics, path = Metrics(), directory / "audit.jsonl"
    today = case(directory, record=RECORD)
    masked = policy(directory, TODAY + "  - {columns: [shop.users.phone], mask: phone}\n")
    with Audit(path) as audit, Shadow(surroundings(), metrics, audit) as shadow:
        assert not shadow.active
        assert not shadow.consider(today)  # there is none yet: the caller writes it
        shadow.take(masked)
        assert shadow.consider(today)
    (line,) = trail(path)
    assert line["policy"] == "1a"
    assert line["ts"] == today.when.isoformat(timespec="microseconds")
    assert line["shadow"] == {
        "policy": masked.digest[:12],
        "change": "masks",
        "changed": True,
        "outcome": "rewritten",
        "sqlstate": None,
        "masks_added": [{"relation": "shop.users", "column": "phone", "mask": "phone"}],
        "masks_removed": [],
    }
    assert value(metrics, 'pgveil_shadow_statements_total{change="masks"}') == 1


def test_what_the_veil_did_not_decide_is_not_compared(directory: Path) -> None:
    with Shadow(surroundings(), Metrics(), None) as shadow:
        shadow.take(policy(directory, TODAY))
        event = StatementEvent("ask me", sqlstate="VA001", decided=False)
        assert not shadow.consider(Case("ana", "refused", event, None))


def test_a_slow_shadow_holds_nobody_up(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, released = threading.Event(), threading.Event()

    def wait(_judge: Judge, _case: Case) -> None:
        started.set()
        released.wait(PATIENCE)

    monkeypatch.setattr(Judge, "judge", wait)
    monkeypatch.setattr(module, "MAX_WAITING", 5)
    metrics, path = Metrics(), directory / "audit.jsonl"
    with Audit(path) as audit, Shadow(surroundings(), metrics, audit) as shadow:
        shadow.take(policy(directory, TODAY))
        assert shadow.consider(case(directory, record=RECORD))
        assert started.wait(PATIENCE)
        taken = [shadow.consider(case(directory, record=RECORD)) for _ in range(8)]
        assert taken == [True] * 5 + [False] * 3
        assert value(metrics, "pgveil_shadow_dropped_total") == 3
        released.set()
    # What could not be judged is in the trail all the same.
    assert [("shadow" in line) for line in trail(path)] == [False] * 6


def test_long_texts_do_not_pile_up(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_TEXT", 100)
    metrics = Metrics()
    with Shadow(surroundings(), metrics, None) as shadow:
        shadow.take(policy(directory, TODAY))
        assert not shadow.consider(Case("root", "bypass", StatementEvent("x" * 101), None))
    assert value(metrics, "pgveil_shadow_dropped_total") == 1


def test_a_fault_of_ours_ends_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch, log: io.StringIO) -> None:
    failures, real = [ValueError("secret-4711")], Judge.judge

    def sometimes(judge: Judge, found: Case) -> Verdict | None:
        if failures:
            raise failures.pop()
        return real(judge, found)

    monkeypatch.setattr(Judge, "judge", sometimes)
    metrics, path = Metrics(), directory / "audit.jsonl"
    with Audit(path) as audit, Shadow(surroundings(), metrics, audit) as shadow:
        shadow.take(policy(directory, TODAY))
        for _ in range(2):
            assert shadow.consider(case(directory, record=RECORD))
    assert value(metrics, "pgveil_shadow_dropped_total") == 1
    assert [line.get("shadow", {}).get("change") for line in trail(path)] == [None, "same"]
    assert "ValueError" in log.getvalue()
    assert "4711" not in log.getvalue()


def test_files_that_cannot_be_used_leave_the_old_shadow_and_are_said_once(directory: Path, log: io.StringIO) -> None:
    metrics = Metrics()
    with Shadow(surroundings(), metrics, None) as shadow:
        assert shadow.status() == ""
        loaded = policy(directory, TODAY)
        shadow.take(loaded)
        for _ in range(3):
            shadow.take(Broken("PolicyProblems", 2, ("p.yaml:3",)))
        assert shadow.active
        assert shadow.status() == f"shadow version {loaded.digest[:12]}, the shadow files have 2 problems"
        assert value(metrics, "pgveil_shadow_broken") == 1
        shadow.take(None)
        assert (shadow.active, shadow.status()) == (False, "")
        assert value(metrics, "pgveil_shadow_broken") == 0
    assert [json.loads(line)["event"] for line in log.getvalue().splitlines()] == [
        "a shadow policy was loaded",
        "the shadow policy cannot be used; nothing that is enforced changes",
        "there is no shadow policy any more",
    ]
