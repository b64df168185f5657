"""What `check` finds with a catalogue at hand. The files' own problems: test_load.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.check import check, constants
from proxy.policy.catalog import Catalog, Column, Relation, UserFunction
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
            Relation(3, "shop", "orders", "v", (Column("id", "integer"), Column("email", "text"))),
            Relation(4, "pg_catalog", "pg_class", "r", (Column("relname", "name"),)),
        )
    },
    functions=(
        UserFunction("public", "distance", ("point", "point"), "sql"),
        UserFunction("public", "distance", ("numeric",), "sql"),
        UserFunction("public", "area", ("shop.shape",), "sql"),
    ),
    builtin_functions=frozenset({"pg_sleep"}),
)
HEAD = "version: 1\nroles: {analyst: {users: [analyst]}}\n"


def found(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "p.yaml"
    file.write_text(HEAD + text)
    return [str(problem).removeprefix(f"{file}:") for problem in check(file, CATALOG)]


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
