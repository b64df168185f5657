"""A shadow policy beside the one in force: every statement is held against it, and no client notices."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Configuration, Pgveil, serving
from office_world import write_policy
from probes import CLEAR, DATABASE, PATIENCE, POLICY, VEILED, codes_of, eventually, ready, sample
from raw_client import RawClient

MASKS_NAMES = POLICY.replace("version: 1", "version: 1\nenforce: false").replace(
    "masks:", "masks:\n  - {columns: [public.people.name], mask: redact, except: [dba]}"
)
MASKS_THE_DBA = MASKS_NAMES.replace("users: [postgres, dba]", "users: [postgres]").replace(
    "users: [analyst]", "users: [dba]"
)
"""And the analyst is in no role of it."""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write_policy(tmp_path, POLICY)


@pytest.fixture
def proxy(plain_dsn: str, policies: Path, tmp_path: Path) -> Iterator[Pgveil]:
    with serving(Configuration(upstream=plain_dsn, policies=policies), tmp_path) as found:
        yield found


def connect(proxy: Pgveil, user: str = "analyst") -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(proxy.dsn(user, DATABASE), autocommit=True)


def shadowed(proxy: Pgveil, policies: Path, text: str) -> None:
    """The shadow policy is tried from now on."""
    before = ready(proxy)["checks"]["policy"]["detail"]
    (policies / "next.yaml").write_text(text)
    eventually(lambda: ready(proxy)["checks"]["policy"]["detail"] != before, "the shadow was read")


def counted(proxy: Pgveil, change: str) -> float:
    return sample(proxy, f'pgveil_shadow_statements_total{{change="{change}"}}')


def records(proxy: Pgveil) -> list[dict[str, Any]]:
    lines = (proxy.directory / "audit.jsonl").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def report(proxy: Pgveil, *arguments: str) -> subprocess.CompletedProcess[str]:
    config = str(proxy.directory / "pgveil.yaml")
    return subprocess.run(
        [sys.executable, "-m", "proxy", "shadow", "--config", config, *arguments],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_it_is_evaluated_audited_and_not_enforced(proxy: Pgveil, policies: Path) -> None:
    statements = ("SELECT * FROM people WHERE id = 1", "SELECT 1", "SELECT no_such", "DELETE FROM people")
    with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
        before = [(client.simple(sql).raw, client.extended(sql).raw) for sql in statements]
        shadowed(proxy, policies, MASKS_NAMES)
        assert [(client.simple(sql).raw, client.extended(sql).raw) for sql in statements] == before
    assert codes_of(proxy, "analyst") == VEILED
    assert codes_of(proxy, "dba") == CLEAR
    eventually(lambda: counted(proxy, "masks") == 3, "three reads of people would be masked more")
    eventually(lambda: counted(proxy, "same") >= 5, "and the others would not")
    assert counted(proxy, "refused") == counted(proxy, "allowed") == counted(proxy, "login") == 0
    eventually(lambda: sum("shadow" in r for r in records(proxy)) >= 8, "the records are written")
    eventually(lambda: sum(r.get("shadow", {}).get("changed", False) for r in records(proxy)) >= 3, "all of them")
    changed = [r for r in records(proxy) if r.get("shadow", {}).get("changed")]
    assert [r["shadow"]["masks_added"] for r in changed] == [
        [{"relation": "public.people", "column": "name", "mask": "redact"}]
    ] * 3
    assert {r["outcome"] for r in changed} == {"rewritten"}
    # Those from before it was there say nothing of it.
    assert "shadow" not in records(proxy)[0]
    assert "person" not in (proxy.directory / "audit.jsonl").read_text()


def test_who_bypasses_the_veil_is_held_against_it_too(proxy: Pgveil, policies: Path) -> None:
    shadowed(proxy, policies, MASKS_THE_DBA)
    with connect(proxy, "dba") as dba, connect(proxy) as analyst:
        assert [row[2] for row in dba.execute("SELECT * FROM people ORDER BY id")] == CLEAR
        dba.execute("CREATE TEMPORARY TABLE mine AS SELECT 1 AS one")
        assert analyst.execute("SELECT 1").fetchone() == (1,)
    eventually(lambda: counted(proxy, "masks") == 1, "the dba's read would be masked")
    eventually(lambda: counted(proxy, "refused") == 1, "the dba's table would be refused")
    eventually(lambda: counted(proxy, "login") == 1, "the analyst would not get in")


def test_the_report_says_what_would_change(proxy: Pgveil, policies: Path) -> None:
    assert "no statement" in report(proxy).stdout
    shadowed(proxy, policies, MASKS_NAMES)
    with connect(proxy) as analyst:
        for _ in range(3):
            analyst.execute("SELECT name FROM people WHERE name = 'person 3'")
        analyst.execute("SELECT 1")
    eventually(lambda: sum("shadow" in r for r in records(proxy)) == 4, "the records are written")
    done = report(proxy)
    assert done.returncode == 1
    assert "3 of 4 statements would change" in done.stdout
    assert "analyst" in done.stdout
    assert "+ public.people.name redact" in done.stdout
    found = json.loads(report(proxy, "--json").stdout)
    (line,) = found["lines"]
    assert (line["change"], line["user"], line["roles"], line["count"]) == ("masks", "analyst", ["analyst"], 3)
    assert set(line["digests"]) == {r["digest"] for r in records(proxy) if r["shadow"]["changed"]}
    assert "person" not in done.stdout


def test_a_broken_shadow_disturbs_nobody(proxy: Pgveil, policies: Path) -> None:
    shadowed(proxy, policies, MASKS_NAMES)
    good = ready(proxy)["checks"]["policy"]["detail"]
    (policies / "next.yaml").write_text(MASKS_NAMES.replace("mask: redact", "mask: zq-4711"))
    eventually(lambda: sample(proxy, "pgveil_shadow_broken") == 1, "the shadow is known to be broken")
    assert sample(proxy, "pgveil_policy_broken") == 0
    assert ready(proxy)["checks"]["policy"]["detail"] == f"{good}, the shadow files have 1 problem"
    assert "the shadow policy cannot be used" in proxy.output()
    assert "4711" not in proxy.output()
    # What is enforced is still read, and the last good shadow is still tried.
    (policies / "office.yaml").write_text(POLICY.replace("value: hidden", "value: gone"))
    eventually(lambda: codes_of(proxy, "analyst") == ["gone"] * 5, "the new policy is in force")
    eventually(lambda: counted(proxy, "masks") > 0, "the shadow is tried")
    (policies / "next.yaml").unlink()
    eventually(lambda: "shadow" not in ready(proxy)["checks"]["policy"]["detail"], "there is no shadow any more")
    assert sample(proxy, "pgveil_shadow_broken") == 0


def test_a_broken_shadow_does_not_keep_the_proxy_from_starting(plain_dsn: str, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY)
    (policies / "next.yaml").write_text("version: 1\nenforce: false\nrolls: {}\n")
    with serving(Configuration(upstream=plain_dsn, policies=policies), tmp_path) as proxy:
        assert sample(proxy, "pgveil_shadow_broken") == 1
        assert codes_of(proxy, "analyst") == VEILED
