-- same: count
SELECT count(*) FROM care.patient

-- same: count by ward
SELECT ward, count(*) FROM care.patient GROUP BY ward

-- same: count in parallel
SELECT count(*), max(id), min(id), sum(level) FROM care.patient

-- same: count through partitions
SELECT count(*), min(id), max(day) FROM care.visit

-- same: count through the parent
SELECT count(*) FROM care.event

-- same: count of the bed's sub-SELECT
SELECT count(*), max(id) FROM care.bed

-- same: a series joined
SELECT g, p.id IS NULL FROM generate_series(98, 110) AS g LEFT JOIN care.patient p ON p.id = g ORDER BY g

-- same: a gap in the keys
SELECT max(b.id) - min(a.id) FROM care.patient a, care.patient b

-- same: row numbers
SELECT id, row_number() OVER (ORDER BY id), count(*) OVER () FROM care.patient ORDER BY id

-- same: ntile and percent_rank
SELECT id, ntile(3) OVER (ORDER BY id), percent_rank() OVER (ORDER BY id) FROM care.patient ORDER BY id

-- same: a rank among all
SELECT rank(50) WITHIN GROUP (ORDER BY id) FROM care.patient

-- same: ordinality
SELECT * FROM unnest(ARRAY(SELECT id FROM care.patient ORDER BY id)) WITH ORDINALITY

-- same: OFFSET past the end
SELECT id FROM care.patient ORDER BY id OFFSET 8

-- refused 0A000: sampling
SELECT count(*) FROM care.patient TABLESAMPLE SYSTEM (100)

-- refused 0A000: sampling a partition
SELECT count(*) FROM care.visit_2024 TABLESAMPLE BERNOULLI (100) REPEATABLE (1)

-- same: ctid
SELECT count(*) FROM care.patient WHERE ctid < '(0,5)'

-- same: ctid in the select list
SELECT ctid, xmin FROM care.patient

-- same: tableoid
SELECT DISTINCT tableoid::regclass FROM care.event

-- refused 42501: a whole row's tableoid
SELECT (p).tableoid FROM care.patient p

-- answers: row estimates
EXPLAIN SELECT * FROM care.patient

-- answers: row estimates, as JSON
EXPLAIN (FORMAT json, VERBOSE) SELECT * FROM care.alarm

-- refused 42501: rows that a filter removed
EXPLAIN (ANALYZE, TIMING off, SUMMARY off) SELECT * FROM care.patient

-- refused 42501: estimates through PREPARE
PREPARE p AS SELECT * FROM care.bed; EXPLAIN EXECUTE p

-- answers: most common values
SELECT * FROM pg_stats WHERE schemaname = 'care'

-- answers: statistics of expressions
SELECT * FROM pg_stats_ext_exprs

-- answers: the last number that a sequence gave
SELECT last_value FROM pg_sequences WHERE schemaname = 'care'

-- refused 42501: the last number, by function
SELECT pg_sequence_last_value('care.bed_id_seq')

-- refused 0A000: the last number, by table
SELECT last_value FROM care.bed_id_seq

-- refused 42501: the next number
SELECT nextval('care.bed_id_seq')

-- refused 42501: currval
SELECT lastval()

-- refused 42501: a table's rows as XML
SELECT table_to_xml('care.patient', true, false, '')

-- refused 42501: a cursor's rows as XML
SELECT cursor_to_xml('c', 10, true, false, '')

-- refused 42501: counting by a query in text
SELECT query_to_xml('SELECT count(*) FROM care.patient', true, false, '')

-- refused 42501: a sequence's data
SELECT * FROM pg_get_sequence_data('care.bed_id_seq')

-- refused 42501: where a row lies, by function
SELECT currtid2('care.patient', '(0,1)')

-- answers: a plan for rows that are not there
EXPLAIN (COSTS off, VERBOSE) SELECT * FROM care.visit WHERE ward = 'east'

-- same: nothing matches no row
SELECT bool_and(ward = 'north'), every(level > 0) FROM care.patient

-- same: statistics by aggregates
SELECT stddev(level), corr(level, id), regr_count(id, level) FROM care.patient

-- same: a sum over a hash of rows
SELECT sum(hashtext(p::text)) FROM care.bed p

-- same: GROUPING SETS
SELECT ward, level, count(*) FROM care.patient GROUP BY GROUPING SETS ((ward), (level), ()) ORDER BY 1, 2

-- refused 42501: row locks
SELECT count(*) FROM (SELECT 1 FROM care.patient FOR SHARE) x

-- refused 42501: row locks that skip
SELECT id FROM care.patient FOR UPDATE SKIP LOCKED
