"""Conditions of policies, bound to a user, as PostgreSQL runs them over columns of many types."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from conftest import create_database

from proxy import localpg
from proxy.policy.binding import bound
from proxy.policy.catalog import Catalog, Column, Relation
from proxy.policy.expressions import read_expression
from proxy.policy.rules import Identity

Connection = psycopg.Connection[tuple[object, ...]]

SCRIPT = """
CREATE TYPE area AS ENUM ('EU', 'US');
CREATE DOMAIN code AS text CHECK (length(VALUE) = 2);
CREATE TABLE held (
    id int, t text, v varchar(10), c char(4), e area, d code, u uuid, born date, n numeric, small smallint, big bigint,
    ok boolean, tags text[], areas area[], j jsonb
);
INSERT INTO held VALUES
    (1, 'EU', 'EU', 'EU', 'EU', 'EU', '00000000-0000-0000-0000-000000000001', '2024-01-01', 0.5, 3, 3000000000, true,
     '{EU,x}', '{EU}', '{"who": "eva"}'),
    (2, 'US', 'US', 'US', 'US', 'US', '00000000-0000-0000-0000-000000000002', '2025-01-01', 1.5, 4, 4, false,
     '{US}', '{US}', '{"who": "bob"}'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE team (id int, who text);
INSERT INTO team VALUES (1, 'eva'), (2, 'bob');
"""

CATALOG = Catalog(
    1, {("public", "team"): Relation(1, "public", "team", "r", (Column("id", "integer"), Column("who", "text")))}
)

EVA = Identity(
    "eva",
    ("desk",),
    attributes=(
        ("region", "EU"),
        ("key", "00000000-0000-0000-0000-000000000001"),
        ("day", "2024-06-01"),
        ("regions", ("EU", 'a "b", \\c')),
        ("keys", ("00000000-0000-0000-0000-000000000001",)),
        ("level", 3),
        ("far", 3_000_000_000),
        ("levels", (3, 5)),
        ("fars", (3_000_000_000, 1)),
        ("share", 0.5),
        ("shares", (0.5, 9.25)),
        ("yes", True),
        ("flags", (True,)),
        ("none", ()),
        ("odd", "' OR true --\\"),
    ),
)


@pytest.fixture(scope="module")
def held(postgres: localpg.LocalPostgres) -> Iterator[Connection]:
    dsn = create_database(postgres, "conditions", SCRIPT)
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        *((f"{column} = {{user.region}}", [1]) for column in "tvced"),
        *((f"{column} IN ({{user.region}}, 'US')", [1, 2]) for column in "tvced"),
        *((f"{column} = ANY({{user.regions}})", [1]) for column in "tvcd"),
        *((f"{column} = ANY({{user.none}})", []) for column in ("t", "e", "u", "born", "n", "big", "ok")),
        *((f"{column} <> ALL({{user.none}})", [1, 2, 3]) for column in ("t", "e", "small")),
        *((f"{{user.region}} = ANY({column})", [1]) for column in ("tags", "areas")),
        ("e IS DISTINCT FROM {user.region}", [2, 3]),
        ("u = {user.key}", [1]),
        ("u = ANY({user.keys})", [1]),
        ("born < {user.day}", [1]),
        ("born BETWEEN {user.day} AND '2030-01-01'", [2]),
        ("small = {user.level} AND big = {user.far}", [1]),
        ("small = ANY({user.levels}) AND big = ANY({user.fars})", [1]),
        ("n = {user.share} AND n = ANY({user.shares})", [1]),
        ("n::float8 = {user.share}", [1]),
        ("ok = {user.yes} AND ok = ANY({user.flags})", [1]),
        ("t = {user.odd}", []),
        ("lower(t) = lower({user.region}) AND t || 'x' = {user.region} || 'x'", [1]),
        ("j->>'who' = {user.name}", [1]),
        ("{user.name} = 'eva' AND 'desk' = ANY({user.roles})", [1, 2, 3]),
        ("EXISTS (SELECT FROM public.team WHERE team.id = {row.id} AND who = {user.name})", [1]),
        ("EXISTS (SELECT FROM public.team WHERE who = {user.name} AND t = 'EU')", [1]),
        ("id IN (SELECT id FROM public.team WHERE who <> {user.name})", [2]),
        ("cardinality({user.levels}) = 2 AND cardinality({user.none}) = 0", [1, 2, 3]),
    ],
)
def test_rows(held: Connection, text: str, ids: list[int]) -> None:
    # Around it stands what a statement of a client could have: other names, and a column that the table has not.
    condition = bound(read_expression(text), EVA, CATALOG, "r w")
    sql = f'SELECT f.id FROM (SELECT 9 AS who, 9 AS t) AS held, (SELECT * FROM held AS "r w" WHERE {condition}) AS f'
    assert [row[0] for row in held.execute(f"{sql} ORDER BY 1").fetchall()] == ids
