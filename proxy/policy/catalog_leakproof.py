"""The server's word on which operators and functions are leakproof: the queries, and the value that they make.

A leakproof function has no effect, raises no error that depends on its arguments, and tells nothing of them but by its
result; only superusers may say so of a function (https://www.postgresql.org/docs/current/sql-createfunction.html).
What such a name means in a statement is `leakproof`'s to find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Row = Mapping[str, Any]

OperatorKey = tuple[str, int, int]
"""(name, left type, right type): OIDs of pg_type; the left is 0 for a prefix operator."""

FunctionKey = tuple[str, tuple[int, ...]]
"""(name, types of the arguments)."""

# Operators of the same name and types in several schemas: all of them, since a search path chooses. A function of an
# extension counts where no other has its name: then nothing else can be meant.
QUERIES: Mapping[str, str] = {
    "leakproof_operators": """
        SELECT o.oprname::text AS name, o.oprleft::bigint AS left_type, o.oprright::bigint AS right_type
        FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_proc AS p ON p.oid = o.oprcode
        WHERE o.oprleft <> 0
        GROUP BY o.oprname, o.oprleft, o.oprright
        HAVING pg_catalog.bool_and(p.proleakproof AND p.provolatile <> 'v')
    """,
    "leakproof_functions": """
        SELECT p.proname::text AS name, p.prorettype::bigint AS result,
               ARRAY(SELECT u.oid::bigint FROM pg_catalog.unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(oid, at)
                     ORDER BY u.at) AS types
        FROM pg_catalog.pg_proc AS p
        WHERE p.proleakproof AND p.provolatile <> 'v' AND p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0
          AND (p.oid < 16384 AND p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
               OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_proc AS q WHERE q.proname = p.proname AND q.oid <> p.oid))
    """,
    "overloads": """
        SELECT DISTINCT o.oprname::text AS name FROM pg_catalog.pg_operator AS o
        WHERE o.oid >= 16384 AND o.oprleft <> 0 AND least(o.oprleft, o.oprright) < 16384
    """,
    "implicit_casts": """
        SELECT DISTINCT c.castsource::bigint AS source FROM pg_catalog.pg_cast AS c
        WHERE c.oid >= 16384 AND c.castcontext = 'i' AND c.castsource < 16384
    """,
}


@dataclass(frozen=True)
class Leakproof:
    """What a server marks as leakproof, with what could make a name mean something else."""

    operators: frozenset[OperatorKey] = frozenset()
    functions: Mapping[FunctionKey, int] = field(default_factory=lambda: MappingProxyType({}))
    """To the type of the result."""
    overloaded: frozenset[str] = frozenset()
    """Names of users' operators that have a built-in type on a side: they could be chosen for built-in types."""
    converted: frozenset[int] = frozenset()
    """Built-in types that a user's cast converts without being asked."""


def leakproof_of(rows: Mapping[str, Sequence[Row]]) -> Leakproof:
    """The value that the rows of QUERIES make."""
    return Leakproof(
        operators=frozenset((r["name"], r["left_type"], r["right_type"]) for r in rows["leakproof_operators"]),
        functions={(r["name"], tuple(r["types"])): r["result"] for r in rows["leakproof_functions"]},
        overloaded=frozenset(r["name"] for r in rows["overloads"]),
        converted=frozenset(r["source"] for r in rows["implicit_casts"]),
    )
