"""What can be written of each type, as templates: `{text}` is an expression of the type text, written out in its place.

Everything here gives the same answer whatever order rows come in, and raises nothing for the values that there are: so
an answer that differs is the veil's doing. `{small}` is a small constant; `{n}` a number from 1 to 3; `{lit:text}` a
constant; `{col:text}` a column; `{=}` what the last of those was, again; `{key}` a column that sorts; `{any}` any one;
`{row}` a whole row, `{row:equal}` one that compares; `{query:text}` a sub-SELECT of one value, `{in:text}` of a column,
`{exists}` of anything.

https://www.postgresql.org/docs/current/functions.html is where they are from.
"""

from __future__ import annotations

from typing import Final


def _table(source: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in source.strip().splitlines():
        if line.strip():
            kind, _, template = line.strip().partition(" | ")
            found.setdefault(kind, []).append(template)
    return {kind: tuple(templates) for kind, templates in found.items()}


EXPRESSIONS: Final = _table(r"""
text | {text} || {text}
text | {text} || {lit:text}
text | upper({text})
text | lower({text})
text | initcap({text})
text | left({text}, {small})
text | right({text}, {small})
text | substr({text}, {n}, {small})
text | substring({text} FROM {n} FOR {small})
text | substring({text} FROM '[a-z]+')
text | replace({text}, 'a', {text})
text | translate({text}, 'abc', 'xyz')
text | split_part({text}, '@', {n})
text | reverse({text})
text | repeat({text}, {n})
text | lpad({text}, {small}, '.')
text | rpad({text}, {small})
text | trim(both '*' from {text})
text | btrim({text}, 'aA')
text | ltrim({text})
text | overlay({text} placing 'x' from {n} for 1)
text | md5({text})
text | encode(convert_to({text}, 'UTF8'), 'hex')
text | encode(sha256(convert_to({text}, 'UTF8')), 'base64')
text | regexp_replace({text}, '[0-9]+', '#', 'g')
text | concat({any}, {any})
text | concat_ws('-', {text}, {any}, {int})
text | format('%s/%s', {any}, {any})
text | format('%L %I', {text}, {lit:text})
text | quote_literal({text})
text | quote_nullable({text})
text | coalesce({text}, {text})
text | coalesce({text}, {lit:text})
text | nullif({text}, {text})
text | greatest({text}, {text})
text | least({text}, {lit:text}, {text})
text | CASE WHEN {bool} THEN {text} ELSE {text} END
text | CASE {text} WHEN {lit:text} THEN {text} WHEN {text} THEN {lit:text} END
text | CASE {int} WHEN 1 THEN {text} ELSE {lit:text} END
text | {int}::text
text | CAST({any} AS text)
text | CAST({text} AS varchar(4))
text | {text}::varchar
text | {text}::char(6)
text | {text} COLLATE "C"
text | to_char({date}, 'YYYY-MM-DD')
text | to_char({num}, 'FM9999999990.00')
text | ({jsonb} ->> 'plain')
text | {jsonb} #>> '{{person,email}}'
text | jsonb_typeof({jsonb})
text | array_to_string({text[]}, ',', '-')
text | {text} || E'\'\t' || $q$it's$q$ || U&'\00fc'
text | (SELECT j.mail FROM JSON_TABLE({jsonb}, '$.person' COLUMNS (mail text PATH '$.email')) AS j LIMIT 1)
text | JSON_VALUE({jsonb}, '$.person.email')
text | (SELECT string_agg(u.e, ',' ORDER BY u.n) FROM unnest({text[]}) WITH ORDINALITY AS u(e, n))
text | (SELECT r.b FROM ROWS FROM (unnest({text[]}), generate_series(1, 2)) AS r(b, n) ORDER BY r.n, r.b LIMIT 1)
text | (SELECT p.v FROM (SELECT {text} AS v UNION SELECT {lit:text}) AS p ORDER BY p.v LIMIT 1)
text | (WITH q AS (SELECT {text} AS v) SELECT max(q.v) FROM q)
text | ({text[]})[{n}]
text | {row}::text
text | row_to_json({row})::text
text | (to_jsonb({row}) -> 'id')::text
text | ROW({any}, {any})::text
text | {query:text}
text | {query:text}
text | (SELECT {text})
text | (ARRAY[{text}, {text}])[{n}]
text | (VALUES ({text}))
text | chr((65 + abs({int}) % 26)::int)
int | {int}::bigint + {int}
int | {int}::int8 - {small}
int | CAST({int} AS bigint) * {n}
int | -{int}
int | abs({int})
int | {int} / nullif({n}, 0)
int | {int} % {n}
int | mod({int}, 7)
int | {int} & {n}
int | {int} # {n}
int | length({text})
int | octet_length({text})
int | char_length({text})
int | position('a' in {text})
int | strpos({text}, {text})
int | ascii({text})
int | coalesce({int}, {lit:int})
int | nullif({int}, {int})
int | greatest({int}, {int}, {n})
int | least({int}, {int})
int | CASE WHEN {bool} THEN {int} ELSE {int} END
int | CASE {text} WHEN {text} THEN {int} ELSE {n} END
int | {bool}::int
int | {date} - {date}
int | extract(year from {date})::int
int | date_part('month', {date})::int
int | cardinality({text[]})
int | array_length({text[]}, 1)
int | ({col:jsonb} #>> '{{person,age}}')::int
int | CASE WHEN jsonb_typeof({col:jsonb} -> 'notes') = 'array' THEN jsonb_array_length({=} -> 'notes') END
int | num_nulls({any}, {any})
int | {query:int}
int | {query:int}
int | (SELECT {int})
int | width_bucket({num}, 0, 1000, 5)
int | regexp_count({text}, 'a')
int | ({int[]})[1]
int | array_position({text[]}, {text})
num | {num} + {num}
num | {num} - {num}
num | {num} * {n}
num | {num} / nullif({int}, 0)
num | round({num}, {n})
num | round({num})
num | trunc({num}, 1)
num | ceil({num})
num | floor({num})
num | abs({num})
num | sign({num})
num | {int}::numeric
num | {int}::numeric(20, 2)
num | mod({num}, 3)
num | coalesce({num}, {int})
num | nullif({num}, {num})
num | greatest({num}, {int})
num | CASE WHEN {bool} THEN {num} END
num | {num}::numeric(20, 1)
num | sqrt(abs({num}))
num | {query:num}
num | extract(day from {date})
num | extract(epoch from {date})
date | {date} + {n}
date | {date} - {small}
date | date_trunc('month', {date})::date
date | date_trunc('year', {ts})::date
date | coalesce({date}, {lit:date})
date | nullif({date}, {date})
date | greatest({date}, {date})
date | least({date}, {lit:date})
date | CASE WHEN {bool} THEN {date} ELSE {date} END
date | {ts}::date
date | ({date} + interval '1 month')::date
date | make_date(2024, {n}, {small})
date | {query:date}
ts | {date}::timestamp
ts | {date} + interval '1 day 2 hours'
ts | date_trunc('hour', {ts})
ts | {ts} - interval '3 days'
ts | coalesce({ts}, {date}::timestamp)
ts | {tstz} AT TIME ZONE 'UTC'
tstz | {tstz} + interval '1 hour'
tstz | date_trunc('day', {tstz}, 'UTC')
tstz | coalesce({tstz}, timestamptz '2024-02-29 12:00+00')
tstz | {ts} AT TIME ZONE 'Asia/Kolkata'
interval | {ts} - {ts}
interval | make_interval(days => ({int} % 100)::int)
interval | age({ts}, {ts})
float | {float} + 1
float | sqrt({int} * {int})
float | {num}::float8
float | coalesce({float}, 0.5)
float | {int} / 4.0::float8
float | degrees(0.5) * {n}
bool | {text} = {text}
bool | {text} = {lit:text}
bool | {text} <> {lit:text}
bool | {text} < {text}
bool | {text} >= {lit:text}
bool | {col:text} = {lit:text}
bool | {col:text} LIKE {pattern}
bool | {col:text} NOT LIKE {pattern}
bool | {col:text} ILIKE {pattern}
bool | {col:text} ~ '^[a-c]'
bool | {col:text} ~* 'ZQ|VK'
bool | {text} SIMILAR TO '%(a|b)%'
bool | {col:text} ^@ 'a'
bool | starts_with({text}, {lit:text})
bool | regexp_like({text}, '[0-9]')
bool | {text} IN ({lit:text}, {lit:text}, {text})
bool | {text} NOT IN ({lit:text}, {lit:text})
bool | {text} = ANY (ARRAY[{lit:text}, {text}])
bool | {text} <> ALL ('{{a,***}}'::text[])
bool | {text} BETWEEN {lit:text} AND {text}
bool | {text} BETWEEN SYMMETRIC {text} AND {text}
bool | {text} IS DISTINCT FROM {text}
bool | {text} IS NOT DISTINCT FROM {lit:text}
bool | {any} IS NULL
bool | {any} IS NOT NULL
bool | {row} IS NOT NULL
bool | {row:equal} = {=}
bool | {row:equal} IS DISTINCT FROM {=}
bool | ({text}, {int}) = ({text}, {int})
bool | ({int}, {text}) < ({lit:int}, {lit:text})
bool | ROW({text}, {date}) >= ROW({lit:text}, {date})
bool | ({text}, {int}) IN (({lit:text}, 1), ({text}, {int}))
bool | {int} = {int}
bool | {int} < {lit:int}
bool | {int} > {int}
bool | {int} BETWEEN {n} AND {lit:int}
bool | {int} IN (1, 2, {int})
bool | {num} > {num}
bool | {num} <= {int}
bool | {num} = {lit:num}
bool | {date} < {date}
bool | {date} = {lit:date}
bool | {date} >= {lit:date}
bool | {date} BETWEEN {lit:date} AND {date}
bool | ({date}, {date}) OVERLAPS ({lit:date}, {lit:date})
bool | {ts} > {ts}
bool | {tstz} <= {tstz}
bool | {enum}::text = {lit:text}
bool | {enum} IS NOT NULL
bool | {key} IS DISTINCT FROM {=}
bool | {col:enum} >= {=}
bool | {col:text} = {=}
bool | {bool} AND {bool}
bool | {bool} OR {bool}
bool | NOT {bool}
bool | ({bool}) IS TRUE
bool | ({bool}) IS NOT UNKNOWN
bool | coalesce({bool}, false)
bool | CASE WHEN {bool} THEN {bool} ELSE {bool} END
bool | EXISTS {exists}
bool | NOT EXISTS {exists}
bool | {text} IN {in:text}
bool | {int} IN {in:int}
bool | {int} NOT IN {in:int}
bool | {text} = ANY {in:text}
bool | {int} > ALL {in:int}
bool | {text} < SOME {in:text}
bool | {date} <> ALL {in:date}
bool | ({int}, {text}) IN {in:int,text}
bool | {int} = {query:int}
bool | {text} > {query:text}
bool | {jsonb} ? 'plain'
bool | {jsonb} @> '{{"plain": "p1"}}'
bool | {jsonb} -> 'person' ->> 'email' = 'a***@***.test'
bool | jsonb_path_exists({jsonb}, '$.notes[*] ? (@.n > 1)')
bool | {jsonb} @? '$.person.email'
bool | {jsonb} IS JSON OBJECT
bool | {text[]} && ARRAY[{text}]
bool | {text[]} @> ARRAY[{lit:text}]
bool | {text} = ANY ({text[]})
bool | {text[]} = {text[]}
bool | {int[]}::bigint[] @> ARRAY[{int}]::bigint[]
bool | isempty({range})
bool | {range} @> ({int} % 1000)::int
bool | isfinite({date})
jsonb | {jsonb} -> 'person'
jsonb | {jsonb} -> 'notes' -> 0
jsonb | {jsonb} #> '{{notes,0}}'
jsonb | CASE WHEN {col:jsonb} IS JSON OBJECT THEN {=} - 'person' END
jsonb | {jsonb} || jsonb_build_object('k', {any})
jsonb | coalesce({jsonb}, '{{}}'::jsonb)
jsonb | to_jsonb({any})
jsonb | to_jsonb({row})
jsonb | to_jsonb({row}) - 'id'
jsonb | jsonb_build_object('a', {any}, 'b', {any})
jsonb | jsonb_build_array({any}, {any}, 1)
jsonb | CASE WHEN {col:jsonb} IS JSON OBJECT THEN jsonb_set({=}, '{{plain}}', to_jsonb(coalesce({text}, ''))) END
jsonb | jsonb_strip_nulls({jsonb})
jsonb | jsonb_path_query_array({jsonb}, '$.notes[*].body')
jsonb | row_to_json({row})::jsonb
jsonb | {query:jsonb}
jsonb | json_object('x': {any}, 'y': {text} RETURNING jsonb)
jsonb | json_array({any}, {int} ABSENT ON NULL RETURNING jsonb)
jsonb | jsonb_object(ARRAY['k', {text}])
json | json_build_object('a', {any}, 'row', {row})
json | row_to_json({row})
json | row_to_json(ROW({any}, {any}))
json | to_json({any})
json | json_build_array({any}, {row})
text[] | ARRAY[{text}, {text}]
text[] | ARRAY[{text}, {lit:text}]::text[]
text[] | {text[]} || {text}
text[] | array_append({text[]}, {text})
text[] | array_remove({text[]}, {lit:text})
text[] | array_replace({text[]}, {text}, 'new')
text[] | string_to_array({text}, '@')
text[] | regexp_split_to_array({text}, '[*]+')
text[] | regexp_match({text}, '([a-z]+)')
text[] | ({text[]})[1:2]
text[] | ARRAY(SELECT x.v FROM unnest({text[]}) AS x(v) ORDER BY x.v)
text[] | coalesce({text[]}, '{{}}')
int[] | ARRAY[{int}, {int}]
int[] | ARRAY[{int}]::bigint[] || {int}::bigint
int[] | array_fill({int}, ARRAY[{n}])
range | int4range({n}, ({n} + abs({int}) % 50)::int)
range | coalesce({range}, 'empty')
uuid | coalesce({uuid}, '00000000-0000-0000-0000-000000000001')
uuid | md5({text})::uuid
bytea | convert_to({text}, 'UTF8')
bytea | sha256(convert_to({text}, 'LATIN1'))
bytea | coalesce({bytea}, '\x00')
""")

# Over the rows of a group. What depends on the order of rows is given one.
AGGREGATES: Final = _table(r"""
int | count(*)
int | count({any})
int | count(DISTINCT {col:text})
int | sum({int})::bigint
int | min({int})
int | max({int})
int | bit_or({int})
int | count(*) FILTER (WHERE {bool})
int | regr_count({float}, {float})
num | sum({num})
num | avg({int})
num | avg({num}) FILTER (WHERE {bool})
num | min({num})
num | sum(DISTINCT {int})
num | stddev({int})
num | var_pop({num})
text | min({text})
text | max({text})
text | string_agg({col:text}, ',' ORDER BY {=})
text | string_agg(DISTINCT {col:text}, '+')
text | string_agg({col:text}, ',' ORDER BY {=}) FILTER (WHERE {bool})
text | percentile_disc(0.5) WITHIN GROUP (ORDER BY {text})
text | max({enum}::text)
date | min({date})
date | max({date})
date | percentile_disc(0.25) WITHIN GROUP (ORDER BY {date})
ts | max({ts})
tstz | min({tstz})
bool | bool_or({bool})
bool | every({bool})
bool | bool_and({bool}) FILTER (WHERE {bool})
jsonb | jsonb_agg({col:text} ORDER BY {=})
jsonb | jsonb_agg(DISTINCT {any})
jsonb | jsonb_object_agg('k', 1)
text[] | array_agg({col:text} ORDER BY {=})
text[] | array_agg(DISTINCT {text})
int[] | array_agg({col:int} ORDER BY {=} DESC)
float | percentile_cont(0.5) WITHIN GROUP (ORDER BY {int})
float | max({float})
""")

# `{window}` is PARTITION BY and ORDER BY, a frame by peers or none; `{window:order}` has an order.
WINDOWS: Final = _table(r"""
int | count(*) OVER ({window})
int | count({any}) FILTER (WHERE {bool}) OVER ({window})
int | rank() OVER ({window:order})
int | dense_rank() OVER ({window:order})
num | sum({int}) OVER ({window})
int | max({int}) OVER ({window})
num | avg({num}) OVER ({window})
num | sum({num}) OVER ({window})
text | min({text}) OVER ({window})
text | max({text}) OVER ({window})
text | first_value({col:text}) OVER (ORDER BY {=})
float | percent_rank() OVER ({window:order})
float | cume_dist() OVER ({window:order})
date | max({date}) OVER ({window})
bool | bool_or({bool}) OVER ({window})
""")
