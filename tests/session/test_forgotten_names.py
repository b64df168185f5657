"""What the server has forgotten is forgotten here: a name that stands for nothing is the server's to judge, whatever
the policy says by now of what it once stood for."""

from __future__ import annotations

import pytest
from scripted import Scripted, error, plan

from proxy.policy.plan import Effect, Refusal
from proxy.wire.messages import (
    Bind,
    BindComplete,
    Close,
    CloseComplete,
    CommandComplete,
    ErrorResponse,
    Execute,
    Message,
    Parse,
    ParseComplete,
    PortalSuspended,
    Query,
    ReadyForQuery,
    Sync,
)

IDLE, INSIDE, FAILED = ReadyForQuery("I"), ReadyForQuery("T"), ReadyForQuery("E")
REFUSED = Refusal("42501", "no")
VERDICTS = {
    "DISCARD ALL": plan("DISCARD ALL", Effect("discard_all")),
    "DEALLOCATE ALL": plan("DEALLOCATE ALL", Effect("deallocate")),
    "DEALLOCATE s": plan("DEALLOCATE s", Effect("deallocate", "s")),
    "CLOSE p": plan("CLOSE p", Effect("close", "p")),
    "CLOSE ALL": plan("CLOSE ALL", Effect("close")),
}
Step = tuple[list[Message], list[Message]]
"""What the client sends, and what the server answers."""


def by_sql(sql: str, status: ReadyForQuery = IDLE) -> Step:
    return [Query(sql.encode())], [CommandComplete(sql), status]


STATEMENT: dict[str, Step] = {
    "Close": ([Close("S", "s"), Sync()], [CloseComplete(), IDLE]),
    "DEALLOCATE": by_sql("DEALLOCATE s"),
    "DEALLOCATE ALL": by_sql("DEALLOCATE ALL"),
    "DISCARD ALL": by_sql("DISCARD ALL"),
}
PORTAL: dict[str, Step] = {
    "Close": ([Close("P", "p"), Sync()], [CloseComplete(), INSIDE]),
    "CLOSE": by_sql("CLOSE p", INSIDE),
    "CLOSE ALL": by_sql("CLOSE ALL", INSIDE),
    "COMMIT": by_sql("COMMIT"),
    "ROLLBACK": by_sql("ROLLBACK"),
}


def begin() -> Scripted:
    """With a statement, and a portal that has more rows, in a transaction."""
    talk = Scripted(verdicts=dict(VERDICTS))
    talk.client(Parse("s", b"SELECT v"), Bind("p", "s"), Execute("p", 1), Sync())
    talk.server(ParseComplete(), BindComplete(), PortalSuspended(), INSIDE)
    return talk


def forget(talk: Scripted, step: Step) -> None:
    sent, answered = step
    talk.client(*sent)
    talk.server(*answered)
    talk.at_server(), talk.at_client()
    talk.veils.generation += 1
    talk.veils.verdicts["SELECT v"] = REFUSED


def sqlstates(messages: list[Message]) -> list[str]:
    return [message.sqlstate for message in messages if isinstance(message, ErrorResponse)]


@pytest.mark.parametrize("way", STATEMENT)
def test_a_statement(way: str) -> None:
    talk = begin()
    forget(talk, STATEMENT[way])
    talk.client(Bind("", "s"), Sync())
    assert talk.at_server() == [Bind("", "s"), Sync()]
    talk.server(error("26000"), IDLE)
    assert sqlstates([*talk.at_client()]) == ["26000"]


@pytest.mark.parametrize("way", PORTAL)
def test_a_portal(way: str) -> None:
    talk = begin()
    forget(talk, PORTAL[way])
    talk.client(Execute("p", 1), Sync())
    assert talk.at_server() == [Execute("p", 1), Sync()]
    talk.server(error("34000"), IDLE)
    assert sqlstates([*talk.at_client()]) == ["34000"]


def test_a_portal_that_suspends_is_remembered() -> None:
    """Between its rows the policy may change, and then it shows no more of them."""
    talk = begin()
    talk.at_server(), talk.at_client()
    talk.veils.generation += 1
    talk.veils.verdicts["SELECT v"] = REFUSED
    talk.client(Execute("p", 1), Sync())
    assert Execute("p", 1) not in talk.at_server()
