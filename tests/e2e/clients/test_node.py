"""node-postgres with its cursors, streams and copies, and postgres.js."""

from __future__ import annotations

import pytest
from client_stage import Stage, assert_masked, assert_same
from installed import node

PROGRAMS = ("node_pg.js", "postgres_js.js")


@pytest.mark.parametrize("part", ["core", "values", "writes", "events", "pools"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_node_cannot_tell_them_apart(program: str, part: str, stage: Stage) -> None:
    assert_same(*stage.play(node(program, part)))


@pytest.mark.parametrize("program", PROGRAMS)
def test_node_as_a_masked_role(program: str, stage: Stage) -> None:
    assert_masked(*stage.play_masked(node(program, "core")))
