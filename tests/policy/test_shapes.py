"""Plans of texts that differ in numbers only: each is the one that the text would have got by itself, whatever looks
like a number, and wherever a number has a say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import plan_world
import pytest
import write_world
from fence_world import catalog as fence_catalog
from hypothesis import assume, given
from hypothesis import strategies as st
from plan_world import SEARCH_PATH, identity
from statement_samples import STATEMENTS
from test_plans import CASES
from test_splice import SPLICED, WRITTEN
from test_write_plans import CASES as WRITE_CASES

from fuzz.shapes import TwoVeils, varied
from proxy.policy import parser, shapeproof, shapes
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.masks import build_mask
from proxy.policy.plan import Effect, Plan, PlannedStatement, Refusal
from proxy.policy.rules import Identity, Limits, MaskRule, StatementKind
from proxy.policy.shapeproof import proven
from proxy.policy.shapes import holes, outline

FILTERED = """
version: 1
roles:
  desk: {users: [dora]}
  cut: {users: [carl]}
tables: [{allow: ["hr.*"], roles: [desk, cut]}]
masks:
  - {columns: [hr.emp.name], mask: 'null'}
  - {columns: [hr.emp.salary], mask: 'null', predicates: raw, reason: look-ups}
  - {columns: [hr.emp.code], mask: redact, predicates: deny}
rows: [{tables: [hr.emp], where: "region = 'EU'", roles: [desk]}]
limits: [{roles: [cut], max_rows: 10}]
"""


def veil() -> Veil:
    """Over the fixtures' tables, in a database without operators of its own: those are pinned, in text written out."""
    return Veil(plan_world.POLICY, replace(plan_world.CATALOG, operators=()))


def numbered(template: str, *values: object) -> str:
    """The template with values for its ? in order."""
    given_values = iter(values)
    return re.sub(r"\?", lambda _: str(next(given_values)), template)


def after_two(veils: TwoVeils, template: str, who: Identity, *, path: tuple[str, ...] = SEARCH_PATH) -> int:
    """How many of five more texts come out of a shape, after two of the template; every one is held against a veil
    without shapes. Each ? is another number each time."""
    places = template.count("?")
    random = Random(template)
    for _ in range(2):
        veils.decide(numbered(template, *(random.randrange(5000) for _ in range(places))), who, path)
    before = veils.shaped
    for _ in range(5):
        veils.decide(numbered(template, *(random.randrange(10**9) for _ in range(places))), who, path)
    return veils.shaped - before


# The same decisions


def test_what_the_fixtures_have_with_other_integers() -> None:
    for veils in (TwoVeils(veil()), TwoVeils(plan_world.veil())):
        for case in CASES:
            veils.vary(case.sql, identity(case.user), SEARCH_PATH, case.name)
        for sql in (*SPLICED, *WRITTEN, *STATEMENTS.values()):
            veils.vary(sql, identity("analyst"), SEARCH_PATH, sql)
        assert veils.shaped > 50


def test_writes_with_other_integers() -> None:
    veils = TwoVeils(write_world.veil())
    for case in WRITE_CASES:
        veils.vary(case.sql, write_world.identity(case.user), write_world.SEARCH_PATH, case.name)
    assert veils.decided > 100


SHAPED = (
    "SELECT label FROM item WHERE id = ?",
    "SELECT label FROM item WHERE id = ?;",
    "SELECT label FROM item WHERE id = - ? OR id=-?",
    "SELECT label FROM item WHERE id-? = ? - id",
    "SELECT label FROM item WHERE id IN (?, ?,?) AND label <> 'it''s 5 o''clock' LIMIT ? OFFSET ?",
    "SELECT label FROM item WHERE label = '5' AND id BETWEEN ? AND ?",
    "SELECT label FROM item WHERE label LIKE '%s %% 5%' AND id % ? = ?",
    'SELECT label AS "5b", id AS "a1" FROM item WHERE id = ?',
    "SELECT 1.5, 1e5, .5, 5., 0x1F, 1_000, 007, 12345678901, a1.id FROM item a1 WHERE id = ?",
    "SELECT label FROM item WHERE id = $1 AND id < ?",
    "SELECT label, count(*) FROM item WHERE id > ? GROUP BY 1 ORDER BY 2 DESC LIMIT ?",
    "SELECT CAST(? AS numeric(10, 2)), ?::int4, CASE id WHEN ? THEN ? ELSE ? END, coalesce(id, ?) FROM item",
    "SELECT * FROM generate_series(?, ?) WITH ORDINALITY AS g(n, i) WHERE i < ?",
    "VALUES (?, ?), (?, 'x')",
    "WITH q AS (SELECT id FROM item WHERE id > ?) SELECT (SELECT max(id) FROM q WHERE id < ?) FROM q",
    "SELECT id FROM item WHERE id = ? UNION ALL SELECT id FROM item WHERE id = ? LIMIT ?",
    "SELECT 'é', label FROM item WHERE label = 'ü 5' AND id = ?",
    "SELECT id /* of five */ FROM item -- and that is it\nWHERE id = ?",
    "SELECT ssn FROM hr.emp WHERE id = ?",
    "SELECT ?, ssn FROM hr.emp WHERE id = ? AND name LIKE '%d %s 5%'",
    "SELECT ?, a.ssn FROM hr.emp a JOIN hr.emp b ON a.id = b.id + ? WHERE b.id IN (?, ?)",
    "SELECT (SELECT max(salary) FROM hr.emp WHERE id < ?), ? FROM hr.emp WHERE id > ?",
    "SELECT ssn, ? FROM hr.emp, item WHERE item.id = ?",
    "SELECT ssn FROM hr.emp WHERE id = ? ORDER BY 1 FETCH FIRST ? ROWS ONLY",
    "SELECT array_agg(x) FILTER (WHERE x > ?) FROM (VALUES (?), (?)) AS v(x) HAVING count(*) > ?",
    "SELECT ROW(?, ?) = ANY (SELECT ROW(?, id) FROM item), ARRAY[?, ?], greatest(?, ?), nullif(id, ?) FROM item",
)
"""After two texts of it, the numbers for ? are no reason to parse."""


@pytest.mark.parametrize("template", SHAPED)
def test_a_known_shape_is_not_decided_again(template: str) -> None:
    assert after_two(TwoVeils(veil()), template, identity("analyst")) == 5


def test_a_known_shape_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = veil()
    for number in (1, 2):
        found.decide(f"SELECT ssn, {number} FROM hr.emp WHERE id = {number}", identity("analyst"), SEARCH_PATH)
    monkeypatch.setattr(parser, "parse", None)
    plan = found.decide("SELECT ssn, 3 FROM hr.emp WHERE id = 123456789", identity("analyst"), SEARCH_PATH)
    assert isinstance(plan, Plan)
    assert plan.sql.startswith("SELECT ssn, 3 FROM (SELECT ")
    assert plan.sql.endswith(' AS "emp" WHERE id = 123456789')
    assert plan.touched == {"hr.emp"}
    assert [mask.column for mask in plan.masks] == ["ssn", "salary"]


UNSHAPED = (
    "SELECT id::numeric(?, 2) FROM item",
    "SELECT label, id FROM item ORDER BY ?",
    "SELECT label, id FROM item GROUP BY ?, ?",
    "SELECT label, id FROM item GROUP BY (?, 1)",
    "SELECT DISTINCT ON (?) label, id FROM item",
    "SELECT id::float(?) FROM item",
    "SELECT '2 days'::interval(?)",
    "SELECT interval(?) '5'",
    "SELECT (ARRAY[1,2])[?]",
    "SELECT sum(id) OVER (ORDER BY id ROWS ? PRECEDING) FROM item",
    "SELECT set_config('work_mem', ?, false)",
    "SELECT pg_catalog.set_config('work_mem', '64kB', ?)",
    "SELECT current_setting('work_mem', ?)",
    "SET work_mem = ?",
    "SET search_path = ?",
    "SELECT id FROM item TABLESAMPLE system (?)",
    "FETCH ? FROM c",
    "COPY (SELECT ?) TO STDOUT",
    "DECLARE c CURSOR FOR SELECT ?",
    "PREPARE p AS SELECT ?",
    "EXECUTE p (?)",
    "EXPLAIN SELECT ?",
    "SELECT ?; SELECT ?",
    "BEGIN; SELECT ?",
    "SELECT ssn FROM ONLY hr.emp WHERE id = ?",
    "SELECT hr.emp.ssn FROM hr.emp WHERE id = ?",
    "SELECT ssn FROM /* ? */ hr.emp WHERE id = ?",
    "SELECT word FROM secret.vault WHERE id = ?",
    "SELECT pg_sleep(?)",
    "SELECT id FROM nothing WHERE id = ?",
    "SELECT id FROM item WHERE id = ? ?",
    "SELECT id /* of ? */ FROM item WHERE id = ?",
    "SELECT E'a\\' ? ' FROM item WHERE id = ?",
    'SELECT 1 AS "a ? b" FROM item WHERE id = ?',
    "SELECT $$ ? $$ FROM item WHERE id = ?",
    "SELECT 1e-? FROM item",
    "SELECT /* ' */ ? /* ' */ FROM item",
)
"""Numbers that are not a plain operand, or of statements that have no shape: each is decided on by itself."""


@pytest.mark.parametrize("template", UNSHAPED)
def test_a_number_that_has_a_say_or_is_none_is_decided_on(template: str) -> None:
    assert after_two(TwoVeils(veil()), template, identity("analyst")) == 0


@pytest.mark.parametrize("sql", [*SHAPED, *UNSHAPED])
def test_every_integer_of_these_may_change(sql: str) -> None:
    veils = TwoVeils(veil())
    veils.vary(numbered(sql, *range(1, 20)), identity("analyst"), SEARCH_PATH, sql, times=20)
    assert veils.decided == 42 or not holes(numbered(sql, *range(1, 20)))


def test_a_comment_comes_nearer_with_shorter_integers() -> None:
    """Where a comment is near, a name is not replaced in the client's own text: how near it is, the integers say."""
    veils, who = TwoVeils(veil()), identity("analyst")
    plans = [
        veils.decide(f"SELECT ssn, /* five */ {', '.join([number] * 8)} FROM hr.emp", who, SEARCH_PATH)
        for number in ("123456789", "123456788", "1", "2", "12345", "123456")
    ]
    assert [bool(plan.tree) for plan in plans if isinstance(plan, Plan)] == [False, False, True, True, True, False]


def test_what_looks_like_a_probe_is_no_hole() -> None:
    """Integers that a proof puts into a text may stand in it already, or in what a mask puts there."""
    shown = replace(
        plan_world.POLICY,
        masks=(MaskRule(build_mask("constant", {"value": 900300007}), plan_world.HERE, columns=("hr.emp.id",)),),
    )
    veils, who = TwoVeils(Veil(shown, veil().catalog)), identity("analyst")
    for number in ("5", "66", "777", "900000000", "900300007", "900600014", "900900021"):
        sql = f"SELECT id, {number}, '900000000 900300007' FROM hr.emp WHERE salary IN (900600014, {number})"
        veils.decide(sql, who, SEARCH_PATH)
        veils.decide(sql.replace("900600014", number), who, SEARCH_PATH)
    assert veils.shaped


def test_a_position_belongs_to_the_shape() -> None:
    """The first column is a key, and the second is none: only with the key does GROUP BY need the others."""
    veils, who = TwoVeils(veil()), identity("analyst")
    sql = "SELECT id, name, salary FROM hr.keyed WHERE id > {} GROUP BY {}"
    for number in range(4):
        for position in (1, 2, 3, 4):
            veils.decide(sql.format(number * 7, position), who, SEARCH_PATH)
    assert veils.shaped


# What a proof wants, one thing at a time

PLAIN = "SELECT label FROM item WHERE id = 5"
MASKED = "SELECT ssn FROM hr.emp WHERE id = 5"


def afresh(sql: str) -> Plan | Refusal:
    return Veil(plan_world.POLICY, veil().catalog, cache_size=0).decide(sql, identity("analyst"), SEARCH_PATH)


def planned(sql: str) -> Plan:
    plan = afresh(sql)
    assert isinstance(plan, Plan)
    return plan


def test_there_is_a_proof_for_these() -> None:
    for sql in (PLAIN, MASKED):
        assert proven(sql, planned(sql), afresh) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"tree": b"x"},
        {"original": PLAIN},
        {"raw_predicates": ("hr.emp.salary",)},
        {"statements": ()},
        {"statements": (PlannedStatement(StatementKind.SELECT),) * 2},
        {"statements": (PlannedStatement(StatementKind.INSERT),)},
        {"statements": (PlannedStatement(StatementKind.SELECT, Effect("prepare", "p")),)},
        {"statements": (PlannedStatement(StatementKind.SELECT, max_rows=7),)},
        {"sql": f"{PLAIN} "},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_plans_have_no_shape(change: dict[str, Any]) -> None:
    def decide(sql: str) -> Plan:
        # All of it holds for the other text as well.
        other = {"sql": f"{sql} "} if "sql" in change else change
        return replace(planned(sql), **other)

    assert proven(PLAIN, decide(PLAIN), decide) is None


@pytest.mark.parametrize(
    "sql",
    [
        PLAIN.replace("label", "'\\\\' AS label"),
        MASKED.replace("SELECT", "SELECT -- all\n"),
        MASKED.replace("SELECT", "SELECT /* all */"),
    ],
)
def test_other_texts_have_no_shape(sql: str) -> None:
    plain = planned(MASKED if "hr.emp" in sql else PLAIN)
    assert proven(sql, plain if plain.rewritten else plain.with_text(sql, ()), afresh) is None


@pytest.mark.parametrize("sql", [PLAIN, MASKED])
@pytest.mark.parametrize(
    "change",
    [
        {"touched": frozenset({"hr.keyed"})},
        {"masks": ()},
        {"policy_version": "another"},
        {"catalog_version": 7},
        {"limits": Limits(max_cost=5.0)},
        {"weighed": True},
        {"rewritten": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_shape_where_the_other_text_has_another_plan(sql: str, change: dict[str, Any]) -> None:
    if "masks" in change:
        change = {"masks": () if planned(sql).masks else planned(MASKED).masks}
    if "rewritten" in change:
        change = {"rewritten": not planned(sql).rewritten}
    assert proven(sql, planned(sql), lambda text: replace(planned(text), **change)) is None


def test_no_shape_where_the_other_text_is_refused() -> None:
    assert proven(PLAIN, planned(PLAIN), lambda _: Refusal("42501", "no")) is None


def test_no_shape_where_the_scanner_takes_a_hole_for_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(PLAIN)
    monkeypatch.setattr(parser, "integer_tokens", lambda _: set())
    assert proven(PLAIN, plan, afresh) is None


def test_no_shape_where_the_other_text_is_another_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the grammar made of an integer what no constant shows."""
    parse = parser.parse

    def parsed(sql: str) -> parser.ParseTree:
        return parse(sql if sql == PLAIN else sql.replace("label", "other"))

    plan = planned(PLAIN)
    monkeypatch.setattr(parser, "parse", parsed)
    assert proven(PLAIN, plan, lambda text: plan.with_text(text, ())) is None


def test_no_shape_where_an_integer_is_two_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    below = shapeproof._below
    monkeypatch.setattr(shapeproof, "_below", lambda *node, **named: [*below(*node, **named)] * 2)
    assert proven(PLAIN, planned(PLAIN), afresh) is None


@pytest.mark.parametrize("found", ["1", "9", ""])
def test_no_shape_where_the_other_text_comes_out_otherwise(found: str) -> None:
    """As if what is run held something of the number beside itself: its first digit, its last, its length."""

    def decide(sql: str) -> Plan:
        plan = planned(sql)
        number = holes(sql)[0]
        digits = sql[slice(*number)]
        told = digits[0] if found == "9" else digits[-1] if found == "1" else str(len(digits))
        return plan.with_text(f"{plan.sql} AND {told}.0 > 0", plan.cuts)

    assert proven(MASKED, decide(MASKED), decide) is None


# Row filters and predicate rules


@pytest.fixture
def filtered(tmp_path: Path) -> TwoVeils:
    path = tmp_path / "policy.yaml"
    path.write_text(FILTERED)
    return TwoVeils(Veil(load_policies(path), fence_catalog()))


def of(veils: TwoVeils, user: str) -> Identity:
    found = veils.policy.identify(user)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("template", "shaped"),
    [
        ("SELECT name FROM emp WHERE id = ?", 5),
        ("SELECT ?, name FROM emp WHERE id = ? AND boss IN (?, ?) AND upper(region) = 'X'", 5),
        ("SELECT a.name FROM emp a, emp b WHERE a.id = ? AND b.id = ? AND a.boss = ?", 5),
        # A copy of -0 is 0.
        ("SELECT name FROM emp WHERE id = - ?", 0),
        ("SELECT count(*) FROM dept WHERE id > ? AND emp_id IN (SELECT id FROM emp WHERE boss = ?)", 5),
        # How far a day is decides whether the condition may stand below the fence.
        ("SELECT name FROM emp WHERE born > current_date - ?", 0),
        ("SELECT name FROM emp WHERE id > ? + ?", 0),
        # Written out from the tree: the condition is moved.
        ("SELECT name FROM emp WHERE salary = ?", 0),
        ("SELECT code FROM emp WHERE id = ? ORDER BY ?", 0),
    ],
)
def test_a_copied_condition_has_its_own_number(filtered: TwoVeils, template: str, shaped: int) -> None:
    assert after_two(filtered, template, of(filtered, "dora"), path=("hr",)) == shaped


def test_a_copied_zero_loses_its_sign(filtered: TwoVeils) -> None:
    texts = (f"SELECT upper(name) FROM emp WHERE id > - {number}" for number in (1, 22, 333, 0, 7))
    plans = [filtered.decide(text, of(filtered, "dora"), ("hr",)) for text in texts]
    copied = [re.findall(r"\(t\.id > [^)]*\)", plan.sql) for plan in plans if isinstance(plan, Plan)]
    assert copied == [[f"(t.id > {number})"] for number in (-1, -22, -333, 0, -7)]


def test_a_day_far_away_is_decided_on(filtered: TwoVeils) -> None:
    plans = [
        filtered.decide(
            f"SELECT upper(name) FROM emp WHERE born > current_date - {days}", of(filtered, "dora"), ("hr",)
        )
        for days in (1, 2, 3, 99_999, 100_000, 100_001, 999_999_999, 5)
    ]
    copied = ["(t.born > (current_date" in plan.sql for plan in plans if isinstance(plan, Plan)]
    assert copied == [True] * 5 + [False] * 2 + [True]


def test_a_limit_of_rows_is_written_out(filtered: TwoVeils) -> None:
    assert after_two(filtered, "SELECT id FROM dept WHERE id = ? LIMIT ?", of(filtered, "carl"), path=("hr",)) == 0
    assert after_two(filtered, "SELECT id FROM dept WHERE id = ? LIMIT ?", of(filtered, "dora"), path=("hr",)) == 5


# What a shape is known for


def test_a_shape_is_one_role_sets_and_one_settings() -> None:
    veils = TwoVeils(veil())
    template = "SELECT ssn, salary, ? FROM contractor WHERE id = ?"
    assert after_two(veils, template, identity("analyst"), path=("hr",)) == 5
    sql = numbered(template, 5, 6)
    masked = veils.decide(sql, identity("analyst"), ("hr",))
    own = veils.decide(sql, identity("pia"), ("hr",))
    temporary = veils.decide(sql, identity("analyst"), ("hr",), temps=frozenset({"contractor"}))
    assert len({plan.sql for plan in (own, temporary, masked) if isinstance(plan, Plan)}) == 3
    assert isinstance(veils.decide(sql, identity("analyst"), ("public",)), Refusal)


def test_a_session_that_changes_its_settings_is_judged_by_the_new_ones() -> None:
    """The same identity object, as a session has one."""
    veils, who = TwoVeils(veil()), identity("analyst")
    none, mine = frozenset[str](), frozenset({"contractor"})
    seen = set()
    for number in range(1, 60):
        path = ("hr",) if number % 3 else ("public",)
        temps = mine if number % 10 < 5 else none
        decided = veils.decide(f"SELECT ssn FROM contractor WHERE id = {number}", who, path, temps)
        seen.add("refused" if isinstance(decided, Refusal) else decided.sql[:30])
    assert len(seen) == 3
    assert veils.shaped > 10


def test_a_shape_is_of_one_set_of_types(filtered: TwoVeils) -> None:
    """A date column is compared below the fence with a date, and with nothing that could fail."""
    who = of(filtered, "dora")
    for types in ((1082,), (25,), (1082,), (25,), (0,), (16,)):
        for number in range(1, 5):
            sql = f"SELECT upper(region) FROM emp WHERE born = $1 AND id = {number}{number}"
            plan = filtered.decide(sql, who, ("hr",), types=types)
            assert isinstance(plan, Plan)
            assert ("(t.born = $1)" in plan.sql) == (types in ((1082,), (0,)))
    assert filtered.shaped


def test_what_is_known_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found, who = Veil(plan_world.POLICY, veil().catalog, cache_size=16), identity("analyst")
    hot = "SELECT label FROM item WHERE id = {}"
    for number in range(400):
        assert isinstance(found.decide(f"SELECT a{number}.id FROM item a{number} WHERE id = 5", who, SEARCH_PATH), Plan)
        assert isinstance(found.decide(f"SELECT id FROM item ORDER BY 1, id + {number}", who, SEARCH_PATH), Plan)
        found.decide(hot.format(number), who, SEARCH_PATH)
    assert len(found._shapes) <= 16
    assert len(found._plans) <= 16
    monkeypatch.setattr(parser, "parse", None)  # what is used stays
    assert isinstance(found.decide(hot.format(10**6), who, SEARCH_PATH), Plan)


def test_as_many_settings_as_a_client_makes_up_are_forgotten() -> None:
    found = veil()
    for number in range(3000):
        path = ("public", f"p{number}")
        decided = found.decide("SELECT id FROM item WHERE id = 5", Identity(f"u{number}", ("analyst",)), path)
        assert isinstance(decided, Plan)
    assert len(found._desks) <= 1024
    assert len(found._seats) <= 1024


def test_a_refusal_is_made_for_each_text() -> None:
    veils, who = TwoVeils(veil()), identity("analyst")
    found = [veils.decide(f"SELECT {number}, pg_sleep(1)", who, SEARCH_PATH) for number in (1, 22, 333, 4444)]
    assert [refusal.position for refusal in found if isinstance(refusal, Refusal)] == [11, 12, 13, 14]


# The scanner

PIECES = (
    "5", "42", "0", "007", "123456789", "1234567890", "1.5", "1.", ".5", "1e5", "1e-5", "0x1F", "0b1", "1_000", "$1",
    "a", "a1", "_5", "a$5", "é", "é5", "5é", "'5'", "' 5 '", "'it''s 5'", "E'5'", "E'\\' 5 '", "B'1'", "X'5'", "N'5'",
    "U&'5'", '"5"', '" 5 "', '"a""5"', "$$ 5 $$", "$a$ 5 $a$", "/* 5 */", "/* /* 5 */ 5 */", "-- 5\n", "--5", "-", "- ",
    "+", "*", "/", "%", "::", ":=", "..", ".", ",", ", ", "(", ")", "[", "]", " ", " ", "  ", "\n", "\t", ";", "=", "@",
    "#5", "~", "|", "&", "?", ":", "SELECT", "x'", "'", '"', "$", "\\", "/*", "*/", "\u00a0", "{", "\x0b",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.integers(0, 2**32))
def test_other_integers_in_the_holes_are_the_same_tokens(text: str, seed: int) -> None:
    """What `shapes` takes for granted, asked of PostgreSQL's scanner: if each hole is one integer, it stays one with
    any other in it, and no other token changes."""
    assume("\0" not in text and holes(text))
    try:
        tokens = parser.scan(text)
    except parser.SyntaxProblem:
        return
    integers = {(t.start, t.end) for t in tokens if t.kind == "ICONST"}
    if not integers.issuperset(holes(text)):
        return
    other = varied(text, Random(seed))
    again = parser.scan(other)
    places = set(holes(text))
    assert [t.kind for t in again] == [t.kind for t in tokens]
    for before, after in zip(tokens, again, strict=True):
        if (before.start, before.end) in places:
            assert (after.start, after.end) in holes(other)
        else:
            assert text[before.start : before.end] == other[after.start : after.end]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.integers(0, 2**32))
def test_texts_with_one_outline_differ_in_integers_only(text: str, seed: int) -> None:
    first = outline(text.encode())
    assert (first is None) == (not holes(text))
    if first is None:
        return
    assert first[1] == [text[start:end].encode() for start, end in holes(text)]
    other = varied(text, Random(seed))
    second = outline(other.encode())
    assert second is not None
    assert second[0] == first[0]
    assert second[1] == [other[start:end].encode() for start, end in holes(other)]


def zeroed(sql: str) -> str:
    for start, end in reversed(holes(sql)):
        sql = f"{sql[:start]}0{sql[end:]}"
    return sql


@given(*[st.lists(st.sampled_from(PIECES), max_size=5).map("".join)] * 2)
def test_texts_that_differ_in_more_have_other_outlines(first: str, second: str) -> None:
    one, other = outline(first.encode()), outline(second.encode())
    if one is None or other is None or one[0] != other[0]:
        return
    assert zeroed(first) == zeroed(second)


def test_integers_are_found_where_they_are_plain() -> None:
    plain = "SELECT 5,6 ,-7, a-8, (9)::int, a[10:11], $1, '12', a13, 14.5, 15e6, 017, 1234567890, 18"
    found = outline(plain.encode())
    assert found is not None
    assert found[1] == [b"5", b"6", b"7", b"8", b"9", b"10", b"11", b"18"]


def test_long_texts_and_long_lists_have_no_outline() -> None:
    assert outline(b"SELECT 5" + b" " * shapes.SHAPED_TEXT) is None
    assert outline(b"SELECT " + b", ".join([b"5"] * shapes.MAX_HOLES)) is not None
    assert outline(b"SELECT " + b", ".join([b"5"] * (shapes.MAX_HOLES + 1))) is None
    assert outline(b"SELECT a") is None
