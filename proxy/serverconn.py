"""One server connection that sessions take in turn, and what is known of its state.

It does not know who may have it (`pool`), nor what is said on it (`exchange`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Protocol

from proxy.errors import PgveilError, UpstreamError
from proxy.ports import Pipe
from proxy.wire.buffer import FrameBuffer
from proxy.wire.codec import Code
from proxy.wire.messages import NoticeResponse, ParameterStatus, Terminate, decode_backend

Facts = Hashable
"""What a session has to know of a connection's start; sessions only take connections with the facts they know."""


class User(Protocol):
    """Whoever has a connection: its bytes go there. See `wire.stream.Receiver`."""

    def received(self, data: bytes) -> None: ...
    def lost(self) -> None: ...
    def clogged(self) -> None: ...
    def cleared(self) -> None: ...


class Wire(Pipe, Protocol):
    """Its bytes' way: `wire.stream.Stream`."""

    def attach(self, receiver: User) -> None: ...


class Link(Protocol):
    """Where it leads: `upstream.Upstream`, or a test's."""

    @property
    def stream(self) -> Wire: ...

    @property
    def parameters(self) -> Sequence[ParameterStatus]: ...

    async def deliver_cancel(self) -> bool: ...


class Conn:
    """One server connection, ready for queries, with what is known of its state."""

    def __init__(self, upstream: Link, key: Hashable, facts: Facts, now: float) -> None:
        self.upstream = upstream
        self.stream: Wire = upstream.stream
        self.key = key
        self.facts = facts
        self.born = self.idle_since = now
        self.settings: Mapping[bytes, bytes] = {}
        """What sessions have set on it. Never changed in place: a session's own may be the same."""
        self.statements: OrderedDict[bytes, bytes | None] = OrderedDict()
        """The statements prepared on it for everybody, with their results' shapes; the one used last is last."""
        self.reported: Mapping[str, str] = {status.name: status.value for status in upstream.parameters}
        """Likewise."""
        self.unnamed_of: object | None = None
        """Whose unnamed statement it holds; None: it holds none."""
        self.user: User | None = None
        self.cancels = 0
        """CancelRequests that are on their way to it."""
        self.over = False
        self._gone: Callable[[Conn], None] = _nobody

    def __repr__(self) -> str:
        return f"Conn({self.upstream}, in_use={self.user is not None}, over={self.over})"

    def watch(self, gone: Callable[[Conn], None]) -> None:
        """From here on its bytes go to its user, and `gone` is called when it is lost."""
        self._gone = gone
        self.stream.attach(self)

    def received(self, data: bytes) -> None:
        if self.user is not None:
            self.user.received(data)
        else:
            self._while_idle(data)

    def lost(self) -> None:
        self.over = True
        self._gone(self)
        if self.user is not None:
            self.user.lost()

    def clogged(self) -> None:
        if self.user is not None:
            self.user.clogged()

    def cleared(self) -> None:
        if self.user is not None:
            self.user.cleared()

    def close(self) -> None:
        """Says goodbye; the server ends it."""
        self.over = True
        self.stream.send(Terminate().encode())
        self.stream.close()

    def abort(self) -> None:
        self.over = True
        self.stream.abort()

    def _while_idle(self, data: bytes) -> None:
        """The server may report a setting that its administrator has changed. After anything else, it is not used."""
        buffer = FrameBuffer()
        buffer.feed(data)
        try:
            for frame in buffer.frames():
                message = decode_backend(frame)
                if isinstance(message, ParameterStatus):
                    self.reported = {**self.reported, message.name: message.value}
                elif not isinstance(message, NoticeResponse) and frame.tag != Code.NOTIFICATION_RESPONSE:
                    raise UpstreamError("the server said something that nobody had asked for")
            if buffer.pending:
                raise UpstreamError("the server said something in part")
        except PgveilError:
            self._gone(self)
            self.close()


def _nobody(_conn: Conn) -> None:
    return None
