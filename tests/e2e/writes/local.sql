-- answers: rows that are seen
UPDATE shop.orders SET total = total + 1 RETURNING id, region, total

-- answers: rows that are not seen stay
DELETE FROM shop.orders; SELECT count(*) FROM shop.orders

-- answers: a condition does not run on hidden rows
UPDATE shop.orders SET total = 0 WHERE secret <> 'open' AND 1 / (total - total) > 0 RETURNING id

-- answers: a condition that fails on hidden rows
DELETE FROM shop.orders WHERE CASE WHEN secret = 'open' THEN false ELSE secret::int > 0 END RETURNING id

-- answers: an OR does not open the filter
UPDATE shop.orders SET total = 5 WHERE id = 3 OR true RETURNING id

-- answers: RETURNING a whole row that is seen
DELETE FROM shop.orders AS o WHERE id = 1 RETURNING o.*

-- answers: joined
UPDATE shop.orders AS o SET total = x.id FROM shop.desk AS x WHERE x.id = o.id RETURNING o.id, x.region

-- answers: a filter with a sub-SELECT
UPDATE shop.desk_orders SET secret = 'x' RETURNING id

-- answers: a filter with a sub-SELECT, any condition
DELETE FROM shop.desk_orders WHERE length(secret) > 0 RETURNING id

-- answers: EXPLAIN
EXPLAIN (COSTS OFF) DELETE FROM shop.orders WHERE id = 3

-- answers: a hidden row is no source either
INSERT INTO shop.item (id, label) SELECT id + 700, secret FROM shop.orders RETURNING label

-- answers: WITH
WITH d AS (DELETE FROM shop.orders RETURNING secret) SELECT * FROM d

-- refused 0A000: the name that the filter uses
UPDATE shop.desk_orders AS d SET secret = 'x' RETURNING secret

-- refused 42501: out of sight
UPDATE shop.orders SET region = 'south' WHERE id = 1

-- refused 42501: another desk
UPDATE shop.desk_orders SET desk = 2

-- refused 42501: a key that a hidden row has
UPDATE shop.orders SET id = 3 WHERE id = 1

-- refused 0A000: a new row
INSERT INTO shop.orders VALUES (4, 'south', 'x', 1)

-- refused 0A000: a new row, by COPY
COPY shop.orders FROM STDIN

-- refused 0A000: a new row, by MERGE
MERGE INTO shop.orders AS o USING shop.desk AS d ON o.id = d.id WHEN NOT MATCHED THEN INSERT VALUES (9, 'north', 'x', 1)

-- refused 0A000: an upsert
INSERT INTO shop.orders VALUES (3, 'north', 'x', 1) ON CONFLICT (id) DO UPDATE SET total = 1

-- refused 42501: a table of no rule
DELETE FROM hr.staff

-- refused 42501: a table that a filter reads
UPDATE shop.desk SET region = 'north'

-- answers: a key that no filter reads
UPDATE shop.desk_orders SET secret = 'x' WHERE id = 2 OR secret LIKE '%SECRET%' RETURNING id
