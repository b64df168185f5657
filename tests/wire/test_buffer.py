"""Frames come out whole and once however the bytes arrive; runs add up to exactly the bytes that went in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import BACKEND, FRONTEND

from proxy.errors import ProtocolError
from proxy.wire.buffer import Frame, FrameBuffer, Run
from proxy.wire.codec import Code, pack_frame

ROW = Code.DATA_ROW
PASSING = frozenset({ROW, Code.COPY_DATA})
SAMPLES = [raw for raw, _ in (*FRONTEND, *BACKEND)]


def cut(buffer: FrameBuffer, chunks: list[bytes]) -> list[Frame | Run]:
    items: list[Frame | Run] = []
    for chunk in chunks:
        buffer.feed(chunk)
        items += buffer.cut()
    return items


def split(data: bytes, at: list[int]) -> list[bytes]:
    stops = [0, *sorted(i % (len(data) + 1) for i in at), len(data)]
    return [data[a:b] for a, b in pairwise(stops)]


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize("raw", SAMPLES)
def test_a_frame_comes_out_whole(raw: bytes) -> None:
    assert cut(FrameBuffer(), [raw]) == [Frame(raw[0], raw)]
    assert Frame.of(raw).body == raw[5:]


@pytest.mark.parametrize("raw", SAMPLES)
def test_a_frame_comes_out_byte_by_byte(raw: bytes) -> None:
    buffer = FrameBuffer()
    *early, last = bytewise(raw)
    assert cut(buffer, early) == []
    assert cut(buffer, [last]) == [Frame(raw[0], raw)]
    assert buffer.pending == 0


@pytest.mark.parametrize("raw", SAMPLES)
def test_trailing_bytes_wait_for_the_rest_of_their_frame(raw: bytes) -> None:
    buffer = FrameBuffer()
    assert cut(buffer, [raw + b"Z\0\0"]) == [Frame(raw[0], raw)]
    assert buffer.pending == 3
    assert cut(buffer, [b"\0\x05I"]) == [Frame(ord("Z"), b"Z\0\0\0\x05I")]


FRAMES = st.lists(
    st.builds(pack_frame, st.sampled_from(list(b"DdTCZE")), st.binary(max_size=40)), min_size=1, max_size=12
)


@settings(deadline=None)
@given(FRAMES, st.lists(st.integers(0, 500), max_size=8))
def test_any_split_gives_the_same_frames(frames: list[bytes], at: list[int]) -> None:
    items = cut(FrameBuffer(), split(b"".join(frames), at))
    assert [bytes(item.raw) for item in items] == frames


@settings(deadline=None)
@given(FRAMES, st.lists(st.integers(0, 500), max_size=8))
def test_runs_and_frames_add_up_to_the_stream(frames: list[bytes], at: list[int]) -> None:
    stream = b"".join(frames)
    buffer = FrameBuffer(passing=PASSING)
    items = cut(buffer, split(stream, at))
    assert b"".join(bytes(item.raw) for item in items) == stream
    assert sum(item.frames for item in items if isinstance(item, Run)) == sum(f[0] in PASSING for f in frames)
    assert [bytes(i.raw) for i in items if isinstance(i, Frame)] == [f for f in frames if f[0] not in PASSING]
    assert not buffer.inside
    assert buffer.pending == 0


def test_a_chunk_of_rows_is_passed_on_as_the_very_same_bytes() -> None:
    chunk = pack_frame(ROW, b"\0\x01\0\0\0\x01x") * 100
    (run,) = cut(FrameBuffer(passing=PASSING), [chunk])
    assert isinstance(run, Run)
    assert run.raw is chunk
    assert run.frames == 100


def test_a_large_value_passes_in_pieces_and_is_not_collected() -> None:
    buffer = FrameBuffer(passing=PASSING)
    frame = pack_frame(ROW, b"v" * 100_000)
    buffer.feed(frame[:1000])
    (head,) = buffer.cut()
    assert (bytes(head.raw), buffer.inside, buffer.pending) == (frame[:1000], True, 0)
    buffer.feed(frame[1000:] + b"Z\0\0\0\x05I")
    rest, ready = buffer.cut()
    assert (rest, buffer.inside) == (Run(frame[1000:], 0, lead=len(frame) - 1000), False)
    assert ready == Frame(ord("Z"), b"Z\0\0\0\x05I")


def test_what_passes_may_change_between_two_frames() -> None:
    buffer = FrameBuffer()
    row = pack_frame(ROW, b"\0\0")
    buffer.feed(row + pack_frame(Code.ROW_DESCRIPTION, b"\0\0") + row + row)
    items = buffer.cut()
    assert next(items) == Frame(ROW, row)
    next(items)
    buffer.passing = PASSING
    assert list(items) == [Run(row + row, 2)]


def test_a_reader_that_stops_taking_loses_nothing() -> None:
    buffer = FrameBuffer()
    sync = b"S\0\0\0\x04"
    buffer.feed(sync + b"Q\0\0\0\x06a\0" + sync)
    assert next(buffer.cut()) == Frame(ord("S"), sync)
    buffer.feed(b"X\0\0\0\x04")
    assert [chr(frame.tag) for frame in buffer.frames()] == ["Q", "S", "X"]


def test_what_was_not_cut_can_be_handed_on() -> None:
    buffer = FrameBuffer()
    assert cut(buffer, [b"S\0\0\0\x04Q\0\0\0\x09ab"]) == [Frame(ord("S"), b"S\0\0\0\x04")]
    buffer.feed(b"cd")
    assert buffer.take_rest() == b"Q\0\0\0\x09abcd"
    assert buffer.pending == 0
    assert cut(buffer, [b"H\0\0\0\x04"]) == [Frame(ord("H"), b"H\0\0\0\x04")]


@pytest.mark.parametrize("length", [0, 1, 3, -1, -(2**31), 21, 2**31 - 1])
@pytest.mark.parametrize("passing", [frozenset[int](), frozenset({ord("Q")})])
def test_a_bad_length_is_refused_before_the_body_arrives(length: int, passing: frozenset[int]) -> None:
    buffer = FrameBuffer(max_frame=20, passing=passing)
    header = b"Q" + length.to_bytes(4, "big", signed=True)
    assert cut(buffer, bytewise(header[:4])) == []
    with pytest.raises(ProtocolError):
        cut(buffer, [header[4:]])


@pytest.mark.parametrize("length", [0, 3, -1, -6, 255])
def test_a_bad_length_behind_good_rows_is_refused(length: int) -> None:
    buffer = FrameBuffer(max_frame=20, passing=PASSING)
    with pytest.raises(ProtocolError, match=r"over the limit of 20|invalid message length"):
        cut(buffer, [pack_frame(ROW, b"x") * 3 + b"D" + length.to_bytes(4, "big", signed=True)])


def test_the_largest_allowed_frame_is_taken() -> None:
    raw = pack_frame(ord("Q"), b"x" * 16)
    assert cut(FrameBuffer(max_frame=20), [raw]) == [Frame(ord("Q"), raw)]


def test_a_peer_that_announces_much_and_sends_little_costs_little() -> None:
    buffer = FrameBuffer()
    assert cut(buffer, [b"Q\x3f\xff\xff\xff", b"select"]) == []
    assert buffer.pending == len(b"Q\x3f\xff\xff\xffselect")


def test_frames_is_not_for_a_buffer_that_lets_something_pass() -> None:
    with pytest.raises(ValueError, match="passing"):
        next(FrameBuffer(passing=PASSING).frames())


def test_reprs_show_sizes_only() -> None:
    secret = pack_frame(ROW, b"\0\x01\0\0\0\x06s3cret")
    buffer = FrameBuffer()
    buffer.feed(secret)
    shown = repr((Frame.of(secret), Run(secret, 1), buffer))
    assert "s3cret" not in shown
    assert "'D'" in shown
