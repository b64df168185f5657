"""pgcli: commands, the completions that it reads from the catalogue, and a session at a terminal."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from client_kinds import PATIENCE, Place
from client_stage import Played, Program, Stage, assert_masked, assert_same, lines_of, play, run
from office_world import secrets_in

PGCLI = str(Path(sys.executable).with_name("pgcli"))
COMMANDS = (
    "SELECT id, ssn, email FROM hr.emp ORDER BY id",
    "SELECT * FROM shop.orders ORDER BY id LIMIT 3",
    "SELECT nothing FROM hr.emp",
    "SELEC 1",
    "SELECT 1; SELECT 2",
    "BEGIN; SELECT 1 / 0",
    "\\x on",
    "SELECT ssn FROM hr.emp WHERE id = 1",
)
CATALOGUE = (
    "\\dt shop.*",
    "\\d hr.emp",
    "\\d clients.child",
    "\\dv hr.*",
    "\\df clients.*",
    "\\dn",
    "\\l",
    "\\du",
    "\\dT clients.*",
)


def pgcli(place: Place) -> list[str]:
    return [PGCLI, "-h", place.host, "-p", str(place.port), "-U", place.user, "-d", place.database, "--less-chatty"]


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "PAGER": "cat",
        "TERM": "xterm",
        "PROMPT_TOOLKIT_NO_CPR": "1",
    }


def commands(home: Path, *texts: str) -> Program:
    """`pgcli -c` for each, without the times that it prints."""

    def program(place: Place) -> list[str]:
        options = [option for text in texts for option in ("-c", text)]
        done = run([*pgcli(place), *options], environment=environment(home))
        return [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("Time: ")]

    return program


def completions(home: Path) -> Program:
    def program(place: Place) -> list[str]:
        script = str(Path(__file__).with_name("pgcli_session.py"))
        return lines_of(
            [sys.executable, script, place.host, str(place.port), place.user, place.database], environment(home)
        )

    return program


@pytest.mark.parametrize("texts", [COMMANDS, CATALOGUE])
def test_pgcli_cannot_tell_them_apart(texts: tuple[str, ...], stage: Stage, tmp_path: Path) -> None:
    direct, proxied = stage.play(commands(tmp_path, *texts))
    assert_same(direct, proxied)
    assert len(direct.lines) > 20


def test_a_masked_role_sees_the_masked_views(stage: Stage, tmp_path: Path) -> None:
    assert_masked(*stage.play_masked(commands(tmp_path, *COMMANDS)))


def test_completions_are_the_same_byte_by_byte(stage: Stage, tmp_path: Path) -> None:
    assert_same(*stage.play(completions(tmp_path)))


def test_a_masked_role_completes_the_names_of_the_tables(stage: Stage, tmp_path: Path) -> None:
    """All but the functions: defaults of their arguments are somebody's SQL, and not shown to it."""
    direct, proxied = play(completions(tmp_path), stage.direct()), play(completions(tmp_path), stage.through("analyst"))
    assert_masked(_without_functions(direct), _without_functions(proxied))
    assert any("'ssn'" in line for line in proxied.lines)


def _without_functions(played: Played) -> Played:
    return Played([line for line in played.lines if not line.startswith("functions ")], played.said)


# At a terminal.

PROMPT = r"(.|\n)*clients>"
"""What is typed before it is shown again goes to nobody."""


class Terminal:
    """The other end of a program's terminal."""

    def __init__(self, end: int) -> None:
        self._end = end
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait_for(self, pattern: str) -> None:
        """Until this was shown, apart from colours and movements, since the last time."""
        until = time.monotonic() + PATIENCE
        seen = ""
        while not re.search(pattern, seen):
            assert time.monotonic() < until, f"{pattern} was not shown, but {seen[-2000:]!r}"
            if select.select([self._end], [], [], 1)[0]:
                self.shown += os.read(self._end, 65536).decode(errors="replace")
                seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown)
        self.shown = ""


@contextmanager
def at_a_terminal(command: list[str], variables: dict[str, str]) -> Iterator[Terminal]:
    here, there = os.openpty()
    process = subprocess.Popen(
        command, stdin=there, stdout=there, stderr=there, start_new_session=True, env={**os.environ, **variables}
    )
    os.close(there)
    try:
        yield Terminal(here)
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(here)


@pytest.mark.parametrize(("user", "ssn"), [("postgres", "zq8x-0002"), ("analyst", r"\*\*\*\*-\*\*02")])
def test_a_session_at_a_terminal(user: str, ssn: str, stage: Stage, tmp_path: Path) -> None:
    with at_a_terminal(pgcli(stage.through(user)), environment(tmp_path)) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type("SELECT ssn FROM hr.emp WHERE id = 2;\r")
        terminal.wait_for(ssn + PROMPT)
        terminal.type("BEGIN;\r")
        terminal.wait_for("BEGIN\r" + PROMPT)
        terminal.type("SELECT 1 / 0;\r")
        terminal.wait_for("division by zero" + PROMPT)
        terminal.type("ROLLBACK;\r")
        terminal.wait_for("ROLLBACK\r" + PROMPT)
        terminal.type("SELECT 40 + 2 AS answer;\r")
        terminal.wait_for("42" + PROMPT)
        terminal.type("\x04")


def test_the_list_of_databases(stage: Stage, tmp_path: Path) -> None:
    def listed(place: Place) -> str:
        return run([*pgcli(place), "--list"], environment=environment(tmp_path)).stdout

    assert listed(stage.through()) == listed(stage.direct())
    assert secrets_in(listed(stage.through("analyst"))) == []
