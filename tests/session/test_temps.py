"""A session's temporary tables: known from when the server made them, and gone with what made them."""

from __future__ import annotations

import pytest
from scripted import POISONED, Scripted, error, plan, poison_query
from test_line import BLOCK, IDLE, codes

from proxy.policy.plan import Effect, Plan, PlannedStatement
from proxy.policy.rules import StatementKind
from proxy.searchpath import SearchPath
from proxy.wire.messages import (
    Bind,
    BindComplete,
    CommandComplete,
    Execute,
    Flush,
    Parse,
    ParseComplete,
    Query,
    Sync,
)


def temp(*names: str, local: bool = False) -> Effect:
    return Effect("temp", names[0], value=names if len(names) > 1 else (), local=local)


def drop(name: str) -> Effect:
    return Effect("drop_temp", name)


BEGIN, COMMIT, ROLLBACK = Effect("begin"), Effect("commit"), Effect("rollback")
SAVE, BACK = Effect("savepoint", "s"), Effect("rollback_to", "s")
EMPTY: frozenset[str] = frozenset()

# Steps as in test_searchpath: an effect that completes; "I" or "T": ready, idle or in a transaction; "E": an error.
CASES: list[tuple[str, list[Effect | str], frozenset[str]]] = [
    ("made outside a transaction it stays", [temp("t"), "I"], frozenset("t")),
    ("made in a transaction it holds at once", [BEGIN, "T", temp("t"), "T"], frozenset("t")),
    ("and stays after commit", [BEGIN, temp("t"), COMMIT, "I"], frozenset("t")),
    ("and goes with rollback", [BEGIN, temp("t"), ROLLBACK, "I"], EMPTY),
    ("and with a commit that rolls back", [BEGIN, temp("t"), "E", "T", COMMIT, "I"], EMPTY),
    ("and with a savepoint", [BEGIN, SAVE, temp("t"), BACK, COMMIT, "I"], EMPTY),
    ("what was before the savepoint stays", [BEGIN, temp("a"), SAVE, temp("b"), BACK, COMMIT, "I"], frozenset("a")),
    ("an implicit transaction that fails undoes it", [temp("t"), "E", "I"], EMPTY),
    ("on commit drop holds in its transaction", [BEGIN, temp("t", local=True), "T"], frozenset("t")),
    ("and is gone at its end", [BEGIN, temp("t", local=True), COMMIT, "I"], EMPTY),
    ("outside a transaction at once", [temp("t", local=True), "I"], EMPTY),
    ("dropped it is gone", [temp("t"), "I", drop("t"), "I"], EMPTY),
    ("a drop that is rolled back is none", [temp("t"), "I", BEGIN, drop("t"), ROLLBACK, "I"], frozenset("t")),
    (
        "on commit drop, passed over by a second CREATE IF NOT EXISTS",
        [BEGIN, temp("t", local=True), temp("t"), COMMIT, "I"],
        EMPTY,
    ),
    (
        "a lasting one, passed over by a second CREATE ... ON COMMIT DROP",
        [temp("t"), "I", BEGIN, temp("t", local=True), COMMIT, "I"],
        frozenset("t"),
    ),
    (
        "dropped and made again for the transaction only",
        [temp("t"), "I", BEGIN, drop("t"), temp("t", local=True), COMMIT, "I"],
        EMPTY,
    ),
    ("discard temp", [temp("a"), temp("b"), "I", Effect("discard_temp"), "I"], EMPTY),
    ("discard all", [temp("t"), "I", Effect("discard_all"), "I"], EMPTY),
    ("a search_path of the transaction keeps it", [BEGIN, temp("t"), Effect("search_path", value=("a",)), COMMIT, "I"],
     frozenset("t")),
    ("several by one statement", [temp("a", "b"), "I"], frozenset("ab")),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_tables_of_a_session(steps: list[Effect | str], expected: frozenset[str]) -> None:
    path, failed = SearchPath(("public",), "app"), False
    for step in steps:
        match step:
            case Effect():
                tag = "ROLLBACK" if failed and step.kind == "commit" else step.kind.upper()
                path.apply(step, tag)
            case "E":
                path.failed()
                failed = True
            case _:
                path.ready(idle=step == "I")
    assert path.temps == expected
    assert path.schemas[-1] in ("public", "a")


def test_what_the_server_reports_of_the_path_keeps_the_tables() -> None:
    path = SearchPath(("public",), "app")
    path.apply(temp("t"), "CREATE TABLE")
    path.ready(idle=True)
    path.reported("other")
    path.ready(idle=True)
    assert (path.schemas, path.temps) == (("other",), frozenset("t"))


MAKE = "CREATE TEMP TABLE t AS SELECT 1"
READ = "SELECT * FROM t"


def holding(*more: Effect) -> Scripted:
    """A session that has made `t`; its SELECT means that table, and means another one without it."""
    talk = Scripted(
        verdicts={
            MAKE: plan(MAKE, temp("t")),
            "DROP TABLE t": plan("DROP TABLE pg_temp.t", drop("t"), rewritten=True),
            READ: plan("SELECT masked", rewritten=True),
            f"{READ} /* with t */": plan("SELECT * FROM pg_temp.t", rewritten=True),
            **{e.kind: plan(e.kind, e) for e in (BEGIN, COMMIT, ROLLBACK, *more)},
        }
    )
    talk.exchange(Query(MAKE.encode()), CommandComplete("SELECT 1"), IDLE)
    return talk


def test_a_later_statement_means_the_table() -> None:
    talk = holding()
    talk.client(Query(READ.encode()))
    assert talk.at_server() == [Query(b"SELECT * FROM pg_temp.t")]


def test_the_veil_is_told_the_types_that_a_parse_declares() -> None:
    talk = holding()
    talk.client(Parse("", b"SELECT $1", (23, 0)))
    assert (talk.veils.temps, talk.veils.types) == (frozenset("t"), (23, 0))


def test_a_statement_behind_one_that_makes_a_table_waits_for_it() -> None:
    talk = Scripted(verdicts=holding().veils.verdicts)
    talk.client(Parse("", MAKE.encode()), Bind("", ""), Execute(""), Parse("", READ.encode()))
    assert [type(m).__name__ for m in talk.at_server()] == ["Parse", "Bind", "Execute", "Flush"]
    talk.server(ParseComplete(), BindComplete(), CommandComplete("SELECT 1"))
    assert talk.at_server() == [Parse("", b"SELECT * FROM pg_temp.t")]


def test_and_means_the_other_table_if_that_fails() -> None:
    talk = Scripted(verdicts=holding().veils.verdicts)
    talk.client(Query(MAKE.encode()), Query(READ.encode()))
    assert talk.at_server() == [Query(MAKE.encode()), Flush()]
    talk.server(error("53100"), IDLE)
    assert talk.at_server() == [Query(b"SELECT masked")]


def test_a_statement_behind_the_rollback_waits_for_it() -> None:
    talk = Scripted(verdicts=holding().veils.verdicts)
    talk.exchange(Query(b"begin"), CommandComplete("BEGIN"), BLOCK)
    talk.exchange(Query(MAKE.encode()), CommandComplete("SELECT 1"), BLOCK)
    talk.client(Query(b"rollback"), Query(READ.encode()))
    assert talk.at_server() == [Query(b"rollback"), Flush()]
    talk.server(CommandComplete("ROLLBACK"), IDLE)
    assert talk.at_server() == [Query(b"SELECT masked")]


def test_a_prepared_statement_that_would_mean_another_table_is_stale() -> None:
    talk = Scripted(verdicts=holding().veils.verdicts)
    talk.exchange(Parse("s", READ.encode()), ParseComplete())
    talk.exchange(Sync(), IDLE)
    talk.exchange(Query(MAKE.encode()), CommandComplete("SELECT 1"), IDLE)
    talk.client(Bind("", "s"), Execute(""), Sync())
    talk.at_server()
    talk.server(POISONED, IDLE)
    assert codes(talk.at_client()) == ["0A000", "ReadyForQuery"]


COPY = "COPY t TO STDOUT"


def test_a_portal_whose_names_are_resolved_when_it_runs_is_held_against_todays_tables() -> None:
    """COPY: bound while a temporary table has the name, executed when it has gone."""
    verdicts = holding().veils.verdicts
    verdicts[COPY] = Plan("COPY (SELECT masked) TO STDOUT", (PlannedStatement(StatementKind.COPY_OUT),), rewritten=True)
    verdicts[f"{COPY} /* with t */"] = Plan(COPY, (PlannedStatement(StatementKind.COPY_OUT),))
    talk = Scripted(verdicts=verdicts)
    talk.exchange(Query(b"begin"), CommandComplete("BEGIN"), BLOCK)
    talk.exchange(Query(MAKE.encode()), CommandComplete("SELECT 1"), BLOCK)
    talk.client(Parse("s", COPY.encode()), Bind("p", "s"), Sync())
    talk.server(ParseComplete(), BindComplete(), BLOCK)
    talk.client(Parse("", b"DROP TABLE t"), Bind("", ""), Execute(""), Execute("p"), Sync())
    talk.server(ParseComplete(), BindComplete(), CommandComplete("DROP TABLE"))
    talk.at_client()
    talk.server(POISONED, BLOCK)
    assert codes(talk.at_client()) == ["0A000", "ReadyForQuery"]


def text(*statements: tuple[StatementKind, Effect | None]) -> Plan:
    return Plan("text", tuple(PlannedStatement(kind, effect) for kind, effect in statements))


SELECTS = (StatementKind.SELECT, None)


@pytest.mark.parametrize(
    "first",
    [
        (StatementKind.TEMP, temp("t")),
        (StatementKind.TEMP, drop("t")),
        (StatementKind.SET, Effect("discard_temp")),
    ],
    ids=lambda pair: pair[1].kind,
)
def test_one_text_does_not_make_a_table_and_go_on_with_names(first: tuple[StatementKind, Effect]) -> None:
    talk = Scripted(verdicts={"text": text(first, SELECTS)})
    talk.client(Query(b"text"))
    assert talk.at_server() == [poison_query()]
    talk.server(POISONED, IDLE)
    assert codes(talk.at_client()) == ["0A000", "ReadyForQuery"]


def test_one_text_may_make_a_table_in_a_transaction() -> None:
    made = text(
        (StatementKind.TRANSACTION, BEGIN), (StatementKind.TEMP, temp("t")), (StatementKind.TRANSACTION, COMMIT)
    )
    talk = Scripted(verdicts={"text": made})
    talk.client(Query(b"text"))
    assert talk.at_server() == [Query(b"text")]
    talk.server(CommandComplete("BEGIN"), CommandComplete("SELECT 1"), CommandComplete("COMMIT"), IDLE)
    assert talk.talk.path.temps == frozenset("t")


@pytest.mark.parametrize("change", [temp("t"), Effect("search_path", value=("other",))], ids=lambda e: e.kind)
@pytest.mark.parametrize("end", [ROLLBACK, BACK, COMMIT], ids=lambda e: e.kind)
def test_one_text_does_not_undo_what_names_mean_and_go_on_with_them(change: Effect, end: Effect) -> None:
    """Decided as a whole before it runs, its SELECT would be decided by the names of before."""
    verdicts = {e.kind: plan(e.kind, e) for e in (BEGIN, SAVE, change)}
    verdicts["text"] = text((StatementKind.TRANSACTION, end), SELECTS)
    talk = Scripted(verdicts=verdicts)
    for step in ("begin", "savepoint", change.kind):
        talk.exchange(Query(step.encode()), CommandComplete(step.upper()), BLOCK)
    talk.client(Query(b"text"))
    assert talk.at_server() == [poison_query()]


def test_it_may_where_nothing_was_changed() -> None:
    talk = Scripted(verdicts={"text": text((StatementKind.TRANSACTION, ROLLBACK), SELECTS), "begin": plan("b", BEGIN)})
    talk.exchange(Query(b"begin"), CommandComplete("BEGIN"), BLOCK)
    talk.client(Query(b"text"))
    assert talk.at_server() == [Query(b"text")]
