"""Constants for each type of the grammar, masked and protected values among them: somebody may guess one.

It does not know where they go.
"""

from __future__ import annotations

from typing import Final

CONSTANTS: Final[dict[str, tuple[str, ...]]] = {
    "text": ("'***'", "'gone'", "''", "'India'", "'Pune'", "'en'", "'a***@***.test'", "'B**** ****'", "'zq8x1'", "'%'"),
    "int": ("0", "1", "3", "10", "20", "734000000", "734002003", "-1", "100"),
    "num": ("0", "1.5", "42.00", "100", "7340021.50", "250.0", "1e3"),
    "date": ("date '2024-01-01'", "'1962-01-01'::date", "DATE '1963-07-23'", "'2023-12-31'::date"),
    "ts": ("timestamp '2024-01-05 10:00'",),
    "tstz": ("timestamptz '2024-02-01 00:00+00'",),
    "bool": ("true", "false", "NULL::boolean"),
    "interval": ("interval '2 days'",),
    "float": ("0.5::float8", "2::double precision"),
    "jsonb": ("""'{"plain": "p1", "notes": []}'::jsonb""", "'{}'::jsonb"),
    "json": ("""'{"a": 1}'::json""",),
    "text[]": ("'{a,b}'::text[]", "ARRAY['***', NULL]", "'{}'::text[]"),
    "int[]": ("'{1,2}'::bigint[]",),
    "range": ("'[1,5)'::int4range",),
    "uuid": ("'00000000-0000-0000-0000-000000000000'::uuid",),
    "bytea": (r"'\x7a71'::bytea",),
    "enum": ("'paid'::shop.order_status",),
    "lab.address": ("ROW('***', 'Pune')::lab.address",),
}

PATTERNS: Final = ("'a%'", "'%***%'", "'%zq8x%'", "'_*%'", "'%1'", r"'%\%%'", "'A* %' ESCAPE '#'", "'%'")
