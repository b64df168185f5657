"""Objects of a database that could carry protected values past the veil, and texts that could stop the proxy.

As in test_attacks.py there are two databases that differ in protected values only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from attack_cases import Case, load_cases, rows, schema
from conftest import Configuration, Pgveil, Serve, create_database
from raw_client import RawClient

from proxy import localpg

FOLDER = Path(__file__).with_name("attack_objects")
CASES = load_cases([FOLDER / "cases.sql"])
SECRETS = {"a": ("zq8xSECRETa", 7340021), "b": ("kv3wSECRETb", 5119873)}


@dataclass(frozen=True)
class World:
    proxies: dict[str, Pgveil]

    def analyst(self, which: str = "a", **parameters: str) -> RawClient:
        proxy = self.proxies[which]
        return RawClient(proxy.host, proxy.port, "analyst", f"objects_{which}", **parameters)


@pytest.fixture(scope="module")
def world(postgres: localpg.LocalPostgres, serve: Serve) -> World:
    extra = (FOLDER / "schema.sql").read_text(encoding="utf-8")
    create_database(postgres, "objects_template", schema(), extra)
    proxies = {}
    for which, (ssn, salary) in SECRETS.items():
        scripts = (
            rows(ssn=ssn, salary=salary, step=113),
            rows(ssn=ssn, salary=salary, step=113, folder=FOLDER),
        )
        dsn = create_database(postgres, f"objects_{which}", *scripts, template="objects_template")
        proxies[which] = serve(Configuration(upstream=dsn, policies=FOLDER / "policy.yaml"))
    return World(proxies)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_gets_past(case: Case, world: World) -> None:
    replies = {}
    for which in world.proxies:
        with world.analyst(which) as client:
            replies[which] = client.simple(case.sql)
    raw = [reply.raw.replace(b"objects_b", b"objects_a") for reply in replies.values()]
    assert raw[0] == raw[1]
    assert not [ssn for ssn, _ in SECRETS.values() if ssn.lower().encode() in raw[0].lower()]
    error = replies["a"].error
    assert (f"refused {error['C']}" if error else "answers") == case.expected, error


@pytest.mark.parametrize("path", ["public, PG_CATALOG", "PG_TEMP, public", 'public, "pg_catalog"'])
def test_a_login_cannot_put_a_schema_before_the_built_in_names(path: str, world: World) -> None:
    with world.analyst(search_path=path) as client:
        assert client.greeting.error["C"] == "42501"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "+".join(["1"] * 23_000),
        "SELECT " + "||".join(["'a'"] * 30_000),
        "SELECT 1 " + "IS NULL " * 25_000,
        "SELECT 1" + " UNION ALL SELECT 1" * 10_000,
        "SELECT 1 " + "/*" * 20_000 + "*/" * 20_000,
        "SELECT 1 " + "+-" * 30_000,
        "SELECT * FROM ask($$x$$) WHERE 1 " + "+-" * 30_000,
        "SELECT 1 /**/" + "+-" * 8_000,
        "SELECT " + "(" * 50_000,
        "SELECT '" + "x" * 2_000_000 + "'",
    ],
    ids=[
        "sums",
        "concatenations",
        "tests",
        "unions",
        "comments",
        "operators",
        "asking",
        "behind a comment",
        "parentheses",
        "long",
    ],
)
def test_a_text_made_to_break_the_parser_is_refused_and_nothing_else_happens(text: str, world: World) -> None:
    with world.analyst() as client:
        assert client.simple(text).error
        assert not client.simple("SELECT 1").error


UNWRITTEN = {
    "a cast": (
        "public.mood_int(public.mood)",
        """
        CREATE FUNCTION public.mood_int(public.mood) RETURNS int LANGUAGE sql AS
            'SELECT salary FROM hr.emp LIMIT 1';
        CREATE CAST (public.mood AS int) WITH FUNCTION public.mood_int(public.mood);
        """,
    ),
    "an order": (
        "public.mood_cmp(public.mood, public.mood)",
        """
        CREATE FUNCTION public.mood_cmp(public.mood, public.mood) RETURNS int LANGUAGE sql IMMUTABLE AS
            'SELECT max(salary) FROM hr.emp';
        CREATE OPERATOR CLASS public.mood_ops DEFAULT FOR TYPE public.mood USING btree AS
            OPERATOR 1 <(anyenum, anyenum), FUNCTION 1 public.mood_cmp(public.mood, public.mood);
        """,
    ),
}


@pytest.mark.parametrize("kind", UNWRITTEN)
def test_code_that_no_statement_names_closes_the_database_until_it_is_trusted(
    kind: str, postgres: localpg.LocalPostgres, serve: Serve
) -> None:
    function, script = UNWRITTEN[kind]
    name = "unwritten_" + kind.rsplit(maxsplit=1)[-1]
    dsn = create_database(postgres, name, schema(), script)
    proxy = serve(Configuration(upstream=dsn, policies=FOLDER / "policy.yaml"))
    with RawClient(proxy.host, proxy.port, "analyst", name) as client:
        error = client.simple("SELECT 1").error
        assert error["C"] == "0A000"
        assert function in error["M"]
        assert "functions.trust" in error["H"]


def test_a_new_table_is_found_at_once_and_a_new_masked_column_soon(
    postgres: localpg.LocalPostgres, serve: Serve
) -> None:
    dsn = create_database(
        postgres, "drifting", schema(), "CREATE TABLE shop.gen (id int); INSERT INTO shop.gen VALUES (1)"
    )
    proxy = serve(Configuration(upstream=dsn, policies=FOLDER / "policy.yaml"))
    with (
        RawClient(proxy.host, proxy.port, "analyst", "drifting") as client,
        psycopg.connect(dsn, autocommit=True) as direct,
    ):
        assert not client.simple("SELECT * FROM shop.gen").error
        direct.execute("CREATE TABLE shop.later (id int)")
        assert not client.simple("SELECT * FROM shop.later").error
        # The policy masks shop.gen.ssn, which comes only now.
        direct.execute("ALTER TABLE shop.gen ADD COLUMN ssn text DEFAULT 'zq8xSECRETa'")
        for _ in range(100):
            reply = client.simple("SELECT ssn FROM shop.gen")
            if reply.data == [b"\0\x01\0\0\0\x03***"]:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the new column was never masked")
