"""The floor: in the database itself, per set of roles, a login without rights on what is protected, and masked views.

With `upstream.login: floor` the rewriter points at these views instead of writing them out, so a mistake of its own
ends as "permission denied". Each view carries two digests as its comment: of the text that it was made from, and of
what the server said of the view then (pg_get_viewdef). It is used only while the first is of what the policy in force
would make of the relation, and the second of what the server says now: a table that was renamed below it, or another
view in its place, changes that.

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
DIGITS = 32
"""Of a digest in a comment."""
AGAIN = "run what `pgveil harden` prints"


# Names: two that are not the same here must not be so in the database.


def floor_login(roles: tuple[str, ...]) -> str:
    """The database login, and the schema, of sessions that have exactly these roles: `pgveil_a`, or `pgveil_a+b`.

    What joins names stands in none: `%`, `+` and `~` of a role's name are written as a percent sign and two digits.
    """
    return _short(PREFIX + "+".join(_escaped(role, "%+~") for role in sorted(roles)))


def floor_view(roles: tuple[str, ...], relation: Relation, *, only: bool = False) -> Name:
    """The masked view of a relation, `schema.name`; `only`: without the rows of its children, `schema.name~only`."""
    name = f"{_escaped(relation.schema, '%.~')}.{_escaped(relation.name, '%.~')}"
    return floor_login(roles), _short(name + ("~only" if only else ""))


def _escaped(name: str, characters: str) -> str:
    return "".join(f"%{ord(c):02X}" if c in characters else c for c in name)


def _short(name: str) -> str:
    """The name, or as much of it as an identifier holds with `~` and a digest of it all."""
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return name.encode()[: LONGEST - 17].decode(errors="ignore") + "~" + digest


# Texts


def floor_sql(view: MaskedView, *, only: bool = False) -> str:
    """The SELECT of a view of the floor. The view itself is the barrier, and lets leakproof conditions through."""
    return view.sql(only=only, fenced=False)


def floor_comment(view: MaskedView, *, only: bool = False) -> str:
    """How the comment of a view of the floor begins: which text the view was made from."""
    return f"pgveil {_digest(floor_sql(view, only=only))}"


def definition_digest(relation: Relation) -> str | None:
    """How it ends: what the server says that the view is. None where it is no view."""
    return None if relation.kind != "v" or relation.definition is None else _digest(relation.definition)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


# Whether a view may be used


def fault_of(catalog: Catalog, name: Name, relation: Relation, comment: str) -> str | None:
    """Why the view of that name does not stand for the relation, to go before the relation's name; None where it does.

    Args:
        comment: what `floor_comment` says for the relation.
    """
    found = catalog.relations.get(name)
    if relation.key in catalog.row_secured:
        return "does not keep the row security of"
    if found is None:
        return "has no view for"
    if found.comment != f"{comment} {definition_digest(found)}":
        return "is out of date for"
    return None if found.security_barrier else "has a view that is no security barrier for"


def require_floor(catalog: Catalog, name: Name, relation: Relation, comment: str, location: int) -> None:
    """Raises Refused (42501) where the database has no such view, or one that another policy, table or person made,
    and where PostgreSQL's own row security stands below it: a view reads as its owner, whom it does not hold for."""
    fault = fault_of(catalog, name, relation, comment)
    if fault is None:
        return
    hint = "`pgveil harden` prints the SQL that builds the floor of the policy in force"
    if relation.key in catalog.row_secured:
        hint = "a rule of `rows` in the policy can hide the rows instead; or upstream.login: service"
    # It may have been built since the catalogue was read.
    refusal = Refusal("42501", f"the floor {fault} {relation.qualified}", hint=hint, unknown=".".join(name))
    raise Refused(refusal, location)
