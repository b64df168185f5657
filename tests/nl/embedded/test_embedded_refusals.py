"""What the translator will not answer, and that it says what it did not understand. Nothing is guessed."""

from __future__ import annotations

import pytest
from shop_world import SHOP, TODAY, ask, key, masked, table

from proxy.errors import NotUnderstoodError, UnanswerableError
from proxy.nl.embedded import ValueHit, to_sql
from proxy.nl.schema import SchemaView

NOT_UNDERSTOOD = [
    ("", ""),
    ("   ", ""),
    ("?", "?"),
    ("how many", "many"),
    ("total", "total"),
    ("customers customers", "customers"),
    ("customers wombat", "wombat"),
    ("list customers quickly", "quickly"),
    ("my customers", "my"),
    ("new customers", "new"),
    ("best customers", "best"),
    ("customers near Mumbai", "near"),
    ("customers in Mumbay", "Mumbay"),
    ("customers in 'Pune'", "Pune"),
    ("customers named Ann", "Ann"),
    ("orders with status lost", "lost"),
    ("total revenue", "revenue"),
    ("net amount of payments", "net"),
    ("total amount of payments in dollars", "dollars"),
    ("products with price over 50%", "%"),
    ("products where price is expensive", "expensive"),
    ("products priced between 50 and 10", "priced"),
    ("percentage of customers in Mumbai", "percentage"),
    ("ratio of shipped orders", "ratio"),
    ("how much did we sell", "sell"),
    ("why are orders late", "why"),
    ("does customer 'Ann' have orders", "does"),
    ("is there a customer in Mumbai", "is"),
    ("average number of orders per customer", "number"),
    ("average price of the 5 most expensive products", "most"),
    ("employees with salary higher than their manager", "their"),
    ("orders on Monday", "Monday"),
    ("orders in the next month", "next"),
    ("orders at 5pm", "5pm"),
    ("orders 2024", "2024"),
    ("orders cancelled in 2024", "cancelled"),
    ("customer who cancelled the most orders", "cancelled"),
    ("which city cancelled the most orders", "cancelled"),
    ("which customer cancelled the most orders", "cancelled"),
    ("orders returned by customers in India", "returned"),
    ("last order of each customer", "last"),
    ("customers with only one order", "only"),
    ("customers who bought all products", "all"),
    ("orders of customers of employees", "employees"),
    ("managers", "managers"),
    ("delete customers", "delete"),
    ("drop table customers", "drop"),
    ("customers; delete from customers", "delete"),
    ("SELECT * FROM customers", "*"),
    ("customers where 1 = 1", "where"),
    ("oldest employee", "oldest"),
    ("orders of PERSON_ABCDEF", "PERSON_ABCDEF"),
    ("total price of payments per product", "price"),
    ("max name of customers", "name"),
]

AMBIGUOUS = [
    ("total price per customer", ("order_items.unit_price", "products.price")),
    ("sum of id", ("customers.id", "categories.id")),
    ("average price per customer", ("order_items.unit_price", "products.price")),
]


@pytest.mark.parametrize(("question", "quoted"), NOT_UNDERSTOOD)
def test_a_question_outside_the_grammar_is_refused(question: str, quoted: str) -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        ask(question)
    assert quoted.lower() in (caught.value.detail or "").lower()
    assert caught.value.hint
    assert caught.value.sqlstate == "VA001"


@pytest.mark.parametrize(("question", "choices"), AMBIGUOUS)
def test_two_meanings_are_named(question: str, choices: tuple[str, ...]) -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        ask(question)
    assert all(choice in (caught.value.detail or "") for choice in choices)


def test_a_value_in_two_columns_is_ambiguous() -> None:
    people = SchemaView((table("people", "id:i birth_city:t city:t"),))
    hits = [("shop", "people", "birth_city", "Pune"), ("shop", "people", "city", "Pune")]
    with pytest.raises(NotUnderstoodError) as caught:
        run("people in Pune", people, hits)
    assert caught.value.detail == '"Pune" could be people.birth_city or people.city.'
    assert 'WHERE "p"."birth_city" = \'Pune\'' in run("people with birth city Pune", people, hits)


TRANSFERS = SchemaView(
    (
        table("accounts", "id:i name:t"),
        table("transfers", "id:i sender_id:i receiver_id:i amount:n sent_on:d read_on:d"),
    ),
    (key("transfers", "sender_id", "accounts"), key("transfers", "receiver_id", "accounts")),
)


def test_two_links_are_named_and_a_role_chooses() -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        run("total amount of transfers per account", TRANSFERS)
    assert "transfers.sender_id" in (caught.value.detail or "")
    assert "transfers.receiver_id" in (caught.value.detail or "")
    assert '"t"."sender_id" = "a"."id"' in run("total amount of transfers per sender", TRANSFERS)
    assert '"t"."receiver_id" = "a"."id"' in run("transfers received by account 'X'", TRANSFERS)


def test_two_dates_are_named_and_a_verb_chooses() -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        run("transfers in 2024", TRANSFERS)
    assert caught.value.detail == '"the date" could be transfers.read_on or transfers.sent_on.'
    assert '"sent_on"' in run("transfers sent in 2024", TRANSFERS).split("WHERE")[1]


def test_a_single_link_of_another_role_does_not_take_any_verb() -> None:
    mail = SchemaView(
        (table("users", "id:i name:t"), table("messages", "id:i sender_id:i body:t")),
        (key("messages", "sender_id", "users"),),
    )
    assert '"sender_id"' in run("messages sent by user 'Ann'", mail)
    for question in (
        "messages received by user 'Ann'",
        "how many messages did user 'Ann' receive",
        "how many messages did each user receive",
        "which user received the most messages",
        "users who received messages",
        "users who have not received any messages",
        "the 3 users who received the most messages",
        "which user deleted the most messages",
    ):
        with pytest.raises(NotUnderstoodError) as caught:
            run(question, mail)
        assert "does not say how" in (caught.value.detail or ""), question
    for question in ("how many messages did each user send", "which user sent the most messages"):
        assert '"m"."sender_id" = "u"."id"' in run(question, mail)


MASKED = masked(SHOP, "customers.name", "customers.email", "employees.salary", "payments.paid_on")


@pytest.mark.parametrize(
    "question",
    [
        "customers whose email is 'a@b.c'",
        "customers without email",
        "customers sorted by email",
        "distinct emails of customers sorted by email",
        "number of customers per email",
        "number of distinct emails of customers",
        "average salary of employees",
        "employees earning more than 100",
        "highest paid employee",
        "the 5 employees with the highest salary",
        "total amount of payments in 2024",
        "total amount of payments per month",
        "orders of customer 'Ann'",
        "orders of PERSON_AAAAAA",
        "customers whose email contains 'x'",
        "departments with an average salary over 10",
    ],
)
def test_a_masked_column_decides_nothing(question: str) -> None:
    with pytest.raises(UnanswerableError) as caught:
        ask(question, MASKED, {"PERSON_AAAAAA": ("shop", "customers", "name")})
    assert "masked for this role" in (caught.value.detail or "")
    assert caught.value.sqlstate == "VA002"


def test_a_masked_column_may_be_shown_and_is_left_out_of_groups() -> None:
    assert "c.email" in ask("list customers", MASKED)
    assert ask("show email of customers", MASKED) == "SELECT c.email FROM customers AS c"
    grouped = ask("orders per customer", MASKED)
    assert "name" not in grouped
    assert "GROUP BY c.id" in grouped


def test_a_question_that_is_too_long_is_refused() -> None:
    with pytest.raises(NotUnderstoodError, match="too long"):
        ask("customers " * 200)
    with pytest.raises(NotUnderstoodError):
        ask("customers in Mumbai and " * 40)


def test_a_role_without_tables_is_told_so() -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        ask("customers", SchemaView(()))
    assert caught.value.detail == "This role may read no table."


def run(question: str, schema: SchemaView, hits: list[tuple[str, str, str, str]] | None = None) -> str:
    return to_sql(question, schema, TODAY, [ValueHit(*h) for h in hits or []])
