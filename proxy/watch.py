"""What the operator learns of sessions: metrics, log lines and audit records, none with a value in it.

It does not know messages: `session`, `answers` and `server` say what happened.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from proxy.errors import PgveilError
from proxy.ops.audit import Audit, AuditRecord, Form
from proxy.ops.log import Logger, get_logger
from proxy.ops.metrics import Metrics
from proxy.ops.tallies import Tally
from proxy.policy.plan import Plan
from proxy.policy.rules import Identity
from proxy.ports import StatementEvent
from proxy.shadow import Case, Shadow
from proxy.veils import SHORT

_log = get_logger("session")

MAX_FORMS: Final = 1000
"""Forms of audit records that are kept for all sessions together."""

OTHER: Final = "other"
"""The kind of a statement that was not analysed."""

OUTDATED: Final = frozenset({"42P01", "42703", "42883", "42704", "3F000"})
"""SQLSTATEs of names that the server does not have: where the veil let them pass, its catalogue may be old."""


@dataclass
class LoginWatch:
    """For the server. Numbers the sessions."""

    metrics: Metrics
    audit: Audit | None
    outdated: Callable[[], None]
    """Called when the server does not know a name that the veil knew."""
    version: Callable[[], str] = str
    """Of the policy in force."""
    shadow: Shadow | None = None
    log: Logger = field(default_factory=lambda: get_logger("server"))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Of sessions: each once in all workers."""

    _forms: dict[Hashable, Form] = field(default_factory=dict)

    def session(self, identity: Identity) -> SessionWatch:
        return SessionWatch(next(self.numbers), identity, self)

    def form(self, identity: Identity, plan: Plan | None) -> Form:
        """What is written of statements of a bypass identity (None), or of those with such a plan, of one statement."""
        kind, outcome = _kind(plan), _outcome(None, plan)
        version = self.version() if plan is None else plan.policy_version
        masks, raw = (0, ()) if plan is None else (len(plan.masks), plan.raw_predicates)
        key = (identity.user, identity.roles, kind, outcome, version, masks, raw)
        found = self._forms.get(key)
        if found is None:
            if len(self._forms) >= MAX_FORMS:
                self._forms.clear()
            record = AuditRecord(0, identity.user, identity.roles, kind, outcome)
            found = self._forms[key] = Form(self.told(record, plan))
        return found

    def told(self, record: AuditRecord, plan: Plan | None) -> AuditRecord:
        """With what the plan says, or else the policy in force."""
        if plan is None:
            return replace(record, policy=self.version())
        version = plan.policy_version[:SHORT]
        return replace(record, masks=len(plan.masks), policy=version, raw_predicates=plan.raw_predicates)

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

    __slots__ = (
        "_audit",
        "_form",
        "_identity",
        "_last",
        "_metrics",
        "_number",
        "_planned",
        "_role",
        "_shadow",
        "_shared",
        "_tally",
        "_version",
    )

    def __init__(self, number: int, identity: Identity, shared: LoginWatch) -> None:
        self._shared = shared
        self._tally: Tally | None = None
        """What the last statement was counted by..."""
        self._form: Form | None = None
        """...and recorded in..."""
        self._version = ""
        self._last: Plan | None = None
        """...with its plan."""
        self._number = number
        self._identity = identity
        self._metrics = shared.metrics
        self._planned = shared.metrics.planned
        self._audit = shared.audit
        self._shadow = shared.shadow
        self._role = "+".join(identity.roles)
        self._metrics.session_opened(self._role)
        _log.info("session opened", session=number, user=identity.user, roles=identity.roles)

    def passed(self, text: bytes) -> None:
        """A statement of a bypass identity."""
        if self._shadow is not None and self._shadow.active:
            self.statement(StatementEvent(text))
            return
        if self._tally is None:
            self._tally = self._metrics.statements(OTHER, "bypass")
        self._tally.add()
        if self._audit is not None:
            version = self._shared.version()
            if self._form is None or version != self._version:
                self._form, self._version = self._shared.form(self._identity, None), version
            self._audit.fill(self._form, self._number, text)

    def sent(
        self, text: bytes, plan: Plan, seconds: float | None, path: tuple[str, ...], temps: frozenset[str]
    ) -> None:
        """A statement whose plan takes nothing but sending it."""
        if self._shadow is not None and self._shadow.active:
            self.statement(StatementEvent(text.decode(), plan, None, seconds or 0.0, path, (), temps))
            return
        if not self._is_like_the_last(plan):
            self._last = plan
            self._tally = self._metrics.statements(_kind(plan), _outcome(None, plan))
            self._form = None
        if self._tally is not None:
            self._tally.add()
        if seconds is None:
            self._planned.least()
        else:
            self._planned.observe(seconds)
        if self._audit is not None:
            if self._form is None:
                self._form = self._shared.form(self._identity, plan)
            self._audit.fill(self._form, self._number, text)

    def _is_like_the_last(self, plan: Plan) -> bool:
        """Whether what is counted and written is the same: plans of one shape share all that it is made of."""
        last = self._last
        # Their statements are made for one decision, and shared by nothing but the texts of its shape.
        return last is plan or (last is not None and last.statements is plan.statements)

    def statement(self, event: StatementEvent) -> None:
        kinds = _kinds(event.plan)
        outcome = _outcome(event.sqlstate, event.plan)
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
        sql, who = event.sql, self._identity
        digest = audit.digest(sql) if isinstance(sql, str) else audit.digest_bytes(bytes(sql))
        made = AuditRecord(self._number, who.user, who.roles, kind, outcome, event.sqlstate, digest if sql else None)
        return self._shared.told(made, event.plan)

    def ask(self, outcome: str, seconds: float) -> None:
        _log.info("question ended", session=self._number, outcome=outcome, seconds=round(seconds, 3))

    def upstream_error(self, sqlstate: str) -> None:
        self._metrics.upstream_error(sqlstate)
        if sqlstate in OUTDATED:
            self._shared.outdated()

    def cut(self, limit: str) -> None:
        self._metrics.result_cut(limit)

    def limited(self, limit: str) -> None:
        self._metrics.limit_refusal(limit)

    def moved(self, received: int, sent: int) -> None:
        self._metrics.client_bytes(received, sent)

    def crash(self, error: BaseException) -> None:
        self._metrics.crash()
        _log.error("a session failed in the proxy", session=self._number, exc_info=error)

    def closed(self) -> None:
        self._metrics.session_closed(self._role)
        _log.info("session closed", session=self._number)


def _kinds(plan: Plan | None) -> list[str]:
    """The kinds of a text's statements, each once, in order."""
    found = [] if plan is None else [p.kind.value for p in plan.statements if p.kind is not None]
    return list(dict.fromkeys(found)) or [OTHER]


def _kind(plan: Plan | None) -> str:
    """Of a text with one statement."""
    return _kinds(plan)[0]


def _outcome(sqlstate: str | None, plan: Plan | None) -> str:
    if sqlstate is not None:
        return "refused"
    if plan is None:
        return "bypass"
    return "rewritten" if plan.rewritten else "plain"
