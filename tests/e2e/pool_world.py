"""A small database behind proxies in transaction mode, most of them with one connection for everybody."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from conftest import Configuration, Pgveil, Serve
from office_world import write_policy
from raw_client import RawClient, Reply

DATABASE = "pooled"
TABLES = """
CREATE TABLE people (id int PRIMARY KEY, name text, code text);
INSERT INTO people SELECT i, 'person ' || i, 'zq8x-' || i FROM generate_series(1, 5) AS i;
CREATE TABLE notes (id serial PRIMARY KEY, text text);
CREATE SCHEMA other;
CREATE TABLE other.people (id int, name text);
INSERT INTO other.people VALUES (1, 'somebody else');
CREATE FUNCTION remember(value text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('app.remembered', value, false); END $$;
CREATE FUNCTION make_temp() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN CREATE TEMP TABLE kept AS SELECT 1 AS a; END $$;
"""
POLICY = """
version: 1
roles:
  dba: {users: [postgres, dba], bypass: true}
  batch: {users: [batch], bypass: true}
  analyst: {users: [analyst]}
  reader: {users: [reader]}
defaults: {tables: deny, statements: [select, set, show, transaction, prepare, cursor, temp, explain]}
tables:
  - {allow: ["public.*", "other.*"], roles: [analyst, reader]}
masks:
  - {columns: [public.people.code], mask: constant, with: {value: hidden}, except: [dba, batch, reader]}
"""


@dataclass
class Shared:
    """A proxy and the DSN behind it."""

    proxy: Pgveil
    dsn: str

    def connect(self, user: str = "dba", **options: Any) -> psycopg.Connection[Any]:
        options.setdefault("autocommit", True)
        return psycopg.connect(self.proxy.dsn(user, DATABASE), **options)

    def raw(self, user: str = "dba", **parameters: str) -> RawClient:
        return RawClient(self.proxy.host, self.proxy.port, user, DATABASE, **parameters)

    def raw_direct(self) -> RawClient:
        place = psycopg.conninfo.conninfo_to_dict(self.dsn)
        return RawClient(str(place["host"]), int(str(place["port"])), "postgres", DATABASE)

    def direct(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn, autocommit=True)


def open_shared(serve: Serve, dsn: str, directory: Path, **pool: Any) -> Shared:
    directory.mkdir(parents=True, exist_ok=True)
    policies = write_policy(directory, POLICY)
    settings = {"pool": {"mode": "transaction", "size": 1, **pool}}
    return Shared(serve(Configuration(upstream=dsn, policies=policies, settings=settings)), dsn)


def parse(name: str, sql: str) -> bytes:
    return message(b"P", text(name) + text(sql) + struct.pack("!h", 0))


def bind(statement: str, *values: str | None, portal: str = "") -> bytes:
    body = text(portal) + text(statement) + struct.pack("!hh", 0, len(values))
    for value in values:
        data = None if value is None else value.encode()
        body += struct.pack("!i", -1 if data is None else len(data)) + (data or b"")
    return message(b"B", body + struct.pack("!h", 0))


def describe(name: str) -> bytes:
    return message(b"D", b"S" + text(name))


def execute(portal: str = "") -> bytes:
    return message(b"E", text(portal) + struct.pack("!i", 0))


def close(name: str) -> bytes:
    return message(b"C", b"S" + text(name))


SYNC = b"S\0\0\0\4"
FLUSH = b"H\0\0\0\4"


def query(sql: str) -> bytes:
    return message(b"Q", text(sql))


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def message(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("!i", len(body) + 4) + body


def run(client: RawClient, *messages: bytes) -> Reply:
    """Sends them at once; what comes up to the next ReadyForQuery."""
    client.socket.sendall(b"".join(messages))
    return client.reply()


def kinds(reply: Reply) -> bytes:
    return b"".join(tag for tag, _ in reply.messages)
