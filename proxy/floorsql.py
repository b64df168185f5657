"""The SQL that builds the floor, for `pgveil harden`.

Per set of masked roles the floor is a login and a schema. The login may read the schema's masked views, and the tables
that no rule touches; of what is protected it may read nothing. The SQL is printed, not run: a DBA reads it and runs it
as the owner of the tables, who becomes the views' owner (a view reads with its owner's rights:
https://www.postgresql.org/docs/current/rules-privileges.html). It is one transaction, and running it again makes the
same floor.

It does not know users: which roles occur together is told by the users that the policy names, and by `--roles`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from proxy.errors import ConfigError
from proxy.policy.catalog import Catalog, Relation
from proxy.policy.decide import Veil
from proxy.policy.floor import PREFIX, TOKEN_FUNCTION, TOKEN_SCHEMA, floor_comment, floor_login, floor_sql, floor_view
from proxy.policy.maskedview import MaskedView, quoted
from proxy.policy.masks import literal
from proxy.policy.model import Policy
from proxy.policy.patterns import is_glob
from proxy.policy.rules import Identity, Predicates, StatementKind
from proxy.wire.scram import make_verifier

PRIVILEGES: Mapping[StatementKind, tuple[str, ...]] = {
    StatementKind.INSERT: ("INSERT",),
    StatementKind.UPDATE: ("UPDATE",),
    StatementKind.DELETE: ("DELETE",),
    StatementKind.MERGE: ("INSERT", "UPDATE", "DELETE"),
}

TOKEN_SQL = f"""\
-- A token is an HMAC whose two keys nobody reads but this function (RFC 2104 makes two of one; here both are drawn).
CREATE SCHEMA IF NOT EXISTS {TOKEN_SCHEMA};
REVOKE ALL ON SCHEMA {TOKEN_SCHEMA} FROM PUBLIC;
CREATE TABLE IF NOT EXISTS {TOKEN_SCHEMA}.key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), inner_key bytea NOT NULL, outer_key bytea NOT NULL);
REVOKE ALL ON {TOKEN_SCHEMA}.key FROM PUBLIC;
INSERT INTO {TOKEN_SCHEMA}.key (inner_key, outer_key)
    SELECT pg_catalog.string_agg(u, '') FILTER (WHERE n <= 4), pg_catalog.string_agg(u, '') FILTER (WHERE n > 4)
    FROM (SELECT n, pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) AS u
          FROM pg_catalog.generate_series(1, 8) AS n) AS drawn
    ON CONFLICT DO NOTHING;
CREATE OR REPLACE FUNCTION {TOKEN_FUNCTION}(value text) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $token$
        SELECT encode(sha256(k.outer_key || sha256(k.inner_key || convert_to(value, 'UTF8'))), 'hex')
        FROM {TOKEN_SCHEMA}.key AS k
    $token$;
REVOKE ALL ON FUNCTION {TOKEN_FUNCTION}(text) FROM PUBLIC;
"""


@dataclass(frozen=True)
class Floor:
    """What the floor of one set of roles consists of."""

    identity: Identity
    views: Sequence[tuple[Relation, MaskedView]]
    plain: Sequence[Relation]
    """Relations that no rule touches: readable as they are."""
    writes: Sequence[tuple[Relation, tuple[str, ...], tuple[str, ...]]]
    """Relation, privileges, and the columns that a writer may read."""
    functions: Sequence[str]
    tokens: bool = False
    verifier: str | None = field(default=None, repr=False)

    @property
    def login(self) -> str:
        return floor_login(self.identity.roles)


def role_sets(policy: Policy, more: Sequence[tuple[str, ...]] = ()) -> list[tuple[str, ...]]:
    """The sets of roles that a floor is for: each masked role alone, and those of every user that the policy names.

    Raises ConfigError for a role of `more` that the policy does not have, or that bypasses.
    """
    found: dict[tuple[str, ...], None] = {(r.name,): None for r in policy.roles.values() if not r.bypass}
    for role in policy.roles.values():
        for user in role.users:
            identity = None if is_glob(user) else policy.identify(user)
            if identity is not None and not identity.bypass:
                found[identity.roles] = None
    for roles in more:
        unknown = [name for name in roles if name not in policy.roles]
        if unknown:
            raise ConfigError(f"the policy has no role {unknown[0]}", hint=f"There is: {', '.join(policy.roles)}.")
        # In the policy's own order, which is the one that an identity has.
        found[tuple(name for name in policy.roles if name in roles)] = None
    return list(found)


def floor_of(policy: Policy, catalog: Catalog, roles: tuple[str, ...], password: str | None = None) -> Floor:
    """The floor of a set of roles. Raises ConfigError where the policy asks for what no floor can have."""
    if policy.asks_for_name:
        raise ConfigError(
            "a condition of the policy asks for {user.name}, and a floor is for roles, not for users",
            hint="Use attributes of roles, or upstream.login: service.",
        )
    identity = policy.identity_of(roles)
    if identity.bypass:
        raise ConfigError(f"the role {roles[0]} bypasses the veil: it has no floor")
    veil = Veil(policy, catalog, on_floor=True)
    views = list(veil.floor_views(identity))
    replaced = {relation.key for relation, _ in views}
    plain = [r for r in veil.visible(identity) if r.key not in replaced]
    tokens = any(rule.predicates == Predicates.TOKEN for rule in policy.masks)
    verifier = None if password is None else make_verifier(password)
    writes = list(_writes(policy, veil, identity))
    return Floor(identity, views, plain, writes, sorted(policy.trusted_functions), tokens, verifier)


def _writes(
    policy: Policy, veil: Veil, identity: Identity
) -> Iterator[tuple[Relation, tuple[str, ...], tuple[str, ...]]]:
    """What the identity may write. Rows that it may not see would be readable to a writer: such tables are left out."""
    for relation in veil.visible(identity):
        kinds = [kind for kind in PRIVILEGES if policy.may_write(identity, relation.key, kind)]
        if not kinds or relation.kind not in "rp" or veil.is_filtered(identity, relation):
            continue
        protected = veil.masked_columns(identity, relation)
        readable = tuple(c.name for c in relation.columns if c.name not in protected)
        yield relation, tuple(dict.fromkeys(p for kind in kinds for p in PRIVILEGES[kind])), readable


# The SQL


def harden_sql(policy: Policy, catalog: Catalog, floors: Sequence[Floor]) -> str:
    """The script that builds the floors, whole."""
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [
        f"-- The floor of the policy {policy.digest[:12]}, as of {moment}, for the database {catalog.database}.",
        "-- Run it as the owner of the tables (or as a superuser). It may be run again.",
        "BEGIN;",
        "SET LOCAL search_path = pg_catalog;",
        "SET LOCAL check_function_bodies = on;",
    ]
    if any(found.tokens for found in floors):
        lines += ["", TOKEN_SQL.rstrip()]
    schemas = sorted({r.schema for r in catalog.user_relations() if not r.schema.startswith(PREFIX)})
    for found in floors:
        lines += ["", *_floor_lines(found, schemas, catalog)]
    return "\n".join([*lines, "", "COMMIT;", ""])


def _floor_lines(found: Floor, schemas: Sequence[str], catalog: Catalog) -> Iterator[str]:
    login = quoted(found.login)
    yield f"-- Sessions with the role{'s' * (len(found.identity.roles) > 1)} {', '.join(found.identity.roles)}."
    yield from _login_lines(found, login)
    yield "-- Nothing is left of what it may have been granted before."
    for schema in schemas:
        name = quoted(schema)
        yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {name} FROM {login};"
        yield f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {name} FROM {login};"
        yield f"REVOKE ALL ON ALL ROUTINES IN SCHEMA {name} FROM {login};"
        yield f"REVOKE ALL ON SCHEMA {name} FROM {login};"
    yield f"DROP SCHEMA IF EXISTS {login} CASCADE;"
    yield f"CREATE SCHEMA {login};"
    yield f"REVOKE ALL ON SCHEMA {login} FROM PUBLIC;"
    yield f"GRANT USAGE ON SCHEMA {login} TO {login};"
    if found.tokens:
        yield f"GRANT USAGE ON SCHEMA {TOKEN_SCHEMA} TO {login};"
        yield f"GRANT EXECUTE ON FUNCTION {TOKEN_FUNCTION}(text) TO {login};"
    for relation, view in found.views:
        yield from _view_lines(found, relation, view, only=False)
        if catalog.children.get(relation.key):
            yield from _view_lines(found, relation, view, only=True)
    yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {login} TO {login};"
    yield from _grant_lines(found, login)


def _login_lines(found: Floor, login: str) -> Iterator[str]:
    yield "DO $harden$ BEGIN"
    yield f"  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(found.login)}) THEN"
    yield f"    CREATE ROLE {login};"
    yield "  END IF;"
    yield "END $harden$;"
    password = "" if found.verifier is None else f" PASSWORD {literal(found.verifier)}"
    yield (
        f"ALTER ROLE {login} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS{password};"
    )


def _view_lines(found: Floor, relation: Relation, view: MaskedView, *, only: bool) -> Iterator[str]:
    schema, name = floor_view(found.identity.roles, relation, only=only)
    full = f"{quoted(schema)}.{quoted(name)}"
    yield f"CREATE VIEW {full} WITH (security_barrier) AS"
    yield f"  {floor_sql(view, only=only)};"
    yield f"COMMENT ON VIEW {full} IS {literal(floor_comment(view, only=only))};"


def _grant_lines(found: Floor, login: str) -> Iterator[str]:
    used = {r.schema for r, _ in found.views} | {r.schema for r in found.plain} | {r.schema for r, _, _ in found.writes}
    used |= {signature.split(".", 1)[0] for signature in found.functions} - {"pg_catalog"}
    for schema in sorted(used):
        yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {login};"
    for relation, _ in found.views:
        # It reads nothing, and without it information_schema would not show the table.
        if relation.kind in "rpvmf":
            yield f"GRANT REFERENCES ON {_full(relation)} TO {login};"
    for relation in found.plain:
        yield f"GRANT SELECT ON {_full(relation)} TO {login};"
    for relation, privileges, readable in found.writes:
        yield f"GRANT {', '.join(privileges)} ON {_full(relation)} TO {login};"
        if readable:
            columns = ", ".join(quoted(name) for name in readable)
            yield f"GRANT SELECT ({columns}) ON {_full(relation)} TO {login};"
    for schema in sorted({r.schema for r, _, _ in found.writes}):
        yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {quoted(schema)} TO {login};"
    for signature in found.functions:
        if not signature.startswith("pg_catalog."):
            schema, _, rest = signature.partition(".")
            name, _, arguments = rest.partition("(")
            yield f"GRANT EXECUTE ON FUNCTION {quoted(schema)}.{quoted(name)}({arguments} TO {login};"


def _full(relation: Relation) -> str:
    return f"{quoted(relation.schema)}.{quoted(relation.name)}"


def floor_password(variable: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The password of all logins of the floor, or None where the variable is not set."""
    return environ.get(variable) or None
