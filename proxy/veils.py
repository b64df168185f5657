"""Which veil is in force: the last good policy over the latest catalogue, and a new number with each change of either.

It does not know sessions; they ask it at every statement, so a change holds from the next one on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from proxy.errors import UpstreamUnavailableError
from proxy.feed import Feed
from proxy.ops.log import get_logger
from proxy.ops.metrics import Metrics
from proxy.policy.catalog import Catalog
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.model import Policy
from proxy.policy.rules import Identity

REFRESH_SECONDS = 1.05
"""Between two readings of the catalogue; a little more than what `Feed.refresh` itself insists on."""

_log = get_logger("veils")


class VeilHolder:
    """The policy, which was just loaded, the catalogue, and the veil made of both. `feed` is set once there is one."""

    def __init__(self, policy: Policy, metrics: Metrics) -> None:
        self.policy = policy
        self.generation = 0
        self.metrics = metrics
        metrics.policy_loaded(ok=True)
        self._veil: Veil | None = None
        self._catalog: Catalog | None = None
        self._feed: Feed | None = None
        self._lock = asyncio.Lock()
        self._read_at = -REFRESH_SECONDS

    def __repr__(self) -> str:
        return f"VeilHolder(generation={self.generation}, policy={self.policy.digest!r})"

    @property
    def veil(self) -> Veil:
        """Raises UpstreamUnavailableError (08001) until the catalogue was read for the first time."""
        if self._veil is None:
            raise UpstreamUnavailableError(
                "the catalogue of the database has not been read yet",
                hint="The proxy reads it as soon as the database answers; try again.",
            )
        return self._veil

    @property
    def ready(self) -> bool:
        return self._veil is not None

    def identify(self, user: str) -> Identity | None:
        return self.policy.identify(user)

    def read_from(self, feed: Feed) -> None:
        """Where `refresh` asks."""
        self._feed = feed

    def catalog_changed(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.metrics.catalog_refreshed(ok=True)
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

    async def reload(self, directory: Path, changed: Callable[[], None]) -> None:
        """Reads the policies again, and calls `changed`. What cannot be used leaves the old ones in force, loudly."""
        try:
            policy = await asyncio.to_thread(load_policies, directory)
        except Exception as error:  # a policy that breaks the loader must not end the proxy either
            self.metrics.policy_loaded(ok=False)
            problems = getattr(error, "problems", ())
            _log.error(
                "the new policies cannot be used; the old ones stay in force",
                policy=self.policy.digest,
                error_type=type(error).__name__,
                problems=len(problems),
                place=[str(problem.where) for problem in problems[:20]],
            )
            return
        self.policy = policy
        self.metrics.policy_loaded(ok=True)
        self._renew()
        _log.info("policies loaded", policy=policy.digest)
        changed()

    def _renew(self) -> None:
        self.generation += 1
        if self._catalog is not None:
            self._veil = Veil(self.policy, self._catalog)
