"""A proxy's life from start to stop, as its operator sees it: without an upstream, and what it says at its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from probes import PATIENCE, eventually

SETTINGS = "listen: 127.0.0.1:0\nhttp: 127.0.0.1:0\nauth: {method: trust}\naudit: {path: null}\nlog: {format: json}\n"
POLICY = "version: 1\nroles:\n  dba: {users: [dba], bypass: true}\n"


def listening_port(output: Path) -> int | None:
    """Where the proxy says that it listens, once it does."""
    lines = [line for line in output.read_text().splitlines() if line.startswith("pgveil: listening on ")]
    return int(lines[0].rpartition(":")[2]) if lines else None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_an_upstream_it_brings_a_database_and_says_when_it_ends(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "pgveil.yaml").write_text(SETTINGS)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(POLICY)
    output = tmp_path / "output"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "serve"], cwd=tmp_path, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        eventually(lambda: listening_port(output) is not None, "it listens")
        place = f"host=127.0.0.1 port={listening_port(output)} user=dba dbname=postgres"
        with psycopg.connect(place, autocommit=True) as client:
            superuser = client.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
            client.execute("CREATE SCHEMA shop")
            client.execute("CREATE TABLE shop.items (id int)")
            client.execute("CREATE TABLE items AS SELECT * FROM shop.items")
        assert superuser == (False,)
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    events = [json.loads(line) for line in output.read_text().splitlines() if line.startswith("{")]
    (draining,) = [event for event in events if event["event"] == "draining"]
    assert (draining["signal"], draining["component"]) == (number.name, "app")
    assert events[-1]["event"] == "stopped"
    assert not [event for event in events if "." in event["component"]]
