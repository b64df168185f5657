-- list orders
SELECT * FROM "Sales Dept"."Order";

-- orders where select is 'web'
SELECT * FROM "Sales Dept"."Order" WHERE "select" = 'web';

-- sum of Total Amount of orders
SELECT sum("Total Amount") FROM "Sales Dept"."Order";

-- total amount of orders by select
SELECT "select", sum("Total Amount") FROM "Sales Dept"."Order" GROUP BY 1;

-- orders placed in 2021
SELECT * FROM "Sales Dept"."Order" WHERE "placedOn" >= '2021-01-01' AND "placedOn" < '2022-01-01';

-- order lines with unit price over 20
SELECT * FROM "Sales Dept"."OrderLine" WHERE "unitPrice" > 20;

-- orders without order lines
SELECT * FROM "Sales Dept"."Order" o WHERE NOT EXISTS (SELECT 1 FROM "Sales Dept"."OrderLine" l WHERE
l."orderNumber" = o."Number" AND l."orderYear" = o."Year");

-- orders with more than 3 order lines
SELECT * FROM "Sales Dept"."Order" o WHERE (SELECT count(*) FROM "Sales Dept"."OrderLine" l WHERE
l."orderNumber" = o."Number" AND l."orderYear" = o."Year") > 3;

-- average unit price per select
SELECT "select", avg("unitPrice") FROM "Sales Dept"."OrderLine" l JOIN "Sales Dept"."Order" o ON l."orderNumber"
= o."Number" AND l."orderYear" = o."Year" GROUP BY 1;

-- ग्राहक
SELECT * FROM "ग्राहक";

-- how many ग्राहक in पुणे
SELECT count(*) FROM "ग्राहक" WHERE "शहर" = 'पुणे';

-- number of customers per शहर
SELECT "शहर", count(*) FROM "ग्राहक" GROUP BY 1;

-- clients in 'दिल्ली'
SELECT * FROM "ग्राहक" WHERE "शहर" = 'दिल्ली';

-- customers by town
SELECT "शहर", count(*) FROM "ग्राहक" GROUP BY 1;

-- users with limit over 6
SELECT * FROM "user" WHERE "limit" > 6;

-- number of users per group
SELECT "group", count(*) FROM "user" GROUP BY 1;

-- users whose where is Pune
SELECT * FROM "user" WHERE "where" = 'Pune';

-- orders where select is 'web''; DROP TABLE x; --'
SELECT * FROM "Sales Dept"."Order" WHERE false;

-- orders whose select contains '\%'
SELECT * FROM "Sales Dept"."Order" WHERE false;
