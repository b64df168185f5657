"""Verifiers from the database: what is taken, what is kept, and that the time of an answer tells nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from proxy.authquery import DEFAULT_QUERY, KEEP_SECONDS, AuthQuery, Rows
from proxy.errors import UpstreamUnavailableError
from proxy.wire.scram import make_verifier

ANA = make_verifier("right")


@dataclass
class Database:
    rows: dict[str, Rows] = field(default_factory=lambda: {"ana": [("ana", ANA)]})
    asked: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    failure: Exception | None = None
    iterations: str | None = None

    async def __call__(self, query: str, user: str) -> Rows:
        if user == "scram_iterations" and self.failure is None:
            return [(self.iterations,)]
        self.asked.append((query, user))
        await asyncio.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure
        return self.rows.get(user, [])


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_verifier_is_found_and_nobody_is_not() -> None:
    database = Database()
    query = AuthQuery(database)
    assert await query("ana", False) == ANA
    assert await query("eve", False) is None
    assert database.asked == [(DEFAULT_QUERY, "ana"), (DEFAULT_QUERY, "eve")]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("ana", None)],
        [("ana", "")],
        [("ana", "md5" + "0" * 32)],
        [("ana", "hunter2")],
        [("eve", ANA)],
        [(None, ANA)],
        [("ana", ANA), ("ana", ANA)],
        [(ANA,)],
        [("ana", ANA, "more")],
        [("ana", ANA.encode())],
    ],
)
async def test_what_is_not_the_users_scram_verifier_is_nobodys(rows: Rows) -> None:
    assert await AuthQuery(Database({"ana": rows}))("ana", False) is None


async def test_a_name_that_postgresql_cannot_have_is_not_asked_for() -> None:
    database = Database()
    assert await AuthQuery(database)("a\0na", False) is None
    assert database.asked == []


async def test_an_answer_is_kept_for_a_few_seconds_a_no_as_well() -> None:
    database, clock = Database(), Clock()
    query = AuthQuery(database, clock=clock)
    for _ in range(3):
        assert await query("ana", False) == ANA
        assert await query("eve", False) is None
    assert len(database.asked) == 2
    database.rows = {}
    clock.now += KEEP_SECONDS + 1
    assert await query("ana", False) is None
    assert len(database.asked) == 3


async def test_what_is_old_is_forgotten() -> None:
    """Whoever asks for thousands of names fills nothing."""
    database, clock = Database(), Clock()
    query = AuthQuery(database, clock=clock)
    for number in range(50):
        await query(f"nobody {number}", False)
        clock.now += 1
    assert repr(query) == f"AuthQuery(kept={int(KEEP_SECONDS)})"


@pytest.mark.parametrize(("setting", "expected"), [(None, 4096), ("", 4096), ("20000", 20000)])
async def test_how_the_database_makes_verifiers_is_known_with_the_first_answer(
    setting: str | None, expected: int
) -> None:
    query = AuthQuery(Database(iterations=setting))
    assert query.iterations is None
    await query("eve", False)
    assert query.iterations == expected


async def test_a_user_of_the_file_is_not_asked_for() -> None:
    database = Database()
    assert await AuthQuery(database)("ana", True) is None
    assert database.asked == []


async def test_many_who_ask_for_one_user_wait_for_one_query() -> None:
    database = Database(seconds=0.05)
    query = AuthQuery(database)
    assert await asyncio.gather(*(query("ana", False) for _ in range(20))) == [ANA] * 20
    assert len(database.asked) == 1


async def test_what_is_known_is_told_no_sooner_than_a_query_takes() -> None:
    query = AuthQuery(Database(seconds=0.1))
    await query("ana", False)
    for user, known in (("ana", False), ("of the file", True)):
        started = time.monotonic()
        await query(user, known)
        assert time.monotonic() - started >= 0.09


@pytest.mark.parametrize("failure", [OSError(), TimeoutError()])
async def test_a_database_that_is_down_is_said_and_asked_again(failure: Exception) -> None:
    database = Database(failure=failure, seconds=0.02)
    query = AuthQuery(database)
    answers = await asyncio.gather(*(query("ana", False) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [UpstreamUnavailableError] * 3
    assert await query("ana", True) is None
    database.failure = None
    assert await query("ana", False) == ANA


async def test_a_client_that_leaves_takes_nobody_with_it() -> None:
    database = Database(seconds=0.05)
    query = AuthQuery(database)
    first = asyncio.create_task(query("ana", False))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(query("ana", False))
    await asyncio.sleep(0.01)
    second.cancel()
    assert await first == ANA
    third = asyncio.create_task(query("eve", False))
    await asyncio.sleep(0.01)
    third.cancel()
    with pytest.raises(asyncio.CancelledError):
        await third
    assert await query("eve", False) is None


def test_the_repr_shows_nobody() -> None:
    assert repr(AuthQuery(Database())) == "AuthQuery(kept=0)"
