"""docs/statements.md and its tables against PostgreSQL's grammar, and against what the veil does with each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import plan_world
import pytest
from statement_samples import CLAUSES as CLAUSE_SAMPLES
from statement_samples import STATEMENTS

from proxy.policy import parser, statements
from proxy.policy.clauses import CLAUSES, Place
from proxy.policy.commands import COMMANDS, SECTIONS, UNNAMED, Verdict, reason, spoken
from proxy.policy.decide import Veil
from proxy.policy.functions import admitted
from proxy.policy.nodekinds import WALKED
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import StatementKind, TableRule
from scripts import statement_docs

NODES: dict[str, str] = {
    field.name: field.message_type.name for field in parser.nodes.Node.DESCRIPTOR.oneofs_by_name["node"].fields
}
"""Every member of the grammar's Node, to its message type."""

MINE = "mine"
"""The temporary table of the session that asks."""

WRITES = frozenset({StatementKind.INSERT, StatementKind.UPDATE, StatementKind.DELETE, StatementKind.MERGE})

# Users' own operators and functions are other tests' subject: without them every form of the grammar may run.
CATALOG = replace(
    plan_world.CATALOG,
    functions=(),
    operators=(),
    types=(),
    builtin_functions=frozenset(entry.partition("/")[0] for entry in admitted()),
    builtin_types=frozenset({"int4", "text", "json", "jsonb", "interval", "date"}),
)

POLICY = replace(
    plan_world.POLICY,
    statements=frozenset(StatementKind),
    tables=(TableRule(("hr.*", "public.*"), frozenset({"analyst"}), plan_world.HERE, write=WRITES),),
)


def decide(sql: str, granted: frozenset[StatementKind] = POLICY.statements) -> Plan | Refusal:
    session: dict[str, Any] = {}
    if StatementKind.TEMP in statements.IMPLEMENTED:
        session["temps"] = frozenset({MINE})
    veil = Veil(replace(POLICY, statements=granted), CATALOG)
    return veil.decide(sql, plan_world.identity("analyst"), plan_world.SEARCH_PATH, **session)


def types_in(sql: str) -> set[str]:
    """The message types of the tree."""
    return {message.DESCRIPTOR.name for message in parser.nodes_of(parser.parse(sql))}


def kind_of(sql: str) -> str:
    (raw,) = parser.parse(sql).stmts
    return str(raw.stmt.WhichOneof("node"))


def not_there_yet(sql: str) -> bool:
    """A statement of a kind that the program accepts in policies and cannot do."""
    command = COMMANDS[kind_of(sql)]
    return command.verdict is not Verdict.REFUSED and command.kind not in statements.IMPLEMENTED


# The tables are whole


def test_the_grammar_is_the_documented_one() -> None:
    assert parser.parse("SELECT 1").version // 10_000 == 18
    assert "PostgreSQL 18's grammar" in statement_docs.page()


def test_every_node_has_one_row() -> None:
    assert sorted([*COMMANDS, *CLAUSES]) == sorted(NODES)


def test_no_row_is_lost_under_another_of_its_name() -> None:
    assert sum(len(rows) for rows in SECTIONS.values()) == len(COMMANDS)


def test_every_statement_has_a_sample() -> None:
    assert set(STATEMENTS) == set(COMMANDS)


@pytest.mark.parametrize("node", STATEMENTS)
def test_a_sample_is_of_its_node(node: str) -> None:
    assert kind_of(STATEMENTS[node]) == node


def test_every_node_that_a_text_can_have_is_in_a_sample() -> None:
    met = set().union(*map(types_in, [*STATEMENTS.values(), *CLAUSE_SAMPLES.values()]))
    never = {NODES[node] for node, clause in CLAUSES.items() if clause.place is Place.NEVER}
    assert set(NODES.values()) - met == never


# Each row is what the veil does


@pytest.mark.parametrize("node", STATEMENTS)
def test_the_veil_does_what_the_row_says(node: str) -> None:
    command, decision = COMMANDS[node], decide(STATEMENTS[node])
    if command.verdict is Verdict.REFUSED or not_there_yet(STATEMENTS[node]):
        assert isinstance(decision, Refusal)
        assert decision.sqlstate == "42501"
        assert "is not allowed for this role" in decision.message
        return
    assert isinstance(decision, Plan), decision
    (statement,) = decision.statements
    assert statement.kind is command.kind
    if command.verdict is Verdict.REWRITTEN:
        assert decision.rewritten
        assert "hr.keyed" in decision.touched
    elif command.kind is not StatementKind.TEMP:
        assert not decision.rewritten


@pytest.mark.parametrize("node", [n for n, c in COMMANDS.items() if c.verdict is not Verdict.REFUSED])
def test_it_runs_only_where_the_policy_grants_its_kind(node: str) -> None:
    kind = COMMANDS[node].kind
    assert kind is not None
    refusal = decide(STATEMENTS[node], POLICY.statements - {kind})
    assert isinstance(refusal, Refusal)
    assert refusal.sqlstate == "42501"


def test_the_engine_handles_no_statement_that_the_table_refuses() -> None:
    handled = {node for node, (_, handler) in statements._HANDLERS.items() if handler is not None}
    assert [node for node in handled if COMMANDS[node].verdict is Verdict.REFUSED] == []
    runs = {node for node, c in COMMANDS.items() if c.verdict is not Verdict.REFUSED}
    assert {node for node in runs if COMMANDS[node].kind in statements.IMPLEMENTED} <= handled


def test_the_engine_walks_through_what_the_table_says() -> None:
    walked = {NODES[node] for node, clause in CLAUSES.items() if clause.place is Place.WALKED}
    never = {NODES[node] for node, clause in CLAUSES.items() if clause.place is Place.NEVER}
    assert walked <= WALKED
    assert walked >= WALKED - never


@pytest.mark.parametrize("node", [n for n, c in CLAUSES.items() if c.place in (Place.WALKED, Place.RULE)])
def test_a_statement_with_such_a_node_runs(node: str) -> None:
    sql = CLAUSE_SAMPLES[node]
    assert NODES[node] in types_in(sql)
    assert isinstance(decide(sql), Refusal if not_there_yet(sql) else Plan), decide(sql)


@pytest.mark.parametrize("node", [n for n, c in CLAUSES.items() if c.place is Place.REFUSED])
def test_a_statement_with_such_a_node_is_refused(node: str) -> None:
    samples = [CLAUSE_SAMPLES[node]] if node in CLAUSE_SAMPLES else STATEMENTS.values()
    with_it = [sql for sql in samples if NODES[node] in types_in(sql)]
    assert with_it
    assert [sql for sql in with_it if not isinstance(decide(sql), Refusal)] == []


# In words


def test_the_page_is_what_the_tables_say() -> None:
    written = statement_docs.PAGE.read_text(encoding="utf-8")
    assert written == statement_docs.page(), "run: python -m scripts.statement_docs"


def test_a_dump_is_told_what_would_work() -> None:
    assert spoken("lock_stmt") == "LOCK TABLE"
    assert "cannot dump" in reason("lock_stmt")
    assert "bypass" in reason("lock_stmt")


def test_a_node_without_a_row_has_a_name_all_the_same() -> None:
    assert spoken("create_assertion_stmt") == "CREATE ASSERTION"
    assert reason("create_assertion_stmt") == UNNAMED
