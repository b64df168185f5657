-- refused 42501: deleting what hidden rows refer to
DELETE FROM ref.ward WHERE code = 'east'

-- refused 42501: changing what hidden rows refer to
UPDATE ref.ward SET code = 'least' WHERE code = 'east'

-- refused 42501: a masked column in WHERE
UPDATE care.patient SET note = 'x' WHERE ssn LIKE 'z%'

-- refused 42501: a raw column in WHERE
UPDATE care.patient SET note = 'x' WHERE grade > 50

-- refused 42501: a column under a condition
UPDATE care.patient SET note = diagnosis

-- refused 42501: a part that is not masked
UPDATE care.patient SET note = (home).zip

-- refused 42501: a document's part
UPDATE care.patient SET note = doc -> 'card' ->> 'bank'

-- refused 42501: a masked column by its range in a sub-SELECT
UPDATE care.patient AS p SET note = (SELECT p.ssn)

-- refused 42501: a masked column without its range in a sub-SELECT
UPDATE care.patient SET note = (SELECT ssn FROM ref.item LIMIT 1)

-- refused 42501: the row in a sub-SELECT
UPDATE care.patient SET note = (SELECT to_jsonb(patient) ->> 'ssn')

-- refused 42501: the row's star in a sub-SELECT
UPDATE care.patient AS p SET note = (SELECT x.f FROM (SELECT p.*) AS x(a, b, c, d, e, f))

-- refused 42501: several columns at once
UPDATE care.patient SET (note, name) = (SELECT ssn, phone)

-- refused 42501: a row's field
UPDATE care.patient AS p SET note = (p).ssn

-- refused 42501: RETURNING a masked column
UPDATE care.patient SET note = 'x' RETURNING ssn

-- refused 42501: RETURNING everything
UPDATE care.patient SET note = 'x' RETURNING *

-- refused 42501: RETURNING in a WITH
WITH u AS (UPDATE care.patient SET note = 'x' RETURNING patient) SELECT u FROM u

-- refused 42501: RETURNING where the row lies
UPDATE care.patient SET note = 'x' RETURNING ctid

-- refused 42501: by where the row lies
UPDATE care.patient SET note = 'x' WHERE ctid = '(0,1)'

-- refused 42501: a slice as long as a hidden array
UPDATE care.patient SET pins[:] = ARRAY[1, 2] WHERE id = 1

-- refused 42501: an element of a hidden array
UPDATE care.patient SET pins[0] = 1 WHERE id = 1

-- refused 42501: a key of a hidden document
UPDATE care.patient SET doc['card']['pin']['x'] = '1' WHERE id = 1

-- refused 42501: a field of a hidden composite
UPDATE care.patient SET home.street.x = 'x' WHERE id = 1

-- refused 42501: an element's field
UPDATE care.patient SET homes[1].zip = 'x' WHERE id = 1

-- refused 42501: the filter's column
UPDATE care.patient SET ward = 'south' WHERE id = 1

-- refused 42501: the condition's column
UPDATE care.patient SET level = 1

-- refused 42501: the filter's column by rows
UPDATE care.patient SET (ward, note) = ROW ('south', 'x')

-- refused 42501: a unique probe
UPDATE care.patient SET ssn = 'guess' WHERE id = 1

-- refused 42501: a key of a hidden row
UPDATE care.patient SET id = 101 WHERE id = 1

-- refused 42501: a generated column's source
UPDATE care.patient SET ssn = 'x', note = 'y' WHERE id = 2

-- refused 0A000: a new row
INSERT INTO care.patient (id, name, ward, level) VALUES (101, 'x', 'north', 1)

-- refused 0A000: a new row of a child
INSERT INTO care.alarm VALUES (1, 'fire', 'x', 1)

-- refused 0A000: a new row through the parent
INSERT INTO care.visit VALUES (1, 1, 'north', '2024-02-02', 1, 'x')

-- refused 0A000: a new row of a partition
INSERT INTO care.visit_2024 VALUES (1, 1, 'north', '2024-02-02', 1, 'x')

-- refused 0A000: COPY into it
COPY care.bed (ward, label) FROM STDIN

-- refused 42501: a foreign key of a hidden row
INSERT INTO care.stay VALUES (50, 101, 1)

-- refused 42501: a foreign key of a hidden row, by UPDATE
UPDATE care.stay SET patient = 101 WHERE id = 1

-- refused 42501: a foreign key, ON CONFLICT
INSERT INTO care.stay VALUES (1, 101, 1) ON CONFLICT DO NOTHING

-- answers: what is copied is masked
INSERT INTO ref.item (id, label) SELECT 100 + id, ssn || (home).street FROM care.patient RETURNING label

-- answers: what is copied is seen
INSERT INTO ref.item (id, label, qty) SELECT 100 + id, note, level FROM care.patient RETURNING *

-- same: a conflict that fails on hidden rows
INSERT INTO ref.item SELECT id, note, 10 / level FROM care.patient ON CONFLICT (id) DO UPDATE SET qty = excluded.qty RETURNING id, qty

-- same: MERGE from a filtered table
MERGE INTO ref.item AS i USING care.patient AS p ON i.id = p.note::int WHEN MATCHED THEN UPDATE SET label = p.ssn WHEN NOT MATCHED THEN INSERT VALUES (p.id + 100, p.ssn, 10 / p.level)

-- refused 42501: MERGE of a masked column
MERGE INTO care.drift AS d USING ref.item AS i ON d.late = i.label WHEN MATCHED THEN DELETE

-- refused 42501: MERGE by a masked column of what has no match
MERGE INTO care.drift AS d USING ref.item AS i ON d.id = i.id WHEN NOT MATCHED BY SOURCE AND d.late > 'm' THEN DELETE

-- refused 42501: MERGE that returns a masked column
MERGE INTO care.drift AS d USING ref.item AS i ON d.id = i.id WHEN MATCHED THEN UPDATE SET label = 'x' RETURNING merge_action(), d.late

-- refused 42501: MERGE that writes out of a masked column
MERGE INTO care.drift USING ref.item AS i ON drift.id = i.id WHEN MATCHED THEN UPDATE SET label = (SELECT late)

-- refused 42501: excluded beside a masked column
INSERT INTO care.drift (id, label) VALUES (1, 'x') ON CONFLICT DO NOTHING RETURNING drift

-- refused 42501: a DELETE by a masked column in a sub-SELECT
DELETE FROM care.drift WHERE EXISTS (SELECT 1 WHERE late LIKE 'z%')

-- refused 42501: a DELETE that joins a masked column
DELETE FROM care.drift AS d USING ref.item AS i WHERE i.label = d.late

-- refused 42P10: an UPDATE whose source correlates
UPDATE care.drift AS d SET label = x.l FROM LATERAL (SELECT d.late AS l) AS x

-- refused 0A000: MERGE into a filtered table
MERGE INTO care.bed AS b USING ref.item AS i ON b.id = i.id WHEN MATCHED THEN DELETE

-- answers: a write into a masked column
UPDATE care.drift SET late = label RETURNING id, label

-- refused 42501: a write into a masked column and out of it
UPDATE care.drift SET label = late

-- refused 42501: excluded's column that nobody named
INSERT INTO care.odd (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING t

-- refused 42501: a column named excluded
UPDATE care.odd SET old = excluded RETURNING old

-- same: columns named old and new
UPDATE care.odd SET old = odd.new WHERE odd.id = 1 RETURNING odd.id

-- refused 42501: the old row
UPDATE care.drift SET label = 'x' RETURNING old.late

-- refused 42501: the new row
UPDATE care.drift SET label = 'x' RETURNING WITH (OLD AS o, NEW AS n) o.id, n.late

-- refused 0A000: a view
UPDATE care.roster SET name = 'x'

-- refused 0A000: a masked table by a view of nothing else
DELETE FROM care.fenced

-- refused 42501: a closed table
INSERT INTO vault.key VALUES (1, 'x')

-- refused 42501: the filter's table
INSERT INTO ref.grants VALUES ('nurse', 'east')

-- refused 42501: the look-up's table
UPDATE ref.area SET shown = real

-- refused 0A000: WHERE CURRENT OF
UPDATE care.patient SET note = 'x' WHERE CURRENT OF c

-- refused 42501: EXPLAIN ANALYZE of a write
EXPLAIN ANALYZE DELETE FROM care.bed

-- refused 42501: TRUNCATE
TRUNCATE care.bed

-- refused 0A000: an upsert into a filtered table
INSERT INTO care.bed (id, ward) VALUES (4, 'north') ON CONFLICT (id) DO UPDATE SET label = 'x' RETURNING label
