-- The database that the attacks are run against. Rows come from `rows.sql` with {a} and {b} filled in:
-- two databases that differ in nothing but protected values.
CREATE SCHEMA hr;
CREATE SCHEMA shop;
CREATE SCHEMA secret;

CREATE TABLE hr.dept (code text PRIMARY KEY, title text NOT NULL);
CREATE TABLE hr.emp (
    id int PRIMARY KEY, name text NOT NULL, dept text REFERENCES hr.dept, ssn text NOT NULL UNIQUE, salary int,
    meta jsonb, hired date, CONSTRAINT salary_is_positive CHECK (salary > 0));
CREATE TABLE hr.contractor (rate numeric) INHERITS (hr.emp);
CREATE TABLE hr.pay (emp_id int NOT NULL, year int NOT NULL, amount int, note text) PARTITION BY RANGE (year);
CREATE TABLE hr.pay_2024 PARTITION OF hr.pay FOR VALUES FROM (2024) TO (2025);
CREATE TABLE hr.pay_2025 PARTITION OF hr.pay FOR VALUES FROM (2025) TO (2026);
CREATE TABLE shop.item (id int PRIMARY KEY, label text, price numeric, sold_by int);
CREATE TABLE public.emp (id int, note text);
CREATE TABLE secret.vault (id int, word text);
CREATE SEQUENCE hr.counter START 5;

CREATE VIEW hr.directory AS SELECT id, name, dept FROM hr.emp;
CREATE VIEW hr.salaries AS SELECT id, name, salary, left(ssn, 3) AS area FROM hr.emp;
CREATE VIEW hr.top_paid AS SELECT s.name, s.salary * 2 AS twice FROM hr.salaries AS s WHERE s.salary > 10;
CREATE VIEW hr.fenced WITH (security_barrier) AS SELECT id, name, salary FROM hr.emp WHERE dept = 'eng';
CREATE VIEW hr.peeking AS SELECT id, name FROM hr.emp;
CREATE MATERIALIZED VIEW hr.payroll AS SELECT id, ssn, salary FROM hr.emp WITH NO DATA;
CREATE MATERIALIZED VIEW hr.headcount AS SELECT dept, count(*) AS heads FROM hr.emp GROUP BY dept WITH NO DATA;

CREATE FUNCTION public.peek(int) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    'SELECT ssn FROM hr.emp WHERE id = $1';
CREATE FUNCTION public.peek_row(hr.emp) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM hr.emp WHERE id = $1.id';
CREATE FUNCTION public.peek_any(anyelement) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM hr.emp LIMIT 1';
CREATE FUNCTION public.peek_set() RETURNS SETOF hr.emp LANGUAGE sql AS 'SELECT * FROM hr.emp';
CREATE FUNCTION public.lower(int) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM hr.emp WHERE id = $1';
CREATE FUNCTION public.shout() RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'ssn is %', (SELECT ssn FROM hr.emp LIMIT 1); RETURN 1; END $$;
CREATE FUNCTION public.peek_int(int, int) RETURNS boolean LANGUAGE sql AS
    'SELECT EXISTS (SELECT 1 FROM hr.emp WHERE salary = $2)';
CREATE FUNCTION public.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE PROCEDURE public.leak_all() LANGUAGE plpgsql AS $$ BEGIN PERFORM public.shout(); END $$;
CREATE OPERATOR public.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = public.peek_int);
CREATE AGGREGATE public.peek_sum(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE DOMAIN public.checked AS int CHECK (public.peek_int(VALUE, VALUE));
CREATE TYPE public.mood AS ENUM ('low', 'high');
CREATE VIEW hr.calling AS SELECT id, public.peek(id) AS ssn_copy FROM hr.dept, generate_series(1, 3) AS id;
