"""The SQL that builds the floor, for `pgveil harden`.

Per set of masked roles the floor is a login and a schema. The login may read the schema's masked views, and the tables
that no rule touches; of what is protected it may read nothing. The SQL is printed, not run: a DBA reads it and runs it
as the owner of the tables, who becomes the views' owner (a view reads with its owner's rights:
https://www.postgresql.org/docs/current/rules-privileges.html). It is one transaction, and running it again makes the
same floor.

What is printed is read by people: names of others stand in it quoted, and in its comments on one line.

It does not know users: which roles occur together is told by the users that the policy names, and by `--roles`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from proxy.errors import ConfigError
from proxy.policy.catalog import Catalog, Relation
from proxy.policy.catalog_read import PINNED
from proxy.policy.decide import Veil
from proxy.policy.floor import (
    DIGITS,
    PREFIX,
    TOKEN_FUNCTION,
    TOKEN_SCHEMA,
    floor_comment,
    floor_login,
    floor_sql,
    floor_view,
)
from proxy.policy.maskedview import MaskedView, quoted
from proxy.policy.masks import literal
from proxy.policy.model import Policy
from proxy.policy.patterns import is_glob
from proxy.policy.planning import rewrite_view
from proxy.policy.refused import Refused
from proxy.policy.relations import MaskedRelations
from proxy.policy.rules import Identity, Predicates, StatementKind
from proxy.policy.steering import changes, deciding_columns, is_read_by_policy, read_by_policy
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
class Writing:
    """What a login may write to a table: rights on all of it, columns to UPDATE, and columns that a writer may read."""

    relation: Relation
    privileges: tuple[str, ...]
    updates: tuple[str, ...]
    reads: tuple[str, ...]


@dataclass(frozen=True)
class Floor:
    """What the floor of one set of roles consists of."""

    identity: Identity
    views: Sequence[tuple[Relation, MaskedView]]
    plain: Sequence[Relation]
    """Relations that no rule touches: readable as they are."""
    writes: Sequence[Writing]
    functions: Sequence[str]
    tokens: bool = False
    temp: bool = False
    """Temporary tables are allowed."""
    left_out: Sequence[Relation] = ()
    """Protected relations that have no view, since it would not keep PostgreSQL's own row security."""
    read_around: Sequence[str] = ()
    """What conditions and lookups read with the owner's rights, though it has row security."""
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
    if floor_login(roles) == TOKEN_SCHEMA:
        raise ConfigError(f"the role {roles[0]} can have no floor: {TOKEN_SCHEMA} is the schema of the tokens' key")
    veil = Veil(policy, catalog, on_floor=True)
    relations = MaskedRelations(policy, catalog, identity, rewrite_view, on_floor=True)
    replaced = list(veil.floor_views(identity))
    keys = {relation.key for relation, _ in replaced}
    return Floor(
        identity=identity,
        views=[(r, view) for r, view in replaced if r.key not in catalog.row_secured],
        plain=[r for r in veil.visible(identity) if r.key not in keys],
        writes=list(_writes(policy, veil, identity, relations)),
        functions=sorted(policy.trusted_functions),
        tokens=any(rule.predicates == Predicates.TOKEN for rule in policy.masks),
        temp=StatementKind.TEMP in policy.statements,
        left_out=[r for r, _ in replaced if r.key in catalog.row_secured],
        read_around=[".".join(name) for name in sorted(read_by_policy(relations) & catalog.row_secured)],
        verifier=None if password is None else make_verifier(password),
    )


def _writes(policy: Policy, veil: Veil, identity: Identity, relations: MaskedRelations) -> Iterator[Writing]:
    """What the identity may write. Left out are tables with rows that it may not see, which a writer could read, and
    what decides on what it sees: such a table as a whole, such a column from UPDATE. The veil refuses these as well."""
    for relation in veil.visible(identity):
        kinds = [kind for kind in PRIVILEGES if policy.may_write(identity, relation.key, kind)]
        hidden = veil.is_filtered(identity, relation) or relation.key in veil.catalog.row_secured
        if not kinds or relation.kind not in "rp" or hidden or is_read_by_policy(relation, relations):
            continue
        protected = veil.masked_columns(identity, relation)
        granted = dict.fromkeys(p for kind in kinds for p in PRIVILEGES[kind])
        yield Writing(
            relation,
            tuple(p for p in granted if p != "UPDATE"),
            _settable(relation, relations) if "UPDATE" in granted else (),
            tuple(c.name for c in relation.columns if c.name not in protected),
        )


def _settable(relation: Relation, relations: MaskedRelations) -> tuple[str, ...]:
    """The columns that decide nothing, themselves or through what is generated from them."""
    try:
        deciding = deciding_columns(relation, relations)
    except Refused:
        return ()
    names = (column.name for column in relation.columns if column.generated is None)
    return tuple(n for n in names if not deciding & changes(relation, frozenset({n}), relations))


# The SQL


def harden_sql(policy: Policy, catalog: Catalog, floors: Sequence[Floor], service: str | None = None) -> str:
    """The script that builds the floors, whole.

    Args:
        service: the account of `upstream.dsn`, which is to price statements over the views.

    Raises ConfigError where two floors, or two views of one, would have the same name.
    """
    _require_distinct(catalog, floors)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    database = _on_one_line(catalog.database)
    lines = [
        f"-- The floor of the policy {policy.digest[:12]}, as of {moment}, for the database {database}.",
        "-- Run it as the owner of the tables (or as a superuser). It may be run again.",
        "BEGIN;",
        # As the catalogue is read: the server's words on each view are compared.
        *(f"SET LOCAL {name} = {literal(value)};" for name, value in PINNED.items()),
        "SET LOCAL client_encoding = 'UTF8';",
        "SET LOCAL check_function_bodies = on;",
    ]
    if any(found.tokens for found in floors):
        lines += ["", TOKEN_SQL.rstrip()]
    schemas = sorted({r.schema for r in catalog.user_relations() if not r.schema.startswith(PREFIX)})
    for found in floors:
        lines += ["", *_floor_lines(found, schemas, catalog, service)]
    lines += ["", *_digest_lines(floors)]
    return "\n".join([*lines, "", "COMMIT;", ""])


def view_names(catalog: Catalog, floor: Floor) -> Iterator[tuple[Relation, MaskedView, bool, tuple[str, str]]]:
    """Each view of a floor: of what, its text, whether without the rows of children, and its name."""
    for relation, view in floor.views:
        for only in (False, True) if catalog.children.get(relation.key) else (False,):
            yield relation, view, only, floor_view(floor.identity.roles, relation, only=only)


def _require_distinct(catalog: Catalog, floors: Sequence[Floor]) -> None:
    names = [floor.login for floor in floors]
    names += [".".join(name) for floor in floors for *_, name in view_names(catalog, floor)]
    again = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    if again:
        raise ConfigError(f"two things of the floor would be called {_on_one_line(min(again))}")


def _floor_lines(found: Floor, schemas: Sequence[str], catalog: Catalog, service: str | None) -> Iterator[str]:
    login = quoted(found.login)
    roles = ", ".join(map(_on_one_line, found.identity.roles))
    yield f"-- Sessions with the role{'s' * (len(found.identity.roles) > 1)} {roles}."
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
    for relation in found.left_out:
        yield f"-- No view of {_on_one_line(relation.qualified)}: row security does not hold for a view's owner."
    for _, view, only, of_view in view_names(catalog, found):
        yield from _view_lines(view, of_view, only=only)
    for reader in dict.fromkeys((login, *([quoted(service)] if service is not None else ()))):
        yield f"GRANT USAGE ON SCHEMA {login} TO {reader};"
        yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {login} TO {reader};"
        if found.tokens:
            yield f"GRANT USAGE ON SCHEMA {TOKEN_SCHEMA} TO {reader};"
            yield f"GRANT EXECUTE ON FUNCTION {TOKEN_FUNCTION}(text) TO {reader};"
    yield from _grant_lines(found, login)
    if found.temp:
        yield f"GRANT TEMPORARY ON DATABASE {quoted(catalog.database)} TO {login};"


def _login_lines(found: Floor, login: str) -> Iterator[str]:
    yield from _block(
        "BEGIN",
        f"  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(found.login)}) THEN",
        # What else a role may have, it does not have by default; to take it away again is for superusers.
        f"    CREATE ROLE {login};",
        "  END IF;",
        "END",
    )
    password = "" if found.verifier is None else f" PASSWORD {literal(found.verifier)}"
    yield f"ALTER ROLE {login} LOGIN NOINHERIT{password};"


def _view_lines(view: MaskedView, name: tuple[str, str], *, only: bool) -> Iterator[str]:
    full = f"{quoted(name[0])}.{quoted(name[1])}"
    yield f"CREATE VIEW {full} WITH (security_barrier) AS"
    yield f"  {floor_sql(view, only=only)};"
    yield f"COMMENT ON VIEW {full} IS {literal(floor_comment(view, only=only))};"


def _digest_lines(floors: Sequence[Floor]) -> Iterator[str]:
    """To each view's comment, a digest of what the server says that it is."""
    yield "-- What the views are now: another table under its name, or another view, is noticed."
    names = ", ".join(literal(floor.login) for floor in floors)
    yield from _block(
        "DECLARE made record;",
        "BEGIN",
        "  FOR made IN",
        "    SELECT n.nspname, c.relname, pg_catalog.obj_description(c.oid, 'pg_class') AS said, pg_catalog.left(",
        "      pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.pg_get_viewdef(c.oid), 'UTF8')),",
        f"        'hex'), {DIGITS}) AS digest",
        "    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace",
        f"    WHERE c.relkind = 'v' AND n.nspname IN ({names})",
        "  LOOP",
        "    EXECUTE pg_catalog.format('COMMENT ON VIEW %I.%I IS %L', made.nspname, made.relname,",
        "      made.said || ' ' || made.digest);",
        "  END LOOP;",
        "END",
    )


def _block(*lines: str) -> Iterator[str]:
    """A DO block, between dollar signs that its text does not have."""
    tag = "$harden$"
    while tag in "\n".join(lines):
        tag = f"{tag[:-1]}_$"
    yield f"DO {tag}"
    yield from lines
    yield f"{tag};"


def _on_one_line(text: str) -> str:
    """For a comment: a line end in a name would end it. What does not print stands there as its number."""
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text)


def _grant_lines(found: Floor, login: str) -> Iterator[str]:
    used = (
        {r.schema for r, _ in found.views} | {r.schema for r in found.plain} | {w.relation.schema for w in found.writes}
    )
    used |= {signature.split(".", 1)[0] for signature in found.functions} - {"pg_catalog"}
    for schema in sorted(used):
        yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {login};"
    for relation, _ in found.views:
        # It reads nothing, and without it information_schema would not show the table.
        if relation.kind in "rpvmf":
            yield f"GRANT REFERENCES ON {_full(relation)} TO {login};"
    for relation in found.plain:
        yield f"GRANT SELECT ON {_full(relation)} TO {login};"
    for writing in found.writes:
        yield from _write_lines(writing, login)
    for schema in sorted({w.relation.schema for w in found.writes}):
        yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {quoted(schema)} TO {login};"
    for signature in found.functions:
        if not signature.startswith("pg_catalog."):
            schema, _, rest = signature.partition(".")
            name, _, arguments = rest.partition("(")
            yield f"GRANT EXECUTE ON FUNCTION {quoted(schema)}.{quoted(name)}({arguments} TO {login};"


def _write_lines(writing: Writing, login: str) -> Iterator[str]:
    full = _full(writing.relation)
    if writing.privileges:
        yield f"GRANT {', '.join(writing.privileges)} ON {full} TO {login};"
    for privilege, columns in (("UPDATE", writing.updates), ("SELECT", writing.reads)):
        if columns:
            yield f"GRANT {privilege} ({', '.join(map(quoted, columns))}) ON {full} TO {login};"


def _full(relation: Relation) -> str:
    return f"{quoted(relation.schema)}.{quoted(relation.name)}"


def floor_password(variable: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The password of all logins of the floor, or None where the variable is not set."""
    return environ.get(variable) or None
