"""What `check` finds with a catalogue at hand. The files' own problems: test_load.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxy.check import check
from proxy.checks.finding import Severity
from proxy.checks.probes import constants
from proxy.policy.catalog import Catalog, Column, Constraint, Relation, UserCast, UserFunction
from proxy.policy.load import load_policies

CATALOG = Catalog(
    version=1,
    relations={
        r.key: r
        for r in (
            Relation(
                1,
                "hr",
                "emp",
                "r",
                (
                    Column("id", "integer"),
                    Column("ssn", "text"),
                    Column("pay", "numeric(10,2)"),
                    Column("rank", "text"),
                ),
            ),
            Relation(2, "hr", "dept", "r", (Column("id", "integer"), Column("pay", "integer"))),
            Relation(
                3,
                "shop",
                "orders",
                "v",
                (Column("id", "integer"), Column("email", "text")),
                definition="SELECT 1 AS id, 'x' AS email",
            ),
            Relation(
                5,
                "hr",
                "pay_totals",
                "m",
                (Column("total", "numeric(10,2)"),),
                definition="SELECT sum(emp.pay) AS total FROM hr.emp",
                depends=((("hr", "emp"), "pay"),),
            ),
            Relation(
                6,
                "shop",
                "people",
                "r",
                (Column("home", "shop.address"), Column("payload", "jsonb"), Column("region", "text")),
                constraints=(Constraint("people_region", "check", frozenset({"region"})),),
            ),
            Relation(4, "pg_catalog", "pg_class", "r", (Column("relname", "name"),)),
        )
    },
    functions=(
        UserFunction("public", "distance", ("point", "point"), "sql"),
        UserFunction("public", "distance", ("numeric",), "sql"),
        UserFunction("public", "area", ("shop.shape",), "sql"),
    ),
    builtin_functions=frozenset({"pg_sleep"}),
    composites={"shop.address": (("street", "text"), ("city", "text"))},
)
HEAD = "version: 1\nroles: {analyst: {users: [analyst]}}\n"


def found(tmp_path: Path, text: str, severity: Severity = Severity.PROBLEM) -> list[str]:
    file = tmp_path / "p.yaml"
    file.write_text(HEAD + text)
    return [str(f).removeprefix(f"{file}:") for f in check(file, CATALOG) if f.severity is severity]


def warned(tmp_path: Path, text: str) -> list[str]:
    return found(tmp_path, text, Severity.WARNING)


def test_without_a_catalogue_names_are_not_checked(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + "masks: [{columns: [no.such.column], mask: redact}]\n")
    assert check(tmp_path) == ()


def test_a_policy_that_fits(tmp_path: Path) -> None:
    policy = """
tables:
  - {allow: ["hr.*", shop.orders, "*.*"], roles: [analyst]}
columns:
  - {columns: ["*.*.nowhere", "hr.*.pay", hr.emp.rank], tag: private}
masks:
  - {columns: [hr.emp.ssn, "sh*.o*.email"], mask: redact}
functions:
  trust: ["public.distance(point, point)", "public.area(shop.shape)", "pg_catalog.pg_sleep(float8)"]
"""
    assert found(tmp_path, policy) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tables: [{allow: [hr.employees], roles: [analyst]}]",
         ["3:19: no such table or view: hr.employees (Did you mean hr.emp?)"]),
        ("tables: [{allow: ['sales.*'], roles: [analyst]}]",
         ["3:19: no table or view matches sales.*"]),
        ("tables: [{allow: [pg_catalog.pg_class], roles: [analyst]}]",
         ["3:19: pg_catalog.pg_class is the system's (Its relations have built-in rules.)"]),
        ("columns: [{columns: [hr.emp.snn], tag: a}]",
         ["3:22: hr.emp has no column snn (Did you mean ssn?)"]),
        ("masks: [{columns: [hr.emq.ssn], mask: redact}]",
         ["3:20: no such column: hr.emq.ssn (Did you mean hr.emp.ssn?)"]),
        ("masks: [{columns: ['hr.*.email', 'shop.*.*'], mask: redact}]",
         ["3:20: no column matches hr.*.email"]),
        ("masks: [{columns: [pg_catalog.pg_class.relname], mask: redact}]",
         ["3:20: pg_catalog.pg_class.relname is the system's (Its relations have built-in rules.)"]),
        ("functions: {trust: [public.distance(point)]}",
         [("3:21: no function public.distance(point) "
           "(There is: public.distance(numeric), public.distance(point, point).)")]),
        ("functions: {trust: [public.arae(shop.shape), pg_catalog.nothing()]}",
         ["3:21: no function public.arae(shop.shape) (Did you mean public.area(shop.shape)?)",
          "3:46: no function pg_catalog.nothing()"]),
        ("rows: [{table: shop.peeple, where: 'true'}]",
         ["3:16: no such table or view: shop.peeple (Did you mean shop.people?)"]),
        ("rows: [{tables: ['hr.*', shop.people], where: regio = 'x'}]",
         [("3:8: the condition needs a column regio, which hr.dept and 3 more has not "
           "(Did you mean region?)")]),
        ("masks: [{columns: [hr.emp.ssn], mask: redact, when: secret}]",
         ["3:9: `when` needs a column secret, which hr.emp has not: the mask always holds there"]),
        ("masks: [{columns: [shop.people.home.stret], mask: redact}]",
         [("3:20: shop.people.home is shop.address, which has no .stret: the whole column reads as NULL "
           "(Did you mean street?)")]),
        ("masks: [{columns: [shop.people.region->code], mask: redact}]",
         ["3:20: shop.people.region is text, which has no ->code: the whole column reads as NULL"]),
        ("tables: [{allow: [shop.people], roles: [analyst], write: [insert], reveal: [people_regio]}]",
         [("3:10: reveal: no table of this rule has a constraint or index people_regio "
           "(Did you mean people_region?)")]),
        ("rules: []", ["3:1: unknown key 'rules' in a policy; did you mean roles?"]),
    ],
)  # fmt: skip
def test_a_policy_that_does_not_fit(tmp_path: Path, line: str, expected: list[str]) -> None:
    assert found(tmp_path, line + "\n") == expected


def test_a_constant_is_tried_once_for_each_type(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + "masks: [{columns: ['hr.*.*'], mask: constant, with: {value: x}}]\n")
    probes = constants(load_policies(tmp_path), CATALOG)
    assert [p.message.split(", ")[0] for p in probes] == [
        "the constant is no value of integer",
        "the constant is no value of text",
        "the constant is no value of numeric(10,2)",
    ]
    assert {str(p.where) for p in probes} == {f"{tmp_path}/p.yaml:3"}


def test_what_fits_is_no_problem(tmp_path: Path) -> None:
    policy = """
tables: [{allow: [shop.people], roles: [analyst], write: [insert], reveal: [people_region, home]}]
masks:
  - {columns: [shop.people.home.street], mask: redact}
  - {columns: ["shop.people.payload->customer->email"], mask: email}
  - {columns: [hr.emp.rank], mask: redact, when: "pay > 10"}
rows:
  - {table: shop.people, where: "region = 'x'"}
"""
    assert found(tmp_path, policy) == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("tables: [{allow: ['hr.*'], roles: [analyst]}]",
         ["1:1: warning: tables without rules, closed to every masked role: shop.orders, shop.people"]),
        (("defaults: {columns: mask}\ntables: [{allow: ['*.*'], roles: [analyst]}]\n"
          "columns: [{columns: ['hr.*.*', 'shop.people.*'], tag: a}]"),
         []),
        ("tables: [{allow: ['*.*'], roles: [analyst]}]\nmasks: [{columns: [hr.emp.pay], mask: 'null'}]",
         [("3:10: warning: hr.pay_totals is allowed and refused to analyst: materialized view hr.pay_totals depends on "
           "protected columns (a mask or tag that names its own columns opens it)")]),
        ("tables: [{allow: ['*.*'], roles: [analyst]}]\nmasks: [{columns: ['hr.*.id'], mask: year}]",
         [("4:9: warning: hr.dept.id and 1 more: the mask year does not know the type integer: "
           "the column reads as NULL")]),
        (("tables: [{allow: ['*.*'], roles: [analyst]}]\n"
          "masks: [{columns: ['hr.*.pay', hr.pay_totals.total], mask: 'null', when: rank = 'x'}]"),
         [("4:9: warning: `when` needs a column rank, which hr.dept and 1 more has not: the mask always holds there")]),
        (("tables: [{allow: ['*.*'], roles: [analyst]}]\nmasks: [{columns: [hr.emp.ssn], mask: redact, "
          "except: [{role: analyst, until: 2020-01-01T00:00Z, reason: audit}]}]"),
         [("4:9: warning: the exception for the role analyst ended at 2020-01-01T00:00:00+00:00 "
           "(The mask holds for it again; the exception may go.)")]),
        (("tables: [{allow: ['*.*'], roles: [analyst]}]\n"
          "masks: [{columns: [hr.emp.ssn], mask: redact, predicates: token}]"),
         [("4:9: warning: predicates: token needs the floor: without it a statement that compares the column is "
           "refused (upstream.login: floor, and `pgveil harden`.)")]),
    ],
)  # fmt: skip
def test_warnings(tmp_path: Path, policy: str, expected: list[str]) -> None:
    assert warned(tmp_path, policy + "\n") == expected


def test_columns_that_no_rule_names(tmp_path: Path) -> None:
    policy = """
defaults: {columns: mask}
tables: [{allow: ["*.*"], roles: [analyst]}]
masks: [{columns: ["hr.*.*"], mask: redact}]
"""
    assert [line for line in warned(tmp_path, policy) if "without rules" in line] == [
        (
            "4:21: warning: columns without rules, masked by defaults.columns: shop.people.home, shop.people.payload, "
            "shop.people.region (`pgveil columns` prints a rule that names them.)"
        )
    ]


def test_an_open_default_makes_tables_without_rules_a_problem(tmp_path: Path) -> None:
    policy = "defaults: {tables: allow}\ntables: [{allow: ['hr.*'], roles: [analyst]}]\n"
    assert found(tmp_path, policy) == [
        (
            "3:20: tables without rules, open to every role: shop.orders, shop.people "
            "(Name them under `tables`, or set defaults.tables: deny.)"
        )
    ]


def test_a_cast_that_closes_the_database(tmp_path: Path) -> None:
    catalog = replace(CATALOG, casts=(UserCast("shape", "public.area(shop.shape)", harmless=False),))
    (tmp_path / "p.yaml").write_text(HEAD)
    closed = [str(f) for f in check(tmp_path, catalog) if f.severity is Severity.PROBLEM]
    assert closed == [
        (
            f"{tmp_path}/p.yaml:1:1: the database may call public.area(shop.shape) by itself, for type shape: every "
            'statement is refused (functions: {trust: ["public.area(shop.shape)"]} opens it.)'
        )
    ]
    (tmp_path / "p.yaml").write_text(HEAD + 'functions: {trust: ["public.area(shop.shape)"]}\n')
    assert [f for f in check(tmp_path, catalog) if f.severity is Severity.PROBLEM] == []


def test_files_that_are_not_read(tmp_path: Path) -> None:
    for name in ("p.yaml", "q.YAML", ".r.yml"):
        (tmp_path / name).write_text(HEAD)
    found = [f for f in check(tmp_path) if "not read" in f.message]
    assert [(f.where.file, f.severity) for f in found] == [
        (f"{tmp_path}/.r.yml", Severity.WARNING),
        (f"{tmp_path}/q.YAML", Severity.WARNING),
    ]
    assert "*.yaml" in (found[0].hint or "")


def test_tokens_of_what_a_role_may_write(tmp_path: Path) -> None:
    policy = """
tables: [{allow: ["*.*"], roles: [analyst], write: [insert]}]
masks: [{columns: [hr.emp.ssn], mask: redact, predicates: token}]
"""
    said = "hr.emp.ssn: the role analyst may write it, and see by its token what is there"
    assert [line for line in warned(tmp_path, policy) if said in line]
    assert not [line for line in warned(tmp_path, policy.replace("[insert]", "[delete]")) if said in line]


def test_the_shadow_is_held_against_the_catalogue_too(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD)
    (tmp_path / "shadow.yaml").write_text(f"enforce: false\n{HEAD}tables: [{{allow: [hr.emq], roles: [analyst]}}]\n")
    assert f"{tmp_path}/shadow.yaml:4:19: no such table or view: hr.emq (Did you mean hr.emp?)" in [
        str(f) for f in check(tmp_path, CATALOG)
    ]


def test_masks_are_linted_without_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        HEAD
        + "columns: [{columns: ['*.*.phone'], tag: contact}]\n"
        + "masks:\n  - {tag: contact, mask: hash}\n"
        + '  - {columns: [a.b.c], mask: sql, with: {expression: "{value}::int::text"}}\n'
    )
    texts = [str(f) for f in check(tmp_path)]
    assert [text for text in texts if "phone has few enough values" in text and ":5:5: warning: " in text]
    assert [text for text in texts if "casts to int4, which may raise: it is not total" in text]
