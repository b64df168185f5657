"""`predicates: raw` through the proxy: conditions that find rows by the values, what is told of it, and what stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve, create_database
from probes import eventually

from proxy import localpg

SCHEMA = """
CREATE SCHEMA shop;
CREATE TABLE shop.people (id int PRIMARY KEY, boss int, name text, salary int, wage numeric, born date, region text,
  "Full Name" text, "select" int, tags text[], ref oid);
INSERT INTO shop.people
  SELECT n, n / 2, 'name ' || n, n * 100, n * 10.5, date '2000-01-01' + n, CASE WHEN n % 2 = 0 THEN 'EU' ELSE 'US' END,
    'Full ' || n, n, ARRAY['t' || n], n FROM generate_series(1, 40) AS n;
INSERT INTO shop.people (id, region) VALUES (41, 'EU'), (42, 'EU');
CREATE TABLE shop.kids (extra int) INHERITS (shop.people);
INSERT INTO shop.kids (id, name, salary, region) VALUES (51, 'name 51', 100, 'EU');
CREATE TABLE shop.notes (id int, person int, salary int, body text);
INSERT INTO shop.notes SELECT n, n, n * 100, 'note ' || n FROM generate_series(1, 5) AS n;
CREATE VIEW shop.pay AS SELECT id, salary FROM shop.people;
"""

POLICY = """
version: 1
roles:
  dba: {users: [postgres], bypass: true}
  desk: {users: [dora]}
  eu: {users: [eva]}
  plain: {users: [pia]}
tables:
  - {allow: ["shop.*"], roles: [desk, eu, plain]}
masks:
  - columns: [shop.people.name, "shop.people.Full Name", shop.people.salary, shop.people.wage, shop.people.born,
      shop.people.select, shop.people.tags, shop.people.ref]
    mask: null
    predicates: raw
    reason: the desk looks people up
    except: [plain]
  - {columns: [shop.people.boss], mask: null}
rows:
  - {table: shop.people, roles: [eu], where: "region = 'EU'"}
"""


@pytest.fixture(scope="module")
def proxy(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Pgveil:
    policies: Path = tmp_path_factory.mktemp("raw") / "policy.yaml"
    policies.write_text(POLICY)
    return serve(Configuration(create_database(postgres, "raw", SCHEMA), policies))


def ask(proxy: Pgveil, text: str, user: str = "dora") -> list[tuple[object, ...]]:
    with psycopg.connect(proxy.dsn(user, "raw"), autocommit=True) as connection:
        return connection.execute(text.encode()).fetchall()


def records(proxy: Pgveil) -> list[dict[str, Any]]:
    path = proxy.directory / "audit.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def shown(proxy: Pgveil) -> int:
    return sum(1 for record in records(proxy) if record["kind"] == "show")


def ask_and_tell(proxy: Pgveil, text: str, user: str = "dora") -> tuple[list[tuple[object, ...]], list[str]]:
    """The answer, and the columns that the audit names. Records come in order and late: SHOW is the next one."""
    before = shown(proxy)
    with psycopg.connect(proxy.dsn(user, "raw"), autocommit=True) as connection:
        answer = connection.execute(text.encode()).fetchall()
        connection.execute("SHOW transaction_isolation")
    eventually(lambda: shown(proxy) > before, "the records are written")
    named: list[str] = records(proxy)[-2]["raw_predicates"]
    return answer, named


FOUND = (
    ("SELECT id FROM shop.people WHERE salary = 500", "salary"),
    ("SELECT id FROM shop.people WHERE 500 < salary AND id < 9", "salary"),
    ("SELECT id FROM ONLY shop.people WHERE salary = 100", "salary"),
    ("SELECT id FROM shop.people WHERE salary = 100", "salary"),
    ("SELECT id FROM shop.people WHERE salary > 500 AND name LIKE 'name 1%' AND id <> 12", "name, salary"),
    ("SELECT p.id FROM shop.people AS p WHERE p.salary BETWEEN 200 AND 400", "salary"),
    ("SELECT p.id FROM shop.people p WHERE salary BETWEEN SYMMETRIC 400 AND 200", "salary"),
    ('SELECT "P".id FROM shop.people AS "P" WHERE "P"."Full Name" = \'Full 7\'', "Full Name"),
    ("SELECT id FROM shop.people WHERE \"select\" IN (3, 4, NULL)", "select"),
    ("SELECT id FROM Shop.People WHERE SALARY = 500", "salary"),
    ("SELECT id FROM shop.people WHERE salary = ANY ('{100,200}')", "salary"),
    ("SELECT id FROM shop.people WHERE salary = ANY (ARRAY[100, 200.0])", "salary"),
    ("SELECT id FROM shop.people WHERE wage = 21 OR wage IS NULL", "wage"),
    ("SELECT id FROM shop.people WHERE wage NOT IN (21, 10.5) AND id < 5", "wage"),
    ("SELECT id FROM shop.people WHERE born = '2000-01-03'", "born"),
    ("SELECT id FROM shop.people WHERE born < date '2000-01-05'", "born"),
    ("SELECT id FROM shop.people WHERE born > current_date - 30 OR id = 1", "born"),
    ("SELECT id FROM shop.people WHERE NOT (salary > 300 OR name IS NULL)", "name, salary"),
    ("SELECT id FROM shop.people WHERE name ILIKE 'NAME 3_'", "name"),
    (r"SELECT id FROM shop.people WHERE name LIKE 'name\ 3%' OR name LIKE '%\_%'", "name"),
    ("SELECT id FROM (SELECT id, region FROM shop.people WHERE salary = 500) AS s WHERE region > ''", "salary"),
    ("WITH w AS (SELECT id FROM shop.people WHERE salary = 500) SELECT * FROM w", "salary"),
    ("SELECT id FROM shop.people WHERE salary = 100 UNION ALL SELECT id FROM shop.people WHERE name = 'name 2'",
     "name, salary"),
    ("SELECT region, count(*) FROM shop.people WHERE salary > 500 GROUP BY region HAVING count(*) > 1", "salary"),
    ("SELECT DISTINCT region FROM shop.people WHERE salary = 500", "salary"),
    ("SELECT n.body FROM shop.notes n JOIN shop.people p ON p.id = n.person WHERE p.salary = 300", "salary"),
    ("SELECT p.id, n.body FROM shop.people p LEFT JOIN shop.notes n ON n.person = p.id WHERE p.salary < 900",
     "salary"),
    ("SELECT n.body FROM shop.notes n WHERE EXISTS (SELECT 1 FROM shop.people p WHERE p.id = n.id AND p.salary = 200)",
     "salary"),
    ("SELECT a.id, b.id FROM shop.people a, shop.people b WHERE a.salary = 100 AND b.salary = 200", "salary"),
    ("SELECT a.id FROM shop.people a, LATERAL (SELECT 1 FROM shop.people b WHERE b.salary = 200 AND b.id > a.id) l",
     "salary"),
    ("SELECT x.id FROM (SELECT * FROM shop.people WHERE salary = 300) x WHERE x.region = 'US'", "salary"),
)  # fmt: skip


@pytest.mark.parametrize(("sql", "columns"), FOUND)
def test_a_condition_finds_the_rows_by_their_values(proxy: Pgveil, sql: str, columns: str) -> None:
    """Whoever is not masked sees the same rows."""
    truth, none = ask_and_tell(proxy, sql, "pia")
    assert truth
    assert none == []
    found, named = ask_and_tell(proxy, sql)
    assert sorted(map(repr, found)) == sorted(map(repr, truth))
    assert named == [f"shop.people.{name}" for name in columns.split(", ")]


def test_the_output_stays_masked(proxy: Pgveil) -> None:
    assert ask(proxy, "SELECT id, name, salary FROM shop.people WHERE salary = 500") == [(5, None, None)]
    assert ask(proxy, "SELECT salary, max(salary) FROM shop.people WHERE salary > 500 GROUP BY 1") == [(None, None)]
    assert ask(proxy, "SELECT p FROM shop.people p WHERE salary = 500")[0][0] is not None
    assert "500" not in str(ask(proxy, "SELECT p FROM shop.people p WHERE salary = 500"))


# Compared with what is shown, which is NULL.
MASKED = (
    "salary + 0 = 500", "salary = id * 100", "salary = 1000 / 2", "salary::text = '500'", "(salary, id) = (500, 5)",
    "salary IS NOT DISTINCT FROM 500", "salary BETWEEN 500 AND id * 100", "salary = (SELECT 500)", "abs(salary) = 500",
    "salary IN (SELECT 500)", "salary = ANY (ARRAY(SELECT 500))", "salary = ANY (ARRAY[id * 100])",
    "CASE WHEN salary = 500 THEN true END", "(salary = 500) IS TRUE", "coalesce(salary, 0) = 500",
    "salary = 500 OR 1 / id < 0", "salary = 500 AND salary::text = '500'",
    "tags = ARRAY['t5']", "tags = '{t5}'", "'t5' = ANY (tags)", "name ~ 'name 5$'", "name LIKE 'name' || ' 5'",
    "name LIKE 'name!_5' ESCAPE '!'", "name = upper('name 5')", "name || '' = 'name 5'", "name ^@ 'name 5'",
    "name = 'name 5' COLLATE \"C\"", "salary = random() * 0 + 500", "(people).salary = 500", "boss = 2 OR salary = 500",
    "born = now()::date - 10000 * id", "born = to_date('2000-01-06', 'YYYY-MM-DD')", "ROW(salary) = ROW(500)",
    "(salary = 500) = true", "wage = 52.5::float8",
)  # fmt: skip


@pytest.mark.parametrize("condition", MASKED)
def test_any_other_condition_compares_what_is_shown(proxy: Pgveil, condition: str) -> None:
    sql = f"SELECT id FROM shop.people WHERE {condition}"
    with_nulls = f"""
        SELECT id FROM (SELECT id, NULL::int AS boss, NULL::text AS name, NULL::int AS salary, NULL::numeric AS wage,
          NULL::date AS born, region, NULL::text[] AS tags FROM shop.people) AS people WHERE {condition}"""
    expected = ask(proxy, with_nulls, "postgres")
    assert ask(proxy, sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT n.id, p.id FROM shop.notes n LEFT JOIN shop.people p ON p.id = n.id WHERE p.salary IS NULL",
        "SELECT n.id, p.id FROM shop.people p RIGHT JOIN shop.notes n ON p.id = n.id WHERE p.name IS NULL",
        "SELECT n.id, p.id FROM shop.people p FULL JOIN shop.notes n ON p.id = n.id WHERE p.salary = 500",
        "SELECT id FROM shop.pay WHERE salary = 500",
        "SELECT p.id FROM shop.people p JOIN shop.notes n ON p.salary = 500",
        "SELECT p.id FROM shop.people p JOIN shop.notes n USING (salary)",
        "SELECT p.id FROM shop.people p JOIN shop.notes n ON n.salary = p.salary",
        "SELECT id FROM shop.people GROUP BY id, salary HAVING salary = 500",
        "SELECT id FROM (SELECT * FROM shop.people) AS s WHERE salary = 500",
        "WITH s AS (SELECT * FROM shop.people) SELECT id FROM s WHERE salary = 500",
        "SELECT id FROM (TABLE shop.people UNION ALL TABLE shop.people) AS s WHERE salary = 500",
        "SELECT x.i FROM shop.people AS x(i, b, n, s) WHERE s = 500",
        "SELECT count(*) FILTER (WHERE salary = 500) FROM shop.people",
        "SELECT salary = 500 FROM shop.people",
        "SELECT id FROM shop.people p WHERE EXISTS (SELECT 1 FROM shop.notes n WHERE p.salary = 500)",
        "SELECT n.id FROM shop.notes n, LATERAL (SELECT 1 WHERE n.salary = 200) l, shop.people p WHERE n.salary = 200",
        "SELECT id FROM shop.people ORDER BY salary = 500, id",
    ],
)
def test_conditions_elsewhere_compare_what_is_shown(proxy: Pgveil, sql: str) -> None:
    masked = "(SELECT id, NULL::int AS boss, NULL::text AS name, NULL::int AS salary FROM shop.people)"
    expected = sql.replace("TABLE shop.people", f"SELECT * FROM {masked} AS u")
    for end in (" p ", " AS x", ") AS s"):
        expected = expected.replace(f"shop.people{end}", f"{masked}{end}")
    expected = expected.replace("shop.people p", f"{masked} p").replace("shop.pay", f"{masked} AS pay")
    if "shop.people" in expected.replace(masked, ""):
        expected = expected.replace("FROM shop.people", f"FROM {masked} AS people")
    assert ask_and_tell(proxy, sql) == (ask(proxy, expected, "postgres"), [])


@pytest.mark.parametrize(
    ("value", "cast"),
    [(500, ""), (500, "::int"), ("500", ""), ("500", "::int"), (500, "::bigint"), (500, "::numeric")],
)
@pytest.mark.parametrize("binary", [False, True])
def test_parameters(proxy: Pgveil, value: object, cast: str, *, binary: bool) -> None:
    binary = binary and isinstance(value, int)  # text in binary would be declared as such
    with psycopg.connect(proxy.dsn("dora", "raw"), autocommit=True) as connection:
        sql = f"SELECT id, salary FROM shop.people WHERE salary = {'%b' if binary else '%s'}{cast}"
        assert connection.execute(sql.encode(), [value]).fetchall() == [(5, None)]


@pytest.mark.parametrize(
    ("declared", "condition", "value", "found"),
    [
        ("int", "salary = $1", "500", [(5,)]),
        ("numeric", "salary = $1", "500.0", [(5,)]),
        ("", "salary = $1", "500", [(5,)]),
        ("unknown", "salary = $1", "500", []),
        ("float8", "salary = $1", "500", []),
        ("int, int", "salary BETWEEN $1 AND $2", "500, 500", [(5,)]),
        ("int[]", "salary = ANY ($1)", "'{500}'", [(5,)]),
        ("text", "name = $1", "'name 5'", [(5,)]),
        ("text", "name LIKE $1", "'name 5'", []),
        ("date", "born = $1", "'2000-01-06'", [(5,)]),
    ],
)
def test_prepared_statements(
    proxy: Pgveil, declared: str, condition: str, value: str, found: list[tuple[object, ...]]
) -> None:
    with psycopg.connect(proxy.dsn("dora", "raw"), autocommit=True) as connection:
        types = f"({declared})" if declared else ""
        connection.execute(f"PREPARE p{types} AS SELECT id FROM shop.people WHERE {condition}".encode())
        assert connection.execute(f"EXECUTE p({value})".encode()).fetchall() == found


def test_the_same_text_with_parameters_of_other_types(proxy: Pgveil) -> None:
    """What is moved depends on the types, so no plan is used for others."""
    with psycopg.connect(proxy.dsn("dora", "raw"), autocommit=True) as connection:
        answers = [
            connection.execute("SELECT id FROM shop.people WHERE salary = %s", [value]).fetchall()
            for value in (500.0, 500, 500.0, 500)
        ]
    assert answers == [[], [(5,)], [], [(5,)]]


def test_hidden_rows_stay_hidden(proxy: Pgveil) -> None:
    """Row 5 is of the US."""
    assert ask(proxy, "SELECT id FROM shop.people WHERE salary IN (500, 600)", "eva") == [(6,)]
    assert ask(proxy, "SELECT count(*) FROM shop.people WHERE NOT salary > 500", "eva") == [(3,)]
    assert ask(proxy, "SELECT id FROM shop.people WHERE salary = 600 AND 1 / (id - 5) < 9", "eva") == [(6,)]
    assert ask(proxy, "SELECT id FROM shop.people WHERE name LIKE 'name 5' OR salary = 600", "eva") == [(6,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM shop.people WHERE salary = 500 AND 1 / (id - 5) > 0",
        "SELECT id FROM shop.people WHERE salary = 'five'",
        "SELECT id FROM shop.people WHERE salary = ANY ('{a}')",
        "SELECT id FROM shop.people WHERE name LIKE 'name\\'",
        "SELECT id FROM shop.people WHERE born > '2000-13-45'",
        "SELECT id FROM shop.people WHERE salary = 70000::smallint",
        "SELECT id FROM shop.people WHERE salary = 500 OR salary = 70000::smallint",
    ],
)
def test_errors_are_about_what_the_client_wrote(proxy: Pgveil, sql: str) -> None:
    """They are those that somebody gets who sees the values, or none."""
    try:
        ask(proxy, sql)
    except psycopg.Error as error:
        with pytest.raises(type(error)):
            ask(proxy, sql, "pia")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM shop.people WHERE salary > 0 AND (name || '')::int > 0",
        "SELECT id / (salary - 500) FROM shop.people WHERE salary = 500",
        "SELECT name::int FROM shop.people WHERE name LIKE 'name%'",
        "SELECT id FROM shop.people WHERE 1 / (salary - 500) > 0 OR salary = 500",
        "SELECT id FROM shop.people WHERE salary = 500 AND 1 / (salary - 500) > 0",
        "SELECT id FROM shop.people WHERE salary = 500 ORDER BY 1 / (salary - 500)",
    ],
)
def test_nothing_else_meets_the_values(proxy: Pgveil, sql: str) -> None:
    """They would make it fail."""
    with pytest.raises(psycopg.DataError):
        ask(proxy, sql, "pia")
    ask(proxy, sql)


def test_explain_shows_the_condition_once_and_no_numbers(proxy: Pgveil) -> None:
    plan = "\n".join(str(row[0]) for row in ask(proxy, "EXPLAIN SELECT id FROM shop.people WHERE salary = 500"))
    assert plan.count("salary = 500") == 2  # of the table and of its child
    assert "rows=" not in plan


def test_the_audit_names_all_of_them(proxy: Pgveil) -> None:
    sql = "SELECT salary FROM shop.people WHERE salary = 500 AND \"Full Name\" = 'Full 5'"
    assert ask_and_tell(proxy, sql) == ([(None,)], ["shop.people.Full Name", "shop.people.salary"])
