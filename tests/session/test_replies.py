"""The queue of what the server owes."""

from __future__ import annotations

import pytest

from proxy.errors import ProtocolError
from proxy.wire.codec import Code
from proxy.wire.replies import Expected, Replies, Request, Step


def queue(*requests: Request) -> tuple[Replies[str], list[Expected[str]]]:
    replies: Replies[str] = Replies()
    entries: list[Expected[str]] = [Expected(r) for r in requests]
    for entry in entries:
        assert replies.expect(entry)
    return replies, entries


EXCHANGES = [
    (Request.QUERY, "TDDCTDCZ"),
    (Request.QUERY, "IZ"),
    (Request.QUERY, "EZ"),
    (Request.QUERY, "TDEZ"),
    (Request.QUERY, "HddcCZ"),
    (Request.QUERY, "GCZ"),
    (Request.PARSE, "1"),
    (Request.BIND, "2"),
    (Request.DESCRIBE, "tT"),
    (Request.DESCRIBE, "tn"),
    (Request.DESCRIBE, "T"),
    (Request.DESCRIBE, "n"),
    (Request.EXECUTE, "DDC"),
    (Request.EXECUTE, "Ds"),
    (Request.EXECUTE, "I"),
    (Request.EXECUTE, "HdcC"),
    (Request.CLOSE, "3"),
    (Request.SYNC, "Z"),
    (Request.SYNC, "EZ"),
    (Request.FUNCTION_CALL, "VZ"),
    (Request.FUNCTION_CALL, "EZ"),
]


@pytest.mark.parametrize(("request_", "tags"), EXCHANGES)
def test_a_request_is_answered_by_its_last_reply_and_no_sooner(request_: Request, tags: str) -> None:
    replies, (entry,) = queue(request_)
    for tag in tags[:-1]:
        replies.accept(ord(tag))
        assert not entry.done
    replies.accept(ord(tags[-1]))
    assert entry.done
    assert len(replies) == 0


@pytest.mark.parametrize(
    ("request_", "tag"),
    [
        (Request.PARSE, "2"),
        (Request.PARSE, "D"),
        (Request.PARSE, "Z"),
        (Request.BIND, "1"),
        (Request.DESCRIBE, "C"),
        (Request.EXECUTE, "Z"),
        (Request.EXECUTE, "T"),
        (Request.SYNC, "C"),
        (Request.SYNC, "D"),
        (Request.QUERY, "1"),
        (Request.QUERY, "R"),
        (Request.QUERY, "K"),
        (Request.CLOSE, "2"),
    ],
)
def test_a_reply_that_the_request_does_not_allow_is_fatal(request_: Request, tag: str) -> None:
    replies, _ = queue(request_)
    with pytest.raises(ProtocolError, match=request_.title):
        replies.accept(ord(tag))


def test_a_message_that_nobody_asked_for_is_fatal() -> None:
    with pytest.raises(ProtocolError, match="nothing was asked"):
        Replies[str]().accept(Code.DATA_ROW)


def test_after_an_extended_error_everything_up_to_sync_is_dropped() -> None:
    replies, entries = queue(Request.PARSE, Request.MADE, Request.BIND, Request.EXECUTE, Request.SYNC, Request.PARSE)
    assert replies.accept(ord("E"))[1] is Step.FAILED
    assert [e.done for e in entries] == [True, True, True, True, False, False]
    assert not replies.skipping
    replies.accept(ord("Z"))
    replies.accept(ord("1"))
    assert len(replies) == 0


def test_without_a_sync_on_its_way_messages_are_not_even_sent() -> None:
    replies, _ = queue(Request.PARSE)
    replies.accept(ord("E"))
    late: Expected[str] = Expected(Request.QUERY)
    assert replies.skipping
    assert not replies.expect(late)
    assert late.done
    assert replies.expect(Expected(Request.SYNC))
    assert not replies.skipping


def test_a_simple_error_skips_nothing() -> None:
    replies, _ = queue(Request.QUERY, Request.QUERY)
    replies.accept(ord("E"))
    replies.accept(ord("Z"))
    assert len(replies) == 1
    assert not replies.skipping


def test_what_is_made_here_leaves_when_its_turn_comes() -> None:
    replies, _ = queue(Request.PARSE)
    replies.expect(Expected(Request.MADE, made=b"one"))
    replies.expect(Expected(Request.MADE, made=b"two"))
    replies.expect(Expected(Request.SYNC))
    assert replies.take_made() == b""
    replies.accept(ord("1"))
    assert replies.take_made() == b"onetwo"
    assert replies.take_made() == b""


def test_a_refused_request_may_only_fail() -> None:
    replies: Replies[str] = Replies()
    replies.expect(Expected(Request.QUERY, replacement=b"ours"))
    assert not replies.takes_rows
    with pytest.raises(ProtocolError):
        replies.accept(Code.ROW_DESCRIPTION)


def test_rows_are_taken_by_statements_only() -> None:
    assert queue(Request.QUERY)[0].takes_rows
    assert queue(Request.EXECUTE)[0].takes_rows
    assert not queue(Request.SYNC, Request.QUERY)[0].takes_rows
    assert not Replies[str]().takes_rows


class TestCopyIn:
    def test_syncs_that_were_sent_ahead_are_owed_nothing(self) -> None:
        replies, entries = queue(Request.EXECUTE, Request.SYNC)
        assert replies.accept(ord("G"))[1] is Step.COPY_IN
        assert entries[1].done
        assert replies.copying_in
        replies.copy_ends()
        assert replies.expect(Expected(Request.SYNC))
        replies.accept(ord("C"))
        replies.accept(ord("Z"))
        assert len(replies) == 0

    def test_a_sync_behind_copy_done_is_owed_even_if_the_server_had_not_begun(self) -> None:
        replies, (_, early) = queue(Request.EXECUTE, Request.SYNC)
        replies.copy_ends()
        late: Expected[str] = Expected(Request.SYNC)
        replies.expect(late)
        replies.accept(ord("G"))
        assert (early.done, late.done) == (True, False)
        assert not replies.copying_in

    def test_sync_while_the_server_reads_is_ignored(self) -> None:
        replies, _ = queue(Request.EXECUTE)
        replies.accept(ord("G"))
        assert replies.expect(Expected(Request.SYNC))
        assert len(replies) == 1

    def test_an_error_ends_it(self) -> None:
        replies, _ = queue(Request.QUERY)
        replies.accept(ord("G"))
        replies.accept(ord("E"))
        assert not replies.copying_in

    def test_copy_done_outside_copy_is_owed_nothing(self) -> None:
        replies, _ = queue()
        replies.copy_ends()
        assert len(replies) == 0
        replies.expect(Expected(Request.SYNC))
        replies.copy_ends()
        replies.accept(ord("Z"))
        replies.take_made()
        assert len(replies) == 0
