"""How the engine's parts say no while they walk a tree: one exception that carries the Refusal.

It never leaves this package: `decide` turns it back into a value.
"""

from __future__ import annotations

from proxy.policy.plan import Refusal

HINT = "docs/veil.md says what a masked role may run"

DUMP_HINT = (
    "pg_dump does not work for a masked role: a role with bypass: true can dump, and COPY (SELECT ...) TO STDOUT "
    "exports what this role sees"
)
"""For the statements that pg_dump begins with."""


class Refused(Exception):  # noqa: N818 - an answer of the policy, not a fault
    """The walk ends here. `location` is the node's (bytes from 0 in the text that was parsed), or -1."""

    def __init__(self, refusal: Refusal, location: int = -1) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.location = location


def denied(message: str, *, hint: str = HINT, location: int = -1) -> Refused:
    """The role may not (SQLSTATE 42501)."""
    return Refused(Refusal("42501", message, hint=hint), location)


def unsupported(message: str, *, hint: str = HINT, location: int = -1) -> Refused:
    """The veil cannot analyse it (SQLSTATE 0A000)."""
    return Refused(Refusal("0A000", message, hint=hint), location)


def undefined(relation: str, location: int = -1) -> Refused:
    """The catalogue has no such relation (SQLSTATE 42P01, PostgreSQL's own words)."""
    return Refused(Refusal("42P01", f'relation "{relation}" does not exist', unknown=relation), location)
