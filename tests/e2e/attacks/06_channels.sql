-- refused 42501: NOTICE from DO
DO $$ BEGIN RAISE NOTICE '%', (SELECT ssn FROM hr.emp LIMIT 1); END $$

-- refused 42501: pg_notify payload
SELECT pg_notify('c', ssn) FROM hr.emp

-- refused 42501: NOTIFY
NOTIFY c, 'x'

-- refused 42501: LISTEN
LISTEN c

-- refused 42501: set_config
SELECT set_config('application_name', ssn, false) FROM hr.emp

-- refused 42501: custom setting through set_config
SELECT set_config('app.x', ssn, false) FROM hr.emp

-- refused 42501: SHOW of a custom setting
SHOW app.secret

-- refused 42501: current_setting of a custom setting
SELECT current_setting('app.secret', true)

-- refused 42501: current_setting of a computed name
SELECT current_setting('app.' || 'secret')

-- refused 42501: current_setting of a computed name in a row
SELECT current_setting(v.n, true) FROM (VALUES ('app.secret')) AS v(n)

-- answers: current_setting of a custom setting's name as a value
SELECT current_setting('app.secret'::text, true), current_setting(CAST('App.Secret' AS varchar)), pg_catalog.current_setting('app.secret'::name)

-- answers: current_setting of names that are cut to others
SELECT current_setting('app.secretly'::varchar(10), true), current_setting('data_directory_too'::varchar(14)), current_setting('HBA_FILE'::text)

-- answers: current_setting of a prepared name
PREPARE named(text) AS SELECT current_setting($1, true), $1 = 'app.secret'; EXECUTE named('app.secret'); EXECUTE named('data_directory'); DEALLOCATE named

-- same: current_setting of an open setting's name as a value
SELECT current_setting('server_version_num'::varchar(18)), current_setting('Work_Mem'::text, true), current_setting('nothing'::text, true)

-- answers: SHOW ALL
SHOW ALL

-- same: COPY of a query
COPY (SELECT id, ssn, salary FROM hr.emp ORDER BY id) TO STDOUT

-- answers: COPY of the table
COPY hr.emp TO STDOUT

-- answers: COPY of columns as csv
COPY hr.emp (ssn, salary) TO STDOUT WITH (FORMAT csv, HEADER)

-- answers: COPY binary
COPY hr.emp TO STDOUT WITH (FORMAT binary)

-- answers: COPY of a partitioned query with old options
COPY (SELECT * FROM hr.pay) TO STDOUT CSV

-- refused 42501: COPY to a file
COPY hr.emp TO '/tmp/emp.csv'

-- refused 42501: COPY to a program
COPY (SELECT ssn FROM hr.emp) TO PROGRAM 'cat'

-- refused 42501: COPY FROM STDIN
COPY hr.emp FROM STDIN

-- refused 42501: COPY of a query that writes
COPY (DELETE FROM hr.emp RETURNING *) TO STDOUT

-- answers: a cursor
DECLARE c CURSOR WITH HOLD FOR SELECT id, ssn, salary FROM hr.emp ORDER BY id; FETCH ALL FROM c; CLOSE c

-- answers: a scrolling cursor
BEGIN; DECLARE c SCROLL CURSOR FOR SELECT ssn FROM hr.emp ORDER BY id; FETCH LAST FROM c; FETCH PRIOR FROM c; COMMIT

-- answers: PREPARE and EXECUTE
PREPARE p(int) AS SELECT ssn, salary FROM hr.emp WHERE id = $1; EXECUTE p(3); DEALLOCATE p

-- refused 42501: PREPARE of a write
PREPARE w AS DELETE FROM hr.emp

-- refused 42501: EXECUTE with a function that reads
PREPARE q(text) AS SELECT $1; EXECUTE q(public.peek(1))

-- answers: EXPLAIN
EXPLAIN SELECT * FROM hr.emp WHERE salary > 1000

-- answers: EXPLAIN VERBOSE
EXPLAIN (VERBOSE, FORMAT json) SELECT ssn FROM hr.emp WHERE ssn = 'x'

-- refused 42501: EXPLAIN ANALYZE of a masked table
EXPLAIN ANALYZE SELECT * FROM hr.emp WHERE salary > 1000

-- refused 42501: EXPLAIN of a write
EXPLAIN DELETE FROM hr.emp

-- refused 42501: large objects
SELECT lo_get(4242)

-- refused 42501: large objects by descriptor
SELECT loread(lo_open(4242, 262144), 1000)

-- refused 42501: large objects by table
SELECT data FROM pg_largeobject

-- refused 42501: several statements, the last of them bad
SELECT 1; SELECT id FROM hr.emp; DROP TABLE hr.emp

-- answers: several statements
SELECT ssn FROM hr.emp WHERE id = 1; SELECT salary FROM hr.emp WHERE id = 1
