"""Masks of numbers, months, hashes, look-ups and an author's own SQL on a real PostgreSQL: a table of cases each.

A case is a value (as text, or None), and the masked value as PostgreSQL prints it, as in test_masks_sql.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import psycopg
import pytest
from masks_world import Connection, mask_database, masked, masked_in_zone, read_through

from proxy import localpg
from proxy.policy.maskparts import token_expression
from proxy.policy.masks import LONGEST, build_mask


@pytest.fixture(scope="module")
def server(postgres: localpg.LocalPostgres) -> Iterator[Connection]:
    with mask_database(postgres, "masks_values") as connection:
        yield connection


MONTH = [
    ("date", "2024-07-19", "2024-07-01"),
    ("date", "2024-02-29", "2024-02-01"),
    ("date", "0044-03-15 BC", "0044-03-01 BC"),
    ("date", "4713-12-31 BC", "4713-12-01 BC"),
    ("date", "4713-11-30 BC", "4713-11-24 BC"),
    ("date", "4713-11-24 BC", "4713-11-24 BC"),
    ("date", "5874897-12-31", "5874897-12-01"),
    ("date", "-infinity", "-infinity"),
    ("date", None, None),
    ("date[]", "{2024-07-19,NULL,infinity}", "{2024-07-01,NULL,infinity}"),
    ("timestamp without time zone", "2024-07-19 23:59:59.999999", "2024-07-01 00:00:00"),
    ("timestamp without time zone", "4713-11-24 00:00:01 BC", "4713-11-24 00:00:00 BC"),
    ("timestamp without time zone", "294276-12-31 23:59:59", "294276-12-01 00:00:00"),
    ("timestamp with time zone", "2024-07-31 23:00-05", "2024-08-01 00:00:00+00"),
    ("timestamp with time zone", "4713-11-24 00:00:00+00 BC", "4713-11-24 00:00:00+00 BC"),
    ("timestamp with time zone", "infinity", "infinity"),
    ("text", "2024-07-19", None),
    ("interval", "3 years", None),
]

BUCKET = [
    ("integer", "1234", 100, "1200"),
    ("integer", "1200", 100, "1200"),
    ("integer", "-1", 100, "-100"),
    ("integer", "0", 100, "0"),
    ("integer", "7", 2.5, "5"),
    ("integer", "2147483647", 1000, "2147483000"),
    ("integer", "-2147483648", 1000, "-2147483648"),
    ("smallint", "-32768", 100, "-32768"),
    ("smallint", "-5", 10**18, "-32768"),
    ("bigint", "9223372036854775807", 10, "9223372036854775800"),
    ("bigint", "-9223372036854775808", 10, "-9223372036854775808"),
    ("integer", None, 10, None),
    ("numeric", "1234.5678", 100, "1200"),
    ("numeric", "12.345", 0.1, "12.3"),
    ("numeric", "12.30", 0.1, "12.3"),
    ("numeric", "9" * 60 + ".5", 3, "9" * 60),
    ("numeric", "-1e131071", 10, None),
    ("numeric", "NaN", 10, None),
    ("numeric", "Infinity", 10, None),
    ("numeric(10,2)", "12345.67", 1000, "12000.00"),
    ("numeric(2,0)", "-99", 100, "-99"),
    ("numeric(3,-2)", "-99900", 1000000, "-99900"),
    ("numeric(2,5)", "0.00099", 1, "0.00000"),
    ("numeric(2,5)", "-0.00001", 1, "-0.00099"),
    ("real", "1234.5", 100, "1200"),
    ("real", "3.4028235e38", 100, None),
    ("real", "1e-45", 100, "0"),
    ("double precision", "0.7", 0.1, "0.7"),
    ("double precision", "-0.05", 0.1, "-0.1"),
    ("double precision", "1.7976931348623157e308", 0.001, None),
    ("double precision", "1e299", 10**18, "1e+299"),
    ("double precision", "5e-324", 1e-9, "0"),
    ("double precision", "NaN", 10, None),
    ("double precision", "-Infinity", 10, None),
    ("integer[]", "{15,NULL,-1}", 10, "{10,NULL,-10}"),
    ("text", "12", 10, None),
    ("money", "12.50", 10, None),
]

ROUND = [
    ("integer", "1250", -2, "1300"),
    ("integer", "-1250", -2, "-1300"),
    ("integer", "2147483647", -1, "2147483647"),
    ("integer", "-2147483648", -1, "-2147483648"),
    ("smallint", "32767", -30, "0"),
    ("bigint", "9223372036854775807", -3, "9223372036854775807"),
    ("numeric", "2.345", 2, "2.35"),
    ("numeric", "2", 2, "2.00"),
    ("numeric", "Infinity", 2, None),
    ("numeric", "9e1001", -2, None),
    ("numeric(4,2)", "99.99", 0, "99.99"),
    ("numeric(4,2)", "12.34", 0, "12.00"),
    ("numeric(4,2)", "12.34", 30, "12.34"),
    ("real", "1.25", 1, "1.3"),
    ("double precision", "1234.5", -2, "1200"),
    ("double precision", "1e-300", 30, "0"),
    ("double precision", "1.7e308", -2, None),
    ("double precision[]", "{1.26,NaN}", 1, "{1.3,NULL}"),
    ("double precision", None, 1, None),
    ("date", "2024-01-01", 1, None),
]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


UUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
HASH = [
    ("text", "ann", {}, sha("ann")),
    ("text", "ann", {"length": 10}, sha("ann")[:10]),
    ("text", "", {}, sha("")),
    ("text", "रमेश 😀 \\x41", {}, sha("रमेश 😀 \\x41")),
    ("text", "x" * 1_000_000, {}, sha("x" * 1_000_000)),
    ("text", None, {}, None),
    ("character varying(6)", "ann", {}, sha("ann")[:6]),
    ("character(4)", "ann", {}, sha("ann")[:4]),
    ("ext.citext", "Ann", {}, sha("Ann")),
    ("uuid", UUID, {}, f"{sha(UUID)[:8]}-{sha(UUID)[8:12]}-{sha(UUID)[12:16]}-{sha(UUID)[16:20]}-{sha(UUID)[20:32]}"),
    ("integer", "-2147483648", {}, str(int(sha("-2147483648")[:8], 16) >> 1)),
    ("bigint", "17", {}, str(int(sha("17")[:15], 16))),
    ("integer", None, {}, None),
    ("smallint", "17", {}, None),
    ("numeric", "17", {}, None),
    ("date", "2024-01-01", {}, None),
    ("text[]", "{ann,NULL}", {"length": 4}, "{" + sha("ann")[:4] + ",NULL}"),
]

CITIES: dict[str, str | int] = {"table": "masking.cities", "from": "city", "to": "region"}
GRADES: dict[str, str | int] = {"table": "masking.grades", "from": "salary", "to": "grade"}
LOOKUP = [
    ("text", "Pune", CITIES, "west"),
    ("character varying(3)", "Pun", CITIES, None),
    ("character(6)", "Pune", CITIES, "west"),
    ("name", "Agra", CITIES, "north"),
    ("ext.citext", "Agra", CITIES, "north"),
    ("text", "Delhi", CITIES, None),
    ("text", "Delhi", {**CITIES, "default": "it's \\ far"}, "it's \\ far"),
    ("text", "Nowhere", {**CITIES, "default": "far"}, "far"),
    ("text", None, {**CITIES, "default": "far"}, None),
    ("text[]", "{Pune,Agra,NULL,Delhi}", CITIES, "{west,north,NULL,NULL}"),
    ("integer", "100", GRADES, "1"),
    ("integer", "200", GRADES, "3"),
    ("numeric", "200.0", GRADES, "2.5"),
    ("smallint", "300", GRADES, "32767"),
    ("bigint", "400", {**GRADES, "default": 0}, "0"),
    ("numeric(3,1)", "50", {**GRADES, "default": 0}, "0.0"),
    ("uuid", UUID, {"table": "masking.ids", "from": "from", "to": "to"}, "00000000-0000-0000-0000-000000000001"),
    ("date", "2024-01-01", CITIES, None),
    ('public."Mood of"', "sad", CITIES, None),
]

SQL = [
    ("text", "ann@example.com", "split_part({value}, '@', 2)", "example.com"),
    ("text", None, "'x' || {value}", None),
    ("text", "a'b\\", "{value} || '{value}'", "a'b\\{value}"),
    ("text", "Pune", "CASE WHEN {value} IN ('Pune', 'Agra') THEN 'big' ELSE 'small' END", "big"),
    ("text", "Pune", "CASE WHEN {value} NOT IN ('Pune') THEN 'x' WHEN {value} LIKE 'P%' THEN 'y' END", "y"),
    ("text", "Pune", "CASE WHEN {value} SIMILAR TO 'P(u|x)ne' THEN {value}::varchar(2) END", "Pu"),
    ("character varying(3)", "abc", "upper({value}) || upper({value}) -- twice", "ABC"),
    ("integer", "17", "({value} / 10) * 10", "10"),
    ("integer", "17", "GREATEST({value}, 20)", "20"),
    ("date", "2024-07-19", "make_date(extract(year FROM {value})::int, 6, 30)", "2024-06-30"),
    ("text[]", "{a,b}", "{value}[1:1]", "{a}"),
    ("jsonb", '{"a": 1, "b": 2}', "{value} - 'a'", '{"b": 2}'),
    ('public."Mood of"', "sad", "CASE WHEN {value}::text = 'sad' THEN 'glad' END", "glad"),
]

TOKEN = [
    ("text", "ann", "tok_" + sha("ann")[:24]),
    ("character varying(8)", "ann", "tok_" + sha("ann")[:4]),
    ("text", None, None),
    ("uuid", UUID, HASH[9][3]),
    ("integer", "5", str(int(sha("5")[:8], 16) >> 1)),
    ("bigint", "5", str(int(sha("5")[:15], 16))),
    ("bigint", None, None),
    ("smallint", "5", None),
    ("date", "2024-01-01", None),
    ("text[]", "{a}", None),
    ("public.code", "SECRET", None),
]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize(("type_name", "value", "expected"), MONTH)
def test_month(server: Connection, zone: str, type_name: str, value: str | None, expected: str | None) -> None:
    """The instant is the same in every session; it is printed here in UTC."""
    assert masked_in_zone(server, build_mask("month", {}), (type_name, value), zone) == expected


@pytest.mark.parametrize(("type_name", "value", "size", "expected"), BUCKET)
def test_bucket(server: Connection, type_name: str, value: str | None, size: float, expected: str | None) -> None:
    assert masked(server, build_mask("bucket", {"size": size}), type_name, value) == expected


@pytest.mark.parametrize(("type_name", "value", "digits", "expected"), ROUND)
def test_round(server: Connection, type_name: str, value: str | None, digits: int, expected: str | None) -> None:
    assert masked(server, build_mask("round", {"digits": digits}), type_name, value) == expected


@pytest.mark.parametrize(("type_name", "value", "given", "expected"), HASH)
def test_hash(
    server: Connection, type_name: str, value: str | None, given: dict[str, str | int], expected: str | None
) -> None:
    assert masked(server, build_mask("hash", given), type_name, value) == expected


@pytest.mark.parametrize(("type_name", "value", "given", "expected"), LOOKUP)
def test_lookup(
    server: Connection, type_name: str, value: str | None, given: dict[str, str | int], expected: str | None
) -> None:
    assert masked(server, build_mask("lookup", given), type_name, value) == expected


def test_a_lookup_uses_the_key_s_index(server: Connection) -> None:
    expression = build_mask("lookup", CITIES).expression("one.c", "text")
    with server.transaction(force_rollback=True):
        server.execute("INSERT INTO masking.cities SELECT 'city ' || n, 'r' FROM generate_series(1, 20000) AS n")
        server.execute("ANALYZE masking.cities")
        server.execute("CREATE TEMP TABLE one AS SELECT 'city 17' AS c")
        plan = server.execute(f"EXPLAIN SELECT {expression} FROM one").fetchall()
    assert "Index Scan using cities_pkey" in str(plan)


@pytest.mark.parametrize("given", [{"to": "city"}, {"from": "salary"}])
def test_a_lookup_of_other_types_fails_whatever_the_values_are(server: Connection, given: dict[str, str]) -> None:
    """Before it runs: an error that came with some values only would tell them."""
    expression = build_mask("lookup", {**GRADES, **given, "table": "masking.cities"}).expression("one.c", "integer")
    with server.transaction(force_rollback=True):
        server.execute("CREATE TEMP TABLE one (c integer)")
        with pytest.raises(psycopg.ProgrammingError):
            server.execute(f"SELECT {expression} FROM one")


@pytest.mark.parametrize(("type_name", "value", "expression", "expected"), SQL)
def test_sql(server: Connection, type_name: str, value: str | None, expression: str, expected: str | None) -> None:
    assert masked(server, build_mask("sql", {"expression": expression}), type_name, value) == expected


def test_sql_makes_no_rows(server: Connection) -> None:
    expression = build_mask("sql", {"expression": "unnest({value})"}).expression("one.c", "text[]")
    with server.transaction(force_rollback=True):
        server.execute("CREATE TEMP TABLE one AS SELECT ARRAY['a', 'b'] AS c")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="set-returning"):
            server.execute(f"SELECT {expression} FROM one")


@pytest.mark.parametrize(("type_name", "value", "expected"), TOKEN)
def test_token(server: Connection, type_name: str, value: str | None, expected: str | None) -> None:
    with server.transaction(force_rollback=True):
        server.execute(
            "CREATE FUNCTION masking.token(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT"
            " AS $$ SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex') $$"
        )
        expression = token_expression("one.c", type_name, "masking.token")
        assert read_through(server, expression, type_name, value) == expected


def test_long_arrays_read_as_null(server: Connection) -> None:
    value = "{" + ",".join("7" * (LONGEST + 1)) + "}"
    assert masked(server, build_mask("bucket", {"size": 5}), "integer[]", value) is None
