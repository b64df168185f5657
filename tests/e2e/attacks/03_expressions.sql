-- same: cast
SELECT ssn::varchar(3), salary::text FROM hr.emp ORDER BY id

-- same: concatenation
SELECT '' || ssn || name FROM hr.emp ORDER BY id

-- same: CASE
SELECT CASE WHEN salary > 100 THEN 'high' ELSE 'low' END FROM hr.emp ORDER BY id

-- same: coalesce and nullif
SELECT coalesce(salary, -1), nullif(ssn, '***') FROM hr.emp ORDER BY id

-- same: aggregates
SELECT min(ssn), max(ssn), sum(salary), avg(salary), count(salary), count(DISTINCT ssn) FROM hr.emp

-- same: aggregates by group
SELECT dept, sum(salary), array_agg(ssn ORDER BY id) FROM hr.emp GROUP BY dept ORDER BY dept

-- same: window functions
SELECT id, rank() OVER (ORDER BY salary, id), lag(ssn) OVER (ORDER BY id) FROM hr.emp ORDER BY id

-- same: named window
SELECT first_value(ssn) OVER w, nth_value(salary, 2) OVER w FROM hr.emp WINDOW w AS (ORDER BY id) ORDER BY id

-- same: ordered-set aggregates
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY salary), mode() WITHIN GROUP (ORDER BY ssn) FROM hr.emp

-- same: arrays
SELECT ARRAY[ssn, name], ARRAY(SELECT ssn FROM hr.emp ORDER BY id) FROM hr.emp ORDER BY id

-- same: json constructors
SELECT json_build_object('s', ssn, 'p', salary), jsonb_object_agg(id, ssn) FROM hr.emp GROUP BY ssn, salary

-- same: json operators on a masked document
SELECT meta ->> 'pin', meta #>> '{pin}', meta @> '{"floor": 1}' FROM hr.emp ORDER BY id

-- same: LATERAL VALUES
SELECT v.x FROM hr.emp e, LATERAL (VALUES (e.ssn)) AS v(x) ORDER BY e.id

-- same: LATERAL subquery
SELECT x.s FROM hr.dept d, LATERAL (SELECT max(ssn) AS s FROM hr.emp e WHERE e.dept = d.code) x ORDER BY d.code

-- same: UNION
SELECT ssn FROM hr.emp UNION SELECT title FROM hr.dept ORDER BY 1

-- same: INTERSECT and EXCEPT
(SELECT ssn FROM hr.emp INTERSECT SELECT ssn FROM hr.contractor) EXCEPT SELECT 'none'

-- same: UNION ALL keeps columns apart
SELECT id, ssn FROM hr.contractor UNION ALL SELECT id, label FROM shop.item ORDER BY id, 2

-- same: recursive query over the table
WITH RECURSIVE r AS (SELECT id, ssn FROM hr.emp WHERE id = 1
    UNION ALL SELECT e.id, e.ssn FROM hr.emp e JOIN r ON e.id = r.id + 1 WHERE e.id < 6)
SELECT * FROM r ORDER BY id

-- same: USING merge
SELECT id, a.ssn FROM hr.emp a JOIN hr.emp b USING (id, ssn) ORDER BY id

-- same: NATURAL join
SELECT count(*) FROM hr.emp NATURAL JOIN hr.contractor

-- same: full join on a protected column
SELECT count(*) FROM hr.emp a FULL JOIN hr.pay p ON a.salary = p.amount

-- same: subquery in the select list
SELECT (SELECT ssn FROM hr.emp WHERE id = 1), (SELECT max(salary) FROM hr.emp)

-- same: correlated subquery
SELECT d.code, (SELECT max(e.salary) FROM hr.emp e WHERE e.dept = d.code) FROM hr.dept d ORDER BY 1

-- same: IN a subquery
SELECT name FROM hr.emp WHERE ssn IN (SELECT ssn FROM hr.contractor) ORDER BY id

-- same: ANY and ALL
SELECT count(*) FROM hr.emp WHERE salary >= ALL (SELECT salary FROM hr.emp)

-- same: GROUPING SETS
SELECT dept, ssn, count(*) FROM hr.emp GROUP BY GROUPING SETS ((dept), (ssn), ()) ORDER BY 1, 2, 3

-- same: CUBE with grouping()
SELECT grouping(dept, ssn), count(*) FROM hr.emp GROUP BY CUBE (dept, ssn) ORDER BY 1, 2

-- same: string functions
SELECT left(ssn, 5), reverse(ssn), md5(ssn), encode(convert_to(ssn, 'UTF8'), 'hex') FROM hr.emp ORDER BY id

-- same: regular expressions
SELECT regexp_match(ssn, '(.)'), ssn ~ '^a', regexp_replace(ssn, '.', 'x', 'g') FROM hr.emp ORDER BY id

-- same: string_agg
SELECT string_agg(ssn, ',' ORDER BY id), string_agg(salary::text, ',' ORDER BY id) FROM hr.emp

-- same: unnest of an array of masked values
SELECT unnest(ARRAY[ssn]) FROM hr.emp ORDER BY id

-- same: DISTINCT ON
SELECT DISTINCT ON (dept) dept, ssn, salary FROM hr.emp ORDER BY dept, salary DESC NULLS LAST, id

-- same: VALUES with a subquery
VALUES ((SELECT ssn FROM hr.emp WHERE id = 2)), ('x')

-- same: XMLTABLE
SELECT x.* FROM hr.emp e, XMLTABLE('/r' PASSING xmlelement(name r, e.ssn) COLUMNS s text PATH '.') x ORDER BY e.id

-- same: full text
SELECT to_tsvector('simple', ssn) @@ to_tsquery('simple', 'a'), ts_headline(ssn, 'x'::tsquery) FROM hr.emp ORDER BY id

-- same: ROWS FROM
SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY(SELECT ssn FROM hr.contractor ORDER BY id))) AS t(a, b)
