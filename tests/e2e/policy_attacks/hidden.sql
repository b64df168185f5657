-- Rows that nobody may see: {rows} of them, with a zero to divide by and texts that are no numbers.
INSERT INTO care.patient (id, name, ward, level, note, ssn, income, grade, score, doc, mood)
    SELECT 100 + i, '{s} person', 'east', 0, '{s}', '{s}-h' || i, {n}, 1, 0, '{"card": 1}', 'calm'
    FROM generate_series(1, {rows}) AS i;
INSERT INTO care.visit
    SELECT 100 + i, 0, 'east', date '2024-03-01' + i * 5, 0, '{s}' FROM generate_series(1, {rows}) AS i;
INSERT INTO care.alarm SELECT 0, 'silent', '{s}', 0 FROM generate_series(1, {rows}) AS i;
INSERT INTO care.bed (ward, label) SELECT 'east', '{s}' FROM generate_series(1, {rows});
INSERT INTO care.diary SELECT 'someone', '{s}' FROM generate_series(1, {rows});
INSERT INTO care.stay VALUES (9, 101, 0);
REFRESH MATERIALIZED VIEW care.tally;
ANALYZE;
