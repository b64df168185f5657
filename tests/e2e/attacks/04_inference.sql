-- same: WHERE on a protected column
SELECT name FROM hr.emp WHERE salary > 100 ORDER BY id

-- same: equality guess
SELECT count(*) FROM hr.emp WHERE ssn = '***'

-- same: LIKE guess
SELECT name FROM hr.emp WHERE ssn LIKE '%1%' ORDER BY id

-- same: IS NULL tells nothing
SELECT count(*) FROM hr.emp WHERE meta IS NULL

-- same: HAVING
SELECT dept FROM hr.emp GROUP BY dept HAVING sum(salary) > 1 ORDER BY 1

-- same: ORDER BY a protected column
SELECT id FROM hr.emp ORDER BY salary, id

-- same: ORDER BY position
SELECT ssn, id FROM hr.emp ORDER BY 1 DESC, 2

-- same: JOIN on a protected column
SELECT count(*) FROM hr.emp e JOIN generate_series(1, 5000) AS g(n) ON g.n = e.salary

-- same: FILTER
SELECT count(*) FILTER (WHERE salary BETWEEN 1 AND 100000) FROM hr.emp

-- same: sums that differ by one row
SELECT (SELECT sum(salary) FROM hr.emp) - (SELECT sum(salary) FROM hr.emp WHERE id <> 7)

-- same: LIMIT by a protected value
SELECT id FROM shop.item ORDER BY id LIMIT (SELECT salary FROM hr.emp WHERE id = 1)

-- same: OFFSET by a protected value
SELECT id FROM shop.item ORDER BY id OFFSET (SELECT count(salary) FROM hr.emp)

-- same: generate_series up to a protected value
SELECT count(*) FROM hr.emp e, generate_series(1, e.salary)

-- same: repeat by a protected value
SELECT length(repeat('a', salary)) FROM hr.emp ORDER BY id

-- same: width_bucket
SELECT width_bucket(salary, 0, 100000, 10), count(*) FROM hr.emp GROUP BY 1

-- same: binary search by comparison
SELECT salary > 1000, salary > 2000, salary < 3000 FROM hr.emp WHERE id = 3

-- same: through a view
SELECT name FROM hr.salaries WHERE area LIKE '1%' ORDER BY id

-- same: in a join of a plain and a masked table
SELECT i.label FROM shop.item i JOIN hr.emp e ON e.id = i.sold_by WHERE e.salary > 0 ORDER BY i.id

-- refused 42501: advisory lock by a protected value
SELECT pg_advisory_lock(salary) FROM hr.emp

-- refused 42501: try an advisory lock
SELECT pg_try_advisory_xact_lock(1)

-- refused 42501: sequences
SELECT nextval('hr.counter')

-- refused 42501: setval by a protected value
SELECT setval('hr.counter', salary) FROM hr.emp

-- refused 0A000: reading a sequence
SELECT * FROM hr.counter

-- refused 42501: sleep by a protected value
SELECT pg_sleep(salary) FROM hr.emp

-- refused 42501: row locks
SELECT * FROM hr.emp WHERE salary > 5 FOR UPDATE

-- refused 0A000: sampling
SELECT ssn FROM hr.emp TABLESAMPLE BERNOULLI (50)
