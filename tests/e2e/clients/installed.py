"""Where `make test-clients` puts what it installs, and how each kind of program is started.

A client that is not there fails its tests; none is left out silently.
"""

from __future__ import annotations

from pathlib import Path

from client_kinds import Place
from client_stage import Program, lines_of

PROGRAMS = Path(__file__).parent / "programs"
INSTALLED = Path(__file__).parents[3] / ".venv" / "clients"
JDBC = Path("/usr/share/java/postgresql.jar")
SYSTEM_PYTHON = "/usr/bin/python3"


def _of(*command: str, parts: tuple[str, ...]) -> Program:
    def program(place: Place) -> list[str]:
        return lines_of([*command, place.host, str(place.port), place.user, place.database, *parts])

    return program


def node(script: str, *parts: str) -> Program:
    modules = f"NODE_PATH={INSTALLED / 'node_modules'}"
    return _of("env", modules, "node", str(PROGRAMS / script), parts=parts)


def java(main: str, *parts: str) -> Program:
    """A single source file, compiled in memory by the launcher."""
    return _of("java", "-cp", str(JDBC), str(PROGRAMS / main), parts=parts)


def perl(script: str, *parts: str) -> Program:
    return _of("perl", str(PROGRAMS / script), parts=parts)


def system_python(script: str, *parts: str) -> Program:
    """Debian's Python, which has Debian's pyodbc."""
    return _of(SYSTEM_PYTHON, "-I", str(PROGRAMS / script), parts=parts)


def debian_psql() -> Path:
    """The newest that Debian's packages brought."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"), key=lambda path: int(path.parts[-3]))
    return found[-1]
