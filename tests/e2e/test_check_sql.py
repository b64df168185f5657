"""`check` and `simulate` as commands, on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from proxy import localpg
from proxy.check import run_check
from proxy.errors import AuthorizationError, UpstreamUnavailableError
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


def settings(tmp_path: Path, dsn: UpstreamDsn, policy: str) -> Settings:
    (tmp_path / "p.yaml").write_text(HEAD + policy)
    return Settings(policies=tmp_path, upstream=UpstreamSettings(dsn=dsn))


def test_a_policy_that_fits(tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check(settings(tmp_path, dsn, GOOD)) == 0
    assert capsys.readouterr().out.endswith(f"{tmp_path}: no problems; checked against {dsn}\n")


def test_what_only_the_server_knows(tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]) -> None:
    policy = """
masks:
  - {columns: [hr.emp.id], mask: constant, with: {value: none}}
  - {columns: [hr.emp.code], mask: constant, with: {value: x1}}
  - {columns: [hr.emp.salary], mask: "null"}
"""
    assert run_check(settings(tmp_path, dsn, policy)) == 1
    hint = "(Every statement that reads the column would fail.)"
    assert capsys.readouterr().out.splitlines()[-4:] == [
        f"{tmp_path}/p.yaml:5:5: the constant is no value of integer, the type of hr.emp.id {hint}",
        f"{tmp_path}/p.yaml:6:5: the constant is no value of hr.code, the type of hr.emp.code {hint}",
        f"{tmp_path}/p.yaml:7:16: hr.emp has no column salary",
        "3 problems",
    ]


def test_files_that_are_wrong_need_no_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = UpstreamDsn.parse(f"postgresql://nobody@/nothing?host={tmp_path}")
    assert run_check(settings(tmp_path, nowhere, "masks: 1\n")) == 1
    assert (
        capsys.readouterr().out
        == f"{tmp_path}/p.yaml:3:8: masks must be a list, not one value (Write [1].)\n1 problem\n"
    )


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    nowhere = UpstreamDsn.parse(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(UpstreamUnavailableError):
        run_check(settings(tmp_path, nowhere, GOOD))
    with pytest.raises(UpstreamUnavailableError):
        run_simulate(settings(tmp_path, nowhere, GOOD), "analyst", "SELECT 1")


def test_simulate(tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_simulate(settings(tmp_path, dsn, GOOD), "analyst", "SELECT ssn FROM emp") == 0
    out = capsys.readouterr().out
    assert "decision:  rewritten\n" in out
    assert f"hr.emp.ssn   partial   {tmp_path}/p.yaml:6\n" in out
    with psycopg.connect(dsn.uri()) as connection:
        connection.execute("INSERT INTO emp (ssn) VALUES ('123-45-6789')")
        assert connection.execute(out.partition("\n\n")[2]).fetchall() == [("***-**-6789",)]


def test_simulate_refuses(tmp_path: Path, dsn: UpstreamDsn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_simulate(settings(tmp_path, dsn, GOOD), "analyst", "SELECT pg_sleep(1)") == 1
    assert "ERROR:  42501: " in capsys.readouterr().out


def test_simulate_for_a_stranger(tmp_path: Path, dsn: UpstreamDsn) -> None:
    with pytest.raises(AuthorizationError):
        run_simulate(settings(tmp_path, dsn, GOOD), "stranger", "SELECT 1")
