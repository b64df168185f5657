-- refused 42501: attribute notation reads a custom setting
SELECT ('app.secret'::text).current_setting

-- refused 42501: attribute notation reads an installation setting
SELECT ('data_directory'::text).current_setting

-- refused 42501: attribute notation reads a setting of a computed name
SELECT ('app.' || 'secret').current_setting

-- refused 42501: attribute notation on a column reads a setting
SELECT (name).current_setting FROM (VALUES ('app.secret'::text)) v(name)

-- refused 42501: attribute notation casts to a domain whose check reads salaries
SELECT (7340134).checked

-- refused 42501: attribute notation on a subquery casts to a domain
SELECT (SELECT 7340134).checked

-- refused 42501: attribute notation on a column casts to a domain
SELECT (id).checked FROM shop.item

-- refused 42501: a domain cast hidden in TABLESAMPLE's argument
SELECT id FROM shop.item TABLESAMPLE bernoulli ((7340134).checked)

-- refused 42501: a materialised view of whole rows as text
SELECT * FROM shop.mv_row

-- refused 42501: COPY of a materialised view of whole rows
COPY shop.mv_row TO STDOUT

-- refused 42501: a materialised view that calls a function
SELECT * FROM shop.mv_fn

-- answers: a stored generated column of a masked column
SELECT ssn_up FROM shop.gen ORDER BY id

-- answers: a virtual generated column of a masked column
SELECT ssn_v FROM shop.gen ORDER BY id

-- answers: the other parent of a child whose column is masked
SELECT ssn FROM shop.base_b ORDER BY id

-- answers: a built-in function's name that is a user's domain
SELECT scale(7340134)

-- refused 42501: a variadic function over rows in attribute notation
SELECT d.vfn FROM hr.dept d

-- refused 42883: an overload of set_config
SELECT set_config('jit', 'off', 1)

-- answers: a domain column filled by json_populate_record
SELECT json_populate_record(t, '{"c": 7340134}') FROM shop.domtab t

-- answers: a domain inside a composite column filled from a literal
SELECT coalesce(c, '(x,7340134)') FROM shop.comps

-- answers: a literal that lag takes for the column's domain
SELECT lag(c, 1, '7340134') OVER () FROM shop.domtab

-- answers: a literal that array_replace takes for the column's domain
SELECT array_replace(array_agg(c), NULL, '7340134') FROM shop.domtab

-- answers: a whole row in a view
SELECT * FROM shop.v_row

-- answers: statistics through a user's view
SELECT * FROM shop.v_cat

-- answers: activity through a user's view
SELECT query FROM shop.v_act WHERE query IS NOT NULL

-- answers: whole rows of a table with generated columns
SELECT g, row_to_json(g) FROM shop.gen g

-- answers: COPY of generated columns
COPY (SELECT * FROM shop.gen) TO STDOUT

-- refused 42501: a materialised view of a view's rows
SELECT * FROM shop.mv_row2

-- answers: the helper that pgjdbc calls
SELECT (information_schema._pg_expandarray(ARRAY[1, 2])).n

-- answers: a child's own expression, through its parent
SELECT id, g FROM shop.gp ORDER BY id

-- answers: the same where only the child has the masked column
SELECT id, g FROM shop.gq ORDER BY id

-- answers: the same through a view
SELECT g FROM shop.v_gp

-- refused 42501: the same through a materialised view
SELECT g FROM shop.mv_gp

-- refused 42501: a materialised view of statistics
SELECT * FROM shop.mv_stat

-- refused 42501: a materialised view of a view of sources
SELECT * FROM shop.mv_source

-- refused 42501: a domain that casts to a domain
SELECT 7340134::public.wrapchk

-- refused 42501: a domain that casts to an array of a domain
SELECT 7340134::public.arrchk

-- refused 42501: a domain that reads a setting
SELECT 'guess'::public.readchk

-- refused 42501: a domain in a column definition list
SELECT * FROM json_to_record('{"a": 7340134}') AS x(a public.wrapchk)

-- answers: a domain of built-ins
SELECT 5::public.positive, json_value('7', '$' RETURNING public.positive)

-- refused 42501: a range ordered by a user's function
SELECT '[7340134,7340135]'::public.orng

-- answers: a predicate of the client's after that of a catalogue
SELECT count(*) FROM pg_settings s WHERE starts_with(name, 'config_file') AND parse_ident(setting) IS NULL

-- refused 0A000: a crowd of masked tables
SELECT 1 FROM hr.emp a1, hr.emp a2, hr.emp a3, hr.emp a4, hr.emp a5, hr.emp a6, hr.emp a7, hr.emp a8, hr.emp b1, hr.emp b2, hr.emp b3, hr.emp b4, hr.emp b5, hr.emp b6, hr.emp b7, hr.emp b8, hr.emp c1, hr.emp c2, hr.emp c3, hr.emp c4, hr.emp c5, hr.emp c6, hr.emp c7, hr.emp c8, hr.emp d1, hr.emp d2, hr.emp d3, hr.emp d4, hr.emp d5, hr.emp d6, hr.emp d7, hr.emp d8, hr.emp e1, hr.emp e2, hr.emp e3, hr.emp e4, hr.emp e5, hr.emp e6, hr.emp e7, hr.emp e8, hr.emp f1, hr.emp f2, hr.emp f3, hr.emp f4, hr.emp f5, hr.emp f6, hr.emp f7, hr.emp f8, hr.emp g1, hr.emp g2, hr.emp g3, hr.emp g4, hr.emp g5, hr.emp g6, hr.emp g7, hr.emp g8, hr.emp h1, hr.emp h2, hr.emp h3, hr.emp h4, hr.emp h5, hr.emp h6, hr.emp h7, hr.emp h8, hr.emp i1
