"""How one session ends: the client leaves, the server does, somebody breaks the protocol, or the proxy shuts down.

Whoever is still there gets an error, if no message to it is half sent; a server that works for nobody gets a
CancelRequest. What runs under a limit is held to it, and counts, until the server itself has closed.

It does not know bytes (`relay`).
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-TERMINATION
"""

from __future__ import annotations

from typing import Final, Protocol

from proxy.bounds import Bounds
from proxy.conversation import Conversation
from proxy.errors import PgveilError, ShutdownError, UpstreamError
from proxy.halt import Halt
from proxy.overdue import Overdue
from proxy.ports import Links
from proxy.wire.messages import Terminate, error_response

MAX_UNREAD: Final = 64 * 1024
"""Bytes of answers that a server may send for a client that has gone before its work is cancelled."""


class Mover(Protocol):
    """What `relay` is for this."""

    @property
    def half_sent(self) -> bool:
        """Whether a part of a message went to the client, and its rest did not come yet."""

    @property
    def idle(self) -> bool:
        """Whether nothing is owed to the client, and no transaction is open."""

    def flush(self) -> None:
        """Sends what waits for either side."""

    def closing(self) -> None:
        """Nothing more goes to the client."""


class Ending:
    """Of one session. `ended`: nothing more goes to the client, though the server may still be at work."""

    __slots__ = (
        "_bounds",
        "_draining",
        "_finished",
        "_halt",
        "_links",
        "_mover",
        "_overdue",
        "_talk",
        "_unread",
        "alone",
        "ended",
    )

    def __init__(
        self,
        talk: Conversation,
        links: Links,
        bounds: Bounds,
        overdue: Overdue,
        halt: Halt,
        mover: Mover,
    ) -> None:
        self._talk = talk
        self._links = links
        self._bounds = bounds
        self._overdue = overdue
        self._halt = halt
        self._mover = mover
        self.ended = False
        self.alone = False
        """The client has gone, and the server works on what it asked before, within its limits."""
        self._draining = False
        self._finished = False
        self._unread = 0
        """Bytes that nobody was there to read."""

    @property
    def due(self) -> bool:
        """Whether `check` has something to look at."""
        return self._draining or self.alone

    def check(self) -> None:
        """The server has answered something."""
        if self._draining and self._mover.idle:
            self.fail(_going_down())
        elif self.alone:
            self._answer_nobody()

    def unread(self, size: int) -> None:
        """So many bytes were for a client that has gone."""
        self._unread += size

    # Whose doing it is

    def client_lost(self) -> None:
        """The client's connection is gone."""
        if self.ended:
            return
        if self._halt.left and self._limited:
            self.alone = True
            self._links.upstream.resume_reading()
        elif self._talk.busy and not self._halt.left:
            self._abandon()
        else:
            self._end()
            self._dismiss_upstream()

    def upstream_lost(self, *, said_goodbye: bool) -> None:
        """The server's connection is gone. `said_goodbye`: it sent its last error before."""
        if self.ended:
            self._finish()
            return
        if self._halt.left or said_goodbye:
            self._end()
            self._links.client.close()
            return
        hint = "Connect again; what was not committed is undone."
        self.fail(UpstreamError("the connection to the database was lost", hint=hint), now=True)

    def drain(self) -> None:
        """Ends the session as soon as it is idle."""
        self._draining = True
        if self._mover.idle and not self.ended:
            self.fail(_going_down())

    def stop(self) -> None:
        """Ends the session now."""
        if self.ended:
            self._links.upstream.abort()
            self._finish()
        else:
            self.fail(_going_down(), now=True)

    def fail(self, error: PgveilError, *, now: bool = False) -> None:
        """Ends the session with an error, which the client gets unless a message to it is half sent. `now`: it is not
        waited for a server that still runs something under a limit."""
        if self.ended:
            return
        talk = self._talk
        talk.to_upstream = []
        if self._mover.half_sent:
            talk.to_client = []
        else:
            talk.to_client.append(error_response(error, "FATAL").encode())
        self._mover.flush()
        if talk.busy:
            self._abandon(now=now)
        else:
            self._end()
            self._dismiss_upstream()
        self._links.client.close()

    # How

    @property
    def _limited(self) -> bool:
        """Whether the server runs something that a limit holds for."""
        return self._talk.busy and (self._bounds.counted or self._talk.against_time is not None)

    def _answer_nobody(self) -> None:
        """The client has gone: what is still to be answered only has to end."""
        if not self._talk.busy:
            self._end()
            self._links.upstream.close()
        elif self._unread >= MAX_UNREAD:
            self._abandon()

    def _abandon(self, *, now: bool = False) -> None:
        """Nobody waits for what the server runs. It may not have begun, or have more to begin: what is limited is
        cancelled again until it closes."""
        if now or not self._limited:
            self._end()
            self._links.spawn(self._links.cancel_upstream())
            self._links.upstream.abort()
            return
        self._shut()
        self._dismiss_upstream()
        self._overdue.cancel_until(lambda: self._finished)

    def _dismiss_upstream(self) -> None:
        if not self._halt.left:
            self._links.upstream.send(Terminate().encode())
        self._links.upstream.close()

    def _end(self) -> None:
        self._shut()
        self._finish()

    def _shut(self) -> None:
        """Nothing more goes to the client."""
        self.ended = True
        self._overdue.end()
        self._mover.closing()

    def _finish(self) -> None:
        """Nothing more comes from the server."""
        if not self._finished:
            self._finished = True
            self._bounds.end()
            self._overdue.end()
            self._links.ended()


def _going_down() -> ShutdownError:
    return ShutdownError("terminating connection due to administrator command")
