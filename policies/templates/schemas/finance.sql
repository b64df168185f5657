-- What finance.yaml is tested on. Nobody in it exists; IBANs are the examples of the IBAN registry.
CREATE SCHEMA bank;
CREATE TABLE bank.clients (
    id int PRIMARY KEY, branch text NOT NULL, name text NOT NULL, email text, phone text, tax_id text, manager text,
    confidential boolean NOT NULL, kyc jsonb);
CREATE TABLE bank.accounts (
    id int PRIMARY KEY, client_id int NOT NULL REFERENCES bank.clients, branch text NOT NULL, iban varchar(34),
    account_number text, bic varchar(11), balance numeric(14, 2) NOT NULL, credit_limit numeric(14, 2),
    opened_on date NOT NULL);
CREATE TABLE bank.payments (
    id int PRIMARY KEY, account_id int NOT NULL REFERENCES bank.accounts, counterparty_name text,
    counterparty_iban text, amount numeric(14, 2) NOT NULL, booked_on date NOT NULL, reference text);
CREATE TABLE bank.positions (
    id int PRIMARY KEY, desk text NOT NULL, trader text NOT NULL, isin char(12) NOT NULL, quantity bigint NOT NULL,
    price numeric(14, 4) NOT NULL);
CREATE TABLE bank.watch_list (isin char(12) PRIMARY KEY, reason text NOT NULL);
CREATE TABLE bank.staff (
    id int PRIMARY KEY, branch text NOT NULL, name text NOT NULL, salary numeric(10, 2), bonus int);
CREATE VIEW bank.exposure AS
    SELECT c.branch, count(*) AS accounts, sum(a.balance) AS balance
    FROM bank.clients c JOIN bank.accounts a ON a.client_id = c.id GROUP BY c.branch;

INSERT INTO bank.clients VALUES
    (1, 'leeds', 'Ann Example', 'ann@example.com', '+44 113 496 0123', '123-45-6789', 'rm_hall', false,
     '{"risk": "low", "source_of_funds": {"employer": "Example Ltd"}}'),
    (2, 'leeds', 'Bo Sample', NULL, NULL, NULL, 'rm_ito', true, NULL),
    (3, 'berlin', 'Carla Muster', 'c@example.de', '+49 30 23125 014', '86095742719', 'rm_hall', false, NULL);
INSERT INTO bank.accounts VALUES
    (1, 1, 'leeds', 'GB29NWBK60161331926819', '31926819', 'EXAMGB2LXXX', 12345.67, 5200.00, '2019-05-17'),
    (2, 2, 'leeds', 'GB29 NWBK 6016 1331 9268 19', '31926820', 'EXAMGB2L', 987654.32, NULL, '2021-11-02'),
    (3, 3, 'berlin', 'DE89370400440532013000', '0532013000', 'EXAMDEFF', 250.00, 900.00, '2023-01-31');
INSERT INTO bank.payments VALUES
    (1, 1, 'Corner Books', 'DE89370400440532013000', 19.90, '2026-03-14', 'Invoice 17, Ann Example'),
    (2, 3, 'Harbour Cafe', 'GB29NWBK60161331926819', 1250.00, '2026-03-20', NULL);
INSERT INTO bank.positions VALUES
    (1, 'equities', 'trader_ng', 'ZZ0000000011', 1000, 190.5000),
    (2, 'rates', 'trader_ola', 'ZZ0000000029', 500, 98.2500);
INSERT INTO bank.watch_list VALUES ('ZZ0000000011', 'mandate pending');
INSERT INTO bank.staff VALUES (1, 'leeds', 'Fay Placeholder', 48750.00, 3000);
