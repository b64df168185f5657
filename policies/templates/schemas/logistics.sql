-- What logistics.yaml is tested on. Nobody in it exists, and no number is meant to be anybody's.
CREATE SCHEMA freight;
CREATE TABLE freight.carriers (id int PRIMARY KEY, name text NOT NULL, rate_per_km numeric(8, 4));
CREATE TABLE freight.shipments (
    id int PRIMARY KEY, carrier_id int NOT NULL REFERENCES freight.carriers, tracking_no text NOT NULL, status text,
    consignee_name text NOT NULL, consignee_phone text, consignee_email text, delivery_address text,
    delivery_city text, delivery_postcode text, delivery_lat double precision, delivery_lon double precision,
    instructions text, weight_kg numeric(8, 2), declared_value numeric(12, 2), shipped_on date NOT NULL,
    customs jsonb);
CREATE TABLE freight.drivers (
    id int PRIMARY KEY, carrier_id int NOT NULL REFERENCES freight.carriers, driver_name text NOT NULL, phone text,
    date_of_birth date, licence_no text, licence_class text NOT NULL,
    address text);
CREATE TABLE freight.vehicles (
    id int PRIMARY KEY, carrier_id int NOT NULL REFERENCES freight.carriers, plate text, vin char(17),
    kind text NOT NULL);
CREATE TABLE freight.positions (
    id int PRIMARY KEY, vehicle_id int NOT NULL REFERENCES freight.vehicles, seen_at timestamptz NOT NULL,
    latitude numeric(9, 6), longitude numeric(9, 6), speed_kmh int);
CREATE TABLE freight.proofs (
    id int PRIMARY KEY, shipment_id int NOT NULL REFERENCES freight.shipments, signed_by text, signature bytea,
    photo bytea);

INSERT INTO freight.carriers VALUES (10, 'Harbour Haulage', 1.2500), (20, 'Polar Parcels', 0.9900);
INSERT INTO freight.shipments VALUES
    (1, 10, 'HH-00012345', 'in_transit', 'Ann Example', '+44 113 496 0123', 'ann@example.com', '12 Elm Street', 'Leeds',
     'LS1 4AP', 53.796512, -1.547893, 'Key under the pot. Gate code 4711.', 12.50, 1349.00, '2026-03-02',
     '{"hs_code": "8471.30", "importer": {"name": "Ann Example", "eori": "GB123456789000"}}'),
    (2, 10, 'HH-00012346', 'delivered', 'Bo Sample', '+44 113 496 0124', NULL, '5 Main Road', 'York', 'YO1 7HH',
     53.959965, -1.087298, NULL, 3.00, 80.00, '2026-02-11', NULL),
    (3, 20, 'PP-77-001', NULL, 'Cy Placeholder', '+47 21 00 00 01', 'c@example.no', 'Eksempelveien 3', 'Oslo', '0150',
     59.911491, 10.757933, NULL, 40.00, 25000.00, '2026-03-05', NULL);
INSERT INTO freight.drivers VALUES
    (1, 10, 'Dee Driver', '+44 7700 900123', '1984-07-09', 'DRIVE807094D99AB', 'C+E', '1 High Street, York'),
    (2, 20, 'Ola Nordmann', '+47 90 00 00 01', '1990-02-01', '90 12 345678 9', 'B', NULL);
INSERT INTO freight.vehicles VALUES
    (1, 10, 'AB12 CDE', 'WDB00000000000001', 'truck'), (2, 20, 'EL 12345', 'YV100000000000002', 'van');
INSERT INTO freight.positions VALUES
    (1, 1, '2026-03-02 08:15+00', 53.812345, -1.601234, 78), (2, 2, '2026-03-05 09:00+00', 59.900001, 10.700009, 0);
INSERT INTO freight.proofs VALUES (1, 2, 'Bo Sample', '\x01', '\x02');
