"""The databases that the attack statements run on, behind their proxies: on each server there is, and on the floor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from attack_cases import FOLDER, oracle, rows, schema
from conftest import Configuration, Pgveil, Serve, create_database
from raw_client import RawClient

from proxy import localpg
from proxy.feed import Feed
from proxy.floorsql import floor_of, harden_sql, role_sets
from proxy.policy.catalog import Catalog
from proxy.policy.load import load_policies

SSN_A, SSN_B = "zq8xSECRETa", "kv3wSECRETb"
SALARY_A, SALARY_B = 7340021, 5119873
# Every protected value of either database holds one of these.
SECRETS = (SSN_A.encode(), SSN_B.encode())

NEWEST = 18
PLACES = ["inline", "floor", *(f"inline on {v}" for v in localpg.versions() if v != NEWEST)]
"""The embedded PostgreSQL 18 with the masked views in the statements, then in the database, then other servers."""
POOLED = "pooled"
"""As the first, with two connections that all sessions take in turn."""
TURNS = {"mode": "transaction", "size": 2}


def secrets_of(salary: int, step: int) -> list[bytes]:
    """The salaries as text and as PostgreSQL's binary integers."""
    values = [salary + i * step for i in range(1, 41)] + [salary + i for i in range(1, 6)]
    return [str(v).encode() for v in values] + [v.to_bytes(4, "big") for v in values]


@dataclass(frozen=True)
class World:
    """The proxy before database A, the one before B, and where the oracle is."""

    prefix: str
    server: localpg.LocalPostgres
    proxies: dict[str, Pgveil]
    on_floor: bool = False

    @property
    def proxy_a(self) -> Pgveil:
        return self.proxies["a"]

    @property
    def proxy_b(self) -> Pgveil:
        return self.proxies["b"]

    def database(self, which: str) -> str:
        return f"{self.prefix}_{which}"

    def analyst(self, which: str = "a") -> RawClient:
        proxy = self.proxies[which]
        return RawClient(proxy.host, proxy.port, "analyst", self.database(which))

    def oracle(self) -> RawClient:
        host = psycopg.conninfo.conninfo_to_dict(self.server.dsn)["host"]
        return RawClient(str(host), 5432, "postgres", self.database("oracle"))


@contextmanager
def open_world(place: str, postgres: localpg.LocalPostgres, serve: Serve, directory: Path) -> Iterator[World]:
    """A world of one of PLACES, or POOLED."""
    if " on " not in place:
        prefix = {"inline": "attack", "floor": "attackfloor", POOLED: "attackpool"}[place]
        yield _world(prefix, postgres, serve, on_floor=place == "floor", pool=TURNS if place == POOLED else {})
        return
    version = int(place.rpartition(" ")[2])
    server = localpg.start(directory / "server", version=version, durable=False)
    try:
        yield _world(f"attack{version}", server, serve, on_floor=False, pool={})
    finally:
        server.stop()


def _world(prefix: str, server: localpg.LocalPostgres, serve: Serve, *, on_floor: bool, pool: dict[str, Any]) -> World:
    template = create_database(server, f"{prefix}_template", schema())
    if on_floor:
        build_floor(template)
    proxies = {}
    for which, ssn, salary in (("a", SSN_A, SALARY_A), ("b", SSN_B, SALARY_B)):
        name, values = f"{prefix}_{which}", rows(ssn=ssn, salary=salary, step=113)
        dsn = create_database(server, name, values, template=f"{prefix}_template")
        search_path(server, name)
        settings = {"upstream": {"dsn": dsn, "login": "floor" if on_floor else "service"}, "pool": pool}
        proxies[which] = serve(Configuration(dsn, FOLDER / "policy.yaml", settings))
    values = rows(ssn=SSN_A, salary=SALARY_A, step=113)
    create_database(server, f"{prefix}_oracle", values, oracle(), template=f"{prefix}_template")
    search_path(server, f"{prefix}_oracle")
    return World(prefix, server, proxies, on_floor)


def search_path(server: localpg.LocalPostgres, database: str) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} SET search_path = hr, shop, public")


def build_floor(dsn: str, policies: Path = FOLDER / "policy.yaml") -> str:
    """Runs what `pgveil harden` prints for the policy; the script."""
    policy = load_policies(policies)
    catalog = read_catalog(dsn)
    script = harden_sql(policy, catalog, [floor_of(policy, catalog, roles) for roles in role_sets(policy)])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(script.encode())
    return script


def read_catalog(dsn: str) -> Catalog:
    async def read() -> Catalog:
        async with Feed(dsn) as feed:
            return feed.catalog

    return asyncio.run(read())
