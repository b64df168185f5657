"""`check` and `simulate` as commands, on a real PostgreSQL."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import yaml

from proxy import localpg
from proxy.check import run_check
from proxy.columnrules import run_columns
from proxy.errors import AuthorizationError, ConfigError, UpstreamUnavailableError
from proxy.settings import Settings
from proxy.settings.addresses import UpstreamDsn
from proxy.settings.model import UpstreamSettings
from proxy.simulate import run_simulate

SETUP = """
CREATE SCHEMA hr;
CREATE DOMAIN hr.code AS text CHECK (VALUE ~ '^[A-Z]+$');
CREATE TABLE hr.emp (id int, ssn text, code hr.code, born date, mood text);
CREATE FUNCTION hr.grade(emp hr.emp, at timestamptz, VARIADIC notes varchar[]) RETURNS int LANGUAGE sql RETURN 1;
ALTER DATABASE checks SET search_path = hr, nowhere;
"""
HEAD = "version: 1\nroles: {analyst: {users: [analyst]}}\n"
GOOD = """
tables: [{allow: ["hr.*"], roles: [analyst]}]
masks:
  - {columns: [hr.emp.ssn], mask: partial}
  - {columns: [hr.emp.code], mask: constant, with: {value: X}}
  - {columns: [hr.emp.born], mask: constant, with: {value: 0044-03-15 BC}}
functions: {trust: ["hr.grade(hr.emp, timestamptz, character varying[])"]}
"""


@pytest.fixture(scope="module")
def dsn(postgres: localpg.LocalPostgres) -> UpstreamDsn:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE checks")
    with psycopg.connect(postgres.dsn_for("checks"), autocommit=True) as connection:
        connection.execute(SETUP)
    return UpstreamDsn.parse(postgres.dsn_for("checks"))


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """What a command wrote, without the log, which stands on the same stream where nobody set it up."""
    return "".join(line for line in capsys.readouterr().out.splitlines(keepends=True) if " component=" not in line)


def settings(tmp_path: Path, dsn: UpstreamDsn, policy: str) -> Settings:
    (tmp_path / "p.yaml").write_text(HEAD + policy)
    return Settings(policies=tmp_path, upstream=UpstreamSettings(dsn=dsn))


def test_a_policy_that_fits(tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check(settings(tmp_path, dsn, GOOD)) == 0
    signature = "hr.grade(hr.emp, timestamp with time zone, character varying[])"
    assert printed(capsys).splitlines() == [
        (
            f"{tmp_path}/p.yaml:9:21: warning: {signature} is trusted and written in sql: tables that it reads are not "
            "masked (Look at what it reads.)"
        ),
        f"{tmp_path}: no problems, 1 warning; checked against {dsn}",
    ]
    assert run_check(settings(tmp_path, dsn, GOOD), strict=True) == 1


def test_what_only_the_server_knows(tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]) -> None:
    policy = """
masks:
  - {columns: [hr.emp.id], mask: constant, with: {value: none}}
  - {columns: [hr.emp.code], mask: constant, with: {value: x1}}
  - {columns: [hr.emp.salary], mask: "null"}
"""
    assert run_check(settings(tmp_path, dsn, policy)) == 1
    hint = "(Every statement that reads the column would fail.)"
    out = printed(capsys).splitlines()
    assert [line for line in out[:-1] if ": warning: " not in line] == [
        f"{tmp_path}/p.yaml:5:5: the constant is no value of integer, the type of hr.emp.id {hint}",
        f"{tmp_path}/p.yaml:6:5: the constant is no value of hr.code, the type of hr.emp.code {hint}",
        f"{tmp_path}/p.yaml:7:16: hr.emp has no column salary",
    ]
    assert out[-1].startswith("3 problems, ")


WORLD = """
CREATE SCHEMA shop;
CREATE TYPE shop.region AS ENUM ('EU', 'US');
CREATE TABLE shop.orders (id int, region shop.region, email text, total numeric(10,2), agent int);
CREATE TABLE shop.log (line text);
CREATE MATERIALIZED VIEW shop.totals AS SELECT email, sum(total) AS total FROM shop.orders GROUP BY email;
CREATE FUNCTION shop.copy() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO shop.log VALUES (NEW.email); RETURN NEW; END $$;
CREATE TRIGGER copies AFTER INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.copy();
CREATE RULE also AS ON UPDATE TO shop.orders DO ALSO INSERT INTO shop.log VALUES (NEW.email);
CREATE FUNCTION shop.peek() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT email FROM shop.orders LIMIT 1';
"""
RULES = """
tables:
  - {allow: ["shop.*"], roles: [analyst]}
masks:
  - {columns: [shop.orders.email], mask: sql, with: {expression: "upper({value}) || 1"}}
  - {columns: [shop.orders.total], mask: sql, with: {expression: "upper({value})"}}
  - {columns: [shop.orders.agent], mask: lookup, with: {table: shop.agents, from: id, to: alias}}
rows:
  - {table: shop.orders, where: "region = 'Mars'"}
  - {table: shop.orders, where: "agent + email"}
  - {table: shop.orders, where: "id IN (SELECT o.id FROM shop.others AS o)"}
functions: {trust: ["shop.peek()"]}
"""


@pytest.fixture(scope="module")
def shop(postgres: localpg.LocalPostgres) -> UpstreamDsn:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE checks_shop")
    with psycopg.connect(postgres.dsn_for("checks_shop"), autocommit=True) as connection:
        connection.execute(WORLD)
    return UpstreamDsn.parse(postgres.dsn_for("checks_shop"))


def test_what_goes_around_the_veil_and_what_the_server_refuses(
    tmp_path: Path, shop: UpstreamDsn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_check(settings(tmp_path, shop, RULES), as_json=True) == 1
    found = json.loads(printed(capsys))
    assert all(set(one) == {"file", "line", "column", "severity", "message", "hint"} for one in found)
    problems = {(f["line"], f["message"], f["hint"]) for f in found if f["severity"] == "problem"}
    text = "PostgreSQL does not take the"
    assert problems == {
        (8, f"{text} mask sql on shop.orders.total, of type numeric(10,2)",
         "function pg_catalog.upper(numeric) does not exist"),
        (9, f"{text} mask lookup on shop.orders.agent, of type integer", 'relation "shop.agents" does not exist'),
        (11, f"{text} row filter for the role analyst on shop.orders",
         'invalid input value for enum shop.region: "Mars"'),
        (12, f"{text} row filter for the role analyst on shop.orders",
         "operator does not exist: integer + text"),
        (13, ("the row filter cannot be asked for the role analyst: a condition of the policy reads shop.others, "
             "which does not exist"), None),
    }  # fmt: skip
    warnings = {f["message"] for f in found if f["severity"] == "warning"}
    lookup = "the mask lookup reads shop.agents, which does not exist: every statement on the column fails"
    assert {
        "shop.peek() is trusted and runs with its owner's rights (SECURITY DEFINER)",
        "the trigger copies of shop.orders gives shop.copy() every value of protected columns",
        "the rule also of shop.orders can copy protected columns; masked roles cannot write there",
        f"shop.orders.agent: {lookup}",
    } <= warnings


def test_an_account_that_may_not_read(tmp_path: Path, shop: UpstreamDsn, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(shop.uri(), autocommit=True) as connection:
        connection.execute("CREATE ROLE checks_stranger LOGIN")
    policy = """
tables: [{allow: [shop.orders], roles: [analyst]}]
rows: [{table: shop.orders, where: "id > 0"}]
"""
    stranger = settings(tmp_path, replace(shop, user="checks_stranger"), policy)
    assert run_check(stranger) == 0
    out = printed(capsys)
    assert "warning: the upstream's account checks_stranger may not read: shop.orders (GRANT SELECT to it;" in out
    assert "warning: not checked: permission denied for schema shop" in out


def test_conditions_that_the_server_takes(tmp_path: Path, shop: UpstreamDsn) -> None:
    policy = """
tables: [{allow: ["shop.*"], roles: [eva]}]
masks:
  - {columns: [shop.orders.email], mask: email, when: "agent <> {user.number}"}
  - {columns: ["shop.totals.*"], mask: "null"}
rows:
  - {table: shop.orders, where: "region = {user.region} AND {user.name} <> 'x'"}
"""
    (tmp_path / "p.yaml").write_text(
        "version: 1\nroles: {eva: {users: [eva], attributes: {region: EU, number: 7}}}\n" + policy
    )
    found = Settings(policies=tmp_path, upstream=UpstreamSettings(dsn=shop))
    assert run_check(found) == 0


def test_columns_names_what_no_rule_names(
    tmp_path: Path, postgres: localpg.LocalPostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE checks_columns")
    target = UpstreamDsn.parse(postgres.dsn_for("checks_columns"))
    with psycopg.connect(target.uri(), autocommit=True) as connection:
        connection.execute(
            'CREATE TABLE a (id int, ssn text, "we.ird*[" int, "yes" int, "a->b" int) PARTITION BY LIST (id);'
            "CREATE TABLE a1 PARTITION OF a FOR VALUES IN (1); CREATE TABLE closed (x int);"
            "CREATE VIEW v AS SELECT id FROM a"
        )
    rules = """
defaults: {columns: mask}
tables: [{allow: [public.a, public.a1, public.v], roles: [analyst]}]
masks: [{columns: [public.a.ssn], mask: redact}]
"""
    given = settings(tmp_path, target, rules)
    assert run_columns(given) == 0
    file = printed(capsys)
    assert yaml.safe_load(file)["columns"] == [
        {
            "tag": "known",
            "private": False,
            "columns": ["public.a.id", "public.a.we?ird??", "public.a.yes", "public.a.a-?b"],
        }
    ]
    (tmp_path / "columns.yaml").write_text(file)
    assert run_check(given) == 0
    assert "columns without rules" not in printed(capsys)
    assert run_simulate(given, "analyst", 'SELECT id, "yes", "we.ird*[" FROM a1') == 0
    assert "known" not in printed(capsys)
    assert run_columns(given) == 0
    assert yaml.safe_load(printed(capsys)) == {"version": 1}
    with psycopg.connect(target.uri(), autocommit=True) as connection:
        connection.execute("ALTER TABLE a ADD COLUMN later text")
    assert run_check(given) == 0
    assert "columns without rules, masked by defaults.columns: public.a.later" in printed(capsys)


def test_columns_refuses_a_tag_with_a_mask(tmp_path: Path, dsn: UpstreamDsn) -> None:
    rules = "columns: [{columns: [hr.emp.ssn], tag: known}]\nmasks: [{tag: known, mask: redact}]\n"
    with pytest.raises(ConfigError, match="the tag known has a mask"):
        run_columns(settings(tmp_path, dsn, rules))


def test_files_that_are_wrong_need_no_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = UpstreamDsn.parse(f"postgresql://nobody@/nothing?host={tmp_path}")
    assert run_check(settings(tmp_path, nowhere, "masks: 1\n")) == 1
    assert printed(capsys) == f"{tmp_path}/p.yaml:3:8: masks must be a list, not one value (Write [1].)\n1 problem\n"


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    nowhere = UpstreamDsn.parse(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(UpstreamUnavailableError):
        run_check(settings(tmp_path, nowhere, GOOD))
    with pytest.raises(UpstreamUnavailableError):
        run_simulate(settings(tmp_path, nowhere, GOOD), "analyst", "SELECT 1")


def test_simulate(tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_simulate(settings(tmp_path, dsn, GOOD), "analyst", "SELECT ssn FROM emp") == 0
    out = printed(capsys)
    assert "decision:  rewritten\n" in out
    assert f"hr.emp.ssn   partial   {tmp_path}/p.yaml:6  named\n" in out
    with psycopg.connect(dsn.uri()) as connection:
        connection.execute("INSERT INTO emp (ssn) VALUES ('123-45-6789')")
        assert connection.execute(out.partition("\n\n")[2]).fetchall() == [("***-**-6789",)]


def test_simulate_with_a_search_path_as_json(
    tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]
) -> None:
    given = settings(tmp_path, dsn, GOOD)
    assert run_simulate(given, "analyst", "SELECT ssn FROM emp", search_path='"x", public', as_json=True) == 1
    assert json.loads(printed(capsys))["error"]["sqlstate"] == "42P01"
    assert run_simulate(given, "analyst", "SELECT ssn FROM emp", search_path="public, hr", as_json=True) == 0
    assert json.loads(printed(capsys))["masks"][0]["why"] == "named"
    with pytest.raises(ConfigError, match="search_path is not a list of names"):
        run_simulate(given, "analyst", "SELECT 1", search_path='a "b')


def test_simulate_takes_text(tmp_path: Path, dsn: UpstreamDsn) -> None:
    given = settings(tmp_path, dsn, GOOD)
    broken = b"\xff".decode(errors="surrogateescape")
    for user, text in (("analyst", f"SELECT '{broken}'"), (f"a{broken}", "SELECT 1")):
        with pytest.raises(ConfigError, match="not UTF-8"):
            run_simulate(given, user, text)


def test_simulate_forgets_exceptions_that_have_ended(
    tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = "except: [{role: analyst, until: 2020-01-01T00:00Z, reason: audit}]"
    rules = (
        f"tables: [{{allow: ['hr.*'], roles: [analyst]}}]\nmasks: [{{columns: [hr.emp.ssn], mask: redact, {ended}}}]\n"
    )
    assert run_simulate(settings(tmp_path, dsn, rules), "analyst", "SELECT ssn FROM emp") == 0
    assert "redact" in printed(capsys)


def test_simulate_refuses(tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_simulate(settings(tmp_path, dsn, GOOD), "analyst", "SELECT pg_sleep(1)") == 1
    assert "ERROR:  42501: " in printed(capsys)


def test_simulate_for_a_stranger(tmp_path: Path, dsn: UpstreamDsn) -> None:
    with pytest.raises(AuthorizationError):
        run_simulate(settings(tmp_path, dsn, GOOD), "stranger", "SELECT 1")
