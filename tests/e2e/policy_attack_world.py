"""Databases under a policy that uses all that policies can say, and sessions of theirs that are used again.

`a` and `b` differ in protected values, and in the rows that no role may see, in number too. Per masked user a third has
views written by hand under the tables' names. On each server there is, and on the floor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from attack_world import POOLED, TURNS, build_floor
from conftest import Configuration, Pgveil, Serve, create_database
from raw_client import RawClient

from proxy import localpg

FOLDER = Path(__file__).with_name("policy_attacks")
USER = "nurse"
CUT = {"clerk": 3}
"""Users whose results are cut, and after how many rows."""

SECRETS = (b"zq8x", b"kv3w", b"h7wS")
_VALUES = {
    "a": {"s": "zq8xSECRETa", "n": "137", "day": "03-07", "rows": "9"},
    "b": {"s": "kv3wSECRETb", "n": "842", "day": "11-23", "rows": "23"},
}
_NURSE = {"ward": "north", "wards": "{north,west}", "level": "2", "user": "nurse"}
_PORTER = {"ward": "south", "wards": "{south}", "level": "1", "user": "porter"}
_ORACLES = {"nurse": _NURSE, "porter": _PORTER}


@dataclass
class PolicyWorld:
    """The proxies before both databases, and where the oracles are."""

    prefix: str
    server: localpg.LocalPostgres
    proxies: dict[str, Pgveil]
    on_floor: bool
    _sessions: dict[tuple[str, str], RawClient] = field(default_factory=dict, repr=False)

    def connect(self, which: str, user: str, **parameters: str) -> RawClient:
        """A new session: of database `a` or `b` through its proxy, of `oracle` without one."""
        if which == "oracle":
            host = psycopg.conninfo.conninfo_to_dict(self.server.dsn)["host"]
            oracle = user if user in _ORACLES else USER
            return RawClient(str(host), 5432, "postgres", f"{self.prefix}_{oracle}", **parameters)
        proxy = self.proxies[which]
        return RawClient(proxy.host, proxy.port, user, f"{self.prefix}_{which}", **parameters)

    @contextmanager
    def session(self, which: str, user: str, *, tidy: bool = False) -> Iterator[RawClient]:
        """One that others have used; with `tidy`, what it is left with is discarded. One that fails is dropped."""
        client = self._sessions.pop((which, user), None) or self.connect(which, user)
        is_whole = False
        try:
            yield client
            if tidy:
                client.simple("ROLLBACK")
            is_whole = not tidy or not client.simple("DISCARD ALL").error
        finally:
            if is_whole:
                self._sessions[which, user] = client
            else:
                client.socket.close()

    def close(self) -> None:
        for client in self._sessions.values():
            client.socket.close()


@contextmanager
def open_policy_world(
    place: str, postgres: localpg.LocalPostgres, serve: Serve, directory: Path
) -> Iterator[PolicyWorld]:
    """A world of one of attack_world.PLACES, or POOLED."""
    if " on " not in place:
        prefix = {"inline": "care", "floor": "care_floor", POOLED: "care_pool"}[place]
        world = _world(prefix, postgres, serve, directory)
        yield world
        world.close()
        return
    version = int(place.rpartition(" ")[2])
    server = localpg.start(directory / "server", version=version, durable=False)
    try:
        world = _world(f"care{version}", server, serve, directory)
        yield world
        world.close()
    finally:
        server.stop()


def _world(prefix: str, server: localpg.LocalPostgres, serve: Serve, directory: Path) -> PolicyWorld:
    on_floor, pool = prefix == "care_floor", TURNS if prefix == "care_pool" else {}
    template = create_database(server, f"{prefix}_template", _script("schema"))
    policies = FOLDER / "policy.yaml"
    if on_floor:
        # A floor is for roles: it knows no user's name.
        policies = directory / "policy.yaml"
        policies.write_text((FOLDER / "policy.yaml").read_text(encoding="utf-8").replace("{user.name}", "{user.who}"))
        build_floor(template, policies)
    proxies = {}
    for which, values in _VALUES.items():
        dsn = _database(server, prefix, which, _script("rows", values), _script("hidden", values))
        settings = {"upstream": {"dsn": dsn, "login": "floor" if on_floor else "service"}, "pool": pool}
        proxies[which] = serve(Configuration(dsn, policies, settings))
    for user, attributes in _ORACLES.items():
        rows = _script("rows", _VALUES["a"]), _script("hidden", _VALUES["a"])
        _database(server, prefix, user, *rows, _script("oracle", attributes))
    return PolicyWorld(prefix, server, proxies, on_floor)


def _database(server: localpg.LocalPostgres, prefix: str, name: str, *scripts: str) -> str:
    dsn = create_database(server, f"{prefix}_{name}", *scripts, template=f"{prefix}_template")
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {prefix}_{name} SET search_path = care, ref, kind, public")
    return dsn


def _script(name: str, values: dict[str, str] | None = None) -> str:
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    for key, value in (values or {}).items():
        text = text.replace("{" + key + "}", value)
    return text
