"""What a policy's limits have to say to the messages of one session before they are sent: whether there is room for
another statement of the role, how long it may run, and whether it costs too much.

It does not know rows (`tally`, `results`), and does not watch the time (`relay`).
"""

from __future__ import annotations

from typing import Final

from proxy.conversation import Conversation
from proxy.errors import StoppedError
from proxy.limits import Deadline, Slot, deadline
from proxy.ports import Services
from proxy.prepared import Statement
from proxy.pricing import over_cost
from proxy.refusals import refusal_response
from proxy.stoppable import Stoppable
from proxy.wire.messages import ErrorResponse, error_response

_OF_LIMITS: Final = "53400"


class Bounds:
    """Of one session."""

    __slots__ = ("_of_section", "_services", "_slot", "_stoppable", "_talk")

    def __init__(self, talk: Conversation, services: Services, stoppable: Stoppable) -> None:
        self._talk = talk
        self._services = services
        self._stoppable = stoppable
        self._slot = Slot(services.running, talk.identity.roles)
        self._of_section: Deadline | None = None

    @property
    def counted(self) -> bool:
        """Whether the session counts as one that runs something."""
        return self._slot.held

    @property
    def timed(self) -> bool:
        """Whether a deadline holds for the rest of an implicit transaction, or for what was sent."""
        return self._of_section is not None or self._talk.against_time is not None

    def rest(self) -> None:
        """The server has answered everything. What is still to be made at the end of the transaction counts on: the
        rows of cursors WITH HOLD."""
        if self._slot.held and not self._talk.prepared.holding:
            self._slot.release()

    def end(self) -> None:
        """Nothing of the session runs in the server any more. As often as one likes."""
        self._slot.release()

    def room(self, statement: Statement | None) -> ErrorResponse | None:
        """The refusal where the role runs as much as it may."""
        refusal = None if statement is None else self._slot.take(statement.plan)
        if refusal is None:
            return None
        self._services.watcher.limited("max_concurrent")
        return refusal_response(refusal)

    def time(self, statement: Statement | None) -> Deadline | None:
        """How long the server may take over a message about this statement."""
        if statement is None:
            return None
        found = deadline(statement.plan, self._services.ask_seconds if statement.asked else None)
        self._of_section = found or self._of_section
        return found

    def time_of_sync(self) -> Deadline | None:
        """The same for a Sync, which ends an implicit transaction: deferred checks and the rows of cursors WITH HOLD
        are its work, if there was anything before it."""
        found, self._of_section = self._of_section, None
        return found

    async def price(self, statement: Statement, limit: float) -> ErrorResponse | None:
        """The refusal of what costs more than `limit`, or of what the client does not wait for any longer."""
        talk = self._talk
        work = over_cost(self._services.price, statement, limit, talk.identity.user, talk.settings)
        try:
            refusal = await self._stoppable.run(work)
        except StoppedError as error:
            return error_response(error)
        if refusal is not None and refusal.sqlstate == _OF_LIMITS:
            self._services.watcher.limited("max_cost")
        return refusal
