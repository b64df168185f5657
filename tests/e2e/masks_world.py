"""A database for masks: types of every kind, and one stored value read through a mask as the veil reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from proxy import localpg
from proxy.policy.masks import SqlMask
from proxy.policy.parser import deparse, parse

Connection = psycopg.Connection[tuple[object, ...]]

SETUP = """
CREATE DOMAIN public.code AS text NOT NULL CHECK (VALUE ~ '^[A-Z]+$');
CREATE DOMAIN public.codes AS text[] CHECK (cardinality(VALUE) > 0);
CREATE TYPE public."Mood of" AS ENUM ('glad', 'sad');
CREATE TYPE public.pair AS (a int, b text);
CREATE TYPE public.span AS RANGE (subtype = float8);
CREATE TYPE public.addr AS (street text, zip varchar(5), "the Code" public.code);
CREATE TYPE public.person AS (name text, home public.addr, doc jsonb, olds public.addr[]);
CREATE SCHEMA masking;
CREATE TABLE masking.cities (city text PRIMARY KEY, region text);
INSERT INTO masking.cities VALUES ('Pune', 'west'), ('Agra', 'north'), ('Nowhere', NULL);
CREATE TABLE masking.grades (salary int, grade numeric);
INSERT INTO masking.grades VALUES (100, 1), (200, 3), (200, 2.50), (300, 99999), (400, 'NaN');
CREATE TABLE masking.ids ("from" uuid, "to" uuid);
INSERT INTO masking.ids VALUES ('6f9619ff-8b86-d011-b42d-00c04fc964ff', '00000000-0000-0000-0000-000000000001');
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


@contextmanager
def mask_database(postgres: localpg.LocalPostgres, name: str) -> Iterator[Connection]:
    """A new database with SETUP's types."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(postgres.dsn_for(name), autocommit=True) as connection:
        connection.execute(SETUP)
        yield connection


def masked(connection: Connection, mask: SqlMask, type_name: str, value: str | None) -> str | None:
    """The mask's answer for one stored value, as text, through a statement that the parser has written."""
    return read_through(connection, mask.expression("one.c", type_name), type_name, value)


def read_through(connection: Connection, expression: str, type_name: str, value: str | None) -> str | None:
    """What an expression over `one.c` makes of one stored value, as text."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("CREATE TEMP TABLE one (c {})").format(sql.SQL(type_name)))
        connection.execute("INSERT INTO one VALUES (CAST(%s AS text)::" + type_name + ")", (value,))
        text = f"SELECT v.c::pg_catalog.text FROM (SELECT {expression} AS c FROM one) v"
        row = connection.execute(deparse(parse(text))).fetchone()
    assert row is not None
    return None if row[0] is None else str(row[0])


def masked_in_zone(connection: Connection, mask: SqlMask, of: tuple[str, str | None], zone: str) -> str | None:
    """What a mask makes of a value (`of` is its type and its text) in a session with that time zone, printed in UTC."""
    type_name, value = of
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("SET LOCAL timezone = {}").format(zone))
        connection.execute(sql.SQL("CREATE TEMP TABLE one (c {})").format(sql.SQL(type_name)))
        connection.execute("INSERT INTO one VALUES (CAST(%s AS text)::" + type_name + ")", (value,))
        connection.execute(f"CREATE TEMP TABLE two AS SELECT {mask.expression('one.c', type_name)} AS c FROM one")
        connection.execute("SET LOCAL timezone = 'UTC'")
        row = connection.execute("SELECT c::text FROM two").fetchone()
    return None if row is None or row[0] is None else str(row[0])
