-- same: a WITH query named as the filter's table
WITH grants AS (SELECT 'nurse' AS who, code AS ward FROM ref.ward) SELECT * FROM care.bed ORDER BY id

-- same: a WITH query named as the filtered table
WITH bed AS (SELECT 1 AS id, 'east' AS ward) SELECT b.id FROM bed, care.bed b ORDER BY b.id

-- same: a WITH query named as the look-up's table
WITH area(real, shown) AS (SELECT mail, ssn FROM care.patient) SELECT p.area FROM care.patient p ORDER BY id

-- same: a range named as the filter's alias
SELECT g.id, g.ward FROM care.bed AS g ORDER BY g.id

-- same: a range named as the masked view's alias
SELECT t.id, t.ssn FROM care.patient AS t WHERE t.ward <> 'x' ORDER BY t.id

-- same: a range named as a part's alias
SELECT part0.doc, part0.raw_doc FROM care.patient AS part0, (VALUES ('east')) AS each0(v) ORDER BY id

-- same: ranges named as what takes documents apart
SELECT e1.doc, below1.v, leaf.v, whole0.v FROM care.patient e1, (VALUES (1)) below1(v), (VALUES (2)) leaf(v), (VALUES (3)) whole0(v) ORDER BY id

-- same: a range named row
SELECT "row".id, "row".ward FROM care.bed AS "row" ORDER BY 1

-- same: a range named user
SELECT "user".ward FROM care.patient AS "user" ORDER BY id

-- same: ranges named old, new and excluded
SELECT old.id, new.ssn, excluded.ward FROM care.patient old JOIN care.patient new USING (id) JOIN care.patient excluded USING (id) ORDER BY 1

-- same: odd column names
SELECT * FROM care.odd ORDER BY id

-- same: a column of the masked view's alias
SELECT t, t.t, odd."row", "a""b", "é", old, new FROM care.odd AS t, care.odd ORDER BY t.id, odd.id

-- same: a range called as its column
SELECT t FROM care.odd t ORDER BY id

-- same: a range called as its masked column
SELECT excluded, excluded.part0 FROM care.odd AS excluded ORDER BY id

-- same: column aliases that swap names
SELECT x.ssn, x.ward FROM care.roster AS x(id, ssn, name, level, ward) ORDER BY id

-- same: column aliases that swap the filter's column
SELECT p.id FROM care.patient AS p(id, ward, name) WHERE p.ward <> 'north' AND p.name = 'north' ORDER BY id

-- same: escaped identifiers
SELECT U&"s\0073n", p.U&"w\0061rd" FROM care.U&"p\+000061tient" AS p ORDER BY id

-- same: escaped with another sign
SELECT U&"!0073sn" UESCAPE '!' FROM care.U&"?0070atient" UESCAPE '?' ORDER BY id

-- same: comments in every place
SELECT/**/p/**/./**/ssn/**/FROM/*'*/care/**/./*"*/patient/**/AS/**/p--'
ORDER/**/BY/**/id

-- same: comments that look like markers
SELECT id FROM /* pgveil_0123456789abcdef.v0 */ care.patient /* ) AS t OFFSET 0 */ ORDER BY id

-- same: dollar quotes around a table
SELECT $care$care.patient$care$, $$ FROM care.patient $$ || name FROM care.patient ORDER BY id

-- same: names of 63 characters and more
WITH a123456789b123456789c123456789d123456789e123456789f123456789012_one AS (SELECT id FROM care.patient) SELECT * FROM a123456789b123456789c123456789d123456789e123456789f123456789012_two ORDER BY 1

-- same: names of many bytes
WITH "ααααααααααααααααααααααααααααααααααααααααα" AS (SELECT ssn, id FROM care.patient) SELECT ssn FROM "ααααααααααααααααααααααααααααααααααααααααα" ORDER BY id

-- same: a marker as a text
SELECT 'pgveil_0123456789abcdef0123456789abcdef.v0', id FROM care.patient ORDER BY id

-- same: a marker as a table
SELECT * FROM pgveil_0123456789abcdef.v0

-- same: a marker as an alias
SELECT v0.id FROM care.patient AS v0, care.bed AS "pgveil_0123456789abcdef.v1" ORDER BY 1

-- same: a marker as a WITH query
WITH v0 AS (SELECT 'east' AS ward), v1 AS (SELECT * FROM v0) SELECT v1.ward, p.id FROM v1, care.patient p ORDER BY 2

-- same: a marker as a column
SELECT id AS "pgveil_0123456789abcdef.v0", ssn AS v0 FROM care.patient ORDER BY 1

-- refused 42P01: the floor's schema
SELECT * FROM pgveil_nurse."care.patient"

-- refused 42P01: another role's floor
SELECT * FROM pgveil_porter."care.patient"

-- answers: a temporary table named as the filter's
CREATE TEMP TABLE grants AS SELECT 'nurse' AS who, 'east' AS ward

-- refused 0A000: a temporary table, and the name at once
CREATE TEMP TABLE patient AS SELECT 1 AS id; SELECT * FROM patient

-- refused 42501: a temporary table named as a catalogue
CREATE TEMP TABLE pg_proc (a int)

-- answers: a temporary table named as a type of the schema
CREATE TEMP TABLE addr (street text, zip text, floor int)

-- answers: a temporary table from what is seen
CREATE TEMP TABLE mine AS SELECT * FROM care.patient

-- same: a search_path that has both
SELECT p.ssn, g.label FROM patient p JOIN bed g ON g.ward = p.ward ORDER BY p.id, g.id

-- refused 42P01: a search_path and a name behind it
SET search_path = vault, care; SELECT * FROM key

-- same: joins with aliases hidden by aliases
SELECT j.id FROM (care.patient p JOIN care.bed b ON b.ward = p.ward) AS j(id) ORDER BY 1

-- same: p is not seen behind the join's alias
SELECT p.id FROM (care.patient p JOIN care.bed b ON b.ward = p.ward) AS j

-- same: JOIN USING with an alias
SELECT j.ward, p.id FROM care.patient p JOIN care.bed b USING (ward) AS j ORDER BY 2, b.id

-- same: a natural join on masked names
SELECT count(*) FROM care.patient NATURAL JOIN care.roster

-- same: a function named as a table
SELECT * FROM generate_series(1, 3) AS patient, care.patient AS series WHERE series.id = patient ORDER BY 1

-- same: parentheses
SELECT ((p).id), (((p).home)).zip FROM ((care.fenced AS p CROSS JOIN (VALUES (1)) AS x)) ORDER BY id

-- same: TABLE
TABLE care.roster ORDER BY id

-- same: ONLY with parentheses
SELECT count(*) FROM ONLY (care.event) WHERE id < 10 AND id > 0

-- same: the star of inheritance
SELECT id, body FROM care.event * ORDER BY id
