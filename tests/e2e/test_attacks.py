"""The attack statements against the running proxy: no secret in any byte, the masked view's answers, non-interference.

Two databases differ in protected values only; a third has the hand-written masked views under the tables' names. All of
it on every server that is there, and once more on the floor, and on shared connections.
"""

from __future__ import annotations

import re
import struct
import urllib.request
from collections.abc import Iterator

import psycopg
import pytest
from attack_cases import Case, load_cases
from attack_world import PLACES, POOLED, SALARY_A, SALARY_B, SECRETS, SSN_A, SSN_B, World, open_world, secrets_of
from conftest import Serve
from raw_client import RawClient, Reply

from proxy import localpg

CASES = load_cases()


# Where the floor answers otherwise, with as little: PostgreSQL's own rights on statistics hold there, and a constant
# expression behind a security barrier is folded by itself.
ON_FLOOR = {
    "pg_statistic": "refused 42501",
    "pg_statistic by row": "refused 42501",
    "division by zero under CASE": "refused 22012",
}


@pytest.fixture(scope="module", params=[*PLACES, POOLED])
def world(
    request: pytest.FixtureRequest,
    postgres: localpg.LocalPostgres,
    serve: Serve,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    place = str(request.param)
    with open_world(place, postgres, serve, tmp_path_factory.mktemp("attacked")) as found:
        yield found


def assert_no_secret(reply: Reply) -> None:
    raw = reply.raw
    leaked = [s for s in (*SECRETS, *secrets_of(SALARY_A, 113), *secrets_of(SALARY_B, 113)) if s in raw]
    assert not leaked


def assert_expected(case: Case, reply: Reply, wanted: Reply | None, world: World) -> None:
    expected = ON_FLOOR.get(case.name, case.expected) if world.on_floor else case.expected
    if expected == "answers":
        assert not reply.error
    elif expected == "same":
        assert wanted is not None
        assert reply.error.get("C") == wanted.error.get("C")
        assert reply.data == wanted.data
    else:
        assert reply.error.get("C") == expected.removeprefix("refused ")
        assert reply.error.get("M")


def test_there_are_cases_of_every_family() -> None:
    assert len(CASES) >= 120
    assert len({case.family for case in CASES}) == 10
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_simple_protocol(case: Case, world: World) -> None:
    with world.analyst() as client:
        reply = client.simple(case.sql)
        assert_no_secret(reply)
        wanted = None
        if case.expected == "same":
            with world.oracle() as direct:
                wanted = direct.simple(case.sql)
        assert_expected(case, reply, wanted, world)
        # Whatever it was, the session is whole and still veiled.
        after = client.simple("ROLLBACK; SELECT ssn FROM hr.emp WHERE id = 1")
        assert after.data == [b"\0\x01\0\0\0\x03***"]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("case", [c for c in CASES if ";" not in c.sql], ids=lambda case: case.id)
def test_extended_protocol(case: Case, world: World, binary: bool) -> None:
    with world.analyst() as client:
        reply = client.extended(case.sql, binary=binary)
        assert_no_secret(reply)
        wanted = None
        if case.expected == "same":
            with world.oracle() as direct:
                wanted = direct.extended(case.sql, binary=binary)
        if wanted is not None and wanted.error.get("C") == "42883" and binary:
            # A type without a binary form fails in both, at its own place.
            assert reply.error
        elif wanted is not None and record_types_differ(case):
            assert not reply.error
        else:
            assert_expected(case, reply, wanted, world)
        assert not client.simple("SELECT 1").error


def record_types_differ(case: Case) -> bool:
    """A whole row of a subquery is a record, of a view its row type: binary forms name the type."""
    return case.name in {"array of rows"}


@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_two_databases_that_differ_in_secrets_answer_with_the_same_bytes(world: World, protocol: str) -> None:
    differing = []
    for case in CASES:
        replies = []
        for which in "ab":
            with world.analyst(which) as client:
                replies.append(client.simple(case.sql) if protocol == "simple" else client.extended(case.sql))
        if neutral(replies[0]) != neutral(replies[1]):
            differing.append(case.id)
    assert differing == []


# Each names a value that one of the databases holds in a column that the analyst cannot read.
PROBES = (
    f"how many emp whose ssn is {SSN_A}-0001",
    f"list emp with ssn '{SSN_B}-0002'",
    f"how many emp named {SSN_A}-0003",
    f"emp {SSN_A}-0004",
    f"how many items whose label is '{SSN_B}-0005'",
    f"list salaries with area {SSN_A[:3]}",
    f"how many salaries with area '{SSN_B[:3]}'",
    f"how many emp with salary over {SALARY_A}",
    "average salary of emp",
    "how many emp per dept",
    "top 3 emp by salary",
    "list directory",
)


def test_a_question_does_not_tell_whether_a_hidden_value_exists(world: World) -> None:
    differing = []
    for probe in PROBES:
        statement = "SELECT * FROM ask($q$" + probe + "$q$) ORDER BY 1"
        replies = []
        for which in "ab":
            with world.analyst(which) as client:
                replies.append(client.simple(statement))
        if neutral(replies[0]) != neutral(replies[1]):
            differing.append(probe)
    assert differing == []


def neutral(reply: Reply) -> bytes:
    """The bytes, less what the two databases' own names make of them: nothing else is taken out."""
    return re.sub(rb"attack([a-z0-9]*)_[ab]\b", rb"attack\1_x", reply.raw)


def test_every_refusal_says_what_to_do(world: World) -> None:
    silent = []
    for case in CASES:
        if case.expected.startswith("refused"):
            with world.analyst() as client:
                error = client.simple(case.sql).error
            if not error.get("H"):
                silent.append(case.id)
    assert silent == []


@pytest.fixture
def everything_printed(world: World) -> bytes:
    """Logs, audit and metrics of both proxies, after the other tests of this file."""
    texts = []
    for proxy in (world.proxy_a, world.proxy_b):
        texts += [path.read_bytes() for path in proxy.directory.iterdir() if path.is_file()]
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.http_port}/metrics", timeout=20) as response:
            texts.append(response.read())
    return b"\n".join(texts)


def test_no_secret_in_logs_audit_or_metrics(everything_printed: bytes) -> None:
    assert b"pgveil_" in everything_printed
    assert [s for s in SECRETS if s in everything_printed] == []


def test_a_parameter_may_not_be_of_a_type_that_runs_code(world: World) -> None:
    """A domain's CHECK calls a function that compares the parameter with every salary."""
    with psycopg.connect(world.server.dsn_for(world.database("a"))) as direct:
        rows = direct.execute("SELECT oid, typarray FROM pg_type WHERE typname = 'checked'").fetchall()
    with world.analyst() as client:
        for oid in rows[0]:
            assert parse_with_type(client, oid).error.get("C") == "42501"
        assert not parse_with_type(client, 23).error


def parse_with_type(client: RawClient, oid: int) -> Reply:
    client.send(b"P", b"\0SELECT $1\0" + struct.pack("!hi", 1, oid))
    client.send(b"S", b"")
    return client.reply()
