"""What the server still owes: one entry for each message that was sent, in order.

Every message from the server is held against the entry at the head. What that entry does not allow is fatal for the
session: no reply is ever matched by counting. An entry may be *made here* (bytes of ours, which leave when their turn
comes), and an entry's error may be *replaced* by one of ours.

After an error in the extended protocol the server ignores everything up to the next Sync; so does this queue.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY

Most replies are of no interest to anybody but the client. Where an entry is *plain*, whoever walks the server's bytes
may hold them against `Request.passes`, and `pop` it at the last one; every other message is `accept`ed by itself.

It does not know what is in the messages, and asynchronous ones (notices, notifications, parameter changes) never get
here: they may come at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, Final, Generic, TypeVar

from proxy.errors import ProtocolError
from proxy.wire.codec import Code

Note = TypeVar("Note")


class Step(Enum):
    """What a message means for the entry at the head."""

    GOES_ON = "more will come"
    COPY_IN = "the client shall send data"
    DONE = "that was all"
    FAILED = "that was all, and nothing more until Sync"


_ROWS: Final = {Code.DATA_ROW: Step.GOES_ON, Code.COPY_DATA: Step.GOES_ON, Code.COPY_DONE: Step.GOES_ON}
_COPY: Final = {
    Code.COPY_OUT_RESPONSE: Step.GOES_ON,
    Code.COPY_IN_RESPONSE: Step.COPY_IN,
    Code.COPY_BOTH_RESPONSE: Step.COPY_IN,
}
_READY: Final = {Code.READY_FOR_QUERY: Step.DONE}
_ERROR_GOES_ON: Final = {Code.ERROR_RESPONSE: Step.GOES_ON}
_ERROR_FAILS: Final = {Code.ERROR_RESPONSE: Step.FAILED}
_OF_A_REFUSAL: Final = frozenset({Code.ERROR_RESPONSE, Code.READY_FOR_QUERY})
_NONE: Mapping[int, Step] = {}
PART: Final = 1
LAST: Final = 2
"""What `Request.passes` says of a code: it is a part of the answer, or the end of it. 0: look at it."""
_COMPACT: Final = 64
"""Answered entries at the front of the queue that are worth moving the others for."""


def _passes(steps: Mapping[int, Step]) -> bytes:
    table = bytearray(256)
    for tag, step in steps.items():
        if step in (Step.GOES_ON, Step.DONE) and tag != Code.ERROR_RESPONSE:
            table[tag] = LAST if step is Step.DONE else PART
    return bytes(table)


class Request:
    """What was sent, and the replies that it allows. There are these and no others; they are compared by identity."""

    __slots__ = ("has_rows", "passes", "steps", "title")

    QUERY: ClassVar[Request]
    FUNCTION_CALL: ClassVar[Request]
    SYNC: ClassVar[Request]
    PARSE: ClassVar[Request]
    BIND: ClassVar[Request]
    DESCRIBE: ClassVar[Request]
    EXECUTE: ClassVar[Request]
    CLOSE: ClassVar[Request]
    MADE: ClassVar[Request]
    COPY_END: ClassVar[Request]

    def __init__(self, title: str, steps: Mapping[int, Step]) -> None:
        self.title = title
        self.steps = steps
        self.has_rows = Code.DATA_ROW in steps
        self.passes = _passes(steps)
        """By code: PART, LAST or 0. An error, and what begins COPY from the client, are looked at in any case."""

    def __repr__(self) -> str:
        return f"Request({self.title!r})"


_RUNS: Final = dict.fromkeys((Code.COMMAND_COMPLETE, Code.EMPTY_QUERY_RESPONSE), Step.GOES_ON)
_RAN: Final = dict.fromkeys((Code.COMMAND_COMPLETE, Code.EMPTY_QUERY_RESPONSE, Code.PORTAL_SUSPENDED), Step.DONE)
_SHAPES: Final = {Code.ROW_DESCRIPTION: Step.DONE, Code.NO_DATA: Step.DONE}

Request.QUERY = Request(
    "Query",
    {Code.ROW_DESCRIPTION: Step.GOES_ON, **_RUNS, **_ROWS, **_COPY, **_ERROR_GOES_ON, **_READY},
)
Request.FUNCTION_CALL = Request("FunctionCall", {Code.FUNCTION_CALL_RESPONSE: Step.GOES_ON, **_ERROR_GOES_ON, **_READY})
Request.SYNC = Request("Sync", {**_ERROR_GOES_ON, **_READY})
Request.PARSE = Request("Parse", {Code.PARSE_COMPLETE: Step.DONE, **_ERROR_FAILS})
Request.BIND = Request("Bind", {Code.BIND_COMPLETE: Step.DONE, **_ERROR_FAILS})
Request.DESCRIBE = Request("Describe", {Code.PARAMETER_DESCRIPTION: Step.GOES_ON, **_SHAPES, **_ERROR_FAILS})
Request.EXECUTE = Request("Execute", {**_RAN, **_ROWS, **_COPY, **_ERROR_FAILS})
Request.CLOSE = Request("Close", {Code.CLOSE_COMPLETE: Step.DONE, **_ERROR_FAILS})
Request.MADE = Request("made here", _NONE)
Request.COPY_END = Request("the client's end of COPY", _NONE)


class Expected(Generic[Note]):
    """One entry. `note` is what the session wants back with each reply; nobody here looks at it."""

    __slots__ = ("done", "made", "note", "ours", "plain", "replacement", "request")

    def __init__(
        self,
        request: Request,
        note: Note | None = None,
        *,
        replacement: bytes | None = None,
        made: bytes = b"",
        ours: bool = False,
        plain: bool = False,
    ) -> None:
        self.request = request
        self.note = note
        self.replacement = replacement
        """The ErrorResponse that the client gets in place of the server's. No other reply is allowed then."""
        self.made = made
        self.ours = ours
        """Sent by the proxy of its own accord: of its replies the client gets an error and nothing else."""
        self.plain = plain
        """Its replies may go on to the client unread, as long as they are what is expected."""
        self.done = False
        """Answered, or ignored after an error. Says nothing of an entry that stands in the queue more than once."""

    def __repr__(self) -> str:
        return f"Expected({self.request.title})"


class Replies(Generic[Note]):
    """The queue."""

    __slots__ = ("_copying", "_first", "_queue", "_skipping")

    def __init__(self) -> None:
        self._queue: list[Expected[Note]] = []
        self._first = 0
        """Where the head stands. What is before it was answered."""
        self._skipping = False
        self._copying = False
        """The server reads the client's COPY data, for the head."""

    def __repr__(self) -> str:
        waiting = [e.request.title for e in self._queue[self._first :]]
        return f"Replies({waiting}, skipping={self._skipping})"

    def __len__(self) -> int:
        return len(self._queue) - self._first

    @property
    def skipping(self) -> bool:
        """Whether the server ignores everything up to a Sync that was not sent yet."""
        return self._skipping

    @property
    def open(self) -> bool:
        """Whether whatever is sent now will be answered: nothing is skipped, and no COPY data is read."""
        return not self._skipping and not self._copying

    @property
    def head(self) -> Expected[Note] | None:
        return self._queue[self._first] if self._queue else None

    @property
    def last(self) -> Expected[Note]:
        """The entry that will be answered last. Raises IndexError where nothing is owed."""
        return self._queue[-1]

    def mark(self) -> Expected[Note]:
        """The entry that will be answered last, to wait for. Raises IndexError where nothing is owed."""
        last = self._queue[-1]
        if last.plain and last.note is None:  # it may stand elsewhere too
            last = self._queue[-1] = Expected(last.request, plain=True)
        return last

    @property
    def takes_rows(self) -> bool:
        """Whether rows or COPY data may come now."""
        head = self.head
        return head is not None and head.request.has_rows and head.replacement is None

    @property
    def copying_in(self) -> bool:
        """Whether the server reads COPY data, and ignores Flush and Sync."""
        return self._copying

    def expect(self, expected: Expected[Note]) -> bool:
        """Adds an entry for a message that is about to be sent. False: the server would ignore it, do not send it.

        An entry that nothing will answer is done at once.
        """
        if self._skipping:
            if expected.request is not Request.SYNC:
                expected.done = True
                return False
            self._skipping = False
        elif self._copying and expected.request is Request.SYNC:
            expected.done = True
            return True
        self._queue.append(expected)
        return True

    def push(self, expected: Expected[Note]) -> None:
        """As `expect` while the queue is `open`."""
        self._queue.append(expected)

    def copy_ends(self) -> None:
        """The client sends CopyDone or CopyFail. Outside COPY the server ignores both, and nothing is owed."""
        if self._copying:
            self._copying = False
        elif self._queue:  # COPY may be about to begin: then a Sync before this one is ignored, one after it is not
            self._queue.append(Expected(Request.COPY_END))

    def accept(self, tag: int) -> tuple[Expected[Note], Step]:
        """The entry that a server's message belongs to. Raises ProtocolError for one that nobody waits for."""
        head = self.head
        if head is None:
            raise ProtocolError(f"the server sent {chr(tag)!r} while nothing was asked of it")
        step = head.request.steps.get(tag)
        if step is None or (head.replacement is not None and tag not in _OF_A_REFUSAL):
            raise ProtocolError(f"the server sent {chr(tag)!r} in reply to {head.request.title}")
        if step is Step.DONE:
            self.pop()
        elif step is Step.FAILED:
            self.pop()
            self._skip()
        elif step is Step.COPY_IN:
            self._begin_copy(head)
        elif tag == Code.ERROR_RESPONSE:
            self._copying = False
        return head, step

    def take_made(self) -> bytes:
        """The bytes of every entry made here whose turn has come."""
        made = []
        while self._queue and self._queue[self._first].request in (Request.MADE, Request.COPY_END):
            made.append(self._queue[self._first].made)
            self.pop()
        return b"".join(made)

    def pop(self) -> None:
        """The head is answered."""
        queue = self._queue
        queue[self._first].done = True
        self._first += 1
        self._copying = False
        if self._first == len(queue):
            self._queue = []
            self._first = 0
        elif self._first >= _COMPACT and self._first * 2 > len(queue):
            self._queue = queue[self._first :]
            self._first = 0

    def _skip(self) -> None:
        while self._queue and self._queue[self._first].request is not Request.SYNC:
            self.pop()
        self._skipping = not self._queue

    def _begin_copy(self, head: Expected[Note]) -> None:
        """While it reads COPY data the server ignores every Sync; those that were sent ahead are owed nothing."""
        copying = True
        kept = [head]
        for entry in self._queue[self._first + 1 :]:
            if copying and entry.request is Request.SYNC:
                entry.done = True
            elif copying and entry.request is Request.COPY_END:
                copying = False
            else:
                kept.append(entry)
        self._queue, self._first = kept, 0
        self._copying = copying
