-- same: plain column
SELECT id, ssn FROM hr.emp ORDER BY id

-- same: alias rename
SELECT ssn AS harmless, salary AS id FROM hr.emp ORDER BY hr.emp.id

-- same: table alias and column alias list
SELECT d FROM hr.emp AS x(a, b, c, d, e) ORDER BY a

-- same: star
SELECT * FROM hr.emp ORDER BY id

-- same: qualified star
SELECT hr.emp.* FROM hr.emp ORDER BY id

-- same: schema-qualified column
SELECT hr.emp.ssn, hr.emp.salary FROM hr.emp ORDER BY 1, hr.emp.id

-- same: TABLE command
TABLE hr.pay ORDER BY emp_id, year

-- same: quoted identifiers
SELECT "ssn", "salary" FROM "hr"."emp" ORDER BY "id"

-- same: unicode escapes in identifiers
SELECT U&"\0073sn" FROM hr.U&"\0065mp" ORDER BY id

-- same: unicode escapes with another escape character
SELECT U&"!0073sn" UESCAPE '!' FROM hr.emp ORDER BY id

-- same: nested comments
SELECT /* a /* b */ c */ ssn -- d
FROM/**/hr./**/emp ORDER BY id

-- same: upper case folds
SELECT SSN FROM HR.EMP ORDER BY ID

-- same: dollar quotes beside it
SELECT $x$SELECT ssn$x$ || ssn FROM hr.emp ORDER BY id

-- same: unqualified, found by search_path
SELECT ssn FROM salaries NATURAL JOIN (SELECT id, ssn FROM contractor) c ORDER BY id

-- same: the name of a table as the name of a WITH query
WITH emp AS (SELECT id, ssn FROM hr.emp) SELECT ssn FROM emp ORDER BY id

-- same: a WITH query that shadows one of another schema
WITH emp AS (SELECT 1 AS ssn) SELECT ssn FROM emp

-- same: without RECURSIVE, the name inside is the table
WITH contractor AS (SELECT ssn FROM contractor) SELECT * FROM contractor ORDER BY 1

-- same: a later WITH query does not see itself in an earlier one
WITH a AS (SELECT count(*) FROM contractor), contractor AS (SELECT 1) SELECT * FROM a, contractor

-- same: WITH inside a subquery ends there
SELECT (WITH contractor AS (SELECT 'x' AS ssn) SELECT ssn FROM contractor), ssn FROM contractor ORDER BY id

-- same: recursive scope
WITH RECURSIVE t(n, s) AS (SELECT 1, ssn FROM hr.emp WHERE id = 1 UNION ALL SELECT n + 1, s FROM t WHERE n < 4)
SELECT * FROM t

-- answers: ONLY
SELECT ssn, salary FROM ONLY hr.emp ORDER BY id

-- refused 42501: a temporary view
CREATE TEMP VIEW shadow AS SELECT ssn FROM hr.emp

-- refused 42501: pg_temp
SELECT * FROM pg_temp.emp

-- refused 42501: search_path with a schema before pg_catalog
SET search_path = public, pg_catalog

-- refused 42501: a table of no rule
SELECT word FROM secret.vault

-- refused 42501: the same in a subquery that is never read
SELECT 1 WHERE EXISTS (SELECT 1 FROM secret.vault WHERE false)

-- refused 0A000: another database
SELECT ssn FROM otherdb.hr.emp

-- same: this database by name
SELECT count(*) FROM hr.emp, hr.dept
