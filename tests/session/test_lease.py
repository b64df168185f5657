"""A session's turns on shared connections, over connections that are none: what must hold between two steps of the
loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest

from proxy.inquiry import Origin
from proxy.lease import Lease
from proxy.pool import Group, PoolLimits
from proxy.poolqueue import Want
from proxy.serverconn import Conn, Facts
from proxy.upstream import Upstream
from proxy.wire.messages import ParameterStatus, Terminate

SELECT, BEGIN = b"Q\0\0\0\x0dSELECT 1\0", b"Q\0\0\0\x0aBEGIN\0"
CALL = b"Q\0\0\0\x0fSELECT f()\0"
PARSE = b"P\0\0\0\x10\0SELECT 1\0\0\0"
PARSED = b"1\0\0\0\4"
ROWLESS = b"C\0\0\0\x0dSELECT 0\0"
BEGUN = b"C\0\0\0\x0aBEGIN\0Z\0\0\0\5T"
READY = b"Z\0\0\0\5I"


class Wire:
    """What goes to the server."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = self.aborted = self._paused = False

    def is_read(self) -> bool:
        return not self._paused

    def attach(self, receiver: object) -> None: ...

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False

    def send(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


@dataclass
class Server:
    stream: Wire = field(default_factory=Wire)
    parameters: list[ParameterStatus] = field(default_factory=list)
    cancelled: int = 0
    delivers: bool = True

    async def deliver_cancel(self) -> bool:
        self.cancelled += 1
        return self.delivers


@dataclass
class Client:
    got: bytes = b""
    ended: bool = False
    full: Callable[[], None] = lambda: None
    """Is called when something was received."""

    def received(self, data: bytes) -> None:
        self.got += data
        self.full()

    def lost(self) -> None:
        self.ended = True

    def clogged(self) -> None: ...
    def cleared(self) -> None: ...


class Watcher:
    def waited(self, seconds: float) -> None: ...
    def pinned(self, reason: str) -> None: ...
    def crash(self) -> None:
        raise AssertionError


class World:
    """One server connection at most, and sessions that want it."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.group = Group(PoolLimits(size=1, queue_seconds=0), self._spawn, Watcher())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def _connect(self) -> tuple[Upstream, Facts]:
        self.servers.append(Server())
        return cast("Upstream", self.servers[-1]), None

    def session(self, **settings: str) -> tuple[Lease, Client]:
        own = {name.encode(): value.encode() for name, value in settings.items()}
        lease, client = Lease(self.group, Want("key", None, self._connect), Origin("login", own, {})), Client()
        lease.attach(client)
        return lease, client

    def conn(self) -> Conn:
        return next(iter(self.group._all))

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_a_cancel_request_holds_the_connection_from_the_moment_it_is_made() -> None:
    """Between that and the first step of sending it, the statement may end and the next session be there."""

    async def test() -> None:
        world = World()
        (one, _), (other, heard) = world.session(), world.session()
        one.send(SELECT)
        await world.settle()
        other.send(SELECT)
        sending = one.cancel()
        world.conn().received(ROWLESS + READY)
        assert world.servers[0].stream.sent == SELECT  # the other waits
        await sending
        assert world.servers[0].cancelled == 1
        assert world.servers[0].stream.sent == SELECT * 2
        world.conn().received(ROWLESS + READY)
        assert heard.got == ROWLESS + READY

    run(test)


def test_a_cancel_request_that_may_come_late_meets_nobody() -> None:
    async def test() -> None:
        world = World()
        (one, _), (other, _) = world.session(), world.session()
        one.send(SELECT)
        await world.settle()
        other.send(SELECT)
        world.servers[0].delivers = False
        sending = one.cancel()
        world.conn().received(ROWLESS + READY)
        await sending
        await world.settle()
        assert world.servers[0].stream.closed
        assert world.servers[0].stream.sent == SELECT + Terminate().encode()
        assert world.servers[1].stream.sent == SELECT

    run(test)


@pytest.mark.parametrize(("sent", "answer"), [(BEGIN, BEGUN), (PARSE, PARSED)], ids=["BEGIN", "Parse"])
def test_a_client_that_leaves_while_its_settings_are_made_keeps_no_connection(sent: bytes, answer: bytes) -> None:
    async def test() -> None:
        world = World()
        (one, _), (other, _) = world.session(application_name="one"), world.session()
        one.send(sent)
        await world.settle()
        first = world.servers[0].stream
        assert b"set_config" in first.sent
        assert sent not in first.sent
        one.send(Terminate().encode())
        one.close()
        other.send(SELECT)
        conn = world.conn()
        conn.received(b"T\0\0\0\6\0\0D\0\0\0\6\0\0" + ROWLESS + READY)
        if sent in first.sent:
            conn.received(answer)
        await world.settle()
        assert first.closed
        assert world.servers[1].stream.sent == SELECT
        conn.lost()
        await one.wait_closed()

    run(test)


def test_a_client_that_leaves_while_the_server_is_asked_gives_the_connection_back() -> None:
    async def test() -> None:
        world = World()
        (one, _), (other, _) = world.session(), world.session()
        one.send(CALL)
        await world.settle()
        world.conn().received(ROWLESS + READY)
        one.send(Terminate().encode())
        one.close()
        other.send(SELECT)
        sent = world.servers[0].stream.sent
        assert b"pg_listening_channels" in sent
        assert sent[-len(SELECT) :] != SELECT
        world.conn().received(b"T\0\0\0\6\0\0" + ROWLESS + READY)
        assert world.servers[0].stream.sent == sent + SELECT
        await one.wait_closed()

    run(test)


TITLE, ROW = b"T\0\0\0\6\0\0", b"D\0\0\0\x0b\0\1\0\0\0\1x"
NOTICE = b"N\0\0\0\x14SNOTICE\0Mhello\0\0"
FAILURE = b"E\0\0\0\x17SERROR\0C42P01\0Mno\0\0"
EXTENDED = PARSE + b"B\0\0\0\x0c\0\0\0\0\0\0\0\0" + b"D\0\0\0\6P\0" + b"E\0\0\0\x09\0\0\0\0\0" + b"S\0\0\0\4"
COPIED = b"H\0\0\0\7\0\0\0" + b"d\0\0\0\6x\n" * 2 + b"c\0\0\0\4" + b"C\0\0\0\x0bCOPY 2\0"
CONVERSATIONS = {
    "rows": (SELECT, TITLE + ROW * 3 + ROWLESS + READY),
    "a notice among them": (SELECT, TITLE + ROW + NOTICE + ROW + ROWLESS + READY),
    "an error after some": (SELECT, TITLE + ROW + FAILURE + READY),
    "two statements in one text": (SELECT, (TITLE + ROW + ROWLESS) * 2 + READY),
    "COPY": (SELECT, COPIED + READY),
    "extended": (EXTENDED, PARSED + b"2\0\0\0\4" + TITLE + ROW * 2 + ROWLESS + READY),
    "extended, with an error": (EXTENDED, PARSED + FAILURE + READY),
    "two behind each other": (SELECT + EXTENDED, ROWLESS + READY + PARSED + b"2\0\0\0\4" + TITLE + ROWLESS + READY),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_an_answer_is_the_same_however_it_comes_and_ends_with_its_last_byte(name: str) -> None:
    asked, answer = CONVERSATIONS[name]

    async def test(cut: int) -> None:
        world = World()
        (one, heard), (other, _) = world.session(), world.session()
        one.send(asked)
        await world.settle()
        other.send(SELECT)
        for part in (answer[:cut], answer[cut:]):
            assert world.servers[0].stream.sent == asked  # the other waits
            world.conn().received(part)
        assert heard.got == answer
        assert not heard.ended
        assert world.servers[0].stream.sent.endswith(SELECT)
        assert world.servers[0].stream.sent != asked

    for cut in range(1, len(answer)):
        run(partial(test, cut))


@pytest.mark.parametrize("wrong", [PARSED, READY + READY, COPIED], ids=["ParseComplete", "twice", "COPY"])
def test_what_nobody_waits_for_ends_the_session_and_its_connection(wrong: bytes) -> None:
    """After the end of an answer, or in the place of another one: nobody else gets such a connection."""

    async def test() -> None:
        world = World()
        one, _ = world.session()
        one.send(b"S\0\0\0\4")
        await world.settle()
        conn = world.conn()
        conn.received(wrong)
        await world.settle()
        assert world.servers[0].stream.aborted or world.servers[0].stream.closed
        one.abort()
        other, _ = world.session()
        other.send(SELECT)
        await world.settle()
        assert world.servers[1].stream.sent == SELECT


def test_a_client_that_does_not_read_holds_no_connection_but_its_own() -> None:
    """Its last answer has filled its buffers: the connection goes to others, and is not read when it has it again."""

    async def test() -> None:
        world = World()
        (one, slow), (other, heard) = world.session(), world.session()
        slow.full = one.pause_reading
        one.send(SELECT)
        await world.settle()
        wire = world.servers[0].stream
        world.conn().received(ROWLESS + READY)
        assert wire.is_read()
        other.send(SELECT)
        world.conn().received(ROWLESS + READY)
        assert heard.got == ROWLESS + READY
        one.send(SELECT)
        assert not wire.is_read()
        one.resume_reading()
        assert wire.is_read()

    run(test)


def test_what_leaves_nothing_behind_a_question_is_not_asked_about() -> None:
    """A client that sends its next query at once, and the one after that: the answer to one question is enough."""

    async def test() -> None:
        world = World()
        one, _ = world.session()
        one.send(CALL)
        await world.settle()
        conn, sent = world.conn(), world.servers[0].stream
        conn.received(ROWLESS + READY)
        assert sent.sent.count(b"pg_listening_channels") == 1
        one.send(SELECT)  # behind the question
        conn.received(b"T\0\0\0\6\0\0" + ROWLESS + READY)
        conn.received(ROWLESS + READY)
        assert sent.sent.count(b"pg_listening_channels") == 1
        other, _ = world.session()
        other.send(SELECT)
        await world.settle()
        assert sent.sent.endswith(SELECT * 2)

    run(test)


def test_what_may_leave_something_behind_a_question_is_asked_about() -> None:
    async def test() -> None:
        world = World()
        one, _ = world.session()
        one.send(CALL)
        await world.settle()
        conn, sent = world.conn(), world.servers[0].stream
        conn.received(ROWLESS + READY)
        one.send(CALL)
        conn.received(b"T\0\0\0\6\0\0" + ROWLESS + READY)
        conn.received(ROWLESS + READY)
        assert sent.sent.count(b"pg_listening_channels") == 2

    run(test)
