"""What the client of a shared connection has sent and no connection has got yet, who has to be told to wait,
and who waits for the end.

It does not know connections: `lease` says what can be sent on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from proxy.serverconn import User
from proxy.wire.buffer import Frame, FrameBuffer, Run
from proxy.wire.codec import Code
from proxy.wire.messages import IDLE, ErrorResponse, ReadyForQuery

_FROM_CLIENT: Final = frozenset({Code.COPY_DATA})
_HELD_BYTES: Final = 256 * 1024
"""What may wait here before whoever sends it is told."""

_READY: Final = ReadyForQuery(IDLE).encode()
_NEED_NO_SERVER: Final = frozenset({Code.COPY_DONE, Code.COPY_FAIL, Code.FLUSH})
"""Outside COPY the server ignores the first two, and has nothing to flush."""
_ALONE: Final = frozenset({Code.QUERY, Code.FUNCTION_CALL, Code.SYNC})
"""What ReadyForQuery comes after, with an error or without."""


class Inbox:
    """Of one session."""

    __slots__ = ("_buffer", "_held", "_rejecting")

    def __init__(self, max_frame: int) -> None:
        self._buffer = FrameBuffer(max_frame=max_frame, passing=_FROM_CLIENT)
        self._held: Frame | None = None
        """The message that has to wait."""
        self._rejecting = False
        """What was refused here was extended: what comes is ignored up to its Sync."""

    def __repr__(self) -> str:
        return f"Inbox(pending={self._buffer.pending}, held={self._held is not None}, rejecting={self._rejecting})"

    def feed(self, data: bytes) -> None:
        self._buffer.feed(data)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send on."""
        return self._held is None and self._buffer.empty

    @property
    def holds(self) -> bool:
        """Whether a message has to wait."""
        return self._held is not None

    @property
    def between(self) -> bool:
        """Whether no message has to wait, and none has come in part."""
        return self._held is None and not self._buffer.inside

    @property
    def full(self) -> bool:
        """Never for the sake of a message that has come in part: it goes on when the rest of it is there."""
        return self._held is not None and self._buffer.pending >= _HELD_BYTES

    def next(self) -> Frame | Run | None:
        held, self._held = self._held, None
        return self._buffer.take() if held is None else held

    def hold(self, frame: Frame) -> None:
        """It is the next one again."""
        self._held = frame

    def takes_alone(self, tag: int, tell: Callable[[bytes], None]) -> bool:
        """Whether a message is done with where there is no connection. `tell` gets what the client gets for it."""
        if not self._rejecting:
            return tag in _NEED_NO_SERVER
        if tag == Code.SYNC:
            self._rejecting = False
            tell(_READY)
        return True

    def reject(self, error: ErrorResponse) -> list[bytes]:
        """What waits for a connection, up to its Sync, gets this in place of an answer."""
        held, self._held = self._held, None
        if held is not None and held.tag not in _ALONE:
            self._rejecting = True
            return [error.encode()]
        return [error.encode(), _READY]

    def reject_all(self, error: ErrorResponse) -> list[bytes]:
        """The same for everything that has come, up to the client's goodbye."""
        told = self.reject(error)
        while (item := self.next()) is not None:
            if isinstance(item, Run) or (item.tag != Code.TERMINATE and self.takes_alone(item.tag, told.append)):
                continue
            self.hold(item)
            if item.tag == Code.TERMINATE:
                break
            told += self.reject(error)
        return told


class Pressure:
    """Whoever sends is told when to stop, and when to go on."""

    __slots__ = ("_connection", "_told", "here", "receiver")

    def __init__(self) -> None:
        self.receiver: User | None = None
        self.here = self._connection = self._told = False

    def __repr__(self) -> str:
        return f"Pressure(here={self.here}, connection={self._connection})"

    def on_connection(self, *, full: bool) -> None:
        self._connection = full
        self.tell()

    def tell(self) -> None:
        full = self._connection or self.here
        if full != self._told and self.receiver is not None:
            self._told = full
            if full:
                self.receiver.clogged()
            else:
                self.receiver.cleared()


class Ending:
    """The end of the session's place at the server, and those who wait for it, once there are any."""

    __slots__ = ("_gone", "over")

    def __init__(self) -> None:
        self.over = False
        self._gone: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"Ending(over={self.over})"

    def come(self) -> None:
        self.over = True
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    async def wait(self) -> None:
        if self.over:
            return
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._gone)
