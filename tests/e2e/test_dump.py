"""pg_dump of the demo database through the proxy, and its way back into a new database, through the proxy as well."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg
import pytest
from client_kinds import Place
from client_stage import assert_same, play, run
from conftest import Configuration, Pgveil, Serve
from office_world import write_policy

from proxy import localpg
from proxy.demo.load import DATABASE, ensure_loaded

TODAY = date(2026, 11, 21)
POLICY = """
version: 1
roles:
  dba: {users: [postgres], bypass: true}
  analyst: {users: [analyst]}
defaults: {tables: deny}
tables:
  - {allow: ["shop.*"], roles: [analyst]}
"""
SAME_KEY = "--restrict-key=same"
"""pg_dump writes a random word into each script, which psql asks for at its end."""


@dataclass(frozen=True)
class Archive:
    """The demo database, a proxy before it, and what a direct dump of it says."""

    server: localpg.LocalPostgres
    proxy: Pgveil
    text: str

    def direct(self, database: str = DATABASE) -> Place:
        return Place(str(self.server.socket_dir), localpg.PORT, "postgres", database)

    def through(self, database: str = DATABASE, user: str = "postgres") -> Place:
        return Place(self.proxy.host, self.proxy.port, user, database)

    def new_database(self, name: str) -> Place:
        with psycopg.connect(self.through().dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        return self.through(name)


def tool(name: str) -> str:
    return str(localpg.binaries() / name)


def dump(place: Place, *options: str) -> str:
    return run([tool("pg_dump"), SAME_KEY, *options, "-d", place.dsn]).stdout


def lines(text: str) -> list[str]:
    """The lines of a dump. Rows do not have to stand in a restored table as they stood in the first."""
    return sorted(text.splitlines())


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[Archive]:
    # Not below pytest's own directory: each pytest that starts closes that to other users, and so to the server.
    with tempfile.TemporaryDirectory(prefix="pgveil-dump-") as directory, ExitStack() as stack:
        server = localpg.start(Path(directory) / "pg", durable=False)
        stack.callback(server.stop)
        asyncio.run(ensure_loaded(server.dsn, TODAY))
        policies = write_policy(tmp_path_factory.mktemp("dump-policy"), POLICY)
        proxy = serve(Configuration(upstream=server.dsn_for(DATABASE), policies=policies))
        place = Place(str(server.socket_dir), localpg.PORT, "postgres", DATABASE)
        yield Archive(server, proxy, dump(place))
        proxy.stop()


def test_a_dump_through_the_proxy_is_the_dump(archive: Archive) -> None:
    assert len(archive.text.splitlines()) > 10_000
    assert dump(archive.through()) == archive.text


def test_pg_dump_is_told_the_same_byte_by_byte(archive: Archive) -> None:
    def program(place: Place) -> list[str]:
        return dump(place, "--schema-only").splitlines()

    assert_same(play(program, archive.direct()), play(program, archive.through()))


def test_a_dump_goes_back_through_psql(archive: Archive, tmp_path: Path) -> None:
    script = tmp_path / "dump.sql"
    script.write_text(dump(archive.through()), encoding="utf-8")
    place = archive.new_database("by_psql")
    done = run([tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script), "-d", place.dsn])
    assert done.stderr == ""
    assert lines(dump(archive.direct("by_psql"))) == lines(archive.text)


@pytest.mark.parametrize("form", ["custom", "directory"])
def test_archives_of_several_sessions_at_once(form: str, archive: Archive, tmp_path: Path) -> None:
    """`directory` with two jobs: sessions that share a snapshot."""
    file = tmp_path / "archive"
    jobs = ["-j", "2"] if form == "directory" else []
    run([tool("pg_dump"), f"--format={form}", *jobs, "-f", str(file), "-d", archive.through().dsn])
    place = archive.new_database(f"by_{form}")
    done = run([tool("pg_restore"), "--exit-on-error", "-j", "2", "-d", place.dsn, str(file)])
    assert done.stderr == ""
    assert lines(dump(archive.direct(f"by_{form}"))) == lines(archive.text)


def test_inserts_instead_of_copies(archive: Archive) -> None:
    options = ("--inserts", "--rows-per-insert=50", "--table=shop.customers")
    assert dump(archive.through(), *options) == dump(archive.direct(), *options)


def test_pg_dumpall_s_roles(archive: Archive) -> None:
    def globals_of(place: Place) -> str:
        where = ["-h", place.host, "-p", str(place.port), "-U", place.user, "-l", place.database]
        return run([tool("pg_dumpall"), SAME_KEY, "--globals-only", *where]).stdout

    assert "CREATE ROLE pgveil;" in globals_of(archive.through())
    assert globals_of(archive.through()) == globals_of(archive.direct())


def test_a_masked_role_is_refused_with_a_hint(archive: Archive) -> None:
    done = run([tool("pg_dump"), "-d", archive.through(user="analyst").dsn], status=1)
    assert done.stdout == ""
    assert "pg_dump does not work for a masked role" in done.stderr
