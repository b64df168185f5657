"""`pgveil harden`: prints the SQL that builds the floor, or with `--audit` what still undermines it.

It reads the database's catalogue and changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from proxy.check import reaching_upstream
from proxy.feed import Feed
from proxy.flooraudit import Finding, audit_floor
from proxy.floorsql import Floor, floor_of, harden_sql, role_sets
from proxy.policy.catalog import Catalog
from proxy.policy.load import load_policies
from proxy.policy.model import Policy
from proxy.settings import Settings
from proxy.simulate import upstream_of


def run_harden(settings: Settings, roles: Sequence[str], *, audit: bool, service: str | None = None) -> int:
    """The command. 0, or 1 where an audit found something.

    Args:
        roles: more sets of roles, names with commas between them.
        service: the account of `upstream.dsn`, which is let read the masked views: to price what runs over them.

    Raises ConfigError, PolicyProblems, UpstreamUnavailableError.
    """
    policy = load_policies(settings.policies)
    sets = role_sets(policy, [tuple(name.strip() for name in text.split(",")) for text in roles])
    password = os.environ.get(settings.upstream.floor_password_env) or None
    with upstream_of(settings) as dsn, reaching_upstream():
        if audit:
            return asyncio.run(_audited(dsn, policy, sets))
        return asyncio.run(_printed(dsn, policy, sets, password, service))


async def _printed(
    dsn: str, policy: Policy, sets: Sequence[tuple[str, ...]], password: str | None, service: str | None
) -> int:
    async with Feed(dsn) as feed:
        floors = [floor_of(policy, feed.catalog, roles, password) for roles in sets]
        script = harden_sql(policy, feed.catalog, floors, service)
    sys.stdout.write(script)
    for name in sorted({relation.qualified for floor in floors for relation in floor.left_out}):
        # A file takes the script; this is for who runs the command.
        sys.stderr.write(f"pgveil: {name} has row security, or reads what has: it has no view, and is refused\n")
    return 0


async def _audited(dsn: str, policy: Policy, sets: Sequence[tuple[str, ...]]) -> int:
    async with Feed(dsn) as feed:
        floors = [floor_of(policy, feed.catalog, roles) for roles in sets]
        found = await _audit(feed, feed.catalog, floors)
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    count = len(found)
    sys.stdout.write(f"{count} finding{'' if count == 1 else 's'} in {len(floors)} floor{'s' * (len(floors) != 1)}\n")
    return int(count > 0)


async def _audit(feed: Feed, catalog: Catalog, floors: Sequence[Floor]) -> list[Finding]:
    return [finding for floor in floors for finding in await audit_floor(feed.fetch, catalog, floor)]
