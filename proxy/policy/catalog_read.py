"""The queries that read a catalogue, and the snapshot that their rows make. Text and pure functions: `feed` runs them.

Each query works on PostgreSQL 14 to 18 and expects search_path to be pg_catalog alone, so that every name in a type or
a view's definition outside pg_catalog comes qualified.

https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.policy import parser
from proxy.policy.catalog import (
    Catalog,
    Column,
    ForeignKey,
    Name,
    Relation,
    UserCast,
    UserFunction,
    UserOperator,
    UserType,
)
from proxy.policy.catalog_constraints import QUERY as CONSTRAINTS
from proxy.policy.catalog_constraints import constraints_by_relation
from proxy.policy.catalog_leakproof import QUERIES as LEAKPROOF
from proxy.policy.catalog_leakproof import leakproof_of
from proxy.policy.functions import may_call

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]


_WATCHED = """
pg_amproc pg_attribute pg_cast pg_class pg_constraint pg_description pg_enum pg_index pg_inherits pg_namespace
pg_opclass pg_operator pg_proc pg_rewrite pg_trigger pg_type
"""

DIGEST = "SELECT pg_catalog.concat_ws('/', {}) AS digest".format(
    ", ".join(
        f"(SELECT pg_catalog.concat(count(*), ':', sum(xmin::text::bigint)) FROM pg_catalog.{table})"
        for table in _WATCHED.split()
    )
)
"""One short text that changes with any DDL: who wrote each row, added up."""

PINNED: Mapping[str, str] = {
    "search_path": "pg_catalog",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
}
"""The settings that the text of a definition depends on: which names are qualified, and how constants are written.

What reads the catalogue sets them for its transaction, and so does what keeps a digest of a definition.
"""
PIN = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in PINNED.items())

QUERIES: Mapping[str, str] = {
    "server": """
        SELECT pg_catalog.current_setting('server_version_num')::int AS version,
               pg_catalog.current_database()::text AS database, session_user::text AS username
    """,
    "relations": """
        SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
               CASE WHEN c.relkind IN ('v', 'm') AND c.oid >= 16384
                    THEN pg_catalog.pg_get_viewdef(c.oid) END AS definition,
               pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
               greatest(c.reltuples, 0)::bigint AS estimated_rows,
               pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                   AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,
               coalesce('security_barrier=true' = ANY (c.reloptions)
                        OR 'security_barrier=on' = ANY (c.reloptions)
                        OR 'security_barrier=1' = ANY (c.reloptions), false) AS security_barrier,
               EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite AS r
                       WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN') AS has_rules,
               EXISTS (SELECT 1 FROM pg_catalog.pg_trigger AS g
                       WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 7 = 7) AS changes_inserts,
               c.relrowsecurity AS row_security
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND n.nspname NOT LIKE 'pg\\_temp%' AND n.nspname NOT LIKE 'pg\\_toast%'
    """,
    "columns": """
        SELECT a.attrelid::bigint AS relation, a.attname::text AS name, a.attnum::int AS attnum,
               pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name, a.atttypid::bigint AS type_oid,
               a.attnotnull AS not_null, d.description AS comment,
               CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(f.adbin, f.adrelid) END AS generated,
               a.attcollation IN (0, 100, 950) AS plain_collation
        FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
        LEFT JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
        LEFT JOIN pg_catalog.pg_description AS d
          ON d.objoid = a.attrelid AND d.objsubid = a.attnum AND d.classoid = 'pg_catalog.pg_class'::regclass
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        ORDER BY a.attrelid, a.attnum
    """,
    "parents": """
        SELECT i.inhrelid::bigint AS child, i.inhparent::bigint AS parent
        FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
        WHERE c.relkind IN ('r', 'p', 'f') ORDER BY i.inhrelid, i.inhseqno
    """,
    "depends": """
        SELECT DISTINCT r.ev_class::bigint AS view, d.refobjid::bigint AS relation, a.attname::text AS column_name
        FROM pg_catalog.pg_depend AS d
        JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid
        LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
          AND d.deptype = 'n' AND r.ev_class <> d.refobjid AND r.ev_class >= 16384
    """,
    "keys": """
        SELECT k.conname::text AS name, k.contype::text AS kind, k.conrelid::bigint AS relation,
               k.confrelid::bigint AS referenced, k.confdeltype::text AS on_delete, k.confupdtype::text AS on_update,
               ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(num, at)
                     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num
                     ORDER BY u.at) AS columns,
               ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(num, at)
                     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.num
                     ORDER BY u.at) AS referenced_columns
        FROM pg_catalog.pg_constraint AS k
        WHERE k.contype IN ('p', 'f') AND k.conrelid >= 16384 AND k.conparentid = 0
        ORDER BY k.conrelid, k.conname
    """,
    "constraints": CONSTRAINTS,
    "functions": """
        SELECT n.nspname::text AS schema, p.proname::text AS name, l.lanname::text AS language,
               ARRAY(SELECT pg_catalog.format_type(u.oid, NULL)
                     FROM pg_catalog.unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(oid, at)
                     ORDER BY u.at) AS arguments,
               p.pronargs - p.pronargdefaults <= 1 AND p.pronargs >= 1 AND EXISTS (
                   SELECT 1 FROM pg_catalog.pg_type AS t WHERE t.oid IN (p.proargtypes[0], p.provariadic)
                     AND (t.typtype = 'c' OR t.typtype = 'p')) AS takes_row,
               p.provariadic = 0 AND l.lanname IN ('c', 'internal') AND EXISTS (
                   SELECT 1 FROM pg_catalog.pg_depend AS d
                   WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
               AND EXISTS (
                   SELECT 1 FROM pg_catalog.unnest(p.proargtypes::oid[] || p.prorettype) AS u(oid)
                   WHERE u.oid >= 16384) AS harmless
        FROM pg_catalog.pg_proc AS p
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE n.nspname <> 'pg_catalog' OR p.oid >= 16384
    """,
    "operators": """
        SELECT n.nspname::text AS schema, o.oprname::text AS name,
               f.nspname::text || '.' || p.proname || '(' || pg_catalog.array_to_string(ARRAY(
                   SELECT pg_catalog.format_type(u.oid, NULL)
                   FROM pg_catalog.unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(oid, at)
                   ORDER BY u.at), ', ') || ')' AS function,
               l.lanname IN ('c', 'internal') AND greatest(o.oprleft, o.oprright) >= 16384 AND EXISTS (
                   SELECT 1 FROM pg_catalog.pg_depend AS d
                   WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
               ) AS harmless
        FROM pg_catalog.pg_operator AS o
        JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
        JOIN pg_catalog.pg_proc AS p ON p.oid = o.oprcode
        JOIN pg_catalog.pg_namespace AS f ON f.oid = p.pronamespace
        JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE o.oid >= 16384
    """,
    "types": """
        SELECT n.nspname::text AS schema, t.typname::text AS name, t.typtype::text AS kind,
               t.oid::bigint AS oid, t.typarray::bigint AS array_oid,
               t.typbasetype::bigint AS base, t.typelem::bigint AS element,
               pg_catalog.format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_name,
               ARRAY(SELECT a.atttypid::bigint FROM pg_catalog.pg_attribute AS a
                     WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS parts,
               ARRAY(SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint AS k
                     WHERE k.contypid = t.oid AND k.contype = 'c') AS checks,
               CASE t.typtype
                   WHEN 'e' THEN true
                   WHEN 'c' THEN true
                   WHEN 'd' THEN true
                   WHEN 'b' THEN t.typelem <> 0 AND t.typarray = 0 OR EXISTS (
                       SELECT 1 FROM pg_catalog.pg_depend AS d
                       JOIN pg_catalog.pg_proc AS p ON p.oid = t.typinput
                       JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang AND l.lanname IN ('c', 'internal')
                       WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
                   ELSE EXISTS (
                       SELECT 1 FROM pg_catalog.pg_range AS r
                       WHERE t.oid IN (r.rngtypid, r.rngmultitypid) AND r.rngsubtype < 16384
                         AND r.rngsubopc < 16384 AND r.rngcanonical::oid < 16384 AND r.rngsubdiff::oid < 16384)
               END AS harmless
        FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
        WHERE n.nspname <> 'pg_catalog' AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
    """,
    "casts": """
        SELECT t.typname::text AS target,
               n.nspname::text || '.' || p.proname || '(' || pg_catalog.array_to_string(ARRAY(
                   SELECT pg_catalog.format_type(u.oid, NULL)
                   FROM pg_catalog.unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(oid, at)
                   ORDER BY u.at), ', ') || ')' AS function,
               l.lanname = 'internal' AND p.prosrc LIKE 'multirange\\_constructor%'
               OR l.lanname IN ('c', 'internal') AND greatest(c.castsource, c.casttarget) >= 16384 AND EXISTS (
                   SELECT 1 FROM pg_catalog.pg_depend AS d
                   WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
               ) AS harmless
        FROM pg_catalog.pg_cast AS c
        JOIN pg_catalog.pg_proc AS p ON p.oid = c.castfunc AND p.oid >= 16384
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        JOIN pg_catalog.pg_type AS t ON t.oid = c.casttarget
        UNION ALL
        SELECT t.typname::text, n.nspname::text || '.' || p.proname || '(' || pg_catalog.array_to_string(ARRAY(
                   SELECT pg_catalog.format_type(u.oid, NULL)
                   FROM pg_catalog.unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(oid, at)
                   ORDER BY u.at), ', ') || ')',
               l.lanname IN ('c', 'internal') AND EXISTS (
                   SELECT 1 FROM pg_catalog.pg_depend AS d
                   WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
        FROM pg_catalog.pg_opclass AS o
        JOIN pg_catalog.pg_amproc AS a ON a.amprocfamily = o.opcfamily AND a.amproclefttype = o.opcintype
        JOIN pg_catalog.pg_proc AS p ON p.oid = a.amproc AND p.oid >= 16384
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        JOIN pg_catalog.pg_type AS t ON t.oid = o.opcintype
        WHERE o.opcdefault
    """,
    "composites": """
        SELECT pg_catalog.format_type(t.oid, NULL) AS type_name,
               pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) AS fields,
               pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS types
        FROM pg_catalog.pg_type AS t
        JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE t.typtype = 'c' AND t.oid >= 16384
          AND (c.relkind = 'c' OR EXISTS (
              SELECT 1 FROM pg_catalog.pg_attribute AS u WHERE u.atttypid IN (t.oid, t.typarray)))
        GROUP BY t.oid
    """,
    "labels": """
        SELECT pg_catalog.format_type(e.enumtypid, NULL) AS type_name,
               pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
        FROM pg_catalog.pg_enum AS e GROUP BY e.enumtypid
    """,
    "builtin_functions": """
        SELECT DISTINCT proname::text AS name FROM pg_catalog.pg_proc
        WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND oid < 16384
    """,
    "builtin_types": """
        SELECT typname::text AS name FROM pg_catalog.pg_type
        WHERE typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND typtype <> 'c' AND oid < 16384
    """,
    **LEAKPROOF,
}


def build_catalog(rows: Rows, *, version: int, search_path: tuple[str, ...] = ("public",)) -> Catalog:
    """The snapshot that the rows of every query in QUERIES make."""
    server = rows["server"][0]
    names = {row["oid"]: (row["schema"], row["name"]) for row in rows["relations"]}
    parts = _Parts(rows, names)
    relations = {names[row["oid"]]: parts.relation(row) for row in rows["relations"]}
    return Catalog(
        version=version,
        relations=relations,
        foreign_keys=tuple(_foreign_keys(rows["keys"], names)),
        functions=tuple(UserFunction(**{**row, "arguments": tuple(row["arguments"])}) for row in rows["functions"]),
        operators=tuple(UserOperator(**row) for row in rows["operators"]),
        types=tuple(_types(rows["types"])),
        casts=tuple(UserCast(**row) for row in rows["casts"]),
        default_search_path=search_path,
        server_version=server["version"],
        database=server["database"],
        user=server["username"],
        builtin_functions=frozenset(row["name"] for row in rows["builtin_functions"]),
        builtin_types=frozenset(row["name"] for row in rows["builtin_types"]),
        composites={
            row["type_name"]: tuple(zip(row["fields"], row["types"], strict=True)) for row in rows["composites"]
        },
        enum_labels={row["type_name"]: tuple(row["labels"]) for row in rows["labels"]},
        leakproof=leakproof_of(rows),
    )


class _Parts:
    """Rows that belong to a relation, by its oid."""

    def __init__(self, rows: Rows, names: Mapping[int, Name]) -> None:
        self._columns: dict[int, list[Column]] = {}
        for row in rows["columns"]:
            values = {key: value for key, value in row.items() if key != "relation"}
            self._columns.setdefault(row["relation"], []).append(Column(**values))
        self._parents: dict[int, list[Name]] = {}
        for row in rows["parents"]:
            if row["parent"] in names:
                self._parents.setdefault(row["child"], []).append(names[row["parent"]])
        self._depends: dict[int, list[tuple[Name, str | None]]] = {}
        for row in rows["depends"]:
            if row["relation"] in names:
                self._depends.setdefault(row["view"], []).append((names[row["relation"]], row["column_name"]))
        names_of = {oid: [column.name for column in found] for oid, found in self._columns.items()}
        self._constraints = constraints_by_relation(rows["constraints"], names_of)
        self._primary = {row["relation"]: tuple(row["columns"]) for row in rows["keys"] if row["kind"] == "p"}

    def relation(self, row: Row) -> Relation:
        oid = row["oid"]
        return Relation(
            **row,
            columns=tuple(self._columns.get(oid, ())),
            parents=tuple(self._parents.get(oid, ())),
            primary_key=self._primary.get(oid, ()),
            depends=tuple(self._depends.get(oid, ())),
            constraints=tuple(self._constraints.get(oid, ())),
        )


def _foreign_keys(rows: Sequence[Row], names: Mapping[int, Name]) -> list[ForeignKey]:
    return [
        ForeignKey(
            name=row["name"],
            table=names[row["relation"]],
            columns=tuple(row["columns"]),
            ref_table=names[row["referenced"]],
            ref_columns=tuple(row["referenced_columns"]),
            on_delete=row["on_delete"],
            on_update=row["on_update"],
        )
        for row in rows
        if row["kind"] == "f" and row["relation"] in names and row["referenced"] in names
    ]


def _is_harmless(check: str) -> bool:
    """Whether a CHECK of a domain calls nothing but built-ins that see only their arguments.

    Its text has every name outside pg_catalog qualified, so a qualified function, type or operator is a user's.
    """
    try:
        tree = parser.parse(f"ALTER TABLE t ADD {check}")
    except parser.SyntaxProblem:
        return False
    for node in parser.nodes_of(tree):
        kind = node.DESCRIPTOR.name
        if kind == "FuncCall":
            parts = [part.string.sval for part in node.funcname]
            builtin = len(parts) == 1 or parts[0] == "pg_catalog"
            if not builtin or parts[-1] == "current_setting" or not may_call(parts[-1], len(node.args)):
                return False
        elif kind in ("TypeName", "A_Expr"):
            parts = [part.string.sval for part in (node.names if kind == "TypeName" else node.name)]
            if len(parts) > 1 and parts[0] != "pg_catalog":
                return False
    return True


def _types(rows: Sequence[Row]) -> list[UserType]:
    """A type of parts is as harmless as its parts: an array as its element, a domain as its base, a row as its columns.

    The server's own types (below FIRST_USER_OID) are harmless.
    """
    by_oid = {row["oid"]: row for row in rows}
    harmless = {oid for oid, row in by_oid.items() if row["harmless"] and all(map(_is_harmless, row["checks"]))}
    while True:
        bad = {
            oid
            for oid in harmless
            if any(p in by_oid and p not in harmless for p in (by_oid[oid]["base"], by_oid[oid]["element"]))
            or any(p in by_oid and p not in harmless for p in by_oid[oid]["parts"])
        }
        if not bad:
            break
        harmless -= bad
    return [
        UserType(
            schema=row["schema"],
            name=row["name"],
            kind=row["kind"],
            harmless=row["oid"] in harmless,
            oid=row["oid"],
            array_oid=row["array_oid"],
            base_name=row["base_name"] if row["base"] not in by_oid or row["base"] in harmless else None,
        )
        for row in rows
    ]
