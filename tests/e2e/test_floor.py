"""The floor: what `pgveil harden` prints builds it, the audit finds what undermines it, and it holds by itself."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve, create_database
from psycopg import sql

from proxy import localpg

SCHEMA = """
CREATE SCHEMA shop;
CREATE TABLE shop.customer (id int PRIMARY KEY, name text, email text, region text);
CREATE TABLE shop.vip (email text PRIMARY KEY, level int);
CREATE TABLE shop.item (id int PRIMARY KEY, label text);
CREATE TABLE shop.closed (id int);
CREATE SEQUENCE shop.number;
CREATE TABLE shop.event (at date, note text) PARTITION BY RANGE (at);
CREATE TABLE shop.event_2024 PARTITION OF shop.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE VIEW shop.contact AS SELECT id, email FROM shop.customer;
INSERT INTO shop.customer SELECT i, 'n' || i, 'secret' || i || '@example.com', CASE i % 2 WHEN 0 THEN 'EU' ELSE 'US' END
FROM generate_series(1, 10) AS i;
INSERT INTO shop.vip VALUES ('secret2@example.com', 1), ('secret4@example.com', 2);
INSERT INTO shop.item VALUES (1, 'pen');
INSERT INTO shop.event VALUES ('2024-05-05', 'noted');
"""

POLICY = """
version: 1
roles:
  dba: {users: [postgres], bypass: true}
  analyst: {users: [ann]}
  eu_desk: {users: [eva], attributes: {region: EU}}
tables:
  - {allow: ["shop.customer", "shop.vip", "shop.item", "shop.contact", "shop.event*"], roles: [analyst, eu_desk]}
columns:
  - {columns: ["shop.*.email"], tag: email}
masks:
  - {tag: email, mask: email, predicates: token, except: [dba]}
  - {columns: ["shop.event.note"], mask: redact, except: [dba]}
rows:
  - {table: shop.customer, roles: [eu_desk], where: "region = {user.region}"}
"""


@dataclass(frozen=True)
class House:
    """A database with its floor, and a proxy before it that logs in there."""

    dsn: str
    policies: Path
    proxy: Pgveil
    server: localpg.LocalPostgres

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "proxy", "harden", "--upstream", self.dsn, "--policies", str(self.policies)]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=120)

    def direct(self, login: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
        """Past the proxy, as the superuser or as a login of the floor."""
        return psycopg.connect(self.server.dsn_for("floor", login or "postgres"), autocommit=True)

    def ask(self, user: str, text: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.proxy.dsn(user, "floor"), autocommit=True) as connection:
            return connection.execute(text.encode()).fetchall()

    def build(self) -> None:
        script = self.run()
        assert script.returncode == 0, script.stderr
        with self.direct() as connection:
            connection.execute(script.stdout.encode())


@pytest.fixture(scope="module")
def house(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> House:
    policies = tmp_path_factory.mktemp("floor") / "policy.yaml"
    policies.write_text(POLICY)
    dsn = create_database(postgres, "floor", SCHEMA)
    proxy = serve(Configuration(dsn, policies, {"upstream": {"dsn": dsn, "login": "floor"}}))
    found = House(dsn, policies, proxy, postgres)
    found.build()
    with found.direct() as connection:
        connection.execute("REVOKE CREATE, TEMPORARY ON DATABASE floor FROM PUBLIC")
    return found


def test_a_masked_session_logs_in_where_its_floor_is(house: House) -> None:
    assert house.ask("ann", "SELECT current_user") == [("pgveil_analyst",)]
    assert house.ask("eva", "SELECT current_user") == [("pgveil_eu_desk",)]
    assert house.ask("postgres", "SELECT current_user") == [("postgres",)]


def test_values_are_tokens_that_join(house: House) -> None:
    joined = house.ask("ann", "SELECT c.id, v.level FROM shop.customer c JOIN shop.vip v USING (email) ORDER BY 1")
    assert joined == [(2, 1), (4, 2)]
    shown = house.ask("ann", "SELECT email FROM shop.customer ORDER BY id")
    assert len(set(shown)) == 10
    assert all(str(email).startswith("tok_") and "secret" not in str(email) for (email,) in shown)
    assert house.ask("ann", "SELECT count(*) FROM shop.customer WHERE email = 'secret2@example.com'") == [(0,)]


def test_a_view_of_a_masked_table_is_masked(house: House) -> None:
    assert (
        house.ask("ann", "SELECT c.email = v.email FROM shop.contact v JOIN shop.customer c USING (id)")
        == [(True,)] * 10
    )


def test_rows_are_filtered_by_the_role(house: House) -> None:
    assert house.ask("eva", "SELECT DISTINCT region FROM shop.customer") == [("EU",)]
    assert house.ask("ann", "SELECT count(*) FROM shop.customer") == [(10,)]


def test_only_and_partitions(house: House) -> None:
    assert house.ask("ann", "SELECT note FROM shop.event") == [("***",)]
    assert house.ask("ann", "SELECT note FROM ONLY shop.event") == []
    assert house.ask("ann", "SELECT note FROM shop.event_2024") == [("***",)]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT email FROM shop.customer",
        "SELECT id FROM shop.customer",
        "SELECT * FROM shop.contact",
        "SELECT * FROM shop.vip",
        "SELECT * FROM shop.closed",
        "SELECT * FROM shop.event_2024",
        "SELECT * FROM pgveil_floor.key",
        'SELECT * FROM pgveil_eu_desk."shop.customer"',
        "DELETE FROM shop.item",
        "COPY shop.customer TO STDOUT",
    ],
)
def test_the_login_itself_may_read_nothing_that_is_protected(house: House, text: str) -> None:
    """As if the rewriter had let the statement through as it is."""
    with house.direct("pgveil_analyst") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(text.encode())


def test_the_login_itself_reads_plain_tables_and_its_views(house: House) -> None:
    with house.direct("pgveil_analyst") as connection:
        assert connection.execute("SELECT label FROM shop.item").fetchall() == [("pen",)]
        view = sql.SQL("SELECT email FROM {}").format(sql.Identifier("pgveil_analyst", "shop.customer"))
        assert all(str(email).startswith("tok_") for (email,) in connection.execute(view).fetchall())


def test_building_it_again_changes_nothing(house: House) -> None:
    before = house.ask("ann", "SELECT email FROM shop.customer ORDER BY id")
    house.build()
    assert house.ask("ann", "SELECT email FROM shop.customer ORDER BY id") == before


def test_the_key_of_the_tokens_is_in_no_text_that_the_role_sees(house: House) -> None:
    with house.direct() as connection:
        inner = connection.execute("SELECT encode(inner_key, 'hex') FROM pgveil_floor.key").fetchone()
        assert inner is not None
    seen = house.ask("ann", "EXPLAIN (VERBOSE, COSTS OFF) SELECT email FROM shop.customer")
    seen += house.ask("ann", "SELECT pg_get_viewdef('pgveil_analyst.\"shop.customer\"'::regclass)")
    assert str(inner[0]) not in str(seen)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        house.ask("ann", "SELECT pgveil_floor.token('secret2@example.com')")


def test_an_audit_of_a_sound_floor_finds_nothing(house: House) -> None:
    found = house.run("--audit")
    assert found.stdout == "0 findings in 2 floors\n"
    assert found.returncode == 0


UNDERMINED = {
    "GRANT SELECT ON shop.customer TO PUBLIC": "can read shop.customer, which a rule protects through PUBLIC",
    "GRANT SELECT (email) ON shop.vip TO pgveil_analyst": "can read shop.vip, which a rule protects",
    "GRANT SELECT ON shop.contact TO pgveil_analyst": "can read shop.contact, which a rule protects",
    "GRANT SELECT ON shop.closed TO pgveil_analyst": "can read shop.closed, which the policy does not let it read",
    "GRANT pg_read_all_data TO pgveil_analyst": "is a member of pg_read_all_data",
    "ALTER ROLE pgveil_analyst BYPASSRLS": "has BYPASSRLS",
    "CREATE VIEW shop.leak AS SELECT email FROM shop.customer; GRANT SELECT ON shop.leak TO PUBLIC": (
        "can read the view shop.leak, which reads shop.customer with its owner's rights"
    ),
    "CREATE FUNCTION shop.peek() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT email FROM shop.vip LIMIT 1'": (
        "can call shop.peek(), which runs with its owner's rights"
    ),
    "GRANT CREATE ON SCHEMA shop TO pgveil_analyst": "can create objects in the schema shop",
    "ALTER TABLE shop.customer ADD COLUMN born date": "the floor is out of date for shop.customer",
    'DROP VIEW pgveil_analyst."shop.vip"': "the floor has no view for shop.vip",
    'ALTER VIEW pgveil_analyst."shop.vip" SET (security_barrier = false)': (
        "the floor has a view that is no security barrier for shop.vip"
    ),
    "GRANT UPDATE, DELETE, TRUNCATE ON shop.vip TO PUBLIC": "has DELETE, TRUNCATE, UPDATE on shop.vip through PUBLIC",
    "GRANT INSERT, TRIGGER ON shop.closed TO pgveil_analyst": "has INSERT, TRIGGER on shop.closed",
    "GRANT UPDATE (email) ON shop.vip TO pgveil_analyst": "has UPDATE on shop.vip",
    'GRANT INSERT, UPDATE ON pgveil_analyst."shop.vip" TO pgveil_analyst': (
        "has INSERT, UPDATE on pgveil_analyst.shop.vip, as the view's owner may"
    ),
    "CREATE VIEW pgveil_analyst.extra AS SELECT email FROM shop.vip; GRANT SELECT ON pgveil_analyst.extra TO PUBLIC": (
        "can read the view pgveil_analyst.extra, which reads shop.vip with its owner's rights through PUBLIC"
    ),
    "ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO PUBLIC": (
        "will have SELECT on TABLES that postgres creates in the schema shop"
    ),
    "GRANT CREATE ON DATABASE floor TO PUBLIC": "can create schemas in the database",
    "GRANT SELECT ON pg_catalog.pg_statistic TO PUBLIC": (
        "has SELECT on pg_statistic, which the server does not grant by itself"
    ),
    "GRANT SELECT (rolpassword) ON pg_catalog.pg_authid TO pgveil_analyst": (
        "has SELECT on the column rolpassword of pg_authid, which the server does not grant by itself"
    ),
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO PUBLIC": (
        "can call pg_read_file(text), which the server does not grant by itself"
    ),
    "GRANT SELECT ON SEQUENCE shop.number TO pgveil_analyst": "has SELECT on the sequence shop.number",
    "SELECT lo_from_bytea(777777, 'x'); GRANT SELECT ON LARGE OBJECT 777777 TO PUBLIC": (
        "has SELECT on the large object 777777"
    ),
    "GRANT SET ON PARAMETER log_statement TO pgveil_analyst": "has SET on the parameter log_statement",
    "CREATE TABLE shop.own (i int); ALTER TABLE shop.own OWNER TO pgveil_analyst": "owns table shop.own",
    "ALTER ROLE pgveil_analyst CREATEDB": "has CREATEDB",
}


@pytest.mark.parametrize("statement", UNDERMINED)
def test_the_audit_finds_what_undermines_it(house: House, statement: str) -> None:
    with house.direct() as connection:
        connection.execute(statement.encode())
        try:
            found = house.run("--audit")
        finally:
            cures = [line.strip() for line in found.stdout.splitlines() if line.startswith("    ") and ";" in line]
            connection.execute(" ".join(dict.fromkeys(cures)).encode())
            connection.execute(
                "DROP VIEW IF EXISTS shop.leak; DROP FUNCTION IF EXISTS shop.peek(); DROP TABLE IF EXISTS shop.own;"
                " ALTER TABLE shop.customer DROP COLUMN IF EXISTS born CASCADE"
            )
            house.build()
    assert found.returncode == 1
    said = UNDERMINED[statement]
    assert f"pgveil_analyst: {'' if said.startswith('the ') else 'the login '}{said}" in found.stdout
    assert house.run("--audit").stdout == "0 findings in 2 floors\n"


def test_a_floor_of_another_policy_is_refused(house: House, serve: Serve, tmp_path: Path) -> None:
    policies = tmp_path / "policy.yaml"
    policies.write_text(POLICY.replace("mask: redact", 'mask: "null"'))
    proxy = serve(Configuration(house.dsn, policies, {"upstream": {"dsn": house.dsn, "login": "floor"}}))
    with psycopg.connect(proxy.dsn("ann", "floor"), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM shop.vip").fetchone() == (2,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"the floor is out of date for shop\.event"):
            connection.execute("SELECT note FROM shop.event")


def test_a_floor_is_not_for_users(house: House, tmp_path: Path) -> None:
    policies = tmp_path / "policy.yaml"
    policies.write_text(POLICY.replace("{user.region}", "{user.name}"))
    found = House(house.dsn, policies, house.proxy, house.server).run()
    assert found.returncode == 2
    assert "{user.name}" in found.stderr


def test_a_question_is_answered_on_the_floor(house: House) -> None:
    rows = house.ask("eva", "SELECT * FROM ask('how many customer')")
    assert rows == [(5,)]
