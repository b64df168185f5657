"""What keeps one session's line standing: work of the proxy's own, an answer that has to come first, a message that
breaks the protocol, a CancelRequest on its way.

The client's messages wait in their buffer meanwhile (`relay`); what stood at the head of them comes again, first.

It does not know messages, and not why it is asked to stand (`session`, `extended`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from proxy.conversation import Conversation, Entry
from proxy.errors import ProtocolError
from proxy.order import FLUSH
from proxy.overdue import Overdue
from proxy.ports import Links, Task
from proxy.wire.buffer import Frame, Run


class Halt:
    """Of one session; it is `order.Line`. `go_on` is called when work of the proxy's own is done, `failed` with what it
    raises."""

    __slots__ = (
        "_again",
        "_failed",
        "_for_copy",
        "_go_on",
        "_links",
        "_overdue",
        "_talk",
        "_task",
        "_waiting",
        "doom",
        "left",
    )

    def __init__(
        self,
        talk: Conversation,
        links: Links,
        overdue: Overdue,
        go_on: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._talk = talk
        self._links = links
        self._overdue = overdue
        self._go_on = go_on
        self._failed = failed
        self._task: Task | None = None
        self._waiting: tuple[Frame | Run, Entry] | None = None
        self._for_copy = False
        """It may go on as soon as the server reads COPY data, too."""
        self._again: Frame | Run | None = None
        """What has waited, and is next."""
        self.doom: ProtocolError | None = None
        """What the client has got wrong. What it sent before is answered first, as PostgreSQL does."""
        self.left = False
        """The client has said goodbye. What it asked before is still the server's to finish."""

    @property
    def stands(self) -> bool:
        """Whether no further message of the client may be taken."""
        stopped = self._task is not None or self._waiting is not None or self.doom is not None
        return stopped or self._overdue.stopping

    def hold(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Takes no further message from the client until `work` is done; work may hold again."""

        async def run() -> None:
            try:
                await work()
            except Exception as error:  # a task's errors would go nowhere
                self._failed(error)
            finally:
                if self._task is task:
                    self._task = None
            self._go_on()

        task = self._task = self._links.spawn(run())

    def wait(self, item: Frame | Run, entry: Entry) -> None:
        """Takes no further message until `entry` is answered. The server is told to send what it has."""
        self._waiting, self._for_copy = (item, entry), False
        self._talk.to_upstream.append(FLUSH)

    def wait_for_copy(self, item: Frame | Run) -> None:
        """Takes no further message until the server reads COPY data, or has answered everything."""
        self._waiting, self._for_copy = (item, self._talk.replies.mark()), True
        self._talk.to_upstream.append(FLUSH)

    def leave(self) -> None:
        """Takes nothing more."""
        self.left = True

    def condemn(self, error: ProtocolError) -> None:
        """Takes nothing more from the client. Raises the error once nothing is owed that could still come."""
        if not self._talk.busy or self._talk.replies.copying_in:
            raise error
        if self.doom is None:
            self.doom = error
            self._talk.to_upstream.append(FLUSH)

    @property
    def answered(self) -> bool:
        """Whether the answer has come that was waited for. What waited is next, then."""
        if self._waiting is None or self._overdue.stopping:
            return False
        item, entry = self._waiting
        if not entry.done and not (self._for_copy and self._talk.replies.copying_in):
            return False
        self._again, self._waiting = item, None
        return True

    def again(self) -> Frame | Run | None:
        """What has waited, once."""
        item, self._again = self._again, None
        return item

    def cancel(self) -> None:
        """Cancels the proxy's own work, where there is some."""
        if self._task is not None:
            self._task.cancel()
