"""The benchmarks run, and what they write says nothing of whose machine it was."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from bench import __main__ as bench
from bench import plan, report, standin
from bench.compare import Comparison, Reach, Row, Unit, duration, measured
from bench.measure import Case, Figure, measure, noise
from bench.workers import Cost, additions
from proxy.policy import parser
from proxy.wire.messages import CommandComplete, Query, ReadyForQuery

CASES = [case for module in bench.MODULES.values() for case in getattr(module, "cases", list)()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_runs(case: Case) -> None:
    assert case.run(2) > 0


def test_rounds_take_turns() -> None:
    turns: list[str] = []

    def case(name: str) -> Case:
        def run(number: int) -> float:
            turns.append(name)
            return float(number)

        return Case(name, run, 10)

    figures = measure([case("a"), case("b")], rounds=2)
    assert turns == ["a", "b"] * 3
    assert [figure.seconds for figure in figures] == [(1.0, 1.0), (1.0, 1.0)]


def test_a_profile_leaves_the_parser_as_it_was() -> None:
    before = {name: getattr(parser, name) for name in parser.__all__}
    text = plan.profile(2)
    assert "everything else" in text
    assert " parse " in text
    assert {name: getattr(parser, name) for name in parser.__all__} == before


def test_a_page_says_what_was_missed() -> None:
    slow = Case("slow", float, 1, target=0.001)
    page = report.page([Figure(slow, (0.001, 0.002, 0.0025)), *measure([noise()], rounds=1)], [], rounds=3)
    assert "| slow | 2 ms | 1 ms | 2.5 ms | ≤ 1 ms | **missed** |" in page
    (machine,) = re.findall(r"^Machine: (.*)$", page, re.MULTILINE)
    assert re.fullmatch(r"\d+ cores, \w+, \w+, Python \d+\.\d+\.\d+\S*\.", machine)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2 s"), (0.0123, "12.3 ms"), (9.999e-4, "1 ms"), (9.994e-4, "999 µs"), (15e-6, "15 µs"), (3e-7, "300 ns")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_comparison_takes_the_peer_first_and_leaves_the_first_round_out() -> None:
    turns: list[str] = []

    def figure(name: str, values: list[float]) -> Callable[[], float]:
        def take() -> float:
            turns.append(name)
            return values.pop(0)

        return take

    row = Row("a", Unit.SECONDS, figure("ours", [9.0, 2.0, 3.0]), figure("peer", [1.0, 1.0, 2.0]), Reach(1.8))
    (found,) = measured([row], rounds=2)
    assert turns == ["peer", "ours"] * 3
    assert found == Comparison("a", Unit.SECONDS, (2.0, 3.0), (1.0, 2.0), Reach(1.8))
    assert found.ratio == 1.75
    assert found.within


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            Comparison("CPU", Unit.SECONDS, (2e-5, 3e-5, 1e-5), (1e-5, 1e-5, 1e-5), Reach(1.5)),
            "| CPU | 10 µs | 20 µs | 2.00 | ≤ 1.5 × | **missed** |",
        ),
        (
            Comparison("rate", Unit.PER_SECOND, (4000.0,), (2000.0,), Reach(1.7, at_least=True)),
            "| rate | 2,000/s | 4,000/s | 2.00 | ≥ 1.7 × | kept |",
        ),
        (
            Comparison("memory", Unit.BYTES, (9000.0,), (), Reach(8192, own=True)),
            "| memory |  | 8.79 KiB |  | ≤ 8 KiB | **missed** |",
        ),
        (Comparison("told", Unit.BYTES, (2.0**21,), (2.0**20,)), "| told | 1 MiB | 2 MiB | 2.00 |  |  |"),
    ],
    ids=lambda value: value.name if isinstance(value, Comparison) else "",
)
def test_a_comparison_is_a_line(row: Comparison, line: str) -> None:
    assert line in report.page([], [row], rounds=5)


class Counting:
    """A server that answers every chunk with how many there have been on its one connection."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        while await reader.read(1 << 16):
            count += 1
            writer.write(answer(count))
        writer.close()
        await writer.wait_closed()
        self.left.set()


def answer(count: int) -> bytes:
    return CommandComplete(f"SELECT {count}").encode() + ReadyForQuery("I").encode()


async def asked(pieces: list[list[bytes]]) -> list[bytes]:
    """What a stand-in for statements that begin with SELECT a answers, when each is sent in these pieces."""
    counting = Counting()
    server = await asyncio.start_server(counting, "127.0.0.1", 0)
    stand = await standin.listening(server.sockets[0].getsockname()[1], b"SELECT a")
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.sockets[0].getsockname()[1])
    found = []
    for statement in pieces:
        for piece in statement:
            writer.write(piece)
            await asyncio.sleep(0.01)
        found.append(await reader.readexactly(len(answer(1))))
    writer.close()
    await writer.wait_closed()
    await counting.left.wait()
    stand.close()
    server.close()
    return found


def test_a_stand_in_answers_again_what_the_server_answered_first() -> None:
    report, other = Query(b"SELECT a, 'new'").encode(), Query(b"SELECT b").encode()
    cut = [report[:1], report[1:9], report[9:]]
    found = asyncio.run(asked([[other], [report], [report], [other], cut, [other]]))
    assert found == [answer(count) for count in (1, 2, 2, 3, 2, 4)]


@pytest.mark.parametrize(
    ("cost", "ratio"),
    [(Cost(1e-3, 0.0), 2.0), (Cost(1e-3, 1e-3), 1.0), (Cost(1e-3, 25e-5), 1.6), (Cost(1e-3, 3e-3), 1.0)],
    ids=["workers alone", "as much for others", "a quarter for others", "the server is the limit"],
)
def test_what_a_second_worker_can_add(cost: Cost, ratio: float) -> None:
    assert cost.most_of_two / cost.most_of_one == pytest.approx(ratio)


def test_two_processes_add_at_the_same_time() -> None:
    assert additions(2, seconds=0.01) > 0
