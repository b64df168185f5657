"""`pgveil harden --audit`: what in the database still undermines the floor.

Each finding is one sentence and, where there is one, the statement that mends it. What is asked is the server's own
word on privileges (has_table_privilege and its kin), so memberships and rights of PUBLIC are in it:
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS

It does not know what a function does: one that runs with its owner's rights is named, whatever it does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.floorsql import Floor
from proxy.policy.catalog import Catalog, Relation
from proxy.policy.floor import TOKEN_FUNCTION, floor_comment, floor_view
from proxy.policy.maskedview import quoted

Fetch = Callable[..., Awaitable[Sequence[tuple[Any, ...]]]]
"""`Feed.fetch`: SQL and its parameters to rows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and the SQL that mends it, or None where a person has to decide."""

    login: str
    text: str
    cure: str | None = None

    def __str__(self) -> str:
        return f"{self.login}: {self.text}" + (f"\n    {self.cure}" if self.cure else "")


_LOGIN = """
SELECT rolsuper, rolbypassrls, rolcreaterole, rolreplication,
       ARRAY(SELECT r.rolname::text FROM pg_catalog.pg_auth_members AS m
             JOIN pg_catalog.pg_roles AS r ON r.oid = m.roleid WHERE m.member = u.oid ORDER BY 1)
FROM pg_catalog.pg_roles AS u WHERE rolname = $1
"""

_READS = """
SELECT c.relname::text, n.nspname::text, c.relkind::text,
       pg_catalog.has_table_privilege($1, c.oid, 'SELECT'),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND pg_catalog.has_column_privilege($1, c.oid, a.attnum, 'SELECT') ORDER BY a.attnum),
       EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) AS x WHERE x.grantee = 0)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid >= 16384
  AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
  AND (pg_catalog.has_table_privilege($1, c.oid, 'SELECT')
       OR pg_catalog.has_any_column_privilege($1, c.oid, 'SELECT'))
ORDER BY 2, 1
"""

_DEFINERS = """
SELECT p.oid::pg_catalog.regprocedure::text, n.nspname || '.' || p.proname
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prosecdef AND p.oid >= 16384 AND pg_catalog.has_function_privilege($1, p.oid, 'EXECUTE')
  AND pg_catalog.has_schema_privilege($1, n.oid, 'USAGE')
ORDER BY 1
"""

_CREATES = """
SELECT nspname::text FROM pg_catalog.pg_namespace
WHERE pg_catalog.has_schema_privilege($1, oid, 'CREATE') AND nspname NOT LIKE 'pg\\_temp%' ORDER BY 1
"""

_SERVERS = """
SELECT srvname::text FROM pg_catalog.pg_foreign_server
WHERE pg_catalog.has_server_privilege($1, oid, 'USAGE') ORDER BY 1
"""


async def audit_floor(fetch: Fetch, catalog: Catalog, floor: Floor) -> list[Finding]:
    """Everything that was found for one floor; empty where it holds."""
    login = await fetch(_LOGIN, floor.login)
    if not login:
        return [Finding(floor.login, "the login does not exist", "run what `pgveil harden` prints")]
    return [
        *_of_login(floor, login[0]),
        *_of_views(catalog, floor),
        *[finding async for finding in _of_reads(fetch, catalog, floor)],
        *[finding async for finding in _of_the_rest(fetch, floor)],
    ]


def _of_login(floor: Floor, row: Sequence[Any]) -> list[Finding]:
    attributes = ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "REPLICATION")
    name = quoted(floor.login)
    found = [
        Finding(floor.login, f"the login has {attribute}", f"ALTER ROLE {name} NO{attribute};")
        for attribute, has in zip(attributes, row, strict=False)
        if has
    ]
    for role in row[4]:
        text = f"the login is a member of {role}"
        found.append(Finding(floor.login, text, f"REVOKE {quoted(role)} FROM {name};"))
    return found


def _of_views(catalog: Catalog, floor: Floor) -> list[Finding]:
    found = []
    for relation, view in floor.views:
        for only in (False, True) if catalog.children.get(relation.key) else (False,):
            made = catalog.relations.get(floor_view(floor.identity.roles, relation, only=only))
            if made is None:
                found.append(Finding(floor.login, f"there is no view for {relation.qualified}", _AGAIN))
            elif made.comment != floor_comment(view, only=only):
                found.append(Finding(floor.login, f"the view for {relation.qualified} is out of date", _AGAIN))
            elif not made.security_barrier:
                found.append(Finding(floor.login, f"the view for {relation.qualified} is no security barrier", _AGAIN))
    return found


_AGAIN = "run what `pgveil harden` prints"


async def _of_reads(fetch: Fetch, catalog: Catalog, floor: Floor) -> AsyncIterator[Finding]:
    """What the login can read beside its views and the plain relations."""
    allowed = {relation.key for relation in floor.plain}
    writable = {relation.key: set(readable) for relation, _, readable in floor.writes}
    protected = {relation.key: relation for relation, _ in floor.views}
    for name, schema, kind, whole, columns, public in await fetch(_READS, floor.login):
        key = (schema, name)
        if schema == floor.login or key in allowed:
            continue
        if not whole and key in writable and set(columns) <= writable[key]:
            continue
        what = _described(catalog.relations.get(key), schema, name, kind, is_protected=key in protected)
        by = " through PUBLIC" if public else ""
        grantee = "PUBLIC" if public else quoted(floor.login)
        cure = f"REVOKE ALL ON {quoted(schema)}.{quoted(name)} FROM {grantee};"
        yield Finding(floor.login, f"the login can read {what}{by}", cure)


def _described(relation: Relation | None, schema: str, name: str, kind: str, *, is_protected: bool) -> str:
    full = f"{schema}.{name}"
    if is_protected:
        return f"{full}, which a rule protects"
    if kind in "vm" and relation is not None:
        below = ", ".join(sorted({f"{s}.{t}" for (s, t), _ in relation.depends if (s, t) != relation.key}))
        return f"the view {full}" + (f", which reads {below} with its owner's rights" if below else "")
    return f"{full}, which the policy does not let it read"


async def _of_the_rest(fetch: Fetch, floor: Floor) -> AsyncIterator[Finding]:
    for function, name in await fetch(_DEFINERS, floor.login):
        if name != TOKEN_FUNCTION:
            text = f"the login can call {function}, which runs with its owner's rights (SECURITY DEFINER)"
            yield Finding(floor.login, text, f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC;")
    for (schema,) in await fetch(_CREATES, floor.login):
        text = f"the login can create objects in the schema {schema}"
        yield Finding(floor.login, text, f"REVOKE CREATE ON SCHEMA {quoted(schema)} FROM PUBLIC;")
    for (server,) in await fetch(_SERVERS, floor.login):
        text = f"the login can use the foreign server {server}"
        yield Finding(floor.login, text, f"REVOKE USAGE ON FOREIGN SERVER {quoted(server)} FROM PUBLIC;")
