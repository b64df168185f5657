"""The policy files on disk: read whole or not at all, and read again when they change.

A thread compares the files' names, inodes, sizes and times a few times a second. No notification of a system reaches
over every file system, through symbolic links and into a directory that is swapped; a dozen calls of stat(2) do.

Half a file can be a good policy with fewer masks, and so can a directory that is being copied. So files are read once
they have stood still for a moment, and what was read counts only if they still are as they were before. Files that do
not come to rest are said loudly and not read, except when the operator asks (SIGHUP).

It does not know what a policy says, or what becomes of it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeVar

from proxy.ops.log import get_logger
from proxy.policy.load import is_policy_name, load_policies, load_shadow
from proxy.policy.model import Policy

POLL_SECONDS = 0.1
STILL_SECONDS = 0.3
"""How long the files stand still before they are read: longer than an editor takes to replace one."""
RESTLESS_SECONDS = 10.0
"""Files that have been changing for this long are said to."""
ATTEMPTS = 3
"""At reading files that change while they are read, where the operator asked for it."""
PLACES = 20
"""Of problems, in a log line."""

Signature = tuple[tuple[str | int, ...], ...]

_log = get_logger("policyfiles")


@dataclass(frozen=True, slots=True)
class Broken:
    """Files that cannot be used: the kind of error, how many problems, and where the first of them stand."""

    error_type: str
    problems: int = 1
    places: tuple[str, ...] = ()


RESTLESS = Broken("FilesKeepChanging")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files say: what is enforced, and what is only tried out (`enforce: false`); None where nothing is."""

    policy: Policy | Broken
    shadow: Policy | Broken | None = None
    asked: bool = False
    """The operator asked for it."""


Loaded = TypeVar("Loaded")
Tell = Callable[[Reading], None]


def signature(path: Path) -> Signature:
    """What tells two states of the files apart: of each its name, device, inode, size and times. Raises nothing.

    `path` is a directory of policy files, or one file. ctime is in it because a copy may keep mtime and size.
    """
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - names are what is wanted
    except NotADirectoryError:
        return (_stamp(path),)
    except OSError as error:
        return (("", error.errno or 0),)
    return tuple(_stamp(path / name) for name in names if is_policy_name(name))


def _stamp(path: Path) -> tuple[str | int, ...]:
    try:
        found = path.stat()  # of what a link points to
    except OSError as error:
        return (path.name, error.errno or 0)
    return (path.name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def first_reading(path: Path) -> tuple[Reading, Signature]:
    """What the program starts with, and the state of the files before they were read.

    Blocks. Raises PolicyProblems where what is to be enforced cannot be used; a broken shadow keeps nobody waiting.
    """
    before = signature(path)
    return Reading(load_policies(path), _load(load_shadow, path)), before


def read(path: Path) -> tuple[Reading | None, Signature]:
    """What the files say, and the state that they were in; None where they changed meanwhile. Blocks."""
    before = signature(path)
    found = Reading(_load(load_policies, path), _load(load_shadow, path))
    return (found if signature(path) == before else None), before


def _load(load: Callable[[Path], Loaded], path: Path) -> Loaded | Broken:
    try:
        return load(path)
    except Exception as error:  # a policy that breaks the loader must not end the proxy either
        problems = getattr(error, "problems", ())
        places = tuple(str(problem.where) for problem in problems[:PLACES])
        return Broken(type(error).__name__, len(problems) or 1, places)


class Rest(Enum):
    """What is to be done about the files: nothing, read them, or say that they keep changing."""

    NOTHING = 0
    READ = 1
    RESTLESS = 2


@dataclass(slots=True)
class Settling:
    """When the files may be read. `known` is the state that was read last; moments are steady seconds."""

    known: Signature
    _last: Signature | None = None
    _since: float = 0.0
    _changing_since: float | None = None
    _said: bool = field(default=False)

    def look(self, found: Signature, moment: float) -> Rest:
        """The files are found in this state now."""
        if found == self.known and not self._said:  # what was said is taken back by reading them
            self.was_read(found)
            return Rest.NOTHING
        if self._changing_since is None:
            self._changing_since = moment
        if found != self._last:
            self._last, self._since = found, moment
        if moment - self._since >= STILL_SECONDS:
            return Rest.READ
        if not self._said and moment - self._changing_since >= RESTLESS_SECONDS:
            self._said = True
            return Rest.RESTLESS
        return Rest.NOTHING

    def was_read(self, found: Signature) -> None:
        self.known, self._last, self._changing_since, self._said = found, None, None, False


class PolicyWatch:
    """Looks at the files in a thread of its own, and tells what they say on the event loop. A context manager.

    `known` is the state that `first_reading` found. One reading at a time, so that none overtakes a later one.
    """

    def __init__(self, path: Path, known: Signature, tell: Tell) -> None:
        self._path = path
        self._tell = tell
        self._settling = Settling(known)
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pgveil-policies", daemon=True)

    def __repr__(self) -> str:
        return f"PolicyWatch({str(self._path)!r})"

    def __enter__(self) -> PolicyWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Does not wait for a file system that hangs."""
        self._ended.set()
        self._wake.set()

    def read_now(self) -> None:
        """Reads the files at once, whether they have changed or not. Returns before it has."""
        self._wake.set()

    def _watch(self) -> None:
        while not self._ended.is_set():
            asked = self._wake.wait(POLL_SECONDS)
            self._wake.clear()
            if self._ended.is_set():
                return
            try:
                self._read_as_asked() if asked else self._look()
            except Exception as error:  # whatever it is: nobody else looks at the files
                _log.error("the policy files could not be looked at", exc_info=error)
                time.sleep(STILL_SECONDS)

    def _look(self) -> None:
        rest = self._settling.look(signature(self._path), time.monotonic())
        if rest is Rest.RESTLESS:
            self._send(Reading(RESTLESS))
        if rest is not Rest.READ:
            return
        found, state = read(self._path)
        if found is not None:
            self._settling.was_read(state)
            self._send(found)

    def _read_as_asked(self) -> None:
        for _ in range(ATTEMPTS):
            found, state = read(self._path)
            if found is not None:
                self._settling.was_read(state)
                self._send(Reading(found.policy, found.shadow, asked=True))
                return
        self._send(Reading(RESTLESS, asked=True))

    def _send(self, reading: Reading) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and this thread ends with it
            self._loop.call_soon_threadsafe(self._tell, reading)
