"""Masks on parts of values, on a real PostgreSQL: one table of cases, each a stored value and how it reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from masks_world import Connection, mask_database, read_through

from proxy import localpg
from proxy.feed import Feed
from proxy.policy.maskparts import masked_parts
from proxy.policy.masks import Parameter, SqlMask, build_mask
from proxy.policy.parser import deparse, nodes_of, paired_locations, parse
from proxy.policy.patterns import Path, Step

Parts = list[tuple[Path, SqlMask]]
COMPOSITES = {
    "public.addr": (("street", "text"), ("zip", "character varying(5)"), ("the Code", "public.code")),
    "public.person": (("name", "text"), ("home", "public.addr"), ("doc", "jsonb"), ("olds", "public.addr[]")),
    "public.pair": (("a", "integer"), ("b", "text")),
}


@pytest.fixture(scope="module")
def server(postgres: localpg.LocalPostgres) -> Iterator[Connection]:
    with mask_database(postgres, "masks_parts") as connection:
        yield connection


def at(path: str, name: str, **given: Parameter) -> tuple[Path, SqlMask]:
    steps = tuple(Step(step, kind == "->") for kind, step in re.findall(r"(->|\.)([^.>-]+)", path))
    return steps, build_mask(name, given)


EMAIL = at("->customer->email", "email")
B = at("->b", "partial", show_last=2)
DEEP = "->".join(("", *"abcdefg"))

JSON = [
    ("jsonb", '{"customer": {"email": "ann@x.com", "n": 1}, "k": [1]}', [EMAIL],
     '{"k": [1], "customer": {"n": 1, "email": "a***@***.com"}}'),
    ("jsonb", '{"customer": [{"email": "ann@x.com"}, {"email": 5}, 7, [{"email": "b@x.com"}], null, {"x": 1}]}',
     [EMAIL],
     '{"customer": [{"email": "a***@***.com"}, {"email": null}, null, null, null, {"x": 1}]}'),
    ("jsonb", '[{"customer": {"email": "a@x.com"}}, {"customer": []}, {"customer": {}}, {}]', [EMAIL],
     '[{"customer": {"email": "***@***.com"}}, {"customer": []}, {"customer": {}}, {}]'),
    ("jsonb", '"secret"', [EMAIL], "null"),
    ("jsonb", "17", [EMAIL], "null"),
    ("jsonb", '["customer"]', [EMAIL], "[null]"),
    ("jsonb", '"customer"', [EMAIL], "null"),
    ("jsonb", '{"customer": "ann@x.com"}', [EMAIL], '{"customer": null}'),
    ("jsonb", '{"customer": {"email": {"was": "ann@x.com"}}}', [EMAIL], '{"customer": {"email": null}}'),
    ("jsonb", '{"customer": {"email": ["ann@x.com"]}}', [EMAIL], '{"customer": {"email": null}}'),
    ("jsonb", '{"customer": {"email": null}}', [EMAIL], '{"customer": {"email": null}}'),
    ("jsonb", "null", [EMAIL], "null"),
    ("jsonb", "{}", [EMAIL], "{}"),
    ("jsonb", "[]", [EMAIL], "[]"),
    ("jsonb", None, [EMAIL], None),
    ("jsonb", '{"b": true}', [B], '{"b": null}'),
    ("jsonb", '{"b": "ab"}', [at("->b", "null")], '{"b": null}'),
    ("jsonb", '{"b": 1}', [at("->b", "constant", value='a "b"')], '{"b": "a \\"b\\""}'),
    ("jsonb", '{"b": null}', [at("->b", "constant", value="x")], '{"b": "x"}'),
    ("jsonb", '{"a": 1}', [at("->b", "constant", value="x")], '{"a": 1}'),
    ("jsonb", '{"b": 1234.5}', [at("->b", "bucket", size=100)], '{"b": 1200}'),
    ("jsonb", '{"b": "1234"}', [at("->b", "bucket", size=100)], '{"b": null}'),
    ("jsonb", '{"b": "Pune"}', [at("->b", "lookup", table="masking.cities", **{"from": "city", "to": "region"})],
     '{"b": "west"}'),
    ("jsonb", '{"it\'s": "abcd", "\\\\": "abcd"}', [at("->it's", "redact"), at("->\\", "redact")],
     '{"\\\\": "***", "it\'s": "***"}'),
    ("jsonb", '{"a": {"b": "abcd", "c": 1}}', [at("->a->b", "redact"), at("->a", "null")], '{"a": null}'),
    ("jsonb", '{"a": {"b": "abcd", "c": 1, "d": "e"}}', [at("->a->b", "redact"), at("->a->d", "null")],
     '{"a": {"b": "***", "c": 1, "d": null}}'),
    ("jsonb", '{"b": "abcd"}', [B, at("", "redact")], '"***"'),
    ("jsonb", '{"a":{"b":{"c":{"d":{"e":{"f":{"g":"abcd"}}}}}}}', [at(DEEP, "email")],
     '{"a": {"b": {"c": {"d": {"e": {"f": {"g": "***"}}}}}}}'),
    ("json", '{"b": "one",  "b": "two😀"}', [B], '{"b": "**o😀"}'),
    ("json", '{"b": "\\ud83d\\ude00 12345"}', [B], '{"b": "* ***45"}'),
    ("json", '{"a": "x4e12345678", "b": "abc"}', [B], '{"a": "x4e12345678", "b": "*bc"}'),
    ("json", '{"a": "\\\\u0000", "b": "abc"}', [B], '{"a": "\\\\u0000", "b": "*bc"}'),
    ("json", '{"a": "\\u0000"}', [B], None),
    ("json", '{"a": "\\ud83d"}', [B], None),
    ("json", '{"a": "\\ud83d\\\\\\ude00"}', [B], None),
    ("json", '{"a": "\\\\ud83d\\ude00"}', [B], None),
    ("json", '{"a": 1e99999999}', [B], None),
    ("json", '{"a": 0.' + "1" * 20000 + "}", [B], None),
    ("json", '{"a": "' + "1" * 1_000_000 + '"}', [B], None),
    ("json", "[" * 2000 + "]" * 2000, [B], "[null]"),
    ("json", None, [B], None),
    ("jsonb[]", '{"{\\"b\\": \\"abcd\\"}",NULL}', [B], '{"{\\"b\\": \\"**cd\\"}",NULL}'),
    ("jsonb[]", "{{1,2},{3,4}}", [B], None),
]  # fmt: skip

STREET = at(".street", "redact")
ROWS = [
    ("public.addr", '("Main St 12",12345,CODE)', [STREET, at(".zip", "partial", show_last=0)], "(***,*****,CODE)"),
    ("public.addr", "(,,X)", [STREET, at(".zip", "constant", value="123456")], "(,12345,X)"),
    ("public.addr", "(a,b,CODE)", [at(".the Code", "redact")], "(a,b,)"),
    ("public.addr", "(a,b,CODE)", [STREET, at("", "null")], None),
    ("public.addr", None, [at(".street", "constant", value="x")], None),
    ("public.addr[]", '{"(a,1,X)",NULL,"(b,,X)"}', [at(".street", "constant", value="x")], '{"(x,1,X)",NULL,"(x,,X)"}'),
    ("public.addr[]", '[5:6]={"(a,1,X)",NULL}', [STREET], '{"(***,1,X)",NULL}'),
    ("public.addr[]", '{{"(a,1,X)"}}', [STREET], None),
    ("public.addr[]", "{}", [STREET], "{}"),
    ("public.person", '(n,"(s,z,X)","{""b"": ""abcd""}","{""(s,z,X)""}")',
     [at(".home.zip", "null"), at(".doc->b", "partial", show_last=2), at(".olds.street", "redact")],
     '(n,"(s,,X)","{""b"": ""**cd""}","{""(***,z,X)""}")'),
    ("public.person", '(n,"(s,z,X)",,)', [at(".home.street", "redact"), at(".home", "null")], "(n,,,)"),
    ("public.person", '(n,"(s,z,X)",,)', [at(".home->street", "redact")], "(n,,,)"),
    ("public.pair", "(1,b)", [at(".a", "constant", value=0)], "(0,b)"),
]  # fmt: skip

WRONG = [
    ("text", "abcd", [B]),
    ("text", "abcd", [STREET]),
    ("jsonb", '{"street": "x"}', [STREET]),
    ("jsonb", '{"a": {"b": "x"}}', [at("->a.b", "redact")]),
    ("public.addr", "(a,b,CODE)", [at(".nothing", "redact")]),
    ("public.addr", "(a,b,CODE)", [STREET, at("->zip", "redact")]),
    ("public.code", "CODE", [STREET]),
    ("public.codes", "{a}", [STREET]),
    ("public.span", "[1,2)", [STREET]),
]


def expression_for(type_name: str, parts: Parts) -> str:
    return masked_parts("one.c", type_name, parts, COMPOSITES)


@pytest.mark.parametrize(("type_name", "value", "parts", "expected"), [*JSON, *ROWS])
def test_parts(server: Connection, type_name: str, value: str | None, parts: Parts, expected: str | None) -> None:
    assert read_through(server, expression_for(type_name, parts), type_name, value) == expected


@pytest.mark.parametrize(("type_name", "value", "parts"), WRONG)
def test_a_path_that_the_type_has_not_hides_the_column(
    server: Connection, type_name: str, value: str, parts: Parts
) -> None:
    assert read_through(server, expression_for(type_name, parts), type_name, value) is None


@pytest.mark.parametrize(("type_name", "value", "parts"), [case[:3] for case in (*JSON, *ROWS, *WRONG)])
def test_the_column_keeps_its_type_and_the_parser_the_expression(
    server: Connection, type_name: str, value: str | None, parts: Parts
) -> None:
    sql = f"SELECT {expression_for(type_name, parts)} AS c FROM pg_temp.one"
    tree = parse(sql)
    assert paired_locations(tree, parse(deparse(tree))) is not None
    with server.transaction(force_rollback=True):
        server.execute(f"CREATE TEMP TABLE one (c {type_name})")
        server.execute("INSERT INTO one VALUES (CAST(%s AS text)::" + type_name + ")", (value,))
        row = server.execute(f"SELECT pg_typeof(v.c) = pg_typeof(one.c) FROM one, ({sql}) AS v").fetchone()
        assert row == (True,)


@pytest.mark.parametrize(("type_name", "value", "parts"), [case[:3] for case in (*JSON, *ROWS)])
def test_no_name_of_a_part_s_mask_is_left_to_the_search_path(type_name: str, value: str | None, parts: Parts) -> None:
    for node in nodes_of(parse(f"SELECT {expression_for(type_name, parts)}")):
        kind = node.DESCRIPTOR.name
        names = {"FuncCall": "funcname", "A_Expr": "name", "TypeName": "names", "CollateClause": "collname"}.get(kind)
        if names is not None:
            assert len(getattr(node, names)) == 2


async def test_the_catalogue_has_the_fields_of_composite_types(
    server: Connection, postgres: localpg.LocalPostgres
) -> None:
    server.execute(
        "CREATE TABLE public.rows (a int, gone int, b public.addr); CREATE TABLE public.uses (r public.rows)"
    )
    server.execute("ALTER TABLE public.rows DROP COLUMN gone")
    async with Feed(postgres.dsn_for("masks_parts")) as feed:
        composites = feed.catalog.composites
    assert dict(composites) == {**COMPOSITES, "public.rows": (("a", "integer"), ("b", "public.addr"))}
