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
