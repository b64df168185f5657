"""Exceptions that end at a moment: clear until then, masked from that second on, in sessions that are open too."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, create_database, serving
from office_world import write_policy
from probes import DATABASE, POLICY, TABLES, eventually, sample
from raw_client import RawClient, Reply

from proxy import localpg

LOOK = "SELECT code FROM people WHERE id = 1"
GRACE = timedelta(seconds=5)
"""Until the exception ends: enough to connect and look once."""


@dataclass(frozen=True)
class Excepting:
    proxy: Pgveil
    policies: Path

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.proxy.dsn("analyst", DATABASE), autocommit=True)

    def client(self) -> RawClient:
        return RawClient(self.proxy.host, self.proxy.port, "analyst", DATABASE)

    def until(self, moment: datetime) -> None:
        """The analyst sees everything until then; returns when that is in force."""
        before = sample(self.proxy, 'pgveil_policy_loads_total{outcome="ok"}')
        excepted = POLICY.replace("except: [dba]", f"except: [dba, {exception(moment)}]")
        (self.policies / "office.yaml").write_text(excepted)
        loaded = 'pgveil_policy_loads_total{outcome="ok"}'
        eventually(lambda: sample(self.proxy, loaded) > before, "the exception is in force")


@pytest.fixture
def excepting(plain_dsn: str, tmp_path: Path) -> Iterator[Excepting]:
    policies = write_policy(tmp_path, POLICY)
    with serving(Configuration(upstream=plain_dsn, policies=policies), tmp_path) as proxy:
        yield Excepting(proxy, policies)


def test_it_ends_at_its_second_for_a_session_that_is_open(excepting: Excepting) -> None:
    end = datetime.now(UTC) + GRACE
    excepting.until(end)
    with excepting.connect() as session, excepting.connect() as plain:
        seen: list[tuple[datetime, datetime, str]] = []
        while not seen or seen[-1][2] != "hidden":
            for one, prepared in ((session, True), (plain, False)):
                asked = datetime.now(UTC)
                (row,) = one.execute(LOOK, prepare=prepared).fetchall()
                seen.append((asked, datetime.now(UTC), str(row[0])))
            assert datetime.now(UTC) < end + timedelta(seconds=30)
        assert "zq8x-1" in {value for _, answered, value in seen if answered < end}
        assert {value for asked, _, value in seen if asked >= end} <= {"hidden"}
        assert {value for _, answered, value in seen if answered < end} == {"zq8x-1"}
        # And it stays so, for both ways of asking.
        assert [one.execute(LOOK).fetchone() for one in (session, plain)] == [("hidden",)] * 2
    eventually(lambda: ended(excepting.proxy) != [], "the log says it")
    (line,) = ended(excepting.proxy)
    assert (line["roles"], line["approved_by"]) == (["analyst"], "kim")
    assert str(line["place"]).endswith("office.yaml:10")
    assert "4711" not in excepting.proxy.output()


def test_nothing_that_was_prepared_or_bound_before_outlives_it(excepting: Excepting) -> None:
    """It is decided on again when it runs, and refused in the words by which drivers know that they prepare again."""
    end = datetime.now(UTC) + GRACE
    excepting.until(end)
    with (
        excepting.client() as sql,
        excepting.client() as wire,
        excepting.client() as portal,
        excepting.client() as cursor,
    ):
        assert sql.simple("PREPARE look AS SELECT code FROM people").error == {}
        assert clear(sql.simple("EXECUTE look"))
        prepare(wire)
        assert clear(run(wire))
        cursor.simple("BEGIN")
        cursor.simple("DECLARE waits CURSOR FOR SELECT code FROM people")
        assert cursor.simple("FETCH 1 FROM waits").data == [b"\0\x01\0\0\0\x06zq8x-1"]
        portal.simple("BEGIN")
        prepare(portal)
        portal.send(b"B", b"waits\0look\0" + struct.pack("!hhh", 0, 0, 0))
        assert clear(run(portal))
        while datetime.now(UTC) < end:
            time.sleep(0.05)
        assert sql.simple("EXECUTE look").error["R"] == "RevalidateCachedQuery"
        assert cursor.simple("FETCH 1 FROM waits").error["C"] == "55000"
        # By protocol, only the masks have changed: it is prepared again in the client's place.
        assert run(wire).data == [b"\0\x01\0\0\0\x06hidden"] * 5
        portal.send(b"E", b"waits\0" + struct.pack("!i", 0))
        portal.send(b"S", b"")
        assert portal.reply().error["R"] == "RevalidateCachedQuery"


def test_on_the_floor_what_was_begun_before_is_not_read_on(postgres: localpg.LocalPostgres, tmp_path: Path) -> None:
    """The views there end an exception by themselves, but rows that a cursor has made already stay as they were."""
    dsn = create_database(postgres, "floor_until", TABLES)
    end = datetime.now(UTC) + 3 * GRACE
    policies = write_policy(tmp_path, POLICY.replace("except: [dba]", f"except: [dba, {exception(end)}]"))
    command = [sys.executable, "-m", "proxy", "harden", "--upstream", dsn, "--policies", str(policies)]
    script = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    with psycopg.connect(postgres.dsn_for("floor_until", "postgres"), autocommit=True) as direct:
        direct.execute(script.stdout.encode())
    configuration = Configuration(dsn, policies, {"upstream": {"dsn": dsn, "login": "floor"}})
    with serving(configuration, tmp_path) as proxy:
        clients = [RawClient(proxy.host, proxy.port, "analyst", "floor_until") for _ in range(3)]
        held, sorting, portal = clients
        assert held.simple(f"DECLARE c CURSOR WITH HOLD FOR {SORTED}").error == {}
        sorting.simple("BEGIN")
        assert sorting.simple(f"DECLARE c CURSOR FOR {SORTED}").error == {}
        portal.simple("BEGIN")
        portal.send(b"P", f"look\0{SORTED}\0".encode() + struct.pack("!h", 0))
        portal.send(b"B", b"waits\0look\0" + struct.pack("!hhh", 0, 0, 0))
        for client in clients[:2]:
            assert client.simple("FETCH 1 FROM c").data == [b"\0\x01\0\0\0\x06zq8x-1"]
        assert part(portal).data == [b"\0\x01\0\0\0\x06zq8x-1"]
        while datetime.now(UTC) < end:
            time.sleep(0.05)
        for client in clients[:2]:
            assert client.simple("FETCH 1 FROM c").error["C"] == "55000"
        assert part(portal).error["R"] == "RevalidateCachedQuery"
        for client in clients:
            client.socket.close()


SORTED = "SELECT code FROM people ORDER BY id"


def part(client: RawClient) -> Reply:
    client.send(b"E", b"waits\0" + struct.pack("!i", 1))
    client.send(b"S", b"")
    return client.reply()


def exception(moment: datetime) -> str:
    return f"{{role: analyst, until: '{moment.isoformat()}', reason: ticket zq-4711, approved_by: kim}}"


def prepare(client: RawClient) -> None:
    client.send(b"P", b"look\0SELECT code FROM people\0" + struct.pack("!h", 0))


def run(client: RawClient) -> Reply:
    client.send(b"B", b"\0look\0" + struct.pack("!hhh", 0, 0, 0))
    client.send(b"E", b"\0" + struct.pack("!i", 0))
    client.send(b"S", b"")
    return client.reply()


def clear(reply: Reply) -> bool:
    return reply.error == {} and all(b"zq8x-" in row for row in reply.data) and len(reply.data) == 5


def test_one_that_was_over_before_never_shows(excepting: Excepting) -> None:
    with excepting.connect() as session:
        excepting.until(datetime.now(UTC) - timedelta(seconds=1))
        assert session.execute(LOOK).fetchone() == ("hidden",)
    assert ended(excepting.proxy) == []


def ended(proxy: Pgveil) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in proxy.output().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "an exception from a mask has ended"]
