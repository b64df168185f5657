"""The servers that the benchmarks of the wire run against each other: PostgreSQL, pgbouncer, pgveil.

All of them are real, listen on loopback with TCP, live in a directory of their own and end with the block that started
them. PostgreSQL is the embedded one with its TCP port opened; pgbouncer is the system's package. Nobody asks for a
password anywhere, so what is measured is the work on messages.

It does not measure (`load` does).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from proxy import localpg
from proxy.localpg.account import Account, prepare_account, run

DATABASE = "bench"
SCALE = 10
"""pgbench's: 100,000 accounts each."""
ACCOUNTS = 100_000 * SCALE
BYPASS, MASKED = "keeper", "analyst"
"""pgveil's users: one sees everything, one is masked."""

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_FIRST_THAT_PREPARES = (1, 21)
_LISTENING = re.compile(rb"pgveil: listening on \S+:(\d+)")
_TABLES = f"""
CREATE TABLE people AS
    SELECT aid, abalance, 'person' || aid || '@example.org' AS email, '+49 30 ' || aid AS phone FROM pgbench_accounts;
ALTER TABLE people ADD PRIMARY KEY (aid);
CREATE TABLE visits AS
    SELECT n AS id, n % 997 AS person, 'visitor' || n || '@example.org' AS email, '+49 40 ' || n AS phone
    FROM generate_series(1, {ACCOUNTS}) n;
"""
_POLICY = {
    "version": 1,
    "roles": {"keeper": {"users": [BYPASS], "bypass": True}, "analyst": {"users": [MASKED]}},
    "defaults": {"tables": "deny", "statements": ["select", "prepare", "transaction", "show", "set"]},
    "tables": [{"allow": ["public.*"], "roles": ["analyst"]}],
    "masks": [
        {"columns": ["public.people.email"], "mask": "email"},
        {"columns": ["public.people.phone"], "mask": "phone"},
        # A million of these: masks that cost the server little, so that it does not hide what the way costs.
        {"columns": ["public.visits.email"], "mask": "constant", "with": {"value": "hidden"}},
        {"columns": ["public.visits.phone"], "mask": "null"},
    ],
}


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves clients on a port of 127.0.0.1."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """What it has used so far, all of its threads and its children that still run."""
        return sum(_cpu_of(pid) for pid in (self.pid, *_children(self.pid)))

    def rss_bytes(self) -> int:
        """Its resident memory, children included."""
        return sum(_rss_of(pid) for pid in (self.pid, *_children(self.pid)))


def _cpu_of(pid: int) -> float:
    # schedstat counts nanoseconds; stat counts hundredths of a second.
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _rss_of(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _children(pid: int) -> list[int]:
    """Of every generation. Only of processes with one thread that starts others."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*found, *(grandchild for child in found for grandchild in _children(child))]


class Site:
    """A directory with a PostgreSQL in it, and whatever else is started before it."""

    def __init__(self, directory: Path, account: Account, programs: Path, postgres: int) -> None:
        self.directory = directory
        self.postgres = postgres
        """Its port."""
        self._account = account
        self._programs = programs
        self._count = 0

    def __repr__(self) -> str:
        return f"Site(postgres={self.postgres})"

    def program(self, name: str) -> str:
        """The path of a client program of PostgreSQL's."""
        return str(self._programs / name)

    @contextmanager
    def pgbouncer(self, **settings: object) -> Iterator[Server]:
        """pgbouncer in session mode, as its package has it but for the log; `settings` go over those here."""
        home, port = self._home("pgbouncer"), free_port()
        said: dict[str, object] = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "session",
            "default_pool_size": 100,
            "max_client_conn": 10_000,
            "log_connections": 0,
            "log_disconnections": 0,
            "log_stats": 0,
            **settings,
        }
        place = f"host=127.0.0.1 port={self.postgres} dbname={DATABASE} user={localpg.SUPERUSER}"
        lines = ["[databases]", f"{DATABASE} = {place}", "[pgbouncer]", *(f"{k} = {v}" for k, v in said.items())]
        config = home / "pgbouncer.ini"
        config.write_text("\n".join(lines) + "\n")
        with self._running([_pgbouncer(), str(config)], home, account=self._account) as process:
            _wait_for_port(port, process)
            yield Server("pgbouncer", port, process.pid)

    @contextmanager
    def pgveil(self, **settings: object) -> Iterator[Server]:
        """`pgveil serve` with the benchmark's policy; `settings` go over those here."""
        home = self._home("pgveil")
        (home / "policies").mkdir()
        (home / "policies" / "bench.yaml").write_text(yaml.safe_dump(_POLICY))
        upstream = f"postgresql://{localpg.SUPERUSER}@127.0.0.1:{self.postgres}/{DATABASE}"
        config = home / "pgveil.yaml"
        said = {
            "listen": "127.0.0.1:0",
            "http": "127.0.0.1:0",
            "upstream": {"dsn": upstream},
            "auth": {"method": "trust"},
            "policies": str(home / "policies"),
            "audit": {"path": None},
            "log": {"level": "warning"},
            **settings,
        }
        config.write_text(yaml.safe_dump(said))
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(config)]
        with self._running(command, home) as process:
            yield Server("pgveil", _wait_for_line(home / "log", process), process.pid)

    def _home(self, name: str) -> Path:
        self._count += 1
        home = self.directory / f"{name}{self._count}"
        home.mkdir()
        self._account.own(home)
        return home

    @contextmanager
    def _running(
        self, command: list[str], home: Path, account: Account | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        account = account or Account()
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home,
                env=environment,
                user=account.uid,
                group=account.gid,
                extra_groups=None if account.uid is None else [],
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def site() -> Iterator[Site]:
    """A PostgreSQL with pgbench's tables of `SCALE`, `people` with one row for each account, and `visits`, as long."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgveil-bench-")))
        directory.chmod(0o755)
        made = localpg.start(directory / "pg", durable=False)
        programs = made.bin_dir
        made.stop()
        account, _ = prepare_account(directory / "pg", programs)
        port = free_port()
        cluster = directory / "pg" / "data"
        said = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "off",
            "shared_buffers": "512MB",
        }
        options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in said.items())
        pg_ctl = [str(programs / "pg_ctl"), "-D", str(cluster), "-w"]
        started = run([*pg_ctl, "-l", str(cluster / "bench.log"), "-o", options, "start"], cwd=cluster, account=account)
        if started.returncode:
            raise RuntimeError(f"PostgreSQL does not start: {started.stdout}")
        stack.callback(run, [*pg_ctl, "-m", "fast", "stop"], cwd=cluster, account=account)
        found = Site(directory, account, programs, port)
        _fill(found)
        yield found


def _fill(found: Site) -> None:
    place = ["-h", "127.0.0.1", "-p", str(found.postgres), "-U", localpg.SUPERUSER]
    for command in (
        [found.program("createdb"), *place, DATABASE],
        [found.program("pgbench"), *place, "-i", "-q", "-s", str(SCALE), DATABASE],
        [found.program("psql"), *place, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", _TABLES, DATABASE],
        [found.program("psql"), *place, "-X", "-q", "-c", "VACUUM ANALYZE", DATABASE],
    ):
        done = run(command, cwd=found.directory)
        if done.returncode:
            raise RuntimeError(f"the benchmark's database cannot be made: {done.stdout}")


def _pgbouncer() -> str:
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise RuntimeError("pgbouncer is not installed: apt-get install pgbouncer")
    return program


def bouncer_prepares() -> bool:
    """Whether pgbouncer knows prepared statements in transaction mode: from 1.21 on."""
    said = subprocess.run([_pgbouncer(), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= _FIRST_THAT_PREPARES


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("a server of the benchmark did not start")


def _wait_for_line(log: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = _LISTENING.search(log.read_bytes())
        if found:
            return int(found[1])
        time.sleep(0.01)
    raise RuntimeError(f"pgveil did not start: {log.read_text(errors='replace')}")
