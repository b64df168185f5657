"""pgJDBC: statements in every mode of sending them, batches, fetch sizes, copies, DatabaseMetaData."""

from __future__ import annotations

import pytest
from client_stage import Stage, assert_masked, assert_same, play
from installed import java

CORE = ("core", "core-simple", "core-binary")


@pytest.mark.parametrize(
    "part", [*CORE, "values", "writes", "rewritten", "results", "events", "autosave", "metadata", "options"]
)
def test_jdbc_cannot_tell_them_apart(part: str, stage: Stage) -> None:
    assert_same(*stage.play(java("Jdbc.java", part)))


@pytest.mark.parametrize("part", CORE)
def test_jdbc_as_a_masked_role(part: str, stage: Stage) -> None:
    assert_masked(*stage.play_masked(java("Jdbc.java", part)))


def test_a_masked_role_gets_the_metadata_of_the_tables(stage: Stage) -> None:
    program = java("Jdbc.java", "metadata")
    assert_masked(play(program, stage.direct()), play(program, stage.through("analyst")))
