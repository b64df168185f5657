"""What analysts and their tools send all day, and what each has to come to, read from everyday/*.sql.

A case is a comment line `-- EXPECTED: name` and SQL up to an empty line. EXPECTED is `same` (as the hand-written masked
views of oracle.sql answer), `direct` (as the database itself answers its owner: statements about names, not values) or
`answers` (no error; what it shows is of the session or the moment).

A line that ends with a semicolon ends a statement: such a case is sent as one text, and statement by statement. `apart`
behind EXPECTED leaves the one text out: a text that changes the search path may not go on with what it resolves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("everyday")
_HEAD = re.compile(r"-- (same|direct|answers)( apart)?: (.+)")


@dataclass(frozen=True)
class Case:
    family: str
    name: str
    expected: str
    sql: str
    apart: bool = False

    @property
    def id(self) -> str:
        return f"{self.family}: {self.name}"

    @property
    def statements(self) -> list[str]:
        return re.split(r";\n", self.sql)


def load_cases() -> list[Case]:
    """Every case of FOLDER. A block without a proper head is an error."""
    cases = []
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip()):
            head, _, sql = block.partition("\n")
            found = _HEAD.fullmatch(head)
            if found is None or not sql.strip():
                raise ValueError(f"{path.name}: a case needs a head and a statement: {head}")
            cases.append(Case(path.stem, found[3], found[1], sql, apart=bool(found[2])))
    return cases


def script(name: str) -> str:
    """schema, rows or oracle."""
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
