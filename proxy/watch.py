"""What the operator learns of sessions: metrics, log lines and audit records, none with a value in it.

It does not know messages: `session`, `answers` and `server` say what happened.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.errors import PgveilError
from proxy.ops.audit import Audit, AuditRecord
from proxy.ops.log import Logger, get_logger
from proxy.ops.metrics import Metrics
from proxy.policy.plan import Plan
from proxy.policy.rules import Identity
from proxy.ports import StatementEvent
from proxy.shadow import Case, Shadow
from proxy.veils import SHORT

OTHER = "other"
"""The kind of a statement that was not analysed."""

OUTDATED = frozenset({"42P01", "42703", "42883", "42704", "3F000"})
"""SQLSTATEs of names that the server does not have: where the veil let them pass, its catalogue may be old."""


@dataclass
class LoginWatch:
    """For the server. Numbers the sessions of this process."""

    metrics: Metrics
    audit: Audit | None
    outdated: Callable[[], None]
    """Called when the server does not know a name that the veil knew."""
    version: Callable[[], str] = str
    """Of the policy in force."""
    shadow: Shadow | None = None
    log: Logger = field(default_factory=lambda: get_logger("server"))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def session(self, identity: Identity) -> SessionWatch:
        return SessionWatch(next(self._numbers), identity, self)

    def refused(self, user: str | None, error: PgveilError) -> None:
        self.metrics.login_failed(error.sqlstate)
        self.log.warning("login refused", user=user, sqlstate=error.sqlstate, error_type=type(error).__name__)

    def crash(self, error: BaseException) -> None:
        self.metrics.crash()
        self.log.error("a login failed in the proxy", exc_info=error)

    def accept_failed(self, error: OSError) -> None:
        self.log.error("a connection could not be accepted", error_type=type(error).__name__, count=error.errno)


class SessionWatch:
    """For one session."""

    def __init__(self, number: int, identity: Identity, shared: LoginWatch) -> None:
        self._number = number
        self._identity = identity
        self._metrics = shared.metrics
        self._audit = shared.audit
        self._outdated = shared.outdated
        self._version = shared.version
        self._shadow = shared.shadow
        self._role = "+".join(identity.roles)
        self._log = get_logger("session")
        self._metrics.session_opened(self._role)
        self._log.info("session opened", session=number, user=identity.user, roles=identity.roles)

    def statement(self, event: StatementEvent) -> None:
        kinds = _kinds(event.plan)
        outcome = _outcome(event)
        self._metrics.statement(kinds[0] if len(kinds) == 1 else OTHER, outcome, event.seconds)
        if event.sqlstate is not None:
            self._metrics.refusal(event.sqlstate)
        record = None if self._audit is None else self._record(self._audit, event, "+".join(kinds), outcome)
        if self._in_shadow(event, outcome, record):
            return  # its record is written with what is found
        if self._audit is not None and record is not None:
            self._audit.record(record)

    def _in_shadow(self, event: StatementEvent, outcome: str, record: AuditRecord | None) -> bool:
        if self._shadow is None or not self._shadow.active:
            return False
        return self._shadow.consider(Case(self._identity.user, outcome, event, record))

    def _record(self, audit: Audit, event: StatementEvent, kind: str, outcome: str) -> AuditRecord:
        sql = event.sql if isinstance(event.sql, str) else bytes(event.sql).decode(errors="replace")
        plan = event.plan
        return AuditRecord(
            session=self._number,
            user=self._identity.user,
            roles=self._identity.roles,
            kind=kind,
            outcome=outcome,
            sqlstate=event.sqlstate,
            digest=audit.digest(sql) if sql else None,
            masks=0 if plan is None else len(plan.masks),
            policy=self._version() if plan is None else plan.policy_version[:SHORT],
            raw_predicates=() if plan is None else plan.raw_predicates,
        )

    def ask(self, outcome: str, seconds: float) -> None:
        self._log.info("question ended", session=self._number, outcome=outcome, seconds=round(seconds, 3))

    def upstream_error(self, sqlstate: str) -> None:
        self._metrics.upstream_error(sqlstate)
        if sqlstate in OUTDATED:
            self._outdated()

    def cut(self, limit: str) -> None:
        self._metrics.result_cut(limit)

    def limited(self, limit: str) -> None:
        self._metrics.limit_refusal(limit)

    def moved(self, received: int, sent: int) -> None:
        self._metrics.client_bytes(received, sent)

    def crash(self, error: BaseException) -> None:
        self._metrics.crash()
        self._log.error("a session failed in the proxy", session=self._number, exc_info=error)

    def closed(self) -> None:
        self._metrics.session_closed(self._role)
        self._log.info("session closed", session=self._number)


def _kinds(plan: Plan | None) -> list[str]:
    """The kinds of a text's statements, each once, in order."""
    found = [] if plan is None else [p.kind.value for p in plan.statements if p.kind is not None]
    return list(dict.fromkeys(found)) or [OTHER]


def _outcome(event: StatementEvent) -> str:
    if event.sqlstate is not None:
        return "refused"
    if event.plan is None:
        return "bypass"
    return "rewritten" if event.plan.rewritten else "plain"
