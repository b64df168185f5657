"""`pgveil simulate`: what the veil makes of a statement for a user, without running it.

It shows the decision, the SQL that would run, each mask with the rule that asks for it and why that rule, row filters
and limits; or the refusal as the client would get it. The decision is the same code's that serves, so it is the same
decision.

It does not answer questions (`ask`), and says so. It knows the search_path that the upstream gives a new session, or
the one that it is given; not the session's temporary tables.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

from proxy import driver, localpg
from proxy.check import reaching_upstream
from proxy.errors import AuthorizationError, CarrierError, ConfigError
from proxy.feed import Feed
from proxy.nl.carriers import find_question
from proxy.policy.catalog import Catalog
from proxy.policy.decide import Veil
from proxy.policy.family import family
from proxy.policy.load import load_policies
from proxy.policy.model import Policy
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import Identity, Limits, Where
from proxy.searchpath import parse_path
from proxy.settings import Settings
from proxy.veils import SHORT


@dataclass(frozen=True, slots=True)
class AppliedFilter:
    """A row filter that holds in a relation which the statement reads, by itself or through a view."""

    relation: str
    condition: str
    where: Where


@dataclass(frozen=True, slots=True)
class Simulation:
    """A decision for people (`text`) and for programs (`json`). `policy` is the version that it was made by."""

    identity: Identity
    statement: str = field(repr=False)
    decision: Plan | Refusal
    filters: tuple[AppliedFilter, ...] = ()
    policy: str = ""

    @property
    def outcome(self) -> str:
        """bypass, unchanged, rewritten or refused."""
        if isinstance(self.decision, Refusal):
            return "refused"
        if self.identity.bypass:
            return "bypass"
        return "rewritten" if self.decision.rewritten else "unchanged"

    def text(self) -> str:
        """Lines for a terminal, without the last line's end."""
        head = [f"user:      {self.identity.user}  (roles: {', '.join(self.identity.roles)})"]
        if self.policy:
            head.append(f"policy:    {self.policy[:SHORT]}")
        if isinstance(self.decision, Refusal):
            return "\n".join([*head, "decision:  refused", "", *_refusal_lines(self.decision, self.statement)])
        lines = [*head, f"decision:  {_EXPLAINED[self.outcome]}", *self._details(self.decision)]
        return "\n".join([*lines, "", self.decision.sql])

    def json(self) -> str:
        """One JSON object: user, roles, policy, decision, and either error, or sql, statements, relations, masks,
        filters, limits and raw_predicates."""
        answer: dict[str, object] = {
            "user": self.identity.user,
            "roles": list(self.identity.roles),
            "policy": self.policy,
            "decision": self.outcome,
        }
        if isinstance(self.decision, Refusal):
            names = ("sqlstate", "message", "detail", "hint", "position")
            answer["error"] = {name: getattr(self.decision, name) for name in names}
        else:
            answer |= self._fields(self.decision)
        return json.dumps(answer, ensure_ascii=False)

    def _fields(self, plan: Plan) -> dict[str, object]:
        return {
            "sql": plan.sql,
            "statements": [s.kind.value if s.kind else None for s in plan.statements],
            "relations": sorted(plan.touched),
            "masks": [
                {"relation": m.relation, "column": m.column, "mask": m.mask, "rule": str(m.where), "why": m.why}
                for m in plan.masks
            ],
            "filters": [{"relation": f.relation, "condition": f.condition, "rule": str(f.where)} for f in self.filters],
            "limits": _limits(plan),
            "raw_predicates": list(plan.raw_predicates),
        }

    def _details(self, plan: Plan) -> Iterator[str]:
        kinds = [s.kind.value for s in plan.statements if s.kind]
        yield from _labelled("kind:", [[", ".join(kinds)]] if kinds else [])
        masks = [[f"{m.relation}.{m.column}", m.mask, str(m.where), m.why] for m in plan.masks]
        yield from _labelled("masks:", masks)
        yield from _labelled("rows:", [[f.relation, " ".join(f.condition.split()), str(f.where)] for f in self.filters])
        yield from _labelled("limits:", [[name, f"{value:g}"] for name, value in _limits(plan).items()])
        yield from _labelled("raw:", [[name, "predicates compare its own values"] for name in plan.raw_predicates])


def _limits(plan: Plan) -> dict[str, float]:
    """Those that are set, by the policy's names for them."""
    found = {} if plan.limits is None else {f.name: getattr(plan.limits, f.name) for f in fields(Limits)}
    return {name: value for name, value in found.items() if value is not None}


def _labelled(label: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows in columns, the label before the first of them."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"{label if number == 0 else '':<11}{cells}".rstrip()


_EXPLAINED = {
    "bypass": "sent as it came: every role of this user bypasses the veil",
    "unchanged": "sent as it came: no rule touches what it reads",
    "rewritten": "rewritten",
}


def _refusal_lines(refusal: Refusal, statement: str) -> Iterator[str]:
    """As psql shows an error, with the line that the position is in."""
    yield f"ERROR:  {refusal.sqlstate}: {refusal.message}"
    if refusal.position is not None:
        before = statement[: refusal.position - 1]
        start = before.rfind("\n") + 1
        line = statement[start:].split("\n", 1)[0]
        label = f"LINE {before.count(chr(10)) + 1}: "
        yield f"{label}{line}"
        # Tabs stay tabs, so that the caret stands below its character.
        yield " " * len(label) + "".join("\t" if c == "\t" else " " for c in before[start:]) + "^"
    if refusal.detail:
        yield f"DETAIL:  {refusal.detail}"
    if refusal.hint:
        yield f"HINT:  {refusal.hint}"


def simulate(veil: Veil, identity: Identity, sql: str, search_path: tuple[str, ...]) -> Simulation:
    """The veil's decision on `sql`. A bypass identity's statements never come to the veil."""
    decision = Plan(sql, ()) if identity.bypass else veil.decide(sql, identity, search_path)
    filters = tuple(dict.fromkeys(_filters(veil, identity, decision))) if isinstance(decision, Plan) else ()
    return Simulation(identity, sql, decision, filters, veil.policy.digest)


def _filters(veil: Veil, identity: Identity, plan: Plan) -> Iterator[AppliedFilter]:
    """In what the statement names, in the tables below a view, and in their parents and children."""
    by_name = {relation.qualified: relation for relation in veil.catalog.relations.values()}
    pending = [by_name[name].key for name in sorted(plan.touched) if name in by_name]
    for name in pending:
        relation = veil.catalog.relations.get(name)
        if relation is None or relation.is_system:
            continue
        for member in family(veil.catalog, name):
            for rule in veil.policy.filters_of(identity, member):
                yield AppliedFilter(relation.qualified, rule.condition.text, rule.where)
        if relation.kind == "v":
            pending += [below for below, _ in relation.depends if below not in pending]


def refuse_questions(sql: str) -> None:
    """Raises CarrierError where the text asks something: what its SQL would be is not known here."""
    if find_question(sql) is not None:
        raise CarrierError(
            "simulate takes SQL, and this is a question",
            hint="Ask it through pgveil, and simulate the SQL that its NOTICE shows.",
        )


def run_simulate(
    settings: Settings, user: str, sql: str, *, search_path: str | None = None, as_json: bool = False
) -> int:
    """The command: prints the simulation. 0 where the statement would run, 1 where it is refused.

    Args:
        search_path: as SET search_path takes it; None is what a new session has.

    Raises CarrierError for a question, ConfigError for a search_path that is no list or text that is no UTF-8,
    PolicyProblems, AuthorizationError where the user is in no role, UpstreamUnavailableError.
    """
    for what, text in (("the statement", sql), ("the user's name", user), ("the search_path", search_path or "")):
        _require_text(what, text)
    refuse_questions(sql)
    path = None if search_path is None else _path(search_path)
    policy = load_policies(settings.policies)
    identity = policy.identify(user)
    if identity is None:
        raise AuthorizationError(f'user "{user}" is in no role of the policy', hint="Its login would be refused.")
    with upstream_of(settings) as dsn, reaching_upstream():
        catalog, initial = asyncio.run(_read(dsn))
    found = simulate(veil_of(settings, policy, catalog), identity, sql, initial if path is None else path)
    sys.stdout.write((found.json() if as_json else found.text()) + "\n")
    return int(found.outcome == "refused")


def veil_of(settings: Settings, policy: Policy, catalog: Catalog) -> Veil:
    """The veil as it would be in force at this moment, without the exceptions that have ended."""
    if settings.upstream.login == "floor":  # its views know by themselves when an exception ends
        return Veil(policy, catalog, on_floor=True)
    return Veil(policy.at(datetime.now(UTC)), catalog)


def _require_text(what: str, text: str) -> None:
    """An argument whose bytes are no UTF-8 has surrogates in it, which no database takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{what} is not UTF-8") from None


def _path(text: str) -> tuple[str, ...]:
    try:
        return parse_path(text)
    except ValueError as error:
        raise ConfigError(str(error), hint="names with commas between them, as in SET search_path") from None


@contextmanager
def upstream_of(settings: Settings) -> Iterator[str]:
    """The database's URI; the embedded one, started for the while, where the settings name none."""
    if settings.upstream.dsn is not None:
        yield settings.upstream.dsn.uri()
        return
    server = localpg.start(localpg.default_data_dir())
    try:
        yield server.service_dsn()
    finally:
        server.stop()


async def _read(dsn: str) -> tuple[Catalog, tuple[str, ...]]:
    """The catalogue, and the schemas that a new session searches."""
    async with Feed(dsn) as feed:
        catalog = feed.catalog
    connection = await driver.connect(dsn, statement_cache_size=0)
    try:
        schemas = await connection.fetchval("SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]")
    finally:
        await connection.close()
    return catalog, tuple(schemas)
