"""Which veil is in force: the last good policy over the latest catalogue, and a new number with each change of either.

Time changes it too: an exception that ends is gone with the second that it names. No timer is trusted with that; who
asks for the veil or its number is answered by the clock.

It does not know sessions; they ask it at every statement, so a change holds from the next one on.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from datetime import datetime

from proxy.clock import Clock
from proxy.errors import UpstreamUnavailableError
from proxy.feed import Feed
from proxy.ops.log import get_logger
from proxy.ops.metrics import Metrics
from proxy.policy.catalog import Catalog
from proxy.policy.decide import Veil
from proxy.policy.model import Policy
from proxy.policy.rules import Identity
from proxy.policyfiles import Broken

REFRESH_SECONDS = 1.05
"""Between two readings of the catalogue; a little more than what `Feed.refresh` itself insists on."""
TICK_SECONDS = 0.5
"""How late the log may say that an exception has ended, where nobody asked in between."""
SHORT = 12
"""Characters of a policy's digest that are shown as its version."""

Renewed = Callable[[Policy, Catalog], None]

_log = get_logger("veils")


class VeilHolder:
    """The policy, which was just loaded, the catalogue, and the veil made of both. `feed` is set once there is one.

    `veil` and `generation` may be asked from any thread. `on_floor` is `Veil`'s.
    """

    def __init__(self, policy: Policy, metrics: Metrics, clock: Clock | None = None, *, on_floor: bool = False) -> None:
        self.metrics = metrics
        self.clock = clock or Clock()
        self.on_floor = on_floor
        self.renewed: Renewed | None = None
        """Is told the policy and the catalogue of each new veil; from whatever thread, so it returns at once."""
        self.broken: Broken | None = None
        """What is wrong with the files on disk, where they are not what is in force."""
        metrics.policy_loaded(ok=True)
        self.policy = policy
        """As its files have it, with the exceptions that have ended."""
        self._in_force = policy.at(self.clock.moment())
        self._ends_at = _end_of(self._in_force)
        self._generation = 0
        self._veil: Veil | None = None
        self._written_out: Veil | None = None
        self._catalog: Catalog | None = None
        self._feed: Feed | None = None
        self._lock = asyncio.Lock()
        self._renewing = threading.Lock()
        self._read_at = -REFRESH_SECONDS

    def __repr__(self) -> str:
        return f"VeilHolder(generation={self._generation}, policy={self.policy.digest!r})"

    @property
    def veil(self) -> Veil:
        """Raises UpstreamUnavailableError (08001) until the catalogue was read for the first time."""
        self._keep_time()
        if self._veil is None:
            raise UpstreamUnavailableError(
                "the catalogue of the database has not been read yet",
                hint="The proxy reads it as soon as the database answers; try again.",
            )
        return self._veil

    @property
    def inline(self) -> Veil:
        """The same with the masked views written out, for what runs as the proxy's own account: on the floor, that
        need not be able to read the floor's views. Raises as `veil` does."""
        veil = self.veil
        return self._written_out or veil

    @property
    def generation(self) -> int:
        """Whoever keeps a decision with its number reads the number first: a newer veil under an older number is
        decided on again, an older veil under a newer number would stay."""
        self._keep_time()
        return self._generation

    @property
    def catalog(self) -> Catalog | None:
        """The latest, or None until it was read for the first time."""
        return self._catalog

    @property
    def in_force(self) -> Policy:
        """The policy without the exceptions that have ended."""
        self._keep_time()
        return self._in_force

    @property
    def version(self) -> str:
        """Of the policy in force, for people and records."""
        return self.policy.digest[:SHORT]

    @property
    def ready(self) -> bool:
        return self._veil is not None

    def status(self) -> str:
        """Which policy is in force, and whether the files on disk say something else that cannot be used."""
        if self.broken is None:
            return f"version {self.version}"
        count = self.broken.problems
        return (
            f"the files on disk cannot be used ({self.broken.error_type}, "
            f"{count} problem{'' if count == 1 else 's'}); version {self.version} stays in force"
        )

    def identify(self, user: str) -> Identity | None:
        return self.policy.identify(user)

    def read_from(self, feed: Feed) -> None:
        """Where `refresh` asks."""
        self._feed = feed

    def catalog_changed(self, catalog: Catalog) -> None:
        self.metrics.catalog_refreshed(ok=True)
        with self._renewing:
            self._catalog = catalog
            self._renew()

    async def refresh(self) -> None:
        """Reads the catalogue as it is after this call began; a failure leaves the old one. Raises nothing."""
        asked = time.monotonic()
        async with self._lock:
            if self._feed is None or self._read_at >= asked:
                return
            await asyncio.sleep(max(0.0, self._read_at + REFRESH_SECONDS - time.monotonic()))
            self._read_at = time.monotonic()
            try:
                await self._feed.refresh(force=True)
            except Exception as error:  # whatever a driver raises; the timer tries again
                self.metrics.catalog_refreshed(ok=False)
                _log.warning("the catalogue could not be read", error_type=type(error).__name__)

    # The policy

    def take(self, found: Policy | Broken, changed: Callable[[], None], *, asked: bool = False) -> None:
        """The files were read again. Calls `changed` where they say something new.

        What cannot be used leaves the old policy in force, loudly: once for each thing that is wrong, and whenever the
        operator `asked`.
        """
        broken = found if isinstance(found, Broken) else None
        self.metrics.policy_loaded(ok=broken is None)
        self.metrics.policy_broken(broken=broken is not None)
        before, self.broken = self.broken, broken
        if isinstance(found, Broken):
            if asked or found != before:
                _log.error(
                    "the new policies cannot be used; the old ones stay in force",
                    policy=self.policy.digest,
                    error_type=found.error_type,
                    problems=found.problems,
                    place=found.places,
                )
            return
        same = found.digest == self.policy.digest
        if asked or before is not None or not same:
            _log.info("policies loaded", policy=found.digest)
        if not same:
            self._enforce(found)
            changed()

    def _enforce(self, policy: Policy) -> None:
        with self._renewing:
            self.policy = self._in_force = policy
            self._renew(said=True)

    # Time

    async def watch_time(self) -> None:
        """Says in time that an exception has ended, where no statement comes to ask. Until it is cancelled."""
        while True:
            self._keep_time()
            await asyncio.sleep(TICK_SECONDS)

    def _keep_time(self) -> None:
        if self._ends_at == math.inf or self.clock.seconds() < self._ends_at:
            return
        with self._renewing:
            if self.clock.seconds() >= self._ends_at:
                self._renew()

    def _renew(self, *, said: bool = False) -> None:
        """A new veil of what there is now. Under the lock; the number last, so that none is older than it says."""
        moment = self.clock.moment()
        if not said:
            _say_ended(self._in_force, moment)
        self._in_force = self._in_force.at(moment)
        if self._catalog is not None:
            # The floor's views know by themselves when an exception ends, and have to stay what they were made of.
            policy = self.policy if self.on_floor else self._in_force
            self._veil = Veil(policy, self._catalog, on_floor=self.on_floor)
            self._written_out = Veil(self._in_force, self._catalog) if self.on_floor else self._veil
            if self.renewed is not None:
                self.renewed(policy, self._catalog)
        self._generation += 1
        self._ends_at = _end_of(self._in_force)


def _end_of(policy: Policy) -> float:
    """When the next exception ends, in seconds since 1970."""
    ends = policy.changes_at()
    return math.inf if ends is None else ends.timestamp()


def _say_ended(policy: Policy, moment: datetime) -> None:
    for rule in policy.masks:
        for exemption in rule.exemptions:
            if not exemption.holds(moment):
                _log.info(
                    "an exception from a mask has ended",
                    roles=(exemption.role,),
                    place=str(rule.where),
                    approved_by=exemption.approved_by,
                    policy=policy.digest,
                )
