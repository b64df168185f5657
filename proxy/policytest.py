"""`pgveil test`: the tests that a policy brings along, run against a database.

Each is tried as its user's session would be (`trial`), in a transaction that is rolled back. A test that names rows
compares them in their order, value by value: a text with PostgreSQL's text, a number with a number, a boolean with a
boolean. A test that expects a refusal is decided on and never run; a database's error is no refusal.

It does not know where policies come from beyond their files, or what JUnit is (`junit`).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import asyncpg
from pydantic import SecretStr

from proxy import localpg
from proxy.check import reaching_upstream
from proxy.errors import ConfigError, UpstreamError, UpstreamUnavailableError
from proxy.feed import Feed
from proxy.junit import Case, junit_xml
from proxy.policy.load import load_policies, load_shadow
from proxy.policy.model import Policy
from proxy.policy.plan import Refusal
from proxy.policy.rules import PolicyTest
from proxy.settings import Settings, UpstreamDsn
from proxy.settings.nearest import nearest
from proxy.simulate import upstream_of, veil_of
from proxy.trial import Answer, Failure, Outcome, Trialist, attempt
from proxy.upstream import FloorLogin

NUMBERS = frozenset({20, 21, 23, 26, 700, 701, 790, 1700})
"""OIDs of the types whose texts are compared as numbers with a number of the test."""
BOOLEAN = 16
LONGEST_NAME = 80
SHOWN_ROWS = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command is asked for.

    `only`: names of tests, or parts of them. `schema`: a script that makes a database for them, in the embedded
    server, which is dropped again. `junit`: where to write the report.
    """

    only: str | None = None
    schema: Path | None = None
    junit: Path | None = None
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """`failure` is None where the test passed; it quotes the test's own values."""

    test: PolicyTest
    seconds: float
    failure: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return title(self.test)

    def lines(self) -> Iterator[str]:
        yield f"{'ok    ' if self.failure is None else 'FAILED'}  {self.test.where}  {self.name}"
        for line in (self.failure or "").splitlines():
            yield f"        {line}"


def title(test: PolicyTest) -> str:
    """The test's name; else who and what, on one line."""
    if test.name is not None:
        return test.name
    text = f"{test.user}: {' '.join(test.sql.split())}"
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 3] + "..."


def run_policy_tests(settings: Settings, asked: Asked | None = None) -> int:
    """The command: one line for each test, more where it failed, and a summary. 0 where all passed, else 1.

    Raises ConfigError where nothing is called as `only` says or a file cannot be used, PolicyProblems,
    UpstreamUnavailableError, UpstreamError.
    """
    asked = asked or Asked()
    policy = _policy(settings, shadow=asked.shadow)
    tests = chosen(policy.tests, asked.only)
    results: list[Result] = []
    if tests:
        with reaching_upstream(), _database(settings, asked.schema) as dsn:
            results = asyncio.run(run_tests(settings, policy, tests, dsn))
    for result in results:
        sys.stdout.write("".join(f"{line}\n" for line in result.lines()))
    failed = sum(result.failure is not None for result in results)
    count = len(results)
    sys.stdout.write(f"{count} test{'' if count == 1 else 's'}, {failed} failed\n")
    if asked.junit is not None:
        _write(asked.junit, junit_xml(_case(result) for result in results))
    return int(failed > 0)


def _policy(settings: Settings, *, shadow: bool) -> Policy:
    policy = load_shadow(settings.policies) if shadow else load_policies(settings.policies)
    if policy is None:
        raise ConfigError("there is no shadow policy", hint="Its files say `enforce: false`.")
    return policy


def chosen(tests: Sequence[PolicyTest], only: str | None) -> list[PolicyTest]:
    """All tests, or those whose title holds `only`. Raises ConfigError where none does."""
    if only is None:
        return list(tests)
    found = [test for test in tests if only in title(test)]
    if not found:
        names = [title(test) for test in tests]
        raise ConfigError(f"no test is called {only!r}{nearest(only, names) if names else ''}")
    return found


async def run_tests(settings: Settings, policy: Policy, tests: Iterable[PolicyTest], dsn: str) -> list[Result]:
    """Each test by itself, in their order. `dsn` is a URI.

    A test in which the connection is lost has failed, and the others are run. Raises UpstreamUnavailableError where
    not even the first one has a connection.
    """
    async with Feed(dsn) as feed:
        catalog = feed.catalog
    trialist = Trialist(veil_of(settings, policy, catalog), UpstreamDsn.parse(dsn), _floor(settings))
    results: list[Result] = []
    for test in tests:
        started = time.monotonic()
        try:
            results.append(await run_test(trialist, policy.at(datetime.now(UTC)), test))
        except (UpstreamError, OSError) as error:
            if isinstance(error, UpstreamUnavailableError) and not results:
                raise
            failure = error.message if isinstance(error, UpstreamError) else "the connection to the database was lost"
            results.append(Result(test, time.monotonic() - started, failure))
    return results


def _floor(settings: Settings) -> FloorLogin | None:
    if settings.upstream.login != "floor":
        return None
    found = os.environ.get(settings.upstream.floor_password_env)
    return FloorLogin(SecretStr(found) if found else None)


async def run_test(trialist: Trialist, policy: Policy, test: PolicyTest) -> Result:
    """One test. Raises UpstreamError where the database cannot be had."""
    started = time.monotonic()
    identity = policy.identify(test.user)
    if identity is None:
        failure: str | None = "the user is in no role: the login is refused"
    else:
        failure = judge(test, await attempt(trialist, identity, test.sql, run=not test.refused))
    return Result(test, time.monotonic() - started, failure)


# What came, against what was expected.


def judge(test: PolicyTest, outcome: Outcome) -> str | None:
    """What is wrong with the outcome, or None."""
    if isinstance(outcome, Failure):
        return outcome.message
    if isinstance(outcome, Refusal):
        if not test.refused:
            return f"expected: rows\ngot:      refused, {outcome.sqlstate}: {outcome.message}"
        if test.sqlstate not in (None, outcome.sqlstate):
            return f"expected: refused, {test.sqlstate}\ngot:      refused, {outcome.sqlstate}: {outcome.message}"
        return None
    if test.refused:
        return "expected: refused\ngot:      the veil lets it run"
    return _compared(test.rows or (), outcome)


def _compared(expected: Sequence[Sequence[object]], answer: Answer) -> str | None:
    same = len(expected) == len(answer.rows) and all(
        _same_row(want, got, answer.types) for want, got in zip(expected, answer.rows, strict=True)
    )
    if same:
        return None
    return "\n".join([*_shown("expected:", expected), *_shown("got:", answer.rows)])


def _shown(label: str, rows: Sequence[Sequence[object]]) -> Iterator[str]:
    lines = [f"[{', '.join(map(_written, row))}]" for row in rows[:SHOWN_ROWS]] or ["no rows"]
    if len(rows) > SHOWN_ROWS:
        lines.append(f"and {len(rows) - SHOWN_ROWS} more")
    for number, line in enumerate(lines):
        yield f"{label if number == 0 else '':<10}{line}"


def _written(value: object) -> str:
    """As YAML has it, so that it can be copied into the test."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if isinstance(value, str) else str(value)


def _same_row(expected: Sequence[object], got: Sequence[str | None], types: Sequence[int]) -> bool:
    if len(expected) != len(got) or len(got) != len(types):
        return False
    return all(same_value(want, text, oid) for want, text, oid in zip(expected, got, types, strict=True))


def same_value(expected: object, got: str | None, type_oid: int) -> bool:
    """Whether a value of a test is PostgreSQL's text `got`, of the type with that OID."""
    if expected is None or got is None:
        return expected is None and got is None
    if isinstance(expected, bool):
        return got == (("t" if expected else "f") if type_oid == BOOLEAN else str(expected).lower())
    if isinstance(expected, int | float) and type_oid in NUMBERS:
        try:
            return Decimal(got) == Decimal(str(expected))
        except InvalidOperation:  # 'Infinity' reads, and 0x10 does not
            return False
    return got == str(expected)


# A database for the while.


@contextmanager
def _database(settings: Settings, schema: Path | None) -> Iterator[str]:
    """The upstream's URI; with a script, that of a database which the script made."""
    if schema is None:
        with upstream_of(settings) as dsn:
            yield dsn
        return
    if settings.upstream.login == "floor":
        raise ConfigError("a database that --schema makes has no floor", hint="use upstream.login: service for it")
    script = _read(schema)
    server = localpg.start(localpg.default_data_dir())
    try:
        server.service_dsn()
        with scratch_database(server, script) as dsn:
            yield dsn
    finally:
        server.stop()


@contextmanager
def scratch_database(server: localpg.LocalPostgres, script: str) -> Iterator[str]:
    """A new database that the server's service account owns and has run `script` in; dropped at the end. Its URI.

    Raises ConfigError, with the server's words, where the script fails.
    """
    name = f"pgveil_test_{secrets.token_hex(6)}"
    asyncio.run(_execute(server.dsn, f'CREATE DATABASE "{name}" OWNER "{localpg.SERVICE}"'))
    try:
        dsn = server.dsn_for(name, localpg.SERVICE)
        try:
            asyncio.run(_execute(dsn, script))
        except asyncpg.PostgresError as error:
            place = f", at character {error.position}" if getattr(error, "position", None) else ""
            raise ConfigError(f"the schema's script fails: {error.sqlstate}: {error}{place}") from None
        yield dsn
    finally:
        asyncio.run(_execute(server.dsn, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _execute(dsn: str, script: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{path}: cannot be read: {reason}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def _case(result: Result) -> Case:
    where = result.test.where
    return Case(where.file, where.line, result.name, result.seconds, result.failure)
