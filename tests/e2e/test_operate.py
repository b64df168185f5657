"""The operator's side: health, metrics, logs, audit, signals, and the commands that look at a policy."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, serving
from office_world import fetch, write_policy
from probes import (
    DATABASE,
    PATIENCE,
    POLICY,
    Speaker,
    assert_no_session_is_left,
    eventually,
    get,
    metric,
    ready,
    sample,
    startup,
)
from raw_client import RawClient, fields


@pytest.fixture
def dsn(plain_dsn: str) -> str:
    return plain_dsn


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("operated"), POLICY)


@pytest.fixture
def proxy(plain: Pgveil) -> Pgveil:
    return plain


@pytest.fixture
def short_lived(dsn: str, policies: Path, tmp_path: Path) -> Iterator[Pgveil]:
    """A proxy for a test that ends it."""
    with serving(Configuration(upstream=dsn, policies=policies), tmp_path) as found:
        yield found


def connect(proxy: Pgveil, user: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(proxy.dsn(user, DATABASE), autocommit=True)


# HTTP.


def test_health(proxy: Pgveil) -> None:
    assert get(proxy, "/healthz") == (200, "ok\n")
    found = ready(proxy)
    assert found["ready"]
    assert all(check["ok"] for check in found["checks"].values())
    assert get(proxy, "/")[0] == get(proxy, "/docs")[0] == get(proxy, "/openapi.json")[0] == 404
    request = urllib.request.Request(f"http://127.0.0.1:{proxy.http_port}/metrics", b"x", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=PATIENCE)
    refused.value.close()
    assert refused.value.code == 405


def test_metrics_count_what_happens(proxy: Pgveil) -> None:
    assert_no_session_is_left(proxy)
    counted = (
        r'pgveil_sessions_opened_total{role="analyst"}',
        r'pgveil_statements_total{kind="select",outcome="rewritten"}',
        r'pgveil_statements_total{kind="select",outcome="plain"}',
        r'pgveil_statements_total{kind="other",outcome="refused"}',
        r'pgveil_refusals_total{sqlstate="42501"}',
        r'pgveil_upstream_errors_total{class="22"}',
        r'pgveil_login_failures_total{sqlstate="28000"}',
    )
    before = {name: sample(proxy, name) for name in counted}
    with connect(proxy, "analyst") as connection:
        assert sample(proxy, 'pgveil_sessions{role="analyst"}') == 1
        connection.execute("SELECT * FROM people")
        connection.execute("SELECT 1")
        for wrong in ("DELETE FROM people", "SELECT 1 / 0"):
            with pytest.raises(psycopg.Error):
                connection.execute(wrong.encode())
    with Speaker(proxy, startup("stranger", DATABASE)) as client:
        client.greet()
    assert_no_session_is_left(proxy)
    after = {name: sample(proxy, name) for name in counted}
    rises = {name: after[name] - before[name] for name in counted}
    # SELECT 1 / 0 was decided before it failed, so it counts as plain too.
    assert rises == {**dict.fromkeys(counted, 1), counted[2]: 2}
    assert metric(proxy, "pgveil_client_bytes_total") > 0


def test_every_metric_is_pgveil_s(proxy: Pgveil) -> None:
    lines = [line for line in get(proxy, "/metrics")[1].splitlines() if line and not line.startswith("#")]
    assert lines
    assert [line for line in lines if not line.startswith("pgveil_")] == []


# Logs and audit.


def test_logs_are_json_without_values(proxy: Pgveil) -> None:
    said = ("zq8x", "person 3", "a-value-of-a-client", "no_such_thing", "SELECT", "stranger's secret")
    with connect(proxy, "analyst") as connection:
        connection.execute("SELECT * FROM people WHERE name = %s", ("a-value-of-a-client",))
        for wrong in (
            "SELECT 'a-value-of-a-client'::int",
            "SELECT no_such_thing",
            "SELECT 'a-value-of-a-client",
            "DROP TABLE x",
        ):
            with pytest.raises(psycopg.Error):
                connection.execute(wrong.encode())
    with connect(proxy, "dba") as connection:
        connection.execute("SELECT * FROM people WHERE code = 'zq8x-1'")
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT code::int FROM people")
    with Speaker(proxy, startup("dba", DATABASE, options="stranger's secret")) as client:
        client.greet()
    assert_no_session_is_left(proxy)
    lines = [line for line in proxy.output().splitlines() if not line.startswith("pgveil: listening on")]
    events = [json.loads(line) for line in lines]
    assert {"event", "level", "timestamp"} <= set.intersection(*(set(event) for event in events))
    assert [text for text in said if text in proxy.output()] == []


def test_the_audit_trail_has_a_line_for_each_statement_and_no_text(proxy: Pgveil) -> None:
    with connect(proxy, "analyst") as connection:
        connection.execute("SELECT code FROM people WHERE name = 'person 3'")
        with pytest.raises(psycopg.Error):
            connection.execute("DELETE FROM people")
    with connect(proxy, "dba") as connection:
        connection.execute("SELECT 'person 3'")
    trail = proxy.directory / "audit.jsonl"
    assert_no_session_is_left(proxy)
    eventually(lambda: len(outcomes(trail)) >= 3, "the records are written")
    assert {
        ("analyst", "select", "rewritten"),
        ("analyst", "other", "refused"),
        ("dba", "other", "bypass"),
    } <= outcomes(trail)
    assert stat.S_IMODE(trail.stat().st_mode) == 0o600
    assert "person 3" not in trail.read_text()


def outcomes(trail: Path) -> set[tuple[str, str, str]]:
    records = [json.loads(line) for line in trail.read_text().splitlines()]
    return {(record["user"], record["kind"], record["outcome"]) for record in records}


# Signals.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_drains(number: signal.Signals, short_lived: Pgveil, dsn: str) -> None:
    idle = RawClient(short_lived.host, short_lived.port, "analyst", DATABASE)
    writing = RawClient(short_lived.host, short_lived.port, "dba", DATABASE)
    busy = connect(short_lived, "dba")
    writing.simple("BEGIN")
    writing.simple("CREATE TABLE IF NOT EXISTS kept (id int)")
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(busy.execute("SELECT pg_sleep(1), 'done'").fetchone()))
    thread.start()
    eventually(lambda: sleeping(dsn) == 1, "the statement runs")
    short_lived.process.send_signal(number)
    # Who is idle is told at once.
    assert errors_of(idle) == ["57P01"]
    with pytest.raises(ConnectionError):
        socket.create_connection((short_lived.host, short_lived.port), timeout=PATIENCE).close()
    assert not ready(short_lived)["checks"]["accepting"]["ok"]
    # Who is in the middle of something finishes it.
    thread.join(PATIENCE)
    assert [row[1] for row in found if isinstance(row, tuple)] == ["done"]
    assert writing.simple("INSERT INTO kept VALUES (1)").status == b"T"
    assert writing.simple("COMMIT").status == b"I"
    assert errors_of(writing) == ["57P01"]
    assert short_lived.process.wait(PATIENCE) == 0
    assert fetch(dsn, "SELECT count(*) > 0 FROM kept") == [(True,)]
    busy.close()
    writing.socket.close()
    idle.socket.close()


def errors_of(client: RawClient) -> list[str]:
    """SQLSTATEs of what comes until the connection ends."""
    return [fields(body)["C"] for tag, body in client.messages() if tag == b"E"]


def sleeping(dsn: str) -> int:
    rows = fetch(dsn, f"SELECT 1 FROM pg_stat_activity WHERE datname = '{DATABASE}' AND wait_event = 'PgSleep'")
    return len(rows)


def test_told_twice_it_does_not_wait(short_lived: Pgveil, dsn: str) -> None:
    with RawClient(short_lived.host, short_lived.port, "dba", DATABASE) as client:
        client.send(b"Q", b"SELECT pg_sleep(3600)\0")
        eventually(lambda: sleeping(dsn) == 1, "the statement runs")
        short_lived.process.send_signal(signal.SIGTERM)
        eventually(lambda: not ready(short_lived)["checks"]["accepting"]["ok"], "it drains")
        short_lived.process.send_signal(signal.SIGTERM)
        assert errors_of(client) == ["57P01"]
    assert short_lived.process.wait(PATIENCE) == 0
    eventually(lambda: sleeping(dsn) == 0, "the statement is cancelled")


def test_an_idle_proxy_ends_at_once_and_frees_its_ports(dsn: str, policies: Path, tmp_path: Path) -> None:
    with serving(Configuration(upstream=dsn, policies=policies), tmp_path) as first:
        assert first.stop() == 0
        again = {"listen": f"127.0.0.1:{first.port}", "http": f"127.0.0.1:{first.http_port}"}
    with serving(Configuration(upstream=dsn, policies=policies, settings=again), tmp_path) as second:
        assert (second.port, second.http_port) == (first.port, first.http_port)
        assert get(second, "/healthz")[0] == 200


# Commands.


def pgveil(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_serve_says_that_its_port_is_taken(proxy: Pgveil, dsn: str, policies: Path) -> None:
    for option, port in (("--listen", proxy.port), ("--http", proxy.http_port)):
        other = {"--listen": "127.0.0.1:0", "--http": "127.0.0.1:0", option: f"127.0.0.1:{port}"}
        options = [text for pair in other.items() for text in pair]
        done = pgveil(
            "serve", *options, "--upstream", dsn, "--policies", str(policies), "--config", str(no_password(policies))
        )
        assert done.returncode == 2
        assert f"127.0.0.1:{port}" in done.stderr
        assert "hint:" in done.stderr


def no_password(policies: Path) -> Path:
    config = policies.parent / "trust.yaml"
    config.write_text("auth: {method: trust}\naudit: {path: null}\n")
    return config


def test_check(policies: Path, dsn: str, tmp_path: Path) -> None:
    assert pgveil("check", "--policies", str(policies)).returncode == 0
    assert pgveil("check", "--policies", str(policies), "--upstream", dsn).returncode == 0
    wrong = write_policy(tmp_path, POLICY.replace("bypass: true", "bypas: true").replace("constant", "constnat"))
    done = pgveil("check", "--policies", str(wrong))
    assert done.returncode == 1
    assert [line for line in ("office.yaml:4:", "office.yaml:10:", "2 problems") if line not in done.stdout] == []


def test_check_holds_names_against_the_database(dsn: str, tmp_path: Path) -> None:
    wrong = write_policy(tmp_path, POLICY.replace("public.people.code", "public.people.cod"))
    assert pgveil("check", "--policies", str(wrong)).returncode == 0
    done = pgveil("check", "--policies", str(wrong), "--upstream", dsn)
    assert done.returncode == 1
    assert "office.yaml:10:" in done.stdout
    assert "code" in done.stdout


@pytest.mark.parametrize("role", ["dba", "analyst"])
def test_simulate_shows_what_would_run(role: str, policies: Path, dsn: str) -> None:
    done = pgveil(
        "simulate", "--as", role, "--policies", str(policies), "--upstream", dsn, "SELECT name, code FROM people"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ("public.people.code" in done.stdout) == (role == "analyst")
    assert ("'hidden'" in done.stdout) == (role == "analyst")
    assert "zq8x" not in done.stdout


def test_what_simulate_shows_is_what_runs(policies: Path, dsn: str, proxy: Pgveil) -> None:
    sql = "SELECT id, code FROM people ORDER BY id"
    shown = pgveil("simulate", "--as", "analyst", "--policies", str(policies), "--upstream", dsn, sql).stdout
    rewritten = shown.split("\n\n", 1)[1]
    with connect(proxy, "analyst") as connection:
        assert fetch(dsn, rewritten) == connection.execute(sql.encode()).fetchall()


def test_simulate_shows_a_refusal_as_the_client_would_see_it(policies: Path, dsn: str) -> None:
    sql = "SELECT pg_sleep(1)"
    done = pgveil("simulate", "--as", "analyst", "--policies", str(policies), "--upstream", dsn, sql)
    assert done.returncode == 1
    assert "42501" in done.stdout
    assert "HINT:" in done.stdout
    nobody = pgveil("simulate", "--as", "nobody", "--policies", str(policies), "--upstream", dsn, sql)
    assert nobody.returncode != 0
    assert "no role" in nobody.stderr


def test_commands_say_that_the_database_is_not_there(policies: Path) -> None:
    for arguments in (["check"], ["simulate", "--as", "analyst", "SELECT 1"]):
        done = pgveil(*arguments, "--policies", str(policies), "--upstream", "postgresql://a:secret-pass@127.0.0.1:1/b")
        assert done.returncode == 1
        assert "hint:" in done.stderr
        assert "secret-pass" not in done.stderr + done.stdout
        assert "Traceback" not in done.stderr
