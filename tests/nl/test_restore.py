"""Placeholders become values: where they may stand, how they are escaped, and where they are refused."""

from __future__ import annotations

import pytest

from proxy.errors import PlaceholderError
from proxy.nl.restore import Restorer
from proxy.policy.parser import deparse, parse
from proxy.privacy.placeholders import Secret, Vault

VALUE = r"50%_a\b'c.*"
VAULT = Vault(b"k" * 32)
P = VAULT.add(Secret(VALUE, "PERSON"))
Q = VAULT.add(Secret("plain", "EMAIL"))
S = VAULT.add(Secret("asha rao", "PERSON", ("shop", "customers", "name"), whole=True, stored="Asha Rao"))
RESTORER = Restorer(VAULT, frozenset({P, Q, S}), frozenset({"id_1", "text_2a2b2"}))


def restored(sql: str) -> str:
    tree = parse(sql)
    RESTORER.restore(tree)
    return deparse(tree)


def literal(value: str) -> str:
    """The constant as PostgreSQL's deparser writes it."""
    tree = parse("SELECT 'x'")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.a_const.sval.sval = value
    return deparse(tree).removeprefix("SELECT ")


LIKE = r"50\%\_a\\b'c.*"
SIMILAR = r"50\%\_a\\b'c.\*"
REGEX = r"50%_a\\b'c\.\*"


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("a = '{}'", VALUE),
        ("a <> ALL (ARRAY['{}', 'x'])", VALUE),
        ("a IN ('x', '{}')", VALUE),
        ("a = '{}'::text", VALUE),
        ("a BETWEEN '{}' AND 'x'", VALUE),
        ("lower(a) = lower('{}')", VALUE),
        ("a || 'x' = '{}'", VALUE),
        ("starts_with(a, '{}')", VALUE),
        ("a LIKE '{}'", LIKE),
        ("a NOT LIKE '{}'", LIKE),
        ("a ILIKE '%{}%'", "%" + LIKE + "%"),
        ("a ~~ '{}%'", LIKE + "%"),
        ("a !~~* '{}%'", LIKE + "%"),
        ("a LIKE '%' || '{}' || '%'", LIKE),
        ("a LIKE concat('%', '{}', '%')", LIKE),
        ("a LIKE lower('{}%')", LIKE + "%"),
        ("a LIKE ('{}%')::text", LIKE + "%"),
        ("a LIKE '{}%' COLLATE \"C\"", LIKE + "%"),
        ("a LIKE ANY (ARRAY['{}%', 'x'])", LIKE + "%"),
        ("a LIKE '{}%' ESCAPE '!'", r"50!%!_a\b'c.*%"),
        ("a SIMILAR TO '%{}%'", "%" + SIMILAR + "%"),
        ("a SIMILAR TO '{}%' ESCAPE '!'", r"50!%!_a\b'c.!*%"),
        ("a ~ '^{}$'", "^" + REGEX + "$"),
        ("a !~* '{}'", REGEX),
        ("a ~ ('^' || '{}')", REGEX),
        ("regexp_like(a, '{}')", REGEX),
        ("a = (SELECT b FROM t WHERE c = '{}')", VALUE),
        ("a LIKE (SELECT b FROM t WHERE c = '{}')", VALUE),
    ],
)
def test_a_value_and_how_it_is_escaped(condition: str, value: str) -> None:
    sql = f"SELECT a FROM t WHERE {condition}"
    assert literal(value) in restored(sql.replace("{}", P))


def test_every_place_of_a_value_in_a_statement() -> None:
    sql = f"SELECT '{Q}', (SELECT '{Q}') FROM t GROUP BY 1 HAVING max(a) > '{Q}' ORDER BY b = '{Q}' LIMIT 3"
    done = restored(sql)
    assert done.count("'plain'") == 4
    assert Q not in done


def test_a_value_is_a_value_whatever_it_says() -> None:
    vault = Vault()
    token = vault.add(Secret("'; DROP TABLE t; --", "PERSON"))
    tree = parse(f"SELECT a FROM t WHERE b = '{token}'")
    Restorer(vault, frozenset({token})).restore(tree)
    again = parse(deparse(tree))
    assert len(again.stmts) == 1
    assert again.stmts[0].stmt.select_stmt.where_clause.a_expr.rexpr.a_const.sval.sval == "'; DROP TABLE t; --"


@pytest.mark.parametrize("spelled", [P.lower(), P.replace("_", "-"), P.replace("_", " "), f" {P} "])
def test_case_and_separator_do_not_matter(spelled: str) -> None:
    assert literal(VALUE) in restored(f"SELECT a FROM t WHERE b = '{spelled}'")


def test_the_databases_spelling_is_used_where_the_role_may_know_it() -> None:
    assert "'Asha Rao'" in restored(f"SELECT a FROM t WHERE b = '{S}'")


REFUSED = [
    "SELECT {} FROM t",
    'SELECT "{}" FROM t',
    "SELECT a AS {} FROM t",
    'SELECT a AS "to {} now" FROM t',
    'SELECT a AS "x_{}" FROM t',
    "SELECT a FROM {}",
    "SELECT a FROM t {}",
    "SELECT a FROM t AS t({})",
    "SELECT a FROM s.{}",
    "SELECT {}(a) FROM t",
    "SELECT a::{} FROM t",
    "WITH {} AS (SELECT 1) SELECT 1",
    "SELECT sum(a) OVER {} FROM t WINDOW {} AS ()",
    'SELECT a COLLATE "{}" FROM t',
    "SELECT a FROM t WHERE b = 'Dear {}'",
    "SELECT a FROM t WHERE b = '{}{}'",
    "SELECT a FROM t WHERE b = 'x{}'",
    "SELECT a FROM t WHERE b LIKE 'x{}'",
    "SELECT a FROM t WHERE b ~ '\\y{}\\y'",
    'SELECT a FROM t WHERE b = \'{"name": "{}"}\'',
    "SELECT a FROM t WHERE b LIKE ANY ('{{}%}')",
    "SELECT a FROM t WHERE b LIKE replace('{}', 'x', 'y')",
    "SELECT a FROM t WHERE b LIKE '{}%' ESCAPE ''",
    "SELECT a FROM t WHERE b LIKE '{}%' ESCAPE c",
    "SELECT a FROM t WHERE b LIKE 'a' ESCAPE '{}' || 'x{}'",
    "SELECT interval 'x {}'",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_a_placeholder_anywhere_else_is_refused(sql: str) -> None:
    with pytest.raises(PlaceholderError) as caught:
        restored(sql.replace("{}", P))
    assert caught.value.sqlstate == "VA005"
    assert VALUE not in f"{caught.value} {caught.value.detail} {caught.value.hint}"


@pytest.mark.parametrize("invented", ["PERSON_1", "PERSON_2A2B2", P[:-1] + ("A" if P[-1] != "A" else "B")])
def test_a_placeholder_that_nobody_made_is_refused(invented: str) -> None:
    with pytest.raises(PlaceholderError, match="does not have"):
        restored(f"SELECT a FROM t WHERE b = '{invented}'")
    with pytest.raises(PlaceholderError):
        restored(f'SELECT a AS "{invented}" FROM t')


def test_names_of_the_schema_are_no_placeholders() -> None:
    assert restored("SELECT id_1, text_2a2b2, 'ID_1' FROM t") == "SELECT id_1, text_2a2b2, 'ID_1' FROM t"


@pytest.mark.parametrize("comment", ["/* {} */", "-- for {}\n", "/* a /* {} */ */"])
def test_a_placeholder_in_a_comment_is_refused(comment: str) -> None:
    with pytest.raises(PlaceholderError, match="in a comment"):
        RESTORER.refuse_in_comments(f"SELECT 1 {comment.replace('{}', P)}")
    RESTORER.refuse_in_comments(f"SELECT '{P}' /* note */ -- note")
    RESTORER.refuse_in_comments("SELECT ' /* unfinished")
