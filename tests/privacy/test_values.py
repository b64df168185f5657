"""Which pieces of a question are looked up, and what the answers mean."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from proxy.policy.private import PrivateColumn
from proxy.privacy.columns import holds_names, is_read, match_queries, type_of
from proxy.privacy.spans import EXACT, PART
from proxy.privacy.values import candidates, compact, find_values
from proxy.privacy.words import schema_words

NAME = PrivateColumn("hr", "emp", "full_name", "text", readable=True)
FIRST = PrivateColumn("hr", "emp", "first_name", "character varying(40)")
PHONE = PrivateColumn("hr", "emp", "phone", "text")
AADHAAR = PrivateColumn("hr", "emp", "aadhaar", "bigint")
SALARY = PrivateColumn("hr", "emp", "salary", "numeric(10,2)")
HIDDEN = PrivateColumn("hr", "emp", "full_name", "text")


class Table:
    """One column's values, answering as the server would: by lower case, by compact form and by word."""

    def __init__(self, *stored: str) -> None:
        self.stored = stored
        self.asked: list[tuple[str, tuple[object, ...]]] = []

    async def __call__(self, sql: str, *args: list[str] | int) -> Sequence[Sequence[object]]:
        self.asked.append((sql, args))
        typed, forms, numbers, words = (set(arg) for arg in args[:4] if isinstance(arg, list))
        assert isinstance(args[4], int)
        rows: list[tuple[int, bool, str]] = []
        for value in self.stored:
            texts = "ANY ($1)" in sql and (value.lower() in typed or compact(value) in forms)
            if texts or ("ANY ($3)" in sql and value in numbers):
                rows.append((0, True, value))
            rows += [(0, False, w) for w in value.lower().split() if w in words and " AS s(w)" in sql]
        return rows


async def found(question: str, column: PrivateColumn, *stored: str) -> list[tuple[str, str]]:
    spans = await find_values(question, schema_words(frozenset({"emp", "orders", "price"})), [column], Table(*stored))
    return sorted({(question[s.start : s.end], s.source) for s in spans})


@pytest.mark.parametrize(
    ("question", "column", "stored", "expected"),
    [
        ("salary of asha rao", NAME, "Asha Rao", ("asha rao", EXACT)),
        ("salary of ASHA  RAO?", NAME, "Asha Rao", ("ASHA  RAO", EXACT)),
        ("orders of AshaRao", NAME, "Asha Rao", ("AshaRao", EXACT)),
        ("log of asha_rao2024", NAME, "Asha Rao", ("asha_rao", EXACT)),
        ("Rao's salary", NAME, "Asha Rao", ("Rao", PART)),
        ("orders by D'Souza", NAME, "Maria D'Souza", ("D'Souza", PART)),
        ("आशा रावचे वेतन", NAME, "आशा राव", ("आशा रावचे", EXACT)),
        ("ரமேஷின் ஆர்டர்", NAME, "ரமேஷ்", ("ரமேஷின்", EXACT)),
        ("who has 1234 5678 9012", AADHAAR, "123456789012", ("1234 5678 9012", EXACT)),
        ("who has १२३४५६७८९०१२", AADHAAR, "123456789012", ("१२३४५६७८९०१२", EXACT)),
        ("call 09876543210", PHONE, "+91 98765-43210", ("09876543210", EXACT)),
        ("name is 'Rose'", FIRST, "Rose", ("Rose", EXACT)),
        ("orders of Rose", FIRST, "Rose", ("Rose", EXACT)),
        ("salary of Will Smith", NAME, "Will Smith", ("Will Smith", EXACT)),
        ("Ze\u0301phyr's orders", NAME, "Z\u00e9phyr", ("Ze\u0301phyr", EXACT)),
        ("विकास का फोन", NAME, "विकास शर्मा", ("विकास", PART)),
        ("orders of as\u200bha", NAME, "Asha", ("as\u200bha", EXACT)),
    ],
)
async def test_values_are_met(question: str, column: PrivateColumn, stored: str, expected: tuple[str, str]) -> None:
    assert expected in await found(question, column, stored)


@pytest.mark.parametrize(
    ("question", "column", "stored"),
    [
        ("rose soap and price of orders", FIRST, "Rose"),
        ("will orders grow in May", FIRST, "Will"),
        ("sales in May 2024", FIRST, "May"),
        ("average price of orders", FIRST, "Price"),
        ("orders of emp", NAME, "Orders Emp"),
        ("salary above 85000 in 2024", SALARY, "85000"),
        ("the small print", NAME, "Print Small Works"),
        ("is it in stock", PHONE, "in"),
    ],
)
async def test_ordinary_words_amounts_and_the_schema_are_not(question: str, column: PrivateColumn, stored: str) -> None:
    assert await found(question, column, stored) == []


async def test_a_column_that_the_role_may_not_read_gives_no_hint() -> None:
    hidden = await find_values("of asha rao", frozenset(), [HIDDEN], Table("Asha Rao"))
    assert {(s.type, s.column, s.stored) for s in hidden} == {("VALUE", None, None)}
    readable = await find_values("of asha rao", frozenset(), [NAME], Table("Asha Rao"))
    assert {(s.type, s.column, s.stored) for s in readable if s.source == EXACT} == {("PERSON", NAME.key, "Asha Rao")}


async def test_values_go_as_parameters_only() -> None:
    table = Table()
    await find_values("of asha'); DROP TABLE x; --", frozenset(), [NAME, PHONE], table)
    assert table.asked
    assert all("asha" not in sql and "DROP" not in sql for sql, _ in table.asked)


async def test_a_look_up_that_fails_is_not_survived() -> None:
    async def broken(sql: str, *args: object) -> Sequence[Sequence[object]]:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await find_values("of asha", frozenset(), [NAME], broken)


def test_names_of_tables_are_quoted() -> None:
    odd = PrivateColumn('s"x', "t.y", 'c"; --', "text")
    (sql,) = match_queries([odd])
    assert '"s""x"."t.y"' in sql
    assert '"c""; --"' in sql


def test_every_column_is_asked_however_many_there_are() -> None:
    columns = [PrivateColumn("s", f"t{i}", "note", "text") for i in range(100)]
    asked = re.findall(r'"t(\d+)"', " ".join(match_queries(columns)))
    assert sorted(map(int, asked)) == list(range(100))


@pytest.mark.parametrize("type_name", ["date", "timestamp with time zone", "jsonb", "boolean", "bytea", "money"])
def test_types_that_are_not_looked_up(type_name: str) -> None:
    assert not is_read(PrivateColumn("s", "t", "c", type_name))


@pytest.mark.parametrize("type_name", ["text", "citext", "character(10)", "uuid", "text[]", "shop.email_address"])
def test_types_that_are(type_name: str) -> None:
    assert is_read(PrivateColumn("s", "t", "c", type_name))


@pytest.mark.parametrize(
    ("column", "kind", "names"),
    [
        ("full_name", "PERSON", True),
        ("patient", "PERSON", True),
        ("customer_email", "EMAIL", False),
        ("mobile_no", "PHONE", False),
        ("aadhaar_number", "AADHAAR", False),
        ("pan", "PAN", False),
        ("card_number", "CARD", False),
        ("home_address", "ADDRESS", False),
        ("mrn", "ID", False),
        ("diagnosis", "VALUE", False),
        ("card_holder", "PERSON", True),
        ("cardHolder", "PERSON", True),
        ("account_holder_name", "PERSON", True),
        ("mailing_name", "PERSON", True),
        ("email_owner_name2", "PERSON", True),
        ("first_name", "PERSON", True),
        ("lastname", "PERSON", True),
        ("account_owner", "PERSON", True),
        ("occupied", "VALUE", False),
        ("occupied_beds", "VALUE", False),
        ("discarded", "VALUE", False),
        ("mailing_city", "VALUE", False),
        ("street_name", "ADDRESS", False),
        ("upi_id", "UPI", False),
        ("cardNumber", "CARD", False),
        ("CARD_NO", "CARD", False),
        ("ip_address", "IP", False),
        ("EmailAddress", "EMAIL", False),
        ("e_mail", "EMAIL", False),
        ("workemail", "EMAIL", False),
        ("homePhone2", "PHONE", False),
        ("pan_number", "PAN", False),
        ("tax_pan", "PAN", False),
        ("expanse", "VALUE", False),
        ("date_of_birth", "BIRTHDATE", False),
        ("shipping", "VALUE", False),
        ("patient_id", "ID", False),
    ],
)
def test_a_columns_name_says_what_it_holds(column: str, kind: str, names: bool) -> None:
    made = PrivateColumn("s", "t", column, "text")
    assert (type_of(made), holds_names(made)) == (kind, names)


def test_candidates_leave_out_question_words_alone() -> None:
    forms = candidates("show the orders of asha", schema_words(frozenset({"orders"}))).forms
    assert "asha" in forms
    assert not {"show", "the", "orders", "of", "showtheorders"} & set(forms)


def test_the_longest_question_gives_a_bounded_number_of_candidates() -> None:
    question = "x " * 2000
    assert len(candidates(question).forms) <= 4000 * 10
