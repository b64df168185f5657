"""The psql of Debian's packages: older than the server, with a libpq of its own."""

from __future__ import annotations

import pytest
from client_stage import Stage, assert_masked, assert_same
from installed import debian_psql
from psql_session import BYPASS, CORE, psql


@pytest.mark.parametrize("session", [CORE, BYPASS])
def test_an_older_psql_cannot_tell_them_apart(session: str, stage: Stage) -> None:
    assert_same(*stage.play(psql(debian_psql(), session)))


def test_an_older_psql_as_a_masked_role(stage: Stage) -> None:
    assert_masked(*stage.play_masked(psql(debian_psql(), CORE)))
