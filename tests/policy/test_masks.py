"""What a mask's SQL may consist of, and which masks can be built. What they compute: tests/e2e/test_masks_*.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.policy.catalog import Catalog, Column, Constraint, Relation
from proxy.policy.masklints import lints
from proxy.policy.masks import MASKS, PLANNED_MASKS, MaskProblem, Parameter, SqlMask, build_mask
from proxy.policy.masktypes import Family, sql_type
from proxy.policy.parser import parse

TYPES = [
    "text",
    "character varying(20)",
    "character(3)",
    "bpchar",
    "name",
    "ext.citext",
    "boolean",
    "integer",
    "numeric(10,2)",
    "numeric(10,2)[]",
    "real",
    "uuid",
    "text[]",
    "bpchar[]",
    "date",
    "timestamp(3) with time zone",
    "timestamp without time zone",
    "jsonb",
    'public."a type"',
    "public.vector(3)",
]
SAMPLES: list[SqlMask] = [
    build_mask("null", {}),
    build_mask("constant", {"value": "it's"}),
    build_mask("redact", {"text": "back\\slash"}),
    build_mask("partial", {"show_first": 2, "show_last": 2, "pad": "'"}),
    build_mask("email", {}),
    build_mask("phone", {}),
    build_mask("year", {}),
    build_mask("month", {}),
    build_mask("bucket", {"size": 0.5}),
    build_mask("round", {"digits": -2}),
    build_mask("hash", {"length": 32}),
    build_mask("lookup", {"table": "masking.names", "from": "a name", "to": 'b"', "default": "it's"}),
    build_mask("sql", {"expression": "CASE WHEN {value} IN ('a', 'b') THEN upper({value}::text) END"}),
]


def walk(message: Any) -> Iterator[Any]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in value if field.is_repeated else [value]:
                yield from walk(item)


def depth(message: Any) -> int:
    return 1 + max(
        (
            depth(item)
            for field, value in message.ListFields()
            if field.message_type is not None
            for item in (value if field.is_repeated else [value])
        ),
        default=0,
    )


def names(parts: Any) -> list[str]:
    return [part.string.sval for part in parts]


def tree_of(mask: SqlMask, type_name: str) -> Any:
    return parse(f'SELECT {mask.expression("""t."a column" """.strip(), type_name)}')


def test_the_samples_are_all_masks() -> None:
    assert {mask.name for mask in SAMPLES} == set(MASKS)


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("mask", SAMPLES, ids=lambda m: m.name)
def test_no_name_is_left_to_the_search_path(mask: SqlMask, type_name: str) -> None:
    for node in walk(tree_of(mask, type_name)):
        kind = node.DESCRIPTOR.name
        if kind == "FuncCall":
            assert names(node.funcname)[0] == "pg_catalog"
        elif kind == "RangeVar":
            assert (node.schemaname, node.relname) == ("masking", "names")
        elif kind == "A_Expr":
            assert names(node.name)[0] == "pg_catalog"
        elif kind == "TypeName":
            assert len(names(node.names)) == 2
        elif kind == "CollateClause":
            assert names(node.collname)[0] == "pg_catalog"


@pytest.mark.parametrize("mask", SAMPLES, ids=lambda m: m.name)
def test_patterns_read_text_under_the_collation_c(mask: SqlMask) -> None:
    """A nondeterministic collation refuses patterns, and what a class means hangs on the collation."""
    for node in walk(tree_of(mask, "text")):
        kind = node.DESCRIPTOR.name
        if kind == "A_Expr" and names(node.name)[1] == "~":
            subject, pattern = node.lexpr, node.rexpr
        elif kind == "FuncCall" and names(node.funcname)[1] in {"regexp_replace", "substring"}:
            subject, pattern = node.args[0], node.args[1]
        else:
            continue
        assert names(subject.collate_clause.collname) == ["pg_catalog", "C"]
        assert pattern.a_const.HasField("sval"), "data is never a pattern"


@pytest.mark.parametrize("mask", SAMPLES, ids=lambda m: m.name)
def test_expressions_are_shallow(mask: SqlMask) -> None:
    """The parser's binding reads a hundred levels of messages: the statement around a mask needs most of them."""
    assert max(depth(tree_of(mask, type_name)) for type_name in TYPES if "[]" not in type_name) <= 32
    assert max(depth(tree_of(mask, type_name)) for type_name in TYPES) <= 44


@pytest.mark.parametrize(
    ("type_name", "sql", "family"),
    [
        ("text", "pg_catalog.text", Family.TEXT),
        ('"char"', 'pg_catalog."char"', Family.OTHER),
        ("character varying(20)", "character varying(20)", Family.TEXT),
        ("timestamp(3) with time zone", "timestamp(3) with time zone", Family.TIMESTAMPTZ),
        ("interval day to second(3)", "interval day to second(3)", Family.OTHER),
        ("double precision", "double precision", Family.FLOAT),
        ("bigint", "bigint", Family.INTEGER),
        ("numeric(10,2)", "numeric(10,2)", Family.NUMERIC),
        ("uuid", "pg_catalog.uuid", Family.UUID),
        ("json", "pg_catalog.json", Family.JSON),
        ("bit varying(5)", "bit varying(5)", Family.OTHER),
        ("text[]", "pg_catalog.text[]", Family.ARRAY),
        ("ext.citext", "ext.citext", Family.TEXT),
        ("ext.citext[]", "ext.citext[]", Family.ARRAY),
        ('"my ""s"."t.x"', '"my ""s"."t.x"', Family.FOREIGN),
        ("public.geometry(Point,4326)", "public.geometry(Point,4326)", Family.FOREIGN),
        ('"a.b"', 'pg_catalog."a.b"', Family.OTHER),
    ],
)
def test_types(type_name: str, sql: str, family: Family) -> None:
    assert (sql_type(type_name).sql, sql_type(type_name).family) == (sql, family)


@pytest.mark.parametrize("type_name", ["", "-", "text; DROP TABLE t", "text) --", "a.b.c", "Text", "text'", '"', "???"])
def test_what_is_no_type_is_refused(type_name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a type"):
        build_mask("null", {}).expression("t.c", type_name)


@pytest.mark.parametrize(
    ("name", "parameters", "message", "parameter"),
    [
        ("emial", {}, "unknown mask 'emial'; did you mean email?", None),
        ("token", {}, "the mask token is not implemented yet", None),
        ("null", {"value": 1}, "the mask null takes no parameters", "value"),
        ("partial", {"show_lats": 4}, "unknown parameter 'show_lats' of the mask partial; did you mean show_last?",
         "show_lats"),
        ("partial", {"show_last": "4"}, "show_last of the mask partial must be a whole number", "show_last"),
        ("partial", {"show_last": True}, "show_last of the mask partial must be a whole number", "show_last"),
        ("partial", {"show_last": 1.5}, "show_last of the mask partial must be a whole number", "show_last"),
        ("partial", {"show_last": -4}, "show_last must be from 0 to 64", "show_last"),
        ("partial", {"show_first": 65}, "show_first must be from 0 to 64", "show_first"),
        ("partial", {"pad": ""}, "pad must be one printable character, and not a backslash", "pad"),
        ("partial", {"pad": "**"}, "pad must be one printable character, and not a backslash", "pad"),
        ("partial", {"pad": "\\"}, "pad must be one printable character, and not a backslash", "pad"),
        ("partial", {"pad": "\n"}, "pad must be one printable character, and not a backslash", "pad"),
        ("constant", {}, "the mask constant needs value", None),
        ("constant", {"value": None}, "value of the mask constant is null", "value"),
        ("constant", {"value": "a\0b"}, "no value of PostgreSQL holds a null character", "value"),
        ("redact", {"text": "a\0b"}, "no value of PostgreSQL holds a null character", "text"),
        ("month", {"day": 1}, "the mask month takes no parameters", "day"),
        ("bucket", {}, "the mask bucket needs size", None),
        ("bucket", {"size": "10"}, "size of the mask bucket must be a number", "size"),
        ("bucket", {"size": True}, "size of the mask bucket must be a number", "size"),
        ("bucket", {"size": 0}, "size must be a number above 0, from 1e-9 to 1e18", "size"),
        ("bucket", {"size": -5}, "size must be a number above 0, from 1e-9 to 1e18", "size"),
        ("bucket", {"size": math.nan}, "size must be a number above 0, from 1e-9 to 1e18", "size"),
        ("bucket", {"size": math.inf}, "size must be a number above 0, from 1e-9 to 1e18", "size"),
        ("round", {"digits": 1.5}, "digits of the mask round must be a whole number", "digits"),
        ("round", {"digits": 31}, "digits must be from -30 to 30", "digits"),
        ("hash", {"length": 0}, "length must be from 1 to 64", "length"),
        ("hash", {"length": 65}, "length must be from 1 to 64", "length"),
        ("lookup", {"table": "a.b", "from": "c"}, "the mask lookup needs to", None),
        ("lookup", {"table": "b", "from": "c", "to": "d"}, "table must be schema.table", "table"),
        ("lookup", {"table": "a.b.c", "from": "c", "to": "d"}, "table must be schema.table", "table"),
        ("lookup", {"table": "a.b", "from": "", "to": "d"}, "from must be a name", "from"),
        ("lookup", {"table": "a.b", "form": "c", "to": "d"},
         "unknown parameter 'form' of the mask lookup; did you mean from?", "form"),
    ],
)  # fmt: skip
def test_what_cannot_be_built(name: str, parameters: dict[str, Parameter], message: str, parameter: str | None) -> None:
    with pytest.raises(MaskProblem) as caught:
        build_mask(name, parameters)
    assert (caught.value.message, caught.value.parameter) == (message, parameter)


NO_EXPRESSIONS = [
    ("", 'not an SQL expression: syntax error at or near ")"'),
    ("1", "the expression does not mention {value}"),
    ("'{value}'", "the expression does not mention {value}"),
    ("1 -- {value}", "the expression does not mention {value}"),
    ("$1", "the expression has a parameter"),
    ("{valeu}", 'not an SQL expression: syntax error at or near "{"'),
    ("{value}) FROM pg_authid WHERE (true", "not one SQL expression"),
    ("{value}), (2", "not one SQL expression"),
    ("{value}) AS c, (2", "not one SQL expression"),
    ("{value}); SELECT (1", "not one SQL expression"),
    ("{value}) UNION SELECT (1", "not one SQL expression"),
    ("{value} || name", "the expression names a column or a bare word; only {value} stands for the column's value"),
    ("(SELECT {value})", "the expression has a subquery; the mask lookup reads a table"),
    ("EXISTS (SELECT {value})", "the expression has a subquery; the mask lookup reads a table"),
    ("ARRAY(SELECT {value})", "the expression has a subquery; the mask lookup reads a table"),
    ("{value} || current_user", "the expression depends on the session or the clock"),
    ("max({value})", "the expression calls max, which reads other rows"),
    ("pg_catalog.count({value})", "the expression calls count, which reads other rows"),
    ("count(*) + {value}", "the expression calls count in a way that no mask may"),
    ("lower({value}) OVER ()", "the expression calls lower over other rows"),
    ("lower({value}) FILTER (WHERE true)", "the expression calls lower over other rows"),
    ("pg_sleep({value})", "the expression calls pg_sleep, which is no built-in function that a mask may call"),
    ("query_to_xml({value}, true, true, '')",
     "the expression calls query_to_xml, which is no built-in function that a mask may call"),
    ("current_setting('a.b') || {value}", "the expression reads a setting, which the session may write"),
    ("mine({value})", "the expression calls mine, which is no built-in function that a mask may call"),
    ("CASE {value} WHEN 1 THEN 2 END", "the expression has CASE with a value behind it"),
    ("NULLIF({value}, '')",
     "the expression has BETWEEN, NULLIF or IS DISTINCT FROM, whose operator cannot be given a schema"),
    ("ROW({value})", "the expression makes a row"),
    ("({value}).street", "the expression reads a field of a row"),
    ("xmlelement(name a, {value})", "the expression has XmlExpr, which no mask may have"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "message"), NO_EXPRESSIONS)
def test_what_is_no_expression_of_a_mask(expression: str, message: str) -> None:
    with pytest.raises(MaskProblem) as caught:
        build_mask("sql", {"expression": expression})
    assert (caught.value.message, caught.value.parameter) == (message, "expression")


def test_no_operator_or_type_of_an_expression_is_left_to_the_search_path() -> None:
    mask = build_mask(
        "sql",
        {
            "expression": "CASE WHEN {value} LIKE 'a%' OR {value} NOT IN ('b', 'c') OR {value} = ANY (ARRAY['d'])"
            ' THEN my.own(lower({value})::date) ELSE {value} COLLATE "C" || trim({value}) END'
        },
    )
    sql = mask.expression("t.c", "text")
    pinned = ["pg_catalog.~~", "pg_catalog.<>", "pg_catalog.=", "my.own(pg_catalog.lower", "::pg_catalog.date"]
    assert [name for name in pinned if name not in sql] == []
    assert 'COLLATE pg_catalog."C"' in sql
    assert "OPERATOR(pg_catalog.||)" in sql


TABLES = [
    Relation(1, "masking", "cities", "r", (Column("city", "text"), Column("region", "text")), primary_key=("city",)),
    Relation(2, "masking", "towns", "r", (Column("town", "text"), Column("region", "text"))),
    Relation(
        3, "masking", "ids", "r", (Column("id", "uuid"), Column("new", "uuid")),
        constraints=(Constraint("ids_id", "unique", frozenset({"id"})),),
    ),
]  # fmt: skip
CATALOG = Catalog(1, {relation.key: relation for relation in TABLES})
GUESSED = "whoever sees the hash can find the value"
LINTS: list[tuple[str, dict[str, Parameter], str, str, list[str]]] = [
    ("null", {}, "integer", "a", []),
    ("constant", {"value": 1}, "public.code", "a", []),
    ("email", {}, "text", "email", []),
    ("email", {}, "text[]", "emails", []),
    ("email", {}, "integer", "a", ["the mask email does not know the type integer: the column reads as NULL"]),
    ("email", {}, "public.code", "a", ["the mask email does not know the type public.code: the column reads as NULL"]),
    ("year", {}, "text", "a", ["the mask year does not know the type text: the column reads as NULL"]),
    ("redact", {}, "jsonb", "a", []),
    ("hash", {}, "text", "identifier", []),
    ("hash", {}, "uuid", "id", []),
    ("hash", {}, "text", "home_phone", ["what is called home_phone has few enough values"]),
    ("hash", {}, "bigint", "id", ["a column of type bigint has few enough values", GUESSED]),
    ("hash", {}, "character(11)", "code", ["a text of at most 11 characters has few enough values", GUESSED]),
    ("hash", {"length": 8}, "text", "id", ["8 digits of a hash are the same for different values now and then"]),
    ("bucket", {"size": 1}, "integer", "a", ["the mask bucket hides nothing"]),
    ("bucket", {"size": 10}, "integer", "a", []),
    ("bucket", {"size": 0.01}, "numeric(10,2)", "a", ["the mask bucket hides nothing"]),
    ("round", {"digits": 2}, "numeric(10,2)", "a", ["the mask round hides nothing"]),
    ("round", {"digits": 1}, "numeric(10,2)", "a", []),
    ("round", {"digits": 0}, "bigint[]", "a", ["the mask round hides nothing"]),
    ("lookup", {"table": "masking.cities", "from": "city", "to": "region"}, "text", "a", []),
    ("lookup", {"table": "masking.ids", "from": "id", "to": "new"}, "uuid", "a", []),
    ("lookup", {"table": "masking.towns", "from": "town", "to": "region"}, "text", "a", ["has no unique key on town"]),
    ("lookup", {"table": "masking.nowhere", "from": "town", "to": "a"}, "text", "a", ["does not exist"]),
    ("lookup", {"table": "masking.towns", "from": "name", "to": "a"}, "text", "a", ["has no column name"]),
    ("sql", {"expression": "left({value}, 1) || '...'"}, "text", "a", []),
    ("sql", {"expression": "{value}::int::text"}, "text", "a", ["casts to int4, which may raise"]),
    ("sql", {"expression": "{value}"}, "integer", "a", ["result is cast to integer, which may raise"]),
    ("sql", {"expression": "(1 / length({value}))::text"}, "text", "a", ["/ raises where it divides by zero"]),
    (
        "sql",
        {"expression": "(length({value}) * 9)::text"},
        "text",
        "a",
        ["* raises where the result is beyond its type"],
    ),
    (
        "sql",
        {"expression": "CASE WHEN 'a' ~ {value} THEN 'b' END"},
        "text",
        "a",
        ["~ raises where the pattern is none"],
    ),
    ("sql", {"expression": "{value} || random()::text"}, "text", "a", ["random depends on more than the value"]),
    ("sql", {"expression": "chr(length({value}))"}, "text", "a", ["chr raises for some values"]),
    ("sql", {"expression": "my.own({value})"}, "text", "a", ["what my.own does is not known here"]),
]


@pytest.mark.parametrize(("name", "parameters", "type_name", "column", "expected"), LINTS)
def test_lints(name: str, parameters: dict[str, Parameter], type_name: str, column: str, expected: list[str]) -> None:
    found = lints(build_mask(name, parameters), type_name, column, CATALOG)
    assert [part for part in expected if part not in " ".join(found)] == []
    assert bool(found) is bool(expected)


def test_planned_names_are_no_masks() -> None:
    assert not PLANNED_MASKS & set(MASKS)


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1.5, "1.5"), (True, "true"), ("yes", "yes"), ("", "")])
def test_a_constant_is_kept_as_written(value: Parameter, text: str) -> None:
    assert build_mask("constant", {"value": value}) == MASKS["constant"](text)  # type: ignore[call-arg]
