"""Questions that were once answered by a guess: each is refused, or answered by a rule that the text states."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shop_world import HITS, SHOP, TODAY, key, table

from proxy.errors import NotUnderstoodError
from proxy.nl.embedded import Local, ValueHit, to_sql, translate
from proxy.nl.ports import ColumnKey, Said
from proxy.nl.schema import ColumnView, SchemaView, TableView

BOOKS = SchemaView(
    (
        table("authors", "id:i name:t born:d"),
        table("publishers", "id:i label:t city:t"),
        table("books", "id:i title:t price:n author_id:i publisher_id:i"),
        table("customers", "id:i name:t city:t birth_date:d created_at:z"),
        table("orders", "id:i customer_id:i placed_on:d"),
        table("order_items", "id:i order_id:i book_id:i quantity:i"),
    ),
    (
        key("books", "author_id", "authors"),
        key("books", "publisher_id", "publishers"),
        key("orders", "customer_id", "customers"),
        key("order_items", "order_id", "orders"),
        key("order_items", "book_id", "books"),
    ),
)
REVIEWED = SchemaView(
    (*BOOKS.tables, table("reviews", "id:i book_id:i customer_id:i stars:i")),
    (*BOOKS.foreign_keys, key("reviews", "book_id", "books"), key("reviews", "customer_id", "customers")),
)


def run(question: str, schema: SchemaView = BOOKS, hits: list[ValueHit] | None = None) -> str:
    return to_sql(question, schema, TODAY, hits or []).replace('"shop".', "").replace('"', "")


def refused(question: str, schema: SchemaView = BOOKS, hits: list[ValueHit] | None = None) -> NotUnderstoodError:
    with pytest.raises(NotUnderstoodError) as caught:
        run(question, schema, hits)
    return caught.value


@pytest.mark.parametrize("question", ["names and prices of books", "book names and prices"])
def test_the_name_of_what_has_none_is_its_title(question: str) -> None:
    assert run(question) == "SELECT b.title, b.price FROM books AS b"


def test_the_name_of_a_row_is_a_label_too_and_never_another_tables() -> None:
    assert run("names of publishers") == "SELECT p.label FROM publishers AS p"
    assert "orders" in (refused("names of orders").detail or "")
    assert "orders" in (refused("number of orders per name").detail or "")
    assert "c.name" in run("orders with customer name")


def test_a_persons_title_is_no_name() -> None:
    staff = SchemaView((table("staff", "id:i title:t first_name:t last_name:t"),))
    assert "staff.first_name" in (refused("names of staff", staff).detail or "")
    assert run("which staff are there", staff).startswith("SELECT s.id, s.first_name, s.last_name")


def test_a_name_that_is_only_part_of_a_columns_is_not_taken_beside_a_title() -> None:
    films = SchemaView((table("films", "id:i title:t studio_name:t"),))
    assert refused("names of films", films).detail == '"names" could be films.studio_name or films.title.'
    assert "f.studio_name" in run("studio names of films", films)


@pytest.mark.parametrize(
    "question",
    [
        "which customer bought the most books",
        "how many books did customer 'Ann' buy",
        "number of books per customer",
        "customers who bought more than 5 books",
        "top 3 customers by number of books",
    ],
)
def test_things_with_a_quantity_are_not_counted_as_if_each_were_one(question: str) -> None:
    error = refused(question)
    assert "the number of different books" in (error.detail or "")
    assert "order_items.quantity" in (error.detail or "")
    assert "different books" in (error.hint or "")


def test_different_things_and_their_quantity_can_both_be_asked_for() -> None:
    assert "COUNT(DISTINCT b.id)" in run("which customer bought the most different books")
    assert "COUNT(DISTINCT b.id) > 5" in run("customers who bought more than 5 different books")
    assert "SUM(o.quantity)" in run("top 3 customers by total quantity")
    assert "COUNT(DISTINCT o.id)" in run("top 3 books by number of orders")
    assert "COUNT(DISTINCT c.id)" in run("number of customers per book")


def test_two_ways_through_a_table_between_are_named_however_long_they_are() -> None:
    error = refused("which customer bought the most different books", REVIEWED)
    assert "reviews.customer_id" in (error.detail or "")
    assert "orders.customer_id" in (error.detail or "")
    assert error.hint == "Ask about what links them: order_items, reviews."
    sql = run("books reviewed by customers in Pune", REVIEWED, [ValueHit("shop", "customers", "city", "Pune")])
    assert "reviews" in sql
    assert "orders" not in sql


def test_a_birthday_is_no_rows_date() -> None:
    assert "c.created_at >= CAST('2025-01-01' AS DATE)" in run("how many customers since 2025")
    assert "authors has no date column" in (refused("authors in 2024").detail or "")
    assert "b.born" in run("authors born in 1950").replace("a.born", "b.born")


def test_a_table_is_taken_before_a_view_that_repeats_it() -> None:
    view = replace(table("book_facts", "book_id:i author:t publisher_city:t price:n"), primary_key=(), is_view=True)
    schema = SchemaView((*BOOKS.tables, view), BOOKS.foreign_keys)
    pune = [ValueHit("shop", "publishers", "city", "Pune"), ValueHit("shop", "book_facts", "publisher_city", "Pune")]
    assert "publishers" in run("books in Pune", schema, pune)
    assert "average" not in run("average price", schema)
    assert "FROM books" in run("average price", schema)
    assert "FROM book_facts" in run("book facts in Pune", schema, pune)
    only = [pune[1]]
    assert "book_facts" in run("books in Pune", schema, only)


def test_a_comment_says_which_verb_a_date_is_of() -> None:
    def schema(comment: str) -> SchemaView:
        columns = (ColumnView("id", "integer"), ColumnView("created_at", "date", comment), ColumnView("seen", "date"))
        return SchemaView((TableView("shop", "customers", columns, None, ("id",)),))

    assert "c.created_at >=" in run("customers signed up last month", schema("When the customer signed up"))
    for comment in ("When the account signed up", "When the customer last signed up", "Day of a long list signed up"):
        assert '"signed" names no date' in (refused("customers signed up last month", schema(comment)).detail or "")


def test_several_aggregates_of_one_column_may_be_a_list() -> None:
    assert run("minimum, maximum and average price of books") == (
        "SELECT MIN(b.price) AS min_price, MAX(b.price) AS max_price, AVG(b.price) AS avg_price FROM books AS b"
    )


def test_no_name_is_offered_for_a_word_of_grammar_or_of_two_letters() -> None:
    for question in ("it", "books ti"):
        assert "begin alike" not in (refused(question).hint or "")
    assert "begin alike: price" in (refused("books pricey").hint or "")


# Values that look private


class Held:
    """Columns with what they hold; remembers what it was asked for."""

    def __init__(self, **held: str) -> None:
        split = {column: column.split("__") for column in held}
        self.held = {("shop", split[column][0], split[column][1]): value for column, value in held.items()}
        self.asked: list[str] = []

    async def find(self, values: list[str]) -> list[ValueHit]:
        self.asked += values
        low = {v.lower() for v in values}
        return [ValueHit(*column, value) for column, value in self.held.items() if value.lower() in low]


P = "PERSON_7K2QX"


async def said(
    question: str, words: str, public: Held, own: Held | None = None, column: ColumnKey | None = None
) -> str:
    local = Local({P: Said(words, words)}, own)
    sql = await translate(question, BOOKS, TODAY, public, {P: column}, local)
    assert words not in sql
    return sql.replace('"shop".', "").replace('"', "")


async def test_a_public_value_that_looks_private_is_found_and_stays_a_placeholder() -> None:
    public = Held(authors__name="Lem")
    for question in (f"books by '{P}'", f"books by {P}", f"books by author {P}"):
        assert f"a.name = '{P}'" in await said(question, "Lem", public)
    assert "Lem" in public.asked
    folded = await said(f"books by {P}", "lem", public)
    assert f"LOWER(a.name) = LOWER('{P}')" in folded


async def test_words_around_a_placeholder_belong_to_the_value_where_a_column_says_so() -> None:
    public = Held(authors__name="Dr. Eric Newton")
    for question in (f"books of author Dr. {P}", f"books of author 'Dr. {P}'", f"books by Dr. {P}"):
        assert f"a.name = ('Dr. ' || '{P}')" in await said(question, "Eric Newton", public)


@pytest.mark.parametrize(
    "question", [f"how many books of author {P}", f"books by {P}", f"authors named {P}", f"authors whose name is {P}"]
)
async def test_an_unquoted_value_that_no_column_holds_is_refused_in_the_users_words(question: str) -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        await said(question, "Eric Newton", Held(authors__name="Dr. Eric Newton"))
    shown = f"{caught.value.message} {caught.value.detail} {caught.value.hint}"
    assert '"Eric Newton"' in shown
    assert "Dr." not in shown
    assert P not in shown
    assert "'...'" in (caught.value.hint or "")


async def test_a_quoted_value_for_a_named_column_need_not_exist() -> None:
    assert f"a.name = '{P}'" in await said(f"books of author '{P}'", "Nobody", Held())


async def test_the_roles_own_private_columns_are_searched_for_placeholders_only() -> None:
    public, own = Held(), Held(customers__name="Priya Sharma")
    sql = await said(f"how many orders did {P} place", "priya sharma", public, own)
    assert f"LOWER(c.name) = LOWER('{P}')" in sql
    assert "priya sharma" in own.asked
    assert not {"orders", "place"} & set(own.asked)


def test_a_grade_is_a_value() -> None:
    patients = SchemaView((table("patients", "id:i blood_group:t"),))
    hits = [ValueHit("shop", "patients", "blood_group", "A+")]
    assert run("patients with blood group A+", patients, hits).endswith("WHERE p.blood_group = 'A+'")
    assert '"' not in run("patients with blood group a+", patients, hits)


def test_a_filter_on_what_rows_belong_to_needs_no_look_at_it() -> None:
    sql = to_sql("total quantity of products", SHOP, TODAY, HITS)
    assert "EXISTS" not in sql
    assert '"product_id" IS NULL' in sql


def test_a_comment_that_describes_a_table_is_no_name_of_it() -> None:
    orders = replace(BOOKS.tables[4], comment="Orders of customers")
    schema = SchemaView((*BOOKS.tables[:4], orders, *BOOKS.tables[5:]), BOOKS.foreign_keys)
    assert run("orders of customer 'Ann'", schema) == run("orders of customer 'Ann'")


PROJECTS = SchemaView(
    (
        table("people", "id:i name:t"),
        table("projects", "id:i title:t owner_id:i"),
        replace(table("assignments", "person_id:i project_id:i hours:i"), primary_key=("person_id", "project_id")),
    ),
    (
        key("projects", "owner_id", "people"),
        key("assignments", "person_id", "people"),
        key("assignments", "project_id", "projects"),
    ),
)


def test_a_key_with_a_role_does_not_stand_for_every_link() -> None:
    for question in ("projects with more than 3 people", "people without projects"):
        detail = refused(question, PROJECTS).detail or ""
        assert "assignments.person_id" in detail
        assert "projects.owner_id" in detail
    assert "p.owner_id = p2.id" in run("projects owned by person 'Ann'", PROJECTS)


def test_what_a_row_has_one_of_is_not_counted() -> None:
    assert "at most one of customers" in (refused("orders with more than 3 customers").detail or "")


async def test_a_value_of_two_columns_is_asked_for_by_what_it_is() -> None:
    payments = table("payments", "id:i order_id:i card_holder:t")
    schema = SchemaView((*BOOKS.tables, payments), (*BOOKS.foreign_keys, key("payments", "order_id", "orders")))
    own = Held(customers__name="Priya Sharma", payments__card_holder="Priya Sharma")
    local = Local({P: Said("Priya Sharma", "Priya Sharma")}, own)
    with pytest.raises(NotUnderstoodError) as caught:
        await translate(f"orders of {P}", schema, TODAY, Held(), {P: None}, local)
    assert caught.value.hint == "Say which one, as in: customer 'Priya Sharma' or payment 'Priya Sharma'."
    sql = await translate(f"orders of customer {P}", schema, TODAY, Held(), {P: None}, local)
    assert f'"c"."name" = \'{P}\'' in sql


async def test_who_placed_an_order_is_whom_it_belongs_to() -> None:
    payments = table("payments", "id:i order_id:i card_holder:t")
    schema = SchemaView((*BOOKS.tables, payments), (*BOOKS.foreign_keys, key("payments", "order_id", "orders")))
    own = Held(customers__name="Priya Sharma", payments__card_holder="Priya Sharma")
    local = Local({P: Said("Priya Sharma", "Priya Sharma")}, own)
    sql = await translate(f"how many orders did {P} place since 2024?", schema, TODAY, Held(), {P: None}, local)
    assert f'"c"."name" = \'{P}\'' in sql
    assert "payments" not in sql
