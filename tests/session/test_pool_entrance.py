"""Sessions that come to shared connections and leave again: what is kept of them, and what of a connection that nobody
waits for any more."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

import pytest
from test_lease import Server, Watcher

from proxy.policy.rules import Identity
from proxy.pooling import Borrowed, Entry, Pooling
from proxy.settings import PoolSettings, UpstreamDsn
from proxy.upstream import Upstream

DSN = UpstreamDsn.parse("postgresql://ann@127.0.0.1:1/shop")
IDENTITY = Identity("ann", ("dba",), bypass=True)


class Secret:
    """What a client has proven."""


class Reception:
    def __init__(self) -> None:
        self.pooling = Pooling(PoolSettings(mode="transaction", size=1), Watcher())
        self.tasks: list[asyncio.Task[None]] = []
        self.used: list[weakref.ref[Secret]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def _connect(self, secret: Secret, _parameters: dict[str, str]) -> Upstream:
        self.used.append(weakref.ref(secret))
        await self.gate.wait()
        return cast("Upstream", Server())

    def enter(self, secret: Secret) -> Coroutine[Any, Any, Borrowed]:
        return self.pooling.enter(Entry(IDENTITY, DSN, {}, partial(self._connect, secret)), self._spawn)


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)
    gc.collect()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_what_a_client_has_proven_goes_with_its_session() -> None:
    """Its connection stays, and is another session's that logs in as the same user."""

    async def test() -> None:
        desk = Reception()
        secret = Secret()
        proven = weakref.ref(secret)
        one = await desk.enter(secret)
        other = await desk.enter(secret)
        del secret
        one.stream.close()
        await settle()
        assert proven() is not None
        other.stream.close()
        await settle()
        assert proven() is None
        assert desk.pooling.pool.count("idle") == 1

    run(test)


def test_what_a_client_has_proven_goes_with_a_login_that_is_given_up() -> None:
    async def test() -> None:
        desk = Reception()
        desk.gate.clear()
        secret = Secret()
        proven = weakref.ref(secret)
        coming = asyncio.create_task(desk.enter(secret))
        del secret
        await settle()
        coming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await coming
        del coming
        desk.gate.set()
        await settle()
        assert len(desk.used) == 1
        assert proven() is None

    run(test)


def test_a_connection_that_comes_as_its_login_is_given_up_is_the_next_ones() -> None:
    async def test() -> None:
        desk = Reception()
        desk.gate.clear()
        coming = asyncio.create_task(desk.enter(Secret()))
        await settle()
        desk.gate.set()
        await asyncio.sleep(0)  # it is made, and the login's, which has not heard of it yet
        assert desk.pooling.pool.count("active") == 1
        coming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await coming
        assert desk.pooling.pool.count("idle") == 1

    run(test)
