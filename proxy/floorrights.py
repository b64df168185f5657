"""What a login of the floor may do in the database beside reading and writing tables. For `flooraudit`.

Each question is a SELECT whose rows say one thing that the login may do and should not, and the SQL that ends it. The
server's own word decides, by its functions on access and by the access lists of its catalogues:
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
https://www.postgresql.org/docs/current/ddl-priv.html

It does not know policies, beyond what `Right` is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.policy.floor import TOKEN_FUNCTION

Fetch = Callable[..., Awaitable[Sequence[tuple[Any, ...]]]]
"""`Feed.fetch`: SQL and its parameters to rows."""

_LOGIN = "$1::pg_catalog.name"
_OF_LOGIN = f"x.grantee IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = {_LOGIN}))"
_GRANTEE = f"CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident({_LOGIN}::text) END"


def _through(acl: str, privilege: str) -> str:
    """PUBLIC where the access list grants it to everybody, else the login."""
    return (
        f"CASE WHEN EXISTS (SELECT FROM pg_catalog.aclexplode({acl}) AS x WHERE x.grantee = 0"
        f" AND x.privilege_type = '{privilege}') THEN 'PUBLIC' ELSE pg_catalog.quote_ident({_LOGIN}::text) END"
    )


def _added(acl: str, kind: str, catalogue: str, column: str = "0") -> str:
    """FROM items and conditions: what an object of pg_catalog is granted beyond what it was made with, as x.

    https://www.postgresql.org/docs/current/catalog-pg-init-privs.html; information_schema is not in it.

    Args:
        kind: acldefault's letter.
        catalogue: pg_class, which is c, or pg_proc, which is p.
    """
    oid, names = ("c.oid", "c.rel") if catalogue == "pg_class" else ("p.oid", "p.pro")
    return f"""
LEFT JOIN pg_catalog.pg_init_privs AS i
  ON i.objoid = {oid} AND i.classoid = 'pg_catalog.{catalogue}'::pg_catalog.regclass AND i.objsubid = {column}
CROSS JOIN LATERAL (
    SELECT grantee, privilege_type
    FROM pg_catalog.aclexplode(coalesce({acl}, pg_catalog.acldefault('{kind}', {names}owner)))
    EXCEPT SELECT grantee, privilege_type
    FROM pg_catalog.aclexplode(coalesce(i.initprivs, pg_catalog.acldefault('{kind}', {names}owner)))) AS x
WHERE {_OF_LOGIN} AND {oid} < 16384 AND {names}namespace = 'pg_catalog'::pg_catalog.regnamespace"""


@dataclass(frozen=True, slots=True)
class Right:
    """A question: rows are (what the login may do, the SQL that ends it or NULL).

    `since`: the first version of the server that knows what is asked for. `of` names what $2 is: the schemas where the
    login writes, or nothing. `unless_temp`: it is not asked where temporary tables are allowed.
    """

    sql: str
    since: int = 0
    of: str = ""
    unless_temp: bool = False


RIGHTS = (
    Right(f"""
SELECT 'can call ' || p.oid::pg_catalog.regprocedure || ', which runs with its owner''s rights (SECURITY DEFINER)',
       'REVOKE EXECUTE ON FUNCTION ' || p.oid::pg_catalog.regprocedure || ' FROM '
       || {_through("coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))", "EXECUTE")} || ';'
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prosecdef AND p.oid >= 16384 AND pg_catalog.has_function_privilege({_LOGIN}, p.oid, 'EXECUTE')
  AND pg_catalog.has_schema_privilege({_LOGIN}, n.oid, 'USAGE')
  AND n.nspname || '.' || p.proname <> '{TOKEN_FUNCTION}'
ORDER BY 1"""),
    Right(f"""
SELECT 'can create objects in the schema ' || n.nspname,
       pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM ', n.nspname)
       || {_through("coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))", "CREATE")} || ';'
FROM pg_catalog.pg_namespace AS n
WHERE pg_catalog.has_schema_privilege({_LOGIN}, n.oid, 'CREATE') AND n.nspname NOT LIKE 'pg\\_temp%' ORDER BY 1"""),
    Right(f"""
SELECT 'can create schemas in the database',
       pg_catalog.format('REVOKE CREATE ON DATABASE %I FROM ', d.datname)
       || {_through("coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))", "CREATE")} || ';'
FROM pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database() AND pg_catalog.has_database_privilege({_LOGIN}, d.oid, 'CREATE')"""),
    Right(
        f"""
SELECT 'can create temporary tables, which the policy does not allow',
       pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM ', d.datname)
       || {_through("coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))", "TEMPORARY")} || ';'
FROM pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database()
  AND pg_catalog.has_database_privilege({_LOGIN}, d.oid, 'TEMPORARY')""",
        unless_temp=True,
    ),
    Right(f"""
SELECT 'can use the foreign server ' || s.srvname,
       pg_catalog.format('REVOKE USAGE ON FOREIGN SERVER %I FROM ', s.srvname)
       || {_through("coalesce(s.srvacl, pg_catalog.acldefault('S', s.srvowner))", "USAGE")} || ';'
FROM pg_catalog.pg_foreign_server AS s
WHERE pg_catalog.has_server_privilege({_LOGIN}, s.oid, 'USAGE') ORDER BY 1"""),
    Right(f"""
SELECT 'can make servers of the foreign data wrapper ' || w.fdwname,
       pg_catalog.format('REVOKE USAGE ON FOREIGN DATA WRAPPER %I FROM ', w.fdwname)
       || {_through("coalesce(w.fdwacl, pg_catalog.acldefault('F', w.fdwowner))", "USAGE")} || ';'
FROM pg_catalog.pg_foreign_data_wrapper AS w
WHERE pg_catalog.has_foreign_data_wrapper_privilege({_LOGIN}, w.oid, 'USAGE') ORDER BY 1"""),
    Right(
        f"""
SELECT pg_catalog.format('has %s on the sequence %s.%s', p.privilege, n.nspname, c.relname),
       pg_catalog.format('REVOKE %s ON SEQUENCE %I.%I FROM ', p.privilege, n.nspname, c.relname)
       || CASE WHEN EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) AS x WHERE x.grantee = 0
                            AND x.privilege_type = p.privilege)
          THEN 'PUBLIC' ELSE pg_catalog.quote_ident({_LOGIN}::text) END || ';'
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
     pg_catalog.unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS p(privilege)
WHERE c.relkind = 'S' AND c.oid >= 16384
  -- A planner that asked of a table first would raise.
  AND CASE WHEN c.relkind = 'S' THEN pg_catalog.has_sequence_privilege({_LOGIN}, c.oid, p.privilege) END
  AND NOT (p.privilege = 'USAGE' AND n.nspname = ANY ($2::text[])) ORDER BY 1""",
        of="writing",
    ),
    Right(f"""
SELECT pg_catalog.format('has %s on %s, which the server does not grant by itself',
                         x.privilege_type, c.oid::pg_catalog.regclass),
       pg_catalog.format('REVOKE %s ON %s FROM ', x.privilege_type, c.oid::pg_catalog.regclass) || {_GRANTEE} || ';'
FROM pg_catalog.pg_class AS c {_added("c.relacl", "r", "pg_class")}
  AND c.relkind IN ('r', 'v') ORDER BY 1"""),
    Right(f"""
SELECT pg_catalog.format('has %s on the column %s of %s, which the server does not grant by itself',
                         x.privilege_type, a.attname, c.oid::pg_catalog.regclass),
       pg_catalog.format('REVOKE %s (%I) ON %s FROM ', x.privilege_type, a.attname, c.oid::pg_catalog.regclass)
       || {_GRANTEE} || ';'
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
{_added("a.attacl", "c", "pg_class", "a.attnum")} AND a.attacl IS NOT NULL ORDER BY 1"""),
    Right(f"""
SELECT 'can call ' || p.oid::pg_catalog.regprocedure || ', which the server does not grant by itself',
       'REVOKE EXECUTE ON FUNCTION ' || p.oid::pg_catalog.regprocedure || ' FROM ' || {_GRANTEE} || ';'
FROM pg_catalog.pg_proc AS p {_added("p.proacl", "f", "pg_proc")} ORDER BY 1"""),
    Right(f"""
SELECT pg_catalog.format('has %s on the large object %s', x.privilege_type, m.oid),
       pg_catalog.format('REVOKE %s ON LARGE OBJECT %s FROM ', x.privilege_type, m.oid) || {_GRANTEE} || ';'
FROM pg_catalog.pg_largeobject_metadata AS m, pg_catalog.aclexplode(m.lomacl) AS x WHERE {_OF_LOGIN} ORDER BY 1"""),
    Right(f"""
SELECT 'can read every large object: lo_compat_privileges is on', NULL
WHERE pg_catalog.current_setting('lo_compat_privileges') = 'on' AND {_LOGIN} IS NOT NULL"""),
    Right(
        f"""
SELECT pg_catalog.format('has %s on the parameter %s', x.privilege_type, m.parname),
       pg_catalog.format('REVOKE %s ON PARAMETER %s FROM ', x.privilege_type, m.parname) || {_GRANTEE} || ';'
FROM pg_catalog.pg_parameter_acl AS m, pg_catalog.aclexplode(m.paracl) AS x WHERE {_OF_LOGIN} ORDER BY 1""",
        since=150000,
    ),
    Right(f"""
SELECT pg_catalog.format('will have %s on %s that %s creates%s', x.privilege_type, k.kind, r.rolname,
                         ' in the schema ' || n.nspname),
       pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON %s FROM ', r.rolname,
                         pg_catalog.format(CASE WHEN n.oid IS NULL THEN '' ELSE ' IN SCHEMA %I' END, n.nspname),
                         x.privilege_type, k.kind) || {_GRANTEE} || ';'
FROM pg_catalog.pg_default_acl AS d JOIN pg_catalog.pg_roles AS r ON r.oid = d.defaclrole
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace,
LATERAL (SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END) AS k(kind),
pg_catalog.aclexplode(d.defaclacl) AS x
-- Functions and types are everybody's unless somebody says otherwise.
WHERE {_OF_LOGIN} AND NOT (x.grantee = 0 AND d.defaclobjtype IN ('f', 'T')) ORDER BY 1"""),
    Right(f"""
SELECT 'owns ' || coalesce(CASE WHEN s.dbid IN (0, d.oid) THEN
                               pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid) END,
                           'something in another database'),
       CASE WHEN s.dbid IN (0, d.oid) THEN pg_catalog.format('REASSIGN OWNED BY %I TO CURRENT_USER;', {_LOGIN}) END
FROM pg_catalog.pg_shdepend AS s JOIN pg_catalog.pg_roles AS r ON r.oid = s.refobjid,
     pg_catalog.pg_database AS d
WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.deptype = 'o' AND r.rolname = {_LOGIN}
  AND d.datname = pg_catalog.current_database() ORDER BY 1"""),
)


async def rights_of(
    fetch: Fetch, login: str, *, version: int, writing: Sequence[str], temp: bool
) -> AsyncIterator[tuple[str, str | None]]:
    """What the login may do and should not, each with the SQL that ends it.

    Args:
        version: of the server, as server_version_num.
        writing: the schemas where it writes, whose sequences it may use.
        temp: temporary tables are allowed.
    """
    for right in RIGHTS:
        if version < right.since or (right.unless_temp and temp):
            continue
        arguments = (list(writing),) if right.of == "writing" else ()
        for text, cure in await fetch(right.sql, login, *arguments):
            yield text, cure
