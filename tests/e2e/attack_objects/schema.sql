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
