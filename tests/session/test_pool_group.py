"""The pool by itself, over connections that are none: who gets one, who waits, and what is given to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from proxy.errors import PgveilError, UpstreamUnavailableError
from proxy.pool import Group, PoolLimits
from proxy.poolerrors import QueueTimeoutError
from proxy.poolqueue import Want
from proxy.serverconn import Conn, Facts
from proxy.upstream import Upstream
from proxy.wire.messages import NotificationResponse, ParameterStatus, ReadyForQuery

Found = Conn | PgveilError


class FakeStream:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = self.aborted = False

    def attach(self, receiver: object) -> None: ...
    def resume_reading(self) -> None: ...

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


@dataclass
class FakeUpstream:
    stream: FakeStream = field(default_factory=FakeStream)
    parameters: list[ParameterStatus] = field(default_factory=lambda: [ParameterStatus("TimeZone", "UTC")])


@dataclass
class FakeMetrics:
    waits: list[float] = field(default_factory=list)

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    def pinned(self, reason: str) -> None: ...
    def crash(self) -> None: ...


@dataclass
class Somebody:
    """A user of connections."""

    got: list[bytes] = field(default_factory=list)

    def received(self, data: bytes) -> None:
        self.got.append(data)

    def lost(self) -> None: ...
    def clogged(self) -> None: ...
    def cleared(self) -> None: ...


class World:
    def __init__(self, **limits: Any) -> None:
        self.metrics = FakeMetrics()
        self.tasks: list[asyncio.Task[None]] = []
        self.opened = 0
        self.failure: PgveilError | None = None
        self.facts: Facts = None
        self.group = Group(PoolLimits(**{"size": 1, "queue_seconds": 0.0, **limits}), self._spawn, self.metrics)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.append(task)
        return task

    async def connect(self) -> tuple[Upstream, Facts]:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        self.opened += 1
        return cast("Upstream", FakeUpstream()), self.facts

    def want(self, key: str = "a", facts: Facts = None) -> Want:
        return Want(key, facts, self.connect)

    async def one(self, key: str = "a", facts: Facts = None) -> Conn:
        """A connection that somebody has from now on."""
        found: list[Found] = []
        conn = self.group.take(self.want(key, facts), {})
        if conn is None:
            self.group.queue(self.want(key, facts), found.append)
            await self.settle()
            assert isinstance(found[0], Conn)
            conn = found[0]
        conn.user = Somebody()
        return conn

    def waiter(self, key: str = "a", facts: Facts = None) -> list[Found]:
        found: list[Found] = []
        assert self.group.take(self.want(key, facts), {}) is None
        self.group.queue(self.want(key, facts), found.append)
        return found

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def stream_of(conn: Conn) -> FakeStream:
    return cast("FakeStream", conn.stream)


def test_a_connection_is_used_again() -> None:
    async def test() -> None:
        world = World()
        first = await world.one()
        world.group.give_back(first)
        assert await world.one() is first
        assert world.opened == 1

    run(test)


def test_never_more_than_its_size_and_first_come_first_served() -> None:
    async def test() -> None:
        world = World(size=2)
        held = [await world.one(), await world.one()]
        waiting = [world.waiter() for _ in range(3)]
        await world.settle()
        assert (world.opened, [len(w) for w in waiting]) == (2, [0, 0, 0])
        world.group.give_back(held[0])
        assert [len(w) for w in waiting] == [1, 0, 0]
        world.group.give_back(held[1])
        assert [len(w) for w in waiting] == [1, 1, 0]

    run(test)


def test_another_key_gets_a_connection_of_its_own_in_its_turn() -> None:
    async def test() -> None:
        world = World()
        held = await world.one("a")
        other, same = world.waiter("b"), world.waiter("a")
        world.group.give_back(held)
        assert stream_of(held).closed
        await world.settle()
        assert isinstance(other[0], Conn)
        assert other[0] is not held
        assert same == []
        world.group.give_back(other[0])
        await world.settle()
        assert isinstance(same[0], Conn)
        assert same[0].key == "a"

    run(test)


def test_an_unused_connection_of_another_key_makes_room() -> None:
    async def test() -> None:
        world = World()
        held = await world.one("a")
        world.group.give_back(held)
        assert (await world.one("b")).key == "b"
        assert stream_of(held).closed

    run(test)


def test_a_connection_with_other_facts_is_none_for_the_session() -> None:
    async def test() -> None:
        world = World(size=2)
        world.facts = ("public",)
        old = await world.one("a", ("public",))
        world.group.give_back(old)
        world.facts = ("other",)
        told = world.waiter("a", ("before",))
        await world.settle()
        assert isinstance(told[0], PgveilError)
        assert await world.one("a", ("public",)) is old

    run(test)


def test_a_connection_that_is_being_cancelled_is_given_to_nobody() -> None:
    async def test() -> None:
        world = World()
        held = await world.one()
        held.cancels = 1
        waiting = world.waiter()
        world.group.give_back(held)
        await world.settle()
        assert waiting == []
        world.group.cancelled(held, delivered=True)
        assert waiting == [held]

    run(test)


def test_a_cancel_request_that_may_still_come_spoils_its_connection() -> None:
    async def test() -> None:
        world = World()
        held = await world.one()
        held.cancels = 1
        waiting = world.waiter()
        world.group.give_back(held)
        world.group.cancelled(held, delivered=False)
        await world.settle()
        assert stream_of(held).closed
        assert isinstance(waiting[0], Conn)
        assert waiting[0] is not held

    run(test)


def test_who_waits_too_long_is_told_once_and_gets_nothing_later() -> None:
    async def test() -> None:
        world = World(queue_seconds=0.01)
        held = await world.one()
        waiting: list[Found] = []
        told = asyncio.Event()

        def ready(found: Found) -> None:
            waiting.append(found)
            told.set()

        world.group.queue(world.want(), ready)
        await told.wait()
        assert isinstance(waiting[0], QueueTimeoutError)
        world.group.give_back(held)
        assert len(waiting) == 1
        assert world.group.idle == 1

    run(test)


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def test_everybody_who_waits_has_the_same_time_from_when_they_came() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Clock)
        world = World(queue_seconds=1000.0)
        held = await world.one()
        first = world.waiter()
        loop.ahead += 600
        second = world.waiter()
        await world.settle()
        assert (len(first), len(second)) == (0, 0)
        loop.ahead += 600
        await world.settle()
        assert isinstance(first[0], QueueTimeoutError)
        assert second == []
        loop.ahead += 600
        await world.settle()
        assert isinstance(second[0], QueueTimeoutError)
        third = world.waiter()
        loop.ahead += 600
        world.group.give_back(held)
        assert third == [held]
        assert [round(seconds, -2) for seconds in world.metrics.waits] == [0, 1200, 1200, 600]

    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(test())


def test_a_server_that_is_down_is_told_to_everybody_who_waits() -> None:
    async def test() -> None:
        world = World()
        world.failure = UpstreamUnavailableError("down")
        waiting = [world.waiter() for _ in range(3)]
        for _ in range(5):
            await world.settle()
        assert [type(w[0]) for w in waiting] == [UpstreamUnavailableError] * 3
        world.failure = None
        assert isinstance(await world.one(), Conn)

    run(test)


def test_who_leaves_the_queue_leaves_the_connection_to_the_next() -> None:
    async def test() -> None:
        world = World()
        held = await world.one()
        gone: list[Found] = []
        ticket = world.group.queue(world.want(), gone.append)
        waiting = world.waiter()
        world.group.leave(ticket)
        world.group.give_back(held)
        assert (gone, waiting) == ([], [held])

    run(test)


def test_a_lost_connection_makes_room() -> None:
    async def test() -> None:
        world = World()
        held = await world.one()
        waiting = world.waiter()
        held.lost()
        await world.settle()
        assert isinstance(waiting[0], Conn)

    run(test)


@pytest.mark.parametrize("limit", ["lifetime_seconds", "idle_seconds"])
def test_old_connections_are_closed(limit: str) -> None:
    async def test() -> None:
        world = World(**{limit: 0.01})
        held = await world.one()
        await asyncio.sleep(0.02)
        world.group.sweep()
        assert not stream_of(held).closed  # somebody has it
        world.group.give_back(held)
        await asyncio.sleep(0.02)
        world.group.sweep()
        assert stream_of(held).closed
        assert world.group.idle == 0

    run(test)


def test_a_setting_that_the_administrator_changes_is_remembered_and_more_is_not_put_up_with() -> None:
    async def test() -> None:
        world = World()
        held = await world.one()
        world.group.give_back(held)
        held.received(ParameterStatus("TimeZone", "Asia/Kolkata").encode())
        held.received(NotificationResponse(1, "c", "").encode())
        assert held.reported["TimeZone"] == "Asia/Kolkata"
        assert world.group.idle == 1
        held.received(ReadyForQuery("I").encode())
        assert stream_of(held).closed
        assert world.group.idle == 0

    run(test)


def test_the_own_last_connection_and_the_own_settings_come_first() -> None:
    async def test() -> None:
        world = World(size=3)
        held = [await world.one() for _ in range(3)]
        held[0].settings = {b"a": b"1"}
        for conn in held:
            world.group.give_back(conn)
        assert world.group.take(world.want(), {b"a": b"1"}) is held[0]
        assert world.group.take(world.want(), {}) is held[2]

    run(test)
