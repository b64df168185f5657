"""What sqlglot's look at generated SQL refuses, and what it must let pass."""

from __future__ import annotations

import pytest
from nl_world import ANALYST, CATALOG, VEIL

from proxy.nl.lint import from_other_dialects, lint
from proxy.nl.problem import SqlProblem
from proxy.nl.schema import build_schema_view
from proxy.policy.parser import parse

VIEW = build_schema_view(VEIL, CATALOG, ANALYST)
JOIN = "shop.orders o JOIN shop.customers c ON c.id = o.customer_id"

FINE = [
    "SELECT 1",
    "SELECT count(*) FROM orders",
    'SELECT "name", NAME, Name FROM Shop.CUSTOMERS',
    f"SELECT c.city, sum(o.total) AS spent FROM {JOIN} GROUP BY c.city ORDER BY spent DESC",
    f"SELECT c.city AS place FROM {JOIN} GROUP BY place HAVING count(*) > 1",
    "SELECT o FROM orders o",
    "SELECT x.city FROM (SELECT city FROM customers) x",
    "SELECT x.city FROM (SELECT * FROM customers) x",
    "SELECT y FROM (SELECT city FROM customers) x(y)",
    "SELECT n FROM (SELECT count(*) AS n FROM orders) x",
    "SELECT count FROM (SELECT count(*) FROM orders) x",
    "WITH t AS (SELECT id, total FROM orders) SELECT t.total FROM t",
    "WITH t(a, b) AS (SELECT id, total FROM orders) SELECT a, b FROM t",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r",
    "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND city = 'x')",
    "SELECT id FROM customers UNION SELECT id FROM products ORDER BY id",
    "SELECT * FROM orders JOIN customers USING (id)",
    "SELECT * FROM orders NATURAL JOIN customers",
    "SELECT * FROM orders, customers WHERE customer_id = customers.id",
    "SELECT * FROM orders o, customers c WHERE o.total > 5 AND (c.id = o.customer_id OR c.id = o.id)",
    "SELECT * FROM orders o CROSS JOIN (SELECT avg(total) AS a FROM orders) x WHERE o.total > x.a",
    "WITH t AS (SELECT sum(total) AS s FROM orders) SELECT total / s FROM orders, t",
    "SELECT * FROM orders o CROSS JOIN (SELECT id FROM products ORDER BY price LIMIT 1) p",
    "SELECT * FROM customers c CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id LIMIT 3) x",
    "SELECT g FROM generate_series(1, 12) AS g",
    "SELECT m.d, count(o.id) FROM generate_series(1, 12) AS m(d) LEFT JOIN orders o ON o.id = m.d GROUP BY 1",
    "SELECT * FROM orders, (VALUES (1), (2)) v(k)",
    "SELECT rank() OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY total)",
    "SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id JOIN products p ON p.id = o.id",
    "SELECT * FROM orders o WHERE EXISTS (SELECT FROM customers c WHERE c.id = o.customer_id)",
    "SELECT extract(year FROM placed_at), date_trunc('month', placed_at) FROM orders",
    "SELECT DISTINCT ON (city) city, name FROM customers ORDER BY city, joined DESC",
    "SELECT current_date, placed_at FROM orders WHERE placed_at > current_date - interval '1 month'",
]


@pytest.mark.parametrize("sql", FINE)
def test_sound_sql_passes(sql: str) -> None:
    parse(sql)
    lint(sql, VIEW, ("shop", "public"))


WRONG = [
    ("SELECT * FROM suppliers", "no table suppliers"),
    ("SELECT * FROM shop.order", "the nearest is shop.orders"),
    ("SELECT * FROM public.orders", "the nearest is shop.orders"),
    ('SELECT * FROM "Orders"', "no table Orders"),
    ("SELECT * FROM hr.salaries", "no table hr.salaries"),
    ("SELECT * FROM pg_catalog.pg_class", "no table pg_catalog.pg_class"),
    ("SELECT 1 WHERE EXISTS (SELECT 1 FROM suppliers)", "no table suppliers"),
    ("WITH t AS (SELECT * FROM suppliers) SELECT * FROM t", "no table suppliers"),
    ("SELECT citty FROM customers", "the nearest is customers.city"),
    ("SELECT c.citty FROM customers c", "the nearest is city"),
    ('SELECT "City" FROM customers', "no column City"),
    ("SELECT 1 FROM orders WHERE citty = 'x'", "no column citty"),
    (f"SELECT o.city FROM {JOIN}", "o has no column city"),
    ("SELECT total AS t FROM orders GROUP BY tt", "no column tt"),
    ("SELECT x.price FROM (SELECT city FROM customers) x", "x has no column price"),
    ("SELECT price FROM (SELECT * FROM customers) x", "no column price"),
    ("WITH t AS (SELECT id FROM orders) SELECT total FROM t", "no column total"),
    ("SELECT * FROM orders, customers", "orders and customers are joined without a condition"),
    ("SELECT * FROM orders CROSS JOIN customers", "without a condition"),
    ("SELECT * FROM orders JOIN customers ON true", "without a condition"),
    ("SELECT * FROM orders o JOIN customers c ON o.total > 5", "o and c are joined without"),
    ("SELECT * FROM orders o JOIN customers c ON o.id = o.customer_id", "o and c are joined without"),
    (f"SELECT * FROM {JOIN}, products p", "o and p are joined without"),
    ("SELECT count(*) FROM (SELECT a.id FROM orders a, orders b) x", "a and b are joined without"),
    ("SELECT * FROM products p, orders JOIN customers USING (id)", "p and orders are joined without"),
]


@pytest.mark.parametrize(("sql", "report"), WRONG)
def test_a_mistake_is_named(sql: str, report: str) -> None:
    with pytest.raises(SqlProblem) as caught:
        lint(sql, VIEW, ("shop", "public"))
    assert report in caught.value.report


@pytest.mark.parametrize(
    ("foreign", "postgres"),
    [
        ("SELECT `id` FROM `shop`.`orders` LIMIT 5", 'SELECT "id" FROM "shop"."orders" LIMIT 5'),
        ("SELECT TOP 5 id FROM shop.orders", "SELECT id FROM shop.orders LIMIT 5"),
        ("SELECT [id] FROM [shop].[orders]", 'SELECT "id" FROM "shop"."orders"'),
    ],
)
def test_another_dialects_spelling(foreign: str, postgres: str) -> None:
    assert postgres in list(from_other_dialects(foreign))


@pytest.mark.parametrize("sql", ["SELECT 1 FROM", "nothing", "`", "SELECT `a`; DELETE FROM `b`"])
def test_what_no_dialect_says(sql: str) -> None:
    assert not list(from_other_dialects(sql)) or "`" not in sql
