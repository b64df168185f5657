-- Hand-written masked views with the names of the tables: what each statement should answer.
-- The tables below them are moved out of the way.
CREATE SCHEMA raw;
ALTER TABLE shop.customers SET SCHEMA raw;
ALTER TABLE shop.employees SET SCHEMA raw;
ALTER TABLE shop.orders SET SCHEMA raw;
ALTER TABLE shop.events SET SCHEMA raw;
ALTER TABLE shop.events_2024 SET SCHEMA raw;
ALTER TABLE shop.events_2025 SET SCHEMA raw;
ALTER TABLE geo.places SET SCHEMA raw;
CREATE VIEW shop.customers AS
    SELECT id, name, 'z***@***.test'::text AS email, '****-**' || right(phone, 2) AS phone, city,
           NULL::shop.address AS address, tags, '{}'::jsonb AS profile, joined, date_trunc('year', born)::date AS born,
           NULL::int AS credit, active, '***'::text AS remark
    FROM raw.customers;
CREATE VIEW shop.employees AS
    SELECT id, manager_id, name, title, '***'::text AS ssn, NULL::int AS salary FROM raw.employees;
CREATE VIEW shop.orders AS SELECT id, customer_id, placed, state, total, NULL::text AS ship_to FROM raw.orders;
CREATE VIEW shop.events AS SELECT id, at, kind, customer_id, NULL::inet AS ip FROM raw.events;
CREATE VIEW shop.events_2024 AS SELECT id, at, kind, customer_id, NULL::inet AS ip FROM raw.events_2024;
CREATE VIEW shop.events_2025 AS SELECT id, at, kind, customer_id, NULL::inet AS ip FROM raw.events_2025;
CREATE VIEW geo.places AS SELECT id, name, at, NULL::text AS owner FROM raw.places;
DROP VIEW shop.order_totals;
CREATE VIEW shop.order_totals AS
    SELECT o.id AS order_id, o.placed::date AS day, c.name, c.email, o.total
    FROM shop.orders AS o JOIN shop.customers AS c ON c.id = o.customer_id;
