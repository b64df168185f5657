"""psqlODBC: statements prepared at the server, put into the text and read by DECLARE and FETCH; catalogue functions."""

from __future__ import annotations

import pytest
from client_stage import Stage, assert_masked, assert_same, play
from installed import system_python

CORE = ("core-server", "core-client", "core-declare")


@pytest.mark.parametrize("part", [*CORE, "values", "writes", "events", "metadata"])
def test_odbc_cannot_tell_them_apart(part: str, stage: Stage) -> None:
    assert_same(*stage.play(system_python("odbc.py", part)))


@pytest.mark.parametrize("part", CORE)
def test_odbc_as_a_masked_role(part: str, stage: Stage) -> None:
    assert_masked(*stage.play_masked(system_python("odbc.py", part)))


def test_a_masked_role_gets_the_catalogue_of_the_tables(stage: Stage) -> None:
    program = system_python("odbc.py", "metadata")
    assert_masked(play(program, stage.direct()), play(program, stage.through("analyst")))
