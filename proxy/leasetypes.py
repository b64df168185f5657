"""What `exchange` and `leasenames` say to each other: statements, what messages were for, and what can be sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from proxy.policy.sessionstate import CLEAN, Trace
from proxy.serverconn import Conn
from proxy.wire.buffer import Frame
from proxy.wire.messages import ErrorResponse
from proxy.wire.replies import Expected


@dataclass(slots=True, eq=False)
class Kept:
    """A statement as the client prepared it."""

    text: bytes = field(repr=False)
    declared: bytes = field(repr=False)
    """The end of the Parse message: how many types, and their OIDs."""
    trace: Trace = CLEAN
    types: bytes | None = None
    """The same as the server found them..."""
    shape: bytes | None = None
    """...and those with names and types of the result's columns; None while nobody knows."""
    server: bytes = b""
    """The name on the server..."""
    salt: bytes | None = None
    """...under the settings that this says."""


@dataclass(slots=True, eq=False)
class Mark:
    """What a message to the server was for."""

    kind: str = ""
    """parse, close, shape, unnamed, prelude, probe, deallocate, quiet (of ours: its errors are nobody's), or nothing
    that its answer changes."""
    kept: Kept | None = None
    name: bytes = b""
    """The client's name for the statement..."""
    server: bytes = b""
    """...and the server's."""
    failed: ErrorResponse | None = None
    """What the server said to a query of ours in place of an answer."""
    types: bytes = b""
    rows: list[tuple[bytes | None, ...]] = field(default_factory=list, repr=False)


Entry = Expected[Mark]


class Line(Protocol):
    """What `lease` is for this."""

    @property
    def conn(self) -> Conn: ...

    @property
    def section(self) -> int:
        """How many Syncs were sent."""

    @property
    def tainted(self) -> bool:
        """Whether there may be other settings than the session is known to have."""

    @property
    def skipping(self) -> bool:
        """Whether the server ignores everything up to the next Sync."""

    @property
    def valued(self) -> bool:
        """Whether the session may have taken a sequence's value since it took this connection."""

    def send_entry(self, data: bytes | bytearray, entry: Entry) -> None: ...
    def flush_now(self) -> None: ...
    def block(self, entry: Entry) -> None:
        """Takes no further message of the client until this is answered."""

    def refuse(self, frame: Frame, error: bytes) -> None: ...
    def refuse_sequence(self, frame: Frame) -> None: ...
    def mark(self, trace: Trace) -> None: ...

    def will_deallocate(self, name: bytes) -> None:
        """The next Execute runs DEALLOCATE."""
