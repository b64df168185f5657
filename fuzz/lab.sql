-- What the demo's schema has no use for, and a policy can mask or filter.
CREATE SCHEMA lab;
CREATE TYPE lab.level AS ENUM ('low', 'mid', 'high');
CREATE TYPE lab.address AS (street text, city text);
CREATE TABLE lab.docs (
    id integer PRIMARY KEY, doc jsonb, raw json, tags text[], home lab.address, level lab.level, score double precision,
    code uuid, photo bytea, ref bigint, digest text, span int4range, at timestamp, grade integer, nick varchar(20));
CREATE TABLE lab."Odd Names" (
    "Id" integer PRIMARY KEY, "Select" text, "a.b" text, "from" integer, "ÜBER" date, "it's ""so""" text);
CREATE TABLE lab.tree (id integer PRIMARY KEY, parent_id integer REFERENCES lab.tree, name text, weight integer);
CREATE TABLE lab.base (id integer PRIMARY KEY, secret text, kind text);
CREATE TABLE lab.child (extra text, PRIMARY KEY (id)) INHERITS (lab.base);
CREATE TABLE lab.sums (
    id integer PRIMARY KEY, price numeric(10, 2), quantity integer,
    amount numeric GENERATED ALWAYS AS (price * quantity) STORED);
CREATE TABLE lab.regions (name text PRIMARY KEY, open boolean NOT NULL);
CREATE TABLE lab.ledger (
    id integer PRIMARY KEY, owner text, region text, amount numeric(12, 2) NOT NULL, booked date NOT NULL, note text);
CREATE TABLE lab.grades (grade integer PRIMARY KEY, shown integer);
CREATE VIEW lab.ledger_totals AS
    SELECT region, count(*) AS entries, sum(amount) AS total, min(owner) AS first_owner FROM lab.ledger GROUP BY region;
CREATE VIEW lab.nodes WITH (security_barrier) AS
    SELECT t.id, t.name, p.name AS parent, t.weight FROM lab.tree t LEFT JOIN lab.tree p ON p.id = t.parent_id;
CREATE INDEX ON lab.ledger (region);
CREATE INDEX ON lab.tree (parent_id);
-- The demo's payments have one partition per year.
CREATE TABLE shop.payments_2023 PARTITION OF shop.payments FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE shop.payments_2024 PARTITION OF shop.payments FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.payments_other PARTITION OF shop.payments DEFAULT;
