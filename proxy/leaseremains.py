"""What a session may have left on its server connection, as far as its texts say, and why it keeps the connection.

It does not know what the server says of it: `inquiry` does.
"""

from __future__ import annotations

from typing import Final

from proxy.leftovers import may_ask_for
from proxy.policy.sessionstate import CLEAN, Trace

BY_NAME: Final = "prepared statements by SQL"


class Remains:
    """Of one session."""

    __slots__ = ("asking", "customs", "for_good", "left", "pinned", "tainted", "unasked")

    def __init__(self) -> None:
        self.left = CLEAN
        """Of what ran since the server was last asked."""
        self.customs: frozenset[str] = frozenset()
        self.unasked = False
        """Whether anything ran since then."""
        self.asking = False
        """The server is being asked: what the session's settings are is known with its answer."""
        self.tainted = False
        """There may be settings of the transaction that is open."""
        self.pinned: str | None = None
        """Why the session keeps its connection..."""
        self.for_good = False
        """...which nothing changes any more."""

    def __repr__(self) -> str:
        return f"Remains(pinned={self.pinned is not None}, asking={self.asking})"

    @property
    def unsettled(self) -> bool:
        """Whether there may be other settings than the session is known to have."""
        return self.tainted or self.asking or self.left.check

    def mark(self, left: Trace) -> None:
        """A text with these traces is sent to run."""
        if left is CLEAN:
            return
        self.left |= left
        self.tainted = self.tainted or left.local or left.check
        self.customs |= left.customs
        if left.pins is not None or left.names:
            self.pinned = left.pins or BY_NAME
            self.for_good = self.for_good or left.pins is not None
        if not all(map(may_ask_for, left.customs)):
            self.pinned, self.for_good = "a setting with an unusual name", True
