"""Every mask on a real PostgreSQL: one table of cases each, over every type that a column may have.

A case is a value (as text, or None), and the masked value as PostgreSQL prints it. The column is read through the
same kind of subquery that the veil writes, so the mask meets a column and never a constant.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from proxy import localpg
from proxy.policy.masks import LONGEST, MASKS, SqlMask, build_mask
from proxy.policy.parser import deparse, paired_locations, parse

Connection = psycopg.Connection[tuple[object, ...]]

SETUP = """
CREATE DOMAIN public.code AS text NOT NULL CHECK (VALUE ~ '^[A-Z]+$');
CREATE DOMAIN public.codes AS text[] CHECK (cardinality(VALUE) > 0);
CREATE TYPE public."Mood of" AS ENUM ('glad', 'sad');
CREATE TYPE public.pair AS (a int, b text);
CREATE TYPE public.span AS RANGE (subtype = float8);
-- citext as its extension makes it, less the operators: the embedded server has no such extension.
CREATE SCHEMA ext;
CREATE TYPE ext.citext;
CREATE FUNCTION ext.citextin(cstring) RETURNS ext.citext LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION ext.citextout(ext.citext) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE ext.citext (INPUT = ext.citextin, OUTPUT = ext.citextout, INTERNALLENGTH = VARIABLE,
    STORAGE = extended, CATEGORY = 'S', PREFERRED = false, COLLATABLE = true);
CREATE CAST (ext.citext AS text) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS ext.citext) WITHOUT FUNCTION AS ASSIGNMENT;
"""


@pytest.fixture(scope="module")
def server(postgres: localpg.LocalPostgres) -> Iterator[Connection]:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE masks")
    with psycopg.connect(postgres.dsn_for("masks"), autocommit=True) as connection:
        connection.execute(SETUP)
        yield connection


def masked(connection: Connection, mask: SqlMask, type_name: str, value: str | None) -> str | None:
    """The mask's answer for one stored value, as text, through a statement that the parser has written."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("CREATE TEMP TABLE one (c {})").format(sql.SQL(type_name)))
        connection.execute("INSERT INTO one VALUES (CAST(%s AS text)::" + type_name + ")", (value,))
        text = f"SELECT v.c::pg_catalog.text FROM (SELECT {mask.expression('one.c', type_name)} AS c FROM one) v"
        row = connection.execute(deparse(parse(text))).fetchone()
    assert row is not None
    return None if row[0] is None else str(row[0])


LONG = "x" * (LONGEST + 1)

PARTIAL = [
    ("123-45-6789", {}, "***-**-6789"),
    ("123-45-6789", {"show_last": 0}, "***-**-****"),
    ("123-45-6789", {"show_first": 3, "show_last": 2, "pad": "#"}, "123-##-##89"),
    ("4111 1111 1111 1111", {"show_first": 4}, "4111 **** **** 1111"),
    ("4111 1111 1111 1111", {"pad": "•"}, "•••• •••• •••• 1111"),
    ("abcde", {}, "*bcde"),
    ("abcd", {}, "****"),
    ("abc", {}, "***"),
    ("a", {}, "*"),
    ("", {}, ""),
    (None, {}, None),
    ("----1234", {}, "********"),
    ("-", {}, "*"),
    ("-", {"show_last": 0}, "*"),
    ("ab", {"show_first": 1, "show_last": 1}, "**"),
    ("a-b", {"show_first": 1, "show_last": 1}, "***"),
    ("abc", {"show_first": 1, "show_last": 1}, "a*c"),
    ("abcdef", {"show_first": 4, "show_last": 4}, "******"),
    ("line one\nline two", {"show_last": 3}, "**** ******** two"),
    ("a\\1&b'c", {"show_last": 1}, "******c"),
    ("रमेश कुमार", {"show_last": 2}, "**** ***ार"),
    ("தமிழ்", {"show_last": 1}, "****்"),
    ("😀😀😀😀😀", {}, "*😀😀😀😀"),
    ("١٢٣٤٥٦", {"show_last": 2}, "****٥٦"),
    ("[a]{b}!", {"show_last": 1}, "******!"),
    (LONG, {}, "***"),
    (LONG[1:], {}, "*" * (LONGEST - 4) + "xxxx"),
]

EMAIL = [
    ("ann@example.com", "a***@***.com"),
    ("ann.b+x@mail.example.co.in", "a***@***.in"),
    ("a@example.com", "***@***.com"),
    ("ab@example.com", "a***@***.com"),
    ("ann@localhost", "a***@***"),
    ("ann@example.technology", "a***@***"),
    ("ann@x.भारत", "a***@***"),
    ("रमेश@example.com", "र***@***.com"),
    ("😀@example.com", "***@***.com"),
    ("ann@.com", "a***@***"),
    ("ann", "***"),
    ("@example.com", "***"),
    ("ann@", "***"),
    ("ann@b@example.com", "***"),
    ("ann smith <ann@example.com>", "***"),
    ("ann@example.com\n", "a***@***"),
    ("ann@example.com.", "a***@***"),
    ("ann@10.0.0.1", "a***@***"),
    ("", "***"),
    ("a", "***"),
    (None, None),
    ("a" * 308 + "@example.com", "a***@***.com"),
    ("a" * 309 + "@example.com", "***"),
    (LONG, "***"),
]

PHONE = [
    ("+91 98765 43210", "+91 ***** ***10"),
    ("+919876543210", "+91********10"),
    ("+1 (415) 555-2671", "+1 (***) ***-**71"),
    ("+14155552671", "+1********71"),
    ("+353 86 123 4567", "+353 ** *** **67"),
    ("98765 43210", "***** ***10"),
    ("0044 20 7946 0958", "**** ** **** **58"),
    ("1234567", "*****67"),
    ("123456", "***"),
    ("+91 12345", "***"),
    ("+91 1234567", "+91 *****67"),
    ("+9112345", "***"),
    ("+999 123 4567 89", "+999 *** **** 89"),
    ("+0 123 4567 8901", "***"),
    ("555-2671 ext", "***"),
    ("555-123-4567x89", "***-***-*****89"),
    ("९८७६५४३२१०", "***"),
    ("my number is 98765 43210", "** ****** ** ***** ***10"),
    ("", "***"),
    ("5", "***"),
    (None, None),
    ("98765\n43210", "*********10"),
    ("1" * 64, "*" * 62 + "11"),
    ("1" * 65, "***"),
    (LONG, "***"),
]

YEAR = [
    ("date", "2024-07-19", "2024-01-01"),
    ("date", "2024-01-01", "2024-01-01"),
    ("date", "0001-12-31", "0001-01-01"),
    ("date", "0001-06-15 BC", "0001-01-01 BC"),
    ("date", "0044-03-15 BC", "0044-01-01 BC"),
    ("date", "4712-02-28 BC", "4712-01-01 BC"),
    ("date", "4713-12-31 BC", "4713-11-24 BC"),
    ("date", "4713-11-24 BC", "4713-11-24 BC"),
    ("date", "5874897-12-31", "5874897-01-01"),
    ("date", "infinity", "infinity"),
    ("date", "-infinity", "-infinity"),
    ("date", None, None),
    ("timestamp without time zone", "2024-07-19 23:59:59.999999", "2024-01-01 00:00:00"),
    ("timestamp without time zone", "4713-11-24 00:00:01 BC", "4713-11-24 00:00:00 BC"),
    ("timestamp without time zone", "0044-03-15 12:00 BC", "0044-01-01 00:00:00 BC"),
    ("timestamp without time zone", "294276-12-31 23:59:59", "294276-01-01 00:00:00"),
    ("timestamp without time zone", "-infinity", "-infinity"),
    ("timestamp without time zone", None, None),
    ("timestamp(0) without time zone", "2024-12-31 23:59:59", "2024-01-01 00:00:00"),
    ("timestamp with time zone", "2024-07-19 12:00+00", "2024-01-01 00:00:00+00"),
    ("timestamp with time zone", "2024-01-01 01:00+05:30", "2023-01-01 00:00:00+00"),
    ("timestamp with time zone", "4713-11-24 00:00:00+00 BC", "4713-11-24 00:00:00+00 BC"),
    ("timestamp with time zone", "4713-12-31 23:00:00+00 BC", "4713-11-24 00:00:00+00 BC"),
    ("timestamp with time zone", "294276-12-31 23:59:59+00", "294276-01-01 00:00:00+00"),
    ("timestamp with time zone", "infinity", "infinity"),
    ("timestamp(3) with time zone", None, None),
    ("text", "2024-07-19", None),
    ("integer", "1987", None),
    ("time without time zone", "12:00", None),
    ("interval", "3 years", None),
]

CONSTANT = [
    ("text", "a value", "hidden", "hidden"),
    ("text", None, "hidden", "hidden"),
    ("text", "x", "it's \\ a \"test\" $$", "it's \\ a \"test\" $$"),
    ("text", "x", "", ""),
    ("character varying(3)", "abc", "hidden", "hid"),
    ("character(5)", "abc", "hi", "hi"),
    ("integer", "17", "0", "0"),
    ("numeric(6,2)", "17.25", "1.5", "1.50"),
    ("boolean", "true", "false", "false"),
    ("boolean", None, "true", "true"),
    ("boolean", "true", "off", "false"),
    ("date", "2024-07-19", "1970-01-01", "1970-01-01"),
    ("uuid", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "00000000-0000-0000-0000-000000000000",
     "00000000-0000-0000-0000-000000000000"),
    ("jsonb", '{"a": 1}', "{}", "{}"),
    ("bytea", "\\xdeadbeef", "\\x00", "\\x00"),
    ("text[]", "{a,b}", "{}", "{}"),
    ('public."Mood of"', "sad", "glad", "glad"),
    ("public.code", "SECRET", "X", "X"),
]  # fmt: skip

REDACT = [
    ("text", "secret", {}, "***"),
    ("text", "", {}, "***"),
    ("text", None, {}, None),
    ("text", "secret", {"text": "[it's gone]"}, "[it's gone]"),
    ("text", "secret", {"text": "a\\b"}, "a\\b"),
    ("character varying(2)", "ab", {}, "**"),
    ("character(4)", "ab", {}, "***"),
    ("name", "ab", {}, "***"),
    ("ext.citext", "Secret", {}, "***"),
    ("integer", "17", {}, None),
    ("jsonb", '{"a": 1}', {}, None),
]


@pytest.mark.parametrize(("value", "parameters", "expected"), PARTIAL)
def test_partial(server: Connection, value: str | None, parameters: dict[str, str | int], expected: str | None) -> None:
    assert masked(server, build_mask("partial", parameters), "text", value) == expected


@pytest.mark.parametrize(("value", "expected"), EMAIL)
def test_email(server: Connection, value: str | None, expected: str | None) -> None:
    assert masked(server, build_mask("email", {}), "text", value) == expected


@pytest.mark.parametrize(("value", "expected"), PHONE)
def test_phone(server: Connection, value: str | None, expected: str | None) -> None:
    assert masked(server, build_mask("phone", {}), "text", value) == expected


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize(("type_name", "value", "expected"), YEAR)
def test_year(server: Connection, zone: str, type_name: str, value: str | None, expected: str | None) -> None:
    """The instant is the same in every session; it is printed here in UTC."""
    mask = build_mask("year", {})
    with server.transaction(force_rollback=True):
        server.execute(sql.SQL("SET LOCAL timezone = {}").format(zone))
        server.execute(sql.SQL("CREATE TEMP TABLE one (c {})").format(sql.SQL(type_name)))
        server.execute("INSERT INTO one VALUES (CAST(%s AS text)::" + type_name + ")", (value,))
        server.execute(f"CREATE TEMP TABLE two AS SELECT {mask.expression('one.c', type_name)} AS c FROM one")
        server.execute("SET LOCAL timezone = 'UTC'")
        assert server.execute("SELECT c::text FROM two").fetchone() == (expected,)


@pytest.mark.parametrize(("type_name", "value", "constant", "expected"), CONSTANT)
def test_constant(server: Connection, type_name: str, value: str | None, constant: str, expected: str) -> None:
    assert masked(server, build_mask("constant", {"value": constant}), type_name, value) == expected


@pytest.mark.parametrize(("type_name", "value", "parameters", "expected"), REDACT)
def test_redact(
    server: Connection,
    type_name: str,
    value: str | None,
    parameters: dict[str, str],
    expected: str | None,
) -> None:
    assert masked(server, build_mask("redact", parameters), type_name, value) == expected


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
    "numeric(10,2)[]": "{1.25}",
    'public."Mood of"': "sad",
    'public."Mood of"[]': "{sad}",
    "public.pair": "(1,b)",
    "public.pair[]": '{"(1,b)"}',
    "public.span": "[1,2)",
    "public.code": "SECRET",
    "public.code[]": "{SECRET}",
    "public.codes": "{a}",
}
SHAPE = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attcollation
FROM pg_catalog.pg_attribute a WHERE a.attrelid = %s::pg_catalog.regclass AND a.attnum > 0
"""


def masks_for(type_name: str) -> list[SqlMask]:
    return [build_mask(n, {"value": TYPES[type_name]} if n == "constant" else {}) for n in sorted(MASKS)]


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


HOSTILE = """
CREATE SCHEMA evil;
CREATE FUNCTION evil.length(text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
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
]


@pytest.mark.parametrize(("name", "parameters", "type_name", "value"), UNMOVED)
def test_no_setting_of_the_session_moves_a_mask(
    server: Connection, name: str, parameters: dict[str, str], type_name: str, value: str
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
        stormy = server.execute("SELECT pg_catalog.to_json(c)::pg_catalog.text FROM two")
        assert stormy.fetchone() == expected
