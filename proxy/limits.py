"""A policy's limits on what statements take: their time, their estimated cost, and how many run at once.

What a limit refuses has SQLSTATE 53400 (configuration_limit_exceeded); what it stops, 57014 (query_canceled), as
PostgreSQL's own statement_timeout does. The texts name the limit, and never what was measured: an estimate is made
from statistics of the values below the masks.

It does not know rows (`tally`), and prices nothing itself (`pricing`).
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Protocol

from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import StatementKind

_FREE: Final = frozenset({None, StatementKind.TRANSACTION, StatementKind.SET, StatementKind.SHOW})
"""What is not counted as running: it ends transactions, which must not be kept from ending, or takes nothing."""
_FREE_EFFECTS: Final = frozenset({"close", "deallocate"})

NO_PRICE: Final = Refusal(
    "53400",
    "the cost of the statement could not be estimated in time",
    hint="The policy limits the cost of statements of this role (max_cost); try again.",
)


def unpriced(sqlstate: str) -> Refusal:
    """What cannot be priced does not run, or a limit of cost would be none."""
    return Refusal(
        "53400",
        "the cost of the statement could not be estimated",
        detail=f"PostgreSQL reports {sqlstate} when it is asked for its plan.",
        hint="The policy limits the cost of statements of this role (max_cost). See whether the statement depends on "
        "what the session has set or made.",
    )


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a message's statements may run, from when the server gets to them, and what the client is told then."""

    seconds: float
    refusal: Refusal
    limit: str | None = None
    """Its name in the policy, where it is the policy's."""


@lru_cache
def _of_policy(seconds: float) -> Deadline:
    hint = f"The policy limits statements of this role to {seconds:g} seconds (statement_timeout_s)."
    return Deadline(seconds, _timed_out(hint), "statement_timeout_s")


def deadline(plan: Plan, ask_seconds: float | None) -> Deadline | None:
    """The sooner of the policy's and, for SQL that was written for a question (not None), the agent's."""
    allowed = None if plan.limits is None else plan.limits.statement_timeout_s
    if allowed is not None and (ask_seconds is None or allowed <= ask_seconds):
        return _of_policy(allowed)
    if ask_seconds is not None:
        return Deadline(ask_seconds, _timed_out(f"SQL for a question may run for {ask_seconds:g} seconds."))
    return None


def _timed_out(hint: str) -> Refusal:
    return Refusal("57014", "canceling statement due to statement timeout", hint=hint)


def passed_before(refusal: Refusal) -> Refusal:
    """Of the statement that was stopped in place of the one before it, which ended at that very moment."""
    return replace(
        refusal,
        message="canceling statement due to the timeout of the statement before it",
        hint="That one was complete at the moment when its time was over. Run this one again.",
    )


def too_dear(limit: float) -> Refusal:
    return Refusal(
        "53400",
        "the statement would cost more than this role may use",
        detail=f"The policy's max_cost is {limit:g}, in PostgreSQL's units.",
        hint="Read fewer rows, or join fewer tables.",
    )


def too_many(limit: int) -> Refusal:
    return Refusal(
        "53400",
        "too many statements of this role are running",
        detail=f"The policy's max_concurrent is {limit}.",
        hint="Try again when others have ended.",
    )


class Counts(Protocol):
    """The same counts as `Running` keeps, of several processes together."""

    def count(self, roles: tuple[str, ...]) -> int: ...
    def enter(self, roles: tuple[str, ...], limit: int) -> bool: ...
    def leave(self, roles: tuple[str, ...]) -> None: ...


class Running:
    """How many sessions of each role set run something at this moment. One for all sessions of the process.

    With `shared`, that counts in its place.
    """

    def __init__(self, shared: Counts | None = None) -> None:
        self._counts: dict[tuple[str, ...], int] = {}
        self._shared = shared

    def __repr__(self) -> str:
        return f"Running({self._counts})"

    def count(self, roles: tuple[str, ...]) -> int:
        return self._counts.get(roles, 0) if self._shared is None else self._shared.count(roles)

    def enter(self, roles: tuple[str, ...], limit: int) -> bool:
        """Counts one more, unless `limit` run already."""
        if self._shared is not None:
            return self._shared.enter(roles, limit)
        count = self.count(roles)
        if count >= limit:
            return False
        self._counts[roles] = count + 1
        return True

    def leave(self, roles: tuple[str, ...]) -> None:
        if self._shared is not None:
            self._shared.leave(roles)
            return
        self._counts[roles] -= 1
        if not self._counts[roles]:
            del self._counts[roles]


class Slot:
    """One session's part of `Running`. A session runs one statement after the other, so it counts once."""

    __slots__ = ("_held", "_roles", "_running")

    def __init__(self, running: Running, roles: tuple[str, ...]) -> None:
        self._running = running
        self._roles = roles
        self._held = False

    def __repr__(self) -> str:
        return f"Slot(held={self._held})"

    @property
    def held(self) -> bool:
        return self._held

    def take(self, plan: Plan) -> Refusal | None:
        """For a statement that is about to be sent: the refusal where the role's other sessions leave no room."""
        limit = None if plan.limits is None else plan.limits.max_concurrent
        if limit is None or self._held or not _counts(plan):
            return None
        self._held = self._running.enter(self._roles, limit)
        return None if self._held else too_many(limit)

    def release(self) -> None:
        """Nothing runs any more. As often as one likes."""
        if self._held:
            self._held = False
            self._running.leave(self._roles)


def _counts(plan: Plan) -> bool:
    for planned in plan.statements:
        if planned.kind not in _FREE and (planned.effect is None or planned.effect.kind not in _FREE_EFFECTS):
            return True
    return False
