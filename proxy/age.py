"""Whether a plan that was made earlier may still be used: what a session knows beyond the veil's word on one text.

A prepared statement's text stays in the server as it was planned. The veil in force may have another text run for it
by now, and the server resolves a text by the search_path of today. So it is decided again, and refused where the
outcome differs, in PostgreSQL's words for it: drivers know those, and prepare again.

It does not know messages; `session` asks it about names and plans.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.conversation import MOVES_PATH, Conversation
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import StatementKind
from proxy.ports import Veils
from proxy.prepared import Statement
from proxy.refusals import PATH_AND_MORE, TOO_MANY_NAMES, refusal_response, stale_response
from proxy.wire.messages import FAILED, ErrorResponse

_NEEDS_NO_NAMES = frozenset({None, StatementKind.SET, StatementKind.TRANSACTION, StatementKind.SHOW})


class Age:
    """For one session. Each method gives the refusal for the client, or None where nothing speaks against it."""

    def __init__(self, talk: Conversation, veils: Veils) -> None:
        self._talk = talk
        self._veils = veils

    def objection(self, plan: Plan, *, prepares: bool) -> ErrorResponse | None:
        """To a new plan. `prepares`: it is for a named statement."""
        moved = False
        for planned in plan.statements:
            if moved and planned.kind not in _NEEDS_NO_NAMES:
                return refusal_response(PATH_AND_MORE)
            moved = moved or (planned.effect is not None and planned.effect.kind in MOVES_PATH)
        if prepares and self._talk.prepared.statements.full:
            return refusal_response(TOO_MANY_NAMES)
        return self._names(plan, frozenset())

    def of_name(self, name: str) -> ErrorResponse | None:
        """To running a prepared statement, whatever the name may stand for when the server gets there."""
        return self._name(name, frozenset())

    def planned_again(self, name: str) -> Statement | None:
        """A prepared statement as the veil in force has it, where it may be prepared again without the client's doing.

        That is where only the policy has changed, since masks keep the names and types of a result's columns, and the
        client knows those from the first time. Another catalogue or path may stand for other columns.
        """
        known, path = list(self._talk.prepared.statements.all(name)), self._talk.path.schemas
        if len(known) != 1 or known[0].types is None or known[0].path != path or self._talk.status == FAILED:
            return None
        verdict = self._veils.veil.decide(known[0].sql, self._talk.identity, path)
        if isinstance(verdict, Refusal) or verdict.catalog_version != known[0].plan.catalog_version:
            return None
        if self._names(verdict, frozenset()) is not None:
            return None
        return replace(known[0], plan=verdict, generation=self._veils.generation)

    def of_statement(self, statement: Statement) -> ErrorResponse | None:
        return self._statement(statement, frozenset())

    def _names(self, plan: Plan, seen: frozenset[str]) -> ErrorResponse | None:
        """To a text that EXECUTEs names."""
        made: set[str] = set()
        for planned in plan.statements:
            effect = planned.effect
            if effect is None or effect.name is None:
                continue
            if effect.kind == "prepare":
                made.add(effect.name)
            elif effect.kind == "execute" and effect.name not in made:
                refusal = self._name(effect.name, seen)
                if refusal is not None:
                    return refusal
        return None

    def _name(self, name: str, seen: frozenset[str]) -> ErrorResponse | None:
        if name in seen:
            return None
        for statement in self._talk.prepared.statements.all(name):
            refusal = self._statement(statement, seen | {name})
            if refusal is not None:
                return refusal
        return None

    def _statement(self, statement: Statement, seen: frozenset[str]) -> ErrorResponse | None:
        path = self._talk.path.schemas
        if statement.generation != self._veils.generation or statement.path != path:
            verdict = self._veils.veil.decide(statement.sql, self._talk.identity, path)
            if isinstance(verdict, Refusal):
                return refusal_response(replace(verdict, position=None))
            if verdict.sql != statement.plan.sql:
                return stale_response()
        return self._names(statement.plan, seen)
