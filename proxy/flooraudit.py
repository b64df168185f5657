"""`pgveil harden --audit`: what in the database still undermines the floor.

Each finding is one sentence and, where there is one, the statement that mends it. What is asked is the server's own
word on privileges (has_table_privilege and its kin), so memberships and rights of PUBLIC are in it:
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS

The login, its views and what it may do to tables are asked here; the rest is `floorrights`'. It does not know what a
function does: one that runs with its owner's rights is named, whatever it does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.floorrights import Fetch, rights_of
from proxy.floorsql import Floor, Writing, view_names
from proxy.policy.catalog import Catalog, Name, Relation
from proxy.policy.floor import AGAIN, fault_of, floor_comment
from proxy.policy.maskedview import quoted

_MAINTAIN = 170000
"""The first version of the server that has this right."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and the SQL that mends it, or None where a person has to decide."""

    login: str
    text: str
    cure: str | None = None

    def __str__(self) -> str:
        return f"{self.login}: {self.text}" + (f"\n    {self.cure}" if self.cure else "")


_LOGIN = """
SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
       ARRAY(SELECT r.rolname::text FROM pg_catalog.pg_auth_members AS m
             JOIN pg_catalog.pg_roles AS r ON r.oid = m.roleid WHERE m.member = u.oid ORDER BY 1)
FROM pg_catalog.pg_roles AS u WHERE rolname = $1
"""
_ATTRIBUTES = ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION")

_TABLES = """
SELECT c.relname::text, n.nspname::text, c.relkind::text,
       ARRAY(SELECT p FROM pg_catalog.unnest($2::text[]) AS p
             WHERE pg_catalog.has_table_privilege($1, c.oid, p) ORDER BY p),
       ARRAY(SELECT a.attname || ' ' || p
             FROM pg_catalog.pg_attribute AS a, pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS p
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND pg_catalog.has_column_privilege($1, c.oid, a.attnum, p)
               AND NOT pg_catalog.has_table_privilege($1, c.oid, p) ORDER BY a.attnum),
       ARRAY(SELECT x.privilege_type FROM pg_catalog.aclexplode(c.relacl) AS x WHERE x.grantee = 0
             UNION SELECT x.privilege_type FROM pg_catalog.pg_attribute AS a, pg_catalog.aclexplode(a.attacl) AS x
                   WHERE a.attrelid = c.oid AND x.grantee = 0)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid >= 16384
  AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
  AND (EXISTS (SELECT FROM pg_catalog.unnest($2::text[]) AS p WHERE pg_catalog.has_table_privilege($1, c.oid, p))
       OR pg_catalog.has_any_column_privilege($1, c.oid, 'SELECT, INSERT, UPDATE'))
ORDER BY 2, 1
"""


@dataclass(frozen=True, slots=True)
class _Table:
    """What the login may do to a table, whole and by column ("name PRIVILEGE"), and what of it everybody may."""

    name: str
    schema: str
    kind: str
    rights: Collection[str]
    columns: Collection[str]
    public: Collection[str]

    @property
    def key(self) -> Name:
        return self.schema, self.name

    @property
    def full(self) -> str:
        return f"{self.schema}.{self.name}"

    def by_column(self, privilege: str) -> set[str]:
        return {name for name, _, p in (text.rpartition(" ") for text in self.columns) if p == privilege}


async def audit_floor(fetch: Fetch, catalog: Catalog, floor: Floor) -> list[Finding]:
    """Everything that was found for one floor; empty where it holds."""
    login = await fetch(_LOGIN, floor.login)
    if not login:
        return [Finding(floor.login, "the login does not exist", "run what `pgveil harden` prints")]
    return [
        *_of_login(floor, login[0]),
        *_of_views(catalog, floor),
        *[finding async for finding in _of_tables(fetch, catalog, floor)],
        *[finding async for finding in _of_the_rest(fetch, catalog, floor)],
    ]


def _of_login(floor: Floor, row: Sequence[Any]) -> Iterator[Finding]:
    name = quoted(floor.login)
    for attribute, has in zip(_ATTRIBUTES, row, strict=False):
        if has:
            yield Finding(floor.login, f"the login has {attribute}", f"ALTER ROLE {name} NO{attribute};")
    for role in row[len(_ATTRIBUTES)]:
        yield Finding(floor.login, f"the login is a member of {role}", f"REVOKE {quoted(role)} FROM {name};")


def _of_views(catalog: Catalog, floor: Floor) -> Iterator[Finding]:
    for relation, view, only, name in view_names(catalog, floor):
        fault = fault_of(catalog, name, relation, floor_comment(view, only=only))
        if fault is not None:
            yield Finding(floor.login, f"the floor {fault} {relation.qualified}", AGAIN)
    for relation in floor.left_out:
        text = f"{relation.qualified} has row security, or reads what has: it has no view, and is refused"
        yield Finding(floor.login, text)
    for about in floor.read_around:
        text = f"a condition or lookup reads {about} with its owner's rights, for whom its row security does not hold"
        yield Finding(floor.login, text)


async def _of_tables(fetch: Fetch, catalog: Catalog, floor: Floor) -> AsyncIterator[Finding]:
    """What the login can do to tables and views beside what `harden` grants."""
    rights = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER"]
    rights += ["MAINTAIN"] if catalog.server_version >= _MAINTAIN else []
    readable = {r.key for r in floor.plain} | {name for *_, name in view_names(catalog, floor)}
    writes = {writing.relation.key: writing for writing in floor.writes}
    protected = {relation.key for relation, _ in floor.views} | {relation.key for relation in floor.left_out}
    for row in await fetch(_TABLES, floor.login, rights):
        table = _Table(*row)
        writing = writes.get(table.key)
        if table.key not in readable and _reads_more(table, writing):
            what = _described(catalog.relations.get(table.key), table, is_protected=table.key in protected)
            yield _table_finding(floor, table, f"can read {what}", ["SELECT"])
        more = _writes_more(table, writing)
        if more:
            how = ", as the view's owner may" if table.kind == "v" else ""
            yield _table_finding(floor, table, f"has {', '.join(more)} on {table.full}{how}", more)


def _reads_more(table: _Table, writing: Writing | None) -> bool:
    if "SELECT" in table.rights:
        return True
    return bool(table.by_column("SELECT") - set(writing.reads if writing else ()))


def _writes_more(table: _Table, writing: Writing | None) -> list[str]:
    """The rights that change something and that nothing in the policy asks for."""
    granted = set(writing.privileges if writing else ())
    found = [right for right in table.rights if right != "SELECT" and right not in granted]
    if table.by_column("UPDATE") - set(writing.updates if writing else ()):
        found.append("UPDATE")
    if table.by_column("INSERT") and "INSERT" not in granted:
        found.append("INSERT")
    return found


def _table_finding(floor: Floor, table: _Table, text: str, rights: Sequence[str]) -> Finding:
    by_all = any(right in table.public for right in rights)
    grantee = "PUBLIC" if by_all else quoted(floor.login)
    cure = f"REVOKE {', '.join(rights)} ON {quoted(table.schema)}.{quoted(table.name)} FROM {grantee};"
    return Finding(floor.login, f"the login {text}{' through PUBLIC' if by_all else ''}", cure)


def _described(relation: Relation | None, table: _Table, *, is_protected: bool) -> str:
    if is_protected:
        return f"{table.full}, which a rule protects"
    if table.kind in "vm" and relation is not None:
        below = ", ".join(sorted({f"{s}.{t}" for (s, t), _ in relation.depends if (s, t) != relation.key}))
        return f"the view {table.full}" + (f", which reads {below} with its owner's rights" if below else "")
    return f"{table.full}, which the policy does not let it read"


async def _of_the_rest(fetch: Fetch, catalog: Catalog, floor: Floor) -> AsyncIterator[Finding]:
    writing = sorted({found.relation.schema for found in floor.writes})
    rights = rights_of(fetch, floor.login, version=catalog.server_version, writing=writing, temp=floor.temp)
    async for text, cure in rights:
        yield Finding(floor.login, f"the login {text}", cure)
