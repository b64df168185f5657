"""The tour's clients: three that people use, each over its own socket to the proxy.

pg8000 and psql read and write the protocol by themselves; asyncpg describes a question before it runs it. psql is
the embedded PostgreSQL's, so the tour needs none on the machine.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pg8000.native  # type: ignore[import-untyped]

from proxy.demo.child import DemoError
from proxy.settings.addresses import HostPort

TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Rows:
    """A result, its values as text; NULL is `NULL`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Printed:
    """What psql left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Answered:
    """Rows, and the texts of the notices that came before them."""

    result: Rows
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clients:
    """Connects to the proxy at `address`, to `database`."""

    address: HostPort
    database: str
    psql_path: Path

    def pg8000(self, user: str, sql: str) -> Rows:
        """A simple query. Raises DemoError, as the other clients do."""
        host, port = self.address.host, self.address.port
        try:
            connection = pg8000.native.Connection(
                user, host=host, port=port, database=self.database, timeout=TIMEOUT_SECONDS
            )
            try:
                rows = connection.run(sql) or []
                columns = [str(column["name"]) for column in connection.columns or []]
            finally:
                connection.close()
        except pg8000.native.Error as error:
            raise DemoError("pg8000 got an error", detail=str(error)) from error
        return _as_text(columns, rows)

    def psql(self, user: str, command: str) -> Printed:
        """`psql -c COMMAND`, without anybody's .psqlrc and PG... variables."""
        arguments = ["-X", "-P", "pager=off", "-h", self.address.host, "-p", str(self.address.port)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        try:
            done = subprocess.run(  # noqa: S603
                [self.psql_path, *arguments, "-U", user, "-d", self.database, "-c", command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=environment | {"PGCLIENTENCODING": "UTF8"},
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"psql had no answer within {TIMEOUT_SECONDS} s") from error
        return Printed(done.returncode, done.stdout, done.stderr)

    async def asyncpg(self, user: str, sql: str) -> Answered:
        """An extended query, described before it runs; with the notices that came."""
        try:
            connection = await asyncpg.connect(
                user=user,
                host=self.address.host,
                port=self.address.port,
                database=self.database,
                timeout=TIMEOUT_SECONDS,
                command_timeout=TIMEOUT_SECONDS,
            )
            try:
                return await _prepared(connection, sql)
            finally:
                await connection.close()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            hint = getattr(error, "hint", None)
            raise DemoError("asyncpg got an error", detail=str(error), hint=hint) from error


async def _prepared(connection: asyncpg.Connection, sql: str) -> Answered:
    notices: list[str] = []
    connection.add_log_listener(lambda _, message: notices.append(str(message.message)))
    statement = await connection.prepare(sql)
    found = await statement.fetch()
    columns = [attribute.name for attribute in statement.get_attributes()]
    return Answered(_as_text(columns, [list(row) for row in found]), tuple(notices))


def _as_text(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Rows:
    return Rows(tuple(columns), tuple(tuple("NULL" if v is None else str(v) for v in row) for row in rows))
