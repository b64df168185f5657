"""What `pgveil harden` prints: for whatever names, by an owner who is no superuser, and what makes it out of date."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve, create_database

from proxy import localpg

SCHEMA = """
CREATE SCHEMA hr;
CREATE SCHEMA "hr.a";
CREATE TABLE hr.emp (id int PRIMARY KEY, ssn text, grade int);
CREATE TABLE hr.pub (id int);
CREATE TABLE hr.boss (id int);
CREATE TABLE hr.codes (ssn text, code text);
CREATE TABLE hr.par (ssn text);
CREATE TABLE hr.kid () INHERITS (hr.par);
CREATE TABLE hr."par only" (ssn text);
CREATE TABLE hr."par~only" (ssn text);
CREATE TABLE hr."a.x" (ssn text);
CREATE TABLE "hr.a".x (ssn text);
CREATE VIEW hr.emp_view AS SELECT id, ssn FROM hr.emp;
INSERT INTO hr.emp VALUES (1, 'secret-1', 3);
INSERT INTO hr.pub VALUES (1);
INSERT INTO hr.boss VALUES (99);
"""
POLICY = """
version: 1
roles:
  dba: {users: [postgres], bypass: true}
  ann: {users: [ann]}
tables:
  - {allow: ["hr*.*"], roles: [ann], write: [insert, update]}
masks:
  - {columns: ["hr*.*.ssn"], mask: redact, except: [dba]}
"""


@dataclass
class Place:
    """A database, a policy over it, and what is run against both."""

    server: localpg.LocalPostgres
    database: str
    policies: Path
    owner: str = "postgres"
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def dsn(self) -> str:
        return self.server.dsn_for(self.database, self.owner)

    def harden(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "proxy", "harden", "--upstream", self.dsn, "--policies", str(self.policies)]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=120)

    def run(self, *statements: str, user: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.dsn_for(self.database, user), autocommit=True) as connection:
            for text in statements:
                cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def build(self, *arguments: str) -> str:
        script = self.harden(*arguments)
        assert script.returncode == 0, script.stderr
        self.run(script.stdout, user=self.owner)
        return script.stdout

    def serve(self, serve: Serve, account: str = "postgres") -> Pgveil:
        dsn = self.server.dsn_for(self.database, account)
        return serve(Configuration(dsn, self.policies, {"upstream": {"dsn": dsn, "login": "floor"}}))


def ask(proxy: Pgveil, user: str, database: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(proxy.dsn(user, database), autocommit=True) as connection:
        return connection.execute(text.encode()).fetchall()


def eventually(holds: Any) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


@pytest.fixture
def place(postgres: localpg.LocalPostgres, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    number = abs(hash(request.node.name)) % 10**9
    name = f"floorscript{number}"
    create_database(postgres, name, SCHEMA)
    policies = tmp_path / "policy.yaml"
    policies.write_text(POLICY)
    yield Place(postgres, name, policies)
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.mark.parametrize(
    "role", ["x $harden$; CREATE TABLE hr.inj (); DO $harden$", "q\"uote'd", "per%cent", "a\\b", "o+o~"]
)
def test_a_role_s_name_is_only_a_name(place: Place, role: str) -> None:
    place.policies.write_text(
        POLICY.replace("  ann: {", f"  {json.dumps(role)}: {{").replace("[ann], w", f"[{json.dumps(role)}], w")
    )
    place.build()
    assert place.run("SELECT to_regclass('hr.inj')") == [(None,)]
    assert place.run("SELECT count(*) FROM pg_views WHERE schemaname LIKE 'pgveil%'")[0][0] > 0


def test_the_name_of_a_database_is_on_one_line(postgres: localpg.LocalPostgres, tmp_path: Path) -> None:
    name = "x\nSELECT 1/0; --"
    create_database(postgres, name, SCHEMA)
    policies = tmp_path / "policy.yaml"
    policies.write_text(POLICY)
    try:
        Place(postgres, name, policies).build()
    finally:
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def test_two_sets_of_roles_have_two_floors(place: Place, serve: Serve) -> None:
    place.policies.write_text("""
version: 1
roles:
  a_b: {users: [u1]}
  c: {users: [u1]}
  a: {users: [u2]}
  b_c: {users: [u2]}
tables:
  - {allow: [hr.emp, hr.pub], roles: [a_b, c]}
  - {allow: [hr.emp, hr.boss], roles: [a, b_c]}
masks:
  - {columns: [hr.emp.ssn], mask: redact, except: [a_b]}
""")
    place.build()
    proxy = place.serve(serve)
    assert ask(proxy, "u1", place.database, "SELECT ssn FROM hr.emp") == [("secret-1",)]
    assert ask(proxy, "u2", place.database, "SELECT ssn FROM hr.emp") == [("***",)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        place.run("SELECT * FROM hr.pub", user="pgveil_a+b_c")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        place.run("SELECT * FROM hr.boss", user="pgveil_a_b+c")


def test_the_role_floor_has_none(place: Place) -> None:
    place.policies.write_text(POLICY.replace("ann: {", "floor: {").replace("[ann], w", "[floor], w"))
    found = place.harden()
    assert found.returncode == 2
    assert "the role floor can have no floor" in found.stderr


def test_an_owner_who_is_no_superuser_builds_it(place: Place) -> None:
    place.run(
        "DROP ROLE IF EXISTS hr_owner",
        "CREATE ROLE hr_owner LOGIN CREATEROLE",
        f'ALTER DATABASE "{place.database}" OWNER TO hr_owner',
        "DROP SCHEMA hr CASCADE",
        'DROP SCHEMA "hr.a" CASCADE',
    )
    place.run("CREATE SCHEMA own; CREATE TABLE own.emp (id int, ssn text)", user="hr_owner")
    place.policies.write_text(POLICY.replace("ann:", "anna:").replace("[ann]", "[anna]").replace("hr*.", "own."))
    place.owner = "hr_owner"
    place.build()
    place.build()
    assert place.run('SELECT ssn FROM pgveil_anna."own.emp"', user="pgveil_anna") == []


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["ALTER TABLE hr.pub RENAME TO p2", "ALTER TABLE hr.emp RENAME TO old",
          "CREATE TABLE hr.emp (id int PRIMARY KEY, ssn text, grade int)"], "the floor is out of date for hr.emp"),
        (['CREATE OR REPLACE VIEW pgveil_ann."hr.emp" WITH (security_barrier) AS SELECT id, ssn, grade FROM hr.emp'],
         "the floor is out of date for hr.emp"),
        (['ALTER VIEW pgveil_ann."hr.emp" SET (security_barrier = false)'], "no security barrier for hr.emp"),
        (["ALTER TABLE hr.emp ENABLE ROW LEVEL SECURITY"], "the floor does not keep the row security of hr.emp"),
    ],
)  # fmt: skip
def test_what_makes_it_out_of_date(place: Place, serve: Serve, statements: list[str], said: str) -> None:
    place.build()
    place.run(*statements)
    proxy = place.serve(serve)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=said):
        ask(proxy, "ann", place.database, "SELECT ssn FROM hr.emp")
    assert place.harden("--audit").returncode == 1


def test_settings_of_the_database_do_not_make_it_so(place: Place, serve: Serve) -> None:
    """A time in a condition is written by the session's own settings, in the server's words on a view as well."""
    place.policies.write_text(
        POLICY.replace("except: [dba]", "except: [dba], when: \"'2024-01-02 03:04+00'::timestamptz < now()\"")
    )
    place.run(
        f"ALTER DATABASE \"{place.database}\" SET timezone = 'Asia/Kolkata'",
        f"ALTER DATABASE \"{place.database}\" SET datestyle = 'German'",
    )
    place.build()
    place.run(f"ALTER DATABASE \"{place.database}\" SET timezone = 'America/Lima'")
    assert ask(place.serve(serve), "ann", place.database, "SELECT ssn FROM hr.emp") == [("***",)]


def test_row_security_leaves_a_table_and_its_views_out(place: Place) -> None:
    place.run("ALTER TABLE hr.emp ENABLE ROW LEVEL SECURITY")
    found = place.harden()
    assert 'CREATE VIEW "pgveil_ann"."hr.emp"' not in found.stdout
    assert 'CREATE VIEW "pgveil_ann"."hr.emp_view"' not in found.stdout
    assert 'CREATE VIEW "pgveil_ann"."hr.par"' in found.stdout
    assert "hr.emp has row security" in found.stderr
    place.run(found.stdout)
    assert "hr.emp has row security" in place.harden("--audit").stdout


def test_the_proxy_s_own_account_prices_what_it_does_not_own(place: Place, serve: Serve) -> None:
    place.run("DROP ROLE IF EXISTS floor_app", "CREATE ROLE floor_app LOGIN")
    place.run("GRANT USAGE ON SCHEMA hr TO floor_app", "GRANT SELECT ON ALL TABLES IN SCHEMA hr TO floor_app")
    place.policies.write_text(POLICY + "limits: [{roles: [ann], max_cost: 20}]\n")
    place.run("INSERT INTO hr.emp SELECT n, 's', 1 FROM generate_series(2, 3000) AS n", "ANALYZE hr.emp")
    place.build("--service", "floor_app")
    proxy = place.serve(serve, "floor_app")
    assert ask(proxy, "ann", place.database, "SELECT ssn FROM hr.emp WHERE id = 1") == [("***",)]
    with pytest.raises(psycopg.Error, match="cost"):
        ask(proxy, "ann", place.database, "SELECT count(*) FROM hr.emp AS a, hr.emp AS b")
    place.run("DROP OWNED BY floor_app")


def test_what_decides_cannot_be_written(place: Place) -> None:
    place.policies.write_text(
        POLICY
        + """
  - {columns: [hr.emp.id], mask: "null", when: "grade > 2", except: [dba]}
  - {columns: [hr.par.ssn], mask: lookup, with: {table: hr.codes, from: ssn, to: code}, except: [dba]}
"""
    )
    script = place.build()
    assert 'GRANT UPDATE ("id", "ssn") ON "hr"."emp"' in script
    assert not [
        line for line in script.splitlines() if '"hr"."codes"' in line and ("INSERT" in line or "UPDATE" in line)
    ]


def test_a_stale_floor_is_told(place: Place, serve: Serve) -> None:
    place.build()
    proxy = place.serve(serve)

    def floor() -> tuple[bool, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.http_port}/readyz") as answer:
            body = json.load(answer)
        return body["ready"], body["checks"]["floor"]["detail"]

    def stale() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.http_port}/metrics") as answer:
            return "\npgveil_floor_stale 1.0" in answer.read().decode()

    eventually(lambda: floor() == (True, "as the policy in force needs it"))
    place.policies.write_text(POLICY.replace("mask: redact", 'mask: "null"'))
    eventually(stale)
    assert floor() == (True, "missing or out of date for ann: run what pgveil harden prints")
    place.build()
    eventually(lambda: not stale())
