-- same: COPY of a filtered table
COPY (TABLE care.patient ORDER BY id) TO STDOUT

-- answers: COPY of the table itself
COPY care.patient TO STDOUT

-- answers: COPY of columns
COPY care.patient (id, ssn, doc, home) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *)

-- answers: COPY in binary
COPY care.patient TO STDOUT (FORMAT binary)

-- answers: COPY of a child
COPY care.alarm TO STDOUT

-- same: COPY of a partition's query
COPY (SELECT * FROM care.visit_2024 ORDER BY id) TO STDOUT WITH (DELIMITER '|', NULL 'none')

-- same: COPY of a condition that fails on hidden rows
COPY (SELECT id FROM care.patient WHERE 1 / level >= 0 ORDER BY id) TO STDOUT

-- refused 42501: COPY to a file
COPY care.patient TO '/tmp/patient'

-- same: a cursor
DECLARE c CURSOR WITH HOLD FOR SELECT id, ssn, doc FROM care.patient ORDER BY id; FETCH 5 FROM c; FETCH ALL FROM c; CLOSE c

-- answers: a cursor that counts
BEGIN; DECLARE c SCROLL CURSOR FOR SELECT * FROM care.patient; MOVE ALL FROM c; FETCH LAST FROM c; FETCH PRIOR FROM c; COMMIT

-- same: a cursor's condition that fails on hidden rows
BEGIN; DECLARE c BINARY CURSOR FOR SELECT id FROM care.patient WHERE note::int > 0 ORDER BY id; FETCH ALL FROM c; COMMIT

-- refused 42501: a cursor for update
BEGIN; DECLARE c CURSOR FOR SELECT * FROM care.patient FOR UPDATE

-- refused 42501: the cursors' texts
SELECT pg_cursor()

-- answers: PREPARE with a generic plan
SET plan_cache_mode = force_generic_plan; PREPARE p(int) AS SELECT id, ssn FROM care.patient WHERE 10 / level > $1; EXECUTE p(0); EXECUTE p(5)

-- answers: PREPARE with parameters of many types
PREPARE p(text, kind.mood, kind.addr, int4range) AS SELECT id FROM care.patient WHERE name = $1 OR mood = $2 OR home = $3 OR span = $4; EXECUTE p('x', 'calm', ROW('street', 'z1', 1), '[1,2)')

-- same: EXECUTE with a sub-SELECT
PREPARE p(int) AS SELECT $1; EXECUTE p((SELECT max(level) FROM care.patient))

-- same: an EXECUTE that divides
PREPARE p(int) AS SELECT id FROM care.patient WHERE level / $1 > 0; EXECUTE p(0)

-- answers: EXPLAIN of a filter
EXPLAIN (VERBOSE) SELECT id FROM care.bed WHERE label::int > 0

-- answers: EXPLAIN of a generic plan
EXPLAIN (COSTS off) SELECT * FROM care.visit WHERE day > '2025-01-01'

-- refused 42501: EXPLAIN with buffers
EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM care.bed

-- same: cheap plans
SET enable_seqscan = off; SET cpu_operator_cost = 1000; SELECT id FROM care.patient WHERE 1 / level >= 0 AND ward <> 'x' ORDER BY id

-- same: parallel plans
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET debug_parallel_query = on; SELECT count(*) FROM care.patient WHERE 1 / level >= 0

-- same: no hash joins and no merge joins
SET enable_hashjoin = off; SET enable_mergejoin = off; SELECT b.id FROM care.bed b JOIN ref.item i ON i.id = b.label::int ORDER BY b.id

-- same: joins in the text's own order
SET join_collapse_limit = 1; SET from_collapse_limit = 1; SELECT b.id FROM ref.item i JOIN care.bed b ON i.id = b.label::int ORDER BY b.id

-- same: joins of partitions
SET enable_partitionwise_join = on; SET enable_partitionwise_aggregate = on; SELECT a.ward, count(*) FROM care.visit a JOIN care.visit b USING (day) WHERE 10 / a.patient > 0 GROUP BY 1 ORDER BY 1

-- same: geqo
SET geqo_threshold = 2; SELECT p.id, b.id FROM care.patient p JOIN care.bed b USING (ward) JOIN ref.ward w ON w.code = p.ward WHERE b.label::int / p.level >= 0 ORDER BY 1, 2

-- same: several statements
SELECT id FROM care.patient WHERE note::int > 0 ORDER BY id; SELECT count(*) FROM care.bed; SELECT ssn FROM care.roster ORDER BY id

-- refused 42501: several statements, one of them closed
SELECT id FROM care.patient; SELECT * FROM vault.key

-- refused 42501: a DO
DO $$ BEGIN PERFORM 1 FROM care.patient; END $$

-- refused 42501: NOTIFY
SELECT pg_notify('x', name) FROM care.patient

-- refused 42501: debug messages
SET client_min_messages = debug1

-- refused 42501: plans in the log and in notices
SET debug_print_plan = on

-- answers: the next session has no rest of this one
DISCARD ALL
