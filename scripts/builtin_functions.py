"""Writes proxy/policy/builtin_functions.txt from the servers whose DSNs are given: an entry has to hold on each.

An entry that one server has and another lacks altogether is kept; one that a server refuses is not.
"""

from __future__ import annotations

import asyncio
import sys

import asyncpg

from proxy.policy.functions import DATA, QUERY, BuiltinFunction, compute

HEAD = """\
# Functions of pg_catalog that a masked role may call: computed by scripts/builtin_functions.py, reviewed as a diff.
# `name`, or `name/arity` where another arity of that name is refused.
"""


async def read(dsn: str) -> list[BuiltinFunction]:
    """Every function of pg_catalog on that server."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(QUERY)
    finally:
        await connection.close()
    return [BuiltinFunction(**{**dict(row), "types": tuple(row["types"])}) for row in rows]


def merge(servers: list[list[BuiltinFunction]]) -> list[str]:
    """Entries that no server contradicts, sorted."""
    computed = [compute(functions) for functions in servers]
    names = [{f.name for f in functions} for functions in servers]
    entries = set().union(*computed)
    return sorted(
        entry
        for entry in entries
        if all(
            entry in found or entry.partition("/")[0] not in known for found, known in zip(computed, names, strict=True)
        )
    )


def main() -> None:
    servers = [asyncio.run(read(dsn)) for dsn in sys.argv[1:]]
    entries = merge(servers)
    DATA.write_text(HEAD + "\n".join(entries) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(entries)} entries\n")


if __name__ == "__main__":
    main()
