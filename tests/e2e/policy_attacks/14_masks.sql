-- same: a column of a condition
SELECT id, level, diagnosis FROM care.patient ORDER BY id

-- same as porter: a condition by another level
SELECT id, level, diagnosis FROM care.patient ORDER BY id

-- same: a predicate on what is masked in some rows
SELECT id FROM care.patient WHERE diagnosis LIKE '%SECRET%' OR diagnosis = 'flu' ORDER BY id

-- same: grouped by it
SELECT diagnosis, count(*), array_agg(id ORDER BY id) FROM care.patient GROUP BY diagnosis ORDER BY 1

-- same: joined by it
SELECT count(*) FROM care.patient a JOIN care.patient b USING (diagnosis)

-- same: an error under it
SELECT CASE WHEN level > 2 THEN diagnosis::int END FROM care.patient ORDER BY id

-- same: a tag of a tag
SELECT phone, ssn, mail FROM care.patient ORDER BY id

-- same: a bucket
SELECT id, income, income % 1000, income / 7 FROM care.patient ORDER BY id

-- same: a bucket searched
SELECT id FROM care.patient WHERE income BETWEEN 4000 AND 4999 AND income <> 4137 ORDER BY id

-- same: a bucket's sum
SELECT sum(income), avg(income), stddev(income) FROM care.patient

-- same: a year
SELECT born, extract(doy FROM born), age('2024-01-01', born), to_char(born, 'MM-DD') FROM care.patient ORDER BY id

-- same: a hash
SELECT token, count(*) FROM care.patient GROUP BY token ORDER BY 1

-- same: a look-up
SELECT area, count(*) FROM care.patient GROUP BY area ORDER BY 1

-- same: a look-up searched
SELECT id FROM care.patient WHERE area = 'hills' AND area NOT LIKE '%a1' ORDER BY id

-- refused 42501: the table of a look-up
SELECT * FROM ref.area

-- refused 42501: the table that a filter reads
SELECT * FROM ref.grants

-- same: SQL of the author's
SELECT motto, length(motto) FROM care.patient ORDER BY id

-- same: an exception that has ended
SELECT legacy FROM care.patient ORDER BY id

-- same as porter: for who never had it
SELECT legacy FROM care.patient ORDER BY id

-- same: what may only be selected
SELECT id, score FROM care.patient ORDER BY id

-- refused 42501: what may only be selected, in WHERE
SELECT id FROM care.patient WHERE score > 3

-- refused 42501: in ORDER BY
SELECT id FROM care.patient ORDER BY score

-- refused 42501: by position
SELECT score FROM care.patient ORDER BY 1

-- refused 42501: in GROUP BY
SELECT count(*) FROM care.patient GROUP BY score

-- refused 42501: in an expression
SELECT score + 1 FROM care.patient

-- refused 42501: in an aggregate
SELECT max(score) FROM care.patient

-- refused 42501: in an ON
SELECT 1 FROM care.patient a JOIN care.patient b ON a.id = b.score

-- refused 42501: in a merged column
SELECT 1 FROM care.patient a JOIN care.patient b USING (score)

-- refused 42501: in a sub-SELECT
SELECT 1 FROM ref.item i WHERE EXISTS (SELECT 1 FROM care.patient p WHERE p.score = i.id)

-- refused 42501: by another name of the range
SELECT x.s FROM care.patient AS x(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, t, u, v, s) WHERE x.s > 1

-- refused 42501: as a quoted name
SELECT id FROM care.patient WHERE "score" IS NULL

-- refused 42501: as an escaped name
SELECT id FROM care.patient WHERE U&"\0073core" > 1

-- answers: raw, what everybody passes
SELECT count(*) FROM care.patient WHERE grade > 50

-- same: raw, nobody
SELECT count(*) FROM care.patient WHERE grade < 20

-- same: raw selected reads masked
SELECT id, grade, grade + 1 FROM care.patient ORDER BY id

-- same: raw does not sort
SELECT id FROM care.patient ORDER BY grade DESC, id DESC

-- same: raw does not aggregate
SELECT max(grade), sum(grade), count(grade) FROM care.patient

-- same: raw is not compared with another column
SELECT id FROM care.patient WHERE grade > id ORDER BY id

-- same: raw in a condition that fails
SELECT id FROM care.patient WHERE 1 / (grade - 101) > 0

-- same: raw cast
SELECT id FROM care.patient WHERE grade::text LIKE '2%'

-- same: raw with a sub-SELECT
SELECT id FROM care.patient WHERE grade > (SELECT max(qty) FROM ref.item) ORDER BY id

-- same: raw in HAVING
SELECT ward FROM care.patient GROUP BY ward HAVING min(grade) > 50

-- same: raw in the select list
SELECT id, grade > 50 FROM care.patient ORDER BY id

-- answers: raw in a CASE
SELECT CASE WHEN grade > 50 THEN 1 / 0 ELSE id END FROM care.patient ORDER BY id

-- same: raw in a join's ON
SELECT count(*) FROM care.patient p JOIN ref.item i ON p.grade = i.id + 226

-- same: raw of a row that is not shown
SELECT id FROM care.patient WHERE grade = 1

-- same: raw with an expression that folds
SELECT id FROM care.patient WHERE grade > 2147483647 + 1

-- same: raw behind an outer join
SELECT i.id, p.id FROM ref.item i LEFT JOIN care.patient p ON p.id = i.id WHERE p.grade > 50 ORDER BY 1

-- same: raw and a mask in one condition
SELECT id FROM care.patient WHERE grade > 50 OR ssn = 'x' ORDER BY id

-- same: masks through a view
SELECT ssn, ward FROM care.roster ORDER BY id

-- same: a column's own text mask in a predicate
SELECT id FROM care.patient WHERE mail LIKE 'k***%' AND mail !~ 'SECRET' ORDER BY id

-- same: masks with German dates
SET datestyle = 'German'; SELECT born FROM care.patient ORDER BY id

-- same: masks with other digits
SET extra_float_digits = -15; SET bytea_output = 'escape'; SELECT income, token FROM care.patient ORDER BY id

-- same: masks far east
SET timezone = 'Pacific/Kiritimati'; SELECT born, born::timestamptz FROM care.patient ORDER BY id

-- answers: a view's column that is a row
SELECT p, p::text, to_jsonb(p) FROM care.whole ORDER BY id

-- answers: a field of a view's row
SELECT (p).ssn FROM care.whole ORDER BY id

-- same: beside a view's row
SELECT id FROM care.whole ORDER BY id

-- same: what may only be selected, in a sub-SELECT's list
SELECT x.score FROM (SELECT id, score FROM care.patient) x ORDER BY x.id

-- refused 42501: in DISTINCT
SELECT DISTINCT score FROM care.patient

-- refused 42501: by position in GROUP BY
SELECT score, count(*) FROM care.patient GROUP BY 1

-- refused 42501: in UNION
SELECT score FROM care.patient UNION SELECT 1

-- refused 42501: compared through IN
SELECT 1 WHERE 3 IN (SELECT score FROM care.patient)

-- refused 42501: in a LIMIT
SELECT 1 LIMIT (SELECT score FROM care.patient LIMIT 1)

-- refused 42501: through a WITH
WITH w AS (SELECT score AS s FROM care.patient) SELECT count(*) FROM w WHERE s > 1

-- refused 42501: cast to a text
SELECT score::text FROM care.patient

-- refused 42501: in a natural join
SELECT count(*) FROM care.patient a NATURAL JOIN care.patient b

-- same: in COPY
COPY (SELECT id, score FROM care.patient ORDER BY id) TO STDOUT
