"""What a policy's limits do to a session's statements and their results."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from scripted import POISONED, Scripted, error, plan, poison_parse, poison_query, settle
from test_line import BLOCK, BROKEN, IDLE, codes

from proxy.limits import Running
from proxy.policy.plan import Effect, Plan, PlannedStatement
from proxy.policy.rules import Limits, StatementKind
from proxy.ports import UnpricedError
from proxy.wire.messages import (
    BackendMessage,
    Bind,
    BindComplete,
    CommandComplete,
    CopyData,
    CopyDone,
    CopyFail,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    ErrorResponse,
    Execute,
    Flush,
    Message,
    NoticeResponse,
    ParameterStatus,
    Parse,
    ParseComplete,
    PortalSuspended,
    Query,
    RowDescription,
    Sync,
    Terminate,
)

ROW = DataRow((b"x",))
K = StatementKind


def text(sql: str, *statements: PlannedStatement | StatementKind, **limits: float) -> Plan:
    """A plan under limits; statements that give rows have the LIMIT that the engine gave them."""
    rows = limits.get("max_rows")
    most = None if rows is None else int(rows)
    planned = [
        s if isinstance(s, PlannedStatement) else PlannedStatement(s, None, most) for s in statements or [K.SELECT]
    ]
    return Plan(sql, tuple(planned), limits=Limits(**limits))  # type: ignore[arg-type]


def session(*plans: Plan, running: Running | None = None) -> Scripted:
    return Scripted(verdicts={p.sql: p for p in plans}, running=running)


def shown(messages: list[BackendMessage]) -> list[str]:
    """Rows by their number, warnings by their text, errors by their SQLSTATE, completions by their tag."""
    found: list[str] = []
    for message in messages:
        match message:
            case NoticeResponse():
                found.append(f"{message.severity} {message.sqlstate}: {message.get('M')}")
            case ErrorResponse():
                found.append(message.sqlstate)
            case CommandComplete():
                found.append(message.tag)
            case DataRow() | CopyData() if found and found[-1].startswith("rows "):
                found[-1] = f"rows {int(found[-1][5:]) + 1}"
            case DataRow() | CopyData():
                found.append("rows 1")
            case _:
                found.append(type(message).__name__)
    return found


CUT = "WARNING 01000: the result was cut after {} rows"


class TestRows:
    def test_the_row_too_many_is_dropped_and_said(self) -> None:
        talk = session(text("SELECT a", max_rows=3))
        got = talk.exchange(Query(b"SELECT a"), RowDescription(()), *[ROW] * 4, CommandComplete("SELECT 4"), IDLE)
        assert shown(got) == ["RowDescription", "rows 3", CUT.format(3), "SELECT 3", "ReadyForQuery"]
        assert talk.watcher.cuts == ["max_rows"]

    def test_a_result_of_exactly_the_limit_is_not_cut(self) -> None:
        talk = session(text("SELECT a", max_rows=3))
        got = talk.exchange(Query(b"SELECT a"), *[ROW] * 3, CommandComplete("SELECT 3"), IDLE)
        assert shown(got) == ["rows 3", "SELECT 3", "ReadyForQuery"]
        assert talk.watcher.cuts == []

    def test_each_statement_of_a_text_has_the_limit_for_itself(self) -> None:
        talk = session(text("a; b", K.SELECT, K.SELECT, max_rows=3))
        replies = [*[ROW] * 3, CommandComplete("SELECT 3"), *[ROW] * 4, CommandComplete("SELECT 4"), IDLE]
        got = talk.exchange(Query(b"a; b"), *replies)
        assert shown(got) == ["rows 3", "SELECT 3", "rows 3", CUT.format(3), "SELECT 3", "ReadyForQuery"]

    def test_so_has_each_of_a_pipeline(self) -> None:
        talk = session(text("SELECT a", max_rows=2))
        one = (Parse("", b"SELECT a"), Bind("", ""), Execute(""))
        talk.client(*one, *one, Sync())
        done = (ParseComplete(), BindComplete(), *[ROW] * 3, CommandComplete("SELECT 3"))
        talk.server(*done, *done, IDLE)
        each = ["ParseComplete", "BindComplete", "rows 2", CUT.format(2), "SELECT 2"]
        assert shown(talk.at_client()) == [*each, *each, "ReadyForQuery"]

    def test_a_portal_that_is_read_in_parts_has_it_once(self) -> None:
        talk = session(text("SELECT a", max_rows=5))
        talk.client(Parse("", b"SELECT a"), Bind("p", ""), *[Execute("p", 3)] * 3, Sync())
        part = [*[ROW] * 3, PortalSuspended()]
        talk.server(ParseComplete(), BindComplete(), *part, *part, CommandComplete("SELECT 0"), IDLE)
        assert shown(talk.at_client())[2:] == [
            "rows 3", "PortalSuspended", "rows 2", CUT.format(5), "PortalSuspended", "SELECT 0", "ReadyForQuery",
        ]  # fmt: skip

    def test_a_statement_that_is_bound_again_has_it_again(self) -> None:
        talk = session(text("SELECT a", max_rows=2))
        talk.exchange(Parse("s", b"SELECT a"), ParseComplete())
        for _ in range(2):
            talk.client(Bind("", "s"), Execute(""), Sync())
            talk.server(BindComplete(), *[ROW] * 3, CommandComplete("SELECT 3"), IDLE)
            assert shown(talk.at_client())[1:4] == ["rows 2", CUT.format(2), "SELECT 2"]

    def test_an_error_between_ends_the_count(self) -> None:
        talk = session(text("SELECT a", max_rows=3))
        got = talk.exchange(Query(b"SELECT a"), *[ROW] * 4, error("22012"), IDLE)
        assert shown(got) == ["rows 3", "22012", "ReadyForQuery"]
        got = talk.exchange(Query(b"SELECT a"), *[ROW] * 3, CommandComplete("SELECT 3"), IDLE)
        assert shown(got) == ["rows 3", "SELECT 3", "ReadyForQuery"]

    def test_what_returning_shows_is_cut_and_what_was_done_is_counted(self) -> None:
        write = PlannedStatement(K.INSERT)
        talk = session(text("INSERT", write, max_rows=2))
        got = talk.exchange(Query(b"INSERT"), *[ROW] * 3, CommandComplete("INSERT 0 3"), IDLE)
        assert shown(got) == ["rows 2", CUT.format(2), "INSERT 0 3", "ReadyForQuery"]

    def test_a_table_that_is_filled_is_not_a_result(self) -> None:
        made = PlannedStatement(K.TEMP, Effect("temp", "t"))
        talk = session(text("CREATE", made, max_rows=2))
        assert shown(talk.exchange(Query(b"CREATE"), CommandComplete("SELECT 9"), IDLE))[0] == "SELECT 9"

    def test_a_statement_without_a_limit_keeps_its_rows(self) -> None:
        talk = session(text("EXPLAIN", PlannedStatement(K.EXPLAIN), max_rows=2))
        got = talk.exchange(Query(b"EXPLAIN"), *[ROW] * 5, CommandComplete("EXPLAIN"), IDLE)
        assert shown(got) == ["rows 5", "EXPLAIN", "ReadyForQuery"]

    def test_bytes_are_counted_too(self) -> None:
        size = len(ROW.encode())
        talk = session(text("SELECT a", max_bytes=size * 2, max_rows=100))
        got = talk.exchange(Query(b"SELECT a"), *[ROW] * 9, CommandComplete("SELECT 9"), IDLE)
        assert shown(got) == ["rows 2", CUT.format(2), "SELECT 2", "ReadyForQuery"]
        assert talk.watcher.cuts == ["max_bytes"]

    def test_a_row_cut_in_the_middle_of_a_chunk_leaves_whole_messages(self) -> None:
        talk = session(text("SELECT a", max_rows=2))
        talk.client(Query(b"SELECT a"))
        stream = b"".join(m.encode() for m in [*[ROW] * 3, CommandComplete("SELECT 3"), IDLE])
        for start in range(0, len(stream), 4):
            talk.relay.upstream.received(stream[start : start + 4])
        assert shown(talk.at_client()) == ["rows 2", CUT.format(2), "SELECT 2", "ReadyForQuery"]


class TestCopy:
    LINE = CopyData(b"1\n")
    TEXT, BINARY = CopyOutResponse(0, (0,)), CopyOutResponse(1, (1,))

    def copy(self, sql: str, response: Message, *data: CopyData, count: int) -> list[str]:
        talk = session(text(sql, K.COPY_OUT, max_rows=2))
        replies = [response, *data, CopyDone(), CommandComplete(f"COPY {count}"), IDLE]
        return shown(talk.exchange(Query(sql.encode()), *replies))

    @pytest.mark.parametrize("options", ["", " (FORMAT csv)", " (FORMAT csv, HEADER off)", " (HEADER 0, FORMAT csv)"])
    def test_lines_are_rows(self, options: str) -> None:
        got = self.copy(f"COPY (SELECT 1) TO STDOUT{options}", self.TEXT, *[self.LINE] * 3, count=3)
        assert got == ["CopyOutResponse", "rows 2", "CopyDone", CUT.format(2), "COPY 2", "ReadyForQuery"]

    @pytest.mark.parametrize("options", [" (FORMAT csv, HEADER)", " CSV HEADER", " (HEADER true)", " (HEADER 'on')"])
    def test_a_line_of_names_is_none(self, options: str) -> None:
        got = self.copy(f"COPY (SELECT 1) TO STDOUT{options}", self.TEXT, *[self.LINE] * 4, count=3)
        assert got == ["CopyOutResponse", "rows 3", "CopyDone", CUT.format(2), "COPY 2", "ReadyForQuery"]
        got = self.copy(f"COPY (SELECT 1) TO STDOUT{options}", self.TEXT, *[self.LINE] * 3, count=2)
        assert got == ["CopyOutResponse", "rows 3", "CopyDone", "COPY 2", "ReadyForQuery"]

    def test_a_line_of_names_is_none_of_the_rows_that_bytes_are_counted_of(self) -> None:
        sql = "COPY (SELECT 1) TO STDOUT (FORMAT csv, HEADER)"
        talk = session(text(sql, K.COPY_OUT, max_bytes=3 * len(self.LINE.encode())))
        replies = [self.TEXT, *[self.LINE] * 9, CopyDone(), CommandComplete("COPY 8"), IDLE]
        got = shown(talk.exchange(Query(sql.encode()), *replies))
        assert got == ["CopyOutResponse", "rows 3", "CopyDone", CUT.format(2), "COPY 2", "ReadyForQuery"]

    def test_binary_ends_as_it_has_to(self) -> None:
        row, end = CopyData(b"\0\1\0\0\0\1x"), CopyData(b"\xff\xff")
        got = self.copy("COPY (SELECT 1) TO STDOUT (FORMAT binary)", self.BINARY, row, row, row, end, count=3)
        assert got == ["CopyOutResponse", "rows 3", "CopyDone", CUT.format(2), "COPY 2", "ReadyForQuery"]


class TestCursors:
    DECLARE = text("DECLARE c", PlannedStatement(K.CURSOR, Effect("declare", "c", local=True), 5), max_rows=5)

    def declared(self, **more: Plan) -> Scripted:
        fetch = text("FETCH", PlannedStatement(K.CURSOR, Effect("fetch", "c"), 5), max_rows=5)
        back = text("FETCH PRIOR", PlannedStatement(K.CURSOR, Effect("fetch", "c", local=True), 5), max_rows=5)
        move = text("MOVE", PlannedStatement(K.CURSOR, Effect("fetch", "c"), 5), max_rows=5)
        talk = session(self.DECLARE, fetch, back, move, *more.values())
        talk.exchange(Query(b"DECLARE c"), CommandComplete("DECLARE CURSOR"), BLOCK)
        return talk

    def fetch(self, talk: Scripted, rows: int, sql: str = "FETCH") -> list[str]:
        return shown(talk.exchange(Query(sql.encode()), *[ROW] * rows, CommandComplete(f"FETCH {rows}"), BLOCK))[:-1]

    def test_all_fetches_of_a_cursor_are_one_result(self) -> None:
        talk = self.declared()
        assert self.fetch(talk, 3) == ["rows 3", "FETCH 3"]
        assert self.fetch(talk, 3) == ["rows 2", CUT.format(5), "FETCH 2"]
        assert self.fetch(talk, 0) == ["FETCH 0"]

    def test_move_goes_on_in_it(self) -> None:
        talk = self.declared()
        assert shown(talk.exchange(Query(b"MOVE"), CommandComplete("MOVE 4"), BLOCK))[0] == "MOVE 4"
        assert self.fetch(talk, 2) == ["rows 1", CUT.format(5), "FETCH 1"]

    def test_move_over_the_end_says_so(self) -> None:
        talk = self.declared()
        got = talk.exchange(Query(b"MOVE"), CommandComplete("MOVE 6"), BLOCK)
        assert shown(got)[:2] == [CUT.format(5), "MOVE 5"]

    def test_a_cursor_that_scrolls_shows_rows_again(self) -> None:
        talk = self.declared()
        assert self.fetch(talk, 5) == ["rows 5", "FETCH 5"]
        (_, warning, tag) = self.fetch(talk, 1, "FETCH PRIOR")
        assert ("scrolls" in warning, tag) == (True, "FETCH 1")
        assert self.fetch(talk, 2) == ["rows 2", "FETCH 2"]

    def test_what_was_moved_over_and_back_is_all_there(self) -> None:
        talk = self.declared(
            back_all=text("MOVE BACKWARD", PlannedStatement(K.CURSOR, Effect("fetch", "c", local=True), 5), max_rows=5)
        )
        talk.exchange(Query(b"MOVE"), CommandComplete("MOVE 4"), BLOCK)
        got = shown(talk.exchange(Query(b"MOVE BACKWARD"), CommandComplete("MOVE 4"), BLOCK))
        assert got[1:] == ["MOVE 4", "ReadyForQuery"]
        assert self.fetch(talk, 4) == ["rows 4", "FETCH 4"]

    def test_execute_reads_a_cursor_within_the_same_limit(self) -> None:
        talk = self.declared()
        assert self.fetch(talk, 4) == ["rows 4", "FETCH 4"]
        talk.client(Execute("c", 10), Sync())
        talk.server(*[ROW] * 2, CommandComplete("SELECT 2"), BLOCK)
        assert shown(talk.at_client()) == ["rows 1", CUT.format(5), "SELECT 1", "ReadyForQuery"]

    def test_a_cursor_declared_again_begins_again(self) -> None:
        talk = self.declared()
        self.fetch(talk, 6)
        talk.exchange(Query(b"DECLARE c"), CommandComplete("DECLARE CURSOR"), BLOCK)
        assert self.fetch(talk, 5) == ["rows 5", "FETCH 5"]


STOPPED = error("57014", "canceling statement due to user request")


class TestTime:
    def limited(self) -> Scripted:
        return session(text("SELECT slow", statement_timeout_s=5), text("SELECT b", statement_timeout_s=5))

    def test_what_takes_too_long_is_cancelled_and_the_client_told_why(self) -> None:
        talk = self.limited()
        talk.client(Query(b"SELECT slow"))
        (seconds, expire) = talk.timers[0]
        assert seconds == 5
        expire()
        assert talk.cancels == 1
        talk.server(STOPPED, IDLE)
        stopped = talk.at_client()[0]
        assert isinstance(stopped, ErrorResponse)
        assert (stopped.sqlstate, stopped.get("M")) == ("57014", "canceling statement due to statement timeout")
        assert "5 seconds (statement_timeout_s)" in (stopped.get("H") or "")
        assert talk.watcher.limits == ["statement_timeout_s"]

    def test_a_policy_that_changes_nothing_else_holds_for_what_is_prepared_and_bound(self) -> None:
        talk = self.limited()
        talk.client(Parse("s", b"SELECT slow"), Bind("p", "s"))
        talk.server(ParseComplete(), BindComplete())
        talk.veils.verdicts["SELECT slow"] = text("SELECT slow", statement_timeout_s=2)
        talk.veils.generation += 1
        talk.client(Execute("p"), Sync())
        assert talk.timers[-1][0] == 2
        talk.server(CommandComplete("SELECT 0"), IDLE)
        asked = len(talk.veils.asked)
        for _ in range(2):
            talk.client(Bind("", "s"), Execute(""), Sync())
            assert talk.timers[-1][0] == 2
            talk.server(BindComplete(), CommandComplete("SELECT 0"), IDLE)
        assert len(talk.veils.asked) == asked + 1

    def test_a_server_that_did_not_hear_is_asked_again(self) -> None:
        talk = self.limited()
        talk.client(Query(b"SELECT slow"))
        for number in range(3):
            talk.timers[number][1]()
        assert talk.cancels == 3
        talk.server(STOPPED, IDLE)
        talk.timers[-1][1]()
        assert talk.cancels == 3

    def test_what_the_server_has_not_told_yet_counts(self) -> None:
        """It keeps the replies to Parse and Bind until it has more to send."""
        talk = self.limited()
        talk.client(Parse("", b"SELECT slow"), Bind("p", ""), Execute("p"), Sync())
        assert Flush() in talk.at_server()
        talk.timers[0][1]()
        assert talk.cancels == 1
        talk.server(ParseComplete(), BindComplete(), STOPPED)
        stopped = talk.at_client()[-1]
        assert isinstance(stopped, ErrorResponse)
        assert stopped.get("M") == "canceling statement due to statement timeout"

    def test_the_next_statement_is_not_taken_for_it(self) -> None:
        talk = self.limited()
        talk.client(Query(b"SELECT slow"))
        talk.timers[0][1]()
        talk.server(CommandComplete("SELECT 1"), IDLE)
        talk.client(Query(b"SELECT b"))
        talk.server(STOPPED, IDLE)
        stopped = talk.at_client()[-2]
        assert isinstance(stopped, ErrorResponse)
        assert stopped.get("M") == "canceling statement due to user request"

    def test_what_the_client_cancels_is_its_own(self) -> None:
        talk = self.limited()
        talk.client(Query(b"SELECT slow"))
        talk.server(STOPPED, IDLE)
        (stopped, _) = talk.at_client()
        assert isinstance(stopped, ErrorResponse)
        assert stopped.get("M") == "canceling statement due to user request"
        assert talk.watcher.limits == []

    def test_another_error_at_that_moment_is_told_as_it_is(self) -> None:
        talk = self.limited()
        talk.client(Query(b"SELECT slow"))
        talk.timers[0][1]()
        talk.server(error("22012"), IDLE)
        assert codes(talk.at_client()) == ["22012", "ReadyForQuery"]

    def test_a_timer_that_is_late_cancels_nothing(self) -> None:
        talk = self.limited()
        talk.exchange(Query(b"SELECT slow"), CommandComplete("SELECT 1"), IDLE)
        talk.client(Query(b"SELECT b"))
        talk.timers[0][1]()
        assert talk.cancels == 0

    def test_the_time_of_a_pipelined_statement_begins_when_it_runs(self) -> None:
        talk = self.limited()
        talk.client(Query(b"SELECT slow"), Query(b"SELECT b"))
        assert len(talk.timers) == 1
        talk.server(CommandComplete("SELECT 1"), IDLE)
        assert len(talk.timers) == 2
        talk.timers[1][1]()
        assert talk.cancels == 1

    def test_each_execute_has_it(self) -> None:
        talk = self.limited()
        talk.client(Parse("", b"SELECT slow"), Bind("p", ""), Execute("p", 1), Execute("p", 1), Sync())
        talk.server(ParseComplete(), BindComplete())
        assert len(talk.timers) == 2
        talk.server(ROW, PortalSuspended())
        assert [seconds for seconds, _ in talk.timers] == [5, 5, 5], "Bind, and each Execute"

    def test_a_session_that_ended_is_left_alone(self) -> None:
        talk = self.limited()
        talk.client(Query(b"SELECT slow"))
        talk.relay.client.lost()
        cancels = talk.cancels
        talk.timers[0][1]()
        assert talk.cancels == cancels

    def test_planning_has_it(self) -> None:
        talk = self.limited()
        talk.client(Parse("", b"SELECT slow"), Bind("", ""), Sync())
        assert talk.timers[0][0] == 5
        talk.timers[0][1]()
        assert talk.cancels == 1

    def test_a_client_that_waits_behind_a_bind_is_not_stopped_for_it(self) -> None:
        talk = self.limited()
        talk.client(Parse("", b"SELECT slow"), Bind("p", ""))
        assert talk.at_server()[-1] == Flush()
        talk.server(ParseComplete(), BindComplete())
        talk.timers[0][1]()
        assert talk.cancels == 0

    def test_the_end_of_an_implicit_transaction_has_it(self) -> None:
        """Deferred checks run there, and cursors WITH HOLD are filled."""
        talk = self.limited()
        talk.client(Parse("", b"SELECT slow"), Bind("", ""), Execute(""), Sync())
        talk.server(ParseComplete(), BindComplete(), CommandComplete("SELECT 0"))
        assert [seconds for seconds, _ in talk.timers] == [5, 5]
        talk.timers[1][1]()
        talk.server(STOPPED, IDLE)
        stopped = talk.at_client()[-2]
        assert isinstance(stopped, ErrorResponse)
        assert stopped.get("M") == "canceling statement due to statement timeout"
        talk.client(Sync())
        assert len(talk.timers) == 3, "one more to ask again, and none for a Sync that has nothing to do"

    async def test_nothing_is_sent_that_a_cancel_on_its_way_could_hit(self) -> None:
        talk = self.limited()
        talk.client(Query(b"SELECT slow"))
        talk.at_server()
        talk.cancelling = asyncio.Event()
        talk.timers[0][1]()
        await settle()
        talk.server(CommandComplete("SELECT 1"), IDLE)
        talk.client(Query(b"SELECT b"))
        assert talk.at_server() == []
        talk.cancelling.set()
        await settle()
        assert talk.at_server() == [Query(b"SELECT b")]

    def test_one_that_is_hit_in_place_of_the_one_before_is_told_so(self) -> None:
        talk = self.limited()
        talk.client(Query(b"SELECT slow"), Query(b"SELECT b"))
        talk.timers[0][1]()
        talk.server(CommandComplete("SELECT 1"), IDLE, STOPPED, IDLE)
        stopped = talk.at_client()[-2]
        assert isinstance(stopped, ErrorResponse)
        assert stopped.sqlstate == "57014"
        assert "statement before it" in (stopped.get("M") or "")
        assert "Run this one again" in (stopped.get("H") or "")


class TestCopyIn:
    """The server waits for the client there, and hears no CancelRequest."""

    def copying(self) -> Scripted:
        talk = session(text("COPY t FROM STDIN", K.COPY_IN, statement_timeout_s=5))
        talk.client(Query(b"COPY t FROM STDIN"))
        talk.server(CopyInResponse(0, (0,)))
        talk.at_server()
        talk.at_client()
        return talk

    def test_a_client_that_says_nothing_has_its_copy_ended(self) -> None:
        talk = self.copying()
        talk.timers[0][1]()
        (ended,) = talk.at_server()
        assert isinstance(ended, CopyFail)
        talk.server(error("57014", "COPY from stdin failed: timeout"), IDLE)
        stopped = talk.at_client()[0]
        assert isinstance(stopped, ErrorResponse)
        assert stopped.get("M") == "canceling statement due to statement timeout"
        talk.client(CopyData(b"1\n"), CopyDone(), Query(b"SELECT 2"))
        talk.server(CommandComplete("SELECT 1"), IDLE)
        assert codes(talk.at_client())[-1] == "ReadyForQuery"

    def test_one_that_stops_in_the_middle_of_its_data_is_ended(self) -> None:
        talk = self.copying()
        talk.relay.client.received(CopyData(b"1" * 100).encode()[:50])
        talk.timers[0][1]()
        assert (talk.cancels, talk.client_pipe.closed) == (1, False)
        talk.timers[1][1]()
        assert talk.client_pipe.closed
        assert codes(talk.at_client()) == ["08P01"]


class TestGoodbye:
    """A client may ask for something, say goodbye and leave: the limits stay."""

    def gone(self, **limits: float) -> tuple[Scripted, Running]:
        running = Running()
        talk = session(text("SELECT slow", **limits), running=running)
        talk.client(Query(b"SELECT slow"), Terminate())
        talk.relay.client.lost()
        return talk, running

    def test_its_time_is_over_when_it_is_over(self) -> None:
        talk, _ = self.gone(statement_timeout_s=5)
        assert (talk.cancels, talk.ends) == (0, 0)
        talk.timers[0][1]()
        assert talk.cancels == 1
        talk.server(STOPPED, IDLE)
        assert (talk.ends, talk.server_pipe.closed) == (1, True)

    def test_it_counts_until_the_server_is_done(self) -> None:
        talk, running = self.gone(max_concurrent=1)
        assert running.count(("analyst",)) == 1
        talk.server(ROW, CommandComplete("SELECT 1"), IDLE)
        assert running.count(("analyst",)) == 0
        assert talk.at_client() == []

    def test_a_result_that_nobody_reads_is_stopped(self) -> None:
        talk, running = self.gone(max_concurrent=1)
        talk.server(*[DataRow((b"x" * 1000,))] * 100)
        assert (talk.cancels, talk.server_pipe.closed) == (1, True)
        assert running.count(("analyst",)) == 1
        talk.timers[-1][1]()
        assert talk.cancels == 2
        talk.relay.upstream.lost()
        assert (running.count(("analyst",)), talk.ends) == (0, 1)
        talk.timers[-1][1]()
        assert talk.cancels == 2

    def test_what_no_limit_holds_for_is_the_servers_alone(self) -> None:
        talk = Scripted()
        talk.client(Query(b"SELECT 1"), Terminate())
        talk.relay.client.lost()
        assert (talk.cancels, talk.ends, talk.server_pipe.closed) == (0, 1, True)

    def test_one_that_leaves_without_a_word_is_cancelled_until_the_server_has_closed(self) -> None:
        """It may have sent more, and a server that has not begun does not hear."""
        running = Running()
        talk = session(text("SELECT slow", max_concurrent=1), running=running)
        talk.client(Query(b"SELECT slow"))
        talk.relay.client.lost()
        talk.timers[-1][1]()
        assert (talk.cancels, running.count(("analyst",)), talk.ends) == (2, 1, 0)
        talk.relay.upstream.lost()
        assert (running.count(("analyst",)), talk.ends) == (0, 1)

    def test_the_proxys_own_end_waits_for_none_of_it(self) -> None:
        talk, running = self.gone(max_concurrent=1)
        talk.relay.stop()
        assert (running.count(("analyst",)), talk.ends) == (0, 1)

    def test_who_is_ended_while_rows_are_dropped_is_told(self) -> None:
        talk = session(text("SELECT a", max_rows=1))
        talk.client(Query(b"SELECT a"))
        talk.relay.upstream.received(ROW.encode() + ROW.encode()[:7])
        talk.relay.stop()
        assert shown(talk.at_client()) == ["rows 1", "57P01"]


class TestCost:
    async def test_what_is_too_dear_does_not_run_and_no_estimate_is_told(self) -> None:
        talk = session(text("SELECT a", max_cost=100))
        talk.pricer.prices["a"] = 123456.0
        talk.client(Query(b"SELECT a"))
        await settle()
        assert talk.at_server() == [poison_query()]
        talk.server(POISONED, IDLE)
        refused = talk.at_client()[0]
        assert isinstance(refused, ErrorResponse)
        assert refused.sqlstate == "53400"
        assert "100" in (refused.get("D") or "")
        assert "123456" not in str(refused.fields)
        assert talk.watcher.limits == ["max_cost"]

    async def test_what_is_not_runs_with_its_names_where_the_session_has_them(self) -> None:
        talk = session(text("SELECT a", max_cost=100))
        talk.client(Query(b"SELECT a"), Query(b"SELECT 2"))
        assert talk.at_server() == []
        await settle()
        assert talk.at_server() == [Query(b"SELECT a"), Query(b"SELECT 2")]
        (asked,) = talk.pricer.asked
        assert (asked.sql, asked.search_path) == ("SELECT a", ("public",))

    async def test_what_reads_a_temporary_table_goes_on_without_a_price(self) -> None:
        talk = session(text("SELECT a FROM pg_temp.t", max_cost=100))
        talk.pricer.prices["a"] = None
        talk.client(Query(b"SELECT a FROM pg_temp.t"))
        await settle()
        assert talk.at_server() == [Query(b"SELECT a FROM pg_temp.t")]
        assert [p.temporary for p in talk.pricer.asked] == [True]

    @pytest.mark.parametrize("sqlstate", ["22008", "42501", "XX000"])
    async def test_what_cannot_be_priced_does_not_run(self, sqlstate: str) -> None:
        talk = session(text("SELECT a", max_cost=100))
        talk.pricer.prices["a"] = UnpricedError(error(sqlstate, "about '13/01/2020'"))
        talk.client(Query(b"SELECT a"))
        await settle()
        assert talk.at_server() == [poison_query()]
        talk.server(POISONED, IDLE)
        refused = talk.at_client()[0]
        assert isinstance(refused, ErrorResponse)
        assert (refused.sqlstate, sqlstate in (refused.get("D") or "")) == ("53400", True)
        assert "2020" not in str(refused.fields)

    async def test_what_is_wrong_with_its_names_is_told_in_the_servers_words(self) -> None:
        talk = session(text("SELECT a", max_cost=100))
        talk.pricer.prices["a"] = UnpricedError(error("42703", 'column "a" does not exist', D="dropped"))
        talk.client(Query(b"SELECT a"))
        await settle()
        talk.server(POISONED, IDLE)
        told = talk.at_client()[0]
        assert isinstance(told, ErrorResponse)
        assert (told.sqlstate, told.get("M"), told.get("D")) == ("42703", 'column "a" does not exist', None)
        assert talk.watcher.limits == []

    async def test_constants_are_read_as_the_session_reads_them(self) -> None:
        talk = session(text("SELECT a", max_cost=100))
        talk.server(ParameterStatus("DateStyle", "ISO, DMY"), ParameterStatus("application_name", "x"))
        talk.client(Query(b"SELECT a"))
        await settle()
        (asked,) = talk.pricer.asked
        assert (asked.settings, asked.user) == ((("DateStyle", "ISO, DMY"),), "ana")

    async def test_a_policy_that_limits_it_later_holds_for_what_is_prepared(self) -> None:
        talk = session(text("SELECT dear"), text("EXECUTE s", PlannedStatement(K.PREPARE, Effect("execute", "s"))))
        talk.exchange(Parse("s", b"SELECT dear"), ParseComplete())
        talk.veils.verdicts["SELECT dear"] = text("SELECT dear", max_cost=100)
        talk.veils.generation += 1
        for price, sent in ((1000.0, poison_parse()), (10.0, Bind("", "s")), (1000.0, Bind("", "s"))):
            talk.pricer.prices["dear"] = price
            talk.client(Bind("", "s"), Sync())
            await settle()
            assert talk.at_server() == [sent, Sync()]
            talk.server(*([POISONED, IDLE] if sent != Bind("", "s") else [BindComplete(), IDLE]))
        assert len(talk.pricer.asked) == 2

    async def test_and_for_execute_it_is_prepared_again(self) -> None:
        talk = session(text("SELECT dear"), text("EXECUTE s", PlannedStatement(K.PREPARE, Effect("execute", "s"))))
        talk.exchange(Parse("s", b"SELECT dear"), ParseComplete())
        talk.veils.verdicts["SELECT dear"] = text("SELECT dear", max_cost=100)
        talk.veils.generation += 1
        talk.client(Query(b"EXECUTE s"))
        assert talk.at_server() == [poison_query()]

    async def test_an_estimate_that_does_not_come_is_a_refusal(self) -> None:
        talk = session(text("SELECT a", max_cost=100))
        talk.pricer.prices["a"] = TimeoutError()
        talk.client(Parse("s", b"SELECT a", (23,)))
        await settle()
        assert talk.at_server() == [poison_parse("s")]
        assert talk.pricer.asked[0].types == (23,)

    @pytest.mark.parametrize(
        ("sql", "priced"),
        [
            ("COPY (SELECT dear) TO STDOUT", ["SELECT dear"]),
            ("COPY dear TO STDOUT", ["SELECT * FROM dear"]),
            ("DECLARE c CURSOR FOR SELECT dear", ["SELECT dear"]),
            ("PREPARE p (int) AS SELECT dear", ["PREPARE pgveil_price(int) AS SELECT dear"]),
            ("EXPLAIN ANALYZE SELECT dear", ["SELECT dear"]),
            ("EXPLAIN (ANALYZE, VERBOSE) SELECT dear", ["SELECT dear"]),
            ("EXPLAIN SELECT dear", []),
            ("CREATE TEMP TABLE t AS SELECT dear", ["SELECT dear"]),
            ("SELECT dear INTO TEMP t", ["SELECT dear INTO TEMPORARY t"]),
            ("BEGIN; SELECT 1; SELECT dear", ["SELECT 1", "SELECT dear"]),
            ("DELETE FROM dear", ["DELETE FROM dear"]),
            ("FETCH ALL FROM dear", []),
        ],
    )
    async def test_what_is_priced(self, sql: str, priced: list[str]) -> None:
        talk = session(text(sql, K.CURSOR, max_cost=100))
        talk.pricer.prices["dear"] = 1000.0
        talk.client(Query(sql.encode()))
        await settle()
        assert [p.sql for p in talk.pricer.asked] == priced
        assert talk.at_server() == [poison_query() if priced else Query(sql.encode())]

    async def test_transactions_and_settings_are_not(self) -> None:
        talk = session(text("BEGIN; SET x = 1; SHOW x", K.TRANSACTION, K.SET, K.SHOW, max_cost=1))
        talk.client(Query(b"BEGIN; SET x = 1; SHOW x"))
        await settle()
        assert talk.pricer.asked == []
        assert len(talk.at_server()) == 1

    async def test_the_client_may_cancel_meanwhile(self) -> None:
        talk = session(text("SELECT a", max_cost=100))
        talk.pricer.gate = asyncio.Event()
        talk.client(Query(b"SELECT a"))
        await settle()
        await talk.relay.cancel()
        await settle()
        assert talk.at_server() == [poison_query()]
        talk.server(POISONED, IDLE)
        assert codes(talk.at_client()) == ["57014", "ReadyForQuery"]
        talk.client(Query(b"SELECT 2"))
        assert talk.at_server() == [Query(b"SELECT 2")]

    async def test_a_policy_that_changes_meanwhile_holds(self) -> None:
        talk = session(text("SELECT a", max_cost=100))
        talk.pricer.gate = asyncio.Event()
        talk.client(Query(b"SELECT a"))
        await settle()
        talk.veils.verdicts["SELECT a"] = replace(plan("SELECT b", rewritten=True), limits=Limits(max_cost=100))
        talk.veils.generation += 1
        talk.pricer.gate.set()
        await settle()
        assert [p.sql for p in talk.pricer.asked] == ["SELECT a", "SELECT b"]
        assert talk.at_server() == [Query(b"SELECT b")]

    async def test_a_client_that_leaves_meanwhile_is_gone(self) -> None:
        talk = session(text("SELECT a", max_cost=100))
        talk.pricer.gate = asyncio.Event()
        talk.client(Query(b"SELECT a"))
        await settle()
        talk.relay.client.lost()
        await settle()
        assert talk.ends == 1
        assert talk.watcher.crashes == []


class TestConcurrency:
    PLAN = text("SELECT a", max_concurrent=1)
    END = text("COMMIT", PlannedStatement(K.TRANSACTION, Effect("commit")), max_concurrent=1)

    def two(self) -> tuple[Scripted, Scripted, Running]:
        running = Running()
        return session(self.PLAN, self.END, running=running), session(self.PLAN, self.END, running=running), running

    def refused(self, talk: Scripted) -> bool:
        talk.client(Query(b"SELECT a"))
        if talk.at_server() != [poison_query()]:
            talk.server(CommandComplete("SELECT 1"), IDLE)
            talk.at_client()
            return False
        talk.server(POISONED, IDLE)
        assert codes(talk.at_client()) == ["53400", "ReadyForQuery"]
        assert talk.watcher.limits[-1] == "max_concurrent"
        return True

    def test_a_second_session_is_refused_while_the_first_runs(self) -> None:
        one, two, _ = self.two()
        one.client(Query(b"SELECT a"))
        assert self.refused(two)
        one.server(CommandComplete("SELECT 1"), IDLE)
        assert not self.refused(two)

    def test_a_session_goes_on_in_its_own_pipeline(self) -> None:
        one, two, running = self.two()
        one.client(Query(b"SELECT a"), Query(b"SELECT a"))
        assert one.at_server() == [Query(b"SELECT a")] * 2
        one.server(CommandComplete("SELECT 1"), IDLE)
        assert self.refused(two)
        one.server(CommandComplete("SELECT 1"), IDLE)
        assert not self.refused(two)
        assert running.count(("analyst",)) == 0

    @pytest.mark.parametrize("end", ["error", "cancel", "client lost", "server lost", "shutdown", "broken protocol"])
    def test_however_it_ends_the_place_is_free_once(self, end: str) -> None:
        one, two, running = self.two()
        one.client(Query(b"SELECT a"))
        assert running.count(("analyst",)) == 1
        match end:
            case "error":
                one.server(error("22012"), IDLE)
            case "cancel":
                one.server(STOPPED, IDLE)
            case "client lost":
                one.relay.client.lost()
            case "server lost":
                one.relay.upstream.lost()
            case "shutdown":
                one.relay.stop()
            case _:
                one.server(ParseComplete())
        one.relay.client.lost()
        one.relay.upstream.lost()
        assert running.count(("analyst",)) == 0
        assert not self.refused(two)

    def test_an_execute_is_counted_and_an_idle_transaction_is_not(self) -> None:
        one, two, _ = self.two()
        one.client(Parse("", b"SELECT a"), Bind("p", ""))
        assert self.refused(two), "planning runs code too"
        one.client(Execute("p", 1), Sync())
        assert self.refused(two)
        one.server(ParseComplete(), BindComplete(), ROW, PortalSuspended(), BLOCK)
        assert not self.refused(two)
        two.client(Query(b"SELECT a"))
        one.at_server()
        one.client(Execute("p", 1), Sync())
        assert one.at_server() == [poison_parse(), Sync()]
        one.server(POISONED, BROKEN)
        assert "53400" in codes(one.at_client())

    def test_a_cursor_that_is_filled_at_the_end_of_its_transaction_counts_until_then(self) -> None:
        hold = text("DECLARE c", PlannedStatement(K.CURSOR, Effect("declare", "c")), max_concurrent=1)
        one, two, running = self.two()
        one.veils.verdicts["DECLARE c"] = hold
        one.exchange(Query(b"DECLARE c"), CommandComplete("DECLARE CURSOR"), BLOCK)
        assert self.refused(two)
        one.client(Query(b"COMMIT"))
        assert self.refused(two)
        one.server(CommandComplete("COMMIT"), IDLE)
        assert running.count(("analyst",)) == 0

    def test_a_transaction_can_always_end(self) -> None:
        one, two, _ = self.two()
        one.client(Query(b"SELECT a"))
        two.client(Query(b"COMMIT"))
        assert two.at_server() == [Query(b"COMMIT")]

    def test_what_is_skipped_after_an_error_takes_no_place(self) -> None:
        one, _, running = self.two()
        one.client(Parse("", b"SELECT a"), Bind("p", ""))
        one.server(error("22012"))
        one.client(Execute("p"))
        assert running.count(("analyst",)) == 0

    def test_other_roles_have_places_of_their_own(self) -> None:
        running = Running()
        assert running.enter(("a",), 1)
        assert not running.enter(("a",), 1)
        assert running.enter(("a", "b"), 1)
