"""The detector's process: this one stays light, failures are closed, and nothing reaches the network."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.errors import AskError
from proxy.privacy.pool import DetectorPool

ROOT = Path(__file__).parents[2]


def run(script: str) -> str:
    """What `script` prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_it_detects_and_a_worker_that_dies_is_replaced() -> None:
    pool = DetectorPool()
    try:
        spans = await pool.detect("mail asha@x.in")
        assert {span.type for span in spans} == {"EMAIL"}
        first = await pool.worker_pid()
        os.kill(first, signal.SIGINT)  # what a terminal sends to the whole group on Ctrl-C: not the worker's business
        assert await pool.detect("mail asha@x.in") == spans
        assert await pool.worker_pid() == first
        os.kill(first, signal.SIGKILL)
        assert await pool.detect("mail asha@x.in") == spans
        assert await pool.worker_pid() != first
    finally:
        await pool.close()
    with pytest.raises(AskError):
        await pool.detect("mail asha@x.in")


async def test_a_text_that_takes_too_long_fails_and_the_next_one_works() -> None:
    pool = DetectorPool(seconds=0.0)
    try:
        with pytest.raises(AskError):
            await pool.detect("mail asha@x.in")
        pool._seconds = 30.0
        assert await pool.detect("mail asha@x.in")
    finally:
        await pool.close()


async def test_a_worker_that_cannot_start_in_time_fails_the_question() -> None:
    pool = DetectorPool(start_seconds=0.0)
    try:
        with pytest.raises(AskError):
            await asyncio.gather(pool.detect("a"), pool.detect("b"))
    finally:
        await pool.close()


def test_this_process_never_imports_presidio_or_spacy() -> None:
    script = """
import asyncio, sys
from proxy.privacy.pool import DetectorPool
from proxy.privacy.question import QuestionMasker

async def main():
    async def fetch(sql, *args):
        return []
    pool = DetectorPool()
    masked = await QuestionMasker(pool, fetch).mask("orders of Asha Rao, asha@x.in")
    await pool.close()
    print(len(masked.vault), sorted(m for m in ("presidio_analyzer", "spacy", "faker", "numpy") if m in sys.modules))

if __name__ == "__main__":
    asyncio.run(main())
"""
    assert run(script) == "2 []"


def test_the_detector_opens_no_socket() -> None:
    script = """
import socket

def refuse(*args, **kwargs):
    raise AssertionError("network")

socket.socket.__init__ = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
from proxy.privacy.detect import Detector
detector = Detector()
texts = ["mail asha@example.co.in or asha@x.zz", "see https://example.com/a and www.example.org/b",
         "call +91 98765 43210, (415) 555-0132", "IBAN DE89 3704 0044 0532 0130 00 from 10.0.0.1"]
print([len(detector.detect(text)) > 0 for text in texts])
"""
    assert run(script) == "[True, True, True, True]"
