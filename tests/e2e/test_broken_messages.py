"""Messages that cannot be read, behind good ones: a masked role hears what PostgreSQL says to them, wherever the bytes
are cut.

PostgreSQL answers such a message with an error and skips to Sync; the session and its transaction go on from there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from conftest import Serve
from twins import (
    POLICY,
    SYNC,
    Twins,
    World,
    bind,
    close,
    describe,
    execute,
    make_world,
    packed,
    parse,
    query,
    report_fields,
)

from proxy import localpg

USER = "broken"
NAMED = parse("SELECT id, name FROM t WHERE id = $1", "s1", [23])
GOOD = bind("s1", "", [b"1"]) + execute()
INSERT = parse("INSERT INTO t VALUES (90, 'x')") + bind() + execute()
NAMES = b"\0s1\0"

BROKEN = {
    "a Bind of nothing": packed(b"B"),
    "a Bind whose portal does not end": packed(b"B", b"p1"),
    "a Bind whose statement does not end": packed(b"B", b"\0s1"),
    "a Bind of names only": packed(b"B", NAMES),
    "a Bind with formats that are not there": packed(b"B", NAMES + struct.pack("!hh", 2, 0)),
    "a Bind with values that are not there": packed(b"B", NAMES + struct.pack("!hHi", 0, 1, 10) + b"x"),
    "a Bind with a value of no possible length": packed(b"B", NAMES + struct.pack("!hHih", 0, 1, -2, 0)),
    "a Bind with more behind it": packed(b"B", bind("s1", "", [b"1"])[5:] + b"more"),
    "an Execute of nothing": packed(b"E"),
    "an Execute without a number of rows": packed(b"E", b"\0"),
    "an Execute with more behind it": packed(b"E", b"\0" + struct.pack("!i", 0) + b"x"),
    "a Describe of nothing": packed(b"D"),
    "a Describe of something else": packed(b"D", b"X\0"),
    "a Close of nothing": packed(b"C"),
    "a Close whose name does not end": packed(b"C", b"Ss1"),
    "a Close of something else": packed(b"C", b"X\0"),
    "a Parse that is short": packed(b"P", b"s2\0"),
    "a Parse with types that are not there": packed(b"P", b"\0SELECT 1\0\x7f\xff"),
    "a Query without its end": packed(b"Q", b"SELECT 1"),
    "a Query with two ends": packed(b"Q", b"SELECT 1\0SELECT 2\0"),
    "a Sync with more in it": packed(b"S", b"more"),
}


class Reading(Twins):
    """Twins that may say it in different words."""

    def _normal(self, tag: bytes, body: bytes) -> object:
        if tag == b"E" and report_fields(body)["C"] == "08P01":
            return {key: text for key, text in report_fields(body).items() if key in "SVC"}
        return super()._normal(tag, body)


@pytest.fixture(scope="module")
def world(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> World:
    policy = POLICY.replace("users: [analyst]", f"users: [{USER}]")
    return make_world(postgres, serve, tmp_path_factory, USER, policy)


@pytest.fixture
def twins(world: World) -> Iterator[Twins]:
    opened = world.open()
    with Reading(world, opened.direct, opened.proxied) as found:
        found.exchange(NAMED + SYNC)
        yield found


def whole_and_cut(twins: Twins, chunk: bytes) -> str:
    """In one piece, byte by byte, and cut in two at every byte; the types that PostgreSQL answers with."""
    answer = twins.exchange(chunk)
    assert not answer.ended
    for cuts in (range(len(chunk)), *((at,) for at in range(1, len(chunk)))):
        assert twins.exchange(chunk, cuts).tags == answer.tags
    return answer.tags


@pytest.mark.parametrize("case", BROKEN)
def test_behind_a_good_one_in_one_chunk(case: str, twins: Twins) -> None:
    tags = whole_and_cut(twins, GOOD + BROKEN[case] + GOOD + SYNC + query("SELECT 1"))
    assert tags.startswith("2DCE")
    assert tags.endswith("TDCZZ")


@pytest.mark.parametrize("case", BROKEN)
def test_it_fails_the_transaction_and_ends_none(case: str, twins: Twins) -> None:
    """What came before it in an implicit transaction is undone, an explicit one is failed and goes on to its end."""
    twins.exchange(INSERT + BROKEN[case] + GOOD + SYNC)
    twins.settle_contents()
    explicit = query("BEGIN") + INSERT + SYNC + BROKEN[case] + SYNC + query("SELECT 1") + query("COMMIT")
    assert not twins.exchange(explicit).ended
    twins.settle_contents()


@pytest.mark.parametrize("case", [name for name in BROKEN if name.split()[1] in ("Bind", "Execute")])
def test_good_ones_a_broken_one_and_a_query(case: str, twins: Twins) -> None:
    """The Query stands in what is skipped; what was prepared before is still there."""
    chunk = (
        GOOD + describe("S", "s1") + GOOD + BROKEN[case] + query("SELECT 2") + GOOD + SYNC + query("SELECT 3") + GOOD
    )
    assert whole_and_cut(twins, chunk + SYNC) == "2DCtT2DCEZTDCZ2DCZZ"


def test_broken_ones_in_a_row(twins: Twins) -> None:
    """Each Sync ends what was skipped for the one before it."""
    chunk = b"".join(GOOD + broken + broken + close("S", "s2") + SYNC for broken in BROKEN.values())
    assert not twins.exchange(chunk).ended
    assert not twins.exchange(chunk, range(len(chunk))).ended
