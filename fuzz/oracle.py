"""A case through the veil, and what it should come to: on the database as the user sees it, and on one with other
protected values.

The veil decides in this process, and what it would send goes to PostgreSQL at once: so there is time for thousands. It
decides from shapes where it can. Now and then a case goes through a proxy too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fuzz.answers import Answer, Line, difference
from fuzz.cases import Case
from fuzz.cells import USERS, marks_for
from fuzz.scope import Table, tables_for
from fuzz.texts import ShapedVeil, ShapesDifferError, TextsDifferError
from fuzz.world import SEARCH_PATH, World
from proxy.policy.plan import Refusal
from proxy.policy.rules import Identity

ProxyLine = Callable[[str], Line]
"""A new connection of a user through a proxy."""

EMPTY_AS_LIMITED = frozenset({"42601", "42P01", "42703"})
"""What the veil refuses as PostgreSQL itself would."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case. `outcome`: answered, same error, refused, skipped, different, leak, dependent."""

    outcome: str
    detail: str = ""
    sqlstate: str = ""

    @property
    def fault(self) -> bool:
        return self.outcome in ("different", "leak", "dependent")


class Oracle:
    """Judges cases. Use `close` at the end."""

    def __init__(self, world: World, proxy: ProxyLine | None = None) -> None:
        self._veil = ShapedVeil(world.veil)
        self.identities: dict[str, Identity] = {}
        for user in USERS:
            found = world.veil.policy.identify(user)
            if found is None:
                raise RuntimeError(f"the policy does not know the user {user}")
            self.identities[user] = found
        self.tables: dict[str, list[Table]] = {
            user: tables_for(world.veil, identity) for user, identity in self.identities.items()
        }
        dsn = world.server.dsn_for
        self._base = Line(dsn(world.base()))
        self._seen = {user: Line(dsn(world.seen(user))) for user in USERS}
        self._other = {user: Line(dsn(world.other(user))) for user in USERS}
        self._through = {user: proxy(user) for user in USERS} if proxy else {}
        self._row_types = _row_types(world)

    def close(self) -> None:
        for line in (self._base, *self._seen.values(), *self._other.values(), *self._through.values()):
            line.close()

    @property
    def shaped(self) -> int:
        """How many statements got their plan from the shape of others, so far."""
        return self._veil.shaped

    def judge(self, case: Case, *, through_proxy: bool = False) -> Verdict:
        """Runs the case everywhere."""
        try:
            return self._judge(case, through_proxy=through_proxy)
        except ShapesDifferError as error:
            return Verdict("different", f"from a shape another plan comes than without: {error}")
        except TextsDifferError as error:
            return Verdict("different", f"the two ways to the text differ: {error}")
        finally:
            if len(case.steps) > 1:
                for line in (self._base, self._seen[case.user], self._other[case.user]):
                    line.tidy()

    def _judge(self, case: Case, *, through_proxy: bool) -> Verdict:
        last = Verdict("answered")
        for step in case.steps:
            verdict = self._step(replace(case, steps=(step,)))
            if verdict.outcome != "answered":
                last = verdict
                break
        if through_proxy and self._through and last.outcome in ("answered", "same error"):
            return self._proxied(case, last)
        return last

    def _step(self, case: Case) -> Verdict:
        (sql,) = case.steps
        plan = self._veil.decide(sql, self.identities[case.user], SEARCH_PATH)
        if isinstance(plan, Refusal):
            wanted = self._seen[case.user].ask(sql, case.parameters) if plan.sqlstate in EMPTY_AS_LIMITED else None
            if wanted is not None and wanted.sqlstate == plan.sqlstate:
                return Verdict("same error", plan.message, plan.sqlstate)
            return Verdict("refused", plan.message, plan.sqlstate)
        got = self._base.ask(plan.sql, case.parameters)
        wanted = self._seen[case.user].ask(sql, case.parameters)
        other = self._other[case.user].ask(plan.sql, case.parameters)
        return self._compared(case, got, wanted, other)

    def _compared(self, case: Case, got: Answer, wanted: Answer, other: Answer) -> Verdict:
        if got.took_too_long or wanted.took_too_long or other.took_too_long:
            return Verdict("skipped", got.message or wanted.message)
        leak = self._leak(case, got, wanted)
        if leak is not None:
            return leak
        if case.comparable:
            found = difference(got, wanted, ordered=case.ordered, row_types=self._row_types)
            if found is not None:
                return Verdict("different", found)
            found = difference(got, other, ordered=case.ordered, row_types=frozenset())
            if found is not None:
                return Verdict("dependent", found)
        elif got.sqlstate != wanted.sqlstate:
            return Verdict(
                "different", f"{got.sqlstate} ({got.message}) instead of {wanted.sqlstate} ({wanted.message})"
            )
        return Verdict("same error" if got.sqlstate else "answered", got.message, got.sqlstate)

    def _leak(self, case: Case, got: Answer, wanted: Answer) -> Verdict | None:
        """A mark in the reply that the right one does not have: a statement may have brought it along itself."""
        said, right = got.text, wanted.text
        for mark in marks_for(USERS[case.user]):
            if mark in said and mark not in right:
                return Verdict("leak", f"{mark.decode()} is in the reply")
        return None

    def _proxied(self, case: Case, direct: Verdict) -> Verdict:
        """The same through a proxy, against the right answer."""
        line = self._through[case.user]
        seen = self._seen[case.user]
        seen.tidy()  # of the first time
        for step in case.steps:
            got, wanted = line.ask(step, case.parameters), seen.ask(step, case.parameters)
            verdict = self._compared(case, got, wanted, got)
            if verdict.outcome not in ("answered", "same error"):
                line.tidy()
                return replace(verdict, detail=f"through the proxy: {verdict.detail}")
        line.tidy()
        return direct


def _row_types(world: World) -> frozenset[int]:
    with world.connect(world.base()) as connection:
        rows = connection.execute(
            "SELECT t.oid, t.typarray FROM pg_type AS t JOIN pg_class AS c ON c.oid = t.typrelid"
            " WHERE c.relkind IN ('r', 'p', 'v') AND c.oid >= 16384"
        ).fetchall()
    return frozenset(int(str(oid)) for row in rows for oid in row)
