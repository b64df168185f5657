"""Cursors show what the policy let them show when they were declared, and no longer than it does."""

from __future__ import annotations

import pytest
from scripted import POISONED, FakeVeils, Scripted, error, plan, poison_parse, poison_query
from test_line import BLOCK, IDLE, codes

from proxy.policy.plan import Effect, Refusal
from proxy.wire.messages import (
    Bind,
    BindComplete,
    CommandComplete,
    Execute,
    Flush,
    Parse,
    ParseComplete,
    PortalSuspended,
    Query,
    Sync,
)

DECLARE = "DECLARE c CURSOR FOR SELECT ssn"
HOLD = "DECLARE c CURSOR WITH HOLD FOR SELECT ssn"
OLD = "DECLARE c CURSOR FOR SELECT old"
NEW = "DECLARE c CURSOR FOR SELECT new"
FETCH = "FETCH 2 FROM c"
BEGIN, COMMIT = Effect("begin"), Effect("commit")


def declared(sql: str = DECLARE) -> Scripted:
    """A session in a transaction with a cursor."""
    passing = Effect("declare", "c", local=True)
    talk = Scripted(
        verdicts={
            DECLARE: plan(OLD, passing, rewritten=True),
            HOLD: plan(OLD, Effect("declare", "c"), rewritten=True),
            FETCH: plan(FETCH, Effect("fetch", "c")),
            "CLOSE c": plan("CLOSE c", Effect("close", "c")),
            "CLOSE ALL": plan("CLOSE ALL", Effect("close")),
            "DISCARD ALL": plan("DISCARD ALL", Effect("discard_all")),
            "BEGIN": plan("BEGIN", BEGIN),
            "COMMIT": plan("COMMIT", COMMIT),
            f"{DECLARE};{FETCH}": plan("both", passing, Effect("fetch", "c"), rewritten=True),
        }
    )
    talk.exchange(Query(b"BEGIN"), CommandComplete("BEGIN"), BLOCK)
    talk.exchange(Query(sql.encode()), CommandComplete("DECLARE CURSOR"), BLOCK)
    return talk


def change(talk: Scripted, verdict: object = None) -> None:
    """Another policy, under which the cursor would read something else."""
    new = verdict if isinstance(verdict, Refusal) else plan(NEW, Effect("declare", "c"), rewritten=True)
    talk.veils.verdicts |= {DECLARE: new, HOLD: new}
    talk.veils.generation += 1


def fetched(talk: Scripted) -> str:
    """What becomes of a FETCH: it is sent, or the SQLSTATE that it is refused with."""
    talk.client(Query(FETCH.encode()))
    if talk.at_server() == [Query(FETCH.encode())]:
        talk.server(CommandComplete("FETCH 0"), BLOCK)
        talk.at_client()
        return "sent"
    talk.server(POISONED, BLOCK)
    return str(codes(talk.at_client())[0])


def test_a_cursor_is_read_while_the_policy_is_the_same() -> None:
    assert fetched(declared()) == "sent"


def test_a_policy_that_changes_something_else_leaves_it() -> None:
    talk = declared()
    talk.veils.generation += 1
    assert fetched(talk) == "sent"


@pytest.mark.parametrize("sql", [DECLARE, HOLD])
def test_what_the_policy_would_read_otherwise_is_not_read_on(sql: str) -> None:
    talk = declared(sql)
    change(talk)
    assert fetched(talk) == "55000"


def test_what_the_policy_refuses_now_is_refused_in_its_words() -> None:
    talk = declared()
    change(talk, Refusal("42501", "no", position=3))
    assert fetched(talk) == "42501"


def test_a_cursor_with_hold_outlives_its_transaction_here_too() -> None:
    talk = declared(HOLD)
    talk.exchange(Query(b"COMMIT"), CommandComplete("COMMIT"), IDLE)
    change(talk)
    assert fetched(talk) == "55000"


def test_of_one_that_ended_with_its_transaction_the_server_has_the_word() -> None:
    talk = declared()
    talk.exchange(Query(b"COMMIT"), CommandComplete("COMMIT"), IDLE)
    change(talk)
    assert fetched(talk) == "sent"


@pytest.mark.parametrize("sql", ["CLOSE c", "CLOSE ALL", "DISCARD ALL"])
def test_and_of_one_that_was_closed(sql: str) -> None:
    talk = declared(HOLD)
    talk.exchange(Query(sql.encode()), CommandComplete(sql), BLOCK)
    change(talk)
    assert fetched(talk) == "sent"


def test_declared_again_it_is_read_again() -> None:
    talk = declared(HOLD)
    change(talk)
    talk.exchange(Query(b"CLOSE c"), CommandComplete("CLOSE CURSOR"), BLOCK)
    talk.exchange(Query(HOLD.encode()), CommandComplete("DECLARE CURSOR"), BLOCK)
    assert fetched(talk) == "sent"


def test_a_declare_that_failed_changes_nothing() -> None:
    talk = declared(HOLD)
    change(talk)
    talk.client(Query(HOLD.encode()))
    talk.at_server()
    talk.server(POISONED, BLOCK)  # stands for any error: duplicate_cursor
    talk.at_client()
    assert fetched(talk) == "55000"


def test_a_fetch_behind_the_declare_waits_for_it() -> None:
    talk = declared()
    talk.client(Query(HOLD.encode()), Query(FETCH.encode()))
    assert talk.at_server() == [Query(OLD.encode()), Flush()]


def test_a_text_may_declare_and_fetch() -> None:
    talk = declared()
    talk.client(Query(f"{DECLARE};{FETCH}".encode()))
    assert talk.at_server() == [Query(b"both")]


class TestOnTheFloor:
    """The text to run stays the same there: what the views show is another text."""

    def floored(self) -> Scripted:
        talk = Scripted(
            verdicts={
                HOLD: plan(HOLD, Effect("declare", "c")),
                FETCH: plan(FETCH, Effect("fetch", "c")),
                "EXECUTE s": plan("EXECUTE s", Effect("execute", "s")),
            }
        )
        talk.veils.written_out = FakeVeils({"SELECT ssn": plan("SELECT old"), HOLD: plan(OLD)})
        return talk

    def end(self, talk: Scripted) -> None:
        """An exception ends."""
        talk.veils.written_out = FakeVeils({"SELECT ssn": plan("SELECT new"), HOLD: plan(NEW)})
        talk.veils.generation += 1

    def test_a_cursor_does_not_go_on_after_an_exception(self) -> None:
        talk = self.floored()
        talk.exchange(Query(HOLD.encode()), CommandComplete("DECLARE CURSOR"), IDLE)
        talk.veils.generation += 1
        assert fetched(talk) == "sent"
        self.end(talk)
        assert [fetched(talk), fetched(talk)] == ["55000", "55000"]

    @pytest.mark.parametrize("sql", ["SELECT ssn", "EXECUTE s"])
    def test_nor_does_a_portal(self, sql: str) -> None:
        talk = self.floored()
        talk.exchange(Parse("s", b"SELECT ssn"), ParseComplete())
        talk.client(Parse("", sql.encode()), Bind("p", ""), Execute("p", 1), Sync())
        talk.server(ParseComplete(), BindComplete(), PortalSuspended(), BLOCK)
        talk.at_server()
        self.end(talk)
        for _ in range(2):
            talk.client(Execute("p", 1), Sync())
            assert talk.at_server() == [poison_parse(), Sync()]
            talk.server(POISONED, BLOCK)

    def test_what_begins_anew_is_the_views_to_mask(self) -> None:
        talk = self.floored()
        talk.exchange(Parse("s", b"SELECT ssn"), ParseComplete())
        self.end(talk)
        talk.client(Bind("p", "s"), Execute("p", 1))
        assert talk.at_server() == [Bind("p", "s"), Execute("p", 1)]

    def test_what_the_views_show_may_not_be_known(self) -> None:
        talk = self.floored()
        assert talk.veils.written_out is not None
        talk.veils.written_out.verdicts[HOLD] = Refusal("54000", "too large")
        talk.exchange(Query(HOLD.encode()), CommandComplete("DECLARE CURSOR"), IDLE)
        assert fetched(talk) == "sent"
        talk.veils.generation += 1
        assert fetched(talk) == "55000"


def test_a_held_cursor_is_not_hidden_by_a_bind_that_may_be_ignored() -> None:
    talk = declared(HOLD)
    talk.exchange(Query(b"COMMIT"), CommandComplete("COMMIT"), IDLE)
    change(talk)
    talk.client(Parse("", b"SELECT wrong"), Bind("c", ""), Sync(), Execute("c"), Sync())
    assert Execute("c") not in talk.at_server()
    talk.server(error("42601"), IDLE)
    assert talk.at_server() == [poison_parse(), Sync()]


class TestByProtocol:
    """FETCH and Execute reach both kinds: one name space holds cursors and portals."""

    def test_a_prepared_fetch_is_refused_when_it_is_bound(self) -> None:
        talk = declared()
        talk.exchange(Parse("f", FETCH.encode()), ParseComplete())
        change(talk)
        talk.client(Bind("", "f"))
        assert talk.at_server() == [poison_parse()]

    def test_and_when_it_was_bound_before(self) -> None:
        talk = declared()
        talk.client(Parse("", FETCH.encode()), Bind("p", ""))
        talk.server(ParseComplete(), BindComplete())
        talk.at_server()
        change(talk)
        talk.client(Execute("p"))
        assert talk.at_server() == [poison_parse()]

    def test_execute_of_a_cursor_is_held_against_the_policy(self) -> None:
        talk = declared()
        change(talk)
        talk.client(Execute("c"), Sync())
        assert talk.at_server() == [poison_parse(), Sync()]

    def test_execute_of_a_portal_that_was_suspended_is(self) -> None:
        talk = declared()
        talk.veils.verdicts["SELECT ssn"] = plan("SELECT old", rewritten=True)
        talk.client(Parse("", b"SELECT ssn"), Bind("p", ""), Execute("p", 5), Sync())
        talk.server(ParseComplete(), BindComplete(), PortalSuspended(), BLOCK)
        talk.at_server()
        talk.veils.verdicts["SELECT ssn"] = plan("SELECT new", rewritten=True)
        talk.veils.generation += 1
        talk.client(Execute("p", 5))
        assert talk.at_server() == [poison_parse()]

    def test_and_so_is_a_fetch_from_it(self) -> None:
        talk = declared()
        talk.veils.verdicts["SELECT ssn"] = plan("SELECT old", rewritten=True)
        talk.veils.verdicts["FETCH FROM p"] = plan("FETCH FROM p", Effect("fetch", "p"))
        talk.client(Parse("", b"SELECT ssn"), Bind("p", ""), Execute("p", 5), Sync())
        talk.server(ParseComplete(), BindComplete(), PortalSuspended(), BLOCK)
        talk.at_server()
        talk.veils.verdicts["SELECT ssn"] = plan("SELECT new", rewritten=True)
        talk.veils.generation += 1
        talk.client(Query(b"FETCH FROM p"))
        assert talk.at_server() == [poison_query()]
