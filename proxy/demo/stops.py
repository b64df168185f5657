"""The stops of the tour. Each runs something with a real client, shows it, and checks that it is as claimed."""

from __future__ import annotations

import json

from proxy.demo.child import DemoError
from proxy.demo.clients import Clients, Printed, Rows
from proxy.demo.preview import preview
from proxy.demo.screen import Screen
from proxy.demo.setup import Place

PEOPLE_SQL = """\
SELECT name, email, phone, birth_date, coalesce(pan, ssn) AS tax_number
FROM shop.customers
WHERE id IN (1, 3, 5)
ORDER BY id"""

QUESTION = "how many visits per department last month?"

PRIVATE_NAME = "Priya Sharma"
PRIVATE_QUESTION = f"how many orders of the customer {PRIVATE_NAME} since 2024?"

ATTACKS = (
    (
        "Read a forbidden table through a function that runs SQL by itself:",
        "SELECT query_to_xml('SELECT body FROM clinic.notes', true, false, '')",
    ),
    (
        "Send the salaries to a program on the server:",
        "COPY shop.employees TO PROGRAM 'cat > /tmp/salaries'",
    ),
    (
        "Say a salary in a message, from inside a block of code:",
        "DO $$ BEGIN RAISE NOTICE '%', (SELECT max(salary) FROM shop.employees); END $$",
    ),
)


def side_by_side(screen: Screen, clients: Clients) -> None:
    """One query, two users, one table."""
    screen.heading("1. One query, two users")
    screen.sql(PEOPLE_SQL)
    seen = {user: clients.pg8000(user, PEOPLE_SQL) for user in ("dba", "analyst")}
    screen.say("")
    screen.side_by_side(("", "dba sees", "analyst sees"), _paired(seen["dba"], seen["analyst"]))
    plain = {cell for row in seen["dba"].rows for cell in row}
    _require(len(plain) > 1, "the query found nobody")
    shown = [cell for row in seen["analyst"].rows for cell in row if cell in plain]
    _require(not shown, "the analyst saw values that are protected")


def _paired(left: Rows, right: Rows) -> list[list[tuple[str, str, str]]]:
    return [
        list(zip(left.columns, left_row, right_row, strict=True))
        for left_row, right_row in zip(left.rows, right.rows, strict=True)
    ]


def question(screen: Screen, clients: Clients) -> None:
    """A question in psql, its rows, and the SQL that was written for it."""
    screen.heading("2. A question instead of SQL")
    command = f"/* ask: {QUESTION} */;"
    screen.say("The analyst types in psql:")
    screen.output(command, "bold")
    with screen.working("Asking", "psql prints; the first question also loads the agent"):
        printed = clients.psql("analyst", command)
    _require(printed.status == 0, "the question was not answered", printed.err)
    screen.output(printed.out)
    screen.say("and, as a NOTICE before the rows, the SQL that was written for it:")
    screen.output(printed.err)
    _require("SELECT" in printed.err, "there was no NOTICE with the SQL")


async def private_question(screen: Screen, clients: Clients, place: Place) -> None:
    """A question with somebody's name in it, and what a model would be sent of it."""
    screen.heading("3. A question about somebody")
    sql = f"SELECT * FROM ask('{PRIVATE_QUESTION}')"
    screen.say("Support may see names. asyncpg, a driver that describes every statement before it runs it, sends:")
    screen.output(sql, "bold")
    answered = await clients.asyncpg("support", sql)
    _require(len(answered.result.rows) > 0, "the question was not answered")
    screen.side_by_side(answered.result.columns, [answered.result.rows])
    screen.say("written as:")
    screen.output("\n".join(answered.notices))
    screen.heading("4. What a language model would have been sent for it")
    screen.say("The demo needs no model. With one (ask.provider in the settings), it would get two messages.")
    with screen.working("Masking the question on this machine", "Masked on this machine"):
        sent = await preview(place, "support", PRIVATE_QUESTION)
    screen.say("The question in it:")
    screen.output(sent.masked_question, "bold")
    screen.say("All of it, to the letter:")
    for message in sent.messages:
        screen.say(f"{message.role}:")
        screen.output(message.content, "cyan")
    text = json.dumps([message.content for message in sent.messages], ensure_ascii=False)
    _require(not any(part in text for part in PRIVATE_NAME.split()), "the name was in what a model would be sent")
    screen.say(f"No {PRIVATE_NAME}: the model works with a placeholder, and her name is put into the SQL here.")


def attacks(screen: Screen, clients: Clients) -> None:
    """Three statements that must not run, each with what psql printed."""
    screen.heading("5. Three attacks by the analyst, each with the error that psql showed")
    for number, (what, sql) in enumerate(ATTACKS):
        if number:
            screen.say("")
        screen.say(what)
        screen.sql(sql)
        printed = clients.psql("analyst", sql)
        screen.output(printed.err or printed.out, "red")
        _require(_refused(printed), "the attack was not refused", printed.err)


def _refused(printed: Printed) -> bool:
    return printed.status != 0 and "ERROR:" in printed.err and not printed.out


def _require(holds: bool, failure: str, detail: str | None = None) -> None:  # noqa: FBT001
    if not holds:
        raise DemoError(f"the tour stopped: {failure}", detail=detail, hint="See .pgveil/pgveil.log")
