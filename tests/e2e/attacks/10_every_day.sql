-- answers: group by the primary key
SELECT e.id, e.name, e.ssn, count(p.year) FROM hr.emp e LEFT JOIN hr.pay p ON p.emp_id = e.id GROUP BY e.id ORDER BY e.id

-- answers: group by the primary key, unqualified
SELECT id, upper(name), max(hired) FROM ONLY hr.emp GROUP BY id ORDER BY id

-- answers: group by position of the primary key
SELECT emp.id, name, count(*) FROM hr.emp GROUP BY 1 ORDER BY 1

-- answers: having and order by of a determined column
SELECT id FROM hr.emp GROUP BY id HAVING name LIKE 'person 1%' ORDER BY name DESC

-- same: a key and a rollup of a masked column beside it
SELECT id, ssn, count(*), GROUPING(ssn) FROM hr.emp GROUP BY id, ROLLUP (ssn) ORDER BY 1, 4
