INSERT INTO hr.dept VALUES ('eng', 'Engineering'), ('ops', 'Operations'), ('hr', 'People');
INSERT INTO hr.emp
    SELECT i, 'person ' || i, (ARRAY['eng', 'ops', 'hr'])[1 + i % 3], '{ssn}' || '-' || lpad(i::text, 4, '0'),
           {salary} + i * {step}, jsonb_build_object('pin', '{ssn}' || i, 'floor', i % 4), date '2020-01-01' + i
    FROM generate_series(1, 40) AS i;
INSERT INTO hr.contractor SELECT 100 + i, 'contractor ' || i, 'ops', '{ssn}' || '-c' || i, {salary} + i, NULL,
           date '2023-05-01' + i, i * 1.5 FROM generate_series(1, 5) AS i;
INSERT INTO hr.pay SELECT i, 2024 + i % 2, {salary} + i * {step}, 'note ' || i FROM generate_series(1, 40) AS i;
INSERT INTO shop.item SELECT i, 'item ' || i, i * 2.5, 1 + i % 40 FROM generate_series(1, 30) AS i;
INSERT INTO public.emp VALUES (1, 'public note');
INSERT INTO secret.vault VALUES (1, '{ssn}-vault');
REFRESH MATERIALIZED VIEW hr.payroll;
REFRESH MATERIALIZED VIEW hr.headcount;
SELECT lo_from_bytea(4242, convert_to('{ssn}-large', 'UTF8'));
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.secret = %L', current_database(), '{ssn}-set'); END $$;
ANALYZE;
