"""Which users' sessions take connections in turn."""

from __future__ import annotations

import pytest

from proxy.policy.rules import Identity
from proxy.pooling import Pooling
from proxy.settings import PoolSettings


class Watcher:
    def waited(self, seconds: float) -> None: ...
    def pinned(self, reason: str) -> None: ...
    def crash(self) -> None: ...


@pytest.mark.parametrize(
    ("roles", "shares"),
    [(("web",), True), (("batch",), False), (("web", "batch"), False), (("batch", "web"), False), (("other",), False)],
)
def test_all_roles_of_a_user_have_to_say_so(roles: tuple[str, ...], shares: bool) -> None:
    pooling = Pooling(PoolSettings(mode="session", roles={"web": "transaction", "batch": "session"}), Watcher())
    assert pooling.shares(Identity("somebody", roles)) is shares
