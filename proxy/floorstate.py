"""Whether the floor in the database is that of the policy in force: for operators, who build it by hand.

A policy that changes, or a table, makes views of the floor out of date, and statements over them are refused until
`pgveil harden` has been run again. This says so before anybody asks: it makes every role set's views anew, in a thread
of its own because there may be thousands, and holds them against the catalogue.

It does not know logins and their rights: `pgveil harden --audit` does.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from proxy.floorsql import floor_of, role_sets, view_names
from proxy.ops.log import get_logger
from proxy.ops.metrics import Metrics
from proxy.policy.catalog import Catalog
from proxy.policy.floor import fault_of, floor_comment
from proxy.policy.model import Policy

SHOWN = 5
"""Role sets that the status names."""

_log = get_logger("floorstate")


def stale_floors(policy: Policy, catalog: Catalog) -> list[tuple[str, ...]]:
    """The role sets whose views are missing or out of date. Raises ConfigError where there can be no floor."""
    found = []
    for roles in role_sets(policy):
        floor = floor_of(policy, catalog, roles)
        views = view_names(catalog, floor)
        if any(fault_of(catalog, name, r, floor_comment(v, only=only)) for r, v, only, name in views):
            found.append(roles)
    return found


class FloorState:
    """What was last found. `look` may be called from any thread, and looks at the latest it was given."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pgveil-floor")
        self._asked: tuple[Policy, Catalog] | None = None
        self._stale: list[tuple[str, ...]] | None = None
        self._failed = False

    def __repr__(self) -> str:
        return f"FloorState(stale={None if self._stale is None else len(self._stale)})"

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def look(self, policy: Policy, catalog: Catalog) -> None:
        """The policy with all its exceptions, and the catalogue, are these now. Returns before it has looked."""
        with self._lock:
            if self._asked is not None and self._asked[0] is policy and self._asked[1] is catalog:
                return
            self._asked = policy, catalog
        with suppress(RuntimeError):  # the proxy is ending
            self._thread.submit(self._look, policy, catalog)

    def status(self) -> str:
        """For `/readyz`."""
        if self._failed:
            return "the floor of the policy in force cannot be told: pgveil harden says why"
        if self._stale is None:
            return "not looked at yet"
        if not self._stale:
            return "as the policy in force needs it"
        names = ", ".join("+".join(roles) for roles in self._stale[:SHOWN])
        more = f" and {len(self._stale) - SHOWN} more" if len(self._stale) > SHOWN else ""
        return f"missing or out of date for {names}{more}: run what pgveil harden prints"

    def _look(self, policy: Policy, catalog: Catalog) -> None:
        with self._lock:
            if self._asked is None or self._asked[0] is not policy or self._asked[1] is not catalog:
                return  # there is a later one
        try:
            stale = stale_floors(policy, catalog)
        except Exception as error:  # whatever it is: statements are decided on without this
            self._failed = True
            _log.error("it cannot be told whether the floor is up to date", error_type=type(error).__name__)
            return
        self._failed = False
        before, self._stale = self._stale, stale
        self._metrics.floor_stale(len(stale))
        if stale and stale != before:
            roles = tuple("+".join(names) for names in stale)
            _log.warning("the floor is missing or out of date", roles=roles, count=len(stale), policy=policy.digest)
