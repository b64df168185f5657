"""The embedded PostgreSQL: who starts it, who joins it, who stops it, and what it survives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from proxy import localpg
from proxy.errors import ConfigError

Start = Callable[[Path], localpg.LocalPostgres]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers that the test need not stop."""
    started: list[localpg.LocalPostgres] = []

    def begin(data_dir: Path) -> localpg.LocalPostgres:
        started.append(localpg.start(data_dir, durable=False))
        return started[-1]

    yield begin
    for server in started:
        server.stop()


def ask(server: localpg.LocalPostgres, sql: str) -> object:
    with psycopg.connect(server.dsn) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def runs(server: localpg.LocalPostgres) -> bool:
    return (server.data_dir / "data" / "postmaster.pid").exists()


@pytest.mark.parametrize("name", ["plain", "with space, comma 'quote'", "long" * 40])
def test_any_path_will_do(tmp_path: Path, start: Start, name: str) -> None:
    server = start(tmp_path / name)
    assert ask(server, "SELECT current_setting('server_version_num')::int / 10000") == 18
    psql = run(server.bin_dir / "psql", server.dsn, "-Atc", "SELECT upper('é')")
    assert (psql.stdout, psql.stderr) == ("É\n", "")


def test_it_listens_on_no_network(tmp_path: Path, start: Start) -> None:
    server = start(tmp_path / "pg")
    assert ask(server, "SELECT current_setting('listen_addresses')") == ""
    socket = server.socket_dir / ".s.PGSQL.5432"
    assert socket.stat().st_mode & 0o077 == 0


def test_data_outlives_a_stop(tmp_path: Path, start: Start) -> None:
    first = start(tmp_path / "pg")
    ask(first, "SELECT lo_from_bytea(4711, 'kept')")
    first.stop()
    assert not runs(first)
    first.stop()
    assert ask(start(tmp_path / "pg"), "SELECT lo_get(4711)") == b"kept"


def test_the_last_user_stops_it(tmp_path: Path, start: Start) -> None:
    first, second = start(tmp_path / "pg"), start(tmp_path / "pg")
    first.stop()
    assert ask(second, "SELECT 1") == 1
    second.stop()
    assert not runs(second)


LEAVE = """
import os, sys
from pathlib import Path
from proxy import localpg
server = localpg.start(Path(sys.argv[1]), durable=False)
print((server.data_dir / "data" / "postmaster.pid").read_text().split()[0], flush=True)
if sys.argv[2] == "killed":
    os._exit(9)
"""


def test_a_server_that_a_killed_process_left_is_joined_and_stopped(tmp_path: Path, start: Start) -> None:
    left = run(sys.executable, "-c", LEAVE, tmp_path / "pg", "killed")
    assert left.returncode == 9
    server = start(tmp_path / "pg")
    assert ask(server, "SELECT pg_catalog.split_part(pg_read_file('postmaster.pid'), E'\\n', 1)") == left.stdout.strip()
    server.stop()
    assert not runs(server)


def test_a_process_that_ends_stops_its_server(tmp_path: Path) -> None:
    ended = run(sys.executable, "-c", LEAVE, tmp_path / "pg", "ends")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not (tmp_path / "pg" / "data" / "postmaster.pid").exists()


def test_a_process_number_that_somebody_else_has_now_is_no_server(tmp_path: Path, start: Start) -> None:
    server = start(tmp_path / "pg")
    server.stop()
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        cluster = tmp_path / "pg" / "data"
        (cluster / "postmaster.pid").write_text(
            f"{sleeper.pid}\n{cluster}\n1700000000\n5432\n{tmp_path}\n\n0 0\nready\n"
        )
        assert ask(start(tmp_path / "pg"), "SELECT 1") == 1
    finally:
        sleeper.kill()
        sleeper.wait()


def test_it_stops_though_its_directories_were_closed_again(tmp_path: Path, start: Start) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = start(closed / "pg")
    closed.chmod(0o700)
    assert ask(server, "SELECT 1") == 1
    server.stop()
    assert not runs(server)


def test_a_half_made_cluster_is_made_again(tmp_path: Path, start: Start) -> None:
    half = tmp_path / "pg" / "making"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert ask(start(tmp_path / "pg"), "SELECT 1") == 1


def test_a_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    localpg.start(tmp_path / "pg", version=16, durable=False).stop()
    with pytest.raises(ConfigError, match="of PostgreSQL 16, not 18") as caught:
        localpg.start(tmp_path / "pg")
    assert "Delete" in str(caught.value.hint)


def test_a_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no embedded PostgreSQL 12"):
        localpg.start(tmp_path / "pg", version=12)


def test_a_server_that_cannot_start_says_why(tmp_path: Path, start: Start) -> None:
    start(tmp_path / "pg").stop()
    with (tmp_path / "pg" / "data" / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = nonsense\n")
    with pytest.raises(Exception, match=r"did not start: .*shared_buffers") as caught:
        start(tmp_path / "pg")
    assert "server.log" in str(getattr(caught.value, "hint", ""))
