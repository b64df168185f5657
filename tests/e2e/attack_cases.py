"""The attack statements and what each has to come to, read from attacks/*.sql and policy_attacks/*.sql.

A case is a comment line `-- EXPECTED: name`, or `-- EXPECTED as USER: name`, and SQL up to an empty line. EXPECTED is
`same` (as the hand-written masked views of oracle.sql answer, errors by SQLSTATE), `answers` (no error, no secret) or
`refused SQLSTATE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("attacks")
_HEAD = re.compile(r"-- (same|answers|refused [0-9A-Z]{5})(?: as (\w+))?: (.+)")


@dataclass(frozen=True)
class Case:
    family: str
    name: str
    expected: str
    sql: str
    user: str = ""
    """Who sends it, where that is not the one of the other statements."""

    @property
    def id(self) -> str:
        return f"{self.family}: {self.name}"


def load_cases(paths: Iterable[Path] = ()) -> list[Case]:
    """Every case of the files, those of FOLDER by default. A block without a proper head is an error."""
    cases = []
    for path in paths or sorted(FOLDER.glob("[0-9]*.sql")):
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip()):
            head, _, sql = block.partition("\n")
            found = _HEAD.fullmatch(head)
            if found is None or not sql.strip():
                raise ValueError(f"{path.name}: a case needs a head and a statement: {head}")
            cases.append(Case(path.stem, found[3], found[1], sql, found[2] or ""))
    return cases


def schema() -> str:
    return (FOLDER / "schema.sql").read_text(encoding="utf-8")


def rows(*, ssn: str, salary: int, step: int, folder: Path = FOLDER) -> str:
    """The rows with these protected values."""
    text = (folder / "rows.sql").read_text(encoding="utf-8")
    return text.replace("{ssn}", ssn).replace("{salary}", str(salary)).replace("{step}", str(step))


def oracle() -> str:
    return (FOLDER / "oracle.sql").read_text(encoding="utf-8")
