"""Patterns of tables and columns, as policies write them, and what they match.

`schema.table` and `schema.table.column`, each part a glob by itself. A column's pattern may go on into the value:
`.field` into a composite, `->key` into JSON.

It does not know which pattern wins: that is `model`'s.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from functools import lru_cache

from proxy.policy.catalog import Name


@dataclass(frozen=True, slots=True)
class Step:
    """One step into a value: a field of a composite, or a key of a JSON object (of each element, in an array)."""

    name: str
    json: bool

    def __str__(self) -> str:
        return f"->{self.name}" if self.json else f".{self.name}"


Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ColumnPath:
    """A part of a column's values. `pattern` is the column's, `schema.table.column`."""

    pattern: str
    steps: Path

    def __str__(self) -> str:
        return self.pattern + "".join(map(str, self.steps))


def is_glob(pattern: str) -> bool:
    return any(c in pattern for c in "*?[")


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def glob_matches(pattern: str, table: Name) -> bool:
    """Whether a `schema.table` pattern names `table`; each part is matched by itself."""
    parts = pattern.split(".")
    return len(parts) == len(table) and all(_compiled(p).match(v) for p, v in zip(parts, table, strict=True))


def column_matches(pattern: str, table: Name, column: str) -> bool:
    """Whether a `schema.table.column` pattern names the column; each part is matched by itself."""
    parts = pattern.split(".")
    return len(parts) == 3 and all(  # noqa: PLR2004
        _compiled(p).match(v) for p, v in zip(parts, (*table, column), strict=True)
    )
