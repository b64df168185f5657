"""DBD::Pg: prepared at the server and in the text, arrays, copies, asynchronous queries, large objects, catalogue."""

from __future__ import annotations

import pytest
from client_stage import Stage, assert_masked, assert_same, play
from installed import perl


@pytest.mark.parametrize("part", ["core", "values", "writes", "events", "metadata"])
def test_dbd_cannot_tell_them_apart(part: str, stage: Stage) -> None:
    assert_same(*stage.play(perl("dbd.pl", part)))


def test_dbd_as_a_masked_role(stage: Stage) -> None:
    assert_masked(*stage.play_masked(perl("dbd.pl", "core")))


def test_a_masked_role_gets_the_catalogue_of_the_tables(stage: Stage) -> None:
    program = perl("dbd.pl", "metadata")
    assert_masked(play(program, stage.direct()), play(program, stage.through("analyst")))
