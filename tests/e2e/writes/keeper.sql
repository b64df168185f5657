-- answers: a revealed index
INSERT INTO hr.emp (id, name, ssn) VALUES (900, 'x', 'own') ON CONFLICT (ssn) DO NOTHING RETURNING id

-- answers: a revealed index, ON CONFLICT DO UPDATE
INSERT INTO hr.emp (id, name, ssn) VALUES (901, 'x', 'own') ON CONFLICT (ssn) DO UPDATE SET name = 'y' RETURNING id

-- answers: a revealed check
UPDATE hr.staff SET bonus = bonus - 1 WHERE id = 2 RETURNING bonus

-- refused 42501: another constraint of the same table
UPDATE hr.staff SET bonus = bonus - 1, id = 4 WHERE ssn = 'x'

-- refused 42501: a kind that the table's rule does not list
DELETE FROM shop.item

-- refused 42501: MERGE that deletes
MERGE INTO shop.item AS i USING hr.dept AS d ON i.label = d.code WHEN MATCHED THEN DELETE

-- refused 42501: a primary key that nobody revealed
INSERT INTO hr.badge VALUES ('guess', 'red')
