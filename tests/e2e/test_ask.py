"""Questions in plain language from real clients: each carrier, in every place where it may stand, and what goes wrong.

A scripted model answers most of them, so that what is asked does not matter here; the translator that needs no model
answers the rest. What a model is sent has its own tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
from asking_desk import DATABASE, NAMES, ROLES, SSNS, WRITTEN, Desk
from client_kinds import PATIENCE, Clients, Psql
from office_world import EMPLOYEES, secrets_in
from raw_client import RawClient

EVERY_CLIENT = ("psql", "psycopg-text", "psycopg-binary", "psycopg-client-side", "psycopg2", "pg8000", "asyncpg")


@pytest.fixture(autouse=True)
def script(desk: Desk) -> None:
    desk.model.say(WRITTEN)


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with Clients() as opened:
        yield opened


# The carriers, through every client that can send them.

CARRIERS = {
    "function": "SELECT * FROM ask('list the first three people')",
    "function, its own alias": "SELECT a.* FROM ask('list the first three people') AS a",
    "function, dollar quotes": "SELECT * FROM ask($$list the first three people's rows$$)",
    "function, schema of nobody's": "SELECT * FROM Ask ( 'list the first three people' )",
    "block comment": "/* ask: list the first three people */",
    "block comment before SELECT": "/* ask: list the first three people */ SELECT",
    "block comment before SELECT 1": "/* ask: list the first three people */ SELECT 1",
    "block comment of several lines": "/* ask: list\n the first\n three people */",
    "statement": "ASK 'list the first three people'",
    "statement in lower case": "ask 'list the first three people'",
    "statement, doubled apostrophe": "ASK 'list the first three people''s rows'",
    "statement, dollar quotes": "ASK $$list the first three people's rows$$",
    "statement, named dollar quotes": "ASK $q$list the first three people's rows$q$",
}
LINE_COMMENTS = {
    "line comment before SELECT 1": "-- ask: list the first three people\nSELECT 1",
    "line comment": "-- ask: list the first three people",
    "two lines": "-- ask: list the first\n-- three people",
    "after another comment": "/* made by a BI tool */ -- ask: list the first three people",
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    ("kind", "role"), [*((k, "analyst") for k in EVERY_CLIENT), ("psql", "dba"), ("asyncpg", "dba")]
)
def test_carriers(kind: str, role: str, carrier: str, desk: Desk, clients: Clients) -> None:
    client = clients.of(kind, desk.place(role))
    answer = client.run(CARRIERS[carrier])
    assert answer.sqlstate is None
    assert answer.names == ["id", "name", "ssn"]
    assert [list(row[1:]) for row in answer.rows] == [list(pair) for pair in zip(NAMES, SSNS[role], strict=True)]
    # The SQL that ran reaches the client.
    assert any("FROM hr.emp WHERE id <= 3" in notice for notice in client.notices)


@pytest.mark.parametrize("carrier", LINE_COMMENTS)
@pytest.mark.parametrize("kind", EVERY_CLIENT[1:])
def test_a_line_comment_alone_through_drivers(kind: str, carrier: str, desk: Desk, clients: Clients) -> None:
    answer = clients.of(kind, desk.place("analyst")).run(LINE_COMMENTS[carrier])
    assert [row[2] for row in answer.rows] == SSNS["analyst"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("carrier", [*LINE_COMMENTS, "block comment", "statement", "function"])
def test_carriers_through_psql_c(carrier: str, role: str, desk: Desk) -> None:
    done = Psql(desk.place(role)).command({**CARRIERS, **LINE_COMMENTS}[carrier])
    assert done.returncode == 0
    assert [line.split("\x1f")[-1] for line in done.stdout.splitlines()[1:4]] == SSNS[role]
    assert "NOTICE:  pgveil: ask ran: SELECT" in done.stderr


# Inside other SQL.

WITHIN = {
    "a subquery": "SELECT ssn FROM (SELECT * FROM ask('list people')) AS t ORDER BY id",
    "what a BI tool wraps": "SELECT ssn FROM (SELECT * FROM (SELECT * FROM ask('people')) q LIMIT 1000) t ORDER BY id",
    "a CTE": "WITH found AS (SELECT * FROM ask('list people')) SELECT ssn FROM found ORDER BY id",
    "a join": "SELECT a.ssn FROM ask('list people') AS a JOIN hr.emp e ON e.id = a.id ORDER BY a.id",
    "a lateral join": "SELECT a.ssn FROM hr.dept d, LATERAL ask('list people') a WHERE d.code = 'eng' ORDER BY a.id",
    "a condition": "SELECT ssn FROM hr.emp WHERE id IN (SELECT id FROM ask('list people')) ORDER BY id",
    "a union": "SELECT ssn FROM ask('people') WHERE id = 1 UNION ALL SELECT ssn FROM ask('people') WHERE id > 1",
    "renamed columns": "SELECT c FROM ask('list people') AS t(a, b, c) ORDER BY a",
}  # fmt: skip


@pytest.mark.parametrize("place", WITHIN)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", ["psql", "asyncpg"])
def test_inside_other_sql(kind: str, role: str, place: str, desk: Desk, clients: Clients) -> None:
    answer = clients.of(kind, desk.place(role)).run(WITHIN[place])
    assert (answer.sqlstate, [row[0] for row in answer.rows]) == (None, SSNS[role])


@pytest.mark.parametrize("role", ROLES)
def test_beside_parameters(role: str, desk: Desk, clients: Clients) -> None:
    for kind in ("psycopg-text", "psycopg-client-side", "psycopg2", "pg8000", "asyncpg", "psql"):
        client = clients.of(kind, desk.place(role))
        answer = client.run("SELECT ssn FROM ask('list people') AS a WHERE a.id = $1::int", 2)
        assert [row[0] for row in answer.rows] == [SSNS[role][1]], kind


@pytest.mark.parametrize("role", ROLES)
def test_in_a_cursor(role: str, desk: Desk) -> None:
    with desk.connect(role, autocommit=False) as connection:
        connection.execute("DECLARE c CURSOR FOR SELECT * FROM ask('list people')")
        assert connection.execute("FETCH 2 FROM c").fetchall()[1][2] == SSNS[role][1]
        connection.execute("CLOSE c")
        with connection.cursor(name="mine") as cursor:
            cursor.execute("SELECT * FROM ask('list people')")
            assert [row[2] for row in cursor] == SSNS[role]


@pytest.mark.parametrize("role", ROLES)
def test_in_copy(role: str, desk: Desk) -> None:
    sql = "COPY (SELECT ssn FROM ask('list people')) TO STDOUT (FORMAT csv)"
    with desk.connect(role) as connection, connection.cursor().copy(sql) as copy:
        assert b"".join(copy).decode().split() == SSNS[role]


@pytest.mark.parametrize("role", ROLES)
def test_in_explain(role: str, desk: Desk) -> None:
    with desk.connect(role) as connection:
        plan = connection.execute("EXPLAIN (COSTS off) SELECT * FROM ask('list people')").fetchall()
    assert any("emp" in row[0] for row in plan)


@pytest.mark.parametrize("role", ROLES)
def test_in_prepare(role: str, desk: Desk) -> None:
    with desk.connect(role) as connection:
        before = len(desk.model.requests)
        connection.execute("PREPARE again AS SELECT ssn FROM ask('list people')")
        for _ in range(2):
            assert [row[0] for row in connection.execute("EXECUTE again").fetchall()] == SSNS[role]
        assert len(desk.model.requests) == before + 1


def test_in_several_statements_of_one_text(desk: Desk) -> None:
    with desk.connect("analyst", cursor_factory=psycopg.ClientCursor) as connection:
        cursor = connection.execute("SELECT 1; ASK 'list people'; SELECT ssn FROM ask('list people')")
        found = [cursor.fetchall()]
        while cursor.nextset():
            found.append(cursor.fetchall())
    assert found[0] == [(1,)]
    assert [row[2] for row in found[1]] == [row[0] for row in found[2]] == SSNS["analyst"]


def test_what_only_looks_like_a_question_is_sql(desk: Desk) -> None:
    before = len(desk.model.requests)
    with desk.connect("dba") as connection, connection.transaction(force_rollback=True):
        connection.execute("CREATE TABLE shop.ask (ask text)")
        connection.execute("INSERT INTO shop.ask VALUES ('ask: who am I?')")
        row = connection.execute("SELECT ask, '/* ask: x */' FROM shop.ask AS ask -- ask: not me").fetchone()
    assert row == ("ask: who am I?", "/* ask: x */")
    assert len(desk.model.requests) == before


# The extended protocol.


@pytest.mark.parametrize("role", ROLES)
async def test_asyncpg_describes_a_question_before_it_runs(role: str, desk: Desk) -> None:
    place = desk.place(role)
    connection = await asyncpg.connect(host=place.host, port=place.port, user=role, database=DATABASE, timeout=PATIENCE)
    try:
        statement = await connection.prepare("ASK 'list people'")
        assert [(a.name, a.type.name) for a in statement.get_attributes()] == [
            ("id", "int4"), ("name", "text"), ("ssn", "text")
        ]  # fmt: skip
        before = len(desk.model.requests)
        for _ in range(3):
            assert [row["ssn"] for row in await statement.fetch()] == SSNS[role]
        assert len(desk.model.requests) == before
        async with connection.transaction():
            rows = [row["ssn"] async for row in connection.cursor("SELECT * FROM ask('list people')")]
        assert rows == SSNS[role]
    finally:
        await connection.close()


def test_a_question_is_seen_whatever_its_length(desk: Desk) -> None:
    """For a bypass role a cheap look decides whether a text may ask; message lengths must not matter to it."""
    with RawClient(desk.scripted.host, desk.scripted.port, "dba", DATABASE) as client:
        found = {client.simple("ASK ''" + " " * padding).error["C"] for padding in range(260)}
        found |= {client.extended("ASK ''" + " " * padding).error["C"] for padding in range(260)}
    assert found == {"VA007"}


def test_questions_in_a_pipeline(desk: Desk) -> None:
    with desk.connect("analyst") as connection, connection.pipeline():
        first = connection.execute("SELECT 'before'")
        asked = connection.execute("ASK 'list people'")
        last = connection.execute("SELECT ssn FROM hr.emp WHERE id = %s", (5,))
        answers = first.fetchone(), [row[2] for row in asked.fetchall()], last.fetchone()
    assert answers == (("before",), SSNS["analyst"], ("****-**05",))


def test_the_notice_comes_before_the_rows(desk: Desk) -> None:
    with RawClient(desk.scripted.host, desk.scripted.port, "analyst", DATABASE) as client:
        for reply in (client.simple("ASK 'list people'"), client.extended("ASK 'list people'")):
            tags = b"".join(tag for tag, _ in reply.messages)
            assert tags.count(b"N") == 1
            assert tags.index(b"N") < tags.index(b"T") < tags.index(b"D")


# The translator that needs no model.

EMBEDDED = {
    "how many emp are there": [(EMPLOYEES,)],
    "how many orders are there": [(40,)],
    "list the names of emp in dept eng ordered by id": None,
    "how many orders per state": [("open", 13), ("paid", 14), ("sent", 13)],
    "what is the average total of orders": None,
    "top 3 orders by total": None,
    "how many orders placed in March 2024": [(30,)],
}


@pytest.mark.parametrize("carrier", ["ASK $${}$$", "SELECT * FROM ask($${}$$)", "/* ask: {} */", "-- ask: {}"])
def test_the_translator_answers_through_every_carrier(carrier: str, desk: Desk) -> None:
    for role in ROLES:
        with desk.connect(role, embedded=True) as connection:
            rows = connection.execute(carrier.format("how many orders are there").encode()).fetchall()
        assert rows == [(40,)]


@pytest.mark.parametrize("question", EMBEDDED)
def test_the_translator_answers(question: str, desk: Desk) -> None:
    with desk.connect("analyst", embedded=True) as connection:
        rows = connection.execute(f"ASK $${question}$$".encode()).fetchall()
    assert rows
    assert secrets_in(repr(rows)) == []
    wanted = EMBEDDED[question]
    if wanted is not None:
        assert sorted(rows) == wanted


def test_the_translator_finds_a_private_value(desk: Desk) -> None:
    """`name` is private but not masked: the value is looked up on this machine and comes back into the SQL."""
    heard: list[str] = []
    with desk.connect("analyst", embedded=True) as connection:
        connection.add_notice_handler(lambda d: heard.append(d.message_primary or ""))
        rows = connection.execute("ASK $$show the emp named 'person 7'$$").fetchall()
    assert len(rows) == 1
    assert "person 7" in rows[0]
    assert "****-**07" in rows[0]
    assert any("person 7" in text for text in heard)
