"""`pgveil check`: what is wrong with a policy, from its files, and from the database where one is at hand.

The files alone say most of it (`policy.load`). The catalogue adds what only it can: names that do not exist, signatures
that no function has. A connection adds whether PostgreSQL takes a `constant` for a value of the column's type.

It does not run the policy's tests, and it does not know other databases that the same policy may be for: a pattern
whose schema and table are both globs may match nothing.
"""

from __future__ import annotations

import asyncio
import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from proxy.errors import UpstreamUnavailableError
from proxy.feed import Feed
from proxy.policy.catalog import SYSTEM_SCHEMAS, Catalog, Relation
from proxy.policy.load import PolicyProblems, Problem, load_with_places
from proxy.policy.load_rules import Claim, Draft
from proxy.policy.masks import Constant
from proxy.policy.model import Policy
from proxy.policy.patterns import column_matches, glob_matches, is_glob
from proxy.policy.rules import Identity, Where
from proxy.settings import Settings

NOBODY = Identity("", ())
"""In no role, so excepted from nothing: every mask holds for it."""


def check(directory: Path, catalog: Catalog | None = None) -> tuple[Problem, ...]:
    """Every problem of the policy in `directory` (or a file), by file and line. Empty: none.

    With a catalogue, names are held against it; only once the files themselves are right.
    """
    try:
        policy, draft = load_with_places(directory)
    except PolicyProblems as error:
        return error.problems
    return () if catalog is None else _sorted(_against(catalog, policy, draft))


def run_check(settings: Settings) -> int:
    """The command: prints each problem on a line of its own. 0 where there is none, else 1.

    Raises UpstreamUnavailableError where a database is named and cannot be reached.
    """
    problems = check(settings.policies)
    dsn = settings.upstream.dsn
    if not problems and dsn is not None:
        with reaching_upstream():
            problems = asyncio.run(_check_on_server(settings.policies, dsn.uri()))
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    if problems:
        count = len(problems)
        sys.stdout.write(f"{count} problem{'' if count == 1 else 's'}\n")
        return 1
    with_what = "not checked against a database (--upstream names one)" if dsn is None else f"checked against {dsn}"
    sys.stdout.write(f"{settings.policies}: no problems; {with_what}\n")
    return 0


@contextmanager
def reaching_upstream() -> Iterator[None]:
    """Failures of the connection, raised as UpstreamUnavailableError with no more than their kind."""
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UpstreamUnavailableError(
            f"the upstream cannot be reached: {type(error).__name__}", hint="check upstream.dsn"
        ) from None


async def _check_on_server(directory: Path, dsn: str) -> tuple[Problem, ...]:
    async with Feed(dsn) as feed:
        problems = check(directory, feed.catalog)
        policy, _ = load_with_places(directory)
        refused = [p for p in constants(policy, feed.catalog) if not await _accepts(feed, p)]
    return _sorted((*problems, *(Problem(p.where, p.message, p.hint) for p in refused)))


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda p: (p.where.file, p.where.line, p.where.column)))


# Against the catalogue.


def _against(catalog: Catalog, policy: Policy, draft: Draft) -> Iterator[Problem]:
    relations = catalog.user_relations()
    for _, claims in draft.tables:
        for claim in claims:
            yield from _missing_table(claim, relations)
    for _, claims in (*draft.tags, *draft.masks):
        for claim in claims:
            yield from _missing_column(claim, relations)
    signatures = {f.signature for f in catalog.functions}
    for signature in sorted(policy.trusted_functions):
        name = signature.partition("(")[0]
        builtin = name.startswith("pg_catalog.") and name.removeprefix("pg_catalog.") in catalog.builtin_functions
        if signature not in signatures and not builtin:
            yield Problem(draft.trusted[signature], f"no function {signature}", _near_signature(signature, signatures))


def _missing_table(claim: Claim, relations: list[Relation]) -> Iterator[Problem]:
    schema, table = claim.pattern.split(".")
    if schema in SYSTEM_SCHEMAS:
        yield Problem(claim.where, f"{claim.pattern} is the system's", "Its relations have built-in rules.")
    elif not (is_glob(schema) and is_glob(table)) and not any(glob_matches(claim.pattern, r.key) for r in relations):
        if is_glob(claim.pattern):
            yield Problem(claim.where, f"no table or view matches {claim.pattern}")
        else:
            near = _near(claim.pattern, (r.qualified for r in relations))
            yield Problem(claim.where, f"no such table or view: {claim.pattern}", near)


def _missing_column(claim: Claim, relations: list[Relation]) -> Iterator[Problem]:
    schema, table, column = claim.pattern.split(".")
    if schema in SYSTEM_SCHEMAS:
        yield Problem(claim.where, f"{claim.pattern} is the system's", "Its relations have built-in rules.")
        return
    if is_glob(schema) and is_glob(table):
        return
    found = [r for r in relations if glob_matches(f"{schema}.{table}", r.key)]
    if any(column_matches(claim.pattern, r.key, c.name) for r in found for c in r.columns):
        return
    if is_glob(claim.pattern):
        yield Problem(claim.where, f"no column matches {claim.pattern}")
    elif found:
        near = _near(column, (c.name for c in found[0].columns))
        yield Problem(claim.where, f"{schema}.{table} has no column {column}", near)
    else:
        near = _near(claim.pattern, (f"{r.qualified}.{c.name}" for r in relations for c in r.columns))
        yield Problem(claim.where, f"no such column: {claim.pattern}", near)


def _near(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]}?" if close else None


def _near_signature(signature: str, known: set[str]) -> str | None:
    """The overloads of that name, or the nearest signature."""
    overloads = sorted(s for s in known if s.partition("(")[0] == signature.partition("(")[0])
    return f"There is: {', '.join(overloads)}." if overloads else _near(signature, known)


# Constants, with the server's help.


@dataclass(frozen=True, slots=True)
class Probe:
    """A statement that fails where the server does not take a constant for a value of a column's type."""

    sql: str
    where: Where
    message: str
    hint: str


def constants(policy: Policy, catalog: Catalog) -> tuple[Probe, ...]:
    """One probe for each `constant` rule and type of column that it masks."""
    found: dict[tuple[Where, str], Probe] = {}
    for relation in catalog.user_relations():
        for column in relation.columns:
            rule = policy.mask_for(NOBODY, relation.key, column.name)
            if rule is None or not isinstance(rule.mask, Constant):
                continue
            sql = f"SELECT ({rule.mask.expression('NULL', column.type_name)}) IS NULL"
            message = f"the constant is no value of {column.type_name}, the type of {relation.qualified}.{column.name}"
            hint = "Every statement that reads the column would fail."
            found.setdefault((rule.where, column.type_name), Probe(sql, rule.where, message, hint))
    return tuple(found.values())


async def _accepts(feed: Feed, probe: Probe) -> bool:
    try:
        await feed.fetch(probe.sql)
    except asyncpg.PostgresError:
        return False
    return True
