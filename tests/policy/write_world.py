"""The catalogue and policy that the fixtures of write_plans/ are decided on: tables to be written, and what they could
tell of."""

from __future__ import annotations

from plan_world import EMP, HERE, SEARCH_PATH, columns

from proxy.policy.catalog import Catalog, Column, Constraint, ForeignKey, Relation, UserType
from proxy.policy.decide import Veil
from proxy.policy.expressions import read_expression
from proxy.policy.masks import build_mask
from proxy.policy.masks_lookup import Lookup
from proxy.policy.model import Policy
from proxy.policy.rules import Identity, MaskRule, Role, RowRule, StatementKind, TableRule

__all__ = ["SEARCH_PATH", "TEMPS", "identity", "veil"]

TEMPS = frozenset({"mine"})
"""The session's temporary tables."""

WRITES = frozenset({StatementKind.INSERT, StatementKind.UPDATE, StatementKind.DELETE})

RELATIONS = (
    Relation(1, "hr", "emp", "r", EMP, constraints=(Constraint("emp_pkey", "unique", frozenset({"id"})),)),
    Relation(2, "hr", "badge", "r", columns("ssn text", "color text", "at integer"), constraints=(
        Constraint("badge_once", "unique", frozenset({"ssn", "color"})),
        Constraint("known", "check", frozenset({"color"}), expressions=("color <> 'x'",)),
        Constraint("odd", "check", frozenset({"at"}), expressions=("public.peek(at)",)),
    )),
    Relation(3, "hr", "raise", "r", columns("id integer", "salary integer", "bonus integer", "note text"), constraints=(
        Constraint("small", "check", frozenset({"salary", "bonus"}), expressions=("bonus < salary",)),
        Constraint("late", "check", frozenset({"salary"}), validated=False, expressions=("salary > 0",)),
    )),
    Relation(4, "hr", "v", "v", columns("id integer"), definition="SELECT id FROM hr.emp;"),
    Relation(5, "hr", "ruled", "r", columns("id integer"), has_rules=True),
    Relation(6, "shop", "item", "r", columns("id integer", "label text", "desk integer")),
    Relation(7, "shop", "orders", "r", columns("id integer", "region text", "total integer"), constraints=(
        Constraint("orders_pkey", "unique", frozenset({"id"})),
    )),
    Relation(8, "shop", "visit", "r", columns("id integer", "ssn text")),
    Relation(9, "shop", "odd", "r", (*columns("id integer"), Column("c", "public.checked", type_oid=90001, attnum=2))),
    Relation(10, "hr", "stamped", "r", columns("id integer", "label text", "ssn text"), changes_inserts=True),
    Relation(11, "secret", "vault", "r", columns("word text")),
    Relation(12, "pg_catalog", "pg_class", "r", columns("oid oid", "relname name")),
    Relation(13, "hr", "note", "r", columns("emp integer", "ssn text", "open boolean")),
    Relation(14, "shop", "codes", "r", columns("code text", "word text")),
    Relation(15, "shop", "team", "r", columns("id integer", "region text")),
    Relation(16, "shop", "teams", "v", columns("id integer"), definition="SELECT id FROM shop.team;", depends=(
        (("shop", "team"), "id"),
    )),
    Relation(17, "shop", "ledger", "r", columns("id integer", "region text", "total integer"), constraints=(
        Constraint("ledger_pkey", "unique", frozenset({"id"})),
    )),
)  # fmt: skip

CATALOG = Catalog(
    version=1,
    relations={relation.key: relation for relation in RELATIONS},
    foreign_keys=(
        ForeignKey("visit_ssn", ("shop", "visit"), ("ssn",), ("hr", "badge"), ("ssn",)),
        ForeignKey("vault_item", ("secret", "vault"), ("word",), ("shop", "item"), ("label",)),
        ForeignKey("note_emp", ("hr", "note"), ("emp",), ("hr", "emp"), ("id",), on_delete="c"),
    ),
    types=(UserType("public", "checked", "d", harmless=False, oid=90001),),
    database="db",
    builtin_functions=frozenset({"lower", "length", "row_to_json"}),
    builtin_types=frozenset({"int4", "text", "numeric"}),
)

POLICY = Policy(
    digest="digest",
    roles={
        "writer": Role("writer", ("wanda",), HERE),
        "keeper": Role("keeper", ("karl",), HERE),
        "local": Role("local", ("lou",), HERE, attributes={"region": "north"}),
    },
    tables=(
        TableRule(("hr.*", "shop.*"), frozenset({"writer"}), HERE, write=WRITES),
        TableRule(
            ("hr.*",),
            frozenset({"keeper"}),
            HERE,
            write=frozenset({StatementKind.INSERT}),
            reveal=frozenset({"badge_once", "odd"}),
        ),
        TableRule(("shop.*",), frozenset({"local"}), HERE, write=WRITES),
    ),
    masks=(
        MaskRule(
            build_mask("null", {}),
            HERE,
            columns=(
                "hr.emp.ssn",
                "hr.emp.salary",
                "hr.badge.ssn",
                "hr.raise.salary",
                "hr.stamped.ssn",
                "shop.visit.ssn",
            ),
        ),
        MaskRule(build_mask("null", {}), HERE, columns=("hr.note.ssn",), when=read_expression("NOT open")),
        MaskRule(Lookup("shop.codes", "code", "word"), HERE, columns=("hr.stamped.label",)),
    ),
    rows=(
        RowRule(
            ("shop.orders", "shop.ledger"), read_expression("region = {user.region}"), HERE, roles=frozenset({"local"})
        ),
        RowRule(
            ("shop.visit",),
            read_expression("EXISTS (SELECT 1 FROM shop.teams AS s WHERE s.id = {row.id})"),
            HERE,
            roles=frozenset({"local"}),
        ),
        RowRule(
            ("shop.item",),
            read_expression("EXISTS (SELECT 1 FROM shop.orders AS o WHERE o.id = {row.desk})"),
            HERE,
            roles=frozenset({"local"}),
        ),
    ),
    statements=frozenset(StatementKind) - {StatementKind.CALL, StatementKind.DDL, StatementKind.REPLICATION},
)


def identity(user: str) -> Identity:
    found = POLICY.identify(user)
    if found is None:
        raise ValueError(user)
    return found


def veil() -> Veil:
    return Veil(POLICY, CATALOG)
