-- same: everything
SELECT * FROM care.patient ORDER BY id

-- same as porter: everything of another ward
SELECT * FROM care.patient ORDER BY id

-- same: an OR does not open the filter
SELECT id FROM care.patient WHERE id = 1 OR true ORDER BY id

-- same: a comment does not end the filter
SELECT id FROM care.patient WHERE id < 5 -- ) OR (true
ORDER BY id

-- same: division by zero on hidden rows
SELECT id FROM care.patient WHERE 1 / level > -1 ORDER BY id

-- same: a cast that hidden rows cannot stand
SELECT id FROM care.patient WHERE note::int > 0 ORDER BY id

-- same: the same behind an index
SELECT id FROM care.patient WHERE ward = 'east' AND 10 / level > 0

-- same: a cast in an ON
SELECT p.id FROM care.patient p JOIN ref.item i ON i.id = p.note::int ORDER BY 1

-- same: a cast in the ON of an outer join
SELECT i.id, p.id FROM ref.item i LEFT JOIN care.patient p ON p.note::int = i.id AND 1 / p.level >= 0 ORDER BY 1

-- same: a cast in CASE
SELECT id, CASE WHEN ward = 'east' THEN note::int ELSE 0 END FROM care.patient ORDER BY id

-- same: a cast in ORDER BY
SELECT id FROM care.patient ORDER BY note::int DESC, 1 / level

-- same: a cast in ORDER BY with LIMIT
SELECT id FROM care.patient ORDER BY 1 / level, note::int LIMIT 2

-- same: a cast in HAVING
SELECT ward FROM care.patient GROUP BY ward HAVING min(1 / level) > -1 AND ward <> 'x'

-- same: HAVING on the group's own key
SELECT note FROM care.patient GROUP BY note HAVING note::int > 0 ORDER BY 1

-- same: a cast in GROUP BY
SELECT note::int, count(*) FROM care.patient GROUP BY note::int ORDER BY 1

-- same: in FILTER
SELECT count(*) FILTER (WHERE 1 / level > 0) FROM care.patient

-- same: in DISTINCT ON
SELECT DISTINCT ON (100 / level) id FROM care.patient ORDER BY 100 / level, id

-- same: in a window
SELECT id, sum(id) OVER (PARTITION BY 100 / level ORDER BY note::int) FROM care.patient ORDER BY id

-- same: in a window's frame
SELECT id, sum(id) OVER (ORDER BY id ROWS (SELECT max(note::int) FROM care.patient) PRECEDING) FROM care.patient ORDER BY id

-- same: in LIMIT
SELECT id FROM ref.item ORDER BY id LIMIT (SELECT max(10 / level) FROM care.patient WHERE note::int > 0)

-- same: in OFFSET
SELECT id FROM ref.item ORDER BY id OFFSET (SELECT min(10 / level) FROM care.patient)

-- same: in FETCH WITH TIES
SELECT level FROM care.patient ORDER BY 10 / level FETCH FIRST 2 ROWS WITH TIES

-- same: in VALUES
VALUES ((SELECT sum(10 / level) FROM care.patient))

-- same: LATERAL
SELECT p.id, x.n FROM care.patient p, LATERAL (SELECT 10 / p.level AS n, p.note::int) x ORDER BY 1

-- same: LATERAL that is asked first
SELECT i.id, x.id FROM ref.item i, LATERAL (SELECT p.id FROM care.patient p WHERE p.note::int / i.id = 1 AND 1 / p.level >= 0) x ORDER BY 1, 2

-- same: a set-returning function over it
SELECT count(*) FROM care.patient p, generate_series(1, 10 / p.level)

-- same: a set-returning function in the select list
SELECT id, generate_series(1, 4 / level) FROM care.patient ORDER BY 1, 2

-- same: EXISTS
SELECT id FROM ref.item i WHERE EXISTS (SELECT 1 FROM care.patient p WHERE p.id = i.id AND 1 / p.level >= 0) ORDER BY 1

-- same: NOT EXISTS
SELECT count(*) FROM ref.ward w WHERE NOT EXISTS (SELECT FROM care.patient p WHERE p.ward = w.code)

-- same: NOT IN
SELECT code FROM ref.ward WHERE code NOT IN (SELECT ward FROM care.patient WHERE note::int > 0) ORDER BY 1

-- same: ALL
SELECT 0 < ALL (SELECT level FROM care.patient), 0 = ANY (SELECT level FROM care.patient)

-- same: a sub-SELECT that correlates with a hidden row
SELECT (SELECT p.name FROM care.patient p WHERE p.id = i.id + 100) FROM ref.item i ORDER BY i.id

-- same: UNION under one WHERE
SELECT id FROM (SELECT id, level FROM care.patient UNION ALL SELECT id, qty FROM ref.item) u WHERE 1 / level >= 0 ORDER BY 1

-- same: EXCEPT of a guess
SELECT generate_series(100, 104) EXCEPT SELECT id FROM care.patient ORDER BY 1

-- same: a recursive query that counts up
WITH RECURSIVE r(n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM r JOIN care.patient p ON p.id = r.n) SELECT * FROM r

-- same: a materialised WITH
WITH w AS MATERIALIZED (SELECT * FROM care.patient) SELECT id FROM w WHERE note::int > 0 ORDER BY id

-- same: a WITH that is not
WITH w AS NOT MATERIALIZED (SELECT * FROM care.patient) SELECT id FROM w WHERE note::int > 0 AND 1 / level >= 0 ORDER BY id

-- same: a join with itself on what is hidden
SELECT count(*) FROM care.patient a FULL JOIN care.patient b ON a.level = b.level - 1

-- same: an array of a constant that cannot be one
SELECT id FROM care.patient WHERE level = ANY ('{1,x}'::int[])

-- same: a constant that fails on its own
SELECT id FROM care.patient WHERE id = 101 AND 1 / 0 = 1

-- same: a regular expression that only hidden rows break
SELECT id FROM care.patient WHERE 'a' ~ ('[' || note || ']') ORDER BY id

-- same: LIKE with an escape at its end
SELECT id FROM care.patient WHERE name LIKE 'zq%\' ORDER BY id

-- same: LIKE with an escape at its end that is put together
SELECT id FROM care.patient WHERE name LIKE 'zq' || '%\' ORDER BY id

-- same: ILIKE with an escape at its end, in a prepared statement
PREPARE p(text) AS SELECT id FROM care.patient WHERE name ILIKE $1; EXECUTE p('ZQ8%\')

-- same: LIKE with an escape at its end, through a view
SELECT count(*) FROM care.roster WHERE name LIKE 'zq%\'

-- same: NOT LIKE in a join
SELECT count(*) FROM care.visit v JOIN care.patient p ON p.id = v.patient AND p.note NOT LIKE 'zq%\'

-- same: LIKE over a filter with a sub-SELECT
SELECT id FROM care.bed WHERE label LIKE 'zq%\' ORDER BY id

-- same: LIKE ANY
SELECT id FROM care.patient WHERE name LIKE ANY (ARRAY['x', 'zq%\']) ORDER BY id

-- same: bytes that are LIKE
SELECT id FROM care.patient WHERE convert_to(name, 'UTF8') LIKE 'zq%\\'::bytea ORDER BY id

-- same: LIKE in a HAVING
SELECT note FROM care.patient GROUP BY note HAVING note LIKE 'zq%\' ORDER BY 1

-- same: LIKE under OR and NOT
SELECT id FROM care.patient WHERE NOT (name LIKE 'zq%\' OR id = 3) ORDER BY id

-- same: LIKE of a parent
SELECT id FROM care.event WHERE kind LIKE 'si%\' ORDER BY id

-- same: LIKE as a function
SELECT id FROM care.patient WHERE textlike(name, 'zq%\')

-- same: LIKE of a security barrier view
SELECT id FROM care.fenced WHERE name LIKE 'zq%\'

-- same: LIKE in the ON of an outer join
SELECT i.id FROM ref.item i LEFT JOIN care.patient p ON p.id = i.id AND p.name LIKE 'zq%\' ORDER BY 1

-- same: LIKE outside DISTINCT and LIMIT
SELECT id FROM (SELECT DISTINCT id, name FROM care.patient LIMIT 100) u WHERE name LIKE 'zq%\'

-- same: LIKE outside a materialised WITH
WITH w AS MATERIALIZED (SELECT * FROM care.patient) SELECT id FROM w WHERE name LIKE 'zq%\'

-- same: LIKE with another escape
SELECT id FROM care.patient WHERE name LIKE 'zq^%^' ESCAPE '^'

-- same: LIKE of a column under a condition
SELECT id FROM care.patient WHERE diagnosis LIKE 'zq%\' ORDER BY id

-- same: LIKE of a partition
SELECT id FROM care.visit_2024 WHERE ward LIKE 'eas%\' ORDER BY id

-- answers: EXPLAIN of it
EXPLAIN (COSTS off) SELECT id FROM care.patient WHERE name LIKE 'zq%\'

-- same: SIMILAR TO
SELECT id FROM care.patient WHERE name SIMILAR TO '%(SECRET|person 1)%' ORDER BY id

-- same: overflow on hidden rows
SELECT id FROM care.patient WHERE id * 20000000 < 2147483647 ORDER BY id

-- same: a power that overflows
SELECT id FROM care.patient WHERE 10.0 ^ (id / 10) < 1e9 ORDER BY id

-- same: a substring of negative length
SELECT id FROM care.patient WHERE substr(name, 1, level - 1) <> 'z' ORDER BY id

-- same: a date that only hidden rows cannot be
SELECT id FROM care.patient WHERE make_date(2000, level, 1) > '1999-01-01' ORDER BY id

-- same: a sub-SELECT of more than one row
SELECT id FROM care.patient WHERE level = (SELECT level FROM care.patient WHERE ward = 'east')

-- refused 42501: a cheap function of a user
SELECT id FROM care.patient WHERE public.cheap(name)

-- refused 42883: an operator of a user
SELECT id FROM care.patient WHERE name === 'x'

-- refused 42501: an operator of a user, by its schema
SELECT id FROM care.patient WHERE name OPERATOR(public.===) 'x'

-- refused 42501: the function by attribute notation
SELECT (name).cheap FROM care.patient

-- same: volatile functions
SELECT id FROM care.patient WHERE random() >= 0 AND clock_timestamp() > '2000-01-01' AND note::int > 0 ORDER BY id

-- same: cheap built-in functions first
SELECT id FROM care.patient WHERE textlen(note) / level >= 0 ORDER BY id

-- same: a view over the filtered table
SELECT * FROM care.spy

-- same: a view with a filter of its own
SELECT * FROM care.roster WHERE 5 / (3 - level) > 0 ORDER BY id

-- same: a security barrier view
SELECT * FROM care.fenced WHERE 1 / level >= 0 ORDER BY id

-- same: a view that groups
SELECT * FROM care.counts

-- same: a view of a union
SELECT * FROM care.both ORDER BY 1, 2

-- same: a partitioned table
SELECT * FROM care.visit ORDER BY id

-- same: a partition
SELECT * FROM care.visit_2024 ORDER BY id

-- same as porter: a partition by another attribute
SELECT * FROM care.visit_2025 ORDER BY id

-- same: a condition that fails in other partitions
SELECT id FROM care.visit WHERE 10 / patient > 0 ORDER BY id

-- same: a child with a filter
SELECT * FROM care.alarm ORDER BY id

-- same: the parent of a child with a filter
SELECT * FROM care.event WHERE 10 / id > 0 ORDER BY id

-- same: only the parent
SELECT count(*) FROM ONLY care.event WHERE id BETWEEN 1 AND 9

-- same: a filter with a sub-SELECT
SELECT * FROM care.bed ORDER BY id

-- same as porter: a filter with a sub-SELECT, for another
SELECT * FROM care.bed ORDER BY id

-- same: a cast before the sub-SELECT's join
SELECT id FROM care.bed WHERE label::int > 0 ORDER BY id

-- same: a cast before the sub-SELECT's join, cheap plans off
SELECT b.id FROM care.bed b JOIN ref.item i ON i.id = b.label::int ORDER BY b.id

-- same: filtered tables joined
SELECT p.id, v.id, b.id FROM care.patient p JOIN care.visit v ON v.patient = p.id JOIN care.bed b ON b.ward = p.ward WHERE 1 / p.level >= 0 AND b.label::int > 0 ORDER BY 1, 2, 3

-- same: a foreign key joins nobody
SELECT s.id, p.name FROM care.stay s LEFT JOIN care.patient p ON p.id = s.patient ORDER BY s.id

-- same: group by the primary key
SELECT p.id, p.name, p.ssn, count(s.id) FROM care.patient p LEFT JOIN care.stay s ON s.patient = p.id GROUP BY p.id, p.name, p.ssn ORDER BY 1

-- refused 42501: a materialised view of hidden rows
SELECT * FROM care.tally
