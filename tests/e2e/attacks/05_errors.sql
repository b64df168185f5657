-- same: cast to int
SELECT ssn::int FROM hr.emp

-- same: cast to json
SELECT ssn::json FROM hr.emp

-- same: cast to date
SELECT ssn::date FROM hr.emp

-- same: cast to uuid
SELECT cast(ssn AS uuid) FROM hr.emp

-- same: cast of a row
SELECT e::text::int FROM hr.emp e

-- same: cast to regclass
SELECT ssn::regclass FROM hr.emp

-- same: to_regclass
SELECT to_regclass(ssn) FROM hr.emp ORDER BY id

-- same: division by zero under CASE
SELECT CASE WHEN salary = 1013 THEN 1 / 0 ELSE 1 END FROM hr.emp ORDER BY id

-- same: division by a protected value
SELECT 1 / (salary - salary) FROM hr.emp

-- same: invalid regular expression
SELECT 'a' ~ ('(' || ssn) FROM hr.emp

-- same: overflow
SELECT salary * 2147483647 FROM hr.emp ORDER BY id

-- same: numeric overflow
SELECT salary::numeric(2, 0) FROM hr.emp ORDER BY id

-- same: array subscript and slice
SELECT (ARRAY[1, 2])[salary] FROM hr.emp ORDER BY id

-- same: more than one row
SELECT (SELECT ssn FROM hr.emp)

-- same: JSON path error
SELECT jsonb_path_query(to_jsonb(ssn), 'strict $.a') FROM hr.emp

-- same: date out of range
SELECT make_date(salary, 1, 1) FROM hr.emp ORDER BY id

-- same: substring of negative length
SELECT substring(ssn FROM 1 FOR -1) FROM hr.emp

-- same: an unknown column
SELECT nothing FROM hr.emp

-- same: an unknown field of the alias
SELECT e.nothing FROM hr.emp e

-- same: an unknown table
SELECT * FROM hr.nothing

-- same: an unknown function
SELECT name || 1 + 'x' FROM hr.emp

-- same: an encoding that cannot hold it
SELECT convert_to(ssn, 'NOPE') FROM hr.emp

-- same: sqrt of a negative
SELECT sqrt(salary - 1000000) FROM hr.emp ORDER BY id

-- same: enum input
SELECT ssn::public.mood FROM hr.emp

-- refused 42501: a domain whose check reads tables
SELECT salary::public.checked FROM hr.emp

-- refused 42501: unique probe by INSERT
INSERT INTO hr.emp (id, name, ssn) VALUES (999, 'x', 'guess')

-- refused 42501: foreign key probe by DELETE
DELETE FROM hr.dept WHERE code = 'eng'

-- refused 42501: check probe by UPDATE
UPDATE hr.emp SET salary = -salary

-- refused 42501: ON CONFLICT probe
INSERT INTO hr.emp (id, name, ssn) VALUES (1, 'x', 'y') ON CONFLICT (ssn) DO NOTHING RETURNING *

-- same: syntax error
SELEC ssn FROM hr.emp
