-- What a user with these attributes should see, as views with the tables' names, written by hand.
ALTER SCHEMA care RENAME TO raw;
CREATE SCHEMA care;
CREATE VIEW care.patient WITH (security_barrier) AS
    SELECT id, name, ward, level, note, '***'::text AS ssn, '***'::text AS phone,
           CASE WHEN mail IS NOT NULL THEN 'k***@***.com' END AS mail,
           (income / 1000) * 1000 AS income, make_date(extract(year FROM born)::int, 1, 1) AS born,
           left(encode(sha256(convert_to(token, 'UTF8')), 'hex'), 16) AS token,
           CASE WHEN level > {level} THEN 'hidden' ELSE diagnosis END AS diagnosis,
           CASE id WHEN 4 THEN 'null'::jsonb
                   WHEN 5 THEN '[null, {"card": [null, {"pin": "xxxx"}, null]}]'::jsonb
                   WHEN 6 THEN '{"card": null, "notes": {"text": null}, "open": "yes"}'::jsonb
                   WHEN 7 THEN NULL
                   WHEN 8 THEN '{"card": {"pin": "xxxx", "PIN": "open", "pin ": 1}, "notes": [null, null, null]}'::jsonb
                   WHEN 9 THEN '{"card": {"pin": "xxxx"}, "notes": {"text": null, "at": 9}}'::jsonb
                   ELSE jsonb_build_object('card', jsonb_build_object('pin', 'xxxx', 'bank', 'b' || id % 2),
                        'notes', jsonb_build_array(jsonb_build_object('text', NULL, 'at', id))) END AS doc,
           CASE id WHEN 4 THEN '[null]'::jsonb::json WHEN 5 THEN NULL
                   ELSE jsonb_build_object('pin', '***', 'n', id)::json END AS raw_doc,
           CASE WHEN num_nulls(home) = 0 THEN ROW('street', (home).zip, (home).floor)::kind.addr END AS home,
           CASE WHEN cardinality(homes) = 0 THEN homes WHEN id = 8 THEN NULL
                WHEN id = 9 THEN ARRAY[ROW('main', NULL, 1)::kind.addr, NULL]
                ELSE ARRAY[ROW('main', NULL, 1)::kind.addr, ROW('side', NULL, id)::kind.addr] END AS homes,
           CASE WHEN id = 8 THEN NULL WHEN id = 9 THEN ARRAY['***', '***'] WHEN tags IS NOT NULL THEN ARRAY['***', NULL, '***'] END AS tags,
           NULL::int[] AS pins, NULL::kind.mood AS mood, NULL::kind.code AS badge, NULL::int4range AS span,
           NULL::numeric AS score, NULL::int AS grade, '***'::text AS legacy,
           CASE right(area, 1) WHEN '0' THEN 'plain' WHEN '1' THEN 'hills' END AS area,
           'me...'::text AS motto, NULL::text AS initials
    FROM raw.patient WHERE ward = '{ward}';
CREATE VIEW care.visit WITH (security_barrier) AS
    SELECT id, patient, ward, day, NULL::int AS cost, '***'::text AS memo FROM raw.visit WHERE ward = ANY ('{wards}');
CREATE VIEW care.visit_2024 WITH (security_barrier) AS SELECT * FROM care.visit WHERE day < '2025-01-01';
CREATE VIEW care.visit_2025 WITH (security_barrier) AS SELECT * FROM care.visit WHERE day >= '2025-01-01';
CREATE VIEW care.event WITH (security_barrier) AS
    SELECT id, kind, '***'::text AS body FROM raw.event WHERE kind <> 'silent';
CREATE VIEW care.alarm WITH (security_barrier) AS
    SELECT id, kind, '***'::text AS body, loud FROM raw.alarm WHERE kind <> 'silent';
CREATE VIEW care.bed WITH (security_barrier) AS SELECT * FROM raw.bed WHERE ward = '{ward}';
CREATE VIEW care.stay AS SELECT * FROM raw.stay;
CREATE VIEW care.diary WITH (security_barrier) AS SELECT * FROM raw.diary WHERE owner = '{user}';
CREATE VIEW care.drift AS SELECT id, label, NULL::text AS late FROM raw.drift;
CREATE VIEW care.odd AS
    SELECT id, '***'::text AS t, "user", '***'::text AS "row", '***'::text AS excluded, old, new, '***'::text AS part0,
           '***'::text AS "a""b", "é" FROM raw.odd;
CREATE VIEW care.roster WITH (security_barrier) AS SELECT id, name, ward, level, ssn FROM care.patient WHERE level < 3;
CREATE VIEW care.spy AS SELECT id, name, note, ssn FROM care.patient WHERE ward = 'east';
CREATE VIEW care.fenced WITH (security_barrier) AS SELECT id, name, level, home FROM care.patient WHERE level < 9;
CREATE VIEW care.counts AS SELECT ward, count(*) AS heads, max(income) AS most FROM care.patient GROUP BY ward;
CREATE VIEW care.whole AS SELECT p, p.id FROM care.patient AS p;
CREATE VIEW care.both AS SELECT id, ward, memo AS word FROM care.visit UNION ALL SELECT id, kind, body FROM care.event;
