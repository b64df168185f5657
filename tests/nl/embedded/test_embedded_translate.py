"""The translator's SQL, its values as literals, its names, and what it looks up."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop_world import HITS, SHOP, TODAY, ask, key, table

from proxy.errors import NotUnderstoodError
from proxy.nl.embedded import ValueHit, to_sql, translate
from proxy.nl.embedded.joins import Graph, spell
from proxy.nl.embedded.names import Lexicon
from proxy.nl.embedded.tokens import Kind, tokenize
from proxy.nl.embedded.values import MAX_CANDIDATES, candidates
from proxy.nl.embedded.words import singulars, split_identifier, stem, unglue
from proxy.nl.schema import ColumnView, Family, SchemaView, TableView, build_schema_view
from proxy.policy.catalog import Catalog, Column, ForeignKey, Relation
from proxy.policy.parser import nodes, parse
from proxy.policy.rules import Identity

SQL = {
    "how many orders": "SELECT COUNT(*) AS count FROM orders AS o",
    "show name of customers in Mumbai": "SELECT c.name FROM customers AS c WHERE c.city = 'Mumbai'",
    "total amount of payments per method": """SELECT p.method, SUM(p.amount) AS sum_amount FROM payments AS p
        GROUP BY p.method ORDER BY p.method ASC""",
    "the 2 most expensive products": """SELECT p.id, p.name, p.category_id, p.price, p.discontinued FROM products AS p
        ORDER BY p.price DESC NULLS LAST, p.id ASC LIMIT 2""",
    "number of orders in March 2025": """SELECT COUNT(*) AS count FROM orders AS o
        WHERE o.ordered_at >= CAST('2025-03-01' AS DATE) AND o.ordered_at < CAST('2025-04-01' AS DATE)""",
    "how many customers have no orders": """SELECT COUNT(*) AS count FROM customers AS c WHERE NOT EXISTS(
        SELECT 1 FROM orders AS o WHERE c.id = o.customer_id)""",
}


@pytest.mark.parametrize(("question", "sql"), SQL.items())
def test_the_sql_is_this(question: str, sql: str) -> None:
    assert ask(question) == " ".join(sql.split()).replace("EXISTS( ", "EXISTS(")


def test_names_are_quoted_and_qualified_and_the_text_is_one_statement() -> None:
    sql = to_sql("orders per customer", SHOP, TODAY)
    assert 'FROM "shop"."orders" AS "o"' in sql
    assert ";" not in sql
    assert len(parse(sql).stmts) == 1


def test_the_same_question_gives_the_same_sql() -> None:
    assert len({ask("top 5 customers by total amount since 2024") for _ in range(3)}) == 1


def constants(sql: str) -> list[str]:
    """Every string constant of a statement, as PostgreSQL's parser reads it."""
    found = []

    def walk(message: object) -> None:
        if isinstance(message, nodes.A_Const) and message.HasField("sval"):
            found.append(message.sval.sval)
        for _, value in message.ListFields():  # type: ignore[attr-defined]
            for part in value if hasattr(value, "append") or hasattr(value, "add") else [value]:
                if hasattr(part, "ListFields"):
                    walk(part)

    for statement in parse(sql).stmts:
        walk(statement)
    return found


@given(st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=40))
def test_a_value_is_one_constant_whatever_it_holds(value: str) -> None:
    question = "customers where city is '" + value.replace("'", "''") + "'"
    try:
        sql = to_sql(question, SHOP, TODAY)
    except NotUnderstoodError:
        return
    assert constants(sql) == [value]


@given(st.text(max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    try:
        assert parse(to_sql(text, SHOP, TODAY)).stmts
    except NotUnderstoodError:
        return


WORDS = [
    "customers",
    "orders",
    "in",
    "Mumbai",
    "with",
    "by",
    "per",
    "total",
    "amount",
    "5",
    "top",
    "of",
    "the",
    "not",
    "and",
    "or",
    "since",
    "2024",
    "more",
    "than",
    "city",
    "name",
]


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_jumble_of_known_words_gives_sql_that_parses_or_a_refusal(words: list[str]) -> None:
    try:
        assert parse(to_sql(" ".join(words), SHOP, TODAY, HITS)).stmts
    except NotUnderstoodError:
        return


def test_a_placeholder_is_a_plain_constant() -> None:
    hinted = {"PERSON_7K2QX9": ("shop", "customers", "name")}
    assert ask("orders of PERSON_7K2QX9", placeholders=hinted).endswith("WHERE c.name = 'PERSON_7K2QX9'")
    assert ask("customers whose name is PERSON_7K2QX9", placeholders={"PERSON_7K2QX9": None}).endswith(
        "WHERE c.name = 'PERSON_7K2QX9'"
    )
    with pytest.raises(NotUnderstoodError):
        ask("customers whose name contains PERSON_7K2QX9", placeholders=hinted)


async def test_the_look_up_gets_phrases_and_no_placeholder_or_grammar() -> None:
    asked: list[str] = []

    class Recorder:
        async def find(self, values: list[str]) -> list[ValueHit]:
            asked.extend(values)
            return [ValueHit("shop", "customers", "city", "New Delhi")]

    sql = await translate(
        "how many customers in new delhi named PERSON_A1B2C3", SHOP, TODAY, Recorder(), {"PERSON_A1B2C3": None}
    )
    assert "'New Delhi'" in sql
    assert "new delhi" in asked
    assert not {"how", "in", "how many customers", "PERSON_A1B2C3"} & set(asked)


def test_a_long_question_is_looked_up_within_bounds() -> None:
    question = " ".join(f"word{n}" for n in range(100))
    assert len(candidates(question, tokenize(question))) == MAX_CANDIDATES


TOKENS = [
    ("it's", ["it", "'s"]),
    ("customers' cities", ["customers", "'s", "cities"]),
    ("haven't paid $1,000.50", ["haven't", "paid", "1000.50"]),
    ("'New York' \"x\" `y` “z”", ["New York", "x", "y", "z"]),
    ("'it''s'", ["it's"]),
    ("orderDate >= 2024-01-05?", ["orderdate", ">=", "2024-01-05", "?"]),
    ("श्री मोहन, five", ["श्री", "मोहन", ",", "5"]),
    ("e-mail a.b 3.5 3.", ["e-mail", "a", ".", "b", "3.5", "3", "."]),
    ("'unclosed", ["'", "unclosed"]),
]


@pytest.mark.parametrize(("text", "tokens"), TOKENS)
def test_tokens(text: str, tokens: list[str]) -> None:
    found = tokenize(text)
    assert [t.text for t in found] == tokens
    assert all(text[t.start : t.end] == t.raw for t in found)


def test_a_placeholder_is_a_token_only_as_a_whole_word() -> None:
    known = frozenset({"PERSON_1"})
    assert [t.kind for t in tokenize("PERSON_1 PERSON_10", known)] == [Kind.PLACEHOLDER, Kind.WORD]


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("customers", "customer"),
        ("cities", "city"),
        ("movies", "movie"),
        ("addresses", "address"),
        ("statuses", "status"),
        ("boxes", "box"),
        ("diagnoses", "diagnosis"),
        ("people", "person"),
        ("children", "child"),
    ],
)
def test_plurals(plural: str, singular: str) -> None:
    assert singular in singulars(plural)
    assert singulars(singular) == (singular,) or singular == "movie"


@pytest.mark.parametrize(
    "words", [("registered", "registration"), ("sold", "sales"), ("ordered", "orders"), ("paid", "payment")]
)
def test_stems_join_verbs_and_nouns(words: tuple[str, str]) -> None:
    assert stem(words[0]) == stem(words[1])


def test_different_words_have_different_stems() -> None:
    words = ["customer", "order", "payment", "product", "sent", "received", "created", "cancelled", "shipped", "visit"]
    assert len({stem(w) for w in words}) == len(words)


def test_identifiers_are_cut_into_words() -> None:
    assert split_identifier("sbCustJoinDate") == ("sb", "cust", "join", "date")
    assert split_identifier("day100_pasi_score") == ("day", "100", "pasi", "score")
    assert split_identifier("productIDs") == ("product", "ids")
    assert unglue("joindate") == ("join", "date")
    assert unglue("wombat") == ("wombat",)


def names(lexicon: Lexicon, phrase: str) -> set[str]:
    words = tuple(phrase.split())
    tables = {t.table[1] for t in lexicon.tables(words)}
    return tables | {f"{t.table[1]}.{t.column}" for t in lexicon.columns(words)}


def test_names_are_met_by_prefix_abbreviation_unit_comment_and_head() -> None:
    schema = SchemaView(
        (
            table("hrEmployee", "hrEmpId:i hrEmpName:t hrEmpTotAmt:n"),
            table("hrDept", "hrDeptId:i hrDeptHeightCm:n hrDeptSalePrice:n"),
            TableView(
                "shop",
                "hrThing",
                (ColumnView("hrX", "text", "Board number (of the licence); also called: permit"),),
                "Registered vehicles",
            ),
        )
    )
    lexicon = Lexicon(schema)
    assert names(lexicon, "employees") == {"hrEmployee"}
    assert names(lexicon, "departments") == {"hrDept"}
    assert names(lexicon, "total amount") == {"hrEmployee.hrEmpTotAmt"}
    assert names(lexicon, "height") == names(lexicon, "height in cm") == {"hrDept.hrDeptHeightCm"}
    assert names(lexicon, "price") == {"hrDept.hrDeptSalePrice"}
    assert names(lexicon, "board number") == names(lexicon, "permits") == {"hrThing.hrX"}
    assert names(lexicon, "registered vehicles") == {"hrThing"}
    assert names(lexicon, "employer") == names(lexicon, "sale") == set()


def test_a_way_through_a_shared_parent_is_no_link() -> None:
    schema = SchemaView(
        (table("patients", "id:i name:t"), table("visits", "id:i patient_id:i"), table("bills", "id:i patient_id:i")),
        (key("visits", "patient_id", "patients"), key("bills", "patient_id", "patients")),
    )
    graph = Graph(schema, Lexicon(schema))
    assert graph.paths(("shop", "visits"), ("shop", "bills")) == []
    assert [spell(p) for p in graph.paths(("shop", "patients"), ("shop", "bills"))] == ["bills.patient_id"]


def test_a_condition_after_an_inner_noun_is_about_that_only_where_it_is_its_own() -> None:
    schema = SchemaView(
        (
            table("authors", "id:i name:t city:t"),
            table("venues", "id:i name:t"),
            table("articles", "id:i venue_id:i title:t"),
            table("writings", "id:i author_id:i article_id:i"),
        ),
        (
            key("articles", "venue_id", "venues"),
            key("writings", "author_id", "authors"),
            key("writings", "article_id", "articles"),
        ),
    )
    hits = [ValueHit("shop", "authors", "city", "Pune")]
    outer = to_sql("articles by author 'Ann' at venue 'V'", schema, TODAY, hits)
    assert 'FROM "shop"."articles" AS "a" INNER JOIN "shop"."venues" AS "v" ON "a"."venue_id" = "v"."id"' in outer
    inner = to_sql("articles by author 'Ann' in Pune", schema, TODAY, hits)
    assert """WHERE "a2"."name" = 'Ann' AND "a2"."city" = 'Pune'""" in inner.replace("(", "").replace(")", "")


def test_an_undeclared_key_counts_only_where_its_name_leaves_no_choice() -> None:
    users, events = table("users", "id:i name:t"), table("events", "id:i user_id:i kind:t")
    assert '"e"."user_id" = "u"."id"' in to_sql("events per user", SchemaView((users, events)), TODAY)
    other = table("users", "id:i name:t", schema="crm")
    with pytest.raises(NotUnderstoodError):
        to_sql("events per user", SchemaView((users, other, events)), TODAY)
    mistyped = table("events", "id:i user_id:t kind:t")
    with pytest.raises(NotUnderstoodError):
        to_sql("events per user", SchemaView((users, mistyped)), TODAY)


def test_enum_labels_are_values_without_a_look_up() -> None:
    tickets = TableView(
        "shop",
        "tickets",
        (ColumnView("id", "integer"), ColumnView("state", "shop.state", labels=("open", "closed"))),
        primary_key=("id",),
    )
    schema = SchemaView((tickets,))
    assert 'WHERE "t"."state" = \'open\'' in to_sql("Open tickets", schema, TODAY)
    with pytest.raises(NotUnderstoodError) as caught:
        to_sql("tickets whose state is 'lost'", schema, TODAY)
    assert caught.value.hint == "Its values: open, closed."


FAMILIES = [
    ("character varying(20)", Family.TEXT),
    ("numeric(10,2)", Family.NUMBER),
    ("double precision", Family.NUMBER),
    ("timestamp(3) with time zone", Family.TIMESTAMP),
    ("date", Family.DATE),
    ("boolean", Family.BOOLEAN),
    ("integer[]", Family.OTHER),
    ("jsonb", Family.OTHER),
]


@pytest.mark.parametrize(("type_name", "family"), FAMILIES)
def test_type_families(type_name: str, family: Family) -> None:
    assert ColumnView("c", type_name).family is family


class FakeVeil:
    """Shows everything but `secrets`, and masks every column called email."""

    def __init__(self, relations: list[Relation]) -> None:
        self.relations = relations

    def visible(self, identity: Identity) -> list[Relation]:
        return [r for r in self.relations if r.name != "secrets"]

    def masked_columns(self, identity: Identity, relation: Relation) -> dict[str, str]:
        return {c.name: "email" for c in relation.columns if c.name == "email"}

    def hides_rows(self, identity: Identity, relation: Relation) -> bool:
        return False


def test_the_view_holds_what_the_identity_may_read() -> None:
    users = Relation(1, "s", "users", "r", (Column("id", "integer"), Column("email", "s.mail")), primary_key=("id",))
    secrets = Relation(2, "s", "secrets", "r", (Column("user_id", "integer"),))
    parent = Relation(3, "s", "logs", "p", (Column("user_id", "integer"),))
    child = Relation(4, "s", "logs_2024", "r", parent.columns, parents=(("s", "logs"),))
    counter = Relation(5, "s", "users_id_seq", "S", ())
    relations = [users, secrets, parent, child, counter]
    keys = tuple(ForeignKey(f"{t}_fk", ("s", t), ("user_id",), ("s", "users"), ("id",)) for t in ("logs", "secrets"))
    catalog = Catalog(1, {r.key: r for r in relations}, keys, enum_labels={"s.mail": ("a", "b")})
    view = build_schema_view(FakeVeil(relations), catalog, Identity("ann", ("analyst",)))
    assert [t.name for t in view.tables] == ["logs", "users"]
    assert [k.name for k in view.foreign_keys] == ["logs_fk"]
    email = view.tables[1].column("email")
    assert email is not None
    assert (email.masked, email.labels, email.family) == (True, ("a", "b"), Family.TEXT)


def test_today_moves_the_periods() -> None:
    assert "2024-02-01" in to_sql("orders last month", SHOP, date(2024, 3, 31))


def test_what_is_said_after_by_is_about_what_is_ranked_by() -> None:
    plain = ask("top 5 customers by total amount")
    assert ask("top 5 customers by total amount of payments") == plain
    dated = ask("top 5 customers by total amount of payments in 2024")
    assert "WHERE p.paid_on >= CAST('2024-01-01' AS DATE)" in dated
    assert "EXISTS" not in dated
    assert "WHERE c2.name = 'Toys'" in ask("top 5 products by total quantity in category Toys").replace(
        "c.name", "c2.name"
    )


def test_a_condition_does_not_hit_other_groups_of_the_same_rows() -> None:
    sql = ask("top 5 products by number of orders in category Toys")
    assert "COUNT(DISTINCT o.id)" in sql
    assert "EXISTS" not in sql
    assert ".name = 'Toys'" in sql
