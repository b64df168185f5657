"""Why a reading of a question cannot be taken: it does not fit the schema, or fits in two ways."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.errors import NotUnderstoodError
from proxy.nl.embedded.syntax import Value

NOT_UNDERSTOOD = "the question is not understood"
MAX_CHOICES = 6


class NoFitError(NotUnderstoodError):
    """This reading does not fit the schema; another one may."""


class AmbiguousError(NotUnderstoodError):
    """Two meanings, equally good: no further reading is tried."""


def ambiguous(text: str, choices: Iterable[str], hint: str | None = None) -> AmbiguousError:
    ordered = sorted(set(choices))
    shown = " or ".join(ordered[:MAX_CHOICES]) + (" or others" if len(ordered) > MAX_CHOICES else "")
    return AmbiguousError(
        "the question can be read in more than one way",
        detail=f'"{text}" could be {shown}.',
        hint=hint or f"Say which one: {shown}.",
    )


def not_held(value: Value, table: str, hint: str) -> NoFitError:
    """A value that no column in reach holds."""
    return NoFitError(
        NOT_UNDERSTOOD,
        detail=f'The value "{value.text}" is in no column that could be meant of {table}.',
        hint=f"Name its column, as in: where COLUMN is '...'. {hint}",
    )
