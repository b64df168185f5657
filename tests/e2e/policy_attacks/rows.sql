-- What the roles may see is the same in both databases: {s} marks protected values, {n} is a number that tells them apart,
-- {day} a day of the year. A note that is seen is a number other than 0.
INSERT INTO ref.ward VALUES ('north', 'North'), ('south', 'South'), ('west', 'West'), ('east', 'East');
INSERT INTO ref.grants VALUES ('nurse', 'north'), ('clerk', 'north'), ('porter', 'south');
INSERT INTO ref.area VALUES ('{s}-a0', 'plain'), ('{s}-a1', 'hills');
INSERT INTO ref.item SELECT i, 'item ' || i, i * 3 FROM generate_series(1, 12) AS i;
INSERT INTO vault.key VALUES (1, '{s}-vault');
INSERT INTO care.patient
    SELECT i, 'person ' || i, w, 1 + i % 3, i::text, '{s}-' || i, '+1 {s} ' || i, 'k{s}@example.com', 1000 * i + {n},
           (1950 + i || '-{day}')::date, 'h7wSECRETh-' || i % 3,
           CASE WHEN 1 + i % 3 > 2 THEN '{s}' ELSE 'flu' END,
           jsonb_build_object('card', jsonb_build_object('pin', '{s}' || i, 'bank', 'b' || i % 2),
                              'notes', jsonb_build_array(jsonb_build_object('text', '{s}', 'at', i))),
           ('{"pin": "{s}", "n": ' || i || ', "pin": "{s}-2"}')::json,
           ROW('{s} street', 'z' || i, i % 4)::kind.addr,
           ARRAY[ROW('main', '{s}', 1)::kind.addr, ROW('side', '{s}2', i)::kind.addr],
           ARRAY['{s}', NULL, 'x{s}'], array_fill({n}, ARRAY[1 + {n} % 4]),
           (enum_range(NULL::kind.mood))[1 + {n} % 2], '{s}', int4range({n}, {n} + i), {n} + i / 7.0,
           100 + i + {n}, '{s}-legacy', '{s}-a' || i % 2, 'me{s}'
    FROM (SELECT i, 'north' AS w FROM generate_series(1, 9) AS i UNION ALL
          SELECT i, 'south' FROM generate_series(21, 24) AS i) AS numbers;
-- Documents that are not what the paths say.
UPDATE care.patient SET doc = '"{s}"' WHERE id = 4;
UPDATE care.patient SET doc = '["{s}", {"card": ["{s}", {"pin": {"deep": "{s}"}}, [{"pin": "{s}"}]]}]' WHERE id = 5;
UPDATE care.patient SET doc = '{"card": "{s}", "notes": {"text": ["{s}"]}, "open": "yes"}' WHERE id = 6;
UPDATE care.patient SET doc = NULL, home = NULL, homes = '{}', tags = NULL WHERE id = 7;
UPDATE care.patient SET raw_doc = '["{s}"]' WHERE id = 4;
UPDATE care.patient SET raw_doc = '{"pin": "{s}\u0000"}' WHERE id = 5;
UPDATE care.patient SET doc = '{"card": {"pin": ["{s}"], "PIN": "open", "p\u0069n ": 1}, "notes": [[{"text": "{s}"}], 7, null]}',
    homes = ARRAY[ARRAY[ROW('main', '{s}', 1)::kind.addr]], tags = ARRAY[['{s}', 'x'], ['{s}', 'y']],
    home = ROW(NULL, NULL, NULL)::kind.addr WHERE id = 8;
UPDATE care.patient SET doc = '{"card": {"pin": {"{s}": 1}}, "notes": {"text": {"a": "{s}"}, "at": 9}}',
    homes = '[0:1]={"(main,{s},1)",NULL}', tags = '[5:6]={{s},x}' WHERE id = 9;
INSERT INTO care.visit
    SELECT i, i % 9 + 1, (ARRAY['north', 'west', 'south'])[1 + i % 3], date '2024-06-01' + i * 30, {n} * i, '{s}'
    FROM generate_series(1, 18) AS i;
INSERT INTO care.event SELECT i, 'call', '{s}-' || i FROM generate_series(1, 4) AS i;
INSERT INTO care.alarm SELECT 10 + i, 'fire', '{s}-' || i, i FROM generate_series(1, 3) AS i;
INSERT INTO care.bed (ward, label) VALUES ('north', '1'), ('north', '2'), ('south', '3');
INSERT INTO care.stay SELECT i, i, i FROM generate_series(1, 5) AS i;
INSERT INTO care.diary SELECT who, 'page of ' || who FROM unnest(ARRAY['nurse', 'porter', 'o''hara', '{user.ward}', 'a\b',
    ''' OR true --', 'no"rth', 'ünï', 't.owner', '$1']) AS who;
INSERT INTO care.drift SELECT i, 'label ' || i, '{s}' || i FROM generate_series(1, 3) AS i;
INSERT INTO care.odd
    SELECT i, '{s}', 'u' || i, '{s}', '{s}', 'o' || i, 'n' || i, '{s}', '{s}', 'e' || i FROM generate_series(1, 3) AS i;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET "user".ward = %L', current_database(), '{s}-set'); END $$;
