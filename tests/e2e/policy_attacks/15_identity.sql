-- refused 42501: SET ROLE
SET ROLE porter

-- refused 42501: SET LOCAL ROLE
BEGIN; SET LOCAL ROLE porter

-- refused 42501: the role as a setting
SET role = 'porter'

-- refused 42501: the role by set_config
SELECT set_config('role', 'postgres', false)

-- refused 42501: another session's user
SET SESSION AUTHORIZATION porter

-- refused 42501: resetting it
RESET SESSION AUTHORIZATION

-- refused 42501: an attribute as a setting
SET "user".ward = 'south'

-- refused 42501: an attribute by set_config
SELECT set_config('user.ward', 'south', true)

-- refused 42501: an attribute read
SELECT current_setting('user.ward', true)

-- answers: an attribute read by a name that is a value
SELECT current_setting('user.ward'::text, true), current_setting('USER.WARD'::varchar(9)), current_setting('user.ward'::name)

-- answers: an attribute read by a prepared name
PREPARE attribute(text) AS SELECT current_setting($1::varchar, true); EXECUTE attribute('user.ward'); DEALLOCATE attribute

-- refused 42501: an attribute read by a name with a part computed
SELECT current_setting(('user.' || 'ward')::text, true)

-- refused 42501: row security off
SET row_security = off

-- refused 42501: NULL that equals
SET transform_null_equals = on

-- refused 42501: a transaction with another user
BEGIN; SET LOCAL session_authorization = 'postgres'; SELECT 1

-- same: braces in a text
SELECT '{user.ward}', "user", "user" || '{user.name}' FROM care.odd ORDER BY id

-- same: braces as a name
SELECT ward AS "{user.ward}" FROM care.patient AS "{user.name}" ORDER BY "{user.name}".id

-- same: braces of a row
SELECT b."{row.ward}" FROM care.bed AS b(id, "{row.ward}", label) ORDER BY 1

-- same: a user's name that is a column
SELECT owner, body FROM care.diary

-- same as porter: one's own pages
SELECT * FROM care.diary WHERE owner <> 'x' OR true

-- same: a page of somebody else
SELECT * FROM care.diary WHERE owner = 'someone'

-- refused 42501 as both: two wards are none
SELECT id FROM care.patient

-- refused 42501 as both: two wards are none, in a view
SELECT count(*) FROM care.roster

-- answers as both: what needs no attribute
SELECT id, label FROM ref.item ORDER BY id

-- refused 42501 as both: in a sub-SELECT of two lists
SELECT (SELECT count(*) FROM care.visit)

-- answers: who one is to the database
SELECT current_user = session_user, current_role = user

-- answers: grants on what others may read
SELECT has_table_privilege('vault.key', 'SELECT') IS NOT NULL

-- refused 42501: a closed table
SELECT word FROM vault.key

-- refused 42501: a closed table as a row of nothing
SELECT k FROM (SELECT 1) x LEFT JOIN vault.key k ON false

-- refused 42501: a closed table's size in a LIMIT
SELECT 1 LIMIT (SELECT count(*) FROM vault.key)

-- refused 42501: parameters of the session's users
SELECT usesysid, passwd FROM pg_shadow

-- answers: other sessions' users
SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%SECRET%'
