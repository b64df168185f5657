-- What gdpr.yaml is tested on. Nobody in it exists, and no number is meant to be anybody's.
CREATE SCHEMA crm;
CREATE SCHEMA privacy;
CREATE TABLE privacy.pseudonyms (customer_no text PRIMARY KEY, pseudonym text NOT NULL);
CREATE TABLE crm.customers (
    id int PRIMARY KEY, customer_no text NOT NULL UNIQUE, country char(2) NOT NULL, first_name text NOT NULL,
    nachname text NOT NULL, email text, telefon text, date_of_birth date, strasse text, postcode text, city text,
    national_id text, last_login_ip inet, marketing_consent boolean NOT NULL, restricted boolean NOT NULL,
    profile jsonb, shoe_size int);
CREATE TABLE crm.orders (
    id int PRIMARY KEY, customer_no text NOT NULL REFERENCES crm.customers (customer_no), placed_on date NOT NULL,
    total numeric(10, 2) NOT NULL);
CREATE TABLE crm.employees (
    id int PRIMARY KEY, country char(2) NOT NULL, first_name text NOT NULL, religion text, trade_union text,
    health_note text, ethnicity text, political_opinion text, sexual_orientation text, genome bytea,
    criminal_record text);
CREATE TABLE crm.tickets (
    id int PRIMARY KEY, customer_id int NOT NULL REFERENCES crm.customers, opened_on date NOT NULL, message text);

INSERT INTO privacy.pseudonyms VALUES
    ('K-1001', 'subject-7f2a'), ('K-1002', 'subject-90c4'), ('K-1004', 'subject-1be8');
INSERT INTO crm.customers VALUES
    (1, 'K-1001', 'DE', 'Anna', 'Beispiel', 'anna@example.de', '+49 30 23125 014', '1984-07-09', 'Musterweg 12',
     '10117', 'Berlin', 'T220001293', '192.0.2.10', true, false,
     '{"language": "de", "device": {"id": "a1b2-c3"}, "interests": ["cycling"]}', 38),
    (2, 'K-1002', 'FR', 'Béatrice', 'Exemple', 'b@example.fr', '+33 1 99 00 12 34', '1990-02-01', '5 rue Modèle',
     '75001', 'Paris', '290027500100123', '2001:db8::7', false, false, NULL, 40),
    (3, 'K-1003', 'DE', 'Carl', 'Muster', 'carl@example.de', NULL, '1975-11-30', 'Beispielgasse 3', '80331', 'München',
     NULL, NULL, true, true, NULL, 44),
    (4, 'K-1004', 'DE', 'Dora', 'Probe', NULL, '030 23125 099', NULL, NULL, NULL, NULL, NULL, NULL, true, false, NULL,
     NULL);
INSERT INTO crm.orders VALUES
    (1, 'K-1001', '2026-01-15', 40.00), (2, 'K-1001', '2026-02-20', 60.50), (3, 'K-1002', '2026-02-21', 10.00),
    (4, 'K-1003', '2026-03-01', 99.00);
INSERT INTO crm.employees VALUES
    (1, 'DE', 'Emil', 'none', 'ver.di', 'asthma', 'x', 'y', 'z', '\x01', 'none');
INSERT INTO crm.tickets VALUES (1, 1, '2026-02-22', 'Please call me on +49 30 23125 014. Anna');
