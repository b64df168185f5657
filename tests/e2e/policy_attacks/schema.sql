-- A database whose policy uses all that policies can say. Rows come from `rows.sql` and, of those that no role sees, from
-- `hidden.sql`, which differ from one database to the next in number, too.
CREATE SCHEMA care;
CREATE SCHEMA ref;
CREATE SCHEMA vault;
CREATE SCHEMA kind;

GRANT USAGE ON SCHEMA kind TO PUBLIC;
CREATE TYPE kind.mood AS ENUM ('calm', 'tense');
CREATE DOMAIN kind.code AS text CHECK (length(VALUE) > 3);
CREATE TYPE kind.addr AS (street text, zip text, floor int);

CREATE TABLE ref.ward (code text PRIMARY KEY, title text);
CREATE TABLE ref.grants (who text, ward text);
CREATE TABLE ref.area (real text, shown text);
CREATE TABLE ref.item (id int PRIMARY KEY, label text, qty int);
CREATE TABLE vault.key (id int, word text);

CREATE TABLE care.patient (
    id int PRIMARY KEY, name text NOT NULL, ward text NOT NULL REFERENCES ref.ward, level int NOT NULL, note text,
    ssn text UNIQUE, phone text, mail text, income int, born date, token text, diagnosis text, doc jsonb, raw_doc json,
    home kind.addr, homes kind.addr[], tags text[], pins int[], mood kind.mood, badge kind.code, span int4range,
    score numeric, grade int, legacy text, area text, motto text,
    initials text GENERATED ALWAYS AS (left(ssn, 6)) STORED);
CREATE TABLE care.visit (id int NOT NULL, patient int, ward text, day date NOT NULL, cost int, memo text)
    PARTITION BY RANGE (day);
CREATE TABLE care.visit_2024 PARTITION OF care.visit FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE care.visit_2025 PARTITION OF care.visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE care.event (id int, kind text, body text);
CREATE TABLE care.alarm (loud int) INHERITS (care.event);
CREATE TABLE care.bed (id serial PRIMARY KEY, ward text, label text);
CREATE TABLE care.stay (id int PRIMARY KEY, patient int REFERENCES care.patient, days int);
CREATE TABLE care.diary (owner text, body text);
CREATE TABLE care.drift (id int, label text);
ALTER TABLE care.drift ADD COLUMN late text;
CREATE TABLE care.odd (
    id int, t text, "user" text, "row" text, excluded text, old text, new text, part0 text, "a""b" text, "é" text);
CREATE INDEX ON care.patient (ward);

CREATE VIEW care.roster AS SELECT id, name, ward, level, ssn FROM care.patient;
CREATE VIEW care.spy AS SELECT id, name, note, ssn FROM care.patient WHERE ward = 'east';
CREATE VIEW care.fenced WITH (security_barrier) AS SELECT id, name, level, home FROM care.patient WHERE level < 9;
CREATE VIEW care.counts AS SELECT ward, count(*) AS heads, max(income) AS most FROM care.patient GROUP BY ward;
CREATE VIEW care.whole AS SELECT p, p.id FROM care.patient AS p;
CREATE VIEW care.both AS SELECT id, ward, memo AS word FROM care.visit UNION ALL SELECT id, kind, body FROM care.event;
CREATE MATERIALIZED VIEW care.tally AS SELECT ward, count(*) AS heads FROM care.patient GROUP BY ward WITH NO DATA;

CREATE FUNCTION public.cheap(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
    $$ BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END $$;
CREATE FUNCTION public.same_text(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT public.cheap($2)';
CREATE OPERATOR public.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = public.same_text);
