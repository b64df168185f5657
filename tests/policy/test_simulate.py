"""What `simulate` shows of a decision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.errors import CarrierError
from proxy.policy.catalog import Catalog, Column, Relation
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.simulate import Simulation, refuse_questions, simulate

POLICY = """
version: 1
roles:
  dba: {users: [root], bypass: true}
  analyst: {users: [ann]}
tables:
  - {allow: [hr.emp, hr.open], roles: [analyst]}
masks:
  - {columns: [hr.emp.ssn], mask: partial}
  - {columns: [hr.emp.pay], mask: "null"}
"""
CATALOG = Catalog(
    version=1,
    relations={
        r.key: r
        for r in (
            Relation(
                1, "hr", "emp", "r", (Column("id", "integer"), Column("ssn", "text"), Column("pay", "numeric(10,2)"))
            ),
            Relation(2, "hr", "open", "r", (Column("id", "integer"),)),
            Relation(3, "hr", "closed", "r", (Column("id", "integer"),)),
        )
    },
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(POLICY)
    return Run(Veil(load_policies(Path("p.yaml")), CATALOG))


class Run:
    def __init__(self, veil: Veil) -> None:
        self.veil = veil

    def __call__(self, user: str, sql: str) -> Simulation:
        identity = self.veil.policy.identify(user)
        assert identity is not None
        return simulate(self.veil, identity, sql, ("hr",))


def test_rewritten(run: Run) -> None:
    found = run("ann", "SELECT ssn FROM emp")
    lines = found.text().splitlines()
    assert lines[:5] == [
        "user:      ann  (roles: analyst)",
        "decision:  rewritten",
        "masks:     hr.emp.ssn  partial  p.yaml:9",
        "           hr.emp.pay  null     p.yaml:10",
        "",
    ]
    assert "hr.emp" in lines[5]
    answer = json.loads(found.json())
    assert answer["decision"] == "rewritten"
    assert answer["sql"] == "\n".join(lines[5:])
    assert answer["statements"] == ["select"]
    assert answer["relations"] == ["hr.emp"]
    assert answer["masks"] == [
        {"relation": "hr.emp", "column": "ssn", "mask": "partial", "rule": "p.yaml:9"},
        {"relation": "hr.emp", "column": "pay", "mask": "null", "rule": "p.yaml:10"},
    ]


@pytest.mark.parametrize("sql", ["SELECT * FROM ask('how many?')", "/* ask: how many? */", "ASK 'how many?'"])
def test_a_question_is_refused_with_what_to_do(sql: str) -> None:
    with pytest.raises(CarrierError, match="simulate takes SQL") as caught:
        refuse_questions(sql)
    assert "NOTICE" in (caught.value.hint or "")


def test_sql_is_no_question() -> None:
    refuse_questions("SELECT 'ask: x', ask FROM t -- asked")


def test_a_question_in_the_wrong_place_is_told_its_place(run: Run) -> None:
    text = run("ann", "SELECT pay + ask('how many?') FROM emp").text()
    assert "function ask is not allowed for this role" in text
    assert "HINT:  a question stands in FROM: SELECT * FROM ask('...')" in text
    assert "functions.trust" not in text


def test_unchanged(run: Run) -> None:
    found = run("ann", "SELECT id  FROM hr.open")
    assert found.text().splitlines() == [
        "user:      ann  (roles: analyst)",
        "decision:  sent as it came: no rule touches what it reads",
        "",
        "SELECT id  FROM hr.open",
    ]


def test_bypass(run: Run) -> None:
    found = run("root", "DROP TABLE emp; not even SQL")
    assert found.outcome == "bypass"
    assert found.text().endswith("\n\nDROP TABLE emp; not even SQL")


def test_refused(run: Run) -> None:
    found = run("ann", "SELECT 1\n\tFROM\thr.closed")
    lines = found.text().splitlines()
    assert lines[1] == "decision:  refused"
    assert lines[3] == "ERROR:  42501: permission denied for table hr.closed"
    assert lines[4] == "LINE 2: \tFROM\thr.closed"
    assert lines[5] == "        \t    \t^"
    assert lines[6].startswith("HINT:  ")
    answer = json.loads(found.json())
    assert answer["decision"] == "refused"
    assert answer["error"]["sqlstate"] == "42501"
    assert answer["error"]["position"] == 16


def test_a_syntax_error_is_shown_in_its_place(run: Run) -> None:
    lines = run("ann", "SELEC 1").text().splitlines()
    assert lines[3].startswith("ERROR:  42601: ")
    assert lines[4:6] == ["LINE 1: SELEC 1", "        ^"]


def test_the_statement_is_in_no_repr(run: Run) -> None:
    assert "secret" not in repr(run("ann", "SELECT 'secret' FROM hr.emp"))
    assert "secret" not in repr(run("root", "SELECT 'secret'"))
