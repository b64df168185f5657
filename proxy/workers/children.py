"""The supervisor's children: forking them, and learning that they have ended.

Forked and not started anew, because everything is imported by then: a worker is there after a tenth of a second, and
what it shares with the others it does not need memory for. That is safe only as long as the supervisor has one thread
and no event loop, which is why it has neither.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from proxy.errors import PgveilError
from proxy.ops.log import get_logger, name_process
from proxy.ops.totals import Snapshot
from proxy.workers.channel import Line
from proxy.workers.member import only

HANDLED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
DESK = 0
"""The number of the process that serves HTTP; workers begin with 1."""
EXIT_FAILED = 70
"""EX_SOFTWARE of sysexits.h."""

_log = get_logger("worker")


@dataclass(slots=True)
class Child:
    """A process. `number` is a worker's, or the desk's."""

    number: int
    pid: int
    line: Line
    started: float = field(default_factory=time.monotonic)
    up: bool = False
    last: Snapshot = ()
    """The numbers that it told last."""
    policies: bytes | None = None
    """What it was started with, or has said since."""
    misconfigured: bool = False
    """Settings or policies keep it from starting."""

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def ended(self) -> int | None:
        """Its exit status, or minus the signal that killed it; None while it runs. Reaps it."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return None if pid == 0 else os.waitstatus_to_exitcode(status)


def fork(number: int, main: Callable[[socket.socket], None], not_its: Iterable[socket.socket]) -> Child:
    """A child that runs `main` with its end of the channel; it closes the sockets that are not its business."""
    ours, theirs = socket.socketpair()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed by whoever reads it, or never there
            stream.flush()
    pid = os.fork()
    if pid == 0:
        _live(number, lambda: main(theirs), (ours, *not_its))
    theirs.close()
    return Child(number, pid, Line(ours))


def _live(number: int, main: Callable[[], None], not_its: Iterable[socket.socket]) -> None:
    """Everything that a child does. Never returns: what the supervisor's stack would do at its end is not a child's."""
    status = EXIT_FAILED
    try:
        # Python's handlers would tell the supervisor's own wake-up socket, of which this is a copy.
        signal.set_wakeup_fd(-1)
        for handled in HANDLED:
            signal.signal(handled, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for sock in not_its:
            sock.close()
        name_process(number or "http")
        main()
        status = 0
    except asyncio.CancelledError:
        status = 0  # told to stop before it had begun
    except Exception as error:
        if not isinstance(only(error), PgveilError):  # those have been told, and are the operator's to mend
            _log.error("a process failed", exc_info=error)
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(status)
