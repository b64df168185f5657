-- direct: psycopg, a type by its name
SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter FROM pg_type t WHERE t.oid = to_regtype('shop.state') ORDER BY t.oid

-- direct: psycopg, a composite
SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid, t.oid::regtype::text AS regtype, coalesce(a.fnames, '{}') AS field_names, coalesce(a.ftypes, '{}') AS field_types
FROM pg_type t LEFT JOIN (
    SELECT attrelid, array_agg(attname) AS fnames, array_agg(atttypid) AS ftypes FROM (
        SELECT a.attrelid, a.attname, a.atttypid FROM pg_attribute a JOIN pg_type t ON t.typrelid = a.attrelid WHERE t.oid = to_regtype('shop.address') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) x
    GROUP BY attrelid) a ON a.attrelid = t.typrelid WHERE t.oid = to_regtype('shop.address')

-- direct: psycopg, an enum
SELECT name, oid, array_oid, array_agg(label) AS labels FROM (
    SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid, e.enumlabel AS label FROM pg_type t LEFT JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.oid = to_regtype('shop.state') ORDER BY e.enumsortorder) x
GROUP BY name, oid, array_oid

-- direct: psycopg2, the oids of hstore
SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = 'hstore'

-- direct: asyncpg, types of a result
WITH RECURSIVE typeinfo_tree(oid, ns, name, kind, basetype, elemtype, elemdelim, range_subtype, attrtypoids, attrnames, depth) AS (
    SELECT ti.oid, ti.ns, ti.name, ti.kind, ti.basetype, ti.elemtype, ti.elemdelim, ti.range_subtype, ti.attrtypoids, ti.attrnames, 0
    FROM (SELECT t.oid AS oid, ns.nspname AS ns, t.typname AS name, t.typtype AS kind, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE NULL END AS basetype, t.typelem AS elemtype, elem_t.typdelim AS elemdelim,
                 range_t.rngsubtype AS range_subtype, (SELECT array_agg(ia.atttypid ORDER BY ia.attnum) FROM pg_attribute ia INNER JOIN pg_class c ON (ia.attrelid = c.oid) WHERE ia.attnum > 0 AND NOT ia.attisdropped AND c.reltype = t.oid) AS attrtypoids,
                 (SELECT array_agg(ia.attname::text ORDER BY ia.attnum) FROM pg_attribute ia INNER JOIN pg_class c ON (ia.attrelid = c.oid) WHERE ia.attnum > 0 AND NOT ia.attisdropped AND c.reltype = t.oid) AS attrnames
          FROM pg_catalog.pg_type AS t INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace) LEFT JOIN pg_type elem_t ON (t.typlen = -1 AND t.typelem != 0 AND t.typelem = elem_t.oid)
          LEFT JOIN pg_range range_t ON (t.oid = range_t.rngtypid)) AS ti
    WHERE ti.oid = any(ARRAY['shop.address'::regtype::oid, 'shop.state'::regtype::oid])
    UNION ALL
    SELECT ti.oid, ti.nspname, ti.typname, ti.typtype, NULL, ti.typelem, ti.typdelim, NULL, NULL, NULL, tt.depth + 1
    FROM (SELECT t.*, n.nspname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace) ti, typeinfo_tree tt WHERE tt.elemtype IS NOT NULL AND ti.oid = tt.elemtype)
SELECT DISTINCT *, basetype::regtype::text AS basetype_name, elemtype::regtype::text AS elemtype_name, range_subtype::regtype::text AS range_subtype_name FROM typeinfo_tree ORDER BY depth DESC, oid

-- direct: pgx, a type
SELECT t.typname, t.typtype, t.typbasetype, t.typelem, (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = t.typrelid) FROM pg_type t WHERE t.oid = 'shop.address'::text::regtype::oid

-- direct: pgx, a range and its subtype
SELECT rngsubtype, rngtypid::regtype, rngmultitypid FROM pg_range ORDER BY 2

-- direct: Npgsql, the version
SELECT version()

-- direct: Npgsql, every type
SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind, elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
             CASE WHEN elemproc.proname = 'array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype
      FROM (SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid, CASE WHEN proc.proname = 'array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
                   CASE WHEN proc.proname = 'array_recv' THEN typ.typelem WHEN typ.typtype = 'r' THEN rngsubtype WHEN typ.typtype = 'm' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid) WHEN typ.typtype = 'd' THEN typ.typbasetype END AS elemtypoid
            FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid) LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)) AS typ
      LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid) LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive) AS t
JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR (typtype = 'c' AND relkind = 'c') OR (typtype = 'p' AND typname IN ('record', 'void', 'unknown')) OR (typtype = 'a' AND (elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR (elemtyptype = 'p' AND elemtypname IN ('record', 'void')) OR (elemtyptype = 'c' AND elemrelkind = 'c')))
ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 WHEN typtype = 'c' THEN 1 WHEN typtype = 'r' THEN 2 WHEN typtype = 'm' THEN 3 WHEN typtype = 'd' AND elemtyptype <> 'a' THEN 4 WHEN typtype = 'a' THEN 5 ELSE 6 END, t.oid

-- direct: Npgsql, fields and labels
SELECT typ.oid, att.attname, att.atttypid FROM pg_type AS typ JOIN pg_namespace AS ns ON (ns.oid = typ.typnamespace) JOIN pg_class AS cls ON (cls.oid = typ.typrelid) JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid)
WHERE (typ.typtype = 'c' AND cls.relkind = 'c') AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT pg_type.oid, enumlabel, 0 FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid ORDER BY 1, 2

-- direct: psqlODBC, tables
select relname, nspname, relkind from pg_catalog.pg_class c, pg_catalog.pg_namespace n where relkind in ('r', 'v', 'm', 'f', 'p') and nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pg_temp_1') and n.oid = relnamespace and relname like 'orders' order by nspname, relname

-- direct: psqlODBC, statistics
select c.relname, i.indkey, i.indisunique, i.indisclustered, a.amname, c.relhasrules, n.nspname, c.oid, c.relhasoids_missing, i.indoption from pg_catalog.pg_index i,
(select oid, relname, relhasrules, relnamespace, relam, false as relhasoids_missing from pg_catalog.pg_class) c, pg_catalog.pg_class d, pg_catalog.pg_am a, pg_catalog.pg_namespace n
where d.relname = 'products' and n.nspname = 'shop' and n.oid = d.relnamespace and d.oid = i.indrelid and i.indexrelid = c.oid and c.relam = a.oid order by i.indisprimary desc, i.indisunique desc, n.nspname, c.relname

-- direct: psqlODBC, foreign keys
select 'shop'::name as "PKTABLE_CAT", n2.nspname, c2.relname, a2.attname, n1.nspname, c1.relname, a1.attname, i::int2 as "KEY_SEQ", cn.conname, cn.condeferrable
from ((((((select cn.oid, conrelid, conkey, confrelid, confkey, generate_series(array_lower(conkey, 1), array_upper(conkey, 1)) as i, confupdtype, confdeltype, conname, condeferrable, condeferred from pg_catalog.pg_constraint cn, pg_catalog.pg_class c, pg_catalog.pg_namespace n
        where contype = 'f' and conrelid = c.oid and relname = 'orders' and n.oid = c.relnamespace and n.nspname = 'shop') cn
    inner join pg_catalog.pg_class c1 on c1.oid = cn.conrelid) inner join pg_catalog.pg_namespace n1 on n1.oid = c1.relnamespace) inner join pg_catalog.pg_attribute a1 on a1.attrelid = c1.oid and a1.attnum = conkey[i])
    inner join pg_catalog.pg_class c2 on c2.oid = cn.confrelid) inner join pg_catalog.pg_namespace n2 on n2.oid = c2.relnamespace) inner join pg_catalog.pg_attribute a2 on a2.attrelid = c2.oid and a2.attnum = confkey[i] order by 1, 2, 3, 8

-- answers: psqlODBC, its session
SET DateStyle = 'ISO';SET extra_float_digits = 2;show transaction_isolation;select oid, typbasetype from pg_type where typname = 'lo';SHOW wal_level

-- direct: psqlODBC, values for a driver that counts rows first
SELECT count(*) FROM (SELECT * FROM shop.products) AS t

-- direct: pg8000 and pgbouncer, who am I
SELECT current_user, session_user, user, current_role, current_catalog, current_database()

-- direct: node-postgres, an array type
SELECT t.oid, t.typarray, t.typname FROM pg_catalog.pg_type t WHERE t.typname = ANY (ARRAY['jsonb', 'hstore', 'state']) ORDER BY t.oid

-- same: a driver that describes first
SELECT c.* FROM shop.customers AS c WHERE 1 = 0

-- same: Excel, a table by way of ODBC
SELECT "customers"."id", "customers"."name", "customers"."phone", "customers"."credit" FROM "shop"."customers" ORDER BY "customers"."id"
