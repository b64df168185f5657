-- What the writes need besides the attacks' schema: a table without keys over protected columns, and each sort of
-- constraint that could tell of one.
CREATE TABLE hr.staff (
    id int PRIMARY KEY, name text, ssn text, salary int, bonus int, tags text[], note text DEFAULT 'new',
    g int GENERATED ALWAYS AS (salary * 2) STORED, CONSTRAINT bonus_is_small CHECK (bonus <= salary));
CREATE TABLE hr.badge (ssn text PRIMARY KEY, color text);
CREATE TABLE shop.visit (id int PRIMARY KEY, ssn text REFERENCES hr.badge ON DELETE CASCADE, day date);
CREATE TABLE shop.ticket (id int PRIMARY KEY, dept text REFERENCES hr.dept, emp int REFERENCES hr.emp, at int);
CREATE TABLE secret.note (dept text REFERENCES hr.dept, ssn text);
CREATE TABLE shop.orders (id int PRIMARY KEY, region text, secret text, total int);
CREATE TABLE shop.desk (id int PRIMARY KEY, region text);
CREATE TABLE shop.desk_orders (id int PRIMARY KEY, desk int, secret text);
CREATE TABLE shop.ruled (id int, label text);
CREATE RULE peek AS ON INSERT TO shop.ruled DO ALSO INSERT INTO shop.item SELECT id, ssn FROM hr.emp;
CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.ssn := (SELECT ssn FROM hr.emp ORDER BY id LIMIT 1); RETURN NEW; END $$;
CREATE TABLE shop.stamped (id int PRIMARY KEY, label text, ssn text);
CREATE TRIGGER stamp BEFORE INSERT ON shop.stamped FOR EACH ROW EXECUTE FUNCTION public.stamp();
CREATE TABLE shop.odd (id int, c public.checked, d text DEFAULT public.peek(1));
CREATE INDEX staff_quotient ON hr.staff ((bonus / nullif(salary - 7340134, 0)));
CREATE TABLE shop.guarded (id int, CONSTRAINT guard CHECK (NOT public.peek_int(id, id)), kind public.mood,
    CONSTRAINT known CHECK (kind <> 'low'::public.mood));
CREATE TABLE shop.mixed (id int, kind public.mood CONSTRAINT known CHECK (kind <> 'low'::public.mood));
CREATE TABLE shop.sliced (id int, ssn text, at int) PARTITION BY RANGE ((at + length(ssn)));
CREATE TABLE shop.sliced_0 PARTITION OF shop.sliced FOR VALUES FROM (0) TO (1000);
CREATE TABLE shop.whole (id int, label text, ssn text);
CREATE FUNCTION public.row_text(shop.whole) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.ssn || $1.label';
CREATE UNIQUE INDEX whole_once ON shop.whole (public.row_text(whole));
-- Keys that cascade into what rules look at: a filter's column, a condition's, a table that either reads.
CREATE TABLE shop.zone (code text PRIMARY KEY, base text, name text GENERATED ALWAYS AS (lower(base)) STORED UNIQUE);
CREATE TABLE shop.parcel (id int PRIMARY KEY, zone text DEFAULT 'north' REFERENCES shop.zone ON UPDATE CASCADE, label text);
CREATE TABLE shop.pallet (id int PRIMARY KEY, zone text REFERENCES shop.zone (name) ON UPDATE CASCADE, label text);
CREATE TABLE shop.country (code text PRIMARY KEY);
CREATE TABLE shop.city (country text REFERENCES shop.country ON UPDATE CASCADE, name text, PRIMARY KEY (country, name));
CREATE TABLE shop.letter (
    id int PRIMARY KEY, country text, city text, label text,
    FOREIGN KEY (country, city) REFERENCES shop.city ON UPDATE CASCADE);
CREATE TABLE shop.state (code text PRIMARY KEY);
CREATE TABLE shop.person (
    id int PRIMARY KEY, state text DEFAULT 'open' REFERENCES shop.state ON UPDATE CASCADE ON DELETE SET DEFAULT,
    ssn text, level text, open_level text GENERATED ALWAYS AS (level || '!') STORED, phone text, note text);
CREATE TABLE shop.open_level (code text PRIMARY KEY);
CREATE TABLE shop.area (code text PRIMARY KEY);
CREATE TABLE shop.client (id int PRIMARY KEY, label text);
CREATE TABLE secret.access (who text, area text REFERENCES shop.area ON UPDATE CASCADE);
CREATE TABLE secret.blocked (client int REFERENCES shop.client ON DELETE CASCADE);
CREATE TABLE shop.report (id int PRIMARY KEY, area text, label text);
CREATE TABLE shop.deal (id int PRIMARY KEY, client int, label text);
CREATE TABLE shop.harbour (code text PRIMARY KEY);
CREATE TABLE secret.load (id int, harbour text REFERENCES shop.harbour ON UPDATE CASCADE, label text);
CREATE VIEW shop.loads AS SELECT id, harbour AS port, label FROM secret.load;
CREATE TABLE shop.pier (code text PRIMARY KEY);
CREATE TABLE shop.boat (id int, pier text REFERENCES shop.pier ON UPDATE CASCADE, label text) PARTITION BY LIST (pier);
CREATE TABLE shop.boat_north PARTITION OF shop.boat FOR VALUES IN ('north', 'tmp');
CREATE TABLE shop.boat_south PARTITION OF shop.boat FOR VALUES IN ('south');
CREATE TABLE shop.asset (id int, state text);
CREATE TABLE shop.car (plate text) INHERITS (shop.asset);
CREATE TABLE shop.kind (code text PRIMARY KEY);
CREATE TABLE shop.thing (id int PRIMARY KEY, kind text REFERENCES shop.kind ON UPDATE CASCADE ON DELETE CASCADE);
CREATE TABLE shop.bill (
    id int, zone text, code text, lower_code text GENERATED ALWAYS AS (lower(code)) STORED UNIQUE, total int);
CREATE TABLE shop.grade (id int, band text, note text) PARTITION BY LIST (band);
CREATE TABLE shop.grade_1 PARTITION OF shop.grade FOR VALUES IN ('one');
CREATE TABLE shop.grade_2 PARTITION OF shop.grade DEFAULT;
CREATE TABLE shop.quiet (id int, pin text, note text);
CREATE TABLE shop.told (id int, word text);
