"""The nearest known name to one that is not known: what turns "unknown key" into a correction."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or the known names where none is near, to end a sentence with."""
    names = {candidate.lower(): candidate for candidate in sorted(known)}
    close = difflib.get_close_matches(name.lower(), names, n=1)
    return f"; did you mean {names[close[0]]}?" if close else f"; known: {', '.join(names.values())}"
