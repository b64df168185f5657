-- same: a view
SELECT * FROM hr.salaries ORDER BY id

-- same: a view of a view
SELECT * FROM hr.top_paid ORDER BY name

-- same: a view of harmless columns
SELECT * FROM hr.directory ORDER BY id

-- same: a security barrier view
SELECT * FROM hr.fenced ORDER BY id

-- refused 42501: a view that calls a function of a user
SELECT * FROM hr.calling

-- refused 42501: a materialised view of protected columns
SELECT * FROM hr.payroll

-- same: a materialised view of others
SELECT * FROM hr.headcount ORDER BY dept

-- same: a child
SELECT * FROM hr.contractor ORDER BY id

-- same: a partitioned table
SELECT * FROM hr.pay ORDER BY emp_id, year

-- same: a partition
SELECT amount, note FROM hr.pay_2024 ORDER BY emp_id

-- same: the other partition
SELECT sum(amount), max(amount) FROM hr.pay_2025

-- answers: statistics views
SELECT * FROM pg_stats WHERE schemaname = 'hr' UNION ALL SELECT * FROM pg_stats WHERE tablename = 'emp'

-- answers: pg_statistic
SELECT stavalues1::text, stanumbers1, stadistinct FROM pg_statistic

-- answers: pg_statistic by row
SELECT s::text FROM pg_catalog.pg_statistic s

-- answers: extended statistics
SELECT * FROM pg_stats_ext

-- answers: missing values of fast defaults
SELECT attmissingval FROM pg_attribute WHERE attmissingval IS NOT NULL

-- refused 42501: TOAST tables
SELECT * FROM pg_toast.pg_toast_1234

-- refused 42501: passwords
SELECT * FROM pg_authid

-- refused 42501: passwords, the old view
SELECT * FROM pg_shadow

-- answers: others' SQL
SELECT query FROM pg_stat_activity WHERE query IS NOT NULL

-- answers: prepared statements
SELECT statement FROM pg_prepared_statements

-- answers: cursors
SELECT statement FROM pg_cursors

-- answers: sources of functions
SELECT prosrc FROM pg_proc WHERE prosrc IS NOT NULL

-- refused 42501: source of a function
SELECT pg_get_functiondef('public.peek(int)'::regprocedure)

-- refused 42501: replication slots' changes
SELECT * FROM pg_logical_slot_peek_changes('s', NULL, NULL)

-- refused 42501: configuration files
SELECT * FROM pg_hba_file_rules

-- refused 42501: most common values by function
SELECT m.* FROM pg_statistic_ext_data, pg_mcv_list_items(stxdmcv) m
