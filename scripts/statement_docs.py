"""Writes docs/statements.md: every node of PostgreSQL's trees and what becomes of it for a masked role.

The tables are those of `proxy.policy.commands` and `proxy.policy.clauses`; what the program cannot do yet is asked of
the engine. A test fails where the page is not what this would write.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from proxy.policy.clauses import CLAUSES, Clause, Place
from proxy.policy.commands import SECTIONS, Command, Verdict
from proxy.policy.rules import DEFAULT_STATEMENTS
from proxy.policy.statements import IMPLEMENTED

PAGE = Path(__file__).parents[1] / "docs" / "statements.md"

HEAD = """\
# Every statement, and every node in one

What becomes of each statement that PostgreSQL 18's grammar has when a masked role sends it, and below that of each node
that a statement is made of. [The veil](veil.md) has the ideas behind it. `python -m scripts.statement_docs` writes this
page from [`commands.py`](../proxy/policy/commands.py) and [`clauses.py`](../proxy/policy/clauses.py); a test walks the
grammar's node types, sends one statement of each, and fails where a row is missing or not true.

- **rewritten**: it runs over the masked views of what it names; where no rule touches that, it runs as it came.
- **allowed**: it runs, and reads no table.
- **refused**: SQLSTATE 42501 and the command's name.

*Granted by* is what a policy has to list under `defaults.statements`. Unless it says otherwise it grants
{default}.
A dash: no policy can grant it to a masked role. A role with `bypass: true` may send everything.
"""

CLAUSE_HEAD = """\
## Nodes within a statement

*Walked through*: nothing of its own is judged, its parts are. *Has a rule*: the reason says which. *Refused*: wherever
it stands, the statement is refused. *Never met*: PostgreSQL makes it after parsing, so no text has it; it is refused
all the same. So is a node type that a later PostgreSQL adds, until it has a row here.
"""


def page() -> str:
    """The whole text of docs/statements.md."""
    default = ", ".join(f"`{kind.value}`" for kind in sorted(DEFAULT_STATEMENTS))
    parts = [HEAD.format(default=default)]
    parts += [_section(title, rows) for title, rows in SECTIONS.items()]
    parts += [CLAUSE_HEAD, _clauses()]
    return "\n".join(parts)


def outcome(command: Command) -> str:
    """What a masked role meets today, where the policy grants the kind."""
    if command.verdict is not Verdict.REFUSED and command.kind not in IMPLEMENTED:
        return "refused: not there yet"
    return command.verdict.value


def _section(title: str, rows: Mapping[str, Command]) -> str:
    lines = [f"## {title}", "", "| command | node | granted by | for a masked role | why |", "|---|---|---|---|---|"]
    for node, command in rows.items():
        kind = f"`{command.kind.value}`" if command.kind else "–"
        lines.append(f"| {command.name} | `{node}` | {kind} | {outcome(command)} | {command.reason} |")
    return "\n".join(lines) + "\n"


def _clauses() -> str:
    by_row: dict[Clause, list[str]] = {}
    for node, clause in CLAUSES.items():
        by_row.setdefault(clause, []).append(f"`{node}`")
    lines = ["| what happens | why | nodes |", "|---|---|---|"]
    for place in Place:
        rows = [(clause, nodes) for clause, nodes in by_row.items() if clause.place is place]
        lines += [f"| {place.value} | {clause.reason} | {', '.join(nodes)} |" for clause, nodes in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(CLAUSES) + sum(map(len, SECTIONS.values()))} nodes\n")


if __name__ == "__main__":
    main()
