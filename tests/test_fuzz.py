"""The fuzzer: its statements have every form, it finds holes that are made for it, and otherwise it finds none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from fuzz.__main__ import run
from fuzz.answers import Answer, difference
from fuzz.cases import Case, make_case
from fuzz.cells import MARK, USERS, Secret, marks_for, other_text, stars
from fuzz.expressions import Writer
from fuzz.grammar import AGGREGATES, EXPRESSIONS, WINDOWS
from fuzz.minimise import minimised
from fuzz.oracle import Oracle, Verdict
from fuzz.queries import Queries
from fuzz.report import Tally, fault_lines
from fuzz.rows import all_tables
from fuzz.scope import Column, Scope, Source, Table
from fuzz.throughproxy import proxied
from fuzz.world import POLICY, World, make_world
from proxy import localpg
from proxy.policy import parser, shapeproof
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.plan import Plan
from proxy.policy.shapes import Pins, Shape

CASES = 400
TABLES = [
    Table("shop", "customers", (Column("id", "int"), Column("email", "text", masked=True)), ("id",)),
    Table("lab", "docs", (Column("id", "int"), Column("doc", "jsonb", masked=True), Column("raw", "json")), ("id",)),
    Table("lab", "Odd Names", (Column("Id", "int"), Column('it\'s "so"', "text")), ("Id",), inherits=True),
]
TABLES_OF = dict.fromkeys(USERS, TABLES)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    server = localpg.start(tmp_path_factory.mktemp("fuzz") / "pg18", durable=False)
    try:
        yield make_world(server)
    finally:
        server.stop()


@pytest.fixture
def oracle(world: World) -> Iterator[Oracle]:
    made = Oracle(world)
    yield made
    made.close()


def texts(count: int) -> str:
    return "\n".join(step for number in range(count) for step in make_case(number, TABLES_OF).steps)


def explained(tally: Tally) -> str:
    return "\n".join(line for fault in tally.faults for line in fault_lines(*fault))


# Against PostgreSQL


def test_answers_are_those_of_the_masked_data(oracle: Oracle) -> None:
    tally = run(oracle, range(CASES))
    assert not tally.failed, explained(tally)
    assert tally.outcomes["answered"] >= CASES * 0.8
    assert tally.outcomes["refused"] <= CASES * 0.05
    assert tally.shaped >= CASES * 0.2


def test_answers_through_a_proxy_too(world: World, tmp_path: Path) -> None:
    with proxied(world, tmp_path) as through:
        oracle = Oracle(world, through)
        tally = run(oracle, range(40), proxy_every=1)
        oracle.close()
    assert tally.proxied == 40
    assert not tally.failed, explained(tally)


def without_mask(directory: Path, column: str) -> Path:
    """The policy less the rule for one column."""
    lines = POLICY.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not (line.startswith("  - {") and column in line and "mask:" in line)]
    assert len(kept) == len(lines) - 1
    (directory / "policy.yaml").write_text("\n".join(kept), encoding="utf-8")
    return directory


@pytest.mark.parametrize("column", ["shop.employees.salary", "lab.docs.nick", "lab.tree.name"])
def test_a_hole_in_the_veil_is_found(world: World, tmp_path: Path, column: str) -> None:
    veil = Veil(load_policies(without_mask(tmp_path, column)), world.catalog)
    broken = Oracle(World(world.server, veil, world.catalog))
    table = column.rpartition(".")[0]
    shown = Case(0, "analyst", "select", (f"TABLE {table}",))
    counted = Case(
        0, "analyst", "select", (f"SELECT md5(string_agg({column.rpartition('.')[2]}::text, '')) FROM {table}",)
    )
    try:
        assert broken.judge(shown).outcome == "leak"
        assert broken.judge(counted).outcome in ("different", "dependent")
    finally:
        broken.close()


def test_a_shape_that_holds_for_too_much_is_found(oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a position in GROUP BY had no say: with the key's, the other columns are grouped by too."""
    case = Case(0, "analyst", "select", ("SELECT id, email FROM shop.customers WHERE id > 5 GROUP BY 1",))
    assert oracle.judge(case).outcome == "answered"
    assert (
        oracle.judge(replace(case, steps=("SELECT id, email FROM shop.customers WHERE id > 5",))).outcome == "answered"
    )
    assert oracle.shaped == 1
    monkeypatch.setattr(shapeproof, "OPEN", shapeproof.OPEN | {"SelectStmt.group_clause"})
    monkeypatch.setattr("fuzz.texts.proven", lambda *_: (Pins(()), Shape(Plan("", ()))))
    verdict = oracle.judge(case)
    assert verdict.outcome == "different"
    assert "shape" in verdict.detail


def test_a_statement_that_is_refused_is_no_fault(oracle: Oracle) -> None:
    verdict = oracle.judge(Case(0, "support", "select", ("SELECT body FROM clinic.notes",)))
    assert (verdict.outcome, verdict.sqlstate) == ("refused", "42501")
    verdict = oracle.judge(Case(0, "analyst", "select", ("SELECT nobody FROM shop.customers",)))
    assert (verdict.outcome, verdict.sqlstate) == ("same error", "42703")


def test_a_case_leaves_nothing_behind(oracle: Oracle) -> None:
    steps = (
        "BEGIN",
        "DECLARE reading CURSOR FOR SELECT 1",
        "FETCH ALL FROM reading",
        "SELECT 1 FROM nowhere",
        "COMMIT",
    )
    for _ in range(2):
        assert oracle.judge(Case(0, "both", "cursor", steps)).sqlstate == "42P01"


# What is generated


def test_a_number_makes_one_case() -> None:
    assert [make_case(n, TABLES_OF) for n in range(200)] == [make_case(n, TABLES_OF) for n in range(200)]
    assert {make_case(n, TABLES_OF).user for n in range(50)} == set(USERS)


def test_statements_have_every_form() -> None:
    written = texts(3000)
    wanted = (
        "LATERAL", "NATURAL", "USING (", "FULL JOIN", "RIGHT JOIN", "CROSS JOIN", "WITH RECURSIVE", "NOT MATERIALIZED",
        "SEARCH DEPTH", "CYCLE", "UNION ALL", "INTERSECT", "EXCEPT", "DISTINCT ON", "GROUPING SETS", "ROLLUP", "CUBE",
        "HAVING", "FILTER (WHERE", "OVER (", "GROUPS BETWEEN", "WITH TIES", "OFFSET", "VALUES", "EXISTS", "= ANY",
        "COPY (", "EXPLAIN", "DECLARE", "FETCH ALL", "PREPARE", "EXECUTE", "$1", "ONLY ", "TABLE ", "/* b.email */",
        '"Odd Names"', "row_to_json", "ARRAY[", "::integer", "JSON_TABLE", "WITHIN GROUP", "OVERLAPS", "COLLATE",
    )  # fmt: skip
    assert [word for word in wanted if word not in written] == []


def test_most_statements_are_valid() -> None:
    problems = 0
    for number in range(500):
        case = make_case(number, TABLES_OF)
        for step in case.steps if case.kind != "spoiled" else ():
            try:
                parser.parse(step)
            except parser.SyntaxProblem:
                problems += 1
    assert problems <= 25


@pytest.mark.parametrize("table", [EXPRESSIONS, AGGREGATES, WINDOWS], ids=["expressions", "aggregates", "windows"])
def test_every_template_is_sql(table: dict[str, tuple[str, ...]]) -> None:
    scope = Scope([Source("c", TABLES[0].columns), Source("d", TABLES[1].columns)])
    for template in (template for templates in table.values() for template in templates):
        queries = Queries(Random(1), TABLES)
        written = Writer(Random(1), queries._sub_select)._fill(template, 1, scope)
        parser.parse(f"SELECT {written} FROM shop.customers c, lab.docs d")


# What is compared


def test_rows_are_compared_as_they_should_be() -> None:
    columns = ((b"a", 25, -1), (b"b", 1700, -1))
    first = Answer(columns, ((b"x", b"1.0"), (b"y", None)))
    second = Answer(columns, ((b"y", None), (b"x", b"1.00")))
    assert difference(first, second, ordered=False, row_types=frozenset()) is None
    assert difference(first, second, ordered=True, row_types=frozenset()) == "another order of rows"
    third = Answer(columns, ((b"x", b"1.0"), (b"y", b"0")))
    assert difference(first, third, ordered=False, row_types=frozenset()) == "other rows"


def test_columns_are_compared_too() -> None:
    named, other = Answer(((b"a", 25, -1),)), Answer(((b"b", 25, -1),))
    assert "names" in str(difference(named, other, ordered=False, row_types=frozenset()))
    whole, record = Answer(((b"a", 20000, -1),)), Answer(((b"a", 2249, -1),))
    assert difference(record, whole, ordered=False, row_types=frozenset({20000})) is None
    assert "type" in str(difference(record, whole, ordered=False, row_types=frozenset()))
    failed = Answer(sqlstate="22012", message="division by zero")
    assert "22012" in str(difference(failed, named, ordered=False, row_types=frozenset()))


def test_other_values_read_the_same() -> None:
    for table in all_tables():
        for roles in USERS.values():
            for row in table.rows:
                for cell in row.values():
                    if isinstance(cell, Secret) and isinstance(cell.value, str) and not cell.clear_for & roles:
                        assert MARK not in str(cell.masked)
                        assert cell.masked is None or len(str(cell.other)) == len(cell.value)
    assert other_text(f"a{MARK}b") != f"a{MARK}b"
    assert stars("123-45-6789", last=4) == "***-**-6789"


def test_marks_are_known_backwards_and_in_hexadecimal() -> None:
    found = marks_for(USERS["analyst"])
    assert {MARK.encode(), MARK[::-1].encode(), MARK.encode().hex().encode()} <= set(found)
    assert len(marks_for(USERS["analyst"])) == len(marks_for(USERS["support"]))


def test_a_fault_is_made_smaller() -> None:
    def judge(case: Case) -> Verdict:
        found = re.search(r"bad\s*\(\s*x", case.steps[0]) is not None
        return Verdict("different", "other rows") if found else Verdict("answered")

    case = Case(
        1, "analyst", "select", ("SELECT a, (b + coalesce(bad(x), 'it''s')) FROM t -- note\nWHERE c IN (1, 2)",)
    )
    assert minimised(case, judge(case), judge).steps[0] in ("bad(x", "bad (x")


def test_a_report_counts_and_says_how_to_see_a_fault_again() -> None:
    tally = Tally()
    case = Case(7, "analyst", "parameters", ("SELECT $1",), ("a",))
    for verdict in (
        Verdict("answered"),
        Verdict("refused", 'at "x"', "0A000"),
        Verdict("leak", "zq8x is in the reply"),
    ):
        tally.add(case, verdict)
    text = "\n".join((*tally.lines(), *fault_lines(*tally.faults[0])))
    assert "3 statements (3 parameters)" in text
    assert '1  0A000 at "..." (--only 7)' in text
    assert "again: python -m fuzz --only 7" in text
    assert tally.failed
