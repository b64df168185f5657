-- What hipaa.yaml is tested on. Nobody in it exists, and no number is meant to be anybody's.
CREATE SCHEMA clinic;
CREATE TABLE clinic.patients (
    id int PRIMARY KEY, mrn text NOT NULL, name text NOT NULL, birth_date date NOT NULL, death_date date, age int,
    sex text, street text, city text, county text, state char(2), zip varchar(10), phone text, fax text, email text,
    ssn char(11), health_plan_id text, account_number text, license_number text, license_plate text, portal_url text,
    last_ip inet, fingerprint bytea, photo bytea, research_consent boolean NOT NULL, nickname text);
CREATE TABLE clinic.encounters (
    id int PRIMARY KEY, patient_id int NOT NULL REFERENCES clinic.patients, unit text NOT NULL,
    admission_date timestamptz NOT NULL, discharge_date timestamptz, diagnosis_code text NOT NULL,
    charge numeric(10, 2) NOT NULL, device_serial text, note text, intake jsonb);
CREATE TABLE clinic.psychotherapy_notes (
    id int PRIMARY KEY, patient_id int NOT NULL REFERENCES clinic.patients, author text NOT NULL, body text NOT NULL);
CREATE VIEW clinic.census AS
    SELECT e.unit, p.name, p.zip, e.admission_date
    FROM clinic.encounters e JOIN clinic.patients p ON p.id = e.patient_id;

INSERT INTO clinic.patients VALUES
    (1, 'MRN-000431', 'Ada Example', '1984-07-09', NULL, 42, 'F', '12 Elm Street', 'Cambridge', 'Middlesex', 'MA',
     '02139-4307', '(617) 555-0142', '617-555-0143', 'ada@example.com', '000-12-3456', 'HP-77120', 'ACC-9001',
     'S99988801', '1ABC234', 'https://portal.example.com/p/1', '192.0.2.10', '\x01', '\x0a', true, 'Addie'),
    (2, 'MRN-000977', 'Bo Sample', '1931-02-01', '2025-03-04', 94, 'M', '5 Main Road', 'Lovelock', 'Pershing', 'NV',
     '89301', '(775) 555-0100', NULL, 'bo@example.org', '000-98-7654', 'HP-10093', 'ACC-9002', NULL, NULL, NULL,
     '2001:db8::7', NULL, '\x0b', true, NULL),
    (3, 'MRN-001204', 'Cy Placeholder', '1990-11-30', NULL, NULL, NULL, '7 Oak Lane', 'Boston', 'Suffolk', 'MA', '2118',
     '(617) 555-0177', NULL, NULL, '000-55-0001', 'HP-55012', 'ACC-9003', NULL, NULL, NULL, NULL, NULL, NULL, false,
     NULL);
INSERT INTO clinic.encounters VALUES
    (1, 1, 'cardiology', '2025-06-14 08:30+00', '2025-06-17 12:00+00', 'I48.0', 4200.00, 'PM-5512',
     'Ada came with her sister Eve.',
     '{"complaint": "palpitations", "contact": {"name": "Eve", "phone": "617-555-0199"}}'),
    (2, 2, 'oncology', '2025-02-20 09:00+00', '2025-03-04 03:15+00', 'C34.1', 18000.00, NULL, 'Family informed.', NULL),
    (3, 3, 'cardiology', '2025-09-01 14:45+00', NULL, 'I10', 350.00, NULL, NULL, NULL);
INSERT INTO clinic.psychotherapy_notes VALUES (1, 1, 'therapist_lee', 'Session 1');
