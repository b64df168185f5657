-- same: arrows
SELECT id, attributes -> 'colour', attributes ->> 'colour', attributes #>> '{maker,name}', (attributes ->> 'weight')::numeric * 2
FROM shop.products ORDER BY id

-- same: subscripts
SELECT id, attributes['maker']['name'], attributes['sizes'][0] FROM shop.products ORDER BY id

-- same: containment and existence
SELECT id FROM shop.products WHERE attributes @> '{"colour": "red"}' AND attributes ? 'weight' AND attributes ?& ARRAY['maker', 'sizes'] ORDER BY id

-- same: a masked document
SELECT id, profile, profile ->> 'pin' AS pin, profile -> 'level' FROM shop.customers ORDER BY id LIMIT 5

-- same: keys and values of a document
SELECT p.id, e.key, e.value FROM shop.products p, jsonb_each_text(p.attributes) AS e WHERE p.id < 4 ORDER BY 1, 2

-- same: elements of an array in a document
SELECT p.id, s.value::int AS size, s.ordinality FROM shop.products p
CROSS JOIN LATERAL jsonb_array_elements(p.attributes -> 'sizes') WITH ORDINALITY AS s(value, ordinality) ORDER BY 1, 3

-- same: jsonpath
SELECT id, jsonb_path_query_array(attributes, '$.sizes[*] ? (@ > $least)', '{"least": 10}'), jsonb_path_exists(attributes, '$.maker.name')
FROM shop.products WHERE attributes @@ '$.weight > 5' ORDER BY id

-- same: rows from jsonpath
SELECT p.id, q FROM shop.products p, jsonb_path_query(p.attributes, '$.sizes[*]') AS q ORDER BY 1, 2 LIMIT 20

-- same: json_table
SELECT p.id, t.* FROM shop.products p,
    JSON_TABLE(p.attributes, '$' COLUMNS (colour text PATH '$.colour', maker text PATH '$.maker.name',
        NESTED PATH '$.sizes[*]' COLUMNS (size int PATH '$'))) AS t ORDER BY p.id, t.size LIMIT 20

-- same: json_value, json_query, json_exists
SELECT id, JSON_VALUE(attributes, '$.colour'), JSON_QUERY(attributes, '$.maker'), JSON_EXISTS(attributes, '$.weight ? (@ > 20)')
FROM shop.products ORDER BY id

-- same: documents from rows
SELECT json_agg(t) FROM (SELECT id, email, total FROM shop.customers c JOIN LATERAL
    (SELECT sum(total) AS total FROM shop.orders o WHERE o.customer_id = c.id) s ON true ORDER BY id LIMIT 5) t

-- same: objects and arrays from rows
SELECT state, jsonb_object_agg(id, total ORDER BY id), jsonb_agg(DISTINCT customer_id) FROM shop.orders WHERE id < 20 GROUP BY state ORDER BY state

-- same: building documents
SELECT jsonb_build_object('id', id, 'mail', email, 'tags', to_jsonb(tags)), row_to_json(ROW(id, name)), json_build_array(id, city)
FROM shop.customers ORDER BY id LIMIT 5

-- same: the standard's constructors
SELECT JSON_OBJECT('id': id, 'name': name ABSENT ON NULL), JSON_ARRAY(id, city), name IS JSON FROM shop.customers ORDER BY id LIMIT 5

-- same: the standard's aggregates
SELECT JSON_ARRAYAGG(name ORDER BY id RETURNING jsonb), JSON_OBJECTAGG(id: ssn) FROM shop.employees

-- same: changing documents
SELECT jsonb_set(attributes, '{colour}', '"green"'), attributes - 'sizes', attributes || '{"new": true}', jsonb_strip_nulls(attributes),
       jsonb_pretty(attributes -> 'maker'), jsonb_typeof(attributes), jsonb_array_length(attributes -> 'sizes')
FROM shop.products ORDER BY id LIMIT 3

-- same: records from documents
SELECT r.* FROM shop.products p, jsonb_to_record(p.attributes) AS r(colour text, weight numeric) ORDER BY p.id

-- same: record sets from documents
SELECT * FROM jsonb_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') AS r(a int, b text) ORDER BY a

-- same: nested documents as GraphQL servers ask for them
SELECT coalesce(json_agg("root" ORDER BY "root"->>'id'), '[]') AS "root" FROM (
    SELECT row_to_json((SELECT "_e" FROM (SELECT "_base"."id" AS "id", "_base"."email" AS "email", "_orders"."orders" AS "orders") AS "_e")) AS "root"
    FROM (SELECT * FROM "shop"."customers" WHERE ("shop"."customers"."id") < (6)) AS "_base"
    LEFT OUTER JOIN LATERAL (
        SELECT coalesce(json_agg(json_build_object('id', "o"."id", 'total', "o"."total") ORDER BY "o"."id"), '[]') AS "orders"
        FROM "shop"."orders" AS "o" WHERE "o"."customer_id" = "_base"."id") AS "_orders" ON ('true')) AS "_rows"

-- same: a search in a stored document
SELECT id, title, ts_rank(doc, q) AS rank FROM shop.products, websearch_to_tsquery('english', 'reading -garden') AS q
WHERE doc @@ q ORDER BY rank DESC, id

-- same: a search on the fly
SELECT id, ts_headline('english', title || ' ' || coalesce(description, ''), plainto_tsquery('english', 'wood')) FROM shop.products
WHERE to_tsvector('english', description) @@ to_tsquery('english', 'fold & teak:*') ORDER BY id

-- same: a search with weights and phrases
SELECT id, ts_rank_cd(setweight(to_tsvector('simple', title), 'A') || setweight(to_tsvector('simple', coalesce(description, '')), 'B'),
                      phraseto_tsquery('simple', 'garden chair') || to_tsquery('simple', 'lamp')) AS rank
FROM shop.products ORDER BY rank DESC, id

-- same: a search in a masked column
SELECT id FROM shop.customers WHERE to_tsvector('english', remark) @@ plainto_tsquery('english', 'remark') ORDER BY id

-- same: lexemes
SELECT id, tsvector_to_array(doc), length(doc), strip(doc), numnode(plainto_tsquery('english', title)) FROM shop.products ORDER BY id LIMIT 5

-- same: arrays apart and together
SELECT c.id, t.tag, t.n FROM shop.customers c, unnest(c.tags) WITH ORDINALITY AS t(tag, n) WHERE t.tag IS NOT NULL ORDER BY 1, 3 LIMIT 30

-- same: arrays from rows
SELECT city, array_agg(name ORDER BY joined DESC), array_agg(DISTINCT active), (array_agg(email ORDER BY id))[1:2], cardinality(array_agg(id))
FROM shop.customers GROUP BY city ORDER BY city

-- same: array operators
SELECT id, tags, tags @> ARRAY['vip'], tags && ARRAY['tag 1'], 'vip' = ANY (tags), array_length(tags, 1), array_position(tags, 'x,y'),
       array_remove(tags, NULL), array_to_string(tags, '; ', '-'), tags || 'more'::text, tags[1], array_cat(tags, ARRAY['z'])
FROM shop.customers ORDER BY id LIMIT 10

-- same: arrays of parameters
SELECT id FROM shop.orders WHERE id = ANY ('{1,2,3,5,8}'::int[]) AND state <> ALL (ARRAY['returned']::shop.state[]) ORDER BY id

-- same: arrays from subqueries
SELECT c.id, ARRAY(SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY 1) AS orders FROM shop.customers c ORDER BY 1 LIMIT 10

-- same: several arrays at once
SELECT * FROM unnest(ARRAY[1, 2, 3], ARRAY['a', 'b']) AS u(n, t)

-- same: rows from several functions
SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['a', 'b'])) WITH ORDINALITY AS r(n, t, i)

-- same: strings to arrays
SELECT string_to_array('a,b,c', ','), array_fill(0, ARRAY[3]), generate_subscripts(ARRAY['x', 'y'], 1), trim_array(ARRAY[1, 2, 3], 1)

-- same: ranges
SELECT id, daterange(joined, joined + 30) @> date '2023-01-05', int4range(1, id) * int4range(3, 9), lower(numrange(1.5, 2)),
       range_agg(daterange(joined, joined + 10)) OVER (PARTITION BY city) FROM shop.customers ORDER BY id LIMIT 8

-- same: composites
SELECT (ROW('s', 'c', 'p')::shop.address).city, (address).city, address IS NULL FROM shop.customers ORDER BY id LIMIT 4

-- same: networks and bytes
SELECT host(inet '10.0.0.1/8'), network(inet '10.1.2.3/16'), encode(sha256(convert_to('x', 'UTF8')), 'hex'), decode('ff00', 'hex'),
       get_byte('\x0102'::bytea, 1), ip << inet '10.0.0.0/8' FROM shop.events ORDER BY id LIMIT 3

-- same: uuids
SELECT '00000000-0000-4000-8000-000000000001'::uuid, gen_random_uuid() IS NOT NULL, uuid_extract_version('00000000-0000-4000-8000-000000000001')

-- same: points of a spatial extension
SELECT id, geo.st_astext(at), geo.st_x(at), geo.st_y(at), owner FROM geo.places ORDER BY id

-- same: what is near
SELECT id, geo.st_distance(at, geo.st_makepoint(2, 2)) AS far FROM geo.places WHERE geo.st_dwithin(at, geo.st_makepoint(2, 2), 1.5) ORDER BY far, id

-- same: nearest neighbours
SELECT id, name FROM geo.places ORDER BY at OPERATOR(geo.<->) geo.st_makepoint(3, 3), id LIMIT 5

-- same: a feature collection
SELECT jsonb_build_object('type', 'FeatureCollection', 'features', jsonb_agg(jsonb_build_object('type', 'Feature', 'geometry',
    geo.st_asgeojson(at)::jsonb, 'properties', jsonb_build_object('name', name, 'owner', owner)) ORDER BY id)) FROM geo.places

-- same: a spatial join
SELECT a.id, count(b.id) FROM geo.places a JOIN geo.places b ON b.id <> a.id AND geo.st_dwithin(a.at, b.at, 1) GROUP BY a.id ORDER BY a.id

-- same: built-in geometry
SELECT point(1, 2) <-> point(4, 6), box(point(0, 0), point(1, 1)) @> point(0.5, 0.5), area(circle(point(0, 0), 2))
