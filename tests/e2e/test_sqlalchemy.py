"""SQLAlchemy through the proxy: reflection of everything, its ways to write, and each of its PostgreSQL drivers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from client_kinds import Place
from client_stage import Stage, assert_masked, assert_same, play
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.ext.asyncio import create_async_engine

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type 'clients.pair'")
"""SQLAlchemy knows no composite types."""

SCHEMAS = ("hr", "shop", "clients", "clinic")
DRIVERS = ("psycopg", "psycopg2", "pg8000")


def url(place: Place, driver: str) -> sa.URL:
    return sa.URL.create(f"postgresql+{driver}", place.user, "none", place.host, place.port, place.database)


def played(driver: str, work: Callable[[sa.Engine], list[str]]) -> Callable[[Place], list[str]]:
    def program(place: Place) -> list[str]:
        engine = sa.create_engine(url(place, driver))
        try:
            return work(engine)
        finally:
            engine.dispose()

    return program


def reflection(engine: sa.Engine) -> list[str]:
    """Everything that an inspector tells, of every table, one by one and many at once."""
    inspector = sa.inspect(engine)
    lines = [repr(inspector.get_schema_names()), repr(inspector.default_schema_name)]
    for schema in SCHEMAS:
        lines.append(f"{schema} {sorted(inspector.get_table_names(schema))} {inspector.get_view_names(schema)}")
        lines.append(repr(inspector.get_sequence_names(schema)))
        lines.append(repr(inspector.get_enums(schema)))  # type: ignore[attr-defined]
        for name in sorted([*inspector.get_table_names(schema), *inspector.get_view_names(schema)]):
            lines += _reflected(inspector, name, schema)
        lines += sorted(map(repr, inspector.get_multi_columns(schema=schema, kind=ObjectKind.ANY).items()))
        lines += sorted(map(repr, inspector.get_multi_foreign_keys(schema=schema).items()))
        lines += sorted(map(repr, inspector.get_multi_indexes(schema=schema).items()))
        metadata = sa.MetaData()
        metadata.reflect(engine, schema=schema, views=True)
        lines += [
            str(sa.schema.CreateTable(table).compile(engine))
            for table in metadata.sorted_tables
            if not any(isinstance(column.type, sa.types.NullType) for column in table.columns)
        ]
    # Types without a name of their own say where in memory they are.
    return [re.sub(r" at 0x[0-9a-f]+", "", line) for line in lines]


def _reflected(inspector: sa.Inspector, name: str, schema: str) -> list[str]:
    return [
        f"{schema}.{name} {told!r}"
        for told in (
            inspector.get_columns(name, schema),
            inspector.get_pk_constraint(name, schema),
            inspector.get_foreign_keys(name, schema),
            inspector.get_indexes(name, schema),
            inspector.get_unique_constraints(name, schema),
            inspector.get_check_constraints(name, schema),
            inspector.get_table_comment(name, schema),
        )
    ]


def queries(engine: sa.Engine) -> list[str]:
    """What a masked role may do as well."""
    metadata = sa.MetaData()
    columns = [sa.Column(name, kind) for name, kind in (("name", sa.Text), ("dept", sa.Text), ("ssn", sa.Text))]
    people = sa.Table("emp", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns, schema="hr")
    meta = sa.Table(
        "kinds",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        *(
            sa.Column("jb", JSONB),
            sa.Column("ia", ARRAY(sa.Integer)),
            sa.Column("n", sa.Numeric),
            sa.Column("tz", sa.DateTime),
        ),
        schema="clients",
    )
    lines = []
    with engine.connect() as connection:
        for statement in (
            sa.select(people).order_by(people.c.id),
            sa.select(people.c.id, people.c.ssn).where(people.c.id.in_([1, 2, 99])).order_by(people.c.id),
            sa.select(sa.func.count(), people.c.dept).group_by(people.c.dept).order_by(people.c.dept),
            sa.select(people.c.name).where(people.c.ssn.like("%2")).limit(3).offset(1).order_by(people.c.id),
            sa.select(meta).where(meta.c.id < 4).order_by(meta.c.id),
            sa.select(people.c.id).where(people.c.id == sa.bindparam("id", 3)),
        ):
            lines += [repr(tuple(row)) for row in connection.execute(statement)]
        with connection.begin_nested() as savepoint:
            lines += _failing(connection, "SELECT 1 / 0")
            savepoint.rollback()
        lines.append(repr(connection.scalar(sa.select(people.c.ssn).where(people.c.id == 5))))
        connection.rollback()
        streamed = connection.execution_options(yield_per=4).execute(sa.select(people.c.id).order_by(people.c.id))
        lines += [repr([tuple(row) for row in part]) for part in streamed.partitions()]
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        lines.append(repr(connection.scalar(sa.text("SHOW transaction_isolation"))))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        lines += _failing(connection, "SELECT nothing FROM hr.emp")
        lines.append(repr(connection.scalar(sa.text("SELECT 1"))))
    return lines


def _failing(connection: sa.Connection, text: str) -> list[str]:
    try:
        connection.execute(sa.text(text))
    except sa.exc.DBAPIError as error:
        return [type(error).__name__]
    return ["did not fail"]


def writes(engine: sa.Engine) -> list[str]:
    """Inserts of many rows with their keys, upserts, updates by several values, and a transaction that fails."""
    target = sa.Table("target", sa.MetaData(), schema="clients", autoload_with=engine)
    with engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE clients.target RESTART IDENTITY CASCADE"))
    with engine.begin() as connection:
        rows = [{"name": f"row {i}", "amount": i, "tags": ["x", None], "data": b"\0\xff"} for i in range(1500)]
        keys = connection.execute(sa.insert(target).returning(target.c.id, sort_by_parameter_order=True), rows)
        lines = [repr(sum(row.id for row in keys))]
        upsert = insert(target).values(name="row 1", amount=7)
        upsert = upsert.on_conflict_do_update(index_elements=["name"], set_={"amount": upsert.excluded.amount})
        lines.append(repr(connection.execute(upsert.returning(target)).one()))
        values = [{"wanted": f"row {i}", "amount": i * 2} for i in range(3)]
        connection.execute(target.update().where(target.c.name == sa.bindparam("wanted")), values)
    try:
        with engine.begin() as connection:
            connection.execute(sa.insert(target), [{"name": "late"}, {"name": "row 1"}])
    except sa.exc.IntegrityError as error:
        lines.append(type(error).__name__)
    with engine.begin() as connection:
        chosen = sa.select(target).where(target.c.id < 5).order_by(target.c.id)
        lines += [repr(tuple(row)) for row in connection.execute(chosen)]
        lines.append(repr(connection.scalar(sa.select(sa.func.count()).select_from(target))))
        connection.execute(sa.text("TRUNCATE clients.target RESTART IDENTITY CASCADE"))
    return lines


@pytest.mark.parametrize("work", [reflection, queries, writes])
@pytest.mark.parametrize("driver", DRIVERS)
def test_sqlalchemy_cannot_tell_them_apart(driver: str, work: Callable[[sa.Engine], list[str]], stage: Stage) -> None:
    direct, proxied = stage.play(played(driver, work))
    assert_same(direct, proxied)
    assert len(direct.lines) > 5


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_masked_role_reflects_the_tables(driver: str, stage: Stage) -> None:
    program = played(driver, reflection)
    direct = play(program, stage.direct())
    assert_masked(direct, play(program, stage.through("analyst")))
    assert any("CREATE TABLE hr.emp" in line for line in direct.lines)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_masked_role_queries_the_masked_views(driver: str, stage: Stage) -> None:
    assert_masked(*stage.play_masked(played(driver, queries)))


def asynchronous(place: Place) -> list[str]:
    async def work() -> list[str]:
        engine = create_async_engine(url(place, "asyncpg"))
        try:
            async with engine.connect() as connection:
                found: Any = await connection.execute(
                    sa.text("SELECT id, ssn, email FROM hr.emp WHERE id < :n"), {"n": 5}
                )
                lines = [repr(tuple(row)) for row in found]
                names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names("clients"))
                return [*lines, repr(sorted(names))]
        finally:
            await engine.dispose()

    return asyncio.run(work())


def test_the_asynchronous_engine(stage: Stage) -> None:
    assert_same(*stage.play(asynchronous))
    assert_masked(*stage.play_masked(asynchronous))
