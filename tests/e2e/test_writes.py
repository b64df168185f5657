"""What a masked role may write, and what its writes could tell it: against the running proxy, over two databases that
differ in protected values and rows only."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from attack_cases import Case, load_cases, rows, schema
from conftest import Configuration, Pgveil, Serve, create_database
from raw_client import RawClient, Reply

from proxy import localpg

FOLDER = Path(__file__).with_name("writes")
USERS = {"writer": "writer", "keeper": "keeper", "local": "local", "clerk": "clerk", "temporary": "writer"}
CASES = load_cases([FOLDER / f"{name}.sql" for name in USERS])
ROW_DESCRIPTION, FIRST_USER_OID = b"T", 16384
SECRETS = {"a": ("zq8xSECRETa", 7340021), "b": ("kv3wSECRETb", 5119873)}
STEP = 113


@dataclass(frozen=True)
class World:
    proxies: dict[str, Pgveil]

    def session(self, user: str, which: str = "a") -> RawClient:
        proxy = self.proxies[which]
        return RawClient(proxy.host, proxy.port, user, f"writes_{which}")


@pytest.fixture(scope="module")
def world(postgres: localpg.LocalPostgres, serve: Serve) -> World:
    extra = (FOLDER / "schema.sql").read_text(encoding="utf-8")
    create_database(postgres, "writes_template", schema(), extra)
    proxies = {}
    for which, (ssn, salary) in SECRETS.items():
        scripts = [rows(ssn=ssn, salary=salary, step=STEP), rows(ssn=ssn, salary=salary, step=STEP, folder=FOLDER)]
        dsn = create_database(postgres, f"writes_{which}", *scripts, template="writes_template")
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE writes_{which} SET search_path = hr, shop, public")
        proxies[which] = serve(Configuration(upstream=dsn, policies=FOLDER / "policy.yaml"))
    return World(proxies)


def undone(client: RawClient, case: Case) -> Reply:
    """The case's statements, one by one, within a transaction that is rolled back; everything that they answered."""
    client.simple("BEGIN")
    replies = [client.simple(sql) for sql in case.sql.split("; ")]
    client.simple("ROLLBACK")
    return Reply([message for reply in replies for message in reply.messages])


def comparable(reply: Reply) -> list[tuple[bytes, bytes]]:
    """The messages, without the OIDs that two databases count differently: tables and types made on the way."""
    return [(tag, _described(body) if tag == ROW_DESCRIPTION else body) for tag, body in reply.messages]


def _described(body: bytes) -> bytes:
    found, at = b"", 2
    while at < len(body):
        end = body.index(b"\0", at)
        attribute, kind = struct.unpack_from("!hi", body, end + 5)
        found += body[at:end] + struct.pack("!hi", attribute, min(kind, FIRST_USER_OID)) + body[end + 11 : end + 19]
        at = end + 19
    return found


def secrets_of(salary: int) -> list[bytes]:
    values = [salary + i * STEP for i in range(1, 41)] + [salary + i for i in range(6)]
    return [str(v * times).encode() for v in values for times in (1, 2)]


def assert_expected(case: Case, reply: Reply) -> None:
    error = reply.error
    assert (f"refused {error['C']}" if error else "answers") == case.expected, error
    if error.get("C") in ("42501", "0A000"):
        assert error.get("H")


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 200
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_write_tells_nothing(case: Case, world: World) -> None:
    raw = []
    for which, (ssn, salary) in SECRETS.items():
        with world.session(USERS[case.family], which) as client:
            reply = undone(client, case)
            assert_expected(case, reply)
            after = client.simple("SELECT ssn FROM hr.emp WHERE id = 1")
        assert after.data == [b"\0\x01\0\0\0\x03***"] or after.error.get("C") == "42501"
        assert not [s for s in (ssn.encode(), *secrets_of(salary)) if s in reply.raw]
        raw.append(comparable(reply))
    assert raw[0] == raw[1]


@pytest.mark.parametrize("case", [c for c in CASES if ";" not in c.sql], ids=lambda case: case.id)
def test_the_same_over_the_extended_protocol(case: Case, world: World) -> None:
    with world.session(USERS[case.family]) as client:
        client.simple("BEGIN")
        reply = client.extended(case.sql, binary=True)
        client.simple("ROLLBACK")
    assert_expected(case, reply)
    assert SECRETS["a"][0].encode() not in reply.raw


def test_hidden_rows_are_untouched(world: World, postgres: localpg.LocalPostgres) -> None:
    count = "SELECT count(*) FROM shop.orders WHERE region = 'south' AND total = %s"
    with world.session("local") as client, psycopg.connect(postgres.dsn_for("writes_a"), autocommit=True) as direct:
        client.simple("BEGIN; UPDATE shop.orders SET total = 0 WHERE true; COMMIT")
        assert direct.execute(count, [SECRETS["a"][1]]).fetchone() == (1,)
        client.simple("DELETE FROM shop.orders WHERE id > 0 OR region = 'south'")
        assert direct.execute("SELECT region FROM shop.orders").fetchall() == [("south",)]
        direct.execute("INSERT INTO shop.orders VALUES (1, 'north', 'open', 10), (2, 'north', 'open', 20)")


def test_copy_from_the_client(world: World) -> None:
    proxy = world.proxies["a"]
    with psycopg.connect(proxy.dsn("writer", "writes_a"), autocommit=True) as connection:
        with connection.cursor().copy("COPY hr.staff (id, name, ssn) FROM STDIN") as copy:
            copy.write_row((500, "copied", "own"))
        assert connection.execute("SELECT name, ssn FROM hr.staff WHERE id = 500").fetchall() == [("copied", "***")]
        connection.execute("CREATE TEMP TABLE load (id int, word text)")
        with connection.cursor().copy("COPY load FROM STDIN WHERE id > 1") as copy:
            copy.write_row((1, "one"))
            copy.write_row((2, "two"))
        assert connection.execute("SELECT * FROM load").fetchall() == [(2, "two")]
        connection.execute("DELETE FROM hr.staff WHERE id = 500")


def test_a_temporary_table_lasts_as_long_as_it_says(world: World) -> None:
    with world.session("writer") as client:
        assert not client.simple("CREATE TEMP TABLE emp AS SELECT id, ssn AS word FROM hr.emp WHERE id = 1").error
        assert client.simple("SELECT word FROM emp").data == [b"\0\x01\0\0\0\x03***"]
        assert not client.simple("DROP TABLE emp").error
        # The name means the table again, masked.
        assert client.simple("SELECT ssn FROM emp WHERE id = 1").data == [b"\0\x01\0\0\0\x03***"]
        client.simple("BEGIN")
        client.simple("CREATE TEMP TABLE dept ON COMMIT DROP AS SELECT 1 AS one")
        assert client.simple("SELECT one FROM dept").data == [b"\0\x01\0\0\0\x011"]
        client.simple("COMMIT")
        assert len(client.simple("SELECT title FROM dept").data) == 3
        client.simple("BEGIN; CREATE TEMP TABLE dept AS SELECT 1 AS one; ROLLBACK")
        assert len(client.simple("SELECT title FROM dept").data) == 3
