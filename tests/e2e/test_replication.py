"""Replication through the proxy: PostgreSQL's own programs and psycopg2, for bypass roles whom the policy lets.

On the oldest and the newest server that can be started here, with its own version of the programs.
"""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import psycopg2
import psycopg2.extras
import pytest
from conftest import Configuration, Pgveil, Serve
from office_world import write_policy
from probes import PATIENCE, assert_no_session_is_left, eventually, refusal, startup
from raw_client import RawClient, Reply

from proxy import localpg

DATABASE = "replicated"
MARK = "zq8x-replicated"
TABLES = """
CREATE TABLE letters (id int PRIMARY KEY, text text);
CREATE PUBLICATION everything FOR ALL TABLES;
"""
POLICY = """
version: 1
roles:
  dba: {users: [postgres, dba], bypass: true}
  analyst: {users: [analyst]}
"""
GRANT = "defaults: {statements: [select, replication]}\n"
VERSIONS = sorted({localpg.versions()[0], localpg.versions()[-1]})


@dataclass
class World:
    """A server that replicates, a proxy that lets bypass roles replicate, and one that lets nobody."""

    server: localpg.LocalPostgres
    granting: Pgveil
    silent: Pgveil

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the server's own programs, through the proxy, to its end."""
        command = self.command(program, *arguments)
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)

    def command(self, program: str, *arguments: str) -> list[str]:
        place = ("-h", self.granting.host, "-p", str(self.granting.port), "-U", "dba", "-w")
        return [str(self.server.bin_dir / program), *place, *arguments]

    def direct(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.server.dsn_for(DATABASE), autocommit=True)

    def ask(self, sql: str) -> object:
        with self.direct() as connection:
            row = connection.execute(sql.encode()).fetchone()
        return None if row is None else row[0]

    def open(self, kind: str = "database") -> RawClient:
        return RawClient(self.granting.host, self.granting.port, "dba", DATABASE, replication=kind)


@contextmanager
def logical_server(version: int) -> Iterator[localpg.LocalPostgres]:
    """A server with wal_level=logical: it takes a second start."""
    with tempfile.TemporaryDirectory(prefix="pgveil-test-") as directory:
        place = Path(directory) / "pg"
        first = localpg.start(place, version=version, durable=False)
        with psycopg.connect(first.dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET wal_level = logical")
            connection.execute("ALTER SYSTEM SET wal_keep_size = '256MB'")
        first.stop()
        server = localpg.start(place, version=version, durable=False)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module", params=VERSIONS)
def world(request: pytest.FixtureRequest, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with logical_server(request.param) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        with psycopg.connect(server.dsn_for(DATABASE), autocommit=True) as connection:
            connection.execute(TABLES.encode())
        proxies = []
        for text in (POLICY + GRANT, POLICY):
            policies = write_policy(tmp_path_factory.mktemp("replication"), text)
            proxies.append(serve(Configuration(upstream=server.dsn_for(DATABASE), policies=policies)))
        yield World(server, *proxies)
        for proxy in proxies:
            proxy.stop()


# Who


@pytest.mark.parametrize("kind", ["true", "database", "on"])
def test_who_may(kind: str, world: World) -> None:
    for proxy, user in ((world.silent, "dba"), (world.silent, "analyst"), (world.granting, "analyst")):
        error = refusal(proxy, startup(user, DATABASE, replication=kind))
        assert error["C"] == "42501"
        assert error["H"]
    with world.open(kind) as client:
        assert client.simple("IDENTIFY_SYSTEM").error == {}


def test_no_is_no(world: World) -> None:
    with RawClient(world.silent.host, world.silent.port, "dba", DATABASE, replication="off") as client:
        assert client.simple("SELECT 1").error == {}


# Programs


def test_pg_receivewal_gets_the_very_bytes(world: World, tmp_path: Path) -> None:
    made = world.run("pg_receivewal", "--slot=made", "--create-slot")
    assert made.returncode == 0, made.stderr
    world.ask("SELECT pg_create_physical_replication_slot('receiving', true)")  # from here on
    with world.direct() as connection:
        connection.execute("INSERT INTO letters SELECT i, %s FROM generate_series(1, 2000) AS i", (MARK,))
    segment = str(world.ask("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))
    end = str(world.ask("SELECT pg_switch_wal()"))
    world.ask("SELECT pg_switch_wal() FROM (SELECT txid_current()) AS t")
    got = world.run("pg_receivewal", "--slot=receiving", "--no-loop", f"--endpos={end}", "-D", str(tmp_path))
    assert got.returncode == 0, got.stderr
    received = next(path for path in tmp_path.iterdir() if path.name.startswith(segment)).read_bytes()
    sent = world.ask(f"SELECT pg_read_binary_file('pg_wal/{segment}')")
    assert isinstance(sent, bytes)
    assert received == sent
    assert MARK.encode() in received
    for slot in ("made", "receiving"):
        dropped = world.run("pg_receivewal", f"--slot={slot}", "--drop-slot")
        assert dropped.returncode == 0, dropped.stderr


def test_pg_recvlogical_gets_every_change(world: World, tmp_path: Path) -> None:
    base = ("-d", DATABASE, "--slot=logical")
    made = world.run("pg_recvlogical", *base, "--create-slot", "--plugin=pgoutput")
    assert made.returncode == 0, made.stderr
    with world.direct() as connection:
        connection.execute("TRUNCATE letters")
        connection.execute("INSERT INTO letters SELECT i, %s || i FROM generate_series(1, 5000) AS i", (MARK,))
    end, output = str(world.ask("SELECT pg_current_wal_insert_lsn()")), tmp_path / "changes"
    options = ("-o", "proto_version=1", "-o", "publication_names=everything")
    got = world.run("pg_recvlogical", *base, "--start", "--no-loop", f"--endpos={end}", "-f", str(output), *options)
    assert got.returncode == 0, got.stderr
    changes = output.read_bytes()
    assert [f"{MARK}{i}".encode() in changes for i in (1, 2500, 5000)] == [True] * 3
    assert changes.count(MARK.encode()) == 5000
    dropped = world.run("pg_recvlogical", *base, "--drop-slot")
    assert dropped.returncode == 0, dropped.stderr


@pytest.mark.parametrize("options", [["-X", "stream"], ["-X", "fetch", "-P"]], ids=" ".join)
def test_pg_basebackup_is_whole(options: list[str], world: World, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    made = world.run("pg_basebackup", "-D", str(target), "-c", "fast", "--manifest-checksums=SHA256", *options)
    assert made.returncode == 0, made.stderr
    manifest = json.loads((target / "backup_manifest").read_text())["Files"]
    assert len(manifest) > 900
    for file in manifest:
        data = (target / file["Path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["Size"], file["Checksum"])
    assert list((target / "pg_wal").glob("0*"))


def test_pg_basebackup_that_is_killed_leaves_nothing(world: World, tmp_path: Path) -> None:
    """At a rate that would take it half a minute."""
    command = world.command("pg_basebackup", "-D", str(tmp_path / "b"), "-c", "fast", "-X", "none", "-r", "1M")
    with subprocess.Popen(command, stderr=subprocess.PIPE) as backup:
        eventually(lambda: world.ask("SELECT count(*) FROM pg_stat_replication") == 1, "the backup is under way")
        backup.kill()
    assert_no_session_is_left(world.granting)
    eventually(lambda: world.ask("SELECT count(*) FROM pg_stat_replication") == 0, "the server has noticed")


# psycopg2


class EnoughError(Exception):
    """The consumer has what it waited for."""


def test_psycopg2_consumes_a_stream(world: World) -> None:
    place = f"host={world.granting.host} port={world.granting.port} user=dba dbname={DATABASE}"
    connection = psycopg2.connect(place, connection_factory=psycopg2.extras.LogicalReplicationConnection)
    seen: list[bytes] = []

    def take(message: psycopg2.extras.ReplicationMessage) -> None:
        seen.append(message.payload)
        message.cursor.send_feedback(flush_lsn=message.data_start)
        if any(f"{MARK} last".encode() in part for part in seen):
            raise EnoughError

    try:
        cursor = connection.cursor()
        cursor.create_replication_slot("python", output_plugin="pgoutput")
        options = {"proto_version": "1", "publication_names": "everything"}
        cursor.start_replication(slot_name="python", options=options, status_interval=1)
        writer = threading.Timer(0.2, _write, [world])
        writer.start()
        with pytest.raises(EnoughError):
            cursor.consume_stream(take)
        writer.join()
    finally:
        connection.close()
    assert sum(f"{MARK} n".encode() in part for part in seen) == 100
    eventually(lambda: world.ask("SELECT count(*) FROM pg_replication_slots WHERE active") == 0, "the slot is free")
    world.ask("SELECT pg_drop_replication_slot('python')")


def _write(world: World) -> None:
    """While the stream runs: several transactions, one after the other."""
    with world.direct() as connection:
        connection.execute("TRUNCATE letters")
        for i in range(100):
            connection.execute("INSERT INTO letters VALUES (%s, %s)", (i, f"{MARK} n{i}"))
        connection.execute("INSERT INTO letters VALUES (-1, %s)", (f"{MARK} last",))


# By hand


def until(client: RawClient, wanted: bytes) -> Reply:
    found = Reply()
    for tag, body in client.messages():
        found.messages.append((tag, body))
        if tag == wanted:
            break
    return found


def test_copy_both_ends_and_the_session_goes_on(world: World) -> None:
    with world.open() as client:
        start = client.simple("IDENTIFY_SYSTEM").data[0].decode(errors="replace")
        assert DATABASE in start
        for _ in range(2):
            client.send(b"Q", b"START_REPLICATION PHYSICAL " + str(_position(world)).encode() + b"\0")
            assert until(client, b"W").messages[-1] == (b"W", b"\0\0\0")
            client.send(b"d", b"r" + struct.pack("!QQQQb", 0, 0, 0, 0, 1))  # a status that asks for an answer
            assert until(client, b"d").data[-1][:1] in (b"k", b"w")
            client.send(b"c", b"")
            tags = [tag for tag, _ in until(client, b"Z").messages if tag != b"d"]
            assert tags in ([b"c", b"C", b"Z"], [b"c", b"C", b"C", b"Z"])
        assert client.simple("SELECT text FROM letters WHERE false").error == {}
        assert client.simple("START_REPLICATION SLOT nothing LOGICAL 0/0").error["C"] == "42704"
        assert client.simple("SHOW wal_level").data[0].endswith(b"logical")


def _position(world: World) -> object:
    return world.ask("SELECT pg_current_wal_flush_lsn()")


def test_what_is_no_standby_s_message_ends_it_as_postgresql_does(world: World) -> None:
    with world.open() as client:
        client.send(b"Q", b"START_REPLICATION PHYSICAL " + str(_position(world)).encode() + b"\0")
        until(client, b"W")
        client.send(b"Q", b"SELECT 1\0")
        last = [(tag, body) for tag, body in client.messages() if tag == b"E"]
    assert b"C08P01" in last[-1][1]


def test_a_replica_s_session_ends_when_the_grant_does(world: World, serve: Serve, tmp_path: Path) -> None:
    policies = write_policy(tmp_path, POLICY + GRANT)
    proxy = serve(Configuration(upstream=world.server.dsn_for(DATABASE), policies=policies))
    with RawClient(proxy.host, proxy.port, "dba", DATABASE, replication="true") as client:
        client.send(b"Q", b"START_REPLICATION PHYSICAL " + str(_position(world)).encode() + b"\0")
        until(client, b"W")
        (policies / "office.yaml").write_text(POLICY)
        last = [body for tag, body in client.messages() if tag == b"E"]
    assert last
    assert b"C57P01" in last[-1]
    proxy.stop()
