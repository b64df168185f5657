"""What users of psqlODBC do, by Debian's pyodbc. Arguments: host, port, user, database, then the parts to play."""

# ruff: noqa: T201 (printing is what it is for)
import datetime as dt
import decimal
import os
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyodbc  # type: ignore[import-not-found]

HOST, PORT, USER, DATABASE, *PARTS = sys.argv[1:]
DRIVER = next(Path("/usr/lib").glob("*/odbc/psqlodbcw.so"))
CORE = any(part.startswith("core") for part in PARTS)
SSLMODE = os.environ.get("PGSSLMODE", "disable")
STAMP = dt.datetime(2024, 2, 29, 12, 34, 56, 789000)  # noqa: DTZ001 (a timestamp without time zone)
pyodbc.pooling = False


def say(*what: object) -> None:
    print(" | ".join(str(part) for part in what).replace("\n", "\\n"))


def connect(**options: str) -> Any:
    given = {"Driver": DRIVER, "Server": HOST, "Port": PORT, "Uid": USER, "Database": DATABASE, "SSLmode": SSLMODE}
    given["Pwd"] = os.environ.get("PGPASSWORD", "")
    text = ";".join(f"{key}={value}" for key, value in {**given, **options}.items())
    return pyodbc.connect(text, autocommit=True)


def failed(label: str, error: Any) -> None:
    # psqlODBC puts the whole message of the server into one text, for a masked role without what may hold a value.
    state, text = error.args[0], str(error.args[1])
    say(label, "error", state, text.split("\n", maxsplit=1)[0] if CORE else text)


def attempt(label: str, work: Callable[[], object]) -> None:
    try:
        work()
    except pyodbc.Error as error:
        failed(label, error)


def show(label: str, cursor: Any) -> None:
    while True:
        if cursor.description is None:
            say(label, "count", cursor.rowcount)
        else:
            # Whether a column may be NULL is known of a table's, not of a view's.
            say(label, [(d[0], d[1].__name__, *(d[2:6] if CORE else d[2:])) for d in cursor.description])
            for row in cursor.fetchall():
                say(label, tuple(row))
        if not cursor.nextset():
            return


def query(connection: Any, sql: str, *values: object) -> None:
    def work() -> None:
        cursor = connection.cursor()
        cursor.execute(sql, *values)
        show(sql, cursor)
        cursor.close()

    attempt(sql, work)


STATEMENTS = (
    "SELECT * FROM hr.emp ORDER BY id",
    "SELECT * FROM shop.orders ORDER BY id LIMIT 7",
    "SELECT id, b, i2, i4, i8, f4, f8, n, t, v, c, ts, by, u, jb, ia, m FROM clients.kinds WHERE id < 4 ORDER BY 1",
    "SELECT to_jsonb(e) AS whole FROM hr.emp e ORDER BY id LIMIT 3",
    "SELECT dept, count(*), sum(salary), max(hired) FROM hr.emp GROUP BY dept ORDER BY dept",
    "SELECT 1 AS one; SELECT ssn FROM hr.emp WHERE id = 2; SELECT 3",
    "SELECT ssn::int FROM hr.emp",
    "SELECT 1 / 0",
    "SELECT {fn UCASE('x')}, {d '2024-02-29'}",
)
POSITIONED = ("SELECT nothing FROM hr.emp", "SELEC 1")
"""Their errors have a position, which varies where psqlODBC puts the name of a cursor before them: a memory address."""


def core(connection: Any) -> None:
    """What a masked role may do as well."""
    for sql in STATEMENTS + (() if "core-declare" in PARTS else POSITIONED):
        query(connection, sql)
    cursor = connection.cursor()
    for number in (1, 7, None, 3):
        cursor.execute("SELECT id, ssn, email, salary FROM hr.emp WHERE id = ?", number)
        show("prepared", cursor)
    query(
        connection,
        "SELECT id, ssn FROM hr.emp WHERE dept = ? AND hired > ? ORDER BY id",
        "eng",
        dt.date(2021, 1, 1),
    )
    cursor.execute("SELECT id, email FROM shop.many WHERE id <= 1000 ORDER BY id")
    say("fetched", cursor.fetchone(), len(cursor.fetchmany(500)), len(cursor.fetchall()))
    connection.autocommit = False
    query(connection, "SELECT 1 AS one")
    query(connection, "SAVEPOINT here")
    query(connection, "SELECT 1 / 0")
    query(connection, "SELECT ssn FROM hr.emp WHERE id = 1")
    connection.rollback()
    query(connection, "SELECT ssn FROM hr.emp WHERE id = 1")
    connection.commit()
    connection.autocommit = True


def values(connection: Any) -> None:
    sent = (
        ("int", 42), ("int8", 9007199254740993), ("float8", 1.5), ("numeric", decimal.Decimal("1.10")), ("int", "no"),
        ("boolean", True), ("text", "x'y\"z\\☃"), ("bytea", b"\0\1\xff"), ("date", dt.date(2024, 2, 29)),
        ("jsonb", '{"a": [1, null]}'), ("timestamp", STAMP), ("time", dt.time(1, 2, 3)), ("uuid", uuid.UUID(int=5)),
        ("text", None), ("text", ""), ("clients.mood", "glad"), ("int[]", "{1,2}"),
    )  # fmt: skip
    for kind, value in sent:
        query(connection, f"SELECT ?::{kind} AS back", value)
    big = "é" * 1_000_000
    row = connection.cursor().execute("SELECT ?::text, length(?::text)", big, big).fetchone()
    say("big", row[0] == big, row[1])
    query(connection, "SELECT clients.say('you')")
    query(connection, "CALL clients.twice(21)")


def writes(connection: Any) -> None:
    query(connection, "TRUNCATE clients.target RESTART IDENTITY CASCADE")
    insert = "INSERT INTO clients.target (name, amount, data) VALUES (?, ?, ?)"
    query(connection, f"{insert} RETURNING id, name", "a", decimal.Decimal("1.50"), b"\0data")
    for wrong in (("a", 1, None), ("c", -1, None), (None, 1, None)):
        query(connection, insert, *wrong)
    query(connection, "INSERT INTO clients.child VALUES (99, 1)")
    cursor = connection.cursor()
    cursor.executemany(insert, [(f"many {i}", i, None) for i in range(20)])
    cursor.fast_executemany = True
    cursor.executemany(insert, [(f"fast {i}", i, b"x") for i in range(50)])
    query(connection, "UPDATE clients.target SET amount = 5 WHERE name LIKE 'fast%'")
    connection.autocommit = False
    query(connection, "DELETE FROM clients.target")
    connection.rollback()
    connection.autocommit = True
    query(connection, "SELECT id, name, amount, data, tags FROM clients.target ORDER BY id")
    query(connection, "TRUNCATE clients.target RESTART IDENTITY CASCADE")


def events(connection: Any) -> None:
    cursor = connection.cursor()
    sleeper = threading.Thread(target=attempt, args=("cancelled", lambda: cursor.execute("SELECT pg_sleep(600)")))
    sleeper.start()
    other = connect()
    query(other, "CALL clients.wait_for_sleeper()")
    other.close()
    cursor.cancel()
    sleeper.join()
    query(connection, "SET statement_timeout = '50ms'")
    query(connection, "SELECT pg_sleep(600)")
    query(connection, "RESET statement_timeout")


def metadata(connection: Any) -> None:
    say("product", connection.getinfo(pyodbc.SQL_DBMS_NAME), connection.getinfo(pyodbc.SQL_DBMS_VER))
    for schema in ("hr", "shop", "clients", "clinic"):
        show("tables", connection.cursor().tables(schema=schema))
        show("columns", connection.cursor().columns(schema=schema, table="%"))
        show("procedures", connection.cursor().procedures(schema=schema))
        show("procedure columns", connection.cursor().procedureColumns(schema=schema))
    for schema, table in (("hr", "emp"), ("shop", "orders"), ("clients", "target"), ("clients", "child")):
        show("primary keys", connection.cursor().primaryKeys(table, schema=schema))
        show("foreign keys", connection.cursor().foreignKeys(foreignTable=table, foreignSchema=schema))
        show("exported keys", connection.cursor().foreignKeys(table=table, schema=schema))
        show("statistics", connection.cursor().statistics(table, schema=schema, unique=False))
        show("row id", connection.cursor().rowIdColumns(table, schema=schema))
        show("row version", connection.cursor().rowVerColumns(table, schema=schema))
    show("type info", connection.cursor().getTypeInfo())


OPTIONS = {
    "core-server": {"UseServerSidePrepare": "1", "UseDeclareFetch": "0"},
    "core-client": {"UseServerSidePrepare": "0", "Protocol": "7.4-0"},
    "core-declare": {"UseDeclareFetch": "1", "Fetch": "5", "Protocol": "7.4-2"},
}
PLAY = {"values": values, "writes": writes, "events": events, "metadata": metadata}

for part in PARTS:
    opened = connect(**OPTIONS.get(part, {}))
    PLAY.get(part, core)(opened)
    opened.close()
print("end")
