-- same: the document
SELECT id, doc FROM care.patient ORDER BY id

-- same: the document as text
SELECT id, doc::text, raw_doc::text FROM care.patient ORDER BY id

-- same: by arrow
SELECT doc -> 'card' -> 'pin', doc -> 'card' ->> 'pin', doc -> 'notes' -> 0 ->> 'text' FROM care.patient ORDER BY id

-- same: by path
SELECT doc #> '{card,pin}', doc #>> '{card,pin}', doc #>> '{1,card,1,pin,deep}', doc #>> '{}' FROM care.patient ORDER BY id

-- same: by subscript
SELECT doc['card']['pin'], doc['notes'][0]['text'] FROM care.patient ORDER BY id

-- same: each
SELECT id, k, v FROM care.patient, LATERAL jsonb_each_text(CASE jsonb_typeof(doc) WHEN 'object' THEN doc END) AS e(k, v) ORDER BY id, k

-- same: each, deeper
SELECT id, k, v FROM care.patient, LATERAL jsonb_each(CASE jsonb_typeof(doc -> 'card') WHEN 'object' THEN doc -> 'card' END) AS e(k, v) ORDER BY id, k

-- same: keys
SELECT id, k FROM care.patient, LATERAL jsonb_object_keys(CASE jsonb_typeof(doc) WHEN 'object' THEN doc -> 'card' END) AS k WHERE id < 4 ORDER BY 1, 2

-- same: keys of what is no object
SELECT jsonb_object_keys(doc -> 'card') FROM care.patient ORDER BY id

-- same: a JSON path
SELECT id FROM care.patient WHERE doc @? '$.card.pin ? (@ starts with "z")' ORDER BY id

-- same: a JSON path of any depth
SELECT id, jsonb_path_query(doc, '$.**') FROM care.patient ORDER BY id

-- same: a JSON path's predicate
SELECT id FROM care.patient WHERE doc @@ '$.**.pin like_regex "SECRET"' ORDER BY id

-- same: a JSON path that is strict
SELECT jsonb_path_query_array(doc, 'strict $.card.pin.type()') FROM care.patient WHERE id < 4 ORDER BY id

-- same: keyvalue
SELECT id, jsonb_path_query(doc, '$.card.keyvalue().value') FROM care.patient WHERE id < 3 ORDER BY id

-- same: contains
SELECT count(*) FROM care.patient WHERE doc @> '{"card": {"pin": "xxxx"}}' OR doc -> 'card' ? 'bank'

-- same: concatenated and taken apart
SELECT (doc || '{"card": {"x": 1}}') -> 'card', doc - 'card', doc #- '{card,bank}' FROM care.patient WHERE id NOT IN (4, 5, 7) ORDER BY id

-- same: set and insert
SELECT jsonb_set(doc, '{card,bank}', doc -> 'card' -> 'pin'), jsonb_pretty(doc) FROM care.patient WHERE id < 4 ORDER BY id

-- same: a record out of it
SELECT r.* FROM care.patient, LATERAL jsonb_to_record(doc -> 'card') AS r(pin text, bank text) WHERE id < 4 ORDER BY id

-- same: a recordset out of it
SELECT id, r.* FROM care.patient, LATERAL jsonb_to_recordset(doc -> 'notes') AS r(text text, at int) WHERE id < 4 ORDER BY id

-- same: equal documents
SELECT count(*) FROM care.patient a JOIN care.patient b ON a.doc = b.doc

-- same: sorted documents
SELECT id FROM care.patient ORDER BY doc, id

-- same: sizes of documents
SELECT id, length(doc::text), pg_column_size(raw_doc::text), octet_length(raw_doc::text) FROM care.patient ORDER BY id

-- same: a key that stands twice
SELECT raw_doc ->> 'pin', raw_doc -> 0, raw_doc::jsonb FROM care.patient ORDER BY id

-- same: each of a key that stands twice
SELECT id, e.key, e.value::text FROM care.patient, LATERAL json_each(CASE json_typeof(raw_doc) WHEN 'object' THEN raw_doc END) AS e ORDER BY id, 2

-- same: aggregated
SELECT jsonb_agg(doc ORDER BY id), json_object_agg(id, raw_doc ORDER BY id) FROM care.patient

-- same: a field
SELECT id, (home).street, (p.home).zip FROM care.patient p ORDER BY id

-- same: every field
SELECT (home).* FROM care.patient ORDER BY id

-- same: a composite as text and JSON
SELECT home::text, to_jsonb(home), row_to_json(home) FROM care.patient ORDER BY id

-- same: a composite compared
SELECT count(*) FROM care.patient a JOIN care.patient b ON a.home = b.home WHERE a.home < ROW('t', '', 0)::kind.addr

-- same: a composite sorted and grouped
SELECT home, count(*) FROM care.patient GROUP BY home ORDER BY home

-- same: an array of composites
SELECT homes, homes[1], (homes[1]).zip, (homes[2]).street FROM care.patient ORDER BY id

-- same: an array of composites, unnested
SELECT id, a.* FROM care.patient, LATERAL unnest(homes) AS a ORDER BY id, a.street

-- same: slices and sizes
SELECT homes[1:1], cardinality(homes), array_length(tags, 1), cardinality(pins) FROM care.patient ORDER BY id

-- same: array searches
SELECT id FROM care.patient WHERE '***' = ANY (tags) AND array_position(tags, '***') = 1 ORDER BY id

-- same: arrays as text
SELECT array_to_string(tags, ','), array_to_json(homes), pins::text FROM care.patient ORDER BY id

-- same: array operators
SELECT id FROM care.patient WHERE tags && ARRAY['x'] OR tags @> ARRAY['***'] ORDER BY id

-- same: enums
SELECT mood, mood::text, mood = 'calm', mood > 'calm' FROM care.patient ORDER BY id

-- same: the first of an enum by a row
SELECT enum_first(mood), enum_range(mood, NULL) FROM care.patient ORDER BY id

-- same: ranges
SELECT span, lower(span), isempty(span), span @> 300 FROM care.patient ORDER BY id

-- same: ranges aggregated
SELECT range_agg(span), range_intersect_agg(span) FROM care.patient

-- same: a domain
SELECT badge, badge::text, length(badge) FROM care.patient ORDER BY id

-- same: a generated column
SELECT initials, coalesce(initials, 'none') FROM care.patient ORDER BY id

-- same: a whole row of a view
SELECT r, to_jsonb(r) FROM care.roster r ORDER BY id

-- refused 42501: a whole row with what may only be selected
SELECT to_jsonb(p) FROM care.patient p ORDER BY id

-- refused 42501: a field of a whole row with what may only be selected
SELECT ((p).home).street FROM care.patient p ORDER BY id

-- same: a column that came after the policy
SELECT * FROM care.drift ORDER BY id

-- same: a column that came after the policy, as a row
SELECT to_jsonb(d) ->> 'late', (d).late FROM care.drift d ORDER BY id

-- same: XML of the parts
SELECT xmlforest((home).street AS s, doc -> 'card' ->> 'pin' AS p) FROM care.patient ORDER BY id

-- same: JSON_VALUE
SELECT JSON_VALUE(doc, '$.card.pin'), JSON_QUERY(doc, '$.notes') FROM care.patient ORDER BY id

-- same: JSON_TABLE
SELECT id, j.* FROM care.patient, JSON_TABLE(doc, '$.card' COLUMNS (pin text PATH '$.pin', bank text PATH '$.bank')) AS j ORDER BY id

-- same: IS JSON of a part
SELECT id, (doc -> 'card' ->> 'pin') IS JSON, raw_doc::text IS JSON WITH UNIQUE KEYS FROM care.patient ORDER BY id

-- same: bounds and dimensions of arrays
SELECT id, array_dims(tags), array_ndims(homes), tags[1][1], tags[5], homes[0], (homes[0]).zip FROM care.patient ORDER BY id

-- same: keys beside the masked one
SELECT id, doc -> 'card' ->> 'PIN', doc -> 'card' ->> 'pin ', doc #> '{notes,0,0}' FROM care.patient ORDER BY id

-- same: a composite of NULLs
SELECT id, home IS NULL, home IS NOT NULL, num_nulls(home), (home).street FROM care.patient ORDER BY id
