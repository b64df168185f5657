#!/bin/bash
# Runs once, when the database is empty: the account that pgveil uses, and a few rows to look at.
set -euo pipefail

psql --set=ON_ERROR_STOP=1 --set=password="$PGVEIL_SERVICE_PASSWORD" \
     --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE app LOGIN PASSWORD :'password';
CREATE SCHEMA shop AUTHORIZATION app;
SET ROLE app;
CREATE TABLE shop.customers (
    id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name  text NOT NULL,
    email text NOT NULL,
    phone text,
    city  text
);
INSERT INTO shop.customers (name, email, phone, city) VALUES
    ('Asha Kulkarni', 'asha.kulkarni@example.com', '+91 98220 00001', 'Pune'),
    ('Tom Baker', 'tom.baker@example.com', '+1 212 555 0142', 'Boston'),
    ('Kavin Murugan', 'kavin.murugan@example.com', '+91 94440 00002', 'Chennai');
SQL
