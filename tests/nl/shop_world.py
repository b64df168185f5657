"""The shop of docs/embedded.md as the translator sees it, with the values that its public columns hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from proxy.nl.embedded import ColumnKey, ValueHit, to_sql
from proxy.nl.schema import ColumnView, SchemaView, TableView
from proxy.policy.catalog import ForeignKey

TODAY = date(2025, 6, 15)
_TYPES = {"i": "integer", "t": "text", "n": "numeric(10,2)", "d": "date", "b": "boolean"} | {
    "z": "timestamp with time zone"
}


def table(name: str, columns: str, schema: str = "shop", comment: str | None = None) -> TableView:
    """`name:type ...` with one letter per type; the first column is the primary key."""
    pairs = [c.split(":") for c in columns.split()]
    views = tuple(ColumnView(c, _TYPES[t]) for c, t in pairs)
    return TableView(schema, name, views, comment, (views[0].name,))


def key(start: str, column: str, end: str, schema: str = "shop") -> ForeignKey:
    return ForeignKey(f"{start}_{column}_fkey", (schema, start), (column,), (schema, end), ("id",))


SHOP = SchemaView(
    (
        table("customers", "id:i name:t email:t city:t country:t active:b joined_on:d"),
        table("orders", "id:i customer_id:i status:t ordered_at:z shipped_at:z"),
        table("order_items", "id:i order_id:i product_id:i quantity:i unit_price:n"),
        table("products", "id:i name:t category_id:i price:n discontinued:b"),
        table("categories", "id:i name:t"),
        table("payments", "id:i order_id:i amount:n paid_on:d method:t"),
        table("employees", "id:i name:t salary:n department:t manager_id:i hire_date:d"),
    ),
    (
        key("orders", "customer_id", "customers"),
        key("order_items", "order_id", "orders"),
        key("order_items", "product_id", "products"),
        key("products", "category_id", "categories"),
        key("payments", "order_id", "orders"),
        key("employees", "manager_id", "employees"),
    ),
)

HELD = {
    ("customers", "city"): ("Mumbai", "Delhi", "New Delhi"),
    ("customers", "country"): ("India", "USA"),
    ("orders", "status"): ("shipped", "pending"),
    ("employees", "department"): ("Sales",),
    ("categories", "name"): ("Toys",),
    ("payments", "method"): ("card",),
}
HITS = [ValueHit("shop", t, c, value) for (t, c), values in HELD.items() for value in values]


def ask(question: str, schema: SchemaView = SHOP, placeholders: Mapping[str, ColumnKey | None] | None = None) -> str:
    """The SQL, short: without quotes and the schema's name."""
    sql = to_sql(question, schema, TODAY, HITS, placeholders)
    return sql.replace('"shop".', "").replace('"', "")


def masked(schema: SchemaView, *columns: str) -> SchemaView:
    """The same schema where `table.column`s are masked for the role."""
    return SchemaView(
        tuple(
            replace(t, columns=tuple(replace(c, masked=f"{t.name}.{c.name}" in columns) for c in t.columns))
            for t in schema.tables
        ),
        schema.foreign_keys,
    )
