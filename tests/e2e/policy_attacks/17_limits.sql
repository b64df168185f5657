-- same as clerk: cut
SELECT id, ssn FROM care.patient ORDER BY id

-- same as clerk: as many as allowed
SELECT id FROM care.patient ORDER BY id LIMIT 3

-- same as clerk: one more than allowed
SELECT id FROM care.patient ORDER BY id LIMIT 4

-- same as clerk: an OFFSET goes on
SELECT id FROM care.patient ORDER BY id OFFSET 7

-- same as clerk: ties
SELECT level FROM care.patient ORDER BY level FETCH FIRST 2 ROWS WITH TIES

-- refused 22012 as clerk: an error in the last row
SELECT 1 / (id - 3) FROM care.patient ORDER BY id

-- same as clerk: all in one row
SELECT array_agg(id ORDER BY id), string_agg(ssn, ',') FROM care.patient

-- same as clerk: the hidden rows do not count
SELECT id FROM care.patient WHERE ward = 'east'

-- same as clerk: a union
SELECT id FROM care.bed UNION ALL SELECT id FROM care.patient ORDER BY 1

-- same as clerk: VALUES
VALUES (1), (2), (3), (4)

-- same as clerk: a set-returning function
SELECT generate_series(1, 100)

-- same as clerk: COPY
COPY (SELECT id, diagnosis FROM care.patient ORDER BY id) TO STDOUT

-- same as clerk: a WITH
WITH w AS (SELECT * FROM care.patient) SELECT id, level FROM w ORDER BY id

-- answers as clerk: a cursor in two parts
BEGIN; DECLARE c CURSOR FOR SELECT id FROM care.patient ORDER BY id; FETCH 2 FROM c; FETCH 2 FROM c; MOVE ALL FROM c; COMMIT

-- answers as clerk: a cursor to and fro
BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM care.patient ORDER BY id; FETCH LAST FROM c; FETCH ABSOLUTE 5 FROM c; FETCH BACKWARD ALL FROM c; COMMIT

-- answers as clerk: moves tell no more
BEGIN; DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM care.patient; MOVE FORWARD ALL FROM c; MOVE BACKWARD ALL FROM c; COMMIT; CLOSE c

-- answers as clerk: PREPARE
PREPARE p(int) AS SELECT id FROM care.patient WHERE id > $1 ORDER BY id; EXECUTE p(1); EXECUTE p(2)

-- answers as clerk: a temporary table of more
CREATE TEMP TABLE mine AS SELECT id, ssn FROM care.patient

-- answers as clerk: EXPLAIN
EXPLAIN SELECT id FROM care.patient

-- same as clerk: RETURNING is a result too
SELECT count(*) FROM care.patient
