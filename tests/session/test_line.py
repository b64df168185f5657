"""The line of a masked session: what reaches the server, and what the client gets for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from scripted import (
    DBA,
    POISONED,
    SELECT,
    Scripted,
    error,
    plan,
    poison_parse,
    poison_query,
)

from proxy.policy import parser
from proxy.policy.plan import Effect, Plan, Refusal
from proxy.wire.messages import (
    Bind,
    BindComplete,
    Close,
    CloseComplete,
    CommandComplete,
    CopyData,
    CopyDone,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    Describe,
    EmptyQueryResponse,
    ErrorResponse,
    Execute,
    Flush,
    FunctionCall,
    NoData,
    NoticeResponse,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    Parse,
    ParseComplete,
    PortalSuspended,
    Query,
    ReadyForQuery,
    RowDescription,
    Sync,
    Terminate,
)

REFUSED = Refusal("42501", "no", hint="ask nicely", position=8)
NO = {"SELECT secret": REFUSED}
IDLE = ReadyForQuery("I")
BLOCK = ReadyForQuery("T")
BROKEN = ReadyForQuery("E")


def codes(messages: Sequence[object]) -> list[str | None]:
    """SQLSTATEs of the errors among messages, and the other messages' names."""
    return [m.sqlstate if isinstance(m, ErrorResponse) else type(m).__name__ for m in messages]


class TestSimple:
    def test_a_plan_is_sent_and_its_reply_passed_on(self) -> None:
        talk = Scripted(verdicts={"SELECT ssn": plan("SELECT masked", rewritten=True)})
        talk.client(Query(b"SELECT ssn"))
        assert talk.at_server() == [Query(b"SELECT masked")]
        reply = [RowDescription(()), DataRow((b"x",)), CommandComplete("SELECT 1"), IDLE]
        talk.server(*reply)
        assert talk.at_client() == reply

    def test_what_no_rule_touches_is_sent_byte_for_byte(self) -> None:
        talk = Scripted()
        raw = b"Q\0\0\0\x14SELECT  1 /* x */\0"
        raw = raw[:1] + (len(raw) - 1).to_bytes(4, "big") + raw[5:]
        talk.relay.client.received(raw)
        assert [f.raw for f in talk.server_pipe.take()] == [raw]

    def test_a_refusal_takes_the_place_of_the_poisons_error(self) -> None:
        talk = Scripted(verdicts=NO)
        talk.client(Query(b"SELECT secret"))
        assert talk.at_server() == [poison_query()]
        talk.server(POISONED, IDLE)
        refused, ready = talk.at_client()
        assert isinstance(refused, ErrorResponse)
        fields = dict(refused.fields)
        assert (fields["C"], fields["M"], fields["H"], fields["P"]) == ("42501", "no", "ask nicely", "8")
        assert ready == IDLE

    def test_in_a_failed_transaction_the_server_has_the_word(self) -> None:
        talk = Scripted(verdicts=NO)
        got = talk.exchange(Query(b"SELECT secret"), error("25P02", "aborted"), BROKEN)
        assert codes(got) == ["25P02", "ReadyForQuery"]

    def test_a_cancelled_poison_is_a_cancelled_statement(self) -> None:
        talk = Scripted(verdicts=NO)
        assert codes(talk.exchange(Query(b"SELECT secret"), error("57014"), IDLE)) == ["57014", "ReadyForQuery"]

    def test_a_poison_that_succeeds_ends_the_session(self) -> None:
        talk = Scripted(verdicts=NO)
        got = talk.exchange(Query(b"SELECT secret"), CommandComplete("SELECT 1"), IDLE)
        assert codes(got) == ["08006"]
        assert talk.client_pipe.closed

    def test_text_that_is_not_utf8_is_refused(self) -> None:
        talk = Scripted()
        talk.client(Query(b"SELECT '\xff'"))
        assert talk.at_server() == [poison_query()]
        talk.server(POISONED, IDLE)
        assert codes(talk.at_client()) == ["22021", "ReadyForQuery"]

    def test_a_statement_too_long_to_analyse_is_refused(self) -> None:
        talk = Scripted()
        got = talk.exchange(Query(b"SELECT '" + b"x" * (1 << 20) + b"'"), POISONED, IDLE)
        assert codes(got) == ["54000", "ReadyForQuery"]
        assert talk.veils.asked == []

    def test_an_error_loses_its_detail_and_its_position_is_mapped(self) -> None:
        original, tree = "SELECT    1 / 0", parser.parse("SELECT    1 / 0")
        rewritten = Plan(
            parser.deparse(tree), (SELECT,), rewritten=True, tree=tree.SerializeToString(), original=original
        )
        talk = Scripted(verdicts={original: rewritten})
        sent = str(rewritten.sql.index("/") + 1)
        got = talk.exchange(Query(original.encode()), error("22012", "division by zero", D="Key (1)", P=sent), IDLE)
        assert isinstance(got[0], ErrorResponse)
        assert sent == "10"
        assert dict(got[0].fields) == {"S": "ERROR", "V": "ERROR", "C": "22012", "M": "division by zero", "P": "13"}

    def test_more_completions_than_statements_end_the_session(self) -> None:
        talk = Scripted()
        got = talk.exchange(Query(b"SELECT 1"), CommandComplete("SELECT 1"), CommandComplete("SELECT 1"), IDLE)
        assert codes(got) == ["CommandComplete", "CommandComplete", "08006"]

    def test_an_empty_query_is_answered(self) -> None:
        talk = Scripted(verdicts={"": Plan("", ())})
        assert talk.exchange(Query(b""), EmptyQueryResponse(), IDLE) == [EmptyQueryResponse(), IDLE]

    def test_a_function_call_is_refused(self) -> None:
        talk = Scripted()
        talk.client(FunctionCall(1))
        assert talk.at_server() == [poison_query()]
        talk.server(POISONED, IDLE)
        assert codes(talk.at_client()) == ["42501", "ReadyForQuery"]

    @pytest.mark.parametrize("tag", [b"p", b"z", b"\0", b"R"])
    def test_a_message_that_has_no_place_ends_the_session(self, tag: bytes) -> None:
        talk = Scripted()
        talk.relay.client.received(tag + b"\0\0\0\4")
        assert codes(talk.at_client()) == ["08P01"]
        assert talk.client_pipe.closed
        assert talk.server_pipe.closed


class TestExtended:
    def test_a_statement_is_planned_once_and_run_by_name(self) -> None:
        talk = Scripted(verdicts={"SELECT ssn": plan("SELECT masked", rewritten=True)})
        talk.client(Parse("s", b"SELECT ssn", (23,)), Describe("S", "s"), Bind("", "s"), Execute(""), Sync())
        assert talk.at_server() == [
            Parse("s", b"SELECT masked", (23,)),
            Describe("S", "s"),
            Bind("", "s"),
            Execute(""),
            Sync(),
        ]
        replies = [
            ParseComplete(),
            ParameterDescription(()),
            RowDescription(()),
            BindComplete(),
            DataRow((b"1",)),
            CommandComplete("SELECT 1"),
            IDLE,
        ]
        talk.server(*replies)
        assert talk.at_client() == replies
        talk.client(Bind("", "s"), Execute("", 1), Execute("", 1), Close("S", "s"), Sync())
        talk.server(BindComplete(), DataRow((b"1",)), PortalSuspended())
        talk.server(CommandComplete("SELECT 0"), CloseComplete(), IDLE)
        assert len(talk.at_client()) == 6
        assert len(talk.veils.asked) == 1

    def test_a_refusal_in_the_middle_of_a_pipeline_skips_to_sync(self) -> None:
        talk = Scripted(verdicts=NO)
        talk.client(
            *(Parse("", b"SELECT 1"), Bind("", ""), Execute("")),
            *(Parse("x", b"SELECT secret"), Bind("", "x"), Execute(""), Sync()),
            *(Parse("", b"SELECT 2"), Bind("", ""), Execute(""), Sync()),
        )
        assert talk.at_server()[3:5] == [poison_parse("x"), Bind("", "x")]
        run = [ParseComplete(), BindComplete(), CommandComplete("SELECT 1")]
        talk.server(*run, POISONED, IDLE, *run, IDLE)
        assert codes(talk.at_client()) == [
            *("ParseComplete", "BindComplete", "CommandComplete", "42501", "ReadyForQuery"),
            *("ParseComplete", "BindComplete", "CommandComplete", "ReadyForQuery"),
        ]

    def test_what_the_server_would_ignore_is_neither_sent_nor_decided(self) -> None:
        talk = Scripted()
        talk.client(Parse("", b"SELECT bad"), Flush())
        talk.server(error("42703"))
        talk.at_server()
        talk.client(Parse("", b"SELECT 1"), Bind("", ""), Query(b"SELECT 2"), FunctionCall(1), Sync())
        assert talk.at_server() == [Sync()]
        assert talk.veils.asked == [("SELECT bad", ("public",))]
        talk.server(IDLE)
        assert codes(talk.at_client()) == ["42703", "ReadyForQuery"]

    def test_a_refused_unnamed_parse_poisons_the_unnamed_statement(self) -> None:
        talk = Scripted(verdicts=NO)
        talk.client(Parse("", b"SELECT secret"), Sync())
        assert talk.at_server() == [poison_parse(""), Sync()]

    def test_describe_of_a_statement_without_rows(self) -> None:
        talk = Scripted()
        talk.client(Parse("", b"SET x"), Describe("P", ""), Sync())
        talk.server(ParseComplete(), NoData(), IDLE)
        assert codes(talk.at_client()) == ["ParseComplete", "NoData", "ReadyForQuery"]

    def test_an_error_at_sync_is_passed_on(self) -> None:
        talk = Scripted()
        talk.client(Sync())
        talk.server(error("23503"), IDLE)
        assert codes(talk.at_client()) == ["23503", "ReadyForQuery"]

    def test_one_write_for_each_chunk(self) -> None:
        talk = Scripted()
        talk.client(*[Parse("", b"SELECT 1"), Bind("", ""), Execute(""), Sync()] * 10)
        talk.server(*[ParseComplete(), BindComplete(), CommandComplete("SELECT 1"), IDLE] * 10)
        assert (talk.server_pipe.writes, talk.client_pipe.writes) == (1, 1)


class TestStale:
    """A plan that is older than the policy, the catalogue or the search_path."""

    def prepared(self, verdicts: dict[str, Plan | Refusal] | None = None, sql: bytes = b"SELECT v") -> Scripted:
        talk = Scripted(verdicts=verdicts)
        talk.client(Parse("s", sql), Sync())
        talk.server(ParseComplete(), IDLE)
        talk.at_server(), talk.at_client()
        return talk

    def test_a_plan_that_is_still_right_runs(self) -> None:
        talk = self.prepared()
        talk.veils.generation += 1
        talk.client(Bind("", "s"), Execute(""), Sync())
        assert talk.at_server() == [Bind("", "s"), Execute(""), Sync()]

    @pytest.mark.parametrize("name", ["s", ""])
    def test_a_plan_that_another_policy_makes_anew_is_prepared_again(self, name: str) -> None:
        talk = Scripted()
        talk.client(Parse(name, b"SELECT v", (23,)), Sync())
        talk.server(ParseComplete(), IDLE)
        talk.at_server(), talk.at_client()
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = plan("SELECT masked", rewritten=True)
        talk.client(Bind("", name), Execute(""), Sync())
        close = [Close("S", name)] if name else []
        assert talk.at_server() == [
            *close,
            Parse(name, b"SELECT masked", (23,)),
            *(Bind("", name), Execute(""), Sync()),
        ]
        closed = [CloseComplete()] if name else []
        talk.server(*closed, ParseComplete(), BindComplete(), CommandComplete("SELECT 0"), IDLE)
        assert codes(talk.at_client()) == ["BindComplete", "CommandComplete", "ReadyForQuery"]
        talk.client(Bind("", name), Sync())
        assert talk.at_server() == [Bind("", name), Sync()]

    def test_what_cannot_be_prepared_again_is_the_binds_error(self) -> None:
        talk = self.prepared()
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = plan("SELECT masked", rewritten=True)
        talk.client(Bind("", "s"), Execute(""), Sync())
        talk.server(CloseComplete(), error("42P01"), IDLE)
        assert codes(talk.at_client()) == ["42P01", "ReadyForQuery"]

    def test_a_plan_of_another_catalogue_is_refused_as_postgresql_does(self) -> None:
        talk = self.prepared()
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = Plan("SELECT masked", (SELECT,), rewritten=True, catalog_version=2)
        talk.client(Bind("", "s"), Execute(""), Sync())
        assert talk.at_server() == [poison_parse(), Execute(""), Sync()]
        talk.server(POISONED, IDLE)
        refused = talk.at_client()[0]
        assert isinstance(refused, ErrorResponse)
        assert (refused.sqlstate, refused.get("M")) == ("0A000", "cached plan must not change result type")
        assert refused.get("R") == "RevalidateCachedQuery"

    def test_a_plan_that_would_be_refused_now_is_refused(self) -> None:
        talk = self.prepared()
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = REFUSED
        talk.client(Bind("", "s"), Sync())
        talk.server(POISONED, IDLE)
        assert codes(talk.at_client()) == ["42501", "ReadyForQuery"]

    def test_a_portal_does_not_outlive_its_plan(self) -> None:
        talk = self.prepared()
        talk.client(Bind("p", "s"), Execute("p", 1), Flush())
        talk.server(BindComplete(), PortalSuspended())
        talk.at_server(), talk.at_client()
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = REFUSED
        talk.client(Execute("p", 1), Sync())
        assert talk.at_server() == [poison_parse(), Sync()]

    def test_the_path_of_today_decides(self) -> None:
        """The server plans an old text again when the path has changed, so the veil has to as well."""
        talk = self.prepared()
        moving = plan("SET search_path = b", Effect("search_path", value=("b",)))
        talk.veils.verdicts["SET search_path = b"] = moving
        talk.exchange(Query(b"SET search_path = b"), CommandComplete("SET"), IDLE)
        talk.veils.verdicts["SELECT v"] = plan("SELECT masked", rewritten=True)
        talk.client(Bind("", "s"), Sync())
        assert talk.at_server() == [poison_parse(), Sync()]
        assert ("SELECT v", ("b",)) in talk.veils.asked

    @pytest.mark.parametrize("kind", ["search_path", "temp", "declare", "fetch"])
    def test_execute_does_not_run_what_changes_the_session(self, kind: str) -> None:
        """What was prepared by protocol may be any statement, and EXECUTE runs it."""
        done = Effect(kind, "x", ("x",))
        talk = self.prepared({"DOES": plan("DOES", done), "EXECUTE s2": plan("EXECUTE s2", Effect("execute", "s2"))})
        talk.exchange(Parse("s2", b"DOES"), ParseComplete())
        talk.client(Query(b"EXECUTE s2"))
        assert talk.at_server() == [poison_query()]
        talk.server(POISONED, IDLE)
        assert codes(talk.at_client()) == ["0A000", "ReadyForQuery"]

    def test_execute_runs_what_prepare_made_however_that_was_sent(self) -> None:
        made, runs = Effect("prepare", "p"), Effect("execute", "p")
        talk = self.prepared({"PREPARE": plan("PREPARE", made), "EXECUTE p": plan("EXECUTE p", runs)})
        talk.client(Parse("", b"PREPARE"), Bind("", ""), Execute(""), Sync())
        talk.server(ParseComplete(), BindComplete(), CommandComplete("PREPARE"), IDLE)
        talk.at_server()
        talk.client(Query(b"EXECUTE p"))
        assert talk.at_server() == [Query(b"EXECUTE p")]

    def test_execute_of_a_stale_name_is_refused(self) -> None:
        talk = self.prepared({"EXECUTE s": plan("EXECUTE s", Effect("execute", "s"))})
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = REFUSED
        talk.client(Query(b"EXECUTE s"))
        assert talk.at_server() == [poison_query()]

    def test_a_statement_prepared_by_sql_goes_stale_too(self) -> None:
        sql = "PREPARE s AS SELECT v"
        talk = Scripted(verdicts={sql: plan(sql, Effect("prepare", "s"))})
        talk.exchange(Query(sql.encode()), CommandComplete("PREPARE"), IDLE)
        talk.veils.generation += 1
        talk.veils.verdicts[sql] = REFUSED
        talk.client(Bind("", "s"), Sync())
        assert talk.at_server() == [poison_parse(), Sync()]

    @pytest.mark.parametrize("name", ["s", None])
    def test_a_deallocated_name_is_the_servers_to_judge(self, name: str | None) -> None:
        talk = self.prepared({"DEALLOCATE": plan("DEALLOCATE", Effect("deallocate", name))})
        talk.exchange(Query(b"DEALLOCATE"), CommandComplete("DEALLOCATE"), IDLE)
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = REFUSED
        talk.client(Bind("", "s"), Sync())
        assert talk.at_server() == [Bind("", "s"), Sync()]

    def test_a_failed_parse_leaves_the_old_statement_under_its_name(self) -> None:
        talk = self.prepared()
        talk.client(Parse("s", b"SELECT other"), Sync())
        talk.server(error("42P05"), IDLE)
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = REFUSED
        talk.at_server()
        talk.client(Bind("", "s"), Sync())
        assert talk.at_server() == [poison_parse(), Sync()]

    def test_a_pending_parse_does_not_hide_what_it_may_fail_to_replace(self) -> None:
        talk = self.prepared()
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = REFUSED
        talk.client(Parse("s", b"SELECT other"), Bind("", "s"), Sync(), Bind("", "s"), Sync())
        # The first Bind is ignored together with the Parse, or meets it; what the second one meets is not known yet.
        assert talk.at_server() == [Parse("s", b"SELECT other"), Bind("", "s"), Sync(), Flush()]
        talk.server(error("42P05"), IDLE)
        assert talk.at_server() == [poison_parse(), Sync()]

    def test_nor_what_it_may_be_ignored_instead_of_replacing(self) -> None:
        talk = self.prepared()
        talk.exchange(Parse("", b"SELECT v"), ParseComplete())
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = REFUSED
        talk.client(Parse("t", b"SELECT wrong"), Parse("", b"SELECT other"), Sync(), Bind("", ""), Sync())
        assert Bind("", "") not in talk.at_server()
        talk.server(error("42601"), IDLE)
        assert talk.at_server() == [poison_parse(), Sync()]

    def test_the_unnamed_one_is_replaced_whatever_it_was(self) -> None:
        talk = self.prepared()
        talk.exchange(Parse("", b"SELECT v"), ParseComplete())
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = REFUSED
        for _ in range(2):
            talk.client(Parse("", b"SELECT other"), Bind("", ""), Sync())
            assert talk.at_server() == [Parse("", b"SELECT other"), Bind("", ""), Sync()]
            talk.server(ParseComplete(), BindComplete(), IDLE)

    def test_behind_a_sync_it_is_waited_for(self) -> None:
        talk = self.prepared()
        talk.exchange(Parse("", b"SELECT v"), ParseComplete())
        talk.veils.generation += 1
        talk.veils.verdicts["SELECT v"] = REFUSED
        talk.client(Parse("", b"SELECT other"), Sync(), Bind("", ""), Sync())
        assert talk.at_server() == [Parse("", b"SELECT other"), Sync(), Flush()]
        talk.server(ParseComplete(), IDLE)
        assert talk.at_server() == [Bind("", ""), Sync()]


class TestSearchPath:
    """Names are never resolved by a path that a statement ahead may still move."""

    SET = "SET search_path = b"
    MOVES = plan(SET, Effect("search_path", value=("b",)))

    def test_a_text_behind_a_pipelined_set_waits_for_it(self) -> None:
        talk = Scripted(verdicts={self.SET: self.MOVES})
        talk.client(Parse("", self.SET.encode()), Bind("", ""), Execute(""), Parse("t", b"SELECT v"), Sync())
        assert talk.at_server() == [Parse("", self.SET.encode()), Bind("", ""), Execute(""), Flush()]
        talk.server(ParseComplete(), BindComplete(), CommandComplete("SET"))
        assert talk.at_server() == [Parse("t", b"SELECT v"), Sync()]
        assert talk.veils.asked[-1] == ("SELECT v", ("b",))

    def test_the_set_may_fail_and_then_what_waited_is_ignored(self) -> None:
        talk = Scripted(verdicts={self.SET: self.MOVES})
        talk.client(Parse("", self.SET.encode()), Bind("", ""), Execute(""), Parse("t", b"SELECT v"), Sync())
        talk.at_server()
        talk.server(ParseComplete(), error("22023"))
        assert talk.at_server() == [Sync()]
        talk.server(IDLE)
        assert codes(talk.at_client()) == ["ParseComplete", "22023", "ReadyForQuery"]

    def test_a_batch_that_may_fail_and_take_the_path_back_is_waited_for(self) -> None:
        talk = Scripted(verdicts={self.SET: self.MOVES})
        talk.client(Parse("", self.SET.encode()), Bind("", ""), Execute(""), Flush())
        talk.server(ParseComplete(), BindComplete(), CommandComplete("SET"))
        talk.client(Parse("", b"SELECT bad"), Sync(), Parse("", b"SELECT v"), Sync())
        assert Parse("", b"SELECT v") not in talk.at_server()
        talk.server(error("42703"), IDLE)
        assert talk.at_server() == [Parse("", b"SELECT v"), Sync()]
        assert talk.veils.asked[-1] == ("SELECT v", ("public",))

    def test_a_text_that_moves_the_path_and_goes_on_is_refused(self) -> None:
        sql = "SET search_path = b; SELECT v"
        both = Plan(sql, (*self.MOVES.statements, SELECT))
        talk = Scripted(verdicts={sql: both})
        talk.client(Query(sql.encode()))
        assert talk.at_server() == [poison_query()]

    def test_without_such_effects_nothing_waits(self) -> None:
        talk = Scripted(verdicts={"BEGIN": plan("BEGIN", Effect("begin")), "COMMIT": plan("COMMIT", Effect("commit"))})
        talk.client(Query(b"BEGIN"), Query(b"SELECT 1"), Query(b"COMMIT"), Query(b"SELECT 2"))
        assert len(talk.at_server()) == 4

    def test_the_servers_report_is_followed(self) -> None:
        talk = Scripted()
        talk.exchange(Query(b"SELECT 1"), CommandComplete("SELECT 1"), ParameterStatus("search_path", "x, y"), IDLE)
        talk.client(Query(b"SELECT 2"))
        assert talk.veils.asked[-1] == ("SELECT 2", ("x", "y"))


class TestAnyTime:
    """Messages that the server may send whenever it likes."""

    def test_a_notice_in_the_middle_of_a_result_is_scrubbed(self) -> None:
        talk = Scripted()
        talk.client(Query(b"SELECT 1"))
        notice = NoticeResponse((("S", "NOTICE"), ("V", "NOTICE"), ("C", "00000"), ("M", "m"), ("D", "value")))
        talk.server(RowDescription(()), notice, DataRow((b"1",)), CommandComplete("SELECT 1"), IDLE)
        got = talk.at_client()
        assert isinstance(got[1], NoticeResponse)
        assert got[1].get("D") is None
        assert len(got) == 5

    def test_notifications_and_settings_of_extensions_are_kept_from_a_masked_role(self) -> None:
        talk = Scripted()
        talk.server(
            NotificationResponse(1, "c", "v"), ParameterStatus("ext.x", "v"), ParameterStatus("TimeZone", "UTC")
        )
        assert talk.at_client() == [ParameterStatus("TimeZone", "UTC")]

    @pytest.mark.parametrize(("name", "value"), [("client_encoding", "LATIN1"), ("standard_conforming_strings", "off")])
    def test_a_setting_that_changes_how_sql_is_read_ends_the_session(self, name: str, value: str) -> None:
        talk = Scripted()
        talk.server(ParameterStatus(name, value))
        assert codes(talk.at_client()) == ["08006"]

    def test_the_servers_last_words_reach_the_client(self) -> None:
        talk = Scripted()
        talk.server(error("57P01", "terminating connection", severity="FATAL"))
        talk.relay.upstream.lost()
        assert codes(talk.at_client()) == ["57P01"]
        assert talk.client_pipe.closed

    def test_an_error_that_nobody_caused_ends_the_session(self) -> None:
        talk = Scripted()
        talk.server(error("22012"))
        assert codes(talk.at_client()) == ["08006"]


class TestCopy:
    def test_out_passes_through(self) -> None:
        talk = Scripted()
        talk.client(Query(b"COPY t TO STDOUT"))
        reply = [
            CopyOutResponse(0, ()),
            CopyData(b"1\n"),
            CopyDone(),
            CommandComplete("COPY 1"),
            IDLE,
        ]
        talk.server(*reply)
        assert talk.at_client() == reply

    def test_in_passes_through_and_an_early_sync_is_owed_nothing(self) -> None:
        talk = Scripted()
        talk.client(Parse("", b"COPY"), Bind("", ""), Execute(""), Sync())
        talk.server(ParseComplete(), BindComplete(), CopyInResponse(0, ()))
        talk.at_server()
        talk.client(CopyData(b"1\n"), CopyDone(), Sync())
        assert talk.at_server() == [CopyData(b"1\n"), CopyDone(), Sync()]
        talk.server(CommandComplete("COPY 1"), IDLE)
        assert codes(talk.at_client())[-2:] == ["CommandComplete", "ReadyForQuery"]
        assert talk.relay.idle

    def test_rows_that_nobody_asked_for_end_the_session(self) -> None:
        talk = Scripted()
        talk.server(DataRow((b"1",)))
        assert codes(talk.at_client()) == ["08006"]


class TestBypass:
    def test_messages_pass_undecided(self) -> None:
        talk = Scripted(DBA)
        sent = [
            Query(b"DROP \xff"),
            FunctionCall(1),
            Parse("a", b"x"),
            Bind("", "a"),
            Execute(""),
            Sync(),
            Terminate(),
        ]
        talk.client(*sent)
        assert talk.at_server() == sent
        assert talk.veils.asked == []

    def test_replies_pass_unscrubbed(self) -> None:
        talk = Scripted(DBA)
        talk.client(Query(b"SELECT 1"))
        reply = [
            NotificationResponse(1, "c", "v"),
            ParameterStatus("ext.x", "v"),
            NoticeResponse((("S", "LOG"), ("M", "m"), ("D", "value"))),
            error("P0001", "words", D="value", W="PL/pgSQL function f"),
            IDLE,
        ]
        talk.server(*reply)
        assert talk.at_client() == reply
