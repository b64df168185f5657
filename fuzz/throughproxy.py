"""A proxy of its own before the fuzzer's database, for the cases that go all the way."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from fuzz.answers import Line
from fuzz.oracle import ProxyLine
from fuzz.world import POLICY, World

START_SECONDS = 60
_LISTENING = re.compile(r"pgveil: listening on (\S+):(\d+)")


@contextmanager
def proxied(world: World, directory: Path) -> Iterator[ProxyLine]:
    """Starts `pgveil serve` on a free port, and stops it at the end. Raises RuntimeError where it does not start."""
    settings = {
        "listen": "127.0.0.1:0",
        "http": "127.0.0.1:0",
        "upstream": {"dsn": world.server.dsn_for(world.base())},
        "auth": {"method": "trust"},
        "policies": str(POLICY),
        "audit": {"path": str(directory / "audit.jsonl")},
    }
    config, log = directory / "pgveil.yaml", directory / "pgveil.log"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(config)]
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
    try:
        host, port = _address(process, log)

        def line(user: str) -> Line:
            return Line(
                f"host={host} port={port} user={user} dbname={world.base()} connect_timeout=20", everything=True
            )

        yield line
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = _LISTENING.search(log.read_text(errors="replace"))
        if found:
            return found[1], found[2]
        time.sleep(0.02)
    raise RuntimeError(f"pgveil did not start: {log.read_text(errors='replace')}")
