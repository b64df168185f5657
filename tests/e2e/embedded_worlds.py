"""Three databases that have nothing in common, for questions in plain English, and how the tests look at them."""

from __future__ import annotations

from proxy.nl.schema import ColumnView, SchemaView, TableView
from proxy.policy.catalog import ForeignKey

CLINIC = """
CREATE TABLE doctors (id int PRIMARY KEY, name text NOT NULL, specialty text, city text, fee numeric(8,2));
CREATE TABLE patients (id int PRIMARY KEY, first_name text, last_name text, gender text, date_of_birth date,
  city text, registered_on date, insured boolean, email text);
CREATE TABLE visits (id int PRIMARY KEY, patient_id int REFERENCES patients, doctor_id int REFERENCES doctors,
  visited_at timestamp, reason text, charge numeric(8,2));
CREATE TABLE prescriptions (id int PRIMARY KEY, visit_id int REFERENCES visits, drug text, quantity int);
CREATE TABLE staff (id int PRIMARY KEY, name text, role text, salary int, manager_id int REFERENCES staff, hired date);
INSERT INTO doctors VALUES (1,'Rao','cardiology','Pune',500),(2,'Iyer','dermatology','Chennai',300),
  (3,'Khan','cardiology','Mumbai',450),(4,'Bose','oncology','Pune',800);
INSERT INTO patients SELECT n, 'First'||n, 'Last'||n, CASE WHEN n%2=0 THEN 'female' ELSE 'male' END,
  date '1960-01-01' + n*400, (ARRAY['Pune','Mumbai','Chennai',NULL])[1+n%4], date '2023-01-15' + n*23, n%3=0,
  CASE WHEN n%5=0 THEN NULL WHEN n%7=0 THEN '' ELSE 'p'||n||'@x.org' END FROM generate_series(1,40) n;
INSERT INTO visits SELECT n, 1+(n*7)%36, 1+n%3, timestamp '2024-01-03 09:00' + n*interval '42 hours',
  (ARRAY['checkup','fever','rash'])[1+n%3], 100+(n*13)%400 FROM generate_series(1,300) n;
INSERT INTO prescriptions SELECT n, 1+(n*3)%280, (ARRAY['aspirin','zinc','ibuprofen'])[1+n%3], 1+n%9
  FROM generate_series(1,400) n;
INSERT INTO staff SELECT n, 'Staff'||n, (ARRAY['nurse','clerk'])[1+n%2], 1000+n*100,
  NULLIF(n/3,0), date '2019-05-01'+n*90
  FROM generate_series(1,20) n;
"""

LIBRARY = """
CREATE TABLE lbmember (lbmemberid varchar PRIMARY KEY, lbmembername varchar, lbmembercity varchar,
  lbmemberjoindate date, lbmemberstatus varchar);
CREATE TABLE lbbook (lbbookid varchar PRIMARY KEY, lbbooktitle varchar, lbbookprice numeric, lbbooklanguage varchar);
CREATE TABLE lbloan (lblnid varchar PRIMARY KEY, lblnmemberid varchar, lblnbookid varchar, lblndate date,
  lblndays int, lblnfee numeric);
INSERT INTO lbmember SELECT 'M'||n, 'Member '||n, (ARRAY['Agra','Surat','Kochi'])[1+n%3], date '2022-06-01'+n*11,
  (ARRAY['active','closed'])[1+n%2] FROM generate_series(1,30) n;
INSERT INTO lbbook SELECT 'B'||n, 'Book '||n, 5+n, (ARRAY['Hindi','Tamil','English'])[1+n%3]
  FROM generate_series(1,25) n;
INSERT INTO lbloan SELECT 'L'||n, 'M'||(1+n%27), 'B'||(1+(n*5)%22), date '2023-01-01'+n*4, n%14, (n%6)*1.5
  FROM generate_series(1,250) n;
"""

ODD = """
CREATE SCHEMA "Sales Dept";
CREATE TABLE "Sales Dept"."Order" ("Number" int, "Year" int, "select" text, "Total Amount" numeric, "placedOn" date,
  PRIMARY KEY ("Number", "Year"));
CREATE TABLE "Sales Dept"."OrderLine" (id int PRIMARY KEY, "orderNumber" int, "orderYear" int, "unitPrice" numeric,
  "It's" text, FOREIGN KEY ("orderNumber", "orderYear") REFERENCES "Sales Dept"."Order");
CREATE TABLE "ग्राहक" (id int PRIMARY KEY, "नाम" text, "शहर" text);
CREATE TABLE "user" (id int PRIMARY KEY, "group" text, "where" text, "limit" int);
COMMENT ON TABLE "ग्राहक" IS 'Clients; also called customers';
COMMENT ON COLUMN "ग्राहक"."शहर" IS 'Town';
COMMENT ON COLUMN "ग्राहक"."नाम" IS 'Full name';
INSERT INTO "Sales Dept"."Order" SELECT n, 2020+n%4, (ARRAY['web','shop'])[1+n%2], n*10, date '2020-02-01'+n*17
  FROM generate_series(1,60) n;
INSERT INTO "Sales Dept"."OrderLine" SELECT n, 1+n%50, 2020+(1+n%50)%4, n%23, 'line '||n%5
  FROM generate_series(1,180) n;
INSERT INTO "ग्राहक" VALUES (1,'मोहन','पुणे'),(2,'सीता','दिल्ली'),(3,'राधा','पुणे');
INSERT INTO "user" VALUES (1,'admin','Pune',5),(2,'guest','Pune',9),(3,'guest',NULL,12);
"""

TABLES = """
SELECT c.oid::int8, n.nspname, c.relname, obj_description(c.oid, 'pg_class'), ARRAY(
  SELECT a.attname::text FROM pg_constraint k, unnest(k.conkey) WITH ORDINALITY u(num, ord)
  JOIN pg_attribute a ON a.attnum = u.num WHERE a.attrelid = k.conrelid AND k.conrelid = c.oid AND k.contype = 'p'
  ORDER BY u.ord)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 2, 3
"""
COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = %s::int8::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
KEYS = """
SELECT k.conname, n1.nspname, c1.relname, ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(x, o)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x ORDER BY o),
  n2.nspname, c2.relname, ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(x, o)
    JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.x ORDER BY o)
FROM pg_constraint k JOIN pg_class c1 ON c1.oid = k.conrelid JOIN pg_namespace n1 ON n1.oid = c1.relnamespace
JOIN pg_class c2 ON c2.oid = k.confrelid JOIN pg_namespace n2 ON n2.oid = c2.relnamespace WHERE k.contype = 'f'
"""


Rows = list[tuple[object, ...]]


def view_of(tables: Rows, columns: dict[int, Rows], keys: Rows) -> SchemaView:
    """The schema view of what the three queries gave."""
    views = tuple(
        TableView(
            str(schema),
            str(name),
            tuple(ColumnView(str(c), str(t), _text(note)) for c, t, note in columns[int(str(oid))]),
            _text(comment),
            _names(key),
        )
        for oid, schema, name, comment, key in tables
    )
    foreign = tuple(
        ForeignKey(str(n), (str(s), str(t)), _names(c), (str(rs), str(rt)), _names(rc))
        for n, s, t, c, rs, rt, rc in keys
    )
    return SchemaView(views, foreign)


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return None if value is None else str(value)
