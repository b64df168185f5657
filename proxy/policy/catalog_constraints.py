"""What the server checks on every write, with the columns that each check reads: the query, and the values it makes.

A constraint's error tells a writer something of the row. Which one tells of what the writer may not read is `targets`'s
to say. Foreign keys are `catalog_read`'s own; NOT NULL is left out, since it sees only what is written.

https://www.postgresql.org/docs/current/catalog-pg-index.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.policy.catalog import Constraint

Row = Mapping[str, Any]

# An index keeps its columns in indkey, included ones behind the keys; those of its expressions and predicate are in
# pg_depend only. A partition key's expressions depend the other way round: the columns on their own table.
QUERY = """
    WITH found AS (
        SELECT k.conrelid AS relid, k.conname::text AS name, 'check' AS kind, k.convalidated AS validated,
               k.conkey::int[] AS nums, pg_catalog.pg_get_expr(k.conbin, k.conrelid) AS first, NULL::text AS second
        FROM pg_catalog.pg_constraint AS k WHERE k.contype = 'c' AND k.conrelid >= 16384
        UNION ALL
        SELECT i.indrelid, c.relname::text,
               CASE WHEN i.indisexclusion THEN 'exclusion' WHEN i.indisunique THEN 'unique' ELSE 'index' END, true,
               ARRAY(SELECT u.num::int FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS u(num, at)
                     WHERE u.at <= i.indnkeyatts AND u.num <> 0)
               || ARRAY(SELECT d.refobjsubid FROM pg_catalog.pg_depend AS d
                        WHERE (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
                          AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
                          AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid
                          AND d.refobjsubid > 0),
               pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid)
        FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid >= 16384
          AND (i.indisunique OR i.indisexclusion OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
        UNION ALL
        SELECT p.partrelid, 'partition key', 'partition', true,
               ARRAY(SELECT u.num::int FROM pg_catalog.unnest(p.partattrs::int2[]) AS u(num) WHERE u.num <> 0)
               || ARRAY(SELECT d.objsubid FROM pg_catalog.pg_depend AS d
                        WHERE p.partexprs IS NOT NULL AND d.classid = 'pg_catalog.pg_class'::regclass
                          AND d.refclassid = d.classid AND d.objid = p.partrelid AND d.refobjid = p.partrelid
                          AND d.refobjsubid = 0 AND d.objsubid > 0),
               NULL, NULL
        FROM pg_catalog.pg_partitioned_table AS p
    )
    SELECT f.relid::bigint AS relation, f.name, f.kind, f.validated,
           pg_catalog.array_remove(ARRAY[f.first, f.second], NULL) AS expressions,
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                 WHERE a.attrelid = f.relid AND a.attnum = ANY (f.nums) AND a.attnum > 0
                 ORDER BY a.attnum) AS columns
    FROM found AS f ORDER BY f.relid, f.name
"""


def constraints_by_relation(rows: Sequence[Row], columns: Mapping[int, Sequence[str]]) -> dict[int, list[Constraint]]:
    """Relation's oid to its constraints. One that reads the whole row has every one of its `columns`: the catalogue
    does not say so, the expression does."""
    found: dict[int, list[Constraint]] = {}
    for row in rows:
        relation, expressions = row["relation"], tuple(row["expressions"])
        # pg_get_expr writes a whole row as `name.*`; in a literal that means nothing, and is taken for one as well.
        is_whole = any(".*" in text for text in expressions)
        read = columns.get(relation, ()) if is_whole else row["columns"]
        constraint = Constraint(row["name"], row["kind"], frozenset(read), row["validated"], expressions)
        found.setdefault(relation, []).append(constraint)
    return found
