-- answers: a plain column
UPDATE hr.staff SET name = 'new name' WHERE id = 1 RETURNING id, name

-- answers: a protected column, overwritten blindly
UPDATE hr.staff SET ssn = 'mine' WHERE name = 'staff 3'; SELECT id, ssn FROM hr.staff ORDER BY id

-- answers: a new row
INSERT INTO hr.staff (id, name, ssn, salary, bonus) VALUES (50, 'n', 'own', 100, 1) RETURNING id, name; SELECT name, ssn, salary FROM hr.staff WHERE id = 50

-- answers: INSERT ... SELECT copies masks
INSERT INTO shop.item (id, label) SELECT id + 1000, ssn FROM hr.emp; SELECT * FROM shop.item WHERE id > 1000 ORDER BY id

-- answers: UPDATE ... FROM copies masks
UPDATE shop.item SET label = e.ssn FROM hr.emp AS e WHERE e.id = sold_by; SELECT id, label FROM shop.item ORDER BY id

-- answers: UPDATE from the same table copies masks
UPDATE hr.staff SET name = o.ssn FROM hr.staff AS o WHERE o.id = staff.id; SELECT name FROM hr.staff ORDER BY id

-- answers: a row of columns from a sub-SELECT
UPDATE hr.staff SET (name, note) = (SELECT o.ssn, o.name FROM hr.staff AS o WHERE o.id = hr.staff.id); SELECT name, note FROM hr.staff ORDER BY id

-- answers: a row of columns
UPDATE hr.staff SET (name, note) = ('a', DEFAULT) WHERE id = 2 RETURNING name, note

-- answers: MERGE of masks
MERGE INTO shop.item AS i USING hr.emp AS e ON i.sold_by = e.id AND e.id < 30 WHEN MATCHED THEN UPDATE SET label = e.ssn WHEN NOT MATCHED THEN INSERT (id, label) VALUES (e.id + 2000, e.ssn); SELECT id, label FROM shop.item ORDER BY id

-- answers: DELETE with a masked condition finds nothing
DELETE FROM shop.item USING hr.emp AS e WHERE e.id = sold_by AND e.salary > 5000000 RETURNING shop.item.id

-- answers: WITH that moves rows
WITH gone AS (DELETE FROM shop.item WHERE id < 3 RETURNING *), kept AS (INSERT INTO shop.item SELECT id + 500, label, price, sold_by FROM gone RETURNING id) SELECT * FROM kept ORDER BY id

-- answers: upsert of an own value
INSERT INTO hr.staff (id, ssn) VALUES (1, 'own') ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn, name = excluded.ssn RETURNING name

-- answers: upsert that does nothing
INSERT INTO hr.staff (id, name) VALUES (1, 'x') ON CONFLICT DO NOTHING RETURNING id

-- answers: EXPLAIN of an UPDATE
EXPLAIN UPDATE hr.staff SET name = 'x' WHERE id = 3

-- answers: a prepared DELETE
PREPARE p (int) AS DELETE FROM hr.staff WHERE id = $1 RETURNING name; EXECUTE p (3); DEALLOCATE p

-- answers: an own violation
SELECT 1; INSERT INTO shop.item (id, label) VALUES (40, 'x') ON CONFLICT (id) DO NOTHING

-- refused 23505: a key without protected columns
INSERT INTO shop.item (id, label) VALUES (1, 'x')

-- refused 23514: a check of what was written
UPDATE hr.emp SET salary = -1 WHERE id = 1

-- refused 42501: SET reads a protected column
UPDATE hr.staff SET name = ssn

-- refused 42501: SET reads it qualified
UPDATE hr.staff AS s SET name = s.ssn

-- refused 42501: SET reads it by schema
UPDATE hr.staff SET name = hr.staff.ssn

-- refused 42501: SET reads it in quotes
UPDATE hr.staff SET name = "ssn"

-- refused 42501: SET reads it in Unicode
UPDATE hr.staff SET name = U&"\0073sn"

-- refused 42501: WHERE reads it
UPDATE hr.staff SET name = 'found' WHERE ssn LIKE 'z%'

-- refused 42501: WHERE of DELETE reads it
DELETE FROM hr.staff WHERE salary > 7000000

-- refused 42501: an error by its value
DELETE FROM hr.staff WHERE id = 1 AND 1 / (salary - 7340134) > 0

-- refused 42501: RETURNING reads it
UPDATE hr.staff SET name = 'x' RETURNING ssn

-- refused 42501: RETURNING a star
UPDATE hr.staff SET name = 'x' RETURNING *

-- refused 42501: RETURNING a qualified star
DELETE FROM hr.staff AS s RETURNING s.*

-- refused 42501: RETURNING a whole row
DELETE FROM hr.staff AS s RETURNING s

-- refused 42501: RETURNING a row as JSON
DELETE FROM hr.staff AS s RETURNING row_to_json(s)

-- refused 42501: RETURNING a field of the row
DELETE FROM hr.staff AS s RETURNING (s).ssn

-- refused 42501: RETURNING a generated column
UPDATE hr.staff SET name = 'x' WHERE id = 1 RETURNING g

-- refused 42501: RETURNING old
UPDATE hr.staff SET ssn = 'x' WHERE id = 1 RETURNING old.ssn

-- refused 42501: RETURNING old whole
UPDATE hr.staff SET ssn = 'x' WHERE id = 1 RETURNING old

-- refused 42501: RETURNING old by another name
UPDATE hr.staff SET ssn = 'x' WHERE id = 1 RETURNING WITH (OLD AS was) was.ssn

-- refused 42501: RETURNING of INSERT
INSERT INTO hr.staff (id, ssn) VALUES (70, 'x') RETURNING *

-- refused 42501: a column as a function
UPDATE hr.staff SET name = ssn(staff)

-- refused 42501: a function as a column
UPDATE hr.staff AS s SET name = s.row_to_json::text

-- refused 42501: a correlated sub-SELECT
UPDATE hr.staff SET name = (SELECT staff.ssn)

-- refused 42501: a correlated sub-SELECT, bare
UPDATE hr.staff SET name = (SELECT ssn FROM shop.item LIMIT 1)

-- refused 42501: a correlated sub-SELECT over a whole row
UPDATE hr.staff SET name = (SELECT string_agg(value, ',') FROM json_each_text(to_json(staff)))

-- refused 42501: a correlated condition
DELETE FROM hr.staff WHERE EXISTS (SELECT 1 FROM hr.badge AS b WHERE b.ssn = staff.ssn)

-- refused 42501: VALUES in a LATERAL
UPDATE hr.staff SET name = (SELECT v.x FROM (SELECT 1) AS o, LATERAL (VALUES (staff.ssn)) AS v(x))

-- refused 42501: a part of an array that is changed
UPDATE hr.emp SET meta['pin'] = '1'

-- refused 42501: where a row lies
UPDATE hr.staff SET name = ctid::text

-- refused 42501: ON CONFLICT reads the row that is there
INSERT INTO hr.staff (id, ssn) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = staff.ssn

-- refused 42501: ON CONFLICT compares
INSERT INTO hr.staff (id, ssn) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'hit' WHERE staff.ssn = excluded.ssn

-- refused 42501: excluded with a default
INSERT INTO hr.staff (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.ssn

-- refused 42501: excluded, whole
INSERT INTO hr.staff (id, ssn) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded::text

-- refused 42501: excluded after a trigger
INSERT INTO shop.stamped (id, ssn) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET label = excluded.ssn

-- refused 42501: MERGE joins on it
MERGE INTO hr.staff AS s USING shop.item AS i ON s.ssn = i.label WHEN MATCHED THEN UPDATE SET name = 'hit'

-- refused 42501: MERGE when it
MERGE INTO hr.staff AS s USING shop.item AS i ON s.id = i.id WHEN MATCHED AND s.salary > 5 THEN DELETE

-- refused 42501: MERGE sets from it
MERGE INTO hr.staff AS s USING shop.item AS i ON s.id = i.id WHEN MATCHED THEN UPDATE SET name = s.ssn

-- refused 42501: MERGE returns it
MERGE INTO hr.staff AS s USING shop.item AS i ON s.id = i.id WHEN MATCHED THEN UPDATE SET name = 'x' RETURNING s.*

-- refused 42501: MERGE by source
MERGE INTO hr.staff AS s USING shop.item AS i ON s.id = i.id WHEN NOT MATCHED BY SOURCE AND s.ssn > 'l' THEN DELETE

-- refused 42501: WITH that returns it
WITH d AS (DELETE FROM hr.staff RETURNING ssn) SELECT * FROM d

-- refused 42501: WITH that is not referenced
WITH d AS (UPDATE hr.staff SET name = ssn) SELECT 1

-- refused 42501: EXPLAIN that runs
EXPLAIN ANALYZE UPDATE hr.staff SET name = 'x'

-- refused 42501: EXPLAIN of a condition
EXPLAIN UPDATE hr.staff SET name = 'x' WHERE salary > 7000000

-- refused 42501: a prepared one
PREPARE p AS UPDATE hr.staff SET name = ssn

-- refused 42P10: a LATERAL in FROM cannot see the target
UPDATE hr.staff SET name = f.x FROM LATERAL (SELECT staff.ssn AS x) AS f

-- refused 42P01: INSERT's own SELECT cannot see the target
INSERT INTO hr.staff (id, name) SELECT 99, staff.ssn

-- refused 42P01: MERGE's source cannot see the target
MERGE INTO hr.staff AS s USING (SELECT s.ssn AS x) AS f ON s.id = 1 WHEN MATCHED THEN UPDATE SET name = f.x

-- refused 42501: a unique index over it, by INSERT
INSERT INTO hr.emp (id, name, ssn) VALUES (900, 'x', 'guess')

-- refused 42501: a unique index over it, by UPDATE
UPDATE hr.emp SET ssn = 'guess' WHERE id = 1

-- refused 42501: a unique index over it, ON CONFLICT
INSERT INTO hr.emp (id, name, ssn) VALUES (900, 'x', 'guess') ON CONFLICT (ssn) DO NOTHING

-- refused 42501: a unique index over it, any conflict
INSERT INTO hr.emp (id, name, ssn) VALUES (900, 'x', 'guess') ON CONFLICT DO NOTHING

-- refused 42501: a unique index over it, by name
INSERT INTO hr.emp (id, name, ssn) VALUES (900, 'x', 'g') ON CONFLICT ON CONSTRAINT emp_ssn_key DO NOTHING

-- refused 42501: a unique index over it, by MERGE
MERGE INTO hr.badge AS b USING (SELECT 'guess' AS g) AS x ON false WHEN NOT MATCHED THEN INSERT VALUES (g, 'red')

-- refused 42501: a unique index over it, by COPY
COPY hr.badge FROM STDIN

-- refused 42501: a primary key over it
INSERT INTO hr.badge VALUES ('guess', 'red')

-- refused 42501: a check that compares with it
UPDATE hr.staff SET bonus = 7340000 WHERE id = 1

-- refused 42501: a foreign key to it
INSERT INTO shop.visit (id, ssn) VALUES (9, 'guess')

-- refused 42501: a foreign key from it, by DELETE
DELETE FROM hr.dept WHERE code = 'hr'

-- refused 42501: a foreign key from it, by UPDATE
UPDATE hr.dept SET code = 'x' WHERE code = 'hr'

-- refused 42501: a table that may not be read
INSERT INTO secret.note VALUES ('eng', 'x')

-- refused 42501: a system table
UPDATE pg_class SET relname = 'x'

-- refused 0A000: a view
UPDATE hr.directory SET name = 'x'

-- refused 0A000: a table with rules
INSERT INTO shop.ruled VALUES (1, 'x')

-- refused 0A000: a cursor's row
UPDATE hr.staff SET name = 'x' WHERE CURRENT OF c

-- refused 0A000: a materialised view
DELETE FROM hr.headcount

-- refused 42501: a function of somebody's
UPDATE hr.staff SET name = public.peek(id)

-- refused 42501: a domain of somebody's
UPDATE hr.staff SET id = 7340134::public.checked

-- refused 42501: COPY from a file
COPY shop.item FROM '/etc/passwd'

-- refused 42501: COPY from a program
COPY shop.item FROM PROGRAM 'id'

-- refused 0A000: COPY with an option nobody knows
COPY shop.item FROM STDIN (FREEZE)

-- refused 42501: TRUNCATE
TRUNCATE shop.item

-- refused 42501: a row lock
SELECT id FROM hr.staff FOR UPDATE

-- refused 42501: a plain table
CREATE TABLE public.mine AS SELECT * FROM hr.emp

-- refused 42501: a check that runs code
INSERT INTO shop.guarded (id) VALUES (7340134)

-- refused 42501: a domain that runs code
INSERT INTO shop.odd (c) VALUES (7340134)

-- refused 42501: a domain that runs code, without a list
INSERT INTO shop.odd VALUES (1, 7340134)

-- refused 42501: a domain's column in an expression
DELETE FROM shop.odd WHERE coalesce(c, 7340134) > 0

-- refused 23514: a domain that takes no NULL, left alone
INSERT INTO shop.odd (id, d) VALUES (1, 'x') RETURNING id, d

-- answers: a check over an enum
INSERT INTO shop.mixed VALUES (1, 'high') RETURNING *

-- refused 23514: a check over an enum that fails
INSERT INTO shop.mixed VALUES (1, 'low')

-- refused 42501: a partition chosen by it
UPDATE shop.sliced SET at = 990

-- refused 42501: an index over the whole row
UPDATE shop.whole SET label = 'x'

-- answers: a partition's row
INSERT INTO shop.sliced VALUES (1, 'own', 5) RETURNING id

-- refused 42P10: a function in FROM cannot see the target
UPDATE hr.staff SET name = f FROM upper(staff.ssn) AS f

-- refused 42P10: a function in FROM cannot see the target's bare column
UPDATE hr.staff SET name = f FROM upper(ssn) AS f

-- refused 42703: a sub-SELECT in FROM cannot see it either
UPDATE hr.staff SET name = f.x FROM (SELECT ssn AS x) AS f

-- refused 42P01: a join's condition cannot see the target
UPDATE hr.staff SET name = a.label FROM shop.item AS a JOIN shop.item AS b ON staff.ssn = a.label

-- refused 42P10: DELETE's USING cannot see the target
DELETE FROM hr.staff USING LATERAL (SELECT staff.ssn AS x) AS f WHERE f.x LIKE 'z%'

-- refused 42P01: VALUES cannot see the target
INSERT INTO hr.staff (id, name) VALUES (99, staff.ssn)

-- refused 42703: VALUES cannot see a bare column of the target
INSERT INTO hr.staff (id, name) VALUES (99, (SELECT ssn))

-- refused 42P01: a WITH query cannot see the target
WITH q AS (SELECT staff.ssn AS x) UPDATE hr.staff SET name = x FROM q

-- refused 42P01: a LATERAL in MERGE cannot see the target
MERGE INTO hr.staff AS s USING LATERAL (VALUES (s.ssn)) AS f(x) ON true WHEN MATCHED THEN UPDATE SET name = f.x
