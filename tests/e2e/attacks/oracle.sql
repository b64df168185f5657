-- Hand-written masked views with the names of the tables: what each statement should answer.
-- The tables themselves are moved out of the way.
ALTER SCHEMA hr RENAME TO raw;
CREATE SCHEMA hr;
CREATE VIEW hr.dept AS SELECT * FROM raw.dept;
CREATE VIEW hr.emp AS
    SELECT id, name, dept, '***'::text AS ssn, NULL::int AS salary, NULL::jsonb AS meta, hired FROM raw.emp;
CREATE VIEW hr.contractor AS
    SELECT id, name, dept, '***'::text AS ssn, NULL::int AS salary, NULL::jsonb AS meta, hired, rate
    FROM raw.contractor;
CREATE VIEW hr.pay AS SELECT emp_id, year, NULL::int AS amount, note FROM raw.pay;
CREATE VIEW hr.pay_2024 AS SELECT emp_id, year, NULL::int AS amount, note FROM raw.pay_2024;
CREATE VIEW hr.pay_2025 AS SELECT emp_id, year, NULL::int AS amount, note FROM raw.pay_2025;
CREATE VIEW hr.directory AS SELECT id, name, dept FROM hr.emp;
CREATE VIEW hr.salaries AS SELECT id, name, salary, left(ssn, 3) AS area FROM hr.emp;
CREATE VIEW hr.top_paid AS SELECT s.name, s.salary * 2 AS twice FROM hr.salaries AS s WHERE s.salary > 10;
CREATE VIEW hr.fenced AS SELECT id, name, salary FROM hr.emp WHERE dept = 'eng';
CREATE VIEW hr.headcount AS SELECT * FROM raw.headcount;
