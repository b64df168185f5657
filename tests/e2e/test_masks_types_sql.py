"""Every mask on every type that a column may have, on a real PostgreSQL: none raises, and each keeps the type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from masks_world import Connection, mask_database
from psycopg import sql

from proxy import localpg
from proxy.policy.maskparts import token_expression
from proxy.policy.masks import LONGEST, MASKS, Parameter, SqlMask, build_mask
from proxy.policy.parser import deparse, paired_locations, parse


@pytest.fixture(scope="module")
def server(postgres: localpg.LocalPostgres) -> Iterator[Connection]:
    with mask_database(postgres, "masks_types") as connection:
        yield connection


GIVEN: dict[str, dict[str, Parameter]] = {
    "bucket": {"size": 1000},
    "round": {"digits": -3},
    "lookup": {"table": "masking.cities", "from": "city", "to": "region"},
    "sql": {"expression": "CASE WHEN {value} IS NULL THEN {value} END"},
}
NUMBERS: dict[str, Parameter] = {"table": "masking.grades", "from": "salary", "to": "grade"}
IDS: dict[str, Parameter] = {"table": "masking.ids", "from": "from", "to": "to"}


def given_for(name: str, type_name: str) -> dict[str, Parameter]:
    """A look-up's table has the types of the column, or its statement fails."""
    if name == "constant":
        return {"value": TYPES[type_name]}
    if name == "lookup" and type_name.removesuffix("[]") == "uuid":
        return IDS
    if name == "lookup" and type_name.startswith(("numeric", "integer", "smallint", "bigint")):
        return NUMBERS
    return GIVEN.get(name, {})


TYPES = {
    "text": "a b",
    "character varying": "abcdefgh",
    "character varying(6)": "abcdef",
    "character(6)": "abcdef",
    "bpchar": "abc   ",
    "name": "abcdefg",
    '"char"': "x",
    "ext.citext": "Ann@Example.com",
    "numeric": "NaN",
    "numeric(10,2)": "12345.67",
    "smallint": "-5",
    "integer": "2147483647",
    "bigint": "5",
    "real": "1.5",
    "double precision": "-Infinity",
    "money": "12.50",
    "boolean": "true",
    "date": "2024-02-29",
    "time without time zone": "24:00:00",
    "time(3) with time zone": "12:00:00+05:30",
    "timestamp without time zone": "2024-02-29 12:00:00",
    "timestamp(3) with time zone": "2024-02-29 12:00:00+00",
    "interval": "1 day",
    "interval day to second(3)": "1 day 00:00:01.5",
    "uuid": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "json": '{"a": "b"}',
    "jsonb": '{"a": "b"}',
    "bytea": "\\x00ff",
    "bit(3)": "101",
    "bit varying(5)": "10101",
    "inet": "10.0.0.1",
    "cidr": "10.0.0.0/8",
    "macaddr": "08:00:2b:01:02:03",
    "point": "(1,2)",
    "tsvector": "'a' 'b'",
    "oid": "5",
    "pg_lsn": "16/B374D848",
    "int4range": "[1,5)",
    "tstzrange": "[2024-01-01,infinity)",
    "datemultirange": "{[2024-01-01,2024-02-01)}",
    "text[]": '{a,"b c",NULL}',
    "bpchar[]": "{ab,NULL}",
    "name[]": "{ab}",
    "integer[]": "{1,NULL,2147483647}",
    "date[]": "{2024-02-29,infinity}",
    "uuid[]": "{6f9619ff-8b86-d011-b42d-00c04fc964ff}",
    "jsonb[]": '{"{\\"a\\": 1}"}',
    "ext.citext[]": "{Ann}",
    "numeric(10,2)[]": "{1.25}",
    'public."Mood of"': "sad",
    'public."Mood of"[]': "{sad}",
    "public.pair": "(1,b)",
    "public.pair[]": '{"(1,b)"}',
    "public.span": "[1,2)",
    "public.person": '(n,"(s,z,CODE)","{}",)',
    "public.code": "SECRET",
    "public.code[]": "{SECRET}",
    "public.codes": "{a}",
}
ROUNDING = {"bucket", "round", "month", "year"}
"""They keep what is a bucket's edge or a period's beginning."""
SHAPE = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attcollation
FROM pg_catalog.pg_attribute a WHERE a.attrelid = %s::pg_catalog.regclass AND a.attnum > 0
"""


def names_for(type_name: str) -> list[str]:
    """All masks; but what an author's own SQL makes of a value has to pass the domain's CHECK."""
    return [name for name in sorted(MASKS) if (name, type_name) != ("sql", "public.code")]


def masks_for(type_name: str) -> list[SqlMask]:
    return [build_mask(name, given_for(name, type_name)) for name in names_for(type_name)]


@pytest.mark.parametrize("type_name", TYPES)
def test_every_mask_keeps_the_type_and_hides_the_value(server: Connection, type_name: str) -> None:
    """The masked column has the type, the modifier and the collation of the table's."""
    with server.transaction(force_rollback=True):
        server.execute(sql.SQL("CREATE TEMP TABLE one (c {})").format(sql.SQL(type_name)))
        server.execute("INSERT INTO one VALUES (CAST(%s AS text)::" + type_name + ")", (TYPES[type_name],))
        for mask in masks_for(type_name):
            expression = mask.expression('one."c"', type_name)
            server.execute(f"CREATE TEMP TABLE two AS SELECT {expression} AS c FROM one")
            assert server.execute(SHAPE, ("two",)).fetchall() == server.execute(SHAPE, ("one",)).fetchall()
            before = server.execute("SELECT c::text FROM one").fetchone()
            after = server.execute("SELECT c::text FROM two").fetchone()
            if mask.name not in ROUNDING:
                assert (before == after) is (mask.name == "constant")
            server.execute("DROP TABLE two")


@pytest.mark.parametrize("type_name", TYPES)
def test_null_stays_null_but_for_a_constant(server: Connection, type_name: str) -> None:
    stored = "text" if type_name == "public.code" else type_name
    with server.transaction(force_rollback=True):
        server.execute(sql.SQL("CREATE TEMP TABLE one (c {})").format(sql.SQL(stored)))
        server.execute("INSERT INTO one VALUES (NULL)")
        for mask in masks_for(type_name):
            row = server.execute(f"SELECT ({mask.expression('one.c', type_name)}) IS NULL FROM one")
            assert row.fetchone() == (mask.name != "constant",)


@pytest.mark.parametrize("type_name", TYPES)
def test_the_parser_keeps_the_expression(type_name: str) -> None:
    """What runs is the deparsed tree: it must say the same again."""
    column = 't."the column"'
    for mask in masks_for(type_name):
        tree = parse(f"SELECT {mask.expression(column, type_name)} AS c FROM s.t")
        assert paired_locations(tree, parse(deparse(tree))) is not None


WIDE = "रमेश 😀 \u0301e\u200b\ufeff \U0010ffff"
TEXTS = [
    "",
    " ",
    "\n",
    "\\",
    "'",
    "%",
    "***",
    "+",
    "@",
    "a@b",
    "1",
    "NaN",
    "1e999",
    WIDE,
    WIDE * 9000,
    "x" * (LONGEST + 1),
]
TIMES = ["infinity", "-infinity", "4713-11-24 BC", "4713-12-01 BC", "0001-01-01 BC", "2024-02-29"]
NASTY: dict[str, list[str]] = {
    "text": TEXTS,
    "character varying": TEXTS,
    "character varying(1)": ["", " ", "😀", "@", "9"],
    "character(1)": ["", "😀", "@"],
    "bpchar": TEXTS,
    "name": ["", "@", "😀" * 15],
    '"char"': ["", "\x7f"],
    "ext.citext": TEXTS,
    "smallint": ["-32768", "32767", "0", "-1"],
    "integer": ["-2147483648", "2147483647", "0", "-1"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "0", "-1"],
    "numeric": [
        "NaN",
        "Infinity",
        "-Infinity",
        "0",
        "1e131071",
        "-1e131071",
        "9" * 131072,
        "1e-16383",
        "0." + "9" * 16383,
    ],
    "numeric(1,0)": ["NaN", "-9", "9"],
    "numeric(3,-2)": ["NaN", "-99900", "99900"],
    "numeric(2,5)": ["-0.00099", "0.00001"],
    "numeric(1000,500)": ["9" * 500 + "." + "9" * 500, "-" + "9" * 500 + "." + "9" * 500],
    "real": ["NaN", "Infinity", "-Infinity", "3.4028235e38", "-3.4028235e38", "1e-45", "-0"],
    "double precision": ["NaN", "Infinity", "-Infinity", "1.7976931348623157e308", "-1.7976931348623157e308", "5e-324"],
    "money": ["-92233720368547758.08"],
    "date": [*TIMES, "5874897-12-31"],
    "timestamp without time zone": [*TIMES, "294276-12-31 23:59:59.999999"],
    "timestamp(0) without time zone": [*TIMES, "294276-12-31 23:59:58"],
    "timestamp with time zone": [*TIMES[:2], "4713-11-24 00:00+00 BC", "294276-12-31 23:59:59.999999+00"],
    "time with time zone": ["24:00:00+15:59", "00:00:00-15:59"],
    "interval": ["178000000 years", "-178000000 years"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "json": ["null", "[]", "1e99999999", '"\\u0000"', '"\\ud800"', '{"a":1,"a":2}', "[" * 500 + "]" * 500],
    "jsonb": ["null", "[]", '""', '"😀"', "1e1000", "[" * 500 + "]" * 500],
    "bytea": ["", "\\x00ff"],
    "bit(1)": ["0"],
    "bit varying": [""],
    "inet": ["::/0"],
    "int4range": ["empty", "(,)"],
    "int4multirange": ["{}", "{(,)}"],
    "text[]": ["{}", "{NULL}", '{""}', "{{a,b},{c,d}}", "{{{a}}}", "[-3:-2]={a,b}", "[0:0][5:6]={{a,b}}"],
    "integer[]": ["{}", "{NULL}", "{-2147483648,2147483647}", "{{1},{2}}"],
    "numeric(1,0)[]": ["{-9,9,NaN,NULL}"],
    "double precision[]": ["{NaN,Infinity,-Infinity,1.7976931348623157e308}"],
    "date[]": ["{infinity,-infinity,4713-11-24 BC,NULL}"],
    "uuid[]": ["{NULL}"],
    "json[]": ['{"\\"\\\\\\\\u0000\\"",NULL}'],
    'public."Mood of"': ["sad"],
    "public.pair": ["(,)", "(1,😀)"],
    "public.pair[]": ["{NULL}", '{"(,)"}'],
    "public.code": ["A"],
    "public.codes": ["{a}"],
    "public.span": ["empty", "[NaN,NaN]"],
    "information_schema.yes_or_no": ["YES"],
}


@pytest.mark.parametrize("type_name", NASTY)
def test_no_value_makes_a_mask_raise(server: Connection, type_name: str) -> None:
    """NULL neither, which is the last row, and a type is kept: by its modifier too, or the column would not take it."""
    with server.transaction(force_rollback=True):
        server.execute(sql.SQL("CREATE TEMP TABLE one (c {})").format(sql.SQL(type_name)))
        for value in NASTY[type_name]:
            server.execute("INSERT INTO one VALUES (CAST(%s AS text)::" + type_name + ")", (value,))
        if type_name != "public.code":
            server.execute("INSERT INTO one VALUES (NULL)")
        server.execute("CREATE FUNCTION pg_temp.hex(text) RETURNS text LANGUAGE sql AS $$ SELECT repeat('7', 64) $$")
        masks = [build_mask(name, given_for(name, type_name)) for name in names_for(type_name) if name != "constant"]
        expressions = [mask.expression("one.c", type_name) for mask in masks]
        for expression in [*expressions, token_expression("one.c", type_name, "pg_temp.hex")]:
            server.execute(f"CREATE TEMP TABLE two AS SELECT {expression} AS c FROM one")
            assert server.execute(SHAPE, ("two",)).fetchall() == server.execute(SHAPE, ("one",)).fetchall()
            server.execute("DROP TABLE two")


HOSTILE = """
CREATE SCHEMA evil;
CREATE FUNCTION evil.length(text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.textne);
CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.textlike);
CREATE OPERATOR evil.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.textlike);
CREATE DOMAIN pg_temp.text AS pg_catalog.int4;
CREATE DOMAIN pg_temp.date AS pg_catalog.int4;
SET LOCAL search_path = evil;
SET LOCAL standard_conforming_strings = off;
SET LOCAL escape_string_warning = off;
SET LOCAL datestyle = 'German';
SET LOCAL timezone = 'Pacific/Kiritimati';
SET LOCAL intervalstyle = 'sql_standard';
SET LOCAL extra_float_digits = -15;
"""
UNMOVED = [
    ("email", {}, "text", "ann@example.com"),
    ("phone", {}, "text", "+91 98765 43210"),
    ("partial", {}, "text", "123-45-6789"),
    ("redact", {"text": "a\\b'c"}, "text", "x"),
    ("year", {}, "date", "2024-01-01"),
    ("year", {}, "timestamp with time zone", "2024-01-01 00:00+00"),
    ("null", {}, "text", "x"),
    ("email", {}, "text[]", "{ann@example.com,NULL}"),
    ("month", {}, "timestamp with time zone", "2024-07-01 00:00+00"),
    ("bucket", {"size": 0.1}, "double precision", "12.345678901234567"),
    ("round", {"digits": 1}, "numeric", "12.345"),
    ("hash", {}, "text", "ann"),
    ("hash", {}, "bigint", "17"),
    ("lookup", GIVEN["lookup"], "text", "Pune"),
    ("lookup", NUMBERS, "integer", "100"),
    ("sql", {"expression": "{value} || length({value})::text"}, "text", "x"),
]


@pytest.mark.parametrize(("name", "parameters", "type_name", "value"), UNMOVED)
def test_no_setting_of_the_session_moves_a_mask(
    server: Connection, name: str, parameters: dict[str, Parameter], type_name: str, value: str
) -> None:
    expression = build_mask(name, parameters).expression("one.c", type_name)
    with server.transaction(force_rollback=True):
        server.execute(f"CREATE TABLE public.one (c {type_name})")
        server.execute("INSERT INTO one VALUES (CAST(%s AS text)::" + type_name + ")", (value,))
        read = f"SELECT pg_catalog.to_json(v.c)::pg_catalog.text FROM (SELECT {expression} AS c FROM public.one) v"
        expected = server.execute(read).fetchone()
        server.execute(HOSTILE)
        server.execute(f"CREATE TEMP TABLE two AS SELECT {expression} AS c FROM public.one")
        server.execute("SET LOCAL timezone = 'UTC'")
        server.execute("SET LOCAL extra_float_digits = 1")
        stormy = server.execute("SELECT pg_catalog.to_json(c)::pg_catalog.text FROM two")
        assert stormy.fetchone() == expected
