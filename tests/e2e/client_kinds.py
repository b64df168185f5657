"""One face for every client that the tests run: psql and the drivers, each in its own ways of sending a statement.

Statements are written with `$1`, `$2` for parameters; each kind writes them as its driver wants them. An answer is
what the client made of it: rows as that client shows values, the column names, and the SQLSTATE of an error.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import asyncpg
import pg8000.native  # type: ignore[import-untyped]
import psycopg
import psycopg2
import psycopg2.extensions

from proxy import localpg

PARAMETER = re.compile(r"\$\d+")
PATIENCE = 60
"""Seconds after which a client that hangs fails its test."""


@dataclass(frozen=True)
class Place:
    """Where to connect: a host, or the directory of a unix socket."""

    host: str
    port: int
    user: str
    database: str

    @property
    def dsn(self) -> str:
        return f"host={self.host} port={self.port} user={self.user} dbname={self.database} connect_timeout={PATIENCE}"


@dataclass(frozen=True)
class Answer:
    """What the client got. `status` is the command tag where the client shows it."""

    rows: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sqlstate: str | None = None


class Client(Protocol):
    """A connection of some client."""

    def run(self, sql: str, *values: object) -> Answer: ...

    def close(self) -> None: ...


class Psycopg:
    """psycopg 3. `binary` and `cursor` choose how values travel: parameters at the server, or put into the text."""

    def __init__(self, place: Place, *, binary: bool = False, client_side: bool = False) -> None:
        self.notices: list[str] = []
        factory = psycopg.ClientCursor if client_side else psycopg.Cursor
        self.connection = psycopg.connect(place.dsn, autocommit=True, cursor_factory=factory)
        self.connection.add_notice_handler(lambda d: self.notices.append(d.message_primary or ""))
        self._binary = binary

    def run(self, sql: str, *values: object) -> Answer:
        text, arguments = (PARAMETER.sub("%s", sql), values) if values else (sql, None)
        try:
            cursor = self.connection.execute(text.encode(), arguments, binary=self._binary)
        except psycopg.Error as error:
            return Answer(sqlstate=error.sqlstate)
        if cursor.description is None:
            return Answer()
        return Answer(cursor.fetchall(), [column.name for column in cursor.description])

    def close(self) -> None:
        self.connection.close()


class Psycopg2:
    """psycopg2: the simple protocol, parameters in the text."""

    def __init__(self, place: Place) -> None:
        self.connection = psycopg2.connect(place.dsn)
        self.connection.autocommit = True

    @property
    def notices(self) -> list[str]:
        return list(self.connection.notices)

    def run(self, sql: str, *values: object) -> Answer:
        text, arguments = (PARAMETER.sub("%s", sql), values) if values else (sql, None)
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(text, arguments)
            except psycopg2.Error as error:
                return Answer(sqlstate=error.pgcode)
            if cursor.description is None:
                return Answer()
            rows = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cursor.fetchall()]
            return Answer(rows, [column.name for column in cursor.description])

    def close(self) -> None:
        self.connection.close()


class Pg8000:
    """pg8000: the simple protocol, or the extended one where there are parameters; values as text."""

    def __init__(self, place: Place) -> None:
        there: dict[str, Any] = {"host": place.host, "port": place.port}
        if place.host.startswith("/"):
            there = {"unix_sock": f"{place.host}/.s.PGSQL.{place.port}"}
        self.connection = pg8000.native.Connection(place.user, database=place.database, timeout=PATIENCE, **there)

    @property
    def notices(self) -> list[str]:
        return [notice[b"M"].decode() for notice in self.connection.notices]

    def run(self, sql: str, *values: object) -> Answer:
        named = {f"p{i}": value for i, value in enumerate(values, 1)}
        try:
            rows = self.connection.run(PARAMETER.sub(lambda m: f":p{m[0][1:]}", sql), **named)
        except pg8000.native.DatabaseError as error:
            return Answer(sqlstate=error.args[0]["C"])
        return Answer([tuple(row) for row in rows or []], [c["name"] for c in self.connection.columns or []])

    def close(self) -> None:
        self.connection.close()


class Asyncpg:
    """asyncpg: every statement prepared and described before it runs, values in binary."""

    def __init__(self, place: Place) -> None:
        self.notices: list[str] = []
        self._runner = asyncio.Runner()
        self.connection: Any = self.wait(
            asyncpg.connect(
                host=place.host, port=place.port, user=place.user, database=place.database, timeout=PATIENCE
            )
        )
        self.connection.add_log_listener(lambda _, message: self.notices.append(message.message))

    def wait(self, work: Any) -> Any:
        async def within() -> Any:
            async with asyncio.timeout(PATIENCE):
                return await work

        return self._runner.run(within())

    def run(self, sql: str, *values: object) -> Answer:
        return Answer(*self.wait(self._fetch(sql, values)))

    async def _fetch(self, sql: str, values: Sequence[object]) -> tuple[list[Any], list[str], str | None]:
        try:
            statement = await self.connection.prepare(sql)
            rows = await statement.fetch(*values)
        except asyncpg.PostgresError as error:
            return [], [], str(error.sqlstate)
        return [tuple(row) for row in rows], [a.name for a in statement.get_attributes()], None

    def close(self) -> None:
        with suppress(Exception):
            self.wait(self.connection.close())
        self._runner.close()


class Psql:
    """psql, a process per statement; parameters by its \\bind."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.notices: list[str] = []

    def run(self, sql: str, *values: object) -> Answer:
        if not values:
            return self._answer(self.script(f"\\set VERBOSITY verbose\n{sql};\n"))
        bound = " ".join("'" + str(value).replace("'", "''") + "'" for value in values)
        return self._answer(self.script(f"\\set VERBOSITY verbose\n{sql} \\bind {bound} \\g\n"))

    def script(self, text: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Runs psql with `text` as its input."""
        command = [str(localpg.binaries() / "psql"), "-X", "-A", "-q", "-F", "\x1f", *options, "-d", self._place.dsn]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def command(self, text: str) -> subprocess.CompletedProcess[str]:
        """`psql -c`: sent as it is, comments too."""
        return self.script("", "-c", text)

    def _answer(self, done: subprocess.CompletedProcess[str]) -> Answer:
        self.notices = re.findall(r"^NOTICE: +(?:\w{5}: )?(.*)", done.stderr, re.MULTILINE)
        failed = re.search(r"^(?:ERROR|FATAL): +(\w{5}):", done.stderr, re.MULTILINE)
        if failed:
            return Answer(sqlstate=failed[1])
        lines = [line for line in done.stdout.splitlines() if not re.fullmatch(r"\(\d+ rows?\)", line)]
        names, *rows = [line.split("\x1f") for line in lines] or [[]]
        return Answer([tuple(row) for row in rows], names)

    def close(self) -> None:
        """Nothing is open between statements."""


KINDS: dict[str, Callable[[Place], Any]] = {
    "psql": Psql,
    "psycopg-text": Psycopg,
    "psycopg-binary": lambda place: Psycopg(place, binary=True),
    "psycopg-client-side": lambda place: Psycopg(place, client_side=True),
    "psycopg2": Psycopg2,
    "pg8000": Pg8000,
    "asyncpg": Asyncpg,
}


@dataclass
class Clients:
    """Connections by kind and place, opened at first use and closed together."""

    opened: dict[tuple[str, Place], Any] = field(default_factory=dict)

    def of(self, kind: str, place: Place) -> Any:
        found = self.opened.get((kind, place))
        if found is None:
            found = self.opened[kind, place] = KINDS[kind](place)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self.opened.values():
            client.close()
