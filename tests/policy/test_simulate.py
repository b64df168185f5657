"""What `simulate` shows of a decision."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.errors import CarrierError
from proxy.policy.catalog import Catalog, Column, Relation
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.plan import Plan
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
    assert lines[:7] == [
        "user:      ann  (roles: analyst)",
        f"policy:    {run.veil.policy.digest[:12]}",
        "decision:  rewritten",
        "kind:      select",
        "masks:     hr.emp.ssn  partial  p.yaml:9   named",
        "           hr.emp.pay  null     p.yaml:10  named",
        "",
    ]
    assert "hr.emp" in lines[7]
    answer = json.loads(found.json())
    assert answer["decision"] == "rewritten"
    assert answer["sql"] == "\n".join(lines[7:])
    assert answer["statements"] == ["select"]
    assert answer["relations"] == ["hr.emp"]
    assert answer["masks"] == [
        {"relation": "hr.emp", "column": "ssn", "mask": "partial", "rule": "p.yaml:9", "why": "named"},
        {"relation": "hr.emp", "column": "pay", "mask": "null", "rule": "p.yaml:10", "why": "named"},
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


FILTERED = """
version: 1
roles: {desk: {users: [eva], attributes: {region: EU}}}
tables: [{allow: ["hr.*"], roles: [desk]}]
columns: [{columns: [hr.emp.ssn], tag: private}]
masks:
  - {tag: private, mask: partial}
rows:
  - {table: hr.emp, where: "pay::text
       <> {user.region}"}
limits: [{roles: [desk], max_rows: 100000, statement_timeout_s: 0.5}]
"""


def test_raw_predicates(run: Run) -> None:
    found = run("ann", "SELECT ssn FROM emp")
    assert isinstance(found.decision, Plan)
    found = replace(found, decision=replace(found.decision, raw_predicates=("hr.emp.ssn",)))
    assert "raw:       hr.emp.ssn  predicates compare its own values" in found.text().splitlines()
    assert json.loads(found.json())["raw_predicates"] == ["hr.emp.ssn"]


def test_row_filters_and_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(FILTERED)
    view = Relation(
        4, "hr", "v", "v", (Column("id", "integer"),),
        definition="SELECT emp.id FROM hr.emp", depends=((("hr", "emp"), "id"),),
    )  # fmt: skip
    catalog = replace(CATALOG, relations={**CATALOG.relations, view.key: view})
    found = Run(Veil(load_policies(Path("p.yaml")), catalog))("eva", "SELECT id FROM emp WHERE ssn = '1'")
    lines = found.text().splitlines()
    assert "masks:     hr.emp.ssn  partial  p.yaml:7  tag private" in lines
    assert "rows:      hr.emp  pay::text <> {user.region}  p.yaml:9" in lines
    assert lines[lines.index("limits:    max_rows             100000") + 1] == "           statement_timeout_s  0.5"
    answer = json.loads(found.json())
    assert answer["filters"] == [{"relation": "hr.emp", "condition": "pay::text <> {user.region}", "rule": "p.yaml:9"}]
    assert answer["limits"] == {"max_rows": 100000, "statement_timeout_s": 0.5}
    assert answer["policy"] == found.policy
    through_view = Run(Veil(load_policies(Path("p.yaml")), catalog))("eva", "SELECT id FROM v")
    assert [f.relation for f in through_view.filters] == ["hr.emp"]


def test_unchanged(run: Run) -> None:
    found = run("ann", "SELECT id  FROM hr.open")
    assert found.text().splitlines() == [
        "user:      ann  (roles: analyst)",
        f"policy:    {run.veil.policy.digest[:12]}",
        "decision:  sent as it came: no rule touches what it reads",
        "kind:      select",
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
    assert lines[2] == "decision:  refused"
    assert lines[4] == "ERROR:  42501: permission denied for table hr.closed"
    assert lines[5] == "LINE 2: \tFROM\thr.closed"
    assert lines[6] == "        \t    \t^"
    assert lines[7].startswith("HINT:  ")
    answer = json.loads(found.json())
    assert answer["decision"] == "refused"
    assert answer["error"]["sqlstate"] == "42501"
    assert answer["error"]["position"] == 16


def test_a_syntax_error_is_shown_in_its_place(run: Run) -> None:
    lines = run("ann", "SELEC 1").text().splitlines()
    assert lines[4].startswith("ERROR:  42601: ")
    assert lines[5:7] == ["LINE 1: SELEC 1", "        ^"]


def test_the_statement_is_in_no_repr(run: Run) -> None:
    assert "secret" not in repr(run("ann", "SELECT 'secret' FROM hr.emp"))
    assert "secret" not in repr(run("root", "SELECT 'secret'"))
