-- Every protected value holds zq8x, or is a number that begins with 17340020.
INSERT INTO shop.customers
    SELECT i, 'customer ' || i, 'zq8x' || i || '@corp.test', 'zq8x-' || lpad(i::text, 4, '0'),
           (ARRAY['Pune', 'Lisbon', 'Oslo', 'Lima'])[1 + i % 4],
           ROW('zq8x street ' || i, 'Pune', 'zq8x' || i)::shop.address,
           ARRAY['tag ' || i % 3, 'x,y', CASE WHEN i % 5 = 0 THEN 'vip' END],
           jsonb_build_object('pin', 'zq8x' || i, 'level', i % 3), date '2022-01-10' + i * 20, date '1970-03-04' + i * 170,
           1734002000 + i, i % 7 <> 0, 'zq8x remark ' || i
    FROM generate_series(1, 40) AS i;
INSERT INTO shop.employees
    SELECT i, CASE WHEN i > 1 THEN i / 2 END, 'employee ' || i,
           CASE WHEN i = 1 THEN 'director' WHEN i < 4 THEN 'manager' ELSE 'clerk' END, 'zq8x-' || lpad(i::text, 4, '0'),
           1734002000 + i
    FROM generate_series(1, 15) AS i;
INSERT INTO shop.products (id, sku, title, description, price, discount, attributes, stock)
    SELECT i, 'SKU-' || lpad(i::text, 4, '0'), (ARRAY['Garden chair', 'Reading lamp', 'Running shoes'])[1 + i % 3] || ' ' || i,
           (ARRAY['Folds flat, made of teak wood', 'Warm light for reading in the evening', NULL])[1 + i % 3],
           i * 7.5, i % 4 * 2.5,
           jsonb_build_object('colour', (ARRAY['red', 'blue'])[1 + i % 2], 'weight', i * 1.5,
                              'sizes', jsonb_build_array(i, i + 1), 'maker', jsonb_build_object('name', 'maker ' || i % 4)),
           i * 3
    FROM generate_series(1, 20) AS i;
INSERT INTO shop.orders (id, customer_id, placed, state, total, ship_to)
    SELECT i, 1 + i * 7 % 40, timestamptz '2024-01-05 10:00+00' + make_interval(hours => i * 37),
           (enum_range(NULL::shop.state))[1 + i % 4], i * 10.25, 'zq8x lane ' || i
    FROM generate_series(1, 120) AS i;
INSERT INTO shop.order_lines
    SELECT o, l, 1 + (o * 3 + l) % 20, 1 + (o + l) % 3, 5 + (o + l) % 9
    FROM generate_series(1, 120) AS o, generate_series(1, 3) AS l WHERE (o + l) % 4 > 0;
INSERT INTO shop.events
    SELECT i, timestamp '2024-06-01 00:00' + make_interval(hours => i * 50), (ARRAY['view', 'cart', 'buy'])[1 + i % 3],
           1 + i % 40, ('10.73.40.' || i % 250)::inet
    FROM generate_series(1, 180) AS i;
INSERT INTO geo.places
    SELECT i, 'place ' || i, geo.st_makepoint(i % 7, i / 7), 'zq8x owner ' || i FROM generate_series(1, 30) AS i;
REFRESH MATERIALIZED VIEW shop.daily_sales;
ANALYZE;
