"""Policies and settings that cannot be used: at the start, and when they are read again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, serving
from office_world import write_policy
from probes import (
    CLEAR,
    DATABASE,
    PATIENCE,
    POLICY,
    VEILED,
    codes_of,
    eventually,
    sample,
)
from raw_client import RawClient, fields


@pytest.fixture
def dsn(plain_dsn: str) -> str:
    return plain_dsn


def run_serve(directory: Path, policy: str, settings: str = "") -> subprocess.CompletedProcess[str]:
    policies = write_policy(directory, policy)
    config = directory / "pgveil.yaml"
    config.write_text(
        f"listen: 127.0.0.1:0\nhttp: 127.0.0.1:0\nauth: {{method: trust}}\npolicies: {policies}\n"
        f"upstream: {{dsn: 'postgresql://nobody@127.0.0.1:1/nothing'}}\naudit: {{path: null}}\n{settings}"
    )
    return subprocess.run(
        [sys.executable, "-m", "proxy", "serve", "--config", str(config)],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


BROKEN_POLICIES = {
    "no YAML": ("version: 1\nroles: {dba: {users: [postgres]\n", ["office.yaml:"]),
    "an unknown mask": (POLICY.replace("mask: constant", "mask: constnat"), ["office.yaml:10", "constant"]),
    "two problems": (
        POLICY.replace("mask: constant", "mask: nonsense").replace("bypass: true", "bypas: true"),
        ["office.yaml:4", "office.yaml:10"],
    ),
}


@pytest.mark.parametrize("case", BROKEN_POLICIES)
def test_a_policy_that_cannot_be_used_keeps_the_proxy_from_starting(case: str, tmp_path: Path) -> None:
    text, said = BROKEN_POLICIES[case]
    done = run_serve(tmp_path, text)
    assert done.returncode == 2
    assert "listening" not in done.stdout
    assert [part for part in said if part not in done.stderr] == []
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("asq: {}\n", "unknown setting asq; did you mean ask?"),
        ("ask: {provider: opnai}\n", "ask.provider"),
        ("workers: many\n", "workers"),
        ("tls: {cert: a}\n", "tls"),
    ],
)
def test_settings_that_cannot_be_used_keep_the_proxy_from_starting(settings: str, said: str, tmp_path: Path) -> None:
    done = run_serve(tmp_path, POLICY, settings)
    assert done.returncode == 2
    assert f"pgveil.yaml:7: {said}" in done.stderr


def test_a_policy_that_breaks_later_leaves_the_good_one_in_force(dsn: str, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(upstream=dsn, policies=policies), tmp_path) as proxy:
        with psycopg.connect(proxy.dsn("analyst", DATABASE), autocommit=True) as session:
            reload(proxy, policies, POLICY.replace("mask: constant", "mask: nonsense"), "failed")
            assert "office.yaml:10" in proxy.output()
            assert "the old ones stay in force" in proxy.output()
            assert codes_of(proxy, "analyst") == VEILED
            assert session.execute("SELECT code FROM people WHERE id = 1").fetchone() == ("hidden",)
            reload(proxy, policies, POLICY.replace("value: hidden", "value: gone"), "ok")
            # The open session too.
            assert session.execute("SELECT code FROM people WHERE id = 1").fetchone() == ("gone",)
            (policies / "office.yaml").unlink()
            reload(proxy, policies, None, "failed")
            assert session.execute("SELECT code FROM people WHERE id = 1").fetchone() == ("gone",)
        assert codes_of(proxy, "dba") == CLEAR


def reload(proxy: Pgveil, policies: Path, text: str | None, outcome: str) -> None:
    """SIGHUP with a new policy, and the wait for the metric that tells what became of it."""
    name = f'pgveil_policy_loads_total{{outcome="{outcome}"}}'
    before = sample(proxy, name)
    if text is not None:
        (policies / "office.yaml").write_text(text)
    proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: sample(proxy, name) == before + 1, f"{name} goes up")


def test_a_session_whose_role_is_gone_is_ended(dsn: str, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(upstream=dsn, policies=policies), tmp_path) as proxy:
        with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
            reload(proxy, policies, POLICY.replace("users: [analyst]", "users: [somebody]"), "ok")
            assert [fields(body)["C"] for tag, body in client.messages() if tag == b"E"] == ["57P01"]
        with pytest.raises(psycopg.OperationalError, match="in no role of the policy"):
            psycopg.connect(proxy.dsn("analyst", DATABASE))
