"""Reads the word lists under `data/`: text files with sections, so that a reviewer can read and mend them.

A line `[name]` opens a section, a line that begins with `#` is a remark, all else are words with spaces between.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

_DATA = Path(__file__).parent / "data"


def read(name: str) -> dict[str, frozenset[str]]:
    """The sections of `data/<name>.txt`; words before the first section are under ""."""
    sections: dict[str, set[str]] = defaultdict(set)
    section = ""
    for line in (_DATA / f"{name}.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[] ")
            continue
        sections[section].update(line.split())
    return {key: frozenset(words) for key, words in sections.items()}
