"""What pgcli reads of the catalogue for its completions, printed; run as a program, since pgcli changes its process.

Arguments: host, port, user, database.
"""

# ruff: noqa: T201 (printing is what it is for)
from __future__ import annotations

import sys

from pgcli.completion_refresher import CompletionRefresher  # type: ignore[import-untyped]
from pgcli.pgcompleter import PGCompleter  # type: ignore[import-untyped]
from pgcli.pgexecute import PGExecute  # type: ignore[import-untyped]
from prompt_toolkit.document import Document

LINES = ("SELECT  FROM hr.emp", "SELECT * FROM hr.", "INSERT INTO clients.", "SELECT clients.", "UPDATE hr.emp SET ")


def main(host: str, port: str, user: str, database: str) -> None:
    executor = PGExecute(database, user, "", host, port, None)
    completer = PGCompleter(smart_completion=True)
    for name, refresh in CompletionRefresher.refreshers.items():
        refresh(completer, executor)
        print(name)
    for kind, schemas in sorted(completer.dbmetadata.items()):
        for schema, objects in sorted(schemas.items()):
            print(kind, schema, sorted(str(entry) for entry in objects.items()))
    for line in LINES:
        document = Document(line, 7 if line.startswith("SELECT  ") else len(line))
        print(line, sorted({found.text for found in completer.get_completions(document, None)}))
    print("end")


if __name__ == "__main__":
    main(*sys.argv[1:])
