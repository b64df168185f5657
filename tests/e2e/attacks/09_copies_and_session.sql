-- refused 42501: CREATE TABLE AS
CREATE TABLE public.copy AS SELECT * FROM hr.emp

-- refused 42501: SELECT INTO
SELECT * INTO public.copy FROM hr.emp

-- refused 42501: temporary table
CREATE TEMP TABLE copy AS SELECT * FROM hr.emp

-- refused 42501: INSERT ... SELECT
INSERT INTO shop.item SELECT id, ssn FROM hr.emp

-- refused 42501: UPDATE of another table
UPDATE shop.item SET label = e.ssn FROM hr.emp e WHERE e.id = sold_by

-- refused 42501: MERGE
MERGE INTO shop.item i USING hr.emp e ON i.sold_by = e.id WHEN MATCHED THEN UPDATE SET label = e.ssn

-- refused 42501: WITH that deletes
WITH d AS (DELETE FROM hr.emp RETURNING ssn) SELECT * FROM d

-- refused 42501: WITH that inserts, not referenced
WITH d AS (INSERT INTO shop.item SELECT id, ssn FROM hr.emp RETURNING 1) SELECT 1

-- refused 42501: CREATE FUNCTION
CREATE FUNCTION public.mine() RETURNS text LANGUAGE sql AS 'SELECT ssn FROM hr.emp'

-- refused 42501: index on an expression
CREATE INDEX ON hr.emp ((1 / (salary - 1000)))

-- refused 42501: CREATE VIEW
CREATE VIEW public.mine AS SELECT ssn FROM hr.emp

-- refused 42501: an operator of its own
CREATE OPERATOR public.<<< (LEFTARG = int, RIGHTARG = int, FUNCTION = public.peek_int)

-- refused 42501: a cast of its own
CREATE CAST (int AS text) WITH INOUT AS IMPLICIT

-- refused 42501: ALTER TABLE
ALTER TABLE hr.emp RENAME COLUMN ssn TO x

-- refused 42501: GRANT
GRANT SELECT ON hr.emp TO PUBLIC

-- refused 42501: VACUUM and ANALYZE
ANALYZE hr.emp

-- refused 42501: TRUNCATE
TRUNCATE hr.emp

-- refused 42501: COMMENT
COMMENT ON TABLE hr.emp IS 'x'

-- refused 42501: REFRESH
REFRESH MATERIALIZED VIEW hr.payroll

-- refused 42501: LOCK
LOCK TABLE hr.emp

-- refused 42501: SET ROLE
SET ROLE postgres

-- refused 42501: SET SESSION AUTHORIZATION
SET SESSION AUTHORIZATION postgres

-- refused 42501: RESET ROLE
RESET ROLE

-- refused 42501: backslashes
SET standard_conforming_strings = off

-- refused 42501: client_encoding
SET client_encoding = 'LATIN1'

-- refused 42501: SET NAMES
SET NAMES 'SJIS'

-- refused 42501: row_security
SET row_security = off

-- refused 42501: debug messages
SET client_min_messages = debug5

-- refused 42501: debugging parse trees
SET debug_print_parse = on

-- refused 42501: replication role
SET session_replication_role = replica

-- refused 42501: loading libraries
LOAD 'auto_explain'

-- refused 42501: two-phase commit
PREPARE TRANSACTION 'x'

-- refused 42501: another snapshot
SET TRANSACTION SNAPSHOT '00000003-0000001B-1'

-- answers: DISCARD ALL
DISCARD ALL

-- answers: RESET ALL
RESET ALL

-- answers: search_path to the table's own schema
SET search_path = hr

-- refused 0A000: a name that the statement before it moves
SET search_path = hr; SELECT ssn FROM emp
