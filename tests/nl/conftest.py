"""Fixtures of the tests of asking."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nl_desk import Desk, make_desk
from scripted_model import ScriptedModel


@pytest.fixture
def desk() -> Iterator[Desk]:
    with ScriptedModel("") as model:
        yield make_desk(model)
