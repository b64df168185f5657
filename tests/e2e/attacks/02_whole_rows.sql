-- same: whole row
SELECT e FROM hr.emp e ORDER BY id

-- same: whole row as text
SELECT e::text FROM hr.emp e ORDER BY id

-- same: whole row of the table's own name
SELECT emp FROM hr.emp ORDER BY id

-- same: field of a row
SELECT (e).ssn, (e).salary FROM hr.emp e ORDER BY id

-- same: every field of a row
SELECT (e).* FROM hr.emp e ORDER BY id

-- same: row_to_json
SELECT row_to_json(e) FROM hr.emp e ORDER BY id

-- same: to_json and to_jsonb
SELECT to_json(e), to_jsonb(e) FROM hr.emp e ORDER BY id

-- same: json_agg
SELECT json_agg(e ORDER BY e.id) FROM hr.emp e

-- same: jsonb_each of a row
SELECT k, v FROM hr.emp e, LATERAL jsonb_each_text(to_jsonb(e)) AS t(k, v) ORDER BY e.id, k

-- same: array of rows
SELECT array_agg(e ORDER BY id) FROM hr.emp e

-- same: ROW of a star
SELECT ROW(e.*) FROM hr.emp e ORDER BY id

-- same: comparison of rows
SELECT count(*) FROM hr.emp a JOIN hr.emp b ON a = b WHERE a.id < 5

-- same: row in VALUES
SELECT x FROM hr.emp e, LATERAL (VALUES (e)) AS v(x) ORDER BY e.id

-- same: DISTINCT ON a row
SELECT count(*) FROM (SELECT DISTINCT e FROM hr.emp e) t

-- same: concat of a row
SELECT concat(e), format('%s', e) FROM hr.emp e ORDER BY id

-- same: xmlforest-like constructors
SELECT xmlelement(name e, xmlforest(ssn, salary)) FROM hr.emp ORDER BY id

-- same: pg_typeof and column sizes are those of the mask
SELECT pg_typeof(salary), pg_column_size(ssn) FROM hr.emp ORDER BY id

-- refused 42501: a function over the row, by attribute notation
SELECT e.peek_row FROM hr.emp e

-- refused 42501: a polymorphic one, by attribute notation
SELECT d.peek_any FROM hr.dept d

-- refused 42501: a built-in that runs SQL, by attribute notation
SELECT ('SELECT ssn FROM hr.emp'::text).ts_stat

-- refused 42501: a built-in that sleeps, by attribute notation
SELECT (0.01::float8).pg_sleep
