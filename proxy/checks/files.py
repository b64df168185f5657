"""What lies among the policy files and is none of them by its name.

It does not look into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from proxy.checks.finding import Finding, warning
from proxy.policy.load import NAMES, left_out
from proxy.policy.rules import Where

_HINT = f"{NAMES} No other letters, and no . before the name."


def left_out_files(directory: Path) -> Iterator[Finding]:
    """Hidden files and names with capitals: what they say holds for nobody."""
    for path in left_out(directory):
        yield warning(Where(str(path), 1), "this file is not read", _HINT)
