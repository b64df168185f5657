-- same: stars and limits
SELECT * FROM shop.customers ORDER BY id LIMIT 10 OFFSET 5

-- same: quoted names, aliases and positions
SELECT "customers"."name" AS "Name", "customers"."email" "E-mail" FROM "shop"."customers" ORDER BY 1, 2 LIMIT 20

-- same: TABLE
TABLE shop.employees ORDER BY id

-- same: a join of four
SELECT o.id, c.name, c.email, p.title, l.quantity * l.price AS amount
FROM shop.orders o
JOIN shop.customers c ON c.id = o.customer_id
JOIN shop.order_lines l ON l.order_id = o.id
JOIN shop.products p ON p.id = l.product_id
WHERE o.placed >= '2024-02-01' AND p.price BETWEEN 10 AND 90
ORDER BY o.id, l.line LIMIT 50

-- same: outer joins and coalesce
SELECT c.id, coalesce(c.email, 'none') AS email, coalesce(sum(o.total), 0) AS spent
FROM shop.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id AND o.state <> 'returned'
GROUP BY c.id, c.email ORDER BY spent DESC, c.id

-- same: full join and using
SELECT * FROM (SELECT customer_id, count(*) AS orders FROM shop.orders GROUP BY 1) a
FULL JOIN (SELECT customer_id, count(*) AS events FROM shop.events GROUP BY 1) b USING (customer_id) ORDER BY customer_id

-- same: a self join
SELECT e.name, m.name AS manager, m.salary FROM shop.employees e LEFT JOIN shop.employees m ON m.id = e.manager_id ORDER BY e.id

-- same: count distinct of a masked column
SELECT city, count(*), count(email), count(DISTINCT email) FROM shop.customers GROUP BY city ORDER BY city

-- same: group by a masked column
SELECT email, count(*) AS n, min(joined) FROM shop.customers GROUP BY email HAVING count(*) > 1 ORDER BY n DESC, email

-- same: aggregates of every common kind
SELECT min(total), max(total), avg(total), sum(total), stddev(total), variance(total), bool_or(state = 'paid'), every(total > 0),
       string_agg(id::text, ',' ORDER BY id), mode() WITHIN GROUP (ORDER BY state)
FROM shop.orders

-- same: percentiles
SELECT state, percentile_cont(0.5) WITHIN GROUP (ORDER BY total) AS median,
       percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY total) AS quartiles
FROM shop.orders GROUP BY state ORDER BY state

-- same: correlation and regression
SELECT corr(price, stock), regr_slope(price, stock), covar_pop(price, stock) FROM shop.products

-- same: filtered aggregates as a pivot
SELECT date_trunc('month', placed) AS month, count(*) FILTER (WHERE state = 'open') AS open,
       count(*) FILTER (WHERE state = 'paid') AS paid, sum(total) FILTER (WHERE state = 'sent') AS sent
FROM shop.orders GROUP BY 1 ORDER BY 1

-- same: case as a pivot
SELECT customer_id, sum(CASE WHEN state = 'paid' THEN total ELSE 0 END) AS paid,
       sum(CASE state WHEN 'open' THEN 1 END) AS open
FROM shop.orders GROUP BY customer_id ORDER BY customer_id

-- same: grouping sets
SELECT state, extract(year FROM placed) AS year, grouping(state, extract(year FROM placed)) AS level, sum(total)
FROM shop.orders GROUP BY GROUPING SETS ((1, 2), (1), ()) ORDER BY 3, 1, 2

-- same: rollup
SELECT city, active, count(*), avg(credit) FROM shop.customers GROUP BY ROLLUP (city, active) ORDER BY city, active

-- same: cube
SELECT city, email, count(*) FROM shop.customers GROUP BY CUBE (city, email) ORDER BY 1, 2, 3

-- same: running totals
SELECT id, placed, sum(total) OVER (ORDER BY placed ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running
FROM shop.orders ORDER BY placed

-- same: a moving average over rows
SELECT id, avg(total) OVER (ORDER BY placed ROWS BETWEEN 6 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM shop.orders ORDER BY id

-- same: a frame of a range of time
SELECT id, count(*) OVER (ORDER BY placed RANGE BETWEEN '7 days' PRECEDING AND CURRENT ROW) FROM shop.orders ORDER BY id

-- same: a frame of groups
SELECT id, sum(total) OVER (ORDER BY state GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM shop.orders ORDER BY id

-- same: named windows
SELECT id, rank() OVER w, dense_rank() OVER w, percent_rank() OVER w, cume_dist() OVER w, ntile(4) OVER w,
       row_number() OVER (w ROWS UNBOUNDED PRECEDING)
FROM shop.orders WINDOW w AS (PARTITION BY state ORDER BY total DESC) ORDER BY id

-- same: lag, lead, first and last values
SELECT id, lag(total, 1, 0) OVER w AS before, lead(total) OVER w AS after, first_value(total) OVER w,
       last_value(total) OVER (w RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), nth_value(total, 2) OVER w
FROM shop.orders WINDOW w AS (PARTITION BY customer_id ORDER BY placed) ORDER BY id

-- same: a window over a masked column
SELECT id, rank() OVER (ORDER BY salary DESC NULLS LAST), count(*) FILTER (WHERE salary > 0) OVER (), ssn
FROM shop.employees ORDER BY id

-- same: the newest of each
SELECT DISTINCT ON (customer_id) customer_id, id, total, ship_to FROM shop.orders ORDER BY customer_id, placed DESC

-- same: top three of each, laterally
SELECT c.id, c.email, o.id AS order_id, o.total FROM shop.customers c
CROSS JOIN LATERAL (SELECT id, total FROM shop.orders WHERE customer_id = c.id ORDER BY total DESC LIMIT 3) o
ORDER BY c.id, o.total DESC

-- same: top three of each, numbered
SELECT * FROM (SELECT city, name, joined, row_number() OVER (PARTITION BY city ORDER BY joined DESC) AS place
               FROM shop.customers) t WHERE place <= 3 ORDER BY city, place

-- same: with ties
SELECT id, state, total FROM shop.orders ORDER BY state FETCH FIRST 1 ROW WITH TIES

-- same: fetch and offset
SELECT id FROM shop.orders ORDER BY id OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY

-- same: common tables
WITH big AS (SELECT * FROM shop.orders WHERE total > 500), buyers AS MATERIALIZED (SELECT DISTINCT customer_id FROM big)
SELECT c.name, c.phone FROM shop.customers c JOIN buyers b ON b.customer_id = c.id ORDER BY c.id

-- same: recursion over a tree
WITH RECURSIVE tree AS (
    SELECT id, name, 1 AS depth, ARRAY[id] AS path FROM shop.employees WHERE manager_id IS NULL
    UNION ALL
    SELECT e.id, e.name, t.depth + 1, t.path || e.id FROM shop.employees e JOIN tree t ON e.manager_id = t.id)
SELECT repeat('  ', depth) || name AS person, depth, path FROM tree ORDER BY path

-- same: recursion with search and cycle
WITH RECURSIVE tree(id, manager_id) AS (
    SELECT id, manager_id FROM shop.employees WHERE id = 1
    UNION ALL SELECT e.id, e.manager_id FROM shop.employees e, tree t WHERE e.manager_id = t.id)
SEARCH DEPTH FIRST BY id SET place CYCLE id SET looped USING path
SELECT id, manager_id, looped FROM tree ORDER BY place

-- same: a calendar with gaps filled
SELECT d::date AS day, count(o.id) AS orders, coalesce(sum(o.total), 0) AS total
FROM generate_series('2024-01-01'::timestamptz, '2024-03-31', interval '1 day') AS d
LEFT JOIN shop.orders o ON o.placed >= d AND o.placed < d + interval '1 day'
GROUP BY d ORDER BY d

-- same: numbers
SELECT n, n * n AS square FROM generate_series(1, 10) AS n

-- same: values as a table
SELECT v.label, count(o.id) FROM (VALUES ('open'::shop.state, 'new'), ('paid', 'done')) AS v(state, label)
LEFT JOIN shop.orders o ON o.state = v.state GROUP BY v.label ORDER BY 1

-- same: bare values
VALUES (1, 'one'), (2, 'two'), (3, NULL)

-- same: union
SELECT name, email FROM shop.customers WHERE id < 5 UNION ALL SELECT name, ssn FROM shop.employees WHERE id < 5 ORDER BY 1

-- same: intersect and except
(SELECT customer_id FROM shop.orders EXCEPT SELECT customer_id FROM shop.events WHERE kind = 'buy')
UNION (SELECT id FROM shop.customers INTERSECT ALL SELECT customer_id FROM shop.orders WHERE state = 'returned') ORDER BY 1

-- same: subqueries in the select list
SELECT c.id, (SELECT count(*) FROM shop.orders o WHERE o.customer_id = c.id) AS orders,
       (SELECT max(total) FROM shop.orders o WHERE o.customer_id = c.id) AS best
FROM shop.customers c ORDER BY c.id

-- same: exists, in, any and all
SELECT id FROM shop.customers c
WHERE EXISTS (SELECT FROM shop.orders o WHERE o.customer_id = c.id AND o.state = 'paid')
  AND c.city IN ('Pune', 'Oslo') AND c.id = ANY (SELECT customer_id FROM shop.events)
  AND c.joined >= ALL (SELECT date '2020-01-01') AND (c.id, c.city) NOT IN (SELECT 1, 'Pune') ORDER BY id

-- same: predicates of every form
SELECT id, name FROM shop.customers
WHERE name LIKE 'customer 1%' AND name NOT ILIKE '%9' AND city ~* '^p' IS NOT TRUE AND name SIMILAR TO 'customer [0-9]+'
  AND joined BETWEEN SYMMETRIC '2025-01-01' AND '2022-01-01' AND email IS NOT NULL AND active IS TRUE
  AND credit IS NOT DISTINCT FROM NULL ORDER BY id

-- same: a search box over a masked column
SELECT id, email FROM shop.customers WHERE lower(email) LIKE lower('%TEST%') ORDER BY id LIMIT 5

-- same: dates by month
SELECT to_char(placed AT TIME ZONE 'Asia/Kolkata', 'YYYY-MM') AS month, count(*) FROM shop.orders GROUP BY month ORDER BY month

-- same: date parts
SELECT id, extract(dow FROM placed), date_part('hour', placed), extract(epoch FROM placed), date_trunc('week', placed),
       date_trunc('day', placed, 'Europe/Lisbon') FROM shop.orders ORDER BY id LIMIT 20

-- same: date_bin and make_interval
SELECT date_bin('15 minutes', placed, timestamptz '2024-01-01 00:00+00') AS slot, placed + make_interval(days => 10) AS due
FROM shop.orders ORDER BY id LIMIT 20

-- same: ages
SELECT id, age(date '2025-01-01', joined), justify_interval(interval '40 days'), extract(year FROM age(date '2025-01-01', born)) AS years
FROM shop.customers ORDER BY id

-- same: a cohort
WITH first AS (SELECT customer_id, min(date_trunc('month', placed)) AS cohort FROM shop.orders GROUP BY 1)
SELECT f.cohort, extract(month FROM age(date_trunc('month', o.placed), f.cohort)) AS months, count(DISTINCT o.customer_id)
FROM first f JOIN shop.orders o USING (customer_id) GROUP BY 1, 2 ORDER BY 1, 2

-- same: growth on the month before
SELECT month, total, round(100 * (total - lag(total) OVER (ORDER BY month)) / lag(total) OVER (ORDER BY month), 2) AS growth
FROM (SELECT date_trunc('month', placed) AS month, sum(total) AS total FROM shop.orders GROUP BY 1) m ORDER BY month

-- same: a histogram
SELECT width_bucket(total, 0, 1300, 10) AS bucket, count(*), min(total), max(total) FROM shop.orders GROUP BY 1 ORDER BY 1

-- same: sessions from gaps
SELECT customer_id, count(*) FILTER (WHERE fresh) AS sessions
FROM (SELECT customer_id, coalesce(at - lag(at) OVER (PARTITION BY customer_id ORDER BY at) > interval '30 days', true) AS fresh
      FROM shop.events) e GROUP BY customer_id ORDER BY customer_id

-- same: strings
SELECT upper(name), initcap(city), length(name), substring(name FROM 1 FOR 4), position('o' IN name), left(city, 2), right(phone, 2),
       lpad(id::text, 5, '0'), split_part(name, ' ', 2), replace(name, 'customer', 'c'), reverse(city), trim(BOTH 'P' FROM city),
       overlay(city PLACING '--' FROM 1 FOR 2), translate(city, 'aeiou', '12345'), md5(city), concat_ws('/', city, name, email),
       format('%s <%s>', name, email), starts_with(city, 'P'), chr(65 + id % 26), ascii(city), repeat('*', 3)
FROM shop.customers ORDER BY id LIMIT 12

-- same: regular expressions
SELECT name, regexp_replace(name, '[0-9]+', '#', 'g'), regexp_match(name, '([a-z]+) ([0-9]+)'), substring(name FROM '[0-9]+'),
       regexp_split_to_array(name, ' '), name ~ '[13579]$', regexp_count(name, 'c'), regexp_substr(name, '[0-9]+')
FROM shop.customers ORDER BY id LIMIT 12

-- same: rows from a regular expression
SELECT c.id, w FROM shop.customers c, regexp_split_to_table(c.name, ' ') AS w ORDER BY 1, 2 LIMIT 20

-- same: numbers and rounding
SELECT round(price, 1), trunc(price), ceil(price), floor(price), abs(-price), mod(stock, 7), power(2, id % 5), sqrt(price), ln(price),
       greatest(price, 20), least(price, 20), nullif(stock, 3), sign(price), price::int, cast(price AS double precision), gcd(stock, 6)
FROM shop.products ORDER BY id

-- same: arithmetic with a masked column
SELECT id, credit * 2, coalesce(credit, 0) + 1, credit > 100, CASE WHEN credit > 1000 THEN 'high' ELSE 'low' END
FROM shop.customers ORDER BY credit, id

-- same: enums
SELECT enum_range(NULL::shop.state), enum_first(NULL::shop.state), state < 'sent' AS early, state::text FROM shop.orders ORDER BY state, id LIMIT 5

-- same: a view
SELECT day, name, email, sum(total) FROM shop.order_totals GROUP BY day, name, email ORDER BY day, name

-- same: a materialised view
SELECT * FROM shop.daily_sales ORDER BY total DESC, day LIMIT 7

-- same: a partitioned table
SELECT date_trunc('month', at) AS month, kind, count(*), count(ip) FROM shop.events WHERE at >= '2024-11-01' GROUP BY 1, 2 ORDER BY 1, 2

-- same: a partition
SELECT id, kind, ip FROM shop.events_2025 ORDER BY id LIMIT 5

-- same: a whole row
SELECT to_jsonb(e) FROM shop.employees e ORDER BY e.id

-- same: a row comparison
SELECT id FROM shop.orders WHERE (placed, id) > ('2024-03-01 00:00+00', 10) ORDER BY placed, id LIMIT 10

-- same: bits of everything in order by
SELECT id, city, name FROM shop.customers ORDER BY city COLLATE "C" DESC NULLS LAST, lower(name) USING <, id

-- same: a sample by hash
SELECT id FROM shop.customers WHERE abs(hashtext(name)) % 4 = 0 ORDER BY id

-- answers: a sample by chance
SELECT count(*) FROM shop.products TABLESAMPLE BERNOULLI (50) REPEATABLE (7) WHERE random() < 2

-- same: duplicates
SELECT name, count(*) FROM shop.customers GROUP BY name HAVING count(*) > 1

-- same: the date and the user
SELECT current_date IS NOT NULL, now() > '2020-01-01', current_timestamp = now(), localtime IS NOT NULL, current_user, session_user, current_schema

-- same: a comment before it
/* dashboard 12, card 7 */ -- nightly
SELECT count(*) FROM shop.orders /* end */

-- same: windows made of windows
SELECT id, count(*) OVER w AS in_state, sum(total) OVER v AS running FROM shop.orders WINDOW w AS (PARTITION BY state), v AS (w ORDER BY id) ORDER BY id

-- same: a natural join
SELECT * FROM (SELECT id AS customer_id, name, email FROM shop.customers) c NATURAL JOIN (SELECT customer_id, total FROM shop.orders) o ORDER BY customer_id, total

-- same: a join with a name
SELECT j.customer_id, phone FROM (SELECT id AS customer_id, phone FROM shop.customers) c JOIN shop.orders USING (customer_id) AS j ORDER BY 1, total

-- same: fields of rows
SELECT (c).email, (c.tags)[1], count(c) OVER () FROM shop.customers c ORDER BY c.id LIMIT 5

-- same: what things are
SELECT pg_typeof(email), pg_typeof(credit), pg_typeof(address), pg_typeof(tags) FROM shop.customers LIMIT 1

-- same: overlapping periods
SELECT id FROM shop.customers WHERE (joined, joined + 30) OVERLAPS (date '2023-01-01', interval '10 days') ORDER BY id

-- same: dates made and taken apart
SELECT make_date(2024, 1, 2), make_timestamptz(2024, 1, 1, 1, 1, 1, 'UTC'), to_timestamp(0), to_date('03/02/2024', 'DD/MM/YYYY'), isfinite(date 'infinity'),
       date_add('2024-01-31 00:00+00', '1 month', 'UTC'), date_part('isoyear', date '2024-12-30'), to_char(interval '90 minutes', 'HH24:MI')

-- same: newer string functions
SELECT string_to_table('a,b', ','), regexp_like(city, '^P'), regexp_instr(city, 'i'), unistr('\0041'), to_hex(id), normalize(city), num_nonnulls(credit, id)
FROM shop.customers WHERE id < 4 ORDER BY id, 1

-- same: any value and booleans
SELECT city, any_value(active), bit_and(id), bit_or(id) FROM shop.customers WHERE id % 4 = 1 AND active GROUP BY city

-- same: grouping sets without doubles
SELECT state, customer_id, count(*) FROM shop.orders GROUP BY DISTINCT ROLLUP (state, customer_id), ROLLUP (state) ORDER BY 1, 2

-- same: chance with a seed
SELECT setseed(0.5), random() BETWEEN 0 AND 1, random(1, 6) BETWEEN 1 AND 6

-- same: casts to every everyday type
SELECT '5'::int, 5::shop.percent, '1.5'::numeric(4, 1), 'a'::"char", 'x'::name, 'open'::shop.state, '{1,2}'::int[], '10:00'::time, '1 day'::interval, '{}'::jsonb, 'x'::varchar(3), '1 2'::oidvector, 'shop.products'::regclass,
       '5'::information_schema.cardinal_number

-- same: similar to, escaped
SELECT substring('abc' SIMILAR 'a#"b#"c' ESCAPE '#'), 'a_b' LIKE 'a\_b', 'a%b' LIKE 'a!%b' ESCAPE '!'

-- same: a pivot from a function's rows
SELECT p.id, e.kind, e.n FROM shop.products p CROSS JOIN LATERAL (VALUES ('stock', p.stock::numeric), ('price', p.price)) AS e(kind, n) WHERE p.id < 5 ORDER BY 1, 2

-- same: retention by week
SELECT date_trunc('week', e.at)::date AS week, count(DISTINCT e.customer_id) FILTER (WHERE e.kind = 'buy') * 100.0 / nullif(count(DISTINCT e.customer_id), 0) AS share
FROM shop.events e GROUP BY 1 ORDER BY 1

-- same: a funnel
SELECT count(*) AS customers, count(v.customer_id) AS viewed, count(b.customer_id) AS bought FROM shop.customers c
LEFT JOIN (SELECT DISTINCT customer_id FROM shop.events WHERE kind = 'view') v ON v.customer_id = c.id
LEFT JOIN (SELECT DISTINCT customer_id FROM shop.events WHERE kind = 'buy') b ON b.customer_id = c.id

-- same: baskets
SELECT a.product_id, b.product_id AS other, count(*) AS together FROM shop.order_lines a JOIN shop.order_lines b ON a.order_id = b.order_id AND a.product_id < b.product_id
GROUP BY 1, 2 HAVING count(*) > 2 ORDER BY together DESC, 1, 2

-- same: the share of the best
SELECT customer_id, total, round(100 * sum(total) OVER (ORDER BY total DESC, customer_id) / sum(total) OVER (), 1) AS cumulated
FROM (SELECT customer_id, sum(total) AS total FROM shop.orders GROUP BY 1) t ORDER BY total DESC, customer_id

-- same: outliers
SELECT id, total FROM shop.orders, (SELECT avg(total) AS mean, stddev_pop(total) AS spread FROM shop.orders) s WHERE abs(total - mean) > 1.6 * spread ORDER BY id

-- same: islands of days
SELECT min(day), max(day), count(*) FROM (SELECT day, day - (row_number() OVER (ORDER BY day))::int AS island FROM (SELECT DISTINCT placed::date AS day FROM shop.orders) d) i GROUP BY island ORDER BY 1
