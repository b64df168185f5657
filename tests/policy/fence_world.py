"""A small catalogue with what PostgreSQL marks as leakproof, made by hand, and conditions that need a fence or none."""

from __future__ import annotations

from proxy.policy import parser
from proxy.policy.catalog import Catalog, Column, Relation, UserFunction, UserOperator
from proxy.policy.catalog_leakproof import Leakproof
from proxy.policy.constants import Parameters
from proxy.policy.leakproof import Facts
from proxy.policy.ranges import Node

TYPES = {
    "integer": 23, "bigint": 20, "text": 25, "character varying": 1043, "numeric": 1700, "date": 1082,
    "timestamp with time zone": 1184, "uuid": 2950, "boolean": 16, "double precision": 701, "jsonb": 3802,
    "hr.mood": 20001, "character(3)": 1042,
}  # fmt: skip

TABLE = """
CREATE SCHEMA hr;
CREATE TYPE hr.mood AS ENUM ('sad', 'ok');
CREATE TABLE hr.emp (id integer PRIMARY KEY, boss bigint, name text, code character varying, salary numeric, born date,
  seen timestamp with time zone, uid uuid, active boolean, rate double precision, extra jsonb, mood hr.mood,
  land character(3), region text, nick text COLLATE "POSIX");
CREATE TABLE hr.dept (id integer PRIMARY KEY, emp_id integer, title text);
"""


def _columns(*names: str) -> tuple[Column, ...]:
    pairs = [name.partition(" ") for name in names]
    return tuple(Column(name, kind, TYPES[kind], attnum=i) for i, (name, _, kind) in enumerate(pairs, start=1))


EMP = Relation(
    1,
    "hr",
    "emp",
    "r",
    (
        *_columns(
            "id integer", "boss bigint", "name text", "code character varying", "salary numeric", "born date",
            "seen timestamp with time zone", "uid uuid", "active boolean", "rate double precision", "extra jsonb",
            "mood hr.mood", "land character(3)", "region text",
        ),
        Column("nick", "text", 25, attnum=15, plain_collation=False),
    ),
)  # fmt: skip
DEPT = Relation(2, "hr", "dept", "r", _columns("id integer", "emp_id integer", "title text"))
VIEW = Relation(3, "hr", "v", "v", _columns("id integer"), definition="SELECT id FROM hr.emp;")
COMPUTED = Relation(
    4, "hr", "computed", "r", (*_columns("id integer"), Column("twice", "integer", 23, generated="(1 / (id - 5))"))
)

_INTEGERS = (21, 23, 20)
_PLAIN = (16, 25, 1042, 1082, 1184, 2950)
_PAIRS = (
    *((a, b) for a in _INTEGERS for b in _INTEGERS),
    *((a, b) for a in (700, 701) for b in (700, 701)),
    *((a, a) for a in _PLAIN),
)

LEAKPROOF = Leakproof(
    operators=frozenset((name, a, b) for name in ("=", "<>", "<", "<=", ">", ">=") for a, b in _PAIRS),
    functions={("md5", (25,)): 25, ("int8", (23,)): 20, ("numeric", (23,)): 1700, ("float8", (23,)): 701},
)


def catalog(leakproof: Leakproof = LEAKPROOF, version: int = 180000) -> Catalog:
    relations = (EMP, DEPT, VIEW, COMPUTED)
    return Catalog(
        version=1,
        relations={relation.key: relation for relation in relations},
        functions=(UserFunction("public", "sum", ("text",), "sql"),),
        operators=(UserOperator("public", "===", "public.same(integer, integer)", harmless=False),),
        builtin_functions=frozenset({"md5", "sum", "count"}),
        leakproof=leakproof,
        server_version=version,
    )


def facts(tree: Node, types: tuple[int, ...] = (), known: Catalog | None = None) -> Facts:
    """For a parsed text; a name without a schema is one of `hr`."""
    world = known or catalog()
    return Facts(
        world,
        lambda reference: world.resolve(reference.schemaname or None, reference.relname, ("hr",)),
        Parameters(tree, types),
    )


def select_of(tree: Node) -> Node:
    """The SELECT of a text, inside PREPARE and EXPLAIN too."""
    statement = tree.stmts[0].stmt
    while statement.WhichOneof("node") != "select_stmt":
        statement = getattr(statement, statement.WhichOneof("node")).query
    return statement.select_stmt


def parse(sql: str) -> tuple[Node, Node]:
    """The tree, and the SELECT in it."""
    tree = parser.parse(sql)
    return tree, select_of(tree)


# Conditions over `hr.emp` that PostgreSQL itself runs below a security barrier.
OPEN_CONDITIONS = (
    "id = 42", "42 = id", "id = 3000000000", "boss = 5", "id <> 1 AND NOT id = 2", "id IN (1, 2, 3)",
    "id NOT IN (1, 2)",
    "id BETWEEN 1 AND 9", "id NOT BETWEEN SYMMETRIC 9 AND 1", "id = ANY (ARRAY[1, 2])", "id = ANY ('{1,2}')",
    "id = ANY ('{1,2}'::int[])", "id <> ALL ('{1,2}')", "id = boss", "name = 'x'", "code = 'x'", "code = name",
    "code IN ('a', 'b')", "code::text = 'x'", "name < 'm'", "born = '2020-01-01'", "born >= date '2020-01-01'",
    "born > current_date - 30", "seen >= now() - interval '7 days'", "seen >= date_trunc('month', now())",
    "seen < (now() - interval '2 years')::timestamptz", "uid = '6d1f4c1e-0f39-4c65-a3b5-3b0f6b8f1f11'", "active",
    "active IS NOT TRUE", "NOT active", "name IS NULL", "salary IS NOT NULL", "rate > 1.5", "rate = 2",
    "rate IN (1, 2.5)", "CASE WHEN id = 1 THEN true ELSE active END", "CASE id WHEN 1 THEN 'a' ELSE name END = 'b'",
    "coalesce(id, boss) = 1", "nullif(id, 0) = 3", "greatest(id, 7) = 7", "id IS DISTINCT FROM 4", "md5(name) = 'x'",
    "id::bigint = 4", "land = 'abc'", "'a' < 'b'", "true",
    "EXISTS (SELECT 1 FROM hr.dept AS d WHERE d.emp_id = emp.id)",
    "id IN (SELECT emp_id FROM hr.dept WHERE title = 'x')",
    "(SELECT max(d.id) FROM hr.dept AS d WHERE d.emp_id = emp.id) = 5", "(SELECT count(*) FROM hr.dept) > 3",
)  # fmt: skip

# Conditions that could fail, have an effect, or call what nobody promised to be leakproof.
CLOSED_CONDITIONS = (
    "1 / (id - 100) > 0", "name::int = 5", "id::text = '5'", "salary = 5", "salary IN (5)", "id = 5.5",
    "id IN (1, 2.5)",
    "id BETWEEN 1 AND 2.5", "born = now()", "extra = '{}'", "extra ->> 'a' = 'b'", "mood = 'sad'", "name LIKE 'a%'",
    "name || 'x' = 'y'", "lower(name) = 'x'", "length(name) = 3", "id + 1 = 2", "-id = 2", "id = 1 OR 1 / id > 0",
    "random() < 0.5", "id = (random() * 9)::int", "seen > clock_timestamp()", "seen > now() - interval '200000 years'",
    "seen > now() - (interval '7 days' * id)", "id = 10 / 5", "name = current_user", "nick = name",
    'name COLLATE "C" = \'x\'', "(id, boss) = (1, 2)", "emp IS NULL", "(emp).id = 1", "emp.nothing = 1", "nothing = 1",
    "name::varchar(3) = 'x'", "land = name", "id = ANY (ARRAY[1, 2.5])", "land = ANY (ARRAY['a', 'b'])",
    "id = 5::smallint / 2", "ctid = '(0,1)'", "greatest(salary, 1) = 1", "coalesce(id, salary) = 1",
    "CASE WHEN id = 1 THEN 1 / id ELSE 1 END = 1", "CASE salary WHEN 1 THEN true END", "nullif(salary, 1) IS NULL",
    "id OPERATOR(public.=) 1", "json_build_object('a', id) IS NULL", "ROW(id) IS NULL", "id = 1::text::int",
    "EXISTS (SELECT 1 FROM hr.dept AS d WHERE 1 / (emp.id - 100) > d.id)",
    "EXISTS (SELECT 1 / (emp.id - 100))", "(SELECT d.id FROM hr.dept AS d WHERE d.emp_id = emp.id) = 5",
    "(SELECT sum(d.id) FROM hr.dept AS d WHERE d.emp_id = emp.id) = 5", "ARRAY(SELECT id FROM hr.dept) = '{}'",
    "id IN (SELECT id FROM hr.dept ORDER BY title)", "id IN (SELECT id FROM hr.dept LIMIT 1)",
    "id IN (SELECT salary FROM hr.emp AS x)", "id IN (SELECT 1 UNION SELECT 2)", "id IN (VALUES (1), (2))",
    "(SELECT max(e.id) FROM hr.dept) = 1",
)  # fmt: skip
