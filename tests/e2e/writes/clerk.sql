-- refused 42501: a key that cascades into a filter's column
UPDATE shop.zone SET code = 'tmp' WHERE code = 'north'; UPDATE shop.zone SET code = 'north' WHERE code = 'south'; SELECT * FROM shop.parcel

-- refused 42501: such a key by MERGE
MERGE INTO shop.zone AS z USING (SELECT 1) AS o ON z.code = 'south' WHEN MATCHED THEN UPDATE SET code = 'tmp'

-- refused 42501: such a key by upsert
INSERT INTO shop.zone VALUES ('south') ON CONFLICT (code) DO UPDATE SET code = 'tmp'

-- refused 42501: such a key in a WITH
WITH u AS (UPDATE shop.zone SET code = 'tmp' RETURNING 1) SELECT * FROM u

-- refused 42501: such a key, generated
UPDATE shop.zone SET base = 'x' WHERE code = 'north'

-- answers: a key that nothing refers to, of the same table
INSERT INTO shop.zone VALUES ('west', 'west') RETURNING code, name

-- refused 42501: such a key, two steps away
UPDATE shop.country SET code = 'tmp' WHERE code = 'north'

-- refused 42501: a key that cascades into a condition's column
UPDATE shop.state SET code = 'tmp' WHERE code = 'shut'; SELECT ssn FROM shop.person

-- refused 42501: a default that does
DELETE FROM shop.state WHERE code = 'shut'; SELECT ssn FROM shop.person

-- refused 42501: a key that cascades into a table that a filter reads
UPDATE shop.area SET code = 'tmp' WHERE code = 'north'

-- refused 42501: a row that takes one of such a table along
DELETE FROM shop.client WHERE id = 2; SELECT * FROM shop.deal

-- answers: a row's other columns
UPDATE shop.client SET label = 'x' WHERE id = 2 RETURNING *

-- refused 42501: a key that cascades into what a filtered view shows
UPDATE shop.harbour SET code = 'tmp' WHERE code = 'north'

-- refused 42501: a key that moves rows out of a filtered partition
UPDATE shop.pier SET code = 'tmp' WHERE code = 'south'

-- refused 42501: a move out of a filtered partition
UPDATE shop.boat SET pier = 'tmp'

-- answers: keys that no rule looks at
UPDATE shop.kind SET code = 'c' WHERE code = 'a'; DELETE FROM shop.kind WHERE code = 'b'; SELECT * FROM shop.thing

-- refused 42501: a condition's column
UPDATE shop.person SET state = 'open' WHERE id = 2

-- refused 42501: a condition's column, bare in its sub-SELECT
UPDATE shop.person SET level = 'low' WHERE id = 2; SELECT phone FROM shop.person

-- refused 42501: such a column by upsert
INSERT INTO shop.person (id) VALUES (2) ON CONFLICT (id) DO UPDATE SET level = 'low'

-- refused 42501: such a column by MERGE
MERGE INTO shop.person AS p USING (SELECT 2 AS id) AS o ON p.id = o.id WHEN MATCHED THEN UPDATE SET level = 'low'

-- refused 42501: a table that a condition reads
INSERT INTO shop.open_level VALUES ('high')

-- refused 42501: a child's condition, by its parent
UPDATE shop.asset SET state = 'open'; SELECT plate FROM shop.car

-- answers: a parent's other column
UPDATE shop.asset SET id = 5; SELECT id, plate FROM shop.car

-- refused 42501: which partition a masked key lies in
UPDATE shop.grade SET note = note RETURNING id, tableoid::regclass

-- refused 42501: a partition of a masked key in WHERE
UPDATE shop.grade SET note = 'x' WHERE tableoid = 'shop.grade_1'::regclass RETURNING id

-- refused 42501: the partition by the table's name
DELETE FROM shop.grade AS g WHERE g.tableoid = 'shop.grade_1'::regclass RETURNING id

-- refused 42501: the partition of the row before
UPDATE shop.grade SET note = note RETURNING old.tableoid

-- refused 42501: the partition by a sub-SELECT
UPDATE shop.grade AS g SET note = (SELECT g.tableoid::text) RETURNING note

-- refused 42501: the partition for MERGE
MERGE INTO shop.grade AS g USING (SELECT 1) AS o ON g.tableoid = 'shop.grade_1'::regclass WHEN MATCHED THEN UPDATE SET note = 'x'

-- refused 42501: where rows of a filtered table lie
UPDATE shop.parcel SET label = label RETURNING ctid

-- refused 42501: who wrote rows of a filtered table
UPDATE shop.parcel SET label = label RETURNING xmin, old.xmin

-- refused 42501: where rows of a filtered table lay
UPDATE shop.parcel SET label = label RETURNING WITH (OLD AS o) o.ctid

-- refused 42501: rows of a filtered table by where they lie
DELETE FROM shop.parcel AS p WHERE p.ctid < '(0,9)' RETURNING id

-- answers: a whole row of a filtered table
UPDATE shop.parcel SET label = 'x' RETURNING *, parcel, old, new.id

-- refused 42501: a generated key of a hidden row
UPDATE shop.bill SET code = 'GUESS' WHERE id = 1

-- answers: a filtered table's other column
UPDATE shop.bill SET total = 1 RETURNING id, total

-- refused 42501: INSERT ... SELECT by a column that may be shown only
INSERT INTO shop.told SELECT id FROM shop.quiet WHERE pin = 'own'

-- refused 42501: the same in WITH
WITH q AS (SELECT id, pin FROM shop.quiet) INSERT INTO shop.told SELECT id FROM q WHERE pin LIKE 'o%'

-- refused 42501: the same in VALUES
INSERT INTO shop.told VALUES ((SELECT count(*) FROM shop.quiet WHERE pin = 'own'))

-- refused 42501: the same in an INSERT within WITH
WITH i AS (INSERT INTO shop.told SELECT id FROM shop.quiet WHERE pin = 'own' RETURNING id) SELECT * FROM i

-- refused 42501: CREATE TABLE AS by such a column
CREATE TEMP TABLE mine AS SELECT id FROM shop.quiet WHERE pin = 'own'

-- refused 42501: SELECT INTO by such a column
SELECT id INTO TEMP mine FROM shop.quiet ORDER BY pin

-- refused 42501: a temporary table filled by such a column
CREATE TEMP TABLE mine (id int); INSERT INTO mine SELECT id FROM shop.quiet WHERE pin = 'own'

-- answers: a column that is shown only is copied as it is shown
INSERT INTO shop.told SELECT id, pin FROM shop.quiet; SELECT * FROM shop.told; CREATE TEMP TABLE mine AS SELECT * FROM shop.quiet; SELECT * FROM mine

-- answers: of names in WITH only the nearest counts
WITH quiet AS (SELECT 1 AS id, 'own' AS pin) INSERT INTO shop.told SELECT id FROM quiet WHERE pin = 'own' RETURNING *
