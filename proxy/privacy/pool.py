"""The detector in a process of its own: Presidio and spaCy are slow to load, heavy, and hold the interpreter.

One worker, started when first used or by `warm`. A text that takes longer than `seconds` fails, and its worker is
ended, since it cannot be interrupted; a worker that dies is replaced, and its text is tried once more. Whatever goes
wrong, the caller gets an AskError: a text that was not read is not passed on.

This process never imports Presidio or spaCy: the worker does. It does not know the database or placeholders.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from proxy.errors import AskError
from proxy.privacy.spans import Span

START_SECONDS = 90.0
DETECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Worker:
    executor: Executor
    pid: int


class DetectorPool:
    """One detector process for all sessions. `close` ends it; it ends by itself when this process does.

    `seconds` bounds one text, `start_seconds` the loading of the worker.
    """

    def __init__(self, *, seconds: float = DETECT_SECONDS, start_seconds: float = START_SECONDS) -> None:
        self._seconds = seconds
        self._start_seconds = start_seconds
        self._worker: _Worker | None = None
        self._closed = False
        self._lock = asyncio.Lock()

    async def warm(self) -> None:
        """Starts the worker and loads the detector. Raises AskError."""
        async with self._lock:
            await self._ready()

    async def detect(self, text: str, schema_names: frozenset[str] = frozenset()) -> tuple[Span, ...]:
        """What `Detector.detect` finds in `text`. One text at a time. Raises AskError."""
        async with self._lock:
            for _ in range(2):
                worker = await self._ready()
                try:
                    return await self._run(worker, text, schema_names)
                except BrokenProcessPool:
                    await self._end()
        raise _failure("the detector of private values ended unexpectedly, twice")

    async def worker_pid(self) -> int:
        """The worker's process id, for whoever watches over processes. Starts it. Raises AskError."""
        async with self._lock:
            return (await self._ready()).pid

    async def close(self) -> None:
        """Ends the worker, in the middle of a text too. Nothing is detected from here on."""
        self._closed = True
        await self._end()

    async def _run(self, worker: _Worker, text: str, schema_names: frozenset[str]) -> tuple[Span, ...]:
        loop = asyncio.get_running_loop()
        job = partial(_detect, text, schema_names)
        try:
            async with asyncio.timeout(self._seconds):
                return await loop.run_in_executor(worker.executor, job)
        except TimeoutError:
            await self._end()
            raise _failure("the question took too long to check for private values") from None
        except BrokenProcessPool:
            raise
        except Exception:  # any failure in the worker means that the text was not read
            raise _failure("the question could not be checked for private values") from None

    async def _ready(self) -> _Worker:
        if self._closed:
            raise _failure("the detector of private values is closed")
        if self._worker is None:
            self._worker = await self._start()
        return self._worker

    async def _start(self) -> _Worker:
        """A worker with its detector loaded. Starting it blocks for milliseconds, so a thread does it."""
        executor = await asyncio.to_thread(_executor)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._start_seconds):
                pid = await (await asyncio.to_thread(loop.run_in_executor, executor, os.getpid))
                await loop.run_in_executor(executor, _load)
        except Exception:  # whatever kept it from starting, there is no detector
            executor.shutdown(wait=False, cancel_futures=True)
            raise _failure("the detector of private values could not be started") from None
        return _Worker(executor, pid)

    async def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
        await asyncio.to_thread(worker.executor.shutdown, wait=True, cancel_futures=True)


def _failure(message: str) -> AskError:
    return AskError(message, hint="Nothing was sent to a model. Try again, or write the SQL yourself.")


def _executor() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """In the worker: Ctrl-C is the parent's to handle, and without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.join,), daemon=True).start()


def _follow(wait: object) -> None:
    if callable(wait):
        wait()
    os._exit(0)


_detector: object = None


def _load() -> None:
    """In the worker: the detector, once. Importing it here keeps Presidio out of the parent."""
    global _detector  # noqa: PLW0603 - one per worker process
    if _detector is None:
        from proxy.privacy.detect import Detector

        _detector = Detector()
        _detector.detect("warm up: Asha Rao, asha@example.com")


def _detect(text: str, schema_names: frozenset[str]) -> tuple[Span, ...]:
    from proxy.privacy.detect import Detector

    _load()
    if not isinstance(_detector, Detector):
        raise TypeError("no detector")
    return _detector.detect(text, schema_names)
