"""Sends clients away that do nothing for too long: outside a transaction, or in one that they leave open.

Looked at now and then, for all sessions together: no timer is set for a message. It does not know messages.
https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT
"""

from __future__ import annotations

from proxy.conversation import Conversation
from proxy.errors import PgveilError
from proxy.relay import Relay
from proxy.wire.messages import IDLE
from proxy.wire.stream import Receiver

_LOOKS = 8
"""How often in the time of a limit."""
_LEAST, _MOST = 0.05, 5.0


class IdleSessionError(PgveilError):
    """Ours, on purpose: the client was idle for too long (SQLSTATE 57P05)."""

    sqlstate = "57P05"


class IdleTransactionError(PgveilError):
    """Ours, on purpose: the client left a transaction open for too long (SQLSTATE 25P03)."""

    sqlstate = "25P03"


class Patience:
    """Limits in seconds; 0 is none."""

    def __init__(self, idle: float = 0.0, transaction: float = 0.0) -> None:
        self.idle = idle
        self.transaction = transaction
        self._sessions: set[Quiet] = set()

    def __repr__(self) -> str:
        return f"Patience(idle={self.idle}, transaction={self.transaction})"

    @property
    def needed(self) -> bool:
        return self.idle > 0 or self.transaction > 0

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        limits = [limit for limit in (self.idle, self.transaction) if limit > 0]
        return min(max(min(limits, default=_MOST) / _LOOKS, _LEAST), _MOST)

    def watch(self, relay: Relay, talk: Conversation) -> Receiver:
        """What is to receive the client's bytes."""
        if not self.needed:
            return relay.client
        session = Quiet(relay, talk, relay.client)
        self._sessions.add(session)
        return session

    def look(self, now: float) -> None:
        """Ends the sessions whose time is over."""
        for session in list(self._sessions):
            if session.relay.ended:
                self._sessions.discard(session)
                continue
            since = session.since(now)
            if since is None:
                continue
            seconds, in_transaction = since
            if in_transaction and 0 < self.transaction <= seconds:
                session.relay.fail(IdleTransactionError("terminating connection due to idle-in-transaction timeout"))
            elif not in_transaction and 0 < self.idle <= seconds:
                session.relay.fail(IdleSessionError("terminating connection due to idle-session timeout"))


class Quiet:
    """One session; counts what its client sends."""

    __slots__ = ("_chunks", "_inner", "_last", "_since", "_talk", "relay")

    def __init__(self, relay: Relay, talk: Conversation, inner: Receiver) -> None:
        self.relay = relay
        self._talk = talk
        self._inner = inner
        self._chunks = 0
        self._last: tuple[bool | None, int] = (None, 0)
        self._since = 0.0

    def received(self, data: bytes) -> None:
        self._chunks += 1
        self._inner.received(data)

    def lost(self) -> None:
        self._inner.lost()

    def clogged(self) -> None:
        self._inner.clogged()

    def cleared(self) -> None:
        self._inner.cleared()

    def since(self, now: float) -> tuple[float, bool] | None:
        """For how many seconds nothing has happened, and whether a transaction is open; None: something goes on."""
        talk = self._talk
        state = (talk.status != IDLE if self.relay.resting else None, self._chunks)
        if state != self._last:
            self._last, self._since = state, now
        return None if state[0] is None else (now - self._since, state[0])
