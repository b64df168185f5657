"""What `exchange` and `leasenames` say to each other: statements, what messages were for, and what can be sent."""

from __future__ import annotations

from typing import Protocol

from proxy.policy.sessionstate import CLEAN, Trace
from proxy.serverconn import Conn
from proxy.wire.buffer import Frame
from proxy.wire.messages import ErrorResponse
from proxy.wire.replies import Expected


class Kept:
    """A statement as the client prepared it."""

    __slots__ = ("declared", "salt", "server", "shape", "text", "trace", "types")

    def __init__(self, text: bytes, declared: bytes, trace: Trace = CLEAN) -> None:
        """`declared`: the end of the Parse message: how many types, and their OIDs."""
        self.text = text
        self.declared = declared
        self.trace = trace
        self.types: bytes | None = None
        """The same as the server found them..."""
        self.shape: bytes | None = None
        """...and those with names and types of the result's columns; None while nobody knows."""
        self.server = b""
        """The name on the server..."""
        self.salt: bytes | None = None
        """...under the settings that this says."""

    def __repr__(self) -> str:
        return f"Kept({len(self.text)} bytes, known={self.shape is not None})"


class Mark:
    """What a message to the server was for."""

    __slots__ = ("failed", "kept", "kind", "name", "rows", "server", "types")

    def __init__(self, kind: str = "", kept: Kept | None = None, name: bytes = b"", server: bytes = b"") -> None:
        """`name` is the client's for the statement, `server` the server's. `kind`: parse, again, bind, close, shape,
        unnamed, prelude, probe, deallocate, quiet (of ours: its errors are nobody's), or nothing that its answer
        changes."""
        self.kind = kind
        self.kept = kept
        self.name = name
        self.server = server
        self.failed: ErrorResponse | None = None
        """What the server said to a query of ours in place of an answer."""
        self.types = b""
        self.rows: list[tuple[bytes | None, ...]] | None = None
        """The answer to one."""

    def __repr__(self) -> str:
        return f"Mark({self.kind!r})"


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
