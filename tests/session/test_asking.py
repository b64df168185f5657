"""Questions on the line: what stops, what is sent, what the client sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from scripted import (
    ANALYST,
    DBA,
    POISONED,
    Scripted,
    error,
    plan,
    poison_parse,
    poison_query,
    settle,
)

from proxy.errors import NotUnderstoodError
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import Identity
from proxy.relay import HELD_BYTES
from proxy.wire.messages import (
    Bind,
    BindComplete,
    CommandComplete,
    CopyData,
    DataRow,
    ErrorResponse,
    Execute,
    Flush,
    NoticeResponse,
    Parse,
    ParseComplete,
    Query,
    ReadyForQuery,
    Sync,
)

WRITTEN = "SELECT count(*) FROM t"
ASK = Query(b"SELECT * FROM ask('how many?')")
IDLE = ReadyForQuery("I")


def asking(identity: Identity = ANALYST, **verdicts: Plan | Refusal) -> Scripted:
    return Scripted(
        identity, verdicts, {"how many?": WRITTEN, "bad?": NotUnderstoodError("no", detail="bad", hint="?")}
    )


def sent_sql(message: object) -> str:
    assert isinstance(message, Query | Parse)
    return message.query.decode()


@pytest.mark.parametrize("identity", [ANALYST, DBA])
async def test_a_question_runs_as_sql_and_the_sql_is_told_first(identity: Identity) -> None:
    talk = asking(identity)
    talk.client(ASK)
    assert talk.at_server() == []
    await settle()
    (sent,) = talk.at_server()
    assert WRITTEN in sent_sql(sent)
    assert "ask(" not in sent_sql(sent)
    talk.server(DataRow((b"7",)), CommandComplete("SELECT 1"), IDLE)
    notice, *rest = talk.at_client()
    assert isinstance(notice, NoticeResponse)
    assert notice.get("M") == f"pgveil: ask ran: {WRITTEN}"
    assert (notice.severity, notice.sqlstate) == ("NOTICE", "00000")
    assert rest == [DataRow((b"7",)), CommandComplete("SELECT 1"), IDLE]


async def test_a_masked_question_walks_the_line_like_any_sql() -> None:
    talk = asking()
    talk.client(Query(b"ASK 'how many?'"))
    await settle()
    asked = talk.veils.asked
    assert asked == [(WRITTEN, ("public",))]
    assert talk.asker.asked == [("how many?", ("public",))]


async def test_the_notice_has_the_sql_from_before_the_veil() -> None:
    talk = asking()
    talk.veils.verdicts[WRITTEN] = plan("SELECT masked", rewritten=True)
    talk.client(Query(b"ASK 'how many?'"))
    await settle()
    assert talk.at_server() == [Query(b"SELECT masked")]
    notice = talk.at_client()[0]
    assert isinstance(notice, NoticeResponse)
    assert notice.get("M") == f"pgveil: ask ran: {WRITTEN}"


async def test_sql_for_a_question_that_the_veil_refuses_is_not_sent() -> None:
    talk = asking()
    talk.veils.verdicts[WRITTEN] = Refusal("42501", "no", position=3)
    talk.client(Query(b"ASK 'how many?'"))
    await settle()
    assert talk.at_server() == [poison_query()]
    talk.server(POISONED, IDLE)
    refused = talk.at_client()[0]
    assert isinstance(refused, ErrorResponse)
    assert (refused.sqlstate, refused.get("P")) == ("42501", "1")


async def test_a_question_is_sql_at_parse_with_the_parameters_it_came_with() -> None:
    talk = asking()
    talk.client(Parse("q", ASK.query, (23,)), Bind("", "q"), Execute(""), Sync())
    await settle()
    parse, *rest = talk.at_server()
    assert isinstance(parse, Parse)
    assert (parse.name, parse.parameter_types) == ("q", (23,))
    assert WRITTEN in sent_sql(parse)
    assert rest == [Bind("", "q"), Execute(""), Sync()]
    talk.server(ParseComplete(), BindComplete(), CommandComplete("SELECT 1"), IDLE)
    assert isinstance(talk.at_client()[0], NoticeResponse)


@pytest.mark.parametrize("kind", [Query, lambda sql: Parse("", sql)])
async def test_a_question_of_any_length_is_found_in_a_bypass_session(kind: Callable[[bytes], Query | Parse]) -> None:
    """The message's length stands right before its text, and may look like part of a word."""
    talk = Scripted(DBA)
    for length in range(1, 300):
        question = "x" * length
        talk.asker.answers[question] = WRITTEN
        talk.client(kind(f"ASK '{question}'".encode()))
        await settle()
        assert sent_sql(talk.at_server()[0]) == WRITTEN


async def test_the_notice_waits_for_its_turn_in_a_pipeline() -> None:
    talk = asking()
    talk.client(Query(b"SELECT 1"), ASK)
    await settle()
    assert talk.at_client() == []
    talk.server(CommandComplete("SELECT 1"), IDLE)
    assert [type(m).__name__ for m in talk.at_client()] == ["CommandComplete", "ReadyForQuery", "NoticeResponse"]


@pytest.mark.parametrize("identity", [ANALYST, DBA])
async def test_a_question_that_fails_is_an_error_of_the_statement(identity: Identity) -> None:
    talk = asking(identity)
    talk.client(Parse("", b"ASK 'bad?'"), Bind("", ""), Execute(""), Sync())
    await settle()
    assert talk.at_server() == [poison_parse(""), Bind("", ""), Execute(""), Sync()]
    talk.server(POISONED, IDLE)
    refused, ready = talk.at_client()
    assert isinstance(refused, ErrorResponse)
    assert (refused.sqlstate, refused.get("D"), refused.get("H")) == ("VA001", "bad", "?")
    assert ready == IDLE
    assert talk.watcher.asks == ["VA001"]


async def test_a_malformed_carrier_is_an_error_and_reaches_nobody() -> None:
    talk = asking()
    talk.client(Query(b"/* ask: how many? */ SELECT 2"))
    assert talk.at_server() == [poison_query()]
    talk.server(POISONED, IDLE)
    refused = talk.at_client()[0]
    assert isinstance(refused, ErrorResponse)
    assert refused.sqlstate == "VA007"
    assert talk.asker.asked == []


async def test_a_question_in_a_failed_transaction_is_not_worked_on() -> None:
    talk = asking()
    talk.exchange(Query(b"SELECT bad"), error("42703"), ReadyForQuery("E"))
    got = talk.exchange(ASK, error("25P02"), ReadyForQuery("E"))
    assert isinstance(got[0], ErrorResponse)
    assert got[0].sqlstate == "25P02"
    assert talk.asker.asked == []


async def test_a_question_that_the_server_would_ignore_is_not_worked_on() -> None:
    talk = asking()
    talk.client(Parse("", b"SELECT bad"), Flush())
    talk.server(error("42703"))
    talk.client(Parse("", ASK.query), Sync())
    await settle()
    assert talk.asker.asked == []


async def test_the_error_of_an_earlier_message_overtakes_a_question() -> None:
    talk = asking()
    talk.asker.gate = asyncio.Event()
    talk.client(Parse("", b"SELECT bad"), Parse("q", ASK.query), Sync())
    await settle()
    talk.server(error("42703"))
    talk.asker.gate.set()
    await settle()
    assert talk.at_server() == [Parse("", b"SELECT bad"), Sync()]
    talk.server(IDLE)
    assert [type(m).__name__ for m in talk.at_client()] == ["ErrorResponse", "ReadyForQuery"]


class TestWhileTheAgentWorks:
    def held(self) -> Scripted:
        talk = asking()
        talk.asker.gate = asyncio.Event()
        talk.client(ASK, Query(b"SELECT 2"))
        return talk

    async def go_on(self, talk: Scripted) -> None:
        assert talk.asker.gate is not None
        talk.asker.gate.set()
        await settle()

    async def test_later_messages_wait_and_keep_their_order(self) -> None:
        talk = self.held()
        await settle()
        talk.client(Query(b"SELECT 3"))
        assert talk.at_server() == []
        await self.go_on(talk)
        first, second, third = (sent_sql(m) for m in talk.at_server())
        assert WRITTEN in first
        assert (second, third) == ("SELECT 2", "SELECT 3")

    async def test_a_client_that_goes_on_sending_is_paused(self) -> None:
        talk = self.held()
        await settle()
        paused = [talk.client_pipe.paused]
        talk.client(CopyData(b"x" * HELD_BYTES))
        paused.append(talk.client_pipe.paused)
        await self.go_on(talk)
        paused.append(talk.client_pipe.paused)
        assert paused == [False, True, False]

    async def test_a_cancel_request_ends_the_work_and_not_the_session(self) -> None:
        talk = self.held()
        await settle()
        await talk.relay.cancel()
        await settle()
        assert talk.at_server() == [poison_query(), Query(b"SELECT 2")]
        talk.server(POISONED, IDLE)
        cancelled = talk.at_client()[0]
        assert isinstance(cancelled, ErrorResponse)
        assert cancelled.sqlstate == "57014"
        assert talk.cancels == 0

    async def test_a_client_that_leaves_ends_the_work(self) -> None:
        talk = self.held()
        await settle()
        talk.relay.client.lost()
        await self.go_on(talk)
        assert all(WRITTEN not in str(m) for m in talk.at_server())
        assert talk.server_pipe.closed
        assert talk.watcher.asks == []

    async def test_a_server_that_goes_away_ends_the_work(self) -> None:
        talk = self.held()
        await settle()
        talk.relay.upstream.lost()
        await self.go_on(talk)
        (lost,) = talk.at_client()
        assert isinstance(lost, ErrorResponse)
        assert (lost.severity, lost.sqlstate) == ("FATAL", "08006")


async def test_a_bug_in_the_agent_ends_the_session_and_says_nothing() -> None:
    talk = asking()
    talk.client(Query(b"ASK 'what nobody scripted'"))
    await settle()
    (crash,) = talk.watcher.crashes
    assert isinstance(crash, KeyError)
    (fatal,) = talk.at_client()
    assert isinstance(fatal, ErrorResponse)
    assert fatal.sqlstate == "XX000"
    assert "scripted" not in str(fatal.fields)


async def test_sql_for_a_question_may_not_run_for_ever() -> None:
    talk = asking()
    talk.client(ASK)
    await settle()
    (seconds, expire) = talk.timers[0]
    assert seconds == 30.0
    expire()
    await settle()
    assert talk.cancels == 1


async def test_the_limit_of_a_question_that_was_answered_cancels_nothing() -> None:
    talk = asking()
    talk.client(ASK)
    await settle()
    talk.server(CommandComplete("SELECT 1"), IDLE)
    talk.timers[0][1]()
    await settle()
    assert talk.cancels == 0


class TestUnknownNames:
    """A relation that the catalogue does not have is looked for once more."""

    SQL = "SELECT * FROM fresh"
    UNKNOWN = Refusal("42P01", 'relation "fresh" does not exist', unknown="fresh")

    async def test_found_after_the_catalogue_was_read_again(self) -> None:
        talk = Scripted(verdicts={self.SQL: self.UNKNOWN})
        talk.veils.after_refresh = {self.SQL: plan(self.SQL)}
        talk.client(Query(self.SQL.encode()), Query(b"SELECT 2"))
        assert talk.at_server() == []
        await settle()
        assert [sent_sql(m) for m in talk.at_server()] == [self.SQL, "SELECT 2"]

    async def test_refused_if_it_is_still_not_there(self) -> None:
        talk = Scripted(verdicts={self.SQL: self.UNKNOWN})
        talk.client(Query(self.SQL.encode()))
        await settle()
        assert talk.veils.refreshes == 1
        assert talk.at_server() == [poison_query()]


class TestLargeTexts:
    """A text that takes long to decide on is decided on in a thread, and keeps its place in the order."""

    LARGE = "SELECT " + ", ".join(["1"] * 8000)

    async def test_it_is_sent_before_what_follows(self) -> None:
        talk = Scripted()
        talk.client(Query(self.LARGE.encode()), Query(b"SELECT 2"))
        assert talk.at_server() == []
        while not talk.veils.asked:
            await settle()
        await asyncio.sleep(0.05)
        assert [sent_sql(m) for m in talk.at_server()] == [self.LARGE, "SELECT 2"]
        assert talk.veils.apart == 1

    async def test_it_is_refused_like_any_other(self) -> None:
        talk = Scripted(verdicts={self.LARGE: Refusal("42501", "no")})
        talk.client(Query(self.LARGE.encode()))
        while not talk.veils.asked:
            await settle()
        await asyncio.sleep(0.05)
        assert talk.at_server() == [poison_query()]
