-- What dpdp.yaml is tested on. Nobody in it exists, and no number is meant to be anybody's.
CREATE SCHEMA seva;
CREATE TABLE seva.citizens (
    id int PRIMARY KEY, full_name text NOT NULL, father_name text, mobile_no text, email text, dob date, gender text,
    address text, pincode char(6), district text, state text, aadhaar_no char(14), pan_no char(10), voter_id text,
    passport_no text, abha_id text, is_child boolean NOT NULL, guardian_name text, consent_active boolean NOT NULL,
    kyc jsonb);
CREATE TABLE seva.bank_accounts (
    id int PRIMARY KEY, citizen_id int NOT NULL REFERENCES seva.citizens, account_no varchar(18) NOT NULL,
    ifsc char(11) NOT NULL, upi_id text, balance numeric(12, 2) NOT NULL);
CREATE TABLE seva.businesses (id int PRIMARY KEY, trade_name text NOT NULL, gstin char(15), pan_no char(10), state text,
    phone_no text);
CREATE TABLE seva.page_views (
    id int PRIMARY KEY, citizen_id int NOT NULL REFERENCES seva.citizens, page text NOT NULL, viewed_on date NOT NULL);
CREATE TABLE seva.grievances (
    id int PRIMARY KEY, citizen_id int NOT NULL REFERENCES seva.citizens, state text NOT NULL, filed_on date NOT NULL,
    complaint text);

INSERT INTO seva.citizens VALUES
    (1, 'Meera Udaharan', 'Ravi Udaharan', '+91 98765 43210', 'meera@example.in', '1984-07-09', 'F',
     '12 Namuna Marg, Shivajinagar', '411005', 'Pune', 'Maharashtra', '2345 6789 0123', 'ABCPU1234K', 'XYZ1234567',
     'K1234567', '91-1234-5678-9012', false, NULL, true,
     '{"documents": [{"type": "aadhaar", "number": "2345 6789 0123"}, {"type": "pan", "number": "ABCPU1234K"}]}'),
    (2, 'Arjun Namuna', 'Dev Namuna', '98765 43211', 'a@example.in', '2014-02-01', 'M', '4 Udaharan Road', '560001',
     'Bengaluru Urban', 'Karnataka', '3456 7890 1234', NULL, NULL, NULL, NULL, true, 'Dev Namuna', true, NULL),
    (3, 'सुनीता उदाहरण', NULL, '09876543212', NULL, '1990-11-30', 'F', NULL, '110001', 'New Delhi', 'Delhi', NULL,
     'BCDPU5678L', NULL, NULL, NULL, false, NULL, false, NULL);
INSERT INTO seva.bank_accounts VALUES
    (1, 1, '00112233445566', 'ABCD0123456', 'meera.u@examplebank', 15230.75),
    (2, 3, '99887766554', 'WXYZ0654321', '9876543212@examplebank', 990.00);
INSERT INTO seva.businesses VALUES
    (1, 'Namuna Traders', '27ABCPU1234K1Z5', 'ABCPU1234K', 'Maharashtra', '020-5550 1234');
INSERT INTO seva.page_views VALUES
    (1, 1, '/schemes/housing', '2026-02-01'), (2, 2, '/schemes/scholarship', '2026-02-02'),
    (3, 3, '/schemes/pension', '2026-02-03');
INSERT INTO seva.grievances VALUES
    (1, 1, 'Maharashtra', '2026-03-01', 'The amount did not reach 00112233445566.'),
    (2, 2, 'Karnataka', '2026-03-02', 'Wrong date of birth.');
