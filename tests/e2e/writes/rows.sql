INSERT INTO hr.staff (id, name, ssn, salary, bonus, tags)
    SELECT i, 'staff ' || i, '{ssn}' || '-' || i, {salary} + i * {step}, i, ARRAY['a', 'b'] FROM generate_series(1, 10) AS i;
INSERT INTO hr.badge SELECT '{ssn}' || '-b' || i, 'blue' FROM generate_series(1, 5) AS i;
INSERT INTO shop.visit SELECT i, '{ssn}' || '-b' || i, date '2024-01-01' + i FROM generate_series(1, 5) AS i;
INSERT INTO shop.ticket VALUES (1, 'eng', 1, 5), (2, 'ops', 2, 6);
INSERT INTO secret.note VALUES ('hr', '{ssn}-note');
INSERT INTO shop.orders VALUES (1, 'north', 'open', 10), (2, 'north', 'open', 20), (3, 'south', '{ssn}', {salary});
INSERT INTO shop.desk VALUES (1, 'north'), (2, 'south');
INSERT INTO shop.desk_orders VALUES (1, 1, 'open'), (2, 2, '{ssn}');
INSERT INTO shop.stamped VALUES (1, 'one', 'x');
