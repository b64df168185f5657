"""Real servers for the end-to-end tests: one embedded PostgreSQL a run, a pgveil process per configuration.

Everything listens on a free port of the loopback interface or on a unix socket, and is stopped by its process id.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml

from proxy import localpg

if TYPE_CHECKING:
    from asking_desk import Desk
    from client_stage import Stage
    from office_front import Office

# Tests that run alone find the scripted model too.
sys.path.insert(0, str(Path(__file__).parents[1] / "nl"))

START_SECONDS = 60
_LISTENING = re.compile(r"pgveil: listening on (\S+):(\d+)")


@dataclass
class Pgveil:
    """A running `pgveil serve`. `output()` is everything that it printed or logged so far."""

    host: str
    port: int
    http_port: int
    process: subprocess.Popen[bytes]
    log: Path
    directory: Path

    def output(self) -> str:
        """What it has logged: whole lines, as long as it runs."""
        over = self.process.poll() is not None
        text = self.log.read_text(errors="replace")
        return text if over else text[: text.rfind("\n") + 1]

    def dsn(self, user: str, database: str, **options: str) -> str:
        """A libpq connection string through the proxy."""
        extra = "".join(f" {key}='{value}'" for key, value in options.items())
        return f"host={self.host} port={self.port} user={user} dbname={database} connect_timeout=20{extra}"

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@dataclass
class Configuration:
    """What a pgveil.yaml says, policies by path; keys as in docs/settings.md."""

    upstream: str
    policies: Path
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


Serve = Callable[[Configuration], Pgveil]


@contextmanager
def serving(configuration: Configuration, directory: Path) -> Iterator[Pgveil]:
    """Starts `pgveil serve`, waits for its listening line, stops it at the end."""
    settings = {
        "listen": "127.0.0.1:0",
        "http": "127.0.0.1:0",
        "upstream": {"dsn": configuration.upstream},
        "auth": {"method": "trust"},
        "policies": str(configuration.policies),
        "audit": {"path": str(directory / "audit.jsonl")},
        **configuration.settings,
    }
    config = directory / "pgveil.yaml"
    config.write_text(yaml.safe_dump(settings))
    log = directory / "pgveil.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "serve", "--config", str(config)],
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **configuration.environment},
        )
    try:
        yield _wait_for_start(process, log, directory)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_start(process: subprocess.Popen[bytes], log: Path, directory: Path) -> Pgveil:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        found = _LISTENING.search(text)
        if found:
            return Pgveil(found[1], int(found[2]), _http_port(text), process, log, directory)
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"pgveil did not start: {log.read_text(errors='replace')}")


def _http_port(text: str) -> int:
    for line in text.splitlines():
        if line.startswith("{") and '"http' in line:
            event = json.loads(line)
            if "port" in event:
                return int(event["port"])
    return 0


@pytest.fixture(scope="session")
def postgres() -> Iterator[localpg.LocalPostgres]:
    """PostgreSQL 18 with nothing in it."""
    with tempfile.TemporaryDirectory(prefix="pgveil-test-") as directory:
        server = localpg.start(Path(directory) / "pg18", durable=False)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts proxies that live until the end of the run."""
    with ExitStack() as stack:
        started: list[Pgveil] = []

        def start(configuration: Configuration) -> Pgveil:
            started.append(stack.enter_context(serving(configuration, tmp_path_factory.mktemp("pgveil"))))
            return started[-1]

        yield start
        for proxy in started:  # all at once; each is waited for on the way out
            if proxy.process.poll() is None:
                proxy.process.send_signal(signal.SIGTERM)


@pytest.fixture(scope="session")
def office(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Office:
    """The office database behind a proxy, and what each role should see of it."""
    from office_front import open_office

    return open_office(postgres, serve, tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="session")
def desk(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The office database behind a proxy whose model is scripted, and behind one with the translator."""
    from asking_desk import open_desk

    with open_desk(postgres, serve, tmp_path_factory.mktemp("desk")) as found:
        yield found


@pytest.fixture(scope="session")
def stage(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The database that clients' programs play on, behind a proxy, and what records both."""
    from client_stage import open_stage

    return open_stage(postgres, serve, tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="session")
def plain_dsn(postgres: localpg.LocalPostgres) -> str:
    """The database of the tests that are not about data."""
    from probes import DATABASE, TABLES

    return create_database(postgres, DATABASE, TABLES)


@pytest.fixture(scope="session")
def plain(plain_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Pgveil:
    """A proxy before it. Every test leaves it as it was, whatever it does to it."""
    from office_world import write_policy
    from probes import POLICY

    policies = write_policy(tmp_path_factory.mktemp("plain"), POLICY)
    return serve(Configuration(upstream=plain_dsn, policies=policies))


@pytest.fixture
def still_serves(plain: Pgveil) -> Iterator[None]:
    """After the test normal clients get their answers from that proxy, and nothing is left of the others."""
    from probes import assert_no_session_is_left, assert_serves

    yield
    assert_serves(plain)
    assert_no_session_is_left(plain)


def create_database(postgres: localpg.LocalPostgres, name: str, *scripts: str, template: str = "template1") -> str:
    """A database made from scripts; its DSN. A leftover of that name is dropped."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    dsn = postgres.dsn_for(name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for script in scripts:
            connection.execute(script)
    return dsn
