-- refused 42501: query_to_xml
SELECT query_to_xml('SELECT ssn FROM hr.emp', true, false, '')

-- refused 42501: table_to_xml
SELECT table_to_xml('hr.emp', true, false, '')

-- refused 42501: schema_to_xml
SELECT schema_to_xml('hr', true, false, '')

-- refused 42501: database_to_xml
SELECT database_to_xml(true, false, '')

-- refused 42501: cursor_to_xml
SELECT cursor_to_xml('c', 10, true, false, '')

-- refused 42501: query_to_xml, qualified
SELECT pg_catalog.query_to_xml('SELECT ssn FROM hr.emp', true, false, '')

-- refused 42501: query_to_xml, quoted
SELECT "query_to_xml"('SELECT ssn FROM hr.emp', true, false, '')

-- refused 42501: ts_stat
SELECT * FROM ts_stat('SELECT to_tsvector(ssn) FROM hr.emp')

-- refused 42501: ts_rewrite with a query
SELECT ts_rewrite('a'::tsquery, 'SELECT ssn::tsquery, ssn::tsquery FROM hr.emp')

-- refused 42501: SECURITY DEFINER function
SELECT public.peek(1)

-- refused 42501: the same, found by search_path
SELECT peek(1)

-- refused 42501: in FROM
SELECT * FROM public.peek_set()

-- refused 42501: polymorphic function
SELECT public.peek_any(1)

-- refused 42501: over a row
SELECT public.peek_row(e) FROM hr.emp e

-- refused 42501: PL/pgSQL with a notice
SELECT shout()

-- refused 42501: an aggregate of a user
SELECT peek_sum(id) FROM hr.emp

-- refused 42501: a procedure
CALL public.leak_all()

-- refused 42501: an operator of a user
SELECT 1 OPERATOR(public.===) 2

-- refused 42501: in ORDER BY USING
SELECT id FROM hr.emp ORDER BY id USING OPERATOR(public.===)

-- refused 42501: in a CASE that is never taken
SELECT CASE WHEN false THEN public.peek(1) END

-- refused 42501: in a window frame
SELECT sum(id) OVER (ORDER BY id ROWS peek(1)::int PRECEDING) FROM hr.emp

-- refused 42501: in an aggregate's filter
SELECT count(*) FILTER (WHERE public.peek(1) IS NULL) FROM shop.item

-- refused 42501: in VALUES
VALUES (public.peek(1))

-- refused 42501: in a set-returning position
SELECT * FROM ROWS FROM (public.peek_set(), generate_series(1, 2))

-- refused 42501: files
SELECT pg_read_file('/etc/passwd')

-- refused 42501: directories
SELECT * FROM pg_ls_dir('.')

-- refused 42501: another session
SELECT pg_terminate_backend(1)

-- refused 42501: statistics of another session
SELECT * FROM pg_stat_get_activity(NULL)

-- refused 42501: what the server prepared
SELECT * FROM pg_prepared_statement()

-- refused 42501: the rewritten text
SELECT current_query()

-- refused 42501: a type's input function
SELECT textin('x')

-- refused 42501: dblink, installed or not
SELECT * FROM dblink('dbname=x', 'SELECT ssn FROM hr.emp') AS t(ssn text)

-- answers: a function that the policy trusts
SELECT public.twice(21), twice(id) FROM shop.item

-- answers: a built-in that a user's function shares its name with
SELECT lower('ABC'), lower(label) FROM shop.item
