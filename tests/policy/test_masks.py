"""What a mask's SQL may consist of, and which masks can be built. What it computes: tests/e2e/test_masks_sql.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

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
    "numeric(10,2)[]",
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
    assert max(depth(tree_of(mask, type_name)) for type_name in TYPES) <= 32


@pytest.mark.parametrize(
    ("type_name", "sql", "family"),
    [
        ("text", "pg_catalog.text", Family.TEXT),
        ('"char"', 'pg_catalog."char"', Family.OTHER),
        ("character varying(20)", "character varying(20)", Family.TEXT),
        ("timestamp(3) with time zone", "timestamp(3) with time zone", Family.TIMESTAMPTZ),
        ("interval day to second(3)", "interval day to second(3)", Family.OTHER),
        ("double precision", "double precision", Family.OTHER),
        ("bit varying(5)", "bit varying(5)", Family.OTHER),
        ("text[]", "pg_catalog.text[]", Family.OTHER),
        ("ext.citext", "ext.citext", Family.TEXT),
        ("ext.citext[]", "ext.citext[]", Family.OTHER),
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
        ("month", {}, "the mask month is not implemented yet", None),
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
    ],
)  # fmt: skip
def test_what_cannot_be_built(name: str, parameters: dict[str, Parameter], message: str, parameter: str | None) -> None:
    with pytest.raises(MaskProblem) as caught:
        build_mask(name, parameters)
    assert (caught.value.message, caught.value.parameter) == (message, parameter)


def test_planned_names_are_no_masks() -> None:
    assert not PLANNED_MASKS & set(MASKS)


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1.5, "1.5"), (True, "true"), ("yes", "yes"), ("", "")])
def test_a_constant_is_kept_as_written(value: Parameter, text: str) -> None:
    assert build_mask("constant", {"value": value}) == MASKS["constant"](text)  # type: ignore[call-arg]
