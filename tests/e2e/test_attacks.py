"""The attack statements against the running proxy: no secret in any byte, the masked view's answers, non-interference.

Two databases differ in protected values only; a third has the hand-written masked views under the tables' names.
"""

from __future__ import annotations

import struct
import urllib.request
from dataclasses import dataclass

import psycopg
import pytest
from attack_cases import FOLDER, Case, load_cases, oracle, rows, schema
from conftest import Configuration, Pgveil, Serve, create_database
from raw_client import RawClient, Reply

from proxy import localpg

CASES = load_cases()
SSN_A, SSN_B = "zq8xSECRETa", "kv3wSECRETb"
SALARY_A, SALARY_B = 7340021, 5119873
# Every protected value of either database holds one of these.
SECRETS = (SSN_A.encode(), SSN_B.encode())


def secrets_of(salary: int, step: int) -> list[bytes]:
    """The salaries as text and as PostgreSQL's binary integers."""
    values = [salary + i * step for i in range(1, 41)] + [salary + i for i in range(1, 6)]
    return [str(v).encode() for v in values] + [v.to_bytes(4, "big") for v in values]


@dataclass(frozen=True)
class World:
    """The proxy before database A, the one before B, and where the oracle is."""

    proxy_a: Pgveil
    proxy_b: Pgveil
    socket_dir: str

    def analyst(self, which: str = "a") -> RawClient:
        proxy = self.proxy_a if which == "a" else self.proxy_b
        return RawClient(proxy.host, proxy.port, "analyst", f"attack_{which}")

    def oracle(self) -> RawClient:
        return RawClient(self.socket_dir, 5432, "postgres", "attack_oracle")


@pytest.fixture(scope="module")
def world(postgres: localpg.LocalPostgres, serve: Serve) -> World:
    create_database(postgres, "attack_template", schema())
    proxies = []
    for name, ssn, salary in (("a", SSN_A, SALARY_A), ("b", SSN_B, SALARY_B)):
        dsn = create_database(
            postgres, f"attack_{name}", rows(ssn=ssn, salary=salary, step=113), template="attack_template"
        )
        search_path(postgres, f"attack_{name}")
        proxies.append(serve(Configuration(upstream=dsn, policies=FOLDER / "policy.yaml")))
    create_database(
        postgres,
        "attack_oracle",
        rows(ssn=SSN_A, salary=SALARY_A, step=113),
        oracle(),
        template="attack_template",
    )
    search_path(postgres, "attack_oracle")
    return World(proxies[0], proxies[1], psycopg.conninfo.conninfo_to_dict(postgres.dsn)["host"])  # type: ignore[arg-type]


def search_path(postgres: localpg.LocalPostgres, database: str) -> None:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} SET search_path = hr, shop, public")


def assert_no_secret(reply: Reply) -> None:
    raw = reply.raw
    leaked = [s for s in (*SECRETS, *secrets_of(SALARY_A, 113), *secrets_of(SALARY_B, 113)) if s in raw]
    assert not leaked


def assert_expected(case: Case, reply: Reply, wanted: Reply | None) -> None:
    if case.expected == "answers":
        assert not reply.error
    elif case.expected == "same":
        assert wanted is not None
        assert reply.error.get("C") == wanted.error.get("C")
        assert reply.data == wanted.data
    else:
        assert reply.error.get("C") == case.expected.removeprefix("refused ")
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
        assert_expected(case, reply, wanted)
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
            assert_expected(case, reply, wanted)
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
    """The bytes, less what the two databases' own names and identifiers make of them: nothing else is taken out."""
    return reply.raw.replace(b"attack_a", b"attack_x").replace(b"attack_b", b"attack_x")


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


def test_a_parameter_may_not_be_of_a_type_that_runs_code(world: World, postgres: localpg.LocalPostgres) -> None:
    """A domain's CHECK calls a function that compares the parameter with every salary."""
    with psycopg.connect(postgres.dsn_for("attack_a")) as direct:
        rows = direct.execute("SELECT oid, typarray FROM pg_type WHERE typname = 'checked'").fetchall()
    with world.analyst() as client:
        for oid in rows[0]:
            assert parse_with_type(client, oid).error.get("C") == "42501"
        assert not parse_with_type(client, 23).error


def parse_with_type(client: RawClient, oid: int) -> Reply:
    client.send(b"P", b"\0SELECT $1\0" + struct.pack("!hi", 1, oid))
    client.send(b"S", b"")
    return client.reply()
