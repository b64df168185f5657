-- answers: explain
EXPLAIN SELECT * FROM shop.customers WHERE id = 7

-- answers: explain with options
EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT c.email, o.total FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id

-- answers: explain of an open table
EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM shop.products

-- same: copy of a query
COPY (SELECT id, name, email FROM shop.customers ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER true)

-- same: copy with every option
COPY (SELECT id, remark, credit FROM shop.customers ORDER BY id) TO STDOUT (FORMAT csv, DELIMITER ';', NULL 'NA', QUOTE '"', ESCAPE '"', FORCE_QUOTE (remark), ENCODING 'UTF8')

-- same: copy of a table
COPY shop.products (id, sku, price) TO STDOUT

-- answers: copy of a masked table
COPY shop.customers TO STDOUT WITH CSV HEADER

-- same: copy in binary
COPY (SELECT id, born, credit FROM shop.customers ORDER BY id) TO STDOUT (FORMAT binary)

-- same: prepare and execute
PREPARE by_city (text) AS SELECT id, email FROM shop.customers WHERE city = $1 ORDER BY id;
EXECUTE by_city('Pune');
DEALLOCATE by_city

-- same: prepare with types left out
PREPARE q AS SELECT $1::int + id AS n, phone FROM shop.customers WHERE id < $2 ORDER BY id;
EXECUTE q(10, 4);
DEALLOCATE ALL

-- same: a cursor in a transaction
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT id, email FROM shop.customers ORDER BY id;
FETCH 5 FROM c;
FETCH FORWARD 3 FROM c;
MOVE 2 IN c;
FETCH NEXT c;
CLOSE c;
COMMIT

-- same: a cursor that outlives its transaction, as Tableau has it
BEGIN;
declare "SQL_CUR0x7f8a4c0" cursor with hold for SELECT "customers"."city" AS "city", SUM(1) AS "sum:Number of Records:ok" FROM "shop"."customers" "customers" GROUP BY 1 ORDER BY 1;
fetch 10000 in "SQL_CUR0x7f8a4c0";
close "SQL_CUR0x7f8a4c0";
COMMIT

-- same: a binary scroll cursor
BEGIN;
DECLARE s BINARY SCROLL CURSOR FOR SELECT id, ssn FROM shop.employees ORDER BY id;
FETCH LAST s;
FETCH ABSOLUTE 2 FROM s;
FETCH BACKWARD 1 FROM s;
FETCH ALL FROM s;
CLOSE ALL;
END

-- same: transactions and savepoints
START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SAVEPOINT a;
SELECT count(*) FROM shop.orders;
ROLLBACK TO SAVEPOINT a;
RELEASE a;
SET TRANSACTION READ ONLY;
ABORT

-- same: a read-only session
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL READ COMMITTED;
BEGIN READ ONLY DEFERRABLE;
SELECT id FROM shop.customers ORDER BY id LIMIT 1;
COMMIT AND CHAIN;
ROLLBACK

-- same: settings of the session
SET TIME ZONE 'Asia/Kolkata';
SET DateStyle TO 'ISO, DMY';
SET intervalstyle = iso_8601;
SET bytea_output = 'escape';
SET extra_float_digits = 3;
SELECT timestamptz '2024-01-05 10:00+00', date '2024-02-03', interval '40 days', '\x6162'::bytea, 0.1::float8;
RESET TimeZone;
RESET ALL

-- same: settings of a transaction
BEGIN;
SET LOCAL statement_timeout = '30s';
SET LOCAL work_mem = '16MB';
SET LOCAL lock_timeout TO DEFAULT;
SHOW statement_timeout;
COMMIT

-- same: the language of full text
SET default_text_search_config = 'pg_catalog.simple';
SELECT to_tsvector('running shoes');
RESET default_text_search_config

-- same apart: the search path
SET search_path TO shop, geo;
SHOW search_path;
SELECT count(*) FROM customers;
SELECT current_schemas(true);
RESET search_path

-- same: the language of dates
SET lc_time = 'C';
SELECT to_char(date '2024-02-03', 'TMMonth');
RESET lc_time

-- same: the planner's own settings
SET random_page_cost = 1.1;
SET effective_cache_size = '1GB';
SET constraint_exclusion = on;
SET geqo_threshold = 14;
SET cpu_tuple_cost = 0.02;
SET min_parallel_table_scan_size = '4MB';
SET default_statistics_target = 200;
SET maintenance_work_mem = '32MB';
SHOW random_page_cost

-- same: what a session may be asked
SHOW server_version;
SHOW server_encoding;
SHOW client_encoding;
SHOW TRANSACTION ISOLATION LEVEL;
SHOW transaction_isolation;
SHOW standard_conforming_strings;
SHOW max_identifier_length;
SHOW integer_datetimes;
SHOW TIME ZONE;
SHOW datestyle;
SHOW lc_monetary

-- same: what ORMs check at the start
SHOW default_transaction_read_only;
SHOW transaction_read_only;
SHOW max_connections;
SHOW default_transaction_isolation;
SHOW is_superuser

-- same: settings by name
SELECT current_setting('server_version_num')::int / 10000, current_setting('TimeZone'), current_setting('search_path'), pg_catalog.current_setting('server_version_num', true)

-- same: settings through set_config
SELECT set_config('statement_timeout', '10000', false), set_config('bytea_output', 'hex', false)

-- answers: whether the server is a primary
SELECT pg_is_in_recovery(), pg_postmaster_start_time() < now(), version(), pg_backend_pid() > 0, inet_server_addr(), inet_server_port()

-- answers: one's own connection
SELECT pid, usename, datname, application_name, state, backend_type FROM pg_stat_activity WHERE pid = pg_backend_pid()

-- answers: the connection's encryption
SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()

-- same: discard
DISCARD ALL

-- same: a pool's reset
ROLLBACK;
SELECT pg_advisory_unlock_all();
CLOSE ALL;
DEALLOCATE ALL;
UNLISTEN *;
RESET ALL

-- same: nothing
;

-- same: a health check
SELECT 1

-- answers: transaction ids
SELECT pg_current_xact_id_if_assigned(), txid_current_if_assigned(), pg_current_snapshot() IS NOT NULL, txid_snapshot_xmin(txid_current_snapshot()) > 0

-- answers: the age of a table
SELECT relname, age(relfrozenxid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'shop'::regnamespace ORDER BY 1

-- same: copy with a header, in the old syntax
COPY (SELECT id, salary FROM shop.employees ORDER BY id) TO STDOUT WITH CSV HEADER

-- same: forms of SET
SET NAMES 'UTF8';
SET TIME ZONE LOCAL;
SET TIME ZONE INTERVAL '+05:30' HOUR TO MINUTE;
SHOW TIME ZONE;
SET SCHEMA 'shop';
SET XML OPTION CONTENT;
SET SESSION statement_timeout TO DEFAULT;
SET SEED TO 0.5

-- same: parts of discard
DISCARD PLANS;
DISCARD SEQUENCES

-- same: copies of values and tables
COPY (VALUES (1, 'x')) TO STDOUT;
COPY (TABLE shop.employees) TO STDOUT CSV

-- answers: explain of a prepared text
EXPLAIN (GENERIC_PLAN, FORMAT YAML) SELECT * FROM shop.customers WHERE city = $1

-- same: a whole session of psql's
BEGIN;
SELECT count(*) FROM shop.customers;
SAVEPOINT pg_psql_temporary_savepoint;
SELECT email FROM shop.customers ORDER BY id LIMIT 1;
RELEASE pg_psql_temporary_savepoint;
COMMIT

-- answers: how fresh a replica is
SELECT CASE WHEN pg_is_in_recovery() THEN now() - pg_last_xact_replay_timestamp() END AS lag, pg_last_wal_replay_lsn(), pg_last_wal_receive_lsn()

-- answers: the transaction's number, as DataGrip asks for it
SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE (pg_catalog.txid_current() % (2 ^ 32)::bigint)::varchar::bigint END AS current_txid

-- answers: pg_current_xact_id
SELECT pg_current_xact_id() IS NOT NULL
