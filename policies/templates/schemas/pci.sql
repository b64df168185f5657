-- What pci.yaml is tested on. Nobody in it exists; the card numbers are the ones that are published for tests.
CREATE SCHEMA pay;
CREATE TABLE pay.merchants (id int PRIMARY KEY, name text NOT NULL, country text NOT NULL);
CREATE TABLE pay.customers (
    id int PRIMARY KEY, merchant_id int NOT NULL REFERENCES pay.merchants, cardholder_name text NOT NULL, email text,
    phone text, loyalty_code text);
CREATE TABLE pay.cards (
    id int PRIMARY KEY, customer_id int NOT NULL REFERENCES pay.customers, card_number varchar(19) NOT NULL,
    brand text NOT NULL, expiry_date date, service_code char(3), cvv text, track2 text, pin_block text);
CREATE TABLE pay.transactions (
    id int PRIMARY KEY, merchant_id int NOT NULL REFERENCES pay.merchants, card_id int NOT NULL REFERENCES pay.cards,
    amount numeric(12, 2) NOT NULL, currency char(3) NOT NULL, status text NOT NULL, created_at timestamptz NOT NULL,
    request jsonb);
CREATE TABLE pay.wallets (
    id int PRIMARY KEY, customer_id int NOT NULL REFERENCES pay.customers, kind text, instrument text NOT NULL);
CREATE VIEW pay.receipts AS
    SELECT t.id, t.amount, t.currency, c.card_number
    FROM pay.transactions t JOIN pay.cards c ON c.id = t.card_id;
CREATE TABLE pay.keys (id int PRIMARY KEY, material bytea NOT NULL);

INSERT INTO pay.merchants VALUES (1, 'Corner Books', 'GB'), (2, 'Harbour Cafe', 'US');
INSERT INTO pay.customers VALUES
    (1, 1, 'Ann Example', 'ann@example.com', '+44 20 7946 0123', 'GOLD-1'),
    (2, 2, 'Bo Sample', 'b@example.org', '+1 202 555 0143', NULL);
INSERT INTO pay.cards VALUES
    (1, 1, '4111111111111111', 'visa', '2031-07-31', '201', '123', ';4111111111111111=31072010000?', '0412ABCDEF'),
    (2, 2, '3782 822463 10005', 'amex', '2030-02-28', '101', '4321', NULL, NULL);
INSERT INTO pay.transactions VALUES
    (1, 1, 1, 19.90, 'GBP', 'settled', '2026-03-01 10:15+00',
     '{"terminal": "T-7", "card": {"number": "4111111111111111", "cvv": "123"}}'),
    (2, 2, 2, 7.50, 'USD', 'disputed', '2026-03-02 18:40+00',
     '{"terminal": "T-9", "card": {"number": "378282246310005", "cvv": "4321"}}');
INSERT INTO pay.wallets VALUES
    (1, 1, 'token', 'tok-7f31c2'), (2, 2, 'card', '5555555555554444'), (3, 2, NULL, '4012888888881881');
INSERT INTO pay.keys VALUES (1, '\x00ff');
