-- same: rows that are seen
UPDATE care.patient SET note = '5' WHERE true RETURNING id

-- same: LIKE with an escape at its end
UPDATE care.patient SET note = '5' WHERE name LIKE 'zq%\' RETURNING id

-- same: rows that are not seen
UPDATE care.patient SET note = '5' WHERE id > 100 RETURNING id

-- same: a condition that fails on hidden rows
UPDATE care.patient SET note = '5' WHERE 1 / level >= 0 AND note::int > 0 RETURNING id

-- same: a condition in FROM that fails on hidden rows
WITH u AS (UPDATE care.patient AS p SET note = i.label FROM ref.item i WHERE i.id = p.note::int AND 1 / p.level >= 0 RETURNING p.id) SELECT * FROM u ORDER BY 1

-- same: a new value that fails on hidden rows
UPDATE care.patient SET note = (10 / level)::text RETURNING id, note

-- same: deleting what is seen
DELETE FROM care.alarm WHERE 1 / id >= 0 RETURNING id

-- same: deleting through the parent
DELETE FROM care.event RETURNING id, kind

-- same: deleting in partitions
DELETE FROM care.visit WHERE 10 / patient >= 0 RETURNING id, ward

-- same: deleting in one partition
DELETE FROM care.visit_2024 RETURNING id

-- same: deleting by a filter with a sub-SELECT
DELETE FROM care.bed WHERE label::int > 0 RETURNING *

-- same: USING
WITH d AS (DELETE FROM care.bed AS b USING care.patient p WHERE p.ward = b.ward AND p.note::int = b.id RETURNING b.id, p.ssn) SELECT * FROM d ORDER BY 1

-- same: deleting a hidden row that others refer to
DELETE FROM care.patient WHERE id = 101

-- answers: the same table as a source
WITH u AS (UPDATE care.patient AS p SET note = o.ssn FROM care.patient AS o WHERE o.id = p.id RETURNING p.note, p.id, o.ssn) SELECT * FROM u ORDER BY id

-- answers: a sub-SELECT of the same table
UPDATE care.patient AS p SET note = (SELECT o.doc -> 'card' ->> 'pin' FROM care.patient o WHERE o.id = p.id) RETURNING p.id, p.note

-- answers: EXPLAIN of a write
EXPLAIN (COSTS off) UPDATE care.patient SET note = '5' WHERE id = 1

-- same: a WITH that writes
WITH d AS (DELETE FROM care.bed RETURNING id, label) SELECT count(*), max(id), max(label) FROM d

-- same: a WITH that writes and fails on hidden rows
WITH u AS (UPDATE care.patient SET note = (10 / level)::text RETURNING id) SELECT count(*) FROM u
