"""The file descriptors of a process that serves thousands of clients: enough of them, and none in place of the standard
streams.

It does not know what they are used for.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress

_STANDARD = range(3)
_MOST = 1 << 20
"""More than anybody needs; some systems allow a thousand times as many, and some programs try each of them."""


def prepare() -> None:
    """For the start of a process, before it opens anything. Its children inherit it."""
    _fill_standard()
    _allow_many()


def _fill_standard() -> None:
    """A service may be started with standard input or output closed. The next socket would get that number, and libuv
    ends the process rather than close such a one."""
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            os.set_inheritable(number, True)  # noqa: FBT003 - it takes no name


def _allow_many() -> None:
    """The soft limit, often 1024, is for programs that use select(2); the hard one is what the operator allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # a system that allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
