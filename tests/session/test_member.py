"""A worker's end of the channel: what it is told before it serves anybody is not lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing

from proxy.wire.startup import CancelRequest
from proxy.workers.board import Board
from proxy.workers.channel import Found, Line, Look, Reload
from proxy.workers.member import Duties, Member


class Worker:
    """What it was told to do."""

    def __init__(self) -> None:
        self.reloads = 0

    @property
    def duties(self) -> Duties:
        return Duties(_nothing, self._reload, _ignored, _no_cancel, {}, tuple)

    def _reload(self) -> None:
        self.reloads += 1


def _nothing() -> None: ...
def _ignored(_policies: bytes) -> None: ...
async def _no_cancel(_request: CancelRequest) -> None: ...


def test_a_reload_before_it_serves_is_done_as_it_begins() -> None:
    """What it has read may be older than the signal."""

    async def test() -> None:
        ours, theirs = socket.socketpair()
        worker, line = Worker(), Line(ours)
        member = Member(theirs, Board(2).seat(1), [], None)
        with closing(ours):
            async with member.joined():
                line.send(Reload())
                line.send(Look(1, "pulse"))
                await until(lambda: Found(1, "pulse", {}) in line.receive())
                assert worker.reloads == 0
                member.serves(worker.duties)
                assert worker.reloads == 1
                line.send(Reload())
                await until(lambda: worker.reloads == 2)

    asyncio.run(test())


async def until(happens: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if happens():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never happens")
