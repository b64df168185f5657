"""The office database behind a proxy, and beside it the database that says what each role should see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
from client_kinds import PATIENCE, Place
from conftest import Configuration, Pgveil, Serve
from office_world import make_masked_office, make_office, write_policy

from proxy import localpg

ROLES = ("dba", "analyst")
SLOW = {
    "dba": "SELECT pg_sleep(600)",
    "analyst": "SELECT count(*) FROM shop.many a, shop.many b, shop.many c WHERE a.id <> b.id",
}
"""A statement for each role that does not end by itself in this life."""


@dataclass(frozen=True)
class Office:
    """The proxy, and where each role's right answers are: the database itself, and the masked views."""

    proxy: Pgveil
    socket_dir: str

    def through(self, role: str) -> Place:
        return Place(self.proxy.host, self.proxy.port, role, "office")

    def direct(self, role: str) -> Place:
        database = "office" if role == "dba" else "office_masked"
        return Place(self.socket_dir, 5432, "postgres", database)

    def connect(self, role: str, **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.through(role).dsn, **{"autocommit": True, **options})

    async def connect_asyncpg(self, role: str) -> Any:
        place = self.through(role)
        return await asyncpg.connect(
            host=place.host, port=place.port, user=place.user, database=place.database, timeout=PATIENCE
        )


def open_office(postgres: localpg.LocalPostgres, serve: Serve, directory: Path) -> Office:
    dsn = make_office(postgres, "office")
    make_masked_office(postgres, "office_masked")
    policies = write_policy(directory)
    return Office(serve(Configuration(upstream=dsn, policies=policies)), str(postgres.socket_dir))
