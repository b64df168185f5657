"""One statement on its way down the line, and what the line can be stopped by.

It does not know what happens to a statement: `session` does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from proxy.conversation import Entry
from proxy.nl.carriers import Question
from proxy.policy.plan import Plan
from proxy.scrub import Position, unmoved
from proxy.verdict import Decided
from proxy.wire.buffer import Frame, Run
from proxy.wire.messages import Flush, Parse, Query

FLUSH: Final = Flush().encode()


class Line(Protocol):
    """What can stop the line. `halt` does."""

    def hold(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Takes no further message from the client until `work` is done."""

    def wait(self, item: Frame | Run, entry: Entry) -> None:
        """Takes no further message until the server has answered `entry`; then `item` comes again, first."""

    def wait_for_copy(self, item: Frame) -> None:
        """Takes no further message until the server reads COPY data, or has answered everything; then `item` comes
        again, first."""

    def leave(self) -> None:
        """The client said goodbye."""


@dataclass(frozen=True, slots=True)
class Order:
    """A Query or a Parse on its way. `sql` is what to decide on; `raw` is the frame while its text is the client's."""

    message: Query | Parse
    sql: str
    raw: bytes | bytearray | None
    position: Position = unmoved
    """From a position in `sql` to one in the client's text."""
    generated: tuple[str, ...] = ()
    """The SQL that was written for the questions in it."""
    refreshed: bool = False
    decided: Decided | None = None
    """In a thread, where the text is large."""
    priced: tuple[str, float] | None = field(default=None, repr=False)
    """The text whose cost was found to be within a limit, and that limit."""

    def priced_at(self, verdict: Plan) -> float | None:
        """The limit that the text to run was held against."""
        return self.priced[1] if self.priced is not None and self.priced[0] == verdict.sql else None

    def to_send(self, plan: Plan) -> bytes | bytearray:
        """The message with the text to run: the client's own frame, where that is its text."""
        if self.raw is not None and not plan.rewritten:
            return self.raw
        return replace(self.message, query=plan.sql.encode()).encode()

    def __repr__(self) -> str:
        return f"Order({type(self.message).__name__}, generated={len(self.generated)})"


def position_in(question: Question, written: tuple[str, ...]) -> Position:
    """From a position in the SQL that was written for a question to one in the client's text."""
    return lambda position: question.original_position(position, *written)
