"""What the server still owes: one entry for each message that was sent, in order.

Every message from the server is held against the entry at the head. What that entry does not allow is fatal for the
session: no reply is ever matched by counting. An entry may be *made here* (bytes of ours, which leave when their turn
comes), and an entry's error may be *replaced* by one of ours.

After an error in the extended protocol the server ignores everything up to the next Sync; so does this queue.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY

It does not know what is in the messages, and asynchronous ones (notices, notifications, parameter changes) never get
here: they may come at any time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from proxy.errors import ProtocolError
from proxy.wire.codec import Code

Note = TypeVar("Note")


class Step(Enum):
    """What a message means for the entry at the head."""

    GOES_ON = "more will come"
    COPY_IN = "the client shall send data"
    DONE = "that was all"
    FAILED = "that was all, and nothing more until Sync"


_ROWS = {Code.DATA_ROW: Step.GOES_ON, Code.COPY_DATA: Step.GOES_ON, Code.COPY_DONE: Step.GOES_ON}
_COPY = {
    Code.COPY_OUT_RESPONSE: Step.GOES_ON,
    Code.COPY_IN_RESPONSE: Step.COPY_IN,
    Code.COPY_BOTH_RESPONSE: Step.COPY_IN,
}
_READY = {Code.READY_FOR_QUERY: Step.DONE}
_ERROR_GOES_ON = {Code.ERROR_RESPONSE: Step.GOES_ON}
_ERROR_FAILS = {Code.ERROR_RESPONSE: Step.FAILED}
_OF_A_REFUSAL = frozenset({Code.ERROR_RESPONSE, Code.READY_FOR_QUERY})
_NONE: Mapping[int, Step] = {}
_COMPLETE = (Code.COMMAND_COMPLETE, Code.EMPTY_QUERY_RESPONSE)


class Request(Enum):
    """What was sent, and the replies that it allows."""

    QUERY = (
        "Query",
        {
            Code.ROW_DESCRIPTION: Step.GOES_ON,
            **dict.fromkeys(_COMPLETE, Step.GOES_ON),
            **_ROWS,
            **_COPY,
            **_ERROR_GOES_ON,
            **_READY,
        },
    )
    FUNCTION_CALL = ("FunctionCall", {Code.FUNCTION_CALL_RESPONSE: Step.GOES_ON, **_ERROR_GOES_ON, **_READY})
    SYNC = ("Sync", {**_ERROR_GOES_ON, **_READY})
    PARSE = ("Parse", {Code.PARSE_COMPLETE: Step.DONE, **_ERROR_FAILS})
    BIND = ("Bind", {Code.BIND_COMPLETE: Step.DONE, **_ERROR_FAILS})
    DESCRIBE = (
        "Describe",
        {
            Code.PARAMETER_DESCRIPTION: Step.GOES_ON,
            Code.ROW_DESCRIPTION: Step.DONE,
            Code.NO_DATA: Step.DONE,
            **_ERROR_FAILS,
        },
    )
    EXECUTE = (
        "Execute",
        {
            **dict.fromkeys((*_COMPLETE, Code.PORTAL_SUSPENDED), Step.DONE),
            **_ROWS,
            **_COPY,
            **_ERROR_FAILS,
        },
    )
    CLOSE = ("Close", {Code.CLOSE_COMPLETE: Step.DONE, **_ERROR_FAILS})
    MADE = ("made here", _NONE)
    COPY_END = ("the client's end of COPY", _NONE)

    def __init__(self, title: str, steps: Mapping[int, Step]) -> None:
        self.title = title
        self.steps = steps
        self.has_rows = Code.DATA_ROW in steps


@dataclass(slots=True, eq=False)
class Expected(Generic[Note]):
    """One entry. `note` is what the session wants back with each reply; nobody here looks at it."""

    request: Request
    note: Note | None = None
    replacement: bytes | None = None
    """The ErrorResponse that the client gets in place of the server's. No other reply is allowed then."""
    made: bytes = b""
    ours: bool = False
    """Sent by the proxy of its own accord: of its replies the client gets an error and nothing else."""
    copying: bool = False
    """The server is reading the client's COPY data."""
    done: bool = False
    """Answered, or ignored after an error."""

    def __repr__(self) -> str:
        return f"Expected({self.request.title})"


class Replies(Generic[Note]):
    """The queue."""

    def __init__(self) -> None:
        self._queue: deque[Expected[Note]] = deque()
        self._skipping = False

    def __repr__(self) -> str:
        return f"Replies({[e.request.title for e in self._queue]}, skipping={self._skipping})"

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def skipping(self) -> bool:
        """Whether the server ignores everything up to a Sync that was not sent yet."""
        return self._skipping

    @property
    def head(self) -> Expected[Note] | None:
        return self._queue[0] if self._queue else None

    @property
    def last(self) -> Expected[Note]:
        """The entry that will be answered last. Raises IndexError where nothing is owed."""
        return self._queue[-1]

    @property
    def takes_rows(self) -> bool:
        """Whether rows or COPY data may come now."""
        head = self.head
        return head is not None and head.request.has_rows and head.replacement is None

    @property
    def copying_in(self) -> bool:
        """Whether the server reads COPY data, and ignores Flush and Sync."""
        return bool(self._queue) and self._queue[0].copying

    def expect(self, expected: Expected[Note]) -> bool:
        """Adds an entry for a message that is about to be sent. False: the server would ignore it, do not send it.

        An entry that nothing will answer is done at once.
        """
        if self._skipping:
            if expected.request is not Request.SYNC:
                expected.done = True
                return False
            self._skipping = False
        elif self.copying_in and expected.request is Request.SYNC:
            expected.done = True
            return True
        self._queue.append(expected)
        return True

    def copy_ends(self) -> None:
        """The client sends CopyDone or CopyFail. Outside COPY the server ignores both, and nothing is owed."""
        if self.copying_in:
            self._queue[0].copying = False
        elif self._queue:  # COPY may be about to begin: then a Sync before this one is ignored, one after it is not
            self._queue.append(Expected(Request.COPY_END))

    def accept(self, tag: int) -> tuple[Expected[Note], Step]:
        """The entry that a server's message belongs to. Raises ProtocolError for one that nobody waits for."""
        if not self._queue:
            raise ProtocolError(f"the server sent {chr(tag)!r} while nothing was asked of it")
        head = self._queue[0]
        step = head.request.steps.get(tag)
        if step is None or (head.replacement is not None and tag not in _OF_A_REFUSAL):
            raise ProtocolError(f"the server sent {chr(tag)!r} in reply to {head.request.title}")
        if step is Step.DONE:
            self._pop()
        elif step is Step.FAILED:
            self._pop()
            self._skip()
        elif step is Step.COPY_IN:
            self._begin_copy(head)
        elif tag == Code.ERROR_RESPONSE:
            head.copying = False
        return head, step

    def take_made(self) -> bytes:
        """The bytes of every entry made here whose turn has come."""
        made = []
        while self._queue and self._queue[0].request in (Request.MADE, Request.COPY_END):
            made.append(self._queue[0].made)
            self._pop()
        return b"".join(made)

    def _pop(self) -> None:
        self._queue.popleft().done = True

    def _skip(self) -> None:
        while self._queue and self._queue[0].request is not Request.SYNC:
            self._pop()
        self._skipping = not self._queue

    def _begin_copy(self, head: Expected[Note]) -> None:
        """While it reads COPY data the server ignores every Sync; those that were sent ahead are owed nothing."""
        head.copying = True
        kept = deque((head,))
        for entry in list(self._queue)[1:]:
            if head.copying and entry.request is Request.SYNC:
                entry.done = True
            elif head.copying and entry.request is Request.COPY_END:
                head.copying = False
            else:
                kept.append(entry)
        self._queue = kept
