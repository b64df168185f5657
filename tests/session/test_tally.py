"""Rows over a limit are taken out of the stream, between two messages and nowhere else."""

from __future__ import annotations

import pytest

from proxy.tally import Result, Tally
from proxy.wire.buffer import FrameBuffer, Run
from proxy.wire.codec import Code
from proxy.wire.messages import CommandComplete, CopyData, DataRow, NoticeResponse

ROW = DataRow((b"value",)).encode()
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
FIRST = CopyData(HEADER + b"\0\1\0\0\0\1x").encode()
NEXT = CopyData(b"\0\1\0\0\0\1y").encode()
TRAILER = CopyData(b"\xff\xff").encode()


def pass_on(result: Result, stream: bytes, chunk: int) -> bytes:
    """What of a stream of rows the client gets where the server's bytes come in chunks of this size."""
    buffer, got = FrameBuffer(passing=frozenset({Code.DATA_ROW, Code.COPY_DATA})), bytearray()
    for start in range(0, len(stream), chunk):
        buffer.feed(stream[start : start + chunk])
        for item in buffer.cut():
            assert isinstance(item, Run)
            got += result.take(item)
    return bytes(got)


CHUNKS = [1, 2, 3, 5, 6, 7, 11, 16, 17, 100, 10_000]


@pytest.mark.parametrize("chunk", CHUNKS)
class TestHoweverTheBytesCome:
    def test_rows_are_cut_after_the_last_that_may_pass(self, chunk: int) -> None:
        result = Result(Tally(7, None))
        assert pass_on(result, ROW * 8, chunk) == ROW * 7
        assert (result.dropped, result.tally.shown, result.tally.cut) == (1, 7, "max_rows")

    def test_a_result_of_exactly_that_many_is_whole(self, chunk: int) -> None:
        result = Result(Tally(7, len(ROW) * 7))
        assert pass_on(result, ROW * 7, chunk) == ROW * 7
        assert (result.dropped, result.tally.cut, result.tally.warning()) == (0, None, None)

    def test_bytes_are_cut_before_the_row_that_would_be_over(self, chunk: int) -> None:
        result = Result(Tally(None, len(ROW) * 3 + 5))
        assert pass_on(result, ROW * 20, chunk) == ROW * 3
        assert (result.dropped, result.tally.cut) == (17, "max_bytes")

    def test_a_small_row_after_a_large_one_does_not_pass(self, chunk: int) -> None:
        large = DataRow((b"v" * 500,)).encode()
        result = Result(Tally(None, 100))
        assert pass_on(result, ROW + large + ROW, chunk) == ROW
        assert result.dropped == 2

    def test_a_line_of_names_is_no_row(self, chunk: int) -> None:
        head, line = CopyData(b"a,b\n").encode(), CopyData(b"1,2\n").encode()
        result = Result(Tally(2, None), head=1)
        assert pass_on(result, head + line * 3, chunk) == head + line * 2
        assert result.dropped == 1

    def test_the_end_of_a_binary_copy_always_passes(self, chunk: int) -> None:
        result = Result(Tally(3, None), binary=True)
        assert pass_on(result, FIRST + NEXT * 3 + TRAILER, chunk) == FIRST + NEXT * 2 + TRAILER
        assert result.dropped == 1

    def test_a_binary_copy_of_exactly_that_many_is_whole(self, chunk: int) -> None:
        result = Result(Tally(3, None), binary=True)
        assert pass_on(result, FIRST + NEXT * 2 + TRAILER, chunk) == FIRST + NEXT * 2 + TRAILER
        assert (result.dropped, result.tally.cut) == (0, None)

    def test_a_binary_copy_whose_first_row_is_too_large_is_an_empty_one(self, chunk: int) -> None:
        result = Result(Tally(None, 10), binary=True)
        got = pass_on(result, FIRST + NEXT + TRAILER, chunk)
        assert got == CopyData(HEADER).encode() + TRAILER

    def test_an_empty_binary_copy_stays_one(self, chunk: int) -> None:
        stream = CopyData(HEADER + b"\xff\xff").encode()
        assert pass_on(Result(Tally(5, 1), binary=True), stream, chunk) == stream


def test_rows_that_fit_pass_as_the_very_same_bytes() -> None:
    run = Run(ROW * 5, 5)
    assert Result(Tally(5, 1000)).take(run) is run.raw


@pytest.mark.parametrize(
    ("tag", "corrected"),
    [("SELECT 8", "SELECT 5"), ("FETCH 8", "FETCH 5"), ("COPY 8", "COPY 5"), ("INSERT 0 8", "INSERT 0 8")],
)
def test_the_tag_counts_what_passed(tag: str, corrected: str) -> None:
    result = Result(Tally(5, None))
    result.take(Run(ROW * 8, 8))
    assert result.complete(CommandComplete(tag)) == CommandComplete(corrected)


@pytest.mark.parametrize("tag", ["BEGIN", "DECLARE CURSOR", "SELECT", "CREATE TABLE"])
def test_a_tag_without_a_count_stays(tag: str) -> None:
    assert Result(Tally(5, None)).complete(CommandComplete(tag)) == CommandComplete(tag)


def test_one_tally_over_several_results_is_said_once() -> None:
    tally = Tally(10, None)
    for _ in range(2):
        assert Result(tally).take(Run(ROW * 4, 4)) == ROW * 4
        assert tally.warning() is None
    last = Result(tally)
    assert last.take(Run(ROW * 3, 3)) == ROW * 2
    warning = tally.warning()
    assert isinstance(warning, NoticeResponse)
    assert (warning.severity, warning.sqlstate, warning.get("M")) == (
        "WARNING",
        "01000",
        "the result was cut after 10 rows",
    )
    assert "max_rows, which is 10" in (warning.get("H") or "")
    assert tally.warning() is None
    assert Result(tally).take(Run(ROW, 1)) == b""


def test_move_goes_past_rows_that_count() -> None:
    tally = Tally(10, None)
    assert Result(tally).complete(CommandComplete("MOVE 8")) == CommandComplete("MOVE 8")
    assert Result(tally).take(Run(ROW * 3, 3)) == ROW * 2
    assert Result(tally).complete(CommandComplete("MOVE 5")) == CommandComplete("MOVE 0")


def test_a_cursor_that_scrolls_is_not_counted_and_that_is_said() -> None:
    tally = Tally(3, None)
    tally.scroll()
    assert Result(tally).take(Run(ROW * 4, 4)) == ROW * 4
    warning = tally.warning()
    assert warning is not None
    assert "scrolls" in (warning.get("M") or "")
    assert tally.warning() is None
