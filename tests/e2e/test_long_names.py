"""PostgreSQL looks at 63 bytes of a statement's or portal's name. Whoever looks at more takes one name for two."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Configuration, Pgveil, serving
from office_world import write_policy
from probes import CLEAR, DATABASE, POLICY, eventually, sample
from raw_client import RawClient, Reply

LONG = "n" * 63
LOOK = "SELECT code FROM people WHERE id = 1"
SLOW = "SELECT count(*) FROM generate_series(1, 2000000000)"
GOOD = 'pgveil_policy_loads_total{outcome="ok"}'
LIMITED = POLICY + "limits:\n  - {roles: [analyst], statement_timeout_s: 0.5}\n"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write_policy(tmp_path, LIMITED)


@pytest.fixture
def proxy(plain_dsn: str, policies: Path, tmp_path: Path) -> Iterator[Pgveil]:
    with serving(Configuration(upstream=plain_dsn, policies=policies), tmp_path) as found:
        yield found


def prepare(client: RawClient, name: str, sql: str) -> Reply:
    client.send(b"P", name.encode() + b"\0" + sql.encode() + b"\0" + struct.pack("!h", 0))
    client.send(b"S", b"")
    return client.reply()


def run(client: RawClient, portal: str, statement: str, read: str) -> Reply:
    """Binds a statement to a portal, and executes the portal called `read`."""
    client.send(b"B", portal.encode() + b"\0" + statement.encode() + b"\0" + struct.pack("!hhh", 0, 0, 0))
    client.send(b"E", read.encode() + b"\0" + struct.pack("!i", 0))
    client.send(b"S", b"")
    return client.reply()


@pytest.mark.parametrize(
    ("portal", "statement", "read"),
    [("", LONG + "2", ""), (LONG + "1", LONG + "1", LONG + "2"), (LONG + "é", LONG + "2", LONG + "x")],
)
def test_limits_hold_however_the_name_ends(proxy: Pgveil, portal: str, statement: str, read: str) -> None:
    with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
        assert not prepare(client, LONG + "1", SLOW).error
        assert run(client, portal, statement, read).error["C"] == "57014"


def test_the_policy_in_force_holds_however_the_name_ends(proxy: Pgveil, policies: Path) -> None:
    with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
        assert not prepare(client, LONG + "1", LOOK).error
        assert run(client, "", LONG + "2", "").data == [struct.pack("!hi", 1, 6) + b"hidden"]
        loads = sample(proxy, GOOD)
        (policies / "office.yaml").write_text(LIMITED.replace("value: hidden", "value: gone"))
        eventually(lambda: sample(proxy, GOOD) > loads, "the new policy is in force")
        assert run(client, "", LONG + "2", "").data == [struct.pack("!hi", 1, 4) + b"gone"]
        assert CLEAR[0].encode() not in run(client, "", LONG + "3", "").raw


def test_a_name_that_begins_like_another_is_taken(proxy: Pgveil) -> None:
    with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
        assert not prepare(client, LONG + "1", LOOK).error
        assert prepare(client, LONG + "2", "SELECT 1").error["C"] == "42P05"
        client.send(b"C", b"S" + LONG.encode() + b"3\0")
        client.send(b"S", b"")
        assert not client.reply().error
        assert not prepare(client, LONG + "2", "SELECT 1").error
        assert run(client, "", LONG + "4", "").data == [struct.pack("!hi", 1, 1) + b"1"]


def test_limits_hold_for_names_that_sql_has_cut(proxy: Pgveil) -> None:
    with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
        assert not client.simple(f'PREPARE "{LONG}1" AS {SLOW}').error
        assert run(client, "", LONG + "2", "").error["C"] == "57014"
        assert client.simple(f'EXECUTE "{LONG}3"').error["C"] == "57014"
