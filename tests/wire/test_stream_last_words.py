"""A peer that closes while we write to it: what it said before is heard, though the write fails."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from proxy.wire.stream import Stream


class Listener:
    def __init__(self) -> None:
        self.heard = bytearray()
        self.gone = asyncio.get_running_loop().create_future()

    def received(self, data: bytes) -> None:
        assert not self.gone.done()
        self.heard += data

    def lost(self) -> None:
        self.gone.set_result(None)

    def clogged(self) -> None:
        """Nothing is held back."""

    def cleared(self) -> None:
        """As above."""


async def talk(ours: socket.socket, theirs: socket.socket, words: bytes) -> bytes:
    """The peer speaks and closes; before the loop has had a look at it, we write."""
    ours.setblocking(False)
    _, stream = await asyncio.get_running_loop().create_connection(Stream, sock=ours)
    listener = Listener()
    stream.attach(listener)
    theirs.sendall(words)
    theirs.close()
    for _ in range(3):
        stream.send(b"more")
    await listener.gone
    return bytes(listener.heard)


@pytest.mark.parametrize("size", [1, 100, 100_000])
@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_last_words_are_heard(size: int, loop: object) -> None:
    ours, theirs = socket.socketpair()
    words = bytes(range(256)) * (size // 256 + 1)
    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        assert runner.run(talk(ours, theirs, words)) == words
