"""The masks of texts, years and constants on a real PostgreSQL: one table of cases each.

A case is a value (as text, or None), and the masked value as PostgreSQL prints it. The column is read through the
same kind of subquery that the veil writes, so the mask meets a column and never a constant.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from masks_world import Connection, mask_database, masked, masked_in_zone

from proxy import localpg
from proxy.policy.masks import LONGEST, build_mask


@pytest.fixture(scope="module")
def server(postgres: localpg.LocalPostgres) -> Iterator[Connection]:
    with mask_database(postgres, "masks") as connection:
        yield connection


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
    ("jsonb", '{"a": 1}', {}, '"***"'),
    ("json", "null", {"text": 'a "b" \\'}, '"a \\"b\\" \\\\"'),
    ("jsonb", None, {}, None),
    ("text[]", "{a,NULL,''}", {}, "{***,NULL,***}"),
    ("text[]", "{}", {}, "{}"),
    ("text[]", "{{a,b},{c,d}}", {}, None),
    ("text[]", "[3:4]={a,b}", {}, "{***,***}"),
    ("character varying(2)[]", "{ab}", {}, "{**}"),
    ("bpchar[]", "{ab,NULL}", {}, "{***,NULL}"),
    ("integer[]", "{1}", {}, None),
    ("text[]", "{" + "a," * LONGEST + "a}", {}, None),
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
    assert masked_in_zone(server, build_mask("year", {}), (type_name, value), zone) == expected


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
