"""Every client sends the same statements through the proxy: as a bypass role it gets what PostgreSQL says, and as a
masked role what hand-written masked views say.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from client_kinds import KINDS, Clients
from office_front import ROLES, Office
from office_world import EMPLOYEES, PHOTO, secrets_in


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with Clients() as opened:
        yield opened


@dataclass(frozen=True)
class Statement:
    """`$1` stands for a parameter. psql sends every value as text, and the others what Python has."""

    name: str
    sql: str
    values: tuple[object, ...] = ()


PLACED = datetime(2024, 3, 11, tzinfo=UTC)
STATEMENTS = [
    Statement("star", "SELECT * FROM hr.emp ORDER BY id"),
    Statement("view", "SELECT * FROM hr.directory ORDER BY id"),
    Statement("every type", "SELECT * FROM shop.orders ORDER BY id"),
    Statement("masked text", "SELECT ssn, email FROM hr.emp ORDER BY id"),
    Statement("masked numbers", "SELECT id, salary, photo, score FROM hr.emp ORDER BY id"),
    Statement("whole row as JSON", "SELECT to_jsonb(e) FROM hr.emp AS e ORDER BY e.id"),
    Statement("predicate on a masked column", "SELECT count(*) FROM hr.emp WHERE ssn LIKE 'zq8x%'"),
    Statement("sorted by a masked column", "SELECT id FROM hr.emp ORDER BY salary DESC NULLS LAST, id"),
    Statement("aggregate", "SELECT dept, count(*), sum(salary), max(hired) FROM hr.emp GROUP BY dept ORDER BY dept"),
    Statement("join", "SELECT e.name, o.total FROM hr.emp e JOIN shop.orders o ON o.sold_by = e.id ORDER BY o.id"),
    Statement("CTE", "WITH e AS (SELECT * FROM hr.emp) SELECT name, meta FROM e WHERE id <= 3 ORDER BY id"),
    Statement("window", "SELECT id, rank() OVER (ORDER BY salary DESC) FROM hr.emp ORDER BY id"),
    Statement("union", "SELECT ssn FROM hr.emp UNION SELECT code FROM hr.dept ORDER BY 1"),
    Statement("arrays", "SELECT tags, array_agg(ssn) OVER () FROM hr.emp WHERE id = 1"),
    Statement("no rows", "SELECT * FROM hr.emp WHERE false"),
    Statement("no table", "SELECT 1 AS one, 'two' AS two, NULL AS nothing"),
    Statement("unicode", "SELECT 'மீரா' || chr(9731) AS text, length('श्री')"),
    Statement("VALUES", "VALUES (1, 'a'), (2, 'b')"),
    Statement("TABLE", "TABLE hr.dept"),
    Statement("SHOW", "SHOW server_version"),
    Statement("catalogue", "SELECT typname FROM pg_type WHERE oid IN (16, 23, 25) ORDER BY 1"),
    Statement("integer parameter", "SELECT name, ssn FROM hr.emp WHERE id = $1::int", (7,)),
    Statement("text parameter", "SELECT id, email FROM hr.emp WHERE name = $1::text", ("person 5",)),
    Statement("text with quotes", "SELECT $1::text AS back", ('it\'s a "test" \\ %',)),
    Statement("two parameters", "SELECT id FROM hr.emp WHERE dept = $1::text AND id > $2::int ORDER BY id", ("eng", 4)),
    Statement("masked column = parameter", "SELECT id FROM hr.emp WHERE ssn = $1::text", ("zq8x-0003",)),
    Statement("numeric parameter", "SELECT id FROM shop.orders WHERE total > $1::numeric", (Decimal("399.9"),)),
    Statement("date parameter", "SELECT id, hired FROM hr.emp WHERE hired < $1::date", (date(2021, 1, 1),)),
    Statement("time parameter", "SELECT id, placed FROM shop.orders WHERE placed < $1::timestamptz", (PLACED,)),
    Statement("boolean parameter", "SELECT count(*) FROM shop.orders WHERE express = $1::boolean", (True,)),
    Statement(
        "uuid parameter", "SELECT id FROM shop.orders WHERE ref = $1::uuid", (uuid.UUID(int=0x4000 << 64 | 1 << 127),)
    ),
    Statement("syntax error", "SELEC 1"),
    Statement("unknown table", "SELECT * FROM hr.nothing"),
    Statement("unknown column", "SELECT nothing FROM hr.emp"),
    Statement("bad cast", "SELECT ssn::int FROM hr.emp"),
    Statement("division by zero", "SELECT id / 0 FROM hr.dept, generate_series(1, 2) AS id"),
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.name)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_right_one(
    kind: str, role: str, statement: Statement, office: Office, clients: Clients
) -> None:
    client = clients.of(kind, office.through(role))
    answer = client.run(statement.sql, *statement.values)
    assert answer == clients.of(kind, office.direct(role)).run(statement.sql, *statement.values)
    if role == "analyst":
        assert secrets_in(repr(answer)) == []
    # Whatever it was, the connection goes on.
    assert [str(value) for value in client.run("SELECT 41 + 1").rows[0]] == ["42"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_masks_hide_what_the_bypass_role_sees(kind: str, office: Office, clients: Clients) -> None:
    sql = "SELECT * FROM hr.emp ORDER BY id"
    clear = clients.of(kind, office.through("dba")).run(sql)
    veiled = clients.of(kind, office.through("analyst")).run(sql)
    assert len(clear.rows) == len(veiled.rows) == EMPLOYEES
    assert secrets_in(repr(clear.rows))
    assert secrets_in(repr(veiled.rows)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_reach_every_client_as_an_error(kind: str, office: Office, clients: Clients) -> None:
    client = clients.of(kind, office.through("analyst"))
    for sql, sqlstate in (
        ("DELETE FROM hr.emp", "42501"),
        ("SELECT line FROM shop.diary", "42501"),
        ("SELECT pg_sleep(0)", "42501"),
        ("SELECT no_such_function(1)", "42501"),
        ("DO $$ BEGIN END $$", "42501"),
        ("SET ROLE postgres", "42501"),
    ):
        assert client.run(sql).sqlstate == sqlstate, sql
        assert client.run("SELECT 1").sqlstate is None


def test_binary_photos_of_the_bypass_role(office: Office, clients: Clients) -> None:
    client = clients.of("psycopg-binary", office.through("dba"))
    assert client.run("SELECT photo FROM hr.emp WHERE id = 1").rows == [(PHOTO,)]
