"""Whether a plan that was made earlier may still be used: what a session knows beyond the veil's word on one text.

A prepared statement's text stays in the server as it was planned. The veil in force may have another text run for it
by now, and the server resolves a text by the search_path of today. So it is decided again, and refused where the
outcome differs, in PostgreSQL's words for it: drivers know those, and prepare again.

It does not know messages; `session` asks it about names and plans.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from proxy.conversation import MOVES_PATH, MOVES_TEMPS, Conversation, Scope, effects
from proxy.policy.plan import Effect, Plan, Refusal
from proxy.policy.rules import StatementKind
from proxy.ports import Veils
from proxy.prepared import Names, Statement
from proxy.refusals import (
    CURSOR_STALE,
    END_AND_MORE,
    EXECUTES_QUERIES,
    PATH_AND_MORE,
    TEMP_AND_MORE,
    TOO_MANY_NAMES,
    refusal_response,
    stale_response,
)
from proxy.verdict import decide, shown
from proxy.wire.messages import FAILED, ErrorResponse

_KEEPS_ROWS: Final = frozenset({"execute", "fetch"})
"""A portal of these has all its rows from the first Execute on, whatever becomes of what it names."""
_NEEDS_NO_NAMES: Final = frozenset({None, StatementKind.SET, StatementKind.TRANSACTION, StatementKind.SHOW})


class Age:
    """For one session. Each method gives the refusal for the client, or None where nothing speaks against it."""

    __slots__ = ("_talk", "_veils")

    def __init__(self, talk: Conversation, veils: Veils) -> None:
        self._talk = talk
        self._veils = veils

    def objection(self, plan: Plan, *, prepares: bool) -> ErrorResponse | None:
        """To a new plan. `prepares`: it is for a named statement."""
        moved: Refusal | None = None
        for planned in plan.statements:
            effect = planned.effect
            if moved is not None and planned.kind not in _NEEDS_NO_NAMES:
                return refusal_response(moved)
            if moved is None and effect is not None and self._talk.moves(effect):
                moved = _and_more(effect)
            prepares = prepares or (effect is not None and effect.kind == "prepare")
            if effect is not None and effect.kind == "declare" and self._talk.prepared.cursors.full:
                return refusal_response(TOO_MANY_NAMES)
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
        known, scope = list(self._talk.prepared.statements.all(name)), self._talk.scope
        if len(known) != 1 or known[0].types is None or self._talk.status == FAILED:
            return None
        if (known[0].path, known[0].temps) != (scope.path, scope.temps):
            return None
        generation = self._veils.generation  # before the veil: time may end the one, and not yet the other
        verdict = decide(self._veils.veil, known[0].sql, scope, known[0].types)
        if isinstance(verdict, Refusal) or verdict.catalog_version != known[0].plan.catalog_version:
            return None
        if self._names(verdict, frozenset()) is not None:
            return None
        return replace(known[0], plan=verdict, generation=generation, shows=self._shown(known[0], scope))

    def of_portal(self, name: str) -> ErrorResponse | None:
        """To running a portal. A query's names were resolved when it was bound; COPY and its like do that now."""
        for statement in self._talk.prepared.readable(name):
            query = all(planned.kind is StatementKind.SELECT for planned in statement.plan.statements)
            current = statement.generation == self._veils.generation
            if query and current:
                continue
            if not current and any(effect.kind in _KEEPS_ROWS for effect in effects(statement)):
                return stale_response()
            refusal = self._renew(self._talk.prepared.portals, name, statement, frozenset())
            if refusal is not None:
                return refusal
        return None

    def _names(self, plan: Plan, seen: frozenset[str]) -> ErrorResponse | None:
        """To a text that EXECUTEs names."""
        made: set[tuple[str, str]] = set()
        for planned in plan.statements:
            effect = planned.effect
            if effect is None or effect.name is None:
                continue
            refusal = None
            if effect.kind in ("prepare", "declare"):
                made.add((effect.kind, effect.name))
            elif effect.kind == "execute" and ("prepare", effect.name) not in made:
                refusal = self._name(effect.name, seen) or self._executed(effect.name)
            elif effect.kind == "fetch" and ("declare", effect.name) not in made:
                refusal = self._cursor(effect.name)
            if refusal is not None:
                return refusal
        return None

    def _executed(self, name: str) -> ErrorResponse | None:
        """To running by EXECUTE what was prepared by protocol: that may be any statement, and what it does to the
        session would not be known. A policy that limits the cost since then has it prepared, and priced, again."""
        for statement in self._talk.prepared.statements.all(name):
            by_protocol = statement.types is not None
            if by_protocol and any(effect.kind != "execute" for effect in effects(statement)):
                return refusal_response(EXECUTES_QUERIES)
            if statement.unpriced is not None:
                return stale_response()
        return None

    def _cursor(self, name: str) -> ErrorResponse | None:
        """To reading on: it shows what the policy let it show when it was declared. Of an unknown one the server says
        that there is none."""
        for cursor in self._talk.prepared.readable(name):
            if cursor.generation == self._veils.generation:
                continue
            scope = Scope(self._talk.identity, cursor.path, cursor.temps)
            verdict = decide(self._veils.veil, cursor.sql, scope, cursor.types)
            if isinstance(verdict, Refusal):
                return refusal_response(replace(verdict, position=None))
            if (verdict.sql, self._shown(cursor, scope)) != (cursor.plan.sql, cursor.shows):
                return refusal_response(CURSOR_STALE)
        return None

    def _shown(self, statement: Statement, scope: Scope) -> str:
        return shown(self._veils, statement.sql, scope, statement.types)

    def _name(self, name: str, seen: frozenset[str]) -> ErrorResponse | None:
        if name in seen:
            return None
        names = self._talk.prepared.statements
        for statement in list(names.all(name)):
            refusal = self._renew(names, name, statement, seen | {name})
            if refusal is not None:
                return refusal
        return None

    def _renew(self, names: Names, name: str, statement: Statement, seen: frozenset[str]) -> ErrorResponse | None:
        """Judges a statement as the veil in force does. What may still run has today's limits from here on."""
        scope, generation = self._talk.scope, self._veils.generation
        same = (statement.path, statement.temps) == (scope.path, scope.temps)
        if statement.generation != generation or not same:
            verdict = decide(self._veils.veil, statement.sql, scope, statement.types)
            if isinstance(verdict, Refusal):
                return refusal_response(replace(verdict, position=None))
            shows = self._shown(statement, scope)
            begun = names is not self._talk.prepared.statements  # a portal's rows may be made already
            if verdict.sql != statement.plan.sql or (begun and shows != statement.shows):
                return stale_response()
            names.renew(name, statement, replace(statement, plan=verdict, generation=generation, shows=shows))
        return self._names(statement.plan, seen)


def _and_more(effect: Effect) -> Refusal:
    """Why nothing that needs names may come after this in one text."""
    if effect.kind in MOVES_PATH:
        return PATH_AND_MORE
    return TEMP_AND_MORE if effect.kind in MOVES_TEMPS else END_AND_MORE
