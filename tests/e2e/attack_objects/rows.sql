INSERT INTO shop.gen SELECT i, '{ssn}-' || i FROM generate_series(1,5) i;
INSERT INTO shop.gen0 SELECT i, '{ssn}-' || i FROM generate_series(1,5) i;
INSERT INTO hr.multi SELECT i, '{ssn}-' || i FROM generate_series(1,5) i;
INSERT INTO shop.feel VALUES (1, 'low');
INSERT INTO shop.domtab VALUES (1, NULL);
INSERT INTO shop.comps VALUES (1, NULL, NULL);
REFRESH MATERIALIZED VIEW shop.mv_fn; REFRESH MATERIALIZED VIEW shop.mv_row; REFRESH MATERIALIZED VIEW shop.mv_row2;
ANALYZE;
