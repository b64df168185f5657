-- same: a temporary table in the filter's place
CREATE TEMP TABLE grants AS SELECT 'nurse' AS who, 'east' AS ward;;
SELECT * FROM care.bed ORDER BY id;;
SELECT * FROM bed ORDER BY id;;
SELECT * FROM grants

-- same: a temporary table in the filtered table's place
CREATE TEMP TABLE patient AS SELECT id, ssn, 'east' AS ward FROM care.patient;;
SELECT * FROM patient ORDER BY id;;
SELECT id, ssn FROM care.patient ORDER BY id;;
DROP TABLE patient;;
SELECT id, ssn FROM patient ORDER BY id

-- answers: a statement prepared before the temporary table
PREPARE p AS SELECT id, ssn, ward FROM patient ORDER BY id;;
EXECUTE p;;
CREATE TEMP TABLE patient AS SELECT 1 AS id, 'mine' AS ssn, 'east' AS ward;;
SELECT * FROM patient;;
DROP TABLE pg_temp.patient;;
EXECUTE p

-- same: what is copied into a temporary table
CREATE TEMP TABLE mine AS SELECT * FROM care.patient;;
SELECT * FROM mine ORDER BY id;;
SELECT to_jsonb(m) FROM mine AS m ORDER BY id;;
SELECT count(*) FROM mine WHERE score IS NULL OR grade IS NULL

-- same: INTO a temporary table by a condition that fails on hidden rows
SELECT id, 10 / level AS n, note::int AS i INTO TEMP mine FROM care.patient WHERE note::int > 0;;
SELECT * FROM mine ORDER BY id

-- same: a temporary table of the type that a mask casts to
CREATE TEMP TABLE addr (street text, zip text, floor int);;
SELECT home, homes, (home).street FROM care.patient ORDER BY id

-- same: a temporary table named as a column's function
CREATE TEMP TABLE jsonb_agg (a int);;
CREATE TEMP TABLE part0 (v int);;
SELECT doc, raw_doc FROM care.patient ORDER BY id

-- same: joined with a temporary table, with statistics
CREATE TEMP TABLE mine AS SELECT generate_series(95, 130) AS id;;
ANALYZE mine;;
SELECT m.id, p.id FROM mine AS m LEFT JOIN care.patient AS p ON p.id = m.id AND 1 / p.level >= 0 ORDER BY 1

-- same: a temporary table updated from a filtered one
CREATE TEMP TABLE mine AS SELECT id, NULL AS ssn FROM ref.item;;
UPDATE mine AS m SET ssn = p.ssn FROM care.patient AS p WHERE p.id = m.id AND 1 / p.level >= 0;;
SELECT * FROM mine ORDER BY id

-- same: rolled back and looked at again
BEGIN;;
SAVEPOINT a;;
SELECT 1 / 0;;
ROLLBACK TO a;;
SELECT id FROM care.patient WHERE note::int > 0 ORDER BY id;;
COMMIT

-- same: an error first, then what is hidden
BEGIN;;
SELECT 1 / 0;;
SELECT id FROM care.patient;;
ROLLBACK

-- same: a cursor held over a write
BEGIN;;
DECLARE c CURSOR WITH HOLD FOR SELECT id, ssn, note FROM care.patient ORDER BY id;;
FETCH 2 FROM c;;
UPDATE ref.item SET label = 'x';;
FETCH 2 FROM c;;
ROLLBACK

-- same: search_path in steps
SET search_path = ref;;
SELECT code FROM ward ORDER BY 1;;
SET search_path = care, kind;;
SELECT ward, ssn FROM roster ORDER BY id;;
SELECT word FROM key

-- refused 42501: a closed schema in steps
SET search_path = vault;;
SELECT word FROM key

-- same: a temporary schema by name
CREATE TEMP TABLE mine AS SELECT 1 AS id;;
SELECT m.id, p.ssn FROM pg_temp.mine AS m JOIN care.patient AS p USING (id)

-- same: a look-up in a temporary table's words
CREATE TEMP TABLE area (real text, shown text);;
INSERT INTO area SELECT 'x', ssn FROM care.patient;;
SELECT p.area FROM care.patient AS p ORDER BY id

-- same: prepared with a type, run with another plan
PREPARE p(int) AS SELECT id, diagnosis FROM care.patient WHERE 10 / level > $1 ORDER BY id;;
EXECUTE p(1);;
EXECUTE p(2);;
EXECUTE p(3);;
EXECUTE p(4);;
EXECUTE p(5);;
EXECUTE p(6);;
EXECUTE p(7)

-- answers: COPY of a temporary table
CREATE TEMP TABLE mine AS SELECT id, ssn, doc FROM care.patient;;
COPY mine TO STDOUT

-- answers as clerk: what is over the limit stays there
CREATE TEMP TABLE mine AS SELECT id, ssn FROM care.patient;;
SELECT count(*), max(ssn) FROM mine;;
SELECT * FROM mine ORDER BY id
