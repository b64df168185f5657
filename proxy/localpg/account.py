"""The system user that the embedded PostgreSQL runs as, and how its programs are run.

Only root has a choice to make: PostgreSQL refuses to run as root. The user is then `pgveil`, made by useradd
where it is missing, and every directory above the data and the binaries that it may not traverse is given
`o+x`. For anybody else nothing outside the data directory changes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.errors import ConfigError

SERVER_USER = "pgveil"
"""The system user that the server runs as where this process is root."""

_OTHERS_READ, _OTHERS_TRAVERSE, _GROUP_TRAVERSES, _USER_TRAVERSES = 0o004, 0o001, 0o010, 0o100


@dataclass(frozen=True, slots=True)
class Account:
    """The system user that the server's programs run as; None where that is this process's own."""

    uid: int | None = None
    gid: int | None = None

    def may_traverse(self, directory: Path) -> bool:
        status = directory.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & _USER_TRAVERSES)
        if status.st_gid == self.gid:
            return bool(status.st_mode & _GROUP_TRAVERSES)
        return bool(status.st_mode & _OTHERS_TRAVERSE)

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def prepare_account(data_dir: Path, bin_dir: Path) -> tuple[Account, tuple[Path, ...]]:
    """The server's system user, with the data directory its own and the way to all it needs open."""
    if os.geteuid() != 0:
        return Account(), ()
    entry = _system_user()
    account = Account(entry.pw_uid, entry.pw_gid)
    cluster = data_dir / "data"
    if cluster.stat().st_uid != account.uid:
        for path in (data_dir, cluster, *cluster.rglob("*")):
            account.own(path)
    opened = (*open_way(data_dir, account), *open_way(bin_dir, account))
    _open_tree(bin_dir.parent)
    return account, opened


def _system_user() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SERVER_USER)
    command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SERVER_USER]
    made = run(command, cwd=Path("/"))
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        raise ConfigError(
            f"PostgreSQL does not run as root, and there is no system user {SERVER_USER!r}",
            detail=last_lines(made.stdout),
            hint=f"Run pgveil as another user than root, or make that user: {shlex.join(command)}",
        ) from None


def open_way(path: Path, account: Account) -> tuple[Path, ...]:
    """Give `o+x` to each directory above `path` that the account may not traverse; returns those."""
    if account.uid is None:
        return ()
    closed = [directory for directory in path.parents if not account.may_traverse(directory)]
    for directory in closed:
        directory.chmod(directory.stat().st_mode | _OTHERS_TRAVERSE)
    return tuple(closed)


def _open_tree(directory: Path) -> None:
    """Make the wheel's own files readable for everybody: an install under umask 077 leaves them to root."""
    both = _OTHERS_READ | _OTHERS_TRAVERSE
    if (directory / "bin" / "postgres").stat().st_mode & both == both:
        return
    for path in (directory, *directory.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (both if mode & _USER_TRAVERSES else _OTHERS_READ))


def run(command: Sequence[str], *, cwd: Path, account: Account | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program; `stdout` has both its streams. A program that cannot be started counts as failed.

    The output goes by a file: a server inherits it, and a pipe would stay open for as long as it runs.
    """
    account = account or Account()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                cwd=cwd,
                env=environment,
                user=account.uid,
                group=account.gid,
                extra_groups=None if account.uid is None else [],
            ).returncode
        except OSError as error:
            return subprocess.CompletedProcess(command, 127, str(error))
        output.seek(0)
        return subprocess.CompletedProcess(command, code, output.read().decode(errors="replace"))


def last_lines(text: str, count: int = 5) -> str:
    return " / ".join(line.strip() for line in text.strip().splitlines()[-count:])
