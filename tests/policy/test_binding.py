"""A policy's expressions: what is read as one, and what becomes of it for a user."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plan_world import CATALOG

from proxy.policy import parser
from proxy.policy.binding import bound
from proxy.policy.expressions import read_expression
from proxy.policy.refused import Refused
from proxy.policy.rules import Identity

EVA = Identity(
    "eva",
    ("desk", "eu"),
    attributes=(
        ("region", "EU"),
        ("quote", "O'Neil\\ $1 {user.name}"),
        ("empty", ""),
        ("level", 3),
        ("below", -5),
        ("far", 3_000_000_000),
        ("huge", 10**30),
        ("zero", 0),
        ("share", 0.5),
        ("tiny", -1e-20),
        ("remote", True),
        ("off", False),
        ("regions", ("EU", "a,b", 'c"d\\')),
        ("nobody", ()),
        ("levels", (1, -2)),
        ("big", (1, 1 << 40)),
        ("shares", (0.5, 1.5)),
        ("flags", (True, False)),
    ),
)
PLAIN = replace(CATALOG, operators=())
"""A database with no operators of its own."""


def of(text: str, alias: str = "t") -> str:
    return bound(read_expression(text), EVA, PLAIN, alias)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # A text that faces a column has the column's type; anywhere else it is a text.
        ("region = {user.region}", "(t.region = 'EU')"),
        ("{user.region} <> region", "('EU' <> t.region)"),
        ("region IN ({user.region}, 'US', {user.region})", "(t.region IN ('EU', 'US', 'EU'))"),
        ("region IS NOT DISTINCT FROM {user.region}", "(t.region IS NOT DISTINCT FROM 'EU')"),
        ("born BETWEEN {user.region} AND now()", "(t.born BETWEEN 'EU' AND pg_catalog.now())"),
        ("(home).city = {user.region}", "((t.home).city = 'EU')"),
        ("region = ANY({user.regions})", """(t.region = ANY(E'{"EU","a,b","c\\\\"d\\\\\\\\"}'))"""),
        ("region <> ALL({user.nobody})", "(t.region <> ALL('{}'))"),
        ("{user.region} = ANY(regions)", "('EU' = ANY(t.regions))"),
        ("lower(region) = {user.region}", "(pg_catalog.lower(t.region) = 'EU'::pg_catalog.text)"),
        ("region LIKE {user.region} || '%'", "(t.region LIKE 'EU'::pg_catalog.text || '%')"),
        ("payload ->> 'who' = {user.name}", "((t.payload ->> 'who') = 'eva'::pg_catalog.text)"),
        ("lower(region) = ANY({user.nobody})", "(pg_catalog.lower(t.region) = ANY(ARRAY[]::pg_catalog.text[]))"),
        ("'eu' = ANY({user.roles})", "('eu' = ANY(ARRAY['desk', 'eu']::pg_catalog.text[]))"),
        # Other types.
        ("level >= {user.level}", "(t.level >= 3)"),
        ("level - {user.below} > {user.zero}", "((t.level - -5) > 0)"),
        ("{user.below} ^ 2 > level", "((-5 ^ 2) > t.level)"),
        ("level < {user.far} AND level < {user.huge}", f"(t.level < 3000000000 AND t.level < {10**30})"),
        ("part < {user.share} AND part > {user.tiny}", "(t.part < 0.5 AND t.part > -1e-20)"),
        ("remote = {user.remote} OR {user.off}", "(t.remote = true OR false)"),
        ("level = ANY({user.levels})", "(t.level = ANY(ARRAY[1, -2]::int[]))"),
        ("level = ANY({user.big})", "(t.level = ANY(ARRAY[1, 1099511627776]::bigint[]))"),
        ("level = ANY({user.shares})", "(t.level = ANY(ARRAY[0.5, 1.5]::numeric[]))"),
        ("remote = ANY({user.flags})", "(t.remote = ANY(ARRAY[true, false]::boolean[]))"),
        # Never text.
        ("region = {user.quote}", "(t.region = E'O''Neil\\\\ $1 {user.name}')"),
        ("region = {user.empty}", "(t.region = '')"),
        ("region = '{}' /* {user.region} */ -- {user.region}", "(t.region = '{}')"),
        ('"odd ""name" = {user.level}1 + 1', None),
        # Names.
        ("upper(a)::varchar(3) = 'X'", "(pg_catalog.upper(t.a)::varchar(3) = 'X')"),
        ("a::uuid = b", "(t.a::pg_catalog.uuid = t.b)"),
        ("a = 't'::bool", "(t.a = true::boolean)"),
        ("shop.f(a) OPERATOR(shop.=) b", "(shop.f(t.a) OPERATOR(shop.=) t.b)"),
        ("extract(year FROM born) < 2000", "(extract ('year' FROM t.born) < 2000)"),
        ("{row.a} = {row.\"A b\"}", '(t.a = t."A b")'),
    ],
)  # fmt: skip
def test_bound(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="not an SQL expression"):
            read_expression(text)
    else:
        assert of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id IN (SELECT id FROM hr.emp)", "(t.id IN (SELECT id FROM hr.emp))"),
        # label is not hr.emp's, so it is the row's, whatever the client's query has around it.
        (
            "EXISTS (SELECT FROM hr.emp e WHERE e.name = label)",
            "(EXISTS (SELECT FROM hr.emp e WHERE e.name = t.label))",
        ),
        ("EXISTS (SELECT FROM hr.emp WHERE id = {row.id})", "(EXISTS (SELECT FROM hr.emp WHERE id = t.id))"),
        (
            "id = (SELECT max(id) FROM hr.emp WHERE ssn = {user.name})",
            "(t.id = (SELECT pg_catalog.max(id) FROM hr.emp WHERE ssn = 'eva'))",
        ),
        (
            "EXISTS (SELECT FROM hr.emp JOIN hr.v ON emp.id = v.id WHERE area = region)",
            "(EXISTS (SELECT FROM hr.emp JOIN hr.v ON emp.id = v.id WHERE area = t.region))",
        ),
        (
            "EXISTS (SELECT FROM hr.emp WHERE id IN (SELECT area FROM hr.v WHERE salary = level))",
            "(EXISTS (SELECT FROM hr.emp WHERE id IN (SELECT area FROM hr.v WHERE salary = t.level)))",
        ),
        (
            "id IN (SELECT id AS x FROM hr.emp UNION SELECT id FROM hr.v ORDER BY x)",
            "(t.id IN (SELECT id AS x FROM hr.emp UNION SELECT id FROM hr.v ORDER BY x))",
        ),
        # The row's alias is no table's in a sub-SELECT.
        (
            "EXISTS (SELECT FROM hr.emp t JOIN hr.v t2 ON t2.id = t.id WHERE t.id = {row.id} AND label = t.name)",
            "(EXISTS (SELECT FROM hr.emp t3 JOIN hr.v t2 ON t2.id = t3.id WHERE t3.id = t.id AND t.label = t3.name))",
        ),
        ("id = (SELECT count(e) FROM hr.emp e)", "(t.id = (SELECT pg_catalog.count(e) FROM hr.emp e))"),
        (
            "EXISTS (SELECT FROM generate_series(1, 3) g WHERE g = id)",
            "(EXISTS (SELECT FROM pg_catalog.generate_series(1, 3) g WHERE g = id))",
        ),
    ],
)  # fmt: skip
def test_sub_selects(text: str, expected: str) -> None:
    assert of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label = {user.region}", "(t.label OPERATOR(pg_catalog.=) 'EU')"),
        ("id + 1 < 2 * id", "((t.id + 1) OPERATOR(pg_catalog.<) (2 * t.id))"),
        ("label > 'a'", "(t.label > 'a')"),
        (
            "label IN ({user.region}, 'US')",
            "(t.label OPERATOR(pg_catalog.=) 'EU' OR t.label OPERATOR(pg_catalog.=) 'US')",
        ),
        ("NOT label IN ({user.region})", "(NOT t.label OPERATOR(pg_catalog.=) 'EU')"),
        ("id IN (SELECT id FROM hr.emp)", "(t.id OPERATOR(pg_catalog.=) ANY (SELECT id FROM hr.emp))"),
        ("id = ANY({user.levels})", "(t.id OPERATOR(pg_catalog.=) ANY(ARRAY[1, -2]::int[]))"),
    ],
)
def test_operators_that_the_database_has_twice_are_pinned(text: str, expected: str) -> None:
    assert bound(read_expression(text), EVA, CATALOG, "t") == expected


@pytest.mark.parametrize(
    "text",
    [
        "id BETWEEN 1 AND 2",
        "id IS DISTINCT FROM 1",
        "CASE id WHEN 1 THEN true END",
        "nullif(id, 1) > 0",
        "EXISTS (SELECT FROM hr.emp JOIN hr.v USING (id))",
    ],
)
def test_operators_that_cannot_be_pinned_are_refused(text: str) -> None:
    of(text)
    with pytest.raises(Refused) as caught:
        bound(read_expression(text), EVA, CATALOG, "t")
    assert caught.value.refusal.sqlstate == "0A000"


def test_the_alias_is_an_identifier() -> None:
    assert of("id = 1", alias='a "b') == '("a ""b".id = 1)'


def test_what_is_bound_is_one_expression_for_every_operator_around_it() -> None:
    text = of("a = 1 OR b = 2")
    tree = parser.parse(f"SELECT NOT {text} AND true")
    assert parser.deparse(tree) == "SELECT NOT (t.a = 1 OR t.b = 2) AND true"


@pytest.mark.parametrize("text", ["region = {user.office}", "a IN (SELECT id FROM hr.emp WHERE ssn = {user.office})"])
def test_a_missing_attribute_is_refused_by_name(text: str) -> None:
    with pytest.raises(Refused) as caught:
        of(text)
    assert caught.value.refusal.sqlstate == "42501"
    assert '"office"' in caught.value.refusal.message
    assert "EU" not in str(caught.value.refusal)


def test_a_table_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Refused, match=r"hr\.gone"):
        of("id IN (SELECT id FROM hr.gone)")


def test_a_null_character_ends_no_constant() -> None:
    eva = Identity("eva\0' OR true --", ("desk",))
    with pytest.raises(Refused):
        bound(read_expression("owner = {user.name}"), eva, PLAIN, "t")


@pytest.mark.parametrize(
    ("text", "attributes", "columns"),
    [
        ("a = {user.x} AND b = { user . y } OR c = {user.x}", ("x", "y"), {"a", "b", "c"}),
        ("true", (), set()),
        ("(a).b[1] = 2 AND f->>'x' = 'y'", (), {"a", "f"}),
        ("EXISTS (SELECT FROM s.t WHERE t.x = {row.y} AND z)", (), {"y"}),
    ],
)
def test_what_an_expression_needs(text: str, attributes: tuple[str, ...], columns: set[str]) -> None:
    found = read_expression(text)
    assert found.text == text
    assert found.attributes == attributes
    assert found.columns == columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("-- nothing", "empty"),
        ("a =", "not an SQL expression"),
        ("a = 'x", "not an SQL expression"),
        ("a) = (b", "a \\) closes nothing"),
        ("a AS b", "not an SQL expression"),
        ("a = 1; SELECT 2", "not an SQL expression"),
        ("a, b", "it gives a row"),
        ("SELECT true", "sub-SELECT in parentheses"),
        ("VALUES (true)", "sub-SELECT in parentheses"),
        ("a = $1", "\\$1 has no value"),
        ("a = '{user.x}'", "leave out the quotes"),
        ("a = $q${user.x}$q$", "leave out the quotes"),
        ('a = "{user.x}"', "leave out the quotes"),
        ("a = {user}", "begins {user.attribute}"),
        ("a = {user.x", "begins {user.attribute}"),
        ("a = {users.x}", "begins {user.attribute}"),
        ("a = {user.'x'}", "begins {user.attribute}"),
        ("t.a = 1", "write a alone"),
        ("* = 1", "not an SQL expression"),
        ("row(t.*) = row(1)", "\\* names no column"),
        ("a IN (SELECT b FROM t)", "write schema.t"),
        ("a IN (SELECT b FROM db.s.t)", "write schema.t"),
        ("a IN (SELECT b FROM pg_temp.t)", "session's"),
        ("a IN (SELECT x.b FROM s.t)", "no table in the expression is called x"),
        ("a IN (WITH w AS (SELECT 1) SELECT 1)", "no WITH"),
        ("a IN (SELECT b FROM s.t FOR UPDATE)", "no FOR UPDATE"),
        ("f(a)", "write schema.f"),
        ("lowr(a) = 'x'", "did you mean lower"),
        ("pg_sleep(1) IS NULL", "no built-in function that may run"),
        ("a::money_eur = b", "no built-in type"),
        ("a = CURRENT_USER", "write {user.name}"),
        ("a = session_user", "write {user.name}"),
        ("a = pg_catalog.current_setting('x')", "write {user.name}"),
        ("a = current_schema", "write {user.name}"),
        ("xmlelement(name a) IS NULL", "not supported"),
    ],
)
def test_what_is_no_expression(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_expression(text)
