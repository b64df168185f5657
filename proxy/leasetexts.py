"""The client's texts on shared connections, as bytes: what each of them may leave, and what is refused.

It does not know sessions. How a text is read: `policy.sessionstate`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from proxy.policy.sessionstate import CLEAN, MAX_TEXT, UNKNOWN, UNREAD, VALUES, Trace, trace
from proxy.poolerrors import ReservedNameError, SequenceError
from proxy.refusals import POISON
from proxy.wire.messages import error_response

RESERVED: Final = error_response(
    ReservedNameError("statement names that begin with pgveil_s_ are the proxy's", hint="Use another name.")
).encode()

NO_SEQUENCE: Final = error_response(
    SequenceError(
        "the session's last value of a sequence is not known in transaction pooling",
        hint="Use INSERT ... RETURNING, or ask in the transaction that took the value, or use pool.mode: session.",
    )
).encode()


_CUSTOM: Final = re.compile(
    rb"\bset\s*+(?:(?:session|local)\s*+)?+(?:/\*|--|\"?+[\w$]++\"?+\s*+(?:\.|/\*|--))|set_config", re.IGNORECASE
).search
"""What may set such a one: SET with a dot behind a name, or a comment that somebody has put in the way."""


def trace_of(text: bytes) -> Trace:
    """What a text may leave. One that is too long to be read may leave anything; settings with a dot in their names are
    looked for there, since the server does not tell of those whose names nobody knows."""
    if len(text) <= MAX_TEXT:
        return _read(text)
    return UNKNOWN if _CUSTOM(text) is None else UNREAD


@lru_cache(maxsize=1024)
def _read(text: bytes) -> Trace:
    """What a text may leave; CLEAN and VALUES are those very objects. One that is not UTF-8 is not read: in some
    encodings it has other letters than it seems."""
    if text == POISON:
        return CLEAN
    try:
        found = trace(text.decode())
    except UnicodeDecodeError:
        return UNREAD
    if found != CLEAN:
        return found
    return VALUES if found.values else CLEAN
