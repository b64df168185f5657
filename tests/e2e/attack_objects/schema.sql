-- Objects that a DBA may have made and that would carry protected values past a careless proxy: on top of
-- attacks/schema.sql.
CREATE FUNCTION public.peek_null(int) RETURNS boolean LANGUAGE sql AS 'SELECT $1 IS NULL OR EXISTS (SELECT 1 FROM hr.emp WHERE salary = $1)';
CREATE DOMAIN public.chk2 AS int CHECK (public.peek_null(VALUE));
CREATE TABLE shop.gen (id int, ssn text, ssn_up text GENERATED ALWAYS AS (upper(ssn)) STORED, ssn_v text GENERATED ALWAYS AS (lower(ssn)) VIRTUAL);
CREATE TABLE shop.gen0 (id int, ssn text);
CREATE TABLE shop.base_b (id int, ssn text);
CREATE TABLE hr.multi () INHERITS (shop.gen0, shop.base_b);
CREATE TABLE shop.domtab (id int, c public.chk2);
CREATE FUNCTION public.vfn(VARIADIC hr.dept[]) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM hr.emp LIMIT 1';
CREATE FUNCTION public.set_config(text, text, int) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM hr.emp LIMIT 1';
CREATE MATERIALIZED VIEW shop.mv_fn AS SELECT code, public.peek(1) AS p FROM hr.dept WITH NO DATA;
CREATE MATERIALIZED VIEW shop.mv_row AS SELECT id, e::text AS whole FROM hr.emp e WITH NO DATA;
CREATE MATERIALIZED VIEW shop.mv_row2 AS SELECT id, row_to_json(s) AS whole FROM hr.salaries s WITH NO DATA;
CREATE TABLE shop.feel (id int, m public.mood);
CREATE DOMAIN public.scale AS int CHECK (public.peek_int(VALUE, VALUE));
CREATE VIEW shop.v_row AS SELECT id, e AS r FROM hr.emp e;
CREATE VIEW shop.v_cat AS SELECT tablename, attname, most_common_vals::text AS m, histogram_bounds::text AS h FROM pg_stats;
CREATE VIEW shop.v_act AS SELECT pid, query FROM pg_stat_activity;
CREATE TYPE public.comp AS (a text, b public.chk2);
CREATE TABLE shop.comps (id int, c public.comp, cs public.comp[]);
-- Children whose generated columns have expressions of their own.
CREATE TABLE shop.gp (id int, ssn text, other text, g text GENERATED ALWAYS AS (upper(other)) STORED);
CREATE TABLE shop.gc (g text GENERATED ALWAYS AS (upper(ssn)) STORED) INHERITS (shop.gp);
CREATE TABLE shop.gq (id int, g text GENERATED ALWAYS AS ('x') STORED);
CREATE TABLE shop.gd (ssn text, g text GENERATED ALWAYS AS (upper(ssn)) STORED) INHERITS (shop.gq);
CREATE VIEW shop.v_gp AS SELECT g FROM shop.gp;
CREATE MATERIALIZED VIEW shop.mv_gp AS SELECT g FROM shop.gp WITH NO DATA;
-- Copies of what catalogues hide: PostgreSQL records no dependency on them.
CREATE MATERIALIZED VIEW shop.mv_stat AS SELECT stavalues1::text AS a, stavalues2::text AS b FROM pg_statistic s
    JOIN pg_class c ON c.oid = s.starelid WHERE c.relname = 'emp' WITH NO DATA;
CREATE VIEW shop.v_source AS SELECT proname, prosrc FROM pg_proc;
CREATE MATERIALIZED VIEW shop.mv_source AS SELECT * FROM shop.v_source WITH NO DATA;
-- Types whose input runs code at one remove.
CREATE DOMAIN public.wrapchk AS int CHECK (VALUE IS NULL OR (VALUE::public.chk2) IS NOT NULL);
CREATE DOMAIN public.arrchk AS int CHECK (VALUE IS NULL OR (ARRAY[VALUE])::public.chk2[] IS NOT NULL);
CREATE DOMAIN public.readchk AS text CHECK (VALUE <> current_setting('app.secret', true));
CREATE DOMAIN public.positive AS int CHECK (VALUE > 0 AND length(VALUE::text) < 12);
CREATE FUNCTION public.cmp2(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN EXISTS (SELECT 1 FROM hr.emp WHERE salary = $1) THEN 1 ELSE -1 END';
CREATE OPERATOR CLASS public.my_ops FOR TYPE int USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 public.cmp2(int, int);
CREATE TYPE public.orng AS RANGE (subtype = int, subtype_opclass = public.my_ops);
