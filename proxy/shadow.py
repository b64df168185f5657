"""The shadow policy: what files with `enforce: false` would make of every statement, for the audit and never in force.

A thread of its own decides on each statement a second time, by the shadow policy, and says what would be different.
Sessions never wait for it: they leave a copy of what was decided in a queue that is bounded in number and in size, and
what finds it full is counted and goes without. Nothing that it finds reaches a client.

The shadow policy decides about everybody: a user who bypasses the veil today may be masked by it, or be in none of its
roles. It does not know sessions, nor what they would do after a refusal: each statement is judged as it came.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from proxy.clock import Clock
from proxy.errors import AuthorizationError
from proxy.ops.audit import Audit, AuditRecord
from proxy.ops.log import get_logger
from proxy.ops.metrics import Metrics
from proxy.policy.catalog import Catalog
from proxy.policy.decide import Veil
from proxy.policy.model import Policy
from proxy.policy.plan import AppliedMask, Plan, Refusal
from proxy.policy.rules import Identity
from proxy.policyfiles import Broken
from proxy.ports import StatementEvent
from proxy.refusals import TOO_LONG
from proxy.session import MAX_STATEMENT
from proxy.veils import SHORT

MAX_WAITING = 1_000
"""Statements in the queue..."""
MAX_WAITING_TEXT = 8 * 1024 * 1024
"""...and bytes of their texts together."""

LAST_SECONDS = 5.0
"""How long what is waiting may take at the end."""

_log = get_logger("shadow")


class Change(StrEnum):
    """What the shadow policy would change about a statement."""

    SAME = "same"
    REFUSED = "refused"
    """It runs today, and would be refused."""
    ALLOWED = "allowed"
    """It is refused today, and would run."""
    MASKS = "masks"
    """Columns would be masked, or be clear, or have another mask."""
    OTHER = "other"
    """The same columns and masks, and still another text: row filters, limits, parameters of a mask."""
    LOGIN = "login"
    """The user is in no shadow role: the login would be refused."""


@dataclass(frozen=True, slots=True)
class Case:
    """A statement and what was decided about it. `outcome` is the audit's: plain, rewritten, bypass or refused."""

    user: str
    outcome: str
    event: StatementEvent
    record: AuditRecord | None
    """To be written with what is found; None where there is no audit."""
    when: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def weight(self) -> int:
        return len(self.event.sql)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the shadow policy would do. The masks are those that only it has, and those that only today's policy has."""

    policy: str
    change: Change
    outcome: str
    sqlstate: str | None = None
    added: tuple[Mapping[str, str], ...] = ()
    removed: tuple[Mapping[str, str], ...] = ()

    def fields(self) -> dict[str, object]:
        """For the audit."""
        return {
            "policy": self.policy,
            "change": self.change.value,
            "changed": self.change is not Change.SAME,
            "outcome": self.outcome,
            "sqlstate": self.sqlstate,
            "masks_added": self.added,
            "masks_removed": self.removed,
        }


class Decider(Protocol):
    """`policy.decide.Veil`, as far as it is used here."""

    def decide(
        self,
        sql: str,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = ...,
        types: tuple[int, ...] = ...,
    ) -> Plan | Refusal: ...

    def decide_parameters(self, types: tuple[int, ...]) -> Refusal | None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the shadow policy is held against: the latest catalogue (None before the first), and the time.

    `search_path` is for sessions whose own nobody follows: those that bypass the veil.
    """

    catalog: Callable[[], Catalog | None]
    clock: Clock
    search_path: tuple[str, ...] = ("public",)
    floored: Callable[[], Policy] | None = None
    """The policy in force, where sessions run on the floor: its plans name views of the database, and the shadow has
    none there. So the statement is decided on by both policies as if there were no floor."""


class Judge:
    """Decides on statements by one shadow policy. For one thread."""

    def __init__(self, policy: Policy, around: Surroundings) -> None:
        self._around = around
        self._policy = policy
        self._shadow, self._today = _Latest(), _Latest()

    def judge(self, case: Case) -> Verdict | None:
        """None where the statement cannot be judged: its text was not kept, or there is no catalogue yet."""
        identity, catalog = self._policy.identify(case.user), self._around.catalog()
        if identity is None:
            return self._verdict(Change.LOGIN, "refused", AuthorizationError.sqlstate)
        sql = _text(case.event)
        if not sql:
            return None
        if catalog is None:
            return None
        case = self._without_floor(case, catalog, sql)
        if identity.bypass:
            return self._compared(case, Plan(sql, ()), "bypass")
        self._policy = self._policy.at(self._around.clock.moment())
        decision = self._decide(self._shadow.veil(self._policy, catalog), case.event, identity, sql)
        if isinstance(decision, Refusal):
            change = Change.SAME if case.outcome == "refused" else Change.REFUSED
            return self._verdict(change, "refused", decision.sqlstate)
        return self._compared(case, decision, "rewritten" if decision.rewritten else "plain")

    def _without_floor(self, case: Case, catalog: Catalog, sql: str) -> Case:
        policy = None if self._around.floored is None else self._around.floored()
        identity = None if policy is None else policy.identify(case.user)
        if policy is None or identity is None or case.event.plan is None:
            return case
        decision = self._decide(self._today.veil(policy, catalog), case.event, identity, sql)
        if isinstance(decision, Refusal):
            return replace(case, outcome="refused")
        return replace(case, event=replace(case.event, plan=decision))

    def _decide(self, veil: Decider, event: StatementEvent, identity: Identity, sql: str) -> Plan | Refusal:
        if len(event.sql) > MAX_STATEMENT:
            return TOO_LONG
        path = self._around.search_path if event.search_path is None else event.search_path
        return veil.decide_parameters(event.types) or veil.decide(sql, identity, path, event.temps, event.types)

    def _compared(self, case: Case, plan: Plan, outcome: str) -> Verdict:
        """With what runs today, where the statement would run."""
        if case.outcome == "refused":
            return self._verdict(Change.ALLOWED, outcome)
        today = case.event.plan or Plan(plan.original or plan.sql, ())
        before, after = set(map(_mask, today.masks)), set(map(_mask, plan.masks))
        if before != after:
            added, removed = _described(after - before), _described(before - after)
            return replace(self._verdict(Change.MASKS, outcome), added=added, removed=removed)
        same = (plan.sql, plan.limits) == (today.sql, today.limits)
        return self._verdict(Change.SAME if same else Change.OTHER, outcome)

    def _verdict(self, change: Change, outcome: str, sqlstate: str | None = None) -> Verdict:
        return Verdict(self._policy.digest[:SHORT], change, outcome, sqlstate)


class _Latest:
    """The veil of a policy and a catalogue, made again when either is another one, or an exception has ended."""

    def __init__(self) -> None:
        self._veil: Veil | None = None

    def veil(self, policy: Policy, catalog: Catalog) -> Decider:
        if self._veil is None or self._veil.catalog is not catalog or self._veil.policy is not policy:
            self._veil = Veil(policy, catalog)
        return self._veil


class Shadow:
    """The shadow policy in use, if there is one, and the thread that holds statements against it. A context manager."""

    def __init__(self, around: Surroundings, metrics: Metrics, audit: Audit | None) -> None:
        self._around = around
        self._metrics = metrics
        self._audit = audit
        self._judge: Judge | None = None
        self._digest: str | None = None
        self.broken: Broken | None = None
        self._queue: queue.SimpleQueue[tuple[Judge, Case] | None] = queue.SimpleQueue()
        self._weight = 0
        self._weighing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="pgveil-shadow", daemon=True)

    def __repr__(self) -> str:
        return f"Shadow(policy={self._digest!r})"

    def __enter__(self) -> Shadow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Judges what is waiting, so that its records are written; not for ever."""
        self._queue.put(None)
        self._thread.join(LAST_SECONDS)

    @property
    def active(self) -> bool:
        return self._judge is not None

    def status(self) -> str:
        """For people: empty where there is no shadow policy."""
        parts = [] if self._digest is None else [f"shadow version {self._digest[:SHORT]}"]
        if self.broken is not None:
            count = self.broken.problems
            parts.append(f"the shadow files have {count} problem{'' if count == 1 else 's'}")
        return ", ".join(parts)

    def take(self, found: Policy | Broken | None, *, asked: bool = False) -> None:
        """The files were read. None: there is no shadow policy. Broken ones leave the old one in use, loudly."""
        broken = found if isinstance(found, Broken) else None
        before, self.broken = self.broken, broken
        self._metrics.shadow_broken(broken=broken is not None)
        if broken is not None:
            if asked or broken != before:
                _log.error(
                    "the shadow policy cannot be used; nothing that is enforced changes",
                    policy=self._digest,
                    error_type=broken.error_type,
                    problems=broken.problems,
                    place=broken.places,
                )
            return
        policy = found if isinstance(found, Policy) else None
        digest = None if policy is None else policy.digest
        if digest != self._digest:
            self._judge = None if policy is None else Judge(policy, self._around)
            self._digest = digest
            if policy is None:
                _log.info("there is no shadow policy any more")
            else:
                _log.info("a shadow policy was loaded", policy=digest)

    def consider(self, case: Case) -> bool:
        """Leaves the statement to the thread, which writes its record. False where the caller has to: it is full."""
        judge = self._judge
        if judge is None or not case.event.decided:
            return False
        with self._weighing:
            full = self._queue.qsize() >= MAX_WAITING or self._weight + case.weight > MAX_WAITING_TEXT
            self._weight += 0 if full else case.weight
        if full:
            self._metrics.shadow_dropped()
            return False
        self._queue.put((judge, case))
        return True

    # The thread

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            judge, case = item
            with self._weighing:
                self._weight -= case.weight
            verdict = self._judged(judge, case)
            if verdict is None:
                self._metrics.shadow_dropped()
            else:
                self._metrics.shadow_statement(verdict.change.value)
            self._write(case, verdict)

    def _judged(self, judge: Judge, case: Case) -> Verdict | None:
        try:
            return judge.judge(case)
        except Exception as error:  # a fault of ours, and the next statement is none the worse for it
            _log.error("a statement could not be held against the shadow policy", exc_info=error)
            return None

    def _write(self, case: Case, verdict: Verdict | None) -> None:
        if self._audit is None or case.record is None:
            return
        found = None if verdict is None else verdict.fields()
        self._audit.record(replace(case.record, shadow=found), case.when)


def _text(event: StatementEvent) -> str:
    """Empty where it was not kept, or is not in the encoding that masked sessions speak."""
    if isinstance(event.sql, str):
        return event.sql
    try:
        return bytes(event.sql).decode()
    except UnicodeDecodeError:
        return ""


def _mask(mask: AppliedMask) -> tuple[str, str, str]:
    return mask.relation, mask.column, mask.mask


def _described(masks: set[tuple[str, str, str]]) -> tuple[dict[str, str], ...]:
    names = ("relation", "column", "mask")
    return tuple(dict(zip(names, mask, strict=True)) for mask in sorted(masks))
