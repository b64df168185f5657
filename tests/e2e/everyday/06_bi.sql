-- direct: Metabase, tables
SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' END AS type,
       d.description, stat.n_live_tup AS estimated_row_count
FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_catalog.pg_description AS d ON (c.oid = d.objoid) AND (d.objsubid = 0) AND (d.classoid = 'pg_class'::regclass)
LEFT JOIN pg_stat_user_tables AS stat ON (n.nspname = stat.schemaname) AND (c.relname = stat.relname)
WHERE (c.relnamespace = n.oid) AND (n.nspname !~ '^pg_') AND (n.nspname <> 'information_schema') AND c.relkind IN ('r', 'p', 'v', 'f', 'm') AND n.nspname IN ('shop') ORDER BY type, schema, name

-- direct: Metabase, fields
SELECT c.column_name AS name, CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN format('%s', c.udt_name) ELSE format('"%s"."%s"', c.udt_schema, c.udt_name) END AS "database-type",
       c.ordinal_position - 1 AS "database-position", c.table_schema, c.table_name, pk.column_name IS NOT NULL AS "pk?",
       col_description(cast(cast(format('%I.%I', cast(c.table_schema AS text), cast(c.table_name AS text)) AS regclass) AS oid), c.ordinal_position) AS "field-comment",
       ((column_default IS NULL) OR (lower(column_default) = 'null')) AND (is_nullable = 'NO') AND NOT ((column_default IS NOT NULL) AND (column_default LIKE '%nextval(%')) AND (is_identity = 'NO') AS "database-required",
       is_generated <> 'NEVER' AS generated
FROM information_schema.columns AS c
LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc
           INNER JOIN information_schema.key_column_usage AS kc ON (tc.constraint_name = kc.constraint_name) AND (tc.table_schema = kc.table_schema) AND (tc.table_name = kc.table_name)
           WHERE tc.constraint_type = 'PRIMARY KEY') AS pk ON (c.table_schema = pk.table_schema) AND (c.table_name = pk.table_name) AND (c.column_name = pk.column_name)
WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND (c.table_schema IN ('shop'))
UNION ALL
SELECT pa.attname, CASE WHEN ptn.nspname IN ('public', 'pg_catalog') THEN format('%s', pt.typname) ELSE format('"%s"."%s"', ptn.nspname, pt.typname) END, pa.attnum - 1, pn.nspname, pc.relname, false, NULL, false, false
FROM pg_catalog.pg_class AS pc INNER JOIN pg_catalog.pg_namespace AS pn ON pn.oid = pc.relnamespace INNER JOIN pg_catalog.pg_attribute AS pa ON pa.attrelid = pc.oid
INNER JOIN pg_catalog.pg_type AS pt ON pt.oid = pa.atttypid INNER JOIN pg_catalog.pg_namespace AS ptn ON ptn.oid = pt.typnamespace
WHERE pc.relkind = 'm' AND pa.attnum >= 1 AND pn.nspname IN ('shop') ORDER BY 4, 5, 3

-- direct: Metabase, foreign keys
SELECT fk_ns.nspname AS "fk-table-schema", fk_table.relname AS "fk-table-name", fk_column.attname AS "fk-column-name", pk_ns.nspname, pk_table.relname, pk_column.attname
FROM pg_constraint AS c INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid INNER JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid
INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid INNER JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid
INNER JOIN pg_namespace AS pk_ns ON pk_table.relnamespace = pk_ns.oid INNER JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND c.contype = 'f'::char AND fk_column.attnum = ANY (c.conkey) AND pk_column.attnum = ANY (c.confkey) ORDER BY 1, 2, 3, 4, 5, 6

-- direct: Metabase, what one may read
WITH table_privileges AS (
    SELECT NULL AS role, t.schemaname AS schema, t.objectname AS table,
           pg_catalog.has_any_column_privilege(current_user, format('%I.%I', t.schemaname, t.objectname), 'update') AS update,
           pg_catalog.has_any_column_privilege(current_user, format('%I.%I', t.schemaname, t.objectname), 'select') AS select,
           pg_catalog.has_table_privilege(current_user, format('%I.%I', t.schemaname, t.objectname), 'delete') AS delete
    FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables UNION SELECT schemaname, viewname FROM pg_views UNION SELECT schemaname, matviewname FROM pg_matviews) t
    WHERE t.schemaname !~ '^pg_' AND t.schemaname <> 'information_schema' AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
SELECT t.* FROM table_privileges t ORDER BY 2, 3

-- direct: Metabase, enums
SELECT nspname, typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid IN (SELECT DISTINCT enumtypid FROM pg_enum e) ORDER BY 1, 2

-- direct: Metabase, indexes
SELECT tmp.table_schema, tmp.table_name, trim(BOTH '"' FROM pg_catalog.pg_get_indexdef(tmp.ci_oid, tmp.pos, false)) AS "field-name"
FROM (SELECT n.nspname AS table_schema, ct.relname AS table_name, ci.oid AS ci_oid, (information_schema._pg_expandarray(i.indkey)).n AS pos
      FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_namespace n ON ct.relnamespace = n.oid JOIN pg_catalog.pg_index i ON ct.oid = i.indrelid
      JOIN pg_catalog.pg_class ci ON ci.oid = i.indexrelid WHERE pg_catalog.pg_get_expr(i.indpred, i.indrelid) IS NULL AND n.nspname !~ '^information_schema|pg_') AS tmp
WHERE tmp.pos = 1 ORDER BY 1, 2, 3

-- same: Metabase, fingerprints
SELECT substring("shop"."customers"."remark", 1, 1234) AS "substring1", "shop"."customers"."email" AS "email", "shop"."customers"."joined" AS "joined" FROM "shop"."customers" ORDER BY id LIMIT 10000

-- same: Metabase, a question
SELECT "source"."placed" AS "placed", "source"."count" AS "count" FROM (
    SELECT CAST(DATE_TRUNC('month', "shop"."orders"."placed") AS timestamp) AS "placed", COUNT(*) AS "count" FROM "shop"."orders"
    LEFT JOIN "shop"."customers" AS "Customers" ON "shop"."orders"."customer_id" = "Customers"."id" WHERE "Customers"."city" = 'Pune'
    GROUP BY 1 ORDER BY 1 ASC) AS "source" WHERE "source"."count" > 1 LIMIT 1048575

-- direct: SQLAlchemy, whether a table is there
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relname = 'orders' AND pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) AND pg_catalog.pg_namespace.nspname != 'pg_catalog'

-- direct: SQLAlchemy, names
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_class.relpersistence != 't' AND pg_catalog.pg_namespace.nspname = 'shop' ORDER BY 1

-- direct: SQLAlchemy, columns
SELECT pg_catalog.pg_attribute.attname AS name, pg_catalog.format_type(pg_catalog.pg_attribute.atttypid, pg_catalog.pg_attribute.atttypmod) AS format_type,
       (SELECT pg_catalog.pg_get_expr(pg_catalog.pg_attrdef.adbin, pg_catalog.pg_attrdef.adrelid) AS pg_get_expr_1 FROM pg_catalog.pg_attrdef
        WHERE pg_catalog.pg_attrdef.adrelid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_attrdef.adnum = pg_catalog.pg_attribute.attnum AND pg_catalog.pg_attribute.atthasdef) AS "default",
       pg_catalog.pg_attribute.attnotnull AS not_null, pg_catalog.pg_class.relname AS table_name, pg_catalog.pg_description.description AS comment, pg_catalog.pg_attribute.attgenerated AS generated,
       (SELECT json_build_object('always', pg_catalog.pg_attribute.attidentity = 'a', 'start', pg_catalog.pg_sequence.seqstart, 'increment', pg_catalog.pg_sequence.seqincrement, 'minvalue', pg_catalog.pg_sequence.seqmin,
                                 'maxvalue', pg_catalog.pg_sequence.seqmax, 'cache', pg_catalog.pg_sequence.seqcache, 'cycle', pg_catalog.pg_sequence.seqcycle) AS json_build_object_1
        FROM pg_catalog.pg_sequence WHERE pg_catalog.pg_attribute.attidentity != ''
          AND pg_catalog.pg_sequence.seqrelid = CAST(CAST(pg_catalog.pg_get_serial_sequence(CAST(CAST(pg_catalog.pg_attribute.attrelid AS REGCLASS) AS TEXT), pg_catalog.pg_attribute.attname) AS REGCLASS) AS OID)) AS identity_options
FROM pg_catalog.pg_class
LEFT OUTER JOIN pg_catalog.pg_attribute ON pg_catalog.pg_class.oid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_attribute.attnum > 0 AND NOT pg_catalog.pg_attribute.attisdropped
LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_description.objsubid = pg_catalog.pg_attribute.attnum
    AND pg_catalog.pg_description.classoid = CAST('pg_catalog.pg_class' AS REGCLASS)
JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND pg_catalog.pg_namespace.nspname = 'shop' AND pg_catalog.pg_class.relname IN ('orders', 'customers')
ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_attribute.attnum

-- direct: SQLAlchemy, primary and unique keys
SELECT attr.conrelid, array_agg(CAST(attr.attname AS TEXT) ORDER BY attr.ord) AS cols, attr.conname, min(attr.description) AS description
FROM (SELECT con.conrelid, con.conname, con.conindid, con.description, con.ord, pg_catalog.pg_attribute.attname FROM pg_catalog.pg_attribute
      JOIN (SELECT pg_catalog.pg_constraint.conrelid AS conrelid, pg_catalog.pg_constraint.conname AS conname, pg_catalog.pg_constraint.conindid AS conindid,
                   unnest(pg_catalog.pg_constraint.conkey) AS attnum, generate_subscripts(pg_catalog.pg_constraint.conkey, 1) AS ord, pg_catalog.pg_description.description AS description
            FROM pg_catalog.pg_constraint LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_constraint.oid
            WHERE pg_catalog.pg_constraint.contype = 'p' AND pg_catalog.pg_constraint.conrelid IN ('shop.orders'::regclass, 'shop.order_lines'::regclass)) AS con
      ON pg_catalog.pg_attribute.attnum = con.attnum AND pg_catalog.pg_attribute.attrelid = con.conrelid) AS attr
GROUP BY attr.conrelid, attr.conname ORDER BY attr.conrelid, attr.conname

-- direct: SQLAlchemy, foreign keys
SELECT pg_catalog.pg_class.relname, pg_catalog.pg_constraint.conname,
       CASE WHEN (pg_catalog.pg_constraint.oid IS NOT NULL) THEN pg_catalog.pg_get_constraintdef(pg_catalog.pg_constraint.oid, true) END AS anon_1, nsp_ref.nspname, pg_catalog.pg_description.description
FROM pg_catalog.pg_class LEFT OUTER JOIN pg_catalog.pg_constraint ON pg_catalog.pg_class.oid = pg_catalog.pg_constraint.conrelid AND pg_catalog.pg_constraint.contype = 'f'
LEFT OUTER JOIN pg_catalog.pg_class AS cls_ref ON cls_ref.oid = pg_catalog.pg_constraint.confrelid LEFT OUTER JOIN pg_catalog.pg_namespace AS nsp_ref ON cls_ref.relnamespace = nsp_ref.oid
LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_constraint.oid JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_namespace.nspname = 'shop' ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_constraint.conname

-- direct: SQLAlchemy, indexes
SELECT pg_catalog.pg_index.indrelid, cls_idx.relname, pg_catalog.pg_index.indisunique, pg_constraint.conrelid IS NOT NULL AS has_constraint, pg_catalog.pg_index.indoption, cls_idx.reloptions, pg_catalog.pg_am.amname,
       CASE WHEN (pg_catalog.pg_index.indpred IS NOT NULL) THEN pg_catalog.pg_get_expr(pg_catalog.pg_index.indpred, pg_catalog.pg_index.indrelid) END AS filter_definition,
       pg_catalog.pg_index.indnkeyatts, pg_catalog.pg_index.indnullsnotdistinct, idx_cols.elements, idx_cols.elements_is_expr
FROM pg_catalog.pg_index
JOIN (SELECT idx_attr.indexrelid, idx_attr.indrelid, min(idx_attr.attnum), array_agg(idx_attr.element ORDER BY idx_attr.ord) AS elements, array_agg(idx_attr.is_expr ORDER BY idx_attr.ord) AS elements_is_expr
      FROM (SELECT idx.indexrelid, idx.indrelid, idx.ord, idx.attnum,
                   CASE WHEN (idx.attnum = 0) THEN pg_catalog.pg_get_indexdef(idx.indexrelid, idx.ord + 1, true) ELSE CAST(pg_catalog.pg_attribute.attname AS TEXT) END AS element, idx.attnum = 0 AS is_expr
            FROM (SELECT pg_catalog.pg_index.indexrelid, pg_catalog.pg_index.indrelid, unnest(pg_catalog.pg_index.indkey) AS attnum, generate_subscripts(pg_catalog.pg_index.indkey, 1) AS ord
                  FROM pg_catalog.pg_index WHERE NOT pg_catalog.pg_index.indisprimary AND pg_catalog.pg_index.indrelid IN ('shop.products'::regclass, 'shop.orders'::regclass)) AS idx
            LEFT OUTER JOIN pg_catalog.pg_attribute ON pg_catalog.pg_attribute.attnum = idx.attnum AND pg_catalog.pg_attribute.attrelid = idx.indrelid) AS idx_attr
      GROUP BY idx_attr.indexrelid, idx_attr.indrelid) AS idx_cols ON pg_catalog.pg_index.indexrelid = idx_cols.indexrelid
JOIN pg_catalog.pg_class AS cls_idx ON cls_idx.oid = pg_catalog.pg_index.indexrelid LEFT OUTER JOIN pg_catalog.pg_am ON cls_idx.relam = pg_catalog.pg_am.oid
LEFT OUTER JOIN pg_catalog.pg_constraint ON pg_catalog.pg_index.indrelid = pg_catalog.pg_constraint.conrelid AND pg_catalog.pg_index.indexrelid = pg_catalog.pg_constraint.conindid AND pg_catalog.pg_constraint.contype = ANY (ARRAY['p', 'u', 'x'])
ORDER BY pg_catalog.pg_index.indrelid, cls_idx.relname

-- direct: SQLAlchemy, checks, enums and domains
SELECT t.typname AS name, pg_catalog.pg_type_is_visible(t.oid) AS visible, n.nspname AS schema, lbl_agg.labels AS labels
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN (SELECT enumtypid, array_agg(CAST(enumlabel AS TEXT) ORDER BY enumsortorder) AS labels FROM pg_catalog.pg_enum GROUP BY enumtypid) lbl_agg ON t.oid = lbl_agg.enumtypid
WHERE t.typtype = 'e'
UNION ALL SELECT t.typname, pg_catalog.format_type(t.typbasetype, t.typtypmod) = '', n.nspname, ARRAY[t.typdefault] FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'd' AND n.nspname = 'shop'
UNION ALL SELECT conname, true, '', ARRAY[pg_catalog.pg_get_constraintdef(oid, true)] FROM pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid = 'shop.customers'::regclass
ORDER BY 3, 1

-- answers: SQLAlchemy, its session
select pg_catalog.version(); select current_schema(); show standard_conforming_strings; BEGIN; SELECT CAST('test plain returns' AS VARCHAR(60)) AS anon_1; show transaction isolation level; ROLLBACK

-- direct: Superset, schemas and views
SELECT pg_catalog.pg_namespace.nspname FROM pg_catalog.pg_namespace WHERE pg_catalog.pg_namespace.nspname NOT LIKE 'pg\_%' ESCAPE '\' ORDER BY pg_catalog.pg_namespace.nspname

-- same: Superset, a chart
SELECT DATE_TRUNC('day', placed) AS __timestamp, state AS state, COUNT(DISTINCT customer_id) AS "COUNT_DISTINCT(customer_id)" FROM shop.orders
WHERE placed >= TO_TIMESTAMP('2024-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') AND placed < TO_TIMESTAMP('2024-04-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND state IN ('open', 'paid') GROUP BY DATE_TRUNC('day', placed), state ORDER BY 1, 2 LIMIT 10000

-- same: Superset, a virtual data set
SELECT name AS name, sum(total) AS "SUM(total)" FROM (SELECT c.name, o.total FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id) AS virtual_table GROUP BY name ORDER BY "SUM(total)" DESC, 1 LIMIT 100

-- same: Superset, how much a query costs to preview
SELECT * FROM (SELECT id, email, credit FROM shop.customers) AS inner_qry ORDER BY id LIMIT 1001

-- direct: Tableau, tables
select NULL, n.nspname, relname, relkind from pg_catalog.pg_class c, pg_catalog.pg_namespace n where relkind in ('r', 'v', 'm', 'f', 'p') and nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pg_temp_1') and n.oid = relnamespace order by nspname, relname

-- direct: Tableau, columns
select n.nspname, c.relname, a.attname, a.atttypid, t.typname, a.attnum, a.attlen, a.atttypmod, a.attnotnull, c.relhasrules, c.relkind, c.oid, pg_get_expr(d.adbin, d.adrelid), case t.typtype when 'd' then t.typbasetype else 0 end, t.typtypmod, c.relhassubclass, t.typtype
from (((pg_catalog.pg_class c inner join pg_catalog.pg_namespace n on n.oid = c.relnamespace and c.oid = 'shop.customers'::regclass)
    inner join pg_catalog.pg_attribute a on (not a.attisdropped) and a.attnum > 0 and a.attrelid = c.oid) inner join pg_catalog.pg_type t on t.oid = a.atttypid)
    left outer join pg_attrdef d on a.atthasdef and d.adrelid = a.attrelid and d.adnum = a.attnum order by n.nspname, c.relname, attnum

-- same: Tableau, probes
SELECT 1 AS "COL" WHERE 0 = 1;
SELECT "SUBCOL" AS "COL" FROM (SELECT 1 AS "SUBCOL") "SUBQUERY" GROUP BY 1;
SELECT TOP_1."x" FROM (SELECT 1 AS "x" LIMIT 1) TOP_1

-- same: Tableau, an extract
SELECT CAST("customers"."city" AS TEXT) AS "city", CAST("customers"."email" AS TEXT) AS "email", DATE_TRUNC('MONTH', CAST("orders"."placed" AS TIMESTAMP)) AS "tmn:placed:ok", SUM("orders"."total") AS "sum:total:ok"
FROM "shop"."orders" "orders" LEFT JOIN "shop"."customers" "customers" ON ("orders"."customer_id" = "customers"."id")
WHERE (("orders"."placed" >= (TIMESTAMP '2024-01-01 00:00:00.000')) AND (NOT ("customers"."city" IS NULL))) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- same: Tableau, a level of detail
SELECT "t0"."city" AS "city", AVG("t0"."__measure__0") AS "TEMP" FROM (SELECT "customers"."city" AS "city", "customers"."id" AS "id", COUNT(DISTINCT "orders"."id") AS "__measure__0"
FROM "shop"."customers" "customers" INNER JOIN "shop"."orders" "orders" ON ("customers"."id" = "orders"."customer_id") GROUP BY 1, 2) "t0" GROUP BY 1 ORDER BY 1

-- direct: Power BI, tables
select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE from INFORMATION_SCHEMA.tables where TABLE_SCHEMA not in ('information_schema', 'pg_catalog') order by TABLE_SCHEMA, TABLE_NAME

-- direct: Power BI, columns
select COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, case when (data_type like '%unsigned%') then DATA_TYPE || ' unsigned' else DATA_TYPE end as DATA_TYPE from INFORMATION_SCHEMA.columns
where TABLE_SCHEMA = 'shop' and TABLE_NAME = 'customers' order by TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION

-- direct: Power BI, keys
select pkcol.COLUMN_NAME as PK_COLUMN_NAME, fkcol.TABLE_SCHEMA AS FK_TABLE_SCHEMA, fkcol.TABLE_NAME AS FK_TABLE_NAME, fkcol.COLUMN_NAME as FK_COLUMN_NAME, fkcol.ORDINAL_POSITION as ORDINAL, fkcon.CONSTRAINT_NAME as FK_NAME
from (select distinct constraint_catalog, constraint_schema, unique_constraint_schema, constraint_name, unique_constraint_name from INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS) fkcon
inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE fkcol on fkcon.CONSTRAINT_SCHEMA = fkcol.CONSTRAINT_SCHEMA and fkcon.CONSTRAINT_NAME = fkcol.CONSTRAINT_NAME
inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE pkcol on fkcon.UNIQUE_CONSTRAINT_SCHEMA = pkcol.CONSTRAINT_SCHEMA and fkcon.UNIQUE_CONSTRAINT_NAME = pkcol.CONSTRAINT_NAME
where pkcol.TABLE_SCHEMA = 'shop' and pkcol.TABLE_NAME = 'customers' and pkcol.ORDINAL_POSITION = fkcol.ORDINAL_POSITION order by FK_NAME, fkcol.ORDINAL_POSITION

-- same: Power BI, a folded query
select "rows"."city" as "city", sum(cast("rows"."total" as decimal)) as "a0" from (select "$Outer"."city", "$Inner"."total" from "shop"."customers" "$Outer"
left outer join "shop"."orders" "$Inner" on ("$Outer"."id" = "$Inner"."customer_id")) "rows" group by "city" order by "city" limit 1000001

-- same: Looker, a dashboard
SELECT (DATE(orders.placed AT TIME ZONE 'UTC')) AS "orders.placed_date", customers.city AS "customers.city", COALESCE(SUM(orders.total), 0) AS "orders.total", COUNT(DISTINCT customers.email) AS "customers.count"
FROM shop.orders AS orders LEFT JOIN shop.customers AS customers ON orders.customer_id = customers.id
WHERE ((orders.placed) >= ((SELECT (DATE_TRUNC('day', TIMESTAMP '2024-05-01') + (-89 || ' day')::INTERVAL)))) GROUP BY 1, 2 HAVING NOT (COALESCE(SUM(orders.total), 0) IS NULL) ORDER BY 1 DESC, 2 FETCH NEXT 500 ROWS ONLY

-- same: Looker, a symmetric aggregate
SELECT COALESCE(COALESCE(CAST((SUM(DISTINCT (CAST(FLOOR(COALESCE(orders.total, 0) * (1000000 * 1.0)) AS DECIMAL(65, 0))) + ('x' || MD5(orders.id::varchar))::bit(64)::bigint::DECIMAL(65) * 18446744073709551616 + ('x' || SUBSTR(MD5(orders.id::varchar), 17))::bit(64)::bigint::DECIMAL(65))
  - SUM(DISTINCT ('x' || MD5(orders.id::varchar))::bit(64)::bigint::DECIMAL(65) * 18446744073709551616 + ('x' || SUBSTR(MD5(orders.id::varchar), 17))::bit(64)::bigint::DECIMAL(65))) AS DOUBLE PRECISION) / CAST((1000000 * 1.0) AS DOUBLE PRECISION), 0), 0) AS total
FROM shop.orders AS orders LEFT JOIN shop.order_lines AS l ON l.order_id = orders.id

-- same: Grafana, a time series
SELECT floor(extract(epoch FROM placed) / 86400) * 86400 AS "time", state::text AS metric, count(*) AS value FROM shop.orders
WHERE placed BETWEEN '2024-01-01T00:00:00Z' AND '2024-03-01T00:00:00Z' GROUP BY 1, 2 ORDER BY 1, 2

-- same: Grafana, a gap-filled panel
SELECT s.t AS time, avg(o.total) FROM generate_series(to_timestamp(1704067200), to_timestamp(1706745600), '6 hours') s(t)
LEFT JOIN shop.orders o ON o.placed >= s.t AND o.placed < s.t + '6 hours'::interval GROUP BY s.t ORDER BY s.t

-- direct: Grafana, its query builder
SELECT CASE WHEN quote_ident(table_schema) = 'shop' THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table" FROM information_schema.tables
WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache') ORDER BY 1

-- direct: Grafana, versions
SELECT current_setting('server_version_num')::int / 100 AS version, (SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb') AS timescale
