"""Attacks on row filters, conditions, parts of values, attributes, limits and writes, against the running proxy.

Each statement runs on two databases that differ in protected values and in hidden rows, and their answers must be the
same bytes; hand-written views say which. By both protocols, as text and as binary, on every server that is there, and
once more on the floor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from attack_cases import Case, load_cases
from attack_world import PLACES
from conftest import Serve
from policy_attack_world import CUT, FOLDER, SECRETS, USER, PolicyWorld, open_policy_world
from raw_client import RawClient, Reply

from proxy import localpg

CASES = load_cases(sorted(FOLDER.glob("[0-9]*.sql")))
Ask = Callable[[RawClient], Reply]


@pytest.fixture(scope="module", params=PLACES)
def world(
    request: pytest.FixtureRequest,
    postgres: localpg.LocalPostgres,
    serve: Serve,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PolicyWorld]:
    place = str(request.param)
    with open_policy_world(place, postgres, serve, tmp_path_factory.mktemp("policy_attacked")) as found:
        yield found


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 300
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_simple_protocol(case: Case, world: PolicyWorld) -> None:
    attack(case, world, lambda client: client.simple(case.sql))


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("case", [c for c in CASES if ";" not in c.sql], ids=lambda case: case.id)
def test_extended_protocol(case: Case, world: PolicyWorld, binary: bool) -> None:
    attack(case, world, lambda client: client.extended(case.sql, binary=binary))


def attack(case: Case, world: PolicyWorld, ask: Ask) -> None:
    replies = {which: answer(case, world, which, ask) for which in "ab"}
    reply = replies["a"]
    assert [secret for secret in SECRETS if secret in reply.raw] == []
    assert neutral(reply) == neutral(replies["b"])
    if case.expected == "answers":
        assert not reply.error
    elif case.expected == "same":
        assert_same(case, reply, answer(case, world, "oracle", ask))
    else:
        assert reply.error.get("C") == case.expected.removeprefix("refused ")
        assert reply.error.get("H")


def answer(case: Case, world: PolicyWorld, which: str, ask: Ask) -> Reply:
    """The answer; what was written is taken back."""
    with world.session(which, case.user or USER) as client:
        if case.family == "19_writes":
            client.simple("BEGIN")
        return ask(client)


def assert_same(case: Case, reply: Reply, wanted: Reply) -> None:
    cut = CUT.get(case.user)
    if cut is not None and len(reply.data) == cut:
        assert reply.data == wanted.data[:cut]
        return
    assert reply.error.get("C") == wanted.error.get("C")
    assert reply.data == wanted.data


def neutral(reply: Reply) -> bytes:
    """The bytes, less what the two databases' own names make of them: nothing else is taken out."""
    return re.sub(rb"(care[a-z0-9_]*)_[ab]\b", rb"\1_x", reply.raw)
