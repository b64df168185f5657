"""A PostgreSQL of its own that listens on a TCP port of loopback, with settings, hba lines and files of the test's."""

from __future__ import annotations

import shlex
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from proxy import localpg


@dataclass(frozen=True)
class TcpPostgres:
    """`admin` is a connection string of its superuser, over the Unix socket, which trusts everybody."""

    server: localpg.LocalPostgres
    port: int

    @property
    def admin(self) -> str:
        return f"host={self.server.socket_dir} port={self.port} user=postgres dbname=postgres"

    def uri(self, user: str, database: str, host: str = "localhost", **query: str) -> str:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return f"postgresql://{user}@{host}:{self.port}/{database}?{text}"

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def value(self, sql: str) -> object:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            row = connection.execute(sql.encode()).fetchone()
        return None if row is None else row[0]

    def stop(self) -> None:
        assert self.server._site is not None
        self.server._site.pg_ctl("stop", "-m", "immediate", "-w")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def tcp_postgres(
    version: int,
    settings: Mapping[str, str],
    hba: Sequence[str] = ("host all all all trust",),
    files: Mapping[str, Path] | None = None,
) -> Iterator[TcpPostgres]:
    """`files` are copied into the cluster's directory by these names, for its own user alone."""
    # Not below pytest's directory: another run of pytest on this machine closes the way to that.
    with tempfile.TemporaryDirectory(prefix="pgveil-tcp-") as directory:
        server = localpg.start(Path(directory) / "pg", version=version, durable=False)
        server.stop()
        site = server._site
        assert site is not None
        for name, source in (files or {}).items():
            target = site.cluster / name
            target.write_bytes(source.read_bytes())
            target.chmod(0o600)
            site.account.own(target)
        (site.cluster / "pg_hba.conf").write_text("\n".join(["local all all trust", *hba, ""]))
        with started(server, settings) as found:
            yield found


@contextmanager
def started(server: localpg.LocalPostgres, settings: Mapping[str, str]) -> Iterator[TcpPostgres]:
    site, port = server._site, free_port()
    assert site is not None
    given = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(site.socket_dir),
        "fsync": "off",
        **settings,
    }
    options = shlex.join(part for name, value in given.items() for part in ("-c", f"{name}={value}"))
    made = site.pg_ctl("start", "-w", "-l", str(site.log), "-o", options)
    assert made.returncode == 0, site.log.read_text()
    found = TcpPostgres(server, port)
    try:
        yield found
    finally:
        found.stop()


@contextmanager
def standby_of(primary: TcpPostgres, settings: Mapping[str, str]) -> Iterator[TcpPostgres]:
    """A hot standby, made by pg_basebackup. The primary has to let replication in over its Unix socket."""
    site = primary.server._site
    assert site is not None
    directory = site.data_dir.parent / "standby"
    directory.mkdir(mode=0o755)
    site.account.own(directory)
    place = ["-h", str(primary.server.socket_dir), "-p", str(primary.port), "-U", "postgres"]
    made = site.run(
        "pg_basebackup", *place, "-D", str(directory / "data"), "-R", "-X", "stream", "-c", "fast", cwd=directory
    )
    assert made.returncode == 0, made.stdout
    copy = localpg._Site(directory, site.bin_dir, directory, site.account)
    with started(localpg.LocalPostgres(directory, site.bin_dir, directory, _site=copy), settings) as found:
        yield found
