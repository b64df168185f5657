"""Questions that fail or are called off: a clear error, the right transaction state, and a session that goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import psycopg
import pytest
from asking_desk import DATABASE, ROLES, SSNS, WRITTEN, Desk
from client_kinds import PATIENCE, Clients
from office_world import EMPLOYEES
from probes import eventually, sample
from raw_client import RawClient
from scripted_model import Reply, ScriptedModel

SESSIONS = 'pgveil_sessions{role="dba"}'


@pytest.fixture(autouse=True)
def script(desk: Desk) -> None:
    desk.model.say(WRITTEN)


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with Clients() as opened:
        yield opened


# What goes wrong.

BAD = {
    "empty function": ("SELECT * FROM ask('')", "VA007"),
    "blank statement": ("ASK '  '", "VA007"),
    "empty comment": ("/* ask: */", "VA007"),
    "no literal": ("ASK", "VA007"),
    "two literals": ("ASK 'one' 'two'", "VA007"),
    "two meanings": ("/* ask: list people */ SELECT * FROM hr.dept", "VA007"),
    "two meanings, line comment": ("-- ask: list people\nDELETE FROM hr.dept", "VA007"),
    "two questions in comments": ("/* ask: one */ /* ask: two */", "VA007"),
    "an expression": ("SELECT * FROM ask('list' || 'people')", "VA007"),
    "two arguments": ("SELECT * FROM ask('list people', 1)", "VA007"),
    "a parameter": ("SELECT * FROM ask($1)", "VA007"),
    "a statement's parameter": ("ASK $1", "VA007"),
    "a question that writes": ("CREATE TABLE t AS SELECT * FROM ask('list people')", "VA007"),
    "too long": ("ASK '" + "x" * 5000 + "'", "VA007"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("role", ROLES)
def test_a_malformed_question_is_a_clear_error(role: str, case: str, desk: Desk) -> None:
    before = len(desk.model.requests)
    sql, sqlstate = BAD[case]
    with RawClient(desk.scripted.host, desk.scripted.port, role, DATABASE) as client:
        for reply in (client.simple(sql), client.extended(sql)):
            assert reply.error["C"] == sqlstate
            assert reply.error["H"]
            assert 1 <= int(reply.error["P"]) <= len(sql)
            assert reply.status == b"I"
        assert client.simple("SELECT 1").error == {}
    assert len(desk.model.requests) == before


@pytest.mark.parametrize("role", ROLES)
def test_a_question_cannot_be_a_parameter(role: str, desk: Desk, clients: Clients) -> None:
    for kind in ("psycopg-text", "asyncpg", "pg8000", "psql"):
        answer = clients.of(kind, desk.place(role)).run("SELECT * FROM ask($1)", "list people")
        assert answer.sqlstate == "VA007", kind
    # Where the driver writes the parameter into the text, it is a literal.
    answer = clients.of("psycopg2", desk.place(role)).run("SELECT ssn FROM ask($1) AS t", "list people")
    assert [row[0] for row in answer.rows] == SSNS[role]


@pytest.mark.parametrize("role", ROLES)
def test_a_question_that_is_not_understood(role: str, desk: Desk) -> None:
    with desk.connect(role, embedded=True) as connection:
        with pytest.raises(psycopg.Error) as failure:
            connection.execute("ASK 'why is the sky so blue over the frobnicators'")
        assert failure.value.sqlstate == "VA001"
        assert failure.value.diag.message_detail
        assert failure.value.diag.message_hint
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_model_that_cannot(desk: Desk) -> None:
    desk.model.say("CANNOT: there is no table of invoices")
    with desk.connect("analyst") as connection, pytest.raises(psycopg.Error) as failure:
        connection.execute("ASK 'list invoices'")
    assert failure.value.sqlstate == "VA002"
    assert failure.value.diag.message_hint


@pytest.mark.parametrize("role", ROLES)
def test_a_failed_question_aborts_the_transaction_as_any_statement_does(role: str, desk: Desk) -> None:
    with desk.connect(role, autocommit=False) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.Error) as failure:
            connection.execute("SELECT * FROM ask('')")
        assert failure.value.sqlstate == "VA007"
        assert connection.info.transaction_status.name == "INERROR"
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        before = len(desk.model.requests)
        with pytest.raises(psycopg.Error):
            connection.execute("ASK 'list people'")
        assert len(desk.model.requests) == before  # nobody worked on it
        connection.rollback()
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.Error), connection.transaction():  # a savepoint
            connection.execute("ASK ''")
        assert [row[2] for row in connection.execute("ASK 'list people'").fetchall()] == SSNS[role]
        assert connection.info.transaction_status.name == "INTRANS"


@pytest.mark.parametrize("role", ROLES)
def test_a_good_question_keeps_the_transaction(role: str, desk: Desk) -> None:
    with desk.connect(role, autocommit=False) as connection:
        connection.read_only = True
        assert len(connection.execute("ASK 'list people'").fetchall()) == 3
        assert connection.info.transaction_status.name == "INTRANS"
        connection.commit()
        assert connection.info.transaction_status.name == "IDLE"


def test_a_bypass_role_s_questions_read_and_nothing_else(desk: Desk) -> None:
    for written in ("DELETE FROM hr.emp", "SELECT pg_sleep(60)", "SELECT set_config('work_mem', '8MB', false)"):
        desk.model.say(written)
        with desk.connect("dba") as connection, pytest.raises(psycopg.Error) as failure:
            connection.execute("ASK 'list people'")
        assert failure.value.sqlstate == "VA004"
    with desk.connect("dba") as connection:
        assert connection.execute("SELECT count(*) FROM hr.emp").fetchone() == (EMPLOYEES,)


# Cancelling, and sessions that do not wait for each other.


def named_cursor(connection: Any) -> None:
    with connection.cursor(name="c") as cursor:
        cursor.execute("SELECT * FROM ask('list people')")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("asks", [lambda c: c.execute("ASK 'list people'"), named_cursor], ids=["", "cursor"])
def test_cancel_while_the_agent_works(role: str, asks: Callable[[Any], None], desk: Desk) -> None:
    desk.model.say(Reply(WRITTEN, delay=60))
    seen = len(desk.model.requests)
    with desk.connect(role, autocommit=False) as connection:
        canceller = threading.Thread(target=cancel_once_asked, args=(desk.model, seen, connection))
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            asks(connection)
        canceller.join()
        desk.model.say(WRITTEN)
        connection.rollback()
        assert [row[2] for row in connection.execute("ASK 'list people'").fetchall()] == SSNS[role]


def cancel_once_asked(model: ScriptedModel, seen: int, connection: Any) -> None:
    eventually(lambda: len(model.requests) > seen, "the model is asked")
    connection.cancel()


@pytest.fixture
async def other_session(desk: Desk) -> AsyncIterator[Any]:
    place = desk.place("analyst")
    connection = await asyncpg.connect(
        host=place.host, port=place.port, user=place.user, database=DATABASE, timeout=PATIENCE
    )
    yield connection
    await connection.close()


async def test_other_sessions_go_on_while_the_agent_works(desk: Desk, other_session: Any) -> None:
    desk.model.say(Reply(WRITTEN, delay=60))
    seen = len(desk.model.requests)
    place = desk.place("dba")
    open_before = sample(desk.scripted, SESSIONS)
    asking = await asyncpg.connect(host=place.host, port=place.port, user="dba", database=DATABASE, timeout=PATIENCE)
    question = asyncio.ensure_future(asking.fetch("ASK 'list people'"))
    await asyncio.to_thread(eventually, lambda: len(desk.model.requests) > seen, "the model is asked")
    assert await other_session.fetchval("SELECT count(*) FROM hr.emp", timeout=PATIENCE) == EMPLOYEES
    assert not question.done()
    # Who asked leaves, and nothing of it stays.
    asking.terminate()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await question
    await asyncio.to_thread(eventually, lambda: sample(desk.scripted, SESSIONS) == open_before, "it is gone")
