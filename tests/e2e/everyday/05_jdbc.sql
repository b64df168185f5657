-- direct: getTables
SELECT NULL AS "TABLE_CAT", n.nspname AS "TABLE_SCHEM", c.relname AS "TABLE_NAME",
       CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema'
       WHEN true THEN CASE WHEN n.nspname = 'pg_catalog' THEN CASE c.relkind WHEN 'r' THEN 'SYSTEM TABLE' WHEN 'v' THEN 'SYSTEM VIEW' END ELSE NULL END
       WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' END END AS "TABLE_TYPE",
       d.description AS "REMARKS"
FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass)
WHERE c.relnamespace = n.oid AND n.nspname LIKE 'shop' AND (c.relkind IN ('r', 'p', 'v', 'm')) ORDER BY 4, 2, 3

-- direct: getColumns
SELECT * FROM (
    SELECT current_database() AS current_database, n.nspname, c.relname, a.attname, a.atttypid, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,
           a.atttypmod, a.attlen, t.typtypmod, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum,
           nullif(a.attidentity, '') AS attidentity, nullif(a.attgenerated, '') AS attgenerated, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,
           dsc.description, t.typbasetype, t.typtype
    FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid)
    JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)
    LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum)
    LEFT JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
    LEFT JOIN pg_catalog.pg_class dc ON (dc.oid = dsc.classoid AND dc.relname = 'pg_class')
    LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace = dn.oid AND dn.nspname = 'pg_catalog')
    WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname LIKE 'shop' AND c.relname LIKE 'customers'
) c WHERE true ORDER BY nspname, c.relname, attnum

-- direct: getPrimaryKeys
SELECT result.table_schem, result.table_name, result.column_name, result.key_seq, result.pk_name
FROM (SELECT n.nspname AS table_schem, ct.relname AS table_name, a.attname AS column_name,
             (information_schema._pg_expandarray(i.indkey)).n AS key_seq, ci.relname AS pk_name,
             information_schema._pg_expandarray(i.indkey) AS keys, a.attnum AS a_attnum
      FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
      JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid)
      JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
      WHERE true AND n.nspname = 'shop' AND ct.relname = 'order_lines' AND i.indisprimary) result
WHERE result.a_attnum = (result.keys).x ORDER BY result.table_name, result.pk_name, result.key_seq

-- direct: getImportedKeys
SELECT pkn.nspname AS "PKTABLE_SCHEM", pkc.relname AS "PKTABLE_NAME", pka.attname AS "PKCOLUMN_NAME", fkn.nspname, fkc.relname, fka.attname, pos.n AS "KEY_SEQ",
       CASE con.confupdtype WHEN 'c' THEN 0 WHEN 'n' THEN 2 WHEN 'd' THEN 4 WHEN 'r' THEN 1 WHEN 'p' THEN 1 WHEN 'a' THEN 3 END AS "UPDATE_RULE",
       con.conname, pkic.relname, CASE WHEN con.condeferrable AND con.condeferred THEN 5 WHEN con.condeferrable THEN 6 ELSE 7 END
FROM pg_catalog.pg_namespace pkn, pg_catalog.pg_class pkc, pg_catalog.pg_attribute pka, pg_catalog.pg_namespace fkn, pg_catalog.pg_class fkc,
     pg_catalog.pg_attribute fka, pg_catalog.pg_constraint con, pg_catalog.generate_series(1, 32) pos(n), pg_catalog.pg_class pkic
WHERE pkn.oid = pkc.relnamespace AND pkc.oid = pka.attrelid AND pka.attnum = con.confkey[pos.n] AND con.confrelid = pkc.oid
  AND fkn.oid = fkc.relnamespace AND fkc.oid = fka.attrelid AND fka.attnum = con.conkey[pos.n] AND con.conrelid = fkc.oid
  AND con.contype = 'f' AND (pkic.relkind = 'i' OR pkic.relkind = 'I') AND pkic.oid = con.conindid AND fkn.nspname = 'shop' AND fkc.relname = 'order_lines'
ORDER BY pkn.nspname, pkc.relname, con.conname, pos.n

-- direct: getIndexInfo
SELECT tmp.table_name, tmp.non_unique, tmp.index_name, tmp.type, tmp.ordinal_position,
       trim(BOTH '"' FROM pg_catalog.pg_get_indexdef(tmp.ci_oid, tmp.ordinal_position, false)) AS column_name,
       CASE tmp.am_name WHEN 'btree' THEN CASE tmp.i_indoption[tmp.ordinal_position - 1] & 1::smallint WHEN 1 THEN 'D' ELSE 'A' END ELSE NULL END AS asc_or_desc,
       tmp.pages, tmp.filter_condition
FROM (SELECT ct.relname AS table_name, NOT i.indisunique AS non_unique, ci.relname AS index_name,
             CASE i.indisclustered WHEN true THEN 1 ELSE CASE am.amname WHEN 'hash' THEN 2 ELSE 3 END END AS type,
             (information_schema._pg_expandarray(i.indkey)).n AS ordinal_position, ci.relpages AS pages,
             pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS filter_condition, ci.oid AS ci_oid, i.indoption AS i_indoption, am.amname AS am_name
      FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON (ct.oid = i.indrelid)
      JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) JOIN pg_catalog.pg_am am ON (ci.relam = am.oid)
      WHERE n.nspname = 'shop' AND ct.relname = 'products') AS tmp
ORDER BY non_unique, type, index_name, ordinal_position

-- direct: getTypeInfo
SELECT t.typname, t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON (t.typnamespace = n.oid)
WHERE n.nspname != 'pg_toast' AND (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)) ORDER BY 2

-- direct: a type by its name
SELECT typinput = 'pg_catalog.array_in'::regproc AS is_array, typtype, typname, pg_type.oid FROM pg_catalog.pg_type
LEFT JOIN (SELECT ns.oid AS nspoid, ns.nspname, r.r FROM pg_namespace AS ns
           JOIN (SELECT s.r, (current_schemas(false))[s.r] AS nspname FROM generate_series(1, array_upper(current_schemas(false), 1)) AS s(r)) AS r
           USING (nspname)) AS sp ON sp.nspoid = typnamespace
WHERE typname = 'jsonb' ORDER BY sp.r, pg_type.oid DESC

-- direct: an array's element
SELECT e.typdelim, e.oid, e.typname FROM pg_catalog.pg_type t, pg_catalog.pg_type e WHERE t.oid = 1007 AND t.typelem = e.oid

-- direct: getSchemas
SELECT nspname AS "TABLE_SCHEM", current_database() AS "TABLE_CATALOG" FROM pg_catalog.pg_namespace
WHERE nspname <> 'pg_toast' AND (nspname !~ '^pg_temp_' OR nspname = (pg_catalog.current_schemas(true))[1])
  AND (nspname !~ '^pg_toast_temp_' OR nspname = replace((pg_catalog.current_schemas(true))[1], 'pg_temp_', 'pg_toast_temp_')) ORDER BY "TABLE_SCHEM"

-- direct: getTablePrivileges
SELECT n.nspname, c.relname, r.rolname, c.relacl FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c, pg_catalog.pg_roles r
WHERE c.relnamespace = n.oid AND c.relowner = r.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = 'shop' ORDER BY n.nspname, relname

-- direct: getProcedures
SELECT n.nspname, p.proname, d.description, pg_catalog.pg_get_function_identity_arguments(p.oid) AS args, p.proargmodes, p.proargnames, p.prorettype, t.typtype
FROM pg_catalog.pg_namespace n, pg_catalog.pg_type t, pg_catalog.pg_proc p
LEFT JOIN pg_catalog.pg_description d ON (p.oid = d.objoid)
WHERE p.pronamespace = n.oid AND p.prorettype = t.oid AND n.nspname = 'geo' ORDER BY 2, 4

-- direct: what a result's columns are
SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%'
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid)
JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum)
JOIN (SELECT 'shop.products'::regclass AS oid, 1 AS attnum UNION ALL SELECT 'shop.products'::regclass, 3) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum) ORDER BY 2

-- direct: client info
SELECT current_database() AS a, current_schema() AS b, session_user AS c, (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_index_keys') AS d

-- direct: DBeaver, the databases
SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE NOT datistemplate AND datallowconn AND datname = current_database() ORDER BY db.datname

-- direct: DBeaver, the types
SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name, d.description
FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid = t.typelem LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid
WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C') ORDER BY t.oid

-- direct: DBeaver, a schema's tables
SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, pg_catalog.pg_get_partkeydef(c.oid) AS partition_key
FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c') ORDER BY c.oid

-- direct: DBeaver, a table's columns
SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description, dep.objid
FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.oid = 'shop.orders'::regclass ORDER BY a.attnum

-- direct: DBeaver, constraints
SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace, d.description,
       CASE WHEN c.contype = 'c' THEN "substring"(pg_get_constraintdef(c.oid), 7) ELSE NULL END consrc_copy
FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_constraint'::regclass
WHERE t.relnamespace = 'shop'::regnamespace ORDER BY c.oid

-- direct: DBeaver, sizes
SELECT c.oid, pg_catalog.pg_total_relation_size(c.oid) AS total_rel_size, pg_catalog.pg_relation_size(c.oid) AS rel_size
FROM pg_class c WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind = 'r' ORDER BY 1

-- direct: DBeaver, whether a view can be edited
SELECT pg_get_viewdef('shop.order_totals'::regclass, true), pg_relation_is_updatable('shop.order_totals'::regclass, true)

-- answers: DBeaver, its session
SELECT current_schema(), session_user; SET application_name = 'DBeaver 24 - Main'; SELECT set_config('bytea_output', 'hex', false) FROM pg_settings WHERE name = 'bytea_output'; SELECT version(); SHOW search_path

-- answers: DBeaver, sessions
SELECT sa.* FROM pg_catalog.pg_stat_activity sa WHERE pid = pg_backend_pid()

-- direct: DBeaver, inheritance
SELECT i.*, c.relnamespace, pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_inherits i, pg_catalog.pg_class c
WHERE i.inhparent = 'shop.events'::regclass AND c.oid = i.inhrelid ORDER BY i.inhseqno, i.inhrelid

-- direct: DataGrip, what changed
SELECT N.oid::bigint AS id, datname AS name, D.description, datistemplate AS is_template, datallowconn AS allow_connections, pg_catalog.pg_get_userbyid(N.datdba) AS "owner"
FROM pg_catalog.pg_database N LEFT JOIN pg_catalog.pg_shdescription D ON N.oid = D.objoid WHERE datname = current_database()

-- direct: DataGrip, versions of rows
SELECT L.xmin AS state_number, L.oid AS id, L.lanname FROM pg_catalog.pg_language L ORDER BY 2

-- direct: DataGrip, ages of rows
SELECT T.relkind AS table_kind, T.relname AS table_name, T.oid AS table_id, T.xmin AS table_state_number, pg_catalog.age(T.xmin) >= 0 AS seen,
       pg_catalog.array_to_string(T.reloptions, E'\n')
FROM pg_catalog.pg_class T WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'm', 'v', 'p', 'f') ORDER BY table_kind, table_id

-- direct: DataGrip, access methods and casts
SELECT A.oid AS access_method_id, A.amname, A.amhandler::pg_catalog.regproc, C.castcontext, C.castmethod
FROM pg_am A LEFT JOIN pg_cast C ON C.castsource = 23 AND C.casttarget = 20 ORDER BY 1

-- direct: DataGrip, columns of every kind of relation
WITH T AS (SELECT T.oid AS table_id, T.relname AS table_name FROM pg_catalog.pg_class T WHERE T.relnamespace = 'shop'::regnamespace AND T.relkind IN ('r', 'm', 'v', 'f', 'p'))
SELECT T.table_id, C.attnum AS column_position, C.attname AS column_name, C.xmin AS column_state_number, C.atttypmod, C.attndims,
       pg_catalog.format_type(C.atttypid, C.atttypmod) AS type_spec, C.attnotnull, coalesce(C.atthasdef, false), C.attidentity, C.attacl
FROM T JOIN pg_catalog.pg_attribute C ON T.table_id = C.attrelid WHERE attnum > 0 ORDER BY table_id, attnum

-- answers: DataGrip, its session
SELECT current_database(), current_schema, current_user; SHOW TRANSACTION ISOLATION LEVEL; SELECT round(extract(epoch FROM pg_postmaster_start_time() AT TIME ZONE 'UTC')) AS startup_time; SELECT pg_catalog.txid_current()::varchar::bigint AS current_txid
