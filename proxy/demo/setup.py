"""What the demo stands on: a server, the database on it, and the settings file of the proxy.

Everything that it makes is in `.pgveil/` of the working directory; deleting that directory undoes it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from proxy import localpg
from proxy.demo.child import check_free
from proxy.demo.load import ACCOUNT, DATABASE, ensure_loaded
from proxy.demo.screen import Screen
from proxy.errors import ConfigError
from proxy.settings import Settings, load_settings

POLICY_FILE = "demo.yaml"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo's parts are."""

    server: localpg.LocalPostgres
    config: Path
    log: Path
    settings: Settings


@contextmanager
def prepared(screen: Screen, home: Path) -> Iterator[Place]:
    """Everything up to the proxy, stopped again when the block ends. `home` is the directory to keep it in.

    Raises ConfigError: a port is in use, the policy is not found, a database of that name is somebody's own.
    """
    policies = _policies()
    settings = load_settings({"config": str(_write_config(home, policies))}, os.environ)
    check_free(settings.listen, "PGVEIL_LISTEN")
    check_free(settings.http, "PGVEIL_HTTP")
    with screen.working("Starting PostgreSQL 18", "PostgreSQL 18 runs on a unix socket"):
        server = localpg.start(home / "pg18", durable=False)
    try:
        for directory in server.opened:
            screen.say(f"  {directory} is open now for others to pass through (chmod o+x), because you are root.")
        _load(screen, server)
        config = _write_config(home, policies, server.dsn_for(DATABASE, ACCOUNT))
        settings = load_settings({"config": str(config)}, os.environ)
        yield Place(server, config, home / "pgveil.log", settings)
    finally:
        server.stop()


def _load(screen: Screen, server: localpg.LocalPostgres) -> None:
    with screen.counting("Loading the demo database") as counter:
        today = datetime.now().astimezone().date()
        loaded = asyncio.run(ensure_loaded(server.dsn, today, counter))
    if loaded.made:
        screen.say(f"The demo database has {loaded.tables} tables and {loaded.rows:,} rows")
    else:
        screen.say(f"The demo database is there already, made on {loaded.as_of}")


def _policies() -> Path:
    """The directory of the demo's policy: of the working directory, or of the checkout that this package is in."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (root / "policies" / POLICY_FILE).is_file():
            return root / "policies"
    raise ConfigError(f"policies/{POLICY_FILE} is not there", hint="Run the demo in a checkout of pgveil.")


def _write_config(home: Path, policies: Path, dsn: str | None = None) -> Path:
    """A settings file that a newcomer can read and go on from. YAML takes JSON's strings."""
    home.mkdir(parents=True, exist_ok=True)
    config = home / "demo.yaml"
    lines = ["# Written by `pgveil demo`, which writes it again at every start.", "listen: 127.0.0.1:6432"]
    lines += ["http: 127.0.0.1:9432", f"policies: {json.dumps(str(policies))}"]
    lines += ["auth: {method: trust} # anybody on this machine, as any user: for the demo only"]
    lines += [f"audit: {{path: {json.dumps(str(home.resolve() / 'audit.jsonl'))}}}"]
    lines += [f"upstream: {{dsn: {json.dumps(dsn)}}}"] if dsn else []
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config
