-- direct: Django, tables
SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END, obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1

-- direct: Django, columns
SELECT a.attname AS column_name, NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)) AS is_nullable, pg_get_expr(ad.adbin, ad.adrelid) AS column_default, CASE WHEN collname = 'default' THEN NULL ELSE collname END AS collation,
       a.attidentity != '' AS is_autofield, col_description(a.attrelid, a.attnum) AS column_comment
FROM pg_attribute a LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum LEFT JOIN pg_collation co ON a.attcollation = co.oid JOIN pg_type t ON a.atttypid = t.oid JOIN pg_class c ON a.attrelid = c.oid JOIN pg_namespace n ON c.relnamespace = n.oid
WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND c.relname = 'orders' AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY a.attnum

-- direct: Django, constraints
SELECT c.conname, array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY cols(colid, arridx) JOIN pg_attribute AS ca ON cols.colid = ca.attnum WHERE ca.attrelid = c.conrelid ORDER BY cols.arridx), c.contype,
       (SELECT fkc.relname || '.' || fka.attname FROM pg_attribute AS fka JOIN pg_class AS fkc ON fka.attrelid = fkc.oid WHERE fka.attrelid = c.confrelid AND fka.attnum = c.confkey[1]), cl.reloptions
FROM pg_constraint AS c JOIN pg_class AS cl ON c.conrelid = cl.oid WHERE cl.relname = 'orders' AND pg_catalog.pg_table_is_visible(cl.oid) ORDER BY 1

-- direct: Django, sequences
SELECT s.relname AS sequence_name, a.attname AS colname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
JOIN pg_attribute a ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum JOIN pg_class tbl ON tbl.oid = d.refobjid AND tbl.relname = 'orders' AND pg_catalog.pg_table_is_visible(tbl.oid) WHERE s.relkind = 'S' ORDER BY 1

-- same: Django, a page of a list
SELECT "customers"."id", "customers"."name", "customers"."email", COUNT("orders"."id") AS "n", EXISTS(SELECT 1 AS "a" FROM "shop"."orders" U0 WHERE (U0."customer_id" = ("customers"."id") AND U0."state" = 'paid') LIMIT 1) AS "paid"
FROM "shop"."customers" LEFT OUTER JOIN "shop"."orders" ON ("customers"."id" = "orders"."customer_id") GROUP BY "customers"."id", "customers"."name", "customers"."email" ORDER BY "customers"."id" ASC LIMIT 21

-- same: Django, a lookup without case
SELECT "customers"."id" FROM "shop"."customers" WHERE (UPPER("customers"."name"::text) LIKE UPPER('%Customer 1%') AND ("customers"."joined" AT TIME ZONE 'UTC')::date >= '2022-01-01'::date) ORDER BY 1

-- direct: Rails, columns
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid, a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment, attidentity AS identity, attgenerated
FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum LEFT JOIN pg_type t ON a.atttypid = t.oid LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation
WHERE a.attrelid = '"shop"."customers"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum

-- direct: Rails, types
SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype FROM pg_type AS t LEFT JOIN pg_range AS r ON oid = rngtypid
WHERE t.typname IN ('int2', 'int4', 'text', 'jsonb', 'state', 'int4range') OR t.typtype IN ('r', 'e', 'd') OR t.typinput = 'array_in(cstring,oid,integer)'::regprocedure OR t.typelem != 0 ORDER BY t.oid

-- direct: Rails, a table's keys
SELECT a.attname FROM (SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx FROM pg_index WHERE indrelid = '"shop"."order_lines"'::regclass AND indisprimary) i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.idx] ORDER BY i.idx

-- direct: Rails, foreign keys
SELECT t2.oid::regclass::text AS to_table, a1.attname AS column, a2.attname AS primary_key, c.conname AS name, c.confupdtype AS on_update, c.confdeltype AS on_delete, c.convalidated AS valid, c.condeferrable AS deferrable
FROM pg_constraint c JOIN pg_class t1 ON c.conrelid = t1.oid JOIN pg_class t2 ON c.confrelid = t2.oid JOIN pg_attribute a1 ON a1.attnum = c.conkey[1] AND a1.attrelid = t1.oid JOIN pg_attribute a2 ON a2.attnum = c.confkey[1] AND a2.attrelid = t2.oid
JOIN pg_namespace t3 ON c.connamespace = t3.oid WHERE c.contype = 'f' AND t1.relname = 'order_lines' AND t3.nspname = 'shop' ORDER BY c.conname

-- answers: Rails, its session
SET client_min_messages TO 'warning';
SET standard_conforming_strings = on;
SET SESSION timezone TO 'UTC';
SHOW max_identifier_length;
SHOW search_path;
SET intervalstyle = iso_8601;
SELECT current_setting('server_version_num')

-- direct: dbt, relations of a schema
select 'everyday' as database, tablename as name, schemaname as schema, 'table' as type from pg_tables where schemaname ilike 'shop'
union all select 'everyday', viewname, schemaname, 'view' from pg_views where schemaname ilike 'shop'
union all select 'everyday', matviewname, schemaname, 'materialized_view' from pg_matviews where schemaname ilike 'shop' order by 2

-- direct: dbt, columns
select column_name, data_type, character_maximum_length, numeric_precision, numeric_scale from information_schema.columns where table_name = 'products' and table_schema = 'shop' order by ordinal_position

-- direct: dbt, the catalogue
select sch.nspname as table_schema, tbl.relname as table_name, case tbl.relkind when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW' else 'BASE TABLE' end as table_type, tbl_desc.description as table_comment, col.attname as column_name, col.attnum as column_index,
       pg_catalog.format_type(col.atttypid, col.atttypmod) as column_type, col_desc.description as column_comment, pg_get_userbyid(tbl.relowner) as table_owner
from pg_catalog.pg_namespace sch join pg_catalog.pg_class tbl on tbl.relnamespace = sch.oid join pg_catalog.pg_attribute col on col.attrelid = tbl.oid
left outer join pg_catalog.pg_description tbl_desc on (tbl_desc.objoid = tbl.oid and tbl_desc.objsubid = 0) left outer join pg_catalog.pg_description col_desc on (col_desc.objoid = tbl.oid and col_desc.objsubid = col.attnum)
where sch.nspname = 'shop' and not pg_is_other_temp_schema(sch.oid) and tbl.relpersistence in ('p', 'u') and tbl.relkind in ('r', 'v', 'f', 'p', 'm') and col.attnum > 0 and not col.attisdropped order by sch.nspname, tbl.relname, col.attnum

-- direct: dbt, schemas and grants
select distinct nspname from pg_namespace where nspname not like 'pg\_%' union all select grantee || privilege_type from information_schema.role_table_grants where grantor = current_role and grantee != current_role and table_schema = 'shop' order by 1

-- direct: dbt, what depends on what
with relation as (select pg_rewrite.ev_class as class, pg_rewrite.oid as id from pg_rewrite),
class as (select oid as id, relname as name, relnamespace as schema, relkind as kind from pg_class),
dependency as (select distinct pg_depend.objid as id, pg_depend.refobjid as ref from pg_depend)
select distinct dep.name as dependent, ref.name as referenced from relation join dependency on dependency.id = relation.id join class dep on dep.id = relation.class join class ref on ref.id = dependency.ref
where dep.id != ref.id and dep.schema = 'shop'::regnamespace order by 1, 2

-- same: dbt, a model's preview
with source as (select * from shop.customers), renamed as (select id as customer_id, name as full_name, email, credit from source), final as (select * from renamed) select * from final order by customer_id limit 5

-- direct: Hasura, tables
SELECT schema.nspname AS table_schema, "table".relname AS table_name, coalesce(columns.info, '[]') AS columns, (SELECT json_agg(json_build_object('constraint', json_build_object('name', r.conname, 'oid', r.oid::int8)) ORDER BY r.conname) FROM pg_catalog.pg_constraint r WHERE r.conrelid = "table".oid AND r.contype = 'u') AS unique_keys
FROM pg_catalog.pg_class "table" JOIN pg_catalog.pg_namespace schema ON schema.oid = "table".relnamespace
LEFT JOIN LATERAL (SELECT jsonb_agg(jsonb_build_object('name', "column".attname, 'position', "column".attnum, 'type', coalesce(base_type.typname, "type".typname), 'is_nullable', NOT "column".attnotnull,
                          'description', pg_catalog.col_description("table".oid, "column".attnum)) ORDER BY "column".attnum) AS info
                   FROM pg_catalog.pg_attribute "column" LEFT JOIN pg_catalog.pg_type "type" ON "type".oid = "column".atttypid LEFT JOIN pg_catalog.pg_type base_type ON "type".typtype = 'd' AND base_type.oid = "type".typbasetype
                   WHERE "column".attrelid = "table".oid AND "column".attnum > 0 AND NOT "column".attisdropped) columns ON true
WHERE "table".relkind IN ('r', 'v', 'm', 'f', 'p') AND schema.nspname = 'shop' ORDER BY 2

-- direct: PostgREST, relationships
SELECT ns1.nspname AS table_schema, tab.relname AS table_name, ns2.nspname, other.relname, traint.conname, (SELECT array_agg(row(cols.attname, refs.attname) ORDER BY ord) FROM unnest(traint.conkey, traint.confkey) WITH ORDINALITY AS _(col, ref, ord)
    JOIN pg_attribute cols ON cols.attrelid = traint.conrelid AND cols.attnum = col JOIN pg_attribute refs ON refs.attrelid = traint.confrelid AND refs.attnum = ref)::text
FROM pg_constraint traint JOIN pg_namespace ns1 ON ns1.oid = traint.connamespace JOIN pg_class tab ON tab.oid = traint.conrelid JOIN pg_class other ON other.oid = traint.confrelid JOIN pg_namespace ns2 ON ns2.oid = other.relnamespace
WHERE traint.contype = 'f' AND traint.conparentid = 0 ORDER BY traint.conrelid, traint.conname

-- same: PostgREST, a request
WITH pgrst_source AS (SELECT "shop"."customers"."id", "shop"."customers"."email" FROM "shop"."customers" WHERE "shop"."customers"."city" = 'Pune' ORDER BY id LIMIT 5 OFFSET 0)
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t

-- answers: pgAdmin, the dashboard
SELECT 'session_stats' AS chart_name, row_to_json(t) AS chart_data FROM (SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = current_database()) AS "Total", (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'active' AND datname = current_database()) AS "Active") t
UNION ALL SELECT 'tps_stats', row_to_json(t) FROM (SELECT (SELECT sum(xact_commit) + sum(xact_rollback) FROM pg_catalog.pg_stat_database WHERE datname = current_database()) AS "Transactions") t

-- direct: pgAdmin, a table's properties
SELECT rel.oid, rel.relname AS name, rel.reltablespace AS spcoid, rel.relacl AS relacl_str, pg_get_userbyid(rel.relowner) AS relowner, rel.relkind, substring(array_to_string(rel.reloptions, ',') FROM 'fillfactor=([0-9]*)') AS fillfactor,
       (CASE WHEN rel.relrowsecurity THEN true ELSE false END) AS rlspolicy, EXISTS (SELECT 1 FROM pg_catalog.pg_trigger WHERE tgrelid = rel.oid AND tgisinternal = false) AS triggers, des.description, pg_relation_size(rel.oid) AS size
FROM pg_catalog.pg_class rel LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = rel.oid AND des.objsubid = 0 AND des.classoid = 'pg_class'::regclass)
WHERE rel.relkind IN ('r', 's', 't', 'p') AND rel.relnamespace = 'shop'::regnamespace AND NOT rel.relispartition ORDER BY rel.relname

-- direct: pgAdmin, grants
SELECT 'relacl' AS deftype, coalesce(gt.rolname, 'PUBLIC') AS grantee, g.rolname AS grantor, array_agg(privilege_type ORDER BY 1) AS privileges
FROM (SELECT (d).grantee AS grantee, (d).grantor AS grantor, (d).privilege_type AS privilege_type FROM (SELECT aclexplode(rel.relacl) AS d FROM pg_catalog.pg_class rel WHERE rel.relname = 'pg_class') a) d
LEFT JOIN pg_catalog.pg_roles g ON (d.grantor = g.oid) LEFT JOIN pg_catalog.pg_roles gt ON (d.grantee = gt.oid) GROUP BY g.rolname, gt.rolname ORDER BY 2

-- direct: pgAdmin, triggers
SELECT t.oid, t.tgname AS name, t.tgenabled, pg_catalog.pg_get_triggerdef(t.oid, true), p.proname, t.tgargs IS NULL FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND t.tgrelid = 'shop.orders'::regclass

-- answers: pgAdmin, table statistics
SELECT seq_scan, seq_tup_read, idx_scan, n_tup_ins, n_live_tup, n_dead_tup, heap_blks_read, last_vacuum, last_analyze, pg_size_pretty(pg_relation_size(stat.relid) + CASE WHEN cl.reltoastrelid = 0 THEN 0 ELSE pg_relation_size(cl.reltoastrelid) END)
FROM pg_catalog.pg_stat_all_tables stat JOIN pg_catalog.pg_statio_all_tables statio ON stat.relid = statio.relid JOIN pg_catalog.pg_class cl ON cl.oid = stat.relid WHERE stat.schemaname = 'shop' ORDER BY stat.relname

-- answers: progress of maintenance
SELECT p.pid, p.phase, p.blocks_done FROM pg_stat_progress_create_index p UNION ALL SELECT pid, phase, heap_blks_scanned FROM pg_stat_progress_vacuum UNION ALL SELECT pid, phase, sample_blks_scanned FROM pg_stat_progress_analyze

-- answers: replication
SELECT r.application_name, r.state, r.sync_state FROM pg_stat_replication r UNION ALL SELECT slot_name::text, plugin::text, active::text FROM pg_replication_slots

-- answers: one's own locks
SELECT l.locktype, l.mode, l.granted, l.relation::regclass FROM pg_locks l WHERE l.pid = pg_backend_pid()

-- answers: connections by state
SELECT state, wait_event_type, count(*), max(now() - backend_start) > interval '0' FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1, 2

-- answers: sizes of everything
SELECT pg_size_pretty(pg_database_size(current_database())), pg_size_pretty(sum(pg_total_relation_size(oid))) FROM pg_class WHERE relkind = 'r'

-- direct: names to oids and back
SELECT to_regclass('shop.orders'), to_regclass('nothing.here'), 'shop.orders'::regclass::oid = (SELECT oid FROM pg_class WHERE relname = 'orders'), to_regproc('lower'), to_regrole('postgres'), to_regnamespace('shop'), 'shop.orders'::regclass::text

-- direct: privileges by every name
SELECT has_table_privilege('shop.orders', 'SELECT'), has_column_privilege('shop.customers', 'email', 'SELECT'), has_schema_privilege('shop', 'USAGE'), has_database_privilege(current_database(), 'CONNECT'), has_sequence_privilege('shop.ticket', 'USAGE'),
       has_function_privilege('lower(text)', 'EXECUTE'), has_any_column_privilege('shop.customers', 'SELECT'), pg_has_role('postgres', 'MEMBER'), has_language_privilege('sql', 'USAGE'), has_type_privilege('shop.state', 'USAGE')

-- direct: information schema, routines
SELECT routine_schema, routine_name, data_type FROM information_schema.routines WHERE routine_schema IN ('shop', 'geo') ORDER BY 1, 2

-- direct: information schema, views and constraints
SELECT table_name, is_updatable FROM information_schema.views WHERE table_schema = 'shop' UNION ALL SELECT constraint_name, check_clause FROM information_schema.check_constraints WHERE constraint_schema = 'shop' AND constraint_name LIKE 'remark%' ORDER BY 1

-- direct: information schema, triggers and sequences
SELECT trigger_name, event_manipulation, action_timing FROM information_schema.triggers WHERE event_object_schema = 'shop' UNION ALL SELECT sequence_name, data_type, start_value FROM information_schema.sequences WHERE sequence_schema = 'shop' ORDER BY 1

-- answers: settings as a table
SELECT name, setting, unit, category, short_desc, context, vartype, source, boot_val, reset_val FROM pg_settings WHERE name IN ('work_mem', 'server_version', 'max_connections') ORDER BY name

-- direct: the time zones
SELECT name, abbrev FROM pg_timezone_names WHERE name LIKE 'Asia/Ko%' ORDER BY name

-- direct: keywords and collations
SELECT word, catcode FROM pg_get_keywords() WHERE word LIKE 'sel%' UNION ALL SELECT collname, 'C' FROM pg_collation WHERE collname = 'C' ORDER BY 1

-- answers: counters of a table
SELECT c.relname, pg_stat_get_live_tuples(c.oid), pg_stat_get_dead_tuples(c.oid), pg_stat_get_numscans(c.oid), pg_stat_get_last_analyze_time(c.oid), pg_stat_get_tuples_inserted(c.oid) FROM pg_class c WHERE c.relname = 'orders'

-- answers: counters of the database
SELECT pg_stat_get_db_numbackends(oid) > 0, pg_stat_get_db_xact_commit(oid) >= 0, pg_stat_get_db_blocks_hit(oid) >= 0 FROM pg_database WHERE datname = current_database()

-- direct: sequences
SELECT schemaname, sequencename, start_value, increment_by, cache_size, data_type FROM pg_sequences WHERE schemaname = 'shop' ORDER BY 2

-- direct: the tree of partitions
SELECT relid, parentrelid, isleaf, level, pg_partition_root(relid) FROM pg_partition_tree('shop.events') ORDER BY relid::text

-- direct: how an object is called
SELECT (pg_identify_object('pg_class'::regclass, 'shop.orders'::regclass, 0)).identity, pg_describe_object('pg_class'::regclass, 'shop.orders'::regclass, 1), pg_get_serial_sequence('shop.orders', 'id')

-- direct: versions of functions, where a join leaves some out
SELECT n.nspname, p.proname, p.xmin IS NULL AS missing, a.xmin IS NULL FROM pg_namespace n LEFT JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = 'st_x' LEFT JOIN pg_attribute a ON a.attrelid = p.oid
WHERE n.nspname IN ('geo', 'shop') ORDER BY 1

-- direct: versions in groups
SELECT v.xmin, count(*) FROM pg_catalog.pg_attribute v WHERE v.attrelid = 'shop.orders'::regclass GROUP BY v.xmin ORDER BY 2, v.xmin::text
