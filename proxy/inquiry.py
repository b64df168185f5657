"""What a session has left on its connection, as far as it is known: when the server is to be asked, what its answer
means, and whether the client has been told that it keeps its connection.

It does not know when the server is idle (`lease`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proxy.exchange import Exchange
from proxy.leaseremains import BY_NAME
from proxy.leasetypes import Mark
from proxy.leftovers import question, read_answer
from proxy.policy.sessionstate import CHECK, CLEAN
from proxy.pool import Group
from proxy.wire.buffer import MAX_FRAME
from proxy.wire.messages import notice_response

MAX_QUESTIONS: Final = 3
"""How often the server is asked, where it does not answer."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the session began with. Others may have begun with the same."""

    login: str
    """The account."""
    settings: Mapping[bytes, bytes]
    """What it has set in its startup packet, where that is no part of the connection's key."""
    reported: Mapping[str, str]
    """What its client was told in the greeting."""
    max_frame: int = MAX_FRAME


class Inquiry:
    """Of one session."""

    __slots__ = ("_about", "_asked", "_group", "_line", "_origin", "_told", "settings")

    def __init__(self, line: Exchange, group: Group, origin: Origin) -> None:
        self._line = line
        self._group = group
        self._origin = origin
        self._asked = 0
        self._about = CLEAN
        """What the question is about that is on its way; more may be sent behind it, and takes another one."""
        self._told = False
        self.settings = origin.settings
        """The session's own, wherever it is. Never changed in place."""
        line.names.settings_are(self.settings)

    def __repr__(self) -> str:
        return f"Inquiry(asked={self._asked}, settings={len(self.settings)})"

    def question(self) -> bytes | None:
        """The query that is to be asked before the connection can be given back."""
        line = self._line
        always = self._group.limits.check_always and line.remains.unasked
        if (line.remains.left.check or always) and self._asked < MAX_QUESTIONS:
            self._asked += 1
            line.remains.asking = True
            self._about, line.remains.left, line.remains.unasked = line.remains.left, CLEAN, False
            return question(self._origin.login, line.remains.customs, functions=self._about.foreign or always)
        if line.remains.left.check:
            line.remains.pinned, line.remains.for_good = "the server does not say what is left", True
        return None

    def answered(self, mark: Mark) -> None:
        """The rows of the answer have come. For a moment when no message is under way, as `tell`."""
        left, line = read_answer(mark.rows or ()), self._line
        self._asked, line.remains.asking = 0, False
        line.conn.settings = left.settings
        self.settings = {**self._origin.settings, **left.settings}
        line.names.settings_are(self.settings)
        alone = line.replies.head is None and not line.open
        if not alone and (line.remains.left is not CLEAN or line.names.native):
            line.remains.left |= CHECK  # what was sent behind the question may have changed it all
        line.names.really_there(left.statements, nothing_else=alone and not left.others)
        if not line.remains.for_good:
            native = BY_NAME if line.names.native else None
            line.remains.pinned = left.others[0] if left.others else native
        self.tell()

    def unanswered(self) -> None:
        """The server had an error for the question."""
        self._line.remains.asking = False
        self._line.remains.left |= self._about | CHECK

    def over(self) -> None:
        """Nothing more is to be asked of what ran until now."""
        self._line.remains.left, self._asked = CLEAN, 0

    def tell(self) -> None:
        """The client hears that it keeps its connection, once for each time."""
        reason = self._line.remains.pinned
        if reason is None:
            self._told = False
        elif not self._told:
            self._told = True
            self._group.pinned(reason)
            text = f"pgveil: this session keeps its connection to the database for itself: {reason}"
            self._line.to_client.append(notice_response(text).encode())
