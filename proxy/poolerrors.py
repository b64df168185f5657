"""What goes wrong where connections are shared.

Apart from those that raise it: they are compiled, and a compiled class does not override its base's attribute.
"""

from __future__ import annotations

from proxy.errors import PgveilError


class QueueTimeoutError(PgveilError):
    """Ours: no server connection became free in time (SQLSTATE 53300)."""

    sqlstate = "53300"


class PolicyChangedError(PgveilError):
    """Ours, on purpose: what a statement may read was decided before it began to wait, and is not so any more (SQLSTATE
    40001)."""

    sqlstate = "40001"


class SequenceError(PgveilError):
    """The client's: currval or lastval outside the transaction that took the value (SQLSTATE 0A000)."""

    sqlstate = "0A000"


class ReservedNameError(PgveilError):
    """The client's: a statement's name that only the proxy gives (SQLSTATE 42939)."""

    sqlstate = "42939"
