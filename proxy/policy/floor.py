"""The floor: in the database itself, per set of roles, a login without rights on what is protected, and masked views.

With `upstream.login: floor` the rewriter points at these views instead of writing them out, so a mistake of its own
ends as "permission denied". Each view carries a digest of its text as its comment, and is used only while that is what
the policy in force would make of the relation.

Names and texts. The SQL that builds the floor is `proxy.floorsql`'s.
"""

from __future__ import annotations

import hashlib

from proxy.policy.catalog import Catalog, Name, Relation
from proxy.policy.maskedview import MaskedView
from proxy.policy.plan import Refusal
from proxy.policy.refused import Refused

PREFIX = "pgveil_"
TOKEN_SCHEMA = "pgveil_floor"  # noqa: S105 - the name of a schema
TOKEN_FUNCTION = f"{TOKEN_SCHEMA}.token"
LONGEST = 63
"""Bytes of an identifier: https://www.postgresql.org/docs/current/limits.html"""


def floor_login(roles: tuple[str, ...]) -> str:
    """The database login, and the schema, of sessions that have exactly these roles."""
    return _short(PREFIX + "_".join(sorted(roles)))


def floor_view(roles: tuple[str, ...], relation: Relation, *, only: bool = False) -> Name:
    """The masked view of a relation; `only`: without the rows of its children."""
    return floor_login(roles), _short(relation.qualified + (" only" if only else ""))


def floor_sql(view: MaskedView, *, only: bool = False) -> str:
    """The SELECT of a view of the floor. The view itself is the barrier, and lets leakproof conditions through."""
    return view.sql(only=only, fenced=False)


def floor_comment(view: MaskedView, *, only: bool = False) -> str:
    """What the comment of a view of the floor says."""
    return f"pgveil {hashlib.sha256(floor_sql(view, only=only).encode()).hexdigest()[:32]}"


def require_floor(catalog: Catalog, name: Name, relation: Relation, comment: str, location: int) -> None:
    """Raises Refused (42501) where the database has no such view, or one that another policy or table made."""
    found = catalog.relations.get(name)
    if found is not None and found.comment == comment:
        return
    what = "has no view for" if found is None else "is out of date for"
    refusal = Refusal(
        "42501",
        f"the floor {what} {relation.qualified}",
        hint="`pgveil harden` prints the SQL that builds the floor of the policy in force",
        # It may have been built since the catalogue was read.
        unknown=".".join(name),
    )
    raise Refused(refusal, location)


def _short(name: str) -> str:
    """The name, or as much of it as an identifier holds with a digest of it all."""
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return name.encode()[: LONGEST - 17].decode(errors="ignore") + "_" + digest
