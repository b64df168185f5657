"""`pgveil simulate`: what the veil makes of a statement for a user, without running it.

It shows the decision, the SQL that would run, and each mask with the rule that asks for it; or the refusal as the
client would get it. The decision is the same code's that serves, so it is the same decision.

It does not answer questions (`ask`), and says so. It knows the search_path that the upstream gives a new session, not
what a SET would make of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg

from proxy import localpg
from proxy.check import reaching_upstream
from proxy.errors import AuthorizationError, CarrierError
from proxy.feed import Feed
from proxy.nl.carriers import find_question
from proxy.policy.catalog import Catalog
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import Identity
from proxy.settings import Settings


@dataclass(frozen=True, slots=True)
class Simulation:
    """A decision for people (`text`) and for programs (`json`)."""

    identity: Identity
    statement: str = field(repr=False)
    decision: Plan | Refusal

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
        if isinstance(self.decision, Refusal):
            return "\n".join([*head, "decision:  refused", "", *_refusal_lines(self.decision, self.statement)])
        return "\n".join([*head, f"decision:  {_EXPLAINED[self.outcome]}", *self._masks(), "", self.decision.sql])

    def json(self) -> str:
        """One JSON object: user, roles, decision, and either sql, statements, masks, relations or error."""
        answer: dict[str, object] = {
            "user": self.identity.user,
            "roles": list(self.identity.roles),
            "decision": self.outcome,
        }
        if isinstance(self.decision, Refusal):
            names = ("sqlstate", "message", "detail", "hint", "position")
            answer["error"] = {name: getattr(self.decision, name) for name in names}
        else:
            answer["sql"] = self.decision.sql
            answer["statements"] = [s.kind.value if s.kind else None for s in self.decision.statements]
            answer["relations"] = sorted(self.decision.touched)
            answer["masks"] = [
                {"relation": m.relation, "column": m.column, "mask": m.mask, "rule": str(m.where)}
                for m in self.decision.masks
            ]
        return json.dumps(answer, ensure_ascii=False)

    def _masks(self) -> Iterator[str]:
        if isinstance(self.decision, Refusal) or not self.decision.masks:
            return
        names = [f"{m.relation}.{m.column}" for m in self.decision.masks]
        width, mask_width = max(map(len, names)), max(len(m.mask) for m in self.decision.masks)
        for number, (name, mask) in enumerate(zip(names, self.decision.masks, strict=True)):
            label = "masks:" if number == 0 else ""
            yield f"{label:<11}{name:<{width}}  {mask.mask:<{mask_width}}  {mask.where}"


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
    return Simulation(identity, sql, decision)


def refuse_questions(sql: str) -> None:
    """Raises CarrierError where the text asks something: what its SQL would be is not known here."""
    if find_question(sql) is not None:
        raise CarrierError(
            "simulate takes SQL, and this is a question",
            hint="Ask it through pgveil, and simulate the SQL that its NOTICE shows.",
        )


def run_simulate(settings: Settings, user: str, sql: str) -> int:
    """The command: prints the simulation. 0 where the statement would run, 1 where it is refused.

    Raises CarrierError for a question, PolicyProblems, AuthorizationError where the user is in no role,
    UpstreamUnavailableError.
    """
    refuse_questions(sql)
    policy = load_policies(settings.policies)
    identity = policy.identify(user)
    if identity is None:
        raise AuthorizationError(f'user "{user}" is in no role of the policy', hint="Its login would be refused.")
    with _upstream(settings) as dsn, reaching_upstream():
        catalog, search_path = asyncio.run(_read(dsn))
    found = simulate(Veil(policy, catalog), identity, sql, search_path)
    sys.stdout.write(found.text() + "\n")
    return int(found.outcome == "refused")


@contextmanager
def _upstream(settings: Settings) -> Iterator[str]:
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
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        schemas = await connection.fetchval("SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]")
    finally:
        await connection.close()
    return catalog, tuple(schemas)
