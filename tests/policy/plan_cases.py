"""Statements and their plans as files have them: a name, SQL, a user, and the SQL that runs or the refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_CASE = re.compile(r"== (?P<name>.+)\n(?P<sql>(?:.+\n)+)-> (?P<user>\w+): (?P<plan>(?:.+\n?)+)")


@dataclass(frozen=True)
class Case:
    name: str
    sql: str
    user: str
    plan: str


def load_cases(folder: Path) -> list[Case]:
    """Every case of a folder's files. ValueError for a block that is none."""
    found = []
    for path in sorted(folder.glob("*.txt")):
        for block in re.split(r"\n\s*\n", path.read_text().strip()):
            match = _CASE.fullmatch(block)
            if match is None:
                raise ValueError(f"{path.name}: {block}")
            found.append(Case(match["name"], match["sql"].strip(), match["user"], match["plan"].strip()))
    return found
