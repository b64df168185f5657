"""How far a walk over a statement goes: statements are decided on while others wait, and a text of a few lines can make
its columns double with each of them.

It does not know what a step is for.
"""

from __future__ import annotations

from typing import Final

MAX_COLUMNS: Final = 1664
"""PostgreSQL's own limit of a select list (MaxTupleAttributeNumber); what is wider is not followed."""

MAX_RANGES: Final = 512
"""Items of one FROM; a level with more is not followed."""

MAX_STEPS: Final = 20_000
"""Of one walk: some 10 microseconds each."""

_COLUMNS_A_STEP: Final = 32


class TooLarge(Exception):  # noqa: N818 - an answer, and no fault
    """A statement that a walk does not follow to its end."""


class Steps:
    """What is left of a walk's steps; walks inside one another share them."""

    def __init__(self, left: int = MAX_STEPS) -> None:
        self._left = left

    def take(self, columns: int = 0) -> None:
        """One step, and more for many columns. Raises TooLarge after the last."""
        self._left -= 1 + columns // _COLUMNS_A_STEP
        if self._left < 0:
            raise TooLarge
