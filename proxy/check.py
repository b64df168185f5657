"""`pgveil check`: what is wrong with a policy, from its files, and from the database where one is at hand.

The files alone say most of it (`policy.load`). The catalogue adds what only it can: names that do not exist, tables
that no rule names, masks that do not fit a type. A connection adds whether PostgreSQL takes the policy's own SQL, and
what in the database goes around the veil.

Problems make it fail. Warnings are what a person has to look at, and fail with `--strict` only. It does not run the
policy's tests (`policytest`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from proxy.checks import bypass, cover, files, fit, names, probes
from proxy.checks.finding import Finding, Severity, in_order, problem
from proxy.errors import UpstreamUnavailableError
from proxy.feed import Feed
from proxy.policy.catalog import Catalog
from proxy.policy.load import PolicyProblems, load_shadow_with_places, load_with_places
from proxy.policy.load_draft import Draft
from proxy.policy.model import Policy
from proxy.settings import Settings


def check(directory: Path, catalog: Catalog | None = None, *, on_floor: bool = False) -> tuple[Finding, ...]:
    """Every problem and warning of the policies in `directory` (or a file), by file and line. Empty: none.

    With a catalogue, rules are held against it; only once the files themselves are right. The shadow is checked too.
    """
    try:
        policies = _policies(directory)
    except PolicyProblems as error:
        return tuple(problem(found) for found in error.problems)
    found = [f for policy, draft in policies for f in _of_policy(policy, draft, catalog, on_floor=on_floor)]
    return in_order((*found, *files.left_out_files(directory)))


def run_check(settings: Settings, *, as_json: bool = False, strict: bool = False) -> int:
    """The command: prints each finding on a line of its own. 0 where there is no problem, else 1.

    `strict`: 1 where there is a warning, too.

    Raises UpstreamUnavailableError where a database is named and cannot be reached.
    """
    found = check(settings.policies, on_floor=settings.upstream.login == "floor")
    dsn = settings.upstream.dsn
    if dsn is not None and not _problems(found):
        with reaching_upstream():
            found = asyncio.run(_check_on_server(settings, dsn.uri()))
    if as_json:
        sys.stdout.write(json.dumps([f.fields() for f in found], ensure_ascii=False, indent=2) + "\n")
    else:
        for finding in found:
            sys.stdout.write(f"{finding}\n")
        sys.stdout.write(_summary(settings, found))
    return int(bool(found) if strict else _problems(found) > 0)


def _problems(found: tuple[Finding, ...]) -> int:
    return sum(f.severity is Severity.PROBLEM for f in found)


def _summary(settings: Settings, found: tuple[Finding, ...]) -> str:
    count = _problems(found)
    warnings = len(found) - count
    said = f"{warnings} warning{'' if warnings == 1 else 's'}"
    if count:
        return f"{count} problem{'' if count == 1 else 's'}" + (f", {said}\n" if warnings else "\n")
    dsn = settings.upstream.dsn
    with_what = "not checked against a database (--upstream names one)" if dsn is None else f"checked against {dsn}"
    return f"{settings.policies}: no problems{f', {said}' if warnings else ''}; {with_what}\n"


@contextmanager
def reaching_upstream() -> Iterator[None]:
    """Failures of the connection, raised as UpstreamUnavailableError with no more than their kind."""
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UpstreamUnavailableError(
            f"the upstream cannot be reached: {type(error).__name__}", hint="check upstream.dsn"
        ) from None


def _policies(directory: Path) -> list[tuple[Policy, Draft]]:
    """The policy that is enforced, and the shadow. Raises PolicyProblems."""
    enforced = load_with_places(directory)
    shadow = load_shadow_with_places(directory)
    return [enforced] if shadow is None else [enforced, shadow]


def _of_policy(policy: Policy, draft: Draft, catalog: Catalog | None, *, on_floor: bool) -> Iterator[Finding]:
    now = datetime.now(UTC)
    yield from fit.expired(policy, now)
    yield from fit.unfit_predicates(policy, on_floor=on_floor)
    if catalog is None:
        yield from fit.doubtful_masks(policy)
        return
    policy = policy.at(now)
    yield from names.unknown_names(policy, draft, catalog)
    yield from fit.doubtful_masks_on(policy, catalog)
    yield from fit.unfit_conditions(policy, catalog)
    yield from fit.told_tokens(policy, catalog)
    yield from fit.unfit_paths(draft, catalog)
    yield from cover.tables_without_rules(policy, draft, catalog)
    yield from cover.columns_without_rules(policy, draft, catalog)
    yield from cover.refused_relations(policy, draft, catalog)
    yield from cover.closing_casts(policy, draft, catalog)
    if not on_floor:
        yield from cover.unreadable(draft, policy, catalog)


async def _check_on_server(settings: Settings, dsn: str) -> tuple[Finding, ...]:
    async with Feed(dsn) as feed:
        found = list(check(settings.policies, feed.catalog, on_floor=settings.upstream.login == "floor"))
        for policy, draft in _policies(settings.policies):
            found += [f async for f in bypass.bypasses(feed.fetch, policy, draft, feed.catalog)]
            found += await _probed(feed, policy.at(datetime.now(UTC)))
    return in_order(found)


async def _probed(feed: Feed, policy: Policy) -> list[Finding]:
    found = []
    for probe in (
        *probes.constants(policy, feed.catalog),
        *probes.masks(policy, feed.catalog),
        *probes.conditions(policy, feed.catalog),
    ):
        finding = probe if isinstance(probe, Finding) else await probes.refused_by_server(feed.fetch, probe)
        if finding is not None:
            found.append(finding)
    return found
