"""The world of the plan benchmarks: a database of a usual width, made by hand, and a policy over it.

Ten tables of a shop with 12 to 20 columns each, two of them masked in every table (`masked`), the same ten without any
rule on their columns (`plain`), and 200 more tables that no statement names, since a catalogue is never as small as
what one query reads. No server is asked.
"""

from __future__ import annotations

from proxy.policy.catalog import Catalog, Column, Relation, UserFunction
from proxy.policy.decide import Veil
from proxy.policy.functions import admitted
from proxy.policy.masks import build_mask
from proxy.policy.model import Policy
from proxy.policy.rules import Identity, MaskRule, Role, TableRule, TagRule, Where

HERE = Where("bench.yaml", 1)
SEARCH_PATH = ("public",)
OTHER_TABLES = 200

TABLES: dict[str, str] = {
    "customers": "id bigint, name text, email text, phone text, birth_date date, gender text, address_id bigint, "
    "segment text, language text, newsletter boolean, credit_limit numeric(12,2), notes text, created_at timestamptz, "
    "updated_at timestamptz, region text, tax_id text",
    "addresses": "id bigint, customer_id bigint, street text, house_number text, city text, postal_code text, "
    "state text, country text, latitude numeric(9,6), longitude numeric(9,6), is_default boolean, "
    "created_at timestamptz",
    "orders": "id bigint, customer_id bigint, address_id bigint, employee_id bigint, status text, currency text, "
    "total numeric(12,2), discount numeric(12,2), tax numeric(12,2), contact_email text, contact_phone text, "
    "note text, ordered_at timestamptz, paid_at timestamptz, shipped_at timestamptz, region text, channel text",
    "order_items": "id bigint, order_id bigint, product_id bigint, position integer, quantity integer, "
    "unit_price numeric(12,2), discount numeric(12,2), tax_rate numeric(5,2), engraving text, gift_message text, "
    "returned boolean, created_at timestamptz",
    "products": "id bigint, supplier_id bigint, sku text, title text, description text, category text, brand text, "
    "price numeric(12,2), cost numeric(12,2), margin numeric(12,2), weight numeric(8,3), width integer, "
    "height integer, depth integer, stock integer, active boolean, created_at timestamptz, updated_at timestamptz",
    "suppliers": "id bigint, name text, contact_name text, contact_email text, phone text, iban text, country text, "
    "rating integer, terms text, lead_days integer, active boolean, created_at timestamptz, updated_at timestamptz",
    "payments": "id bigint, order_id bigint, method text, amount numeric(12,2), currency text, card_number text, "
    "card_holder text, card_expiry date, iban text, status text, provider text, reference text, "
    "authorised_at timestamptz, captured_at timestamptz",
    "shipments": "id bigint, order_id bigint, warehouse_id bigint, carrier text, tracking text, recipient text, "
    "recipient_phone text, weight numeric(8,3), cost numeric(12,2), status text, packed_at timestamptz, "
    "shipped_at timestamptz, delivered_at timestamptz, signature text",
    "employees": "id bigint, name text, email text, phone text, ssn text, salary numeric(12,2), bonus numeric(12,2), "
    "birth_date date, hired_on date, left_on date, department text, title text, manager_id bigint, office text, "
    "street text, city text, country text, iban text, created_at timestamptz, updated_at timestamptz",
    "reviews": "id bigint, product_id bigint, customer_id bigint, order_id bigint, stars integer, headline text, "
    "body text, author text, author_email text, language text, helpful integer, verified boolean, "
    "created_at timestamptz",
}  # fmt: skip
"""Table to its columns, `name type` each."""

MASKED: dict[str, dict[str, str]] = {
    "customers": {"email": "email", "phone": "phone"},
    "addresses": {"street": "redact", "postal_code": "partial"},
    "orders": {"contact_email": "email", "contact_phone": "phone"},
    "order_items": {"engraving": "redact", "gift_message": "null"},
    "products": {"cost": "null", "margin": "null"},
    "suppliers": {"contact_email": "email", "iban": "partial"},
    "payments": {"card_number": "partial", "card_holder": "redact"},
    "shipments": {"recipient": "redact", "recipient_phone": "phone"},
    "employees": {"ssn": "partial", "birth_date": "year"},
    "reviews": {"author": "redact", "author_email": "email"},
}
"""Table to its masked columns and the mask of each."""


def _columns(text: str) -> tuple[Column, ...]:
    # A comma and a space part columns; the comma inside numeric(12,2) has no space behind it.
    pairs = (item.partition(" ") for item in text.split(", "))
    return tuple(Column(name, kind, attnum=i) for i, (name, _, kind) in enumerate(pairs, start=1))


def _relations() -> dict[tuple[str, str], Relation]:
    found = []
    for schema, first in (("masked", 1_000), ("plain", 2_000)):
        found += [
            Relation(first + i, schema, name, "r", _columns(text), primary_key=("id",))
            for i, (name, text) in enumerate(TABLES.items())
        ]
    found += [
        Relation(3_000 + i, "archive", f"table_{i}", "r", _columns(TABLES["orders"]), primary_key=("id",))
        for i in range(OTHER_TABLES)
    ]
    return {relation.key: relation for relation in found}


CATALOG = Catalog(
    version=1,
    relations=_relations(),
    functions=tuple(UserFunction("archive", f"report_{i}", ("integer",), "plpgsql") for i in range(50)),
    database="bench",
    builtin_functions=frozenset(entry.partition("/")[0] for entry in admitted()),
    builtin_types=frozenset({"int4", "int8", "text", "numeric", "date", "timestamptz", "bool"}),
)

POLICY = Policy(
    digest="bench",
    roles={"analyst": Role("analyst", ("analyst",), HERE)},
    tables=(TableRule(("masked.*", "plain.*"), frozenset({"analyst"}), HERE),),
    tags=(TagRule(("archive.*.contact_email",), "email", HERE),),
    masks=(
        MaskRule(build_mask("email", {}), HERE, tag="email"),
        *(
            MaskRule(build_mask(mask, {}), HERE, columns=(f"masked.{table}.{column}",))
            for table, columns in MASKED.items()
            for column, mask in columns.items()
        ),
    ),
)


def identity() -> Identity:
    """The masked role that the benchmarks ask as."""
    found = POLICY.identify("analyst")
    if found is None:
        raise RuntimeError("the benchmarks' policy has no role for its user")
    return found


def veil() -> Veil:
    """A veil without any plan in its cache."""
    return Veil(POLICY, CATALOG)


def join(schema: str, number: int) -> str:
    """A join of all ten tables as a report has it. `number` is a constant in it: another number, another text."""
    return f"""
SELECT c.name, c.email, a.city, o.id, o.total, count(i.id) AS items, sum(i.quantity * i.unit_price) AS amount,
       max(p.title) AS product, min(s.name) AS supplier, max(y.method) AS method, max(h.carrier) AS carrier,
       e.department, avg(r.stars) AS stars
FROM {schema}.customers c
JOIN {schema}.addresses a ON a.id = c.address_id
JOIN {schema}.orders o ON o.customer_id = c.id
JOIN {schema}.order_items i ON i.order_id = o.id
JOIN {schema}.products p ON p.id = i.product_id
JOIN {schema}.suppliers s ON s.id = p.supplier_id
LEFT JOIN {schema}.payments y ON y.order_id = o.id
LEFT JOIN {schema}.shipments h ON h.order_id = o.id
LEFT JOIN {schema}.employees e ON e.id = o.employee_id
LEFT JOIN {schema}.reviews r ON r.product_id = p.id AND r.customer_id = c.id
WHERE o.ordered_at >= date '2024-01-01' AND o.status IN ('paid', 'shipped') AND p.price > {number}
GROUP BY c.name, c.email, a.city, o.id, o.total, e.department
HAVING count(i.id) > 1
ORDER BY amount DESC, c.name
LIMIT 100
"""


def simple(number: int) -> str:
    """What an application asks all day."""
    return f"SELECT id, name, email, region FROM masked.customers WHERE id = {number}"
