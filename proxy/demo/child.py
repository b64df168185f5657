"""The proxy of the demo: `python -m proxy serve` as a child process, so that the tour's clients are clients.

What it prints goes to a log file; the line that says where it listens is read from there. It runs in a session of
its own: Ctrl-C reaches the demo alone, which then ends it as an operator would, by SIGTERM.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from proxy.errors import ConfigError, PgveilError
from proxy.settings.addresses import HostPort

START_SECONDS = 60
STOP_SECONDS = 15
_LISTENING = re.compile(r"^pgveil: listening on (\S+)$", re.MULTILINE)
_LOG_LINES = 25


class DemoError(PgveilError):
    """A step of the demo failed."""


class ChildProxy:
    """A running proxy. `address` is where it says that it listens."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, address: HostPort) -> None:
        self._process = process
        self._log = log
        self.address = address

    @classmethod
    def start(cls, config: Path, log: Path) -> ChildProxy:
        """A proxy with this settings file. Raises DemoError, with the last lines of `log`, if it does not listen."""
        process = _launch(config, log)
        try:
            return cls(process, log, _wait_until_listening(process, log))
        except BaseException:
            _stop(process)
            raise

    def wait(self) -> DemoError:
        """Returns when the proxy ends, which it should not do by itself."""
        self._process.wait()
        return _ended(self._process, self._log)

    def stop(self) -> None:
        """Let it drain, for a while."""
        _stop(self._process)


def _launch(config: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(config)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )


def check_free(address: HostPort, variable: str) -> None:
    """Raise ConfigError if something listens there; `variable` is the setting to choose another place with."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            other = HostPort(address.host, address.port + 1000 if address.port < 60_000 else 0)  # noqa: PLR2004
            raise ConfigError(
                f"cannot listen on {address}: {(error.strerror or 'it is in use').lower()}",
                hint=f"Another demo may be running. Take another port: {variable}={other} make demo",
            ) from error


def _wait_until_listening(process: subprocess.Popen[bytes], log: Path) -> HostPort:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = _LISTENING.search(log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return HostPort.parse(found[1])
        if process.poll() is not None:
            raise _ended(process, log)
        time.sleep(0.02)
    raise DemoError(f"the proxy did not listen within {START_SECONDS} s", detail=_tail(log), hint=f"Its log: {log}")


def _ended(process: subprocess.Popen[bytes], log: Path) -> DemoError:
    return DemoError(f"the proxy ended with status {process.poll()}", detail=_tail(log), hint=f"Its log: {log}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_LOG_LINES:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
