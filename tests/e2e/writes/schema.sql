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
