"""Positions in a text into which other texts were put.

It does not know what was put there.
"""

from __future__ import annotations

Cut = tuple[int, int, int]
"""Where a text was put: its offset and length in the final text, and the length of the marker that was there."""


def unspliced(position: int, cuts: tuple[Cut, ...]) -> int | None:
    """The position (from 1) in the text with markers for one in the final text, or None inside a masked view."""
    moved = 0
    for start, length, marker in cuts:
        if position <= start:
            break
        if position <= start + length:
            return None
        moved += length - marker
    return position - moved
