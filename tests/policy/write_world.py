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

__all__ = ["CATALOG", "POLICY", "SEARCH_PATH", "TEMPS", "identity", "veil"]

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
    Relation(18, "shop", "zone", "r", (
        *columns("code text", "base text"), Column("name", "text", attnum=3, generated="lower(base)"),
    )),
    Relation(19, "shop", "parcel", "r", (
        *columns("id integer", "zone text", "code text", "note text"),
        Column("key", "text", attnum=5, generated="lower(code)"),
    ), constraints=(Constraint("parcel_key", "unique", frozenset({"key"})),)),
    Relation(20, "shop", "pallet", "r", columns("id integer", "zone text")),
    Relation(21, "secret", "access", "r", columns("who text", "zone text")),
    Relation(22, "shop", "report", "r", columns("id integer", "zone text")),
    Relation(23, "shop", "client", "r", columns("id integer", "label text")),
    Relation(24, "secret", "blocked", "r", columns("client integer")),
    Relation(25, "shop", "state", "r", columns("code text", "label text")),
    Relation(26, "shop", "person", "r", columns("id integer", "state text", "level text", "ssn text", "phone text")),
    Relation(27, "shop", "level", "r", columns("code text")),
    Relation(28, "shop", "harbour", "r", columns("code text")),
    Relation(29, "secret", "load", "r", columns("id integer", "harbour text")),
    Relation(30, "shop", "loads", "v", columns("id integer", "port text"), depends=(
        (("secret", "load"), "id"), (("secret", "load"), "harbour"),
    ), definition="SELECT id, harbour AS port FROM secret.load;"),
    Relation(31, "shop", "asset", "r", columns("id integer", "state text")),
    Relation(32, "shop", "car", "r", columns("id integer", "state text", "plate text"), parents=(("shop", "asset"),)),
    Relation(33, "shop", "pier", "p", columns("id integer", "side text"), constraints=(
        Constraint("partition key", "partition", frozenset({"side"})),
    )),
    Relation(34, "shop", "pier_1", "r", columns("id integer", "side text"), parents=(("shop", "pier"),)),
    Relation(35, "secret", "mooring", "r", columns("pier integer", "who text")),
)  # fmt: skip

CATALOG = Catalog(
    version=1,
    relations={relation.key: relation for relation in RELATIONS},
    foreign_keys=(
        ForeignKey("visit_ssn", ("shop", "visit"), ("ssn",), ("hr", "badge"), ("ssn",)),
        ForeignKey("vault_item", ("secret", "vault"), ("word",), ("shop", "item"), ("label",)),
        ForeignKey("parcel_zone", ("shop", "parcel"), ("zone",), ("shop", "zone"), ("code",), on_update="c"),
        ForeignKey("pallet_zone", ("shop", "pallet"), ("zone",), ("shop", "zone"), ("name",), on_update="c"),
        ForeignKey("access_zone", ("secret", "access"), ("zone",), ("shop", "parcel"), ("zone",), on_update="c"),
        ForeignKey("blocked_client", ("secret", "blocked"), ("client",), ("shop", "client"), ("id",), on_delete="c"),
        ForeignKey("person_state", ("shop", "person"), ("state",), ("shop", "state"), ("code",), on_delete="d"),
        ForeignKey("load_harbour", ("secret", "load"), ("harbour",), ("shop", "harbour"), ("code",), on_update="c"),
        ForeignKey("mooring_pier", ("secret", "mooring"), ("pier",), ("shop", "pier"), ("id",), on_delete="c"),
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
        TableRule(("shop.*",), frozenset({"local"}), HERE, write=WRITES, reveal=frozenset({"person_state"})),
        TableRule(("shop.*",), frozenset({"keeper"}), HERE, write=WRITES),
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
        MaskRule(build_mask("null", {}), HERE, columns=("shop.person.ssn",), when=read_expression("state = 'shut'")),
        MaskRule(
            build_mask("null", {}),
            HERE,
            columns=("shop.person.phone",),
            when=read_expression("NOT EXISTS (SELECT 1 FROM (SELECT code FROM shop.level) AS o WHERE o.code = level)"),
        ),
        MaskRule(build_mask("null", {}), HERE, columns=("shop.car.plate",), when=read_expression("state = 'shut'")),
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
        RowRule(("shop.parcel", "shop.pallet"), read_expression("zone = 'north'"), HERE, roles=frozenset({"keeper"})),
        RowRule(
            ("shop.report",),
            read_expression("zone IN (SELECT a.zone FROM secret.access AS a WHERE a.who = {user.name})"),
            HERE,
            roles=frozenset({"local"}),
        ),
        RowRule(
            ("hr.badge",),
            read_expression("id NOT IN (SELECT b.client FROM secret.blocked AS b)"),
            HERE,
            roles=frozenset({"local"}),
        ),
        RowRule(
            ("hr.note",),
            read_expression("emp IN (SELECT m.pier FROM secret.mooring AS m)"),
            HERE,
            roles=frozenset({"local"}),
        ),
        RowRule(("shop.loads",), read_expression("port = 'north'"), HERE, roles=frozenset({"local"})),
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
