"""A small office database for tests with real clients, its policy, and what a masked role should see of it.

`MASKED` holds hand-written views with the tables' names: the analyst's answer through the proxy has to be what a
direct client gets from them. Every protected value holds `SECRET`, or is a number that begins with `SECRET_DIGITS`.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from conftest import create_database

from proxy import localpg

SECRET = "zq8x"
SECRET_DIGITS = "734002"
ROW = "rowmark"
"""Part of values that are not protected, and that no model is ever shown."""
PRIVATE = (
    *("meera", "krishnan", "rohan", "deshpande", "farah", "neill", "सुनीता", "पाटील", "mail.test"),
    *("98450", "12345", "99210", "54321", "2671", "97300", "44871", "10093", "55012", "77120", "1984", "1975-11"),
)
"""Parts of the patients' values, in lower case, that stand nowhere else."""
EMPLOYEES = 12
PHOTO = b"\x00\xffzq8x"

SCHEMA = """
CREATE SCHEMA hr;
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('open', 'paid', 'sent');
CREATE TABLE hr.dept (code text PRIMARY KEY, title text NOT NULL);
CREATE TABLE hr.emp (
    id int PRIMARY KEY, name text NOT NULL, dept text REFERENCES hr.dept, ssn text NOT NULL, salary numeric(12, 2),
    email varchar(60), hired date, photo bytea, meta jsonb, tags text[], score double precision);
CREATE TABLE shop.orders (
    id int PRIMARY KEY, sold_by int NOT NULL REFERENCES hr.emp, total numeric(10, 2) NOT NULL,
    placed timestamptz NOT NULL, state shop.state NOT NULL, ref uuid NOT NULL, express boolean NOT NULL);
CREATE VIEW hr.directory AS SELECT id, name, ssn, email FROM hr.emp;
CREATE TABLE shop.diary (id int GENERATED ALWAYS AS IDENTITY, line text, amount numeric);
CREATE TABLE shop.many (id int, code text, email text);
CREATE SCHEMA clinic;
CREATE SEQUENCE clinic.counter;
CREATE TABLE clinic.patients (
    id int PRIMARY KEY, name text NOT NULL, mail text, phone text, record_code text, born date, city text NOT NULL,
    remark text);
CREATE TABLE clinic.visits (
    id int PRIMARY KEY, patient_id int NOT NULL REFERENCES clinic.patients, day date NOT NULL, fee numeric(8, 2));
CREATE TABLE clinic.letters (id int PRIMARY KEY, patient_id int REFERENCES clinic.patients, body text);
COMMENT ON TABLE clinic.patients IS 'Who comes here';
COMMENT ON COLUMN clinic.patients.phone IS 'Such as +91 98450 12345; ask meera.krishnan@mail.test if unsure';
COMMENT ON TABLE hr.emp IS 'The people who work here';
COMMENT ON COLUMN hr.emp.hired IS 'First day at work';
"""

ROWS = f"""
INSERT INTO hr.dept VALUES ('eng', 'Engineering'), ('ops', 'Operations');
INSERT INTO hr.emp
    SELECT i, 'person ' || i, CASE WHEN i % 2 = 0 THEN 'ops' ELSE 'eng' END, '{SECRET}-' || lpad(i::text, 4, '0'),
           {SECRET_DIGITS}0 + i, '{SECRET}' || i || '@corp.test', date '2020-01-15' + i * 100, '\\x00ff7a713878'::bytea,
           jsonb_build_object('pin', '{SECRET}' || i), ARRAY['tag ' || i, 'x,y', NULL], i * 1.25
    FROM generate_series(1, {EMPLOYEES}) AS i;
INSERT INTO shop.orders
    SELECT i, 1 + i % {EMPLOYEES}, i * 10.5, timestamptz '2024-03-01 10:00+00' + make_interval(days => i),
           (enum_range(NULL::shop.state))[1 + i % 3], ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid,
           i % 2 = 0
    FROM generate_series(1, 40) AS i;
INSERT INTO clinic.patients VALUES
    (1, 'Meera Krishnan', 'meera.krishnan@mail.test', '+91 98450 12345', 'QX-44871-Z', '1984-07-09', 'Pune', '{ROW}'),
    (2, 'Rohan Deshpande', 'rohan_d@mail.test', '+91 99210 54321', 'QX-10093-K', '1990-02-01', 'Nashik', '{ROW}'),
    (3, 'Farah O''Neill', 'farah@mail.test', '+1 415 555 2671', 'QX-55012-B', '1975-11-30', 'Pune', '{ROW}'),
    (4, 'सुनीता पाटील', 'rohanxd@mail.test', '+91 97300 11111', 'QX-77120-M', '2001-05-05', 'Satara', '{ROW}');
INSERT INTO clinic.visits SELECT i, 1 + i % 4, date '2024-06-01' + i, i * 100 FROM generate_series(1, 20) AS i;
INSERT INTO clinic.letters SELECT i, i, 'dear reader {ROW}' FROM generate_series(1, 4) AS i;
INSERT INTO shop.many
    SELECT i, 'code ' || i, '{SECRET}' || i || '@corp.test' FROM generate_series(1, 200000) AS i;
ANALYZE;
"""

MASKED = """
ALTER SCHEMA hr RENAME TO raw;
ALTER TABLE shop.many SET SCHEMA raw;
CREATE SCHEMA hr;
CREATE VIEW hr.dept AS SELECT * FROM raw.dept;
CREATE VIEW hr.emp AS
    SELECT id, name, dept, repeat('*', 4) || '-**' || right(ssn, 2) AS ssn, NULL::numeric(12, 2) AS salary,
           'z***@***.test'::varchar(60) AS email, date_trunc('year', hired)::date AS hired, NULL::bytea AS photo,
           '{}'::jsonb AS meta, tags, score
    FROM raw.emp;
CREATE VIEW hr.directory AS SELECT id, name, ssn, email FROM hr.emp;
CREATE VIEW shop.many AS SELECT id, code, 'z***@***.test'::text AS email FROM raw.many;
"""

POLICY = """
version: 1
roles:
  dba: {users: [postgres, dba], bypass: true}
  analyst: {users: [analyst, "bi_*"]}
defaults: {tables: deny}
tables:
  - {allow: ["hr.*", shop.orders, shop.many, clinic.patients, clinic.visits], roles: [analyst]}
  - {allow: [shop.diary, clinic.letters], roles: [dba]}
columns:
  - {columns: ["*.*.email"], tag: email}
  - {columns: [hr.emp.salary, hr.emp.photo], tag: private}
  - {columns: [hr.emp.name, clinic.patients.name, clinic.patients.mail], tag: person}
  - {columns: [clinic.patients.phone, clinic.patients.record_code, clinic.patients.born], tag: hidden}
masks:
  - {columns: [hr.emp.ssn], mask: partial, with: {show_last: 2}, except: [dba]}
  - {columns: [hr.emp.hired], mask: year, except: [dba]}
  - {columns: [hr.emp.meta], mask: constant, with: {value: "{}"}, except: [dba]}
  - {tag: email, mask: email, except: [dba]}
  - {tag: private, mask: "null", except: [dba]}
  - {tag: hidden, mask: "null", except: [dba]}
"""


def make_office(postgres: localpg.LocalPostgres, name: str) -> str:
    """The database; its DSN."""
    return create_database(postgres, name, SCHEMA, ROWS)


def make_masked_office(postgres: localpg.LocalPostgres, name: str) -> str:
    """The database as the analyst should see it; its DSN."""
    return create_database(postgres, name, SCHEMA, ROWS, MASKED)


def write_policy(directory: Path, text: str = POLICY) -> Path:
    """A directory of policies with this one in it."""
    policies = directory / "policies"
    policies.mkdir()
    (policies / "office.yaml").write_text(text, encoding="utf-8")
    return policies


def fetch(dsn: str, sql: str) -> list[tuple[object, ...]]:
    """Rows straight from the database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(sql.encode()).fetchall()


def secrets_in(text: str) -> list[str]:
    """The protected values that stand in a text, numbers with separators too."""
    plain = text.replace(",", "")
    return [secret for secret in (SECRET, SECRET_DIGITS, SECRET.encode().hex()) if secret in plain]
