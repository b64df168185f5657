"""A small catalogue and policy, made by hand: what the plan fixtures are decided on."""

from __future__ import annotations

from proxy.policy.catalog import Catalog, Column, Relation, UserFunction, UserOperator, UserType
from proxy.policy.decide import Veil
from proxy.policy.masks import build_mask
from proxy.policy.model import Policy
from proxy.policy.rules import Exemption, Identity, MaskRule, Role, TableRule, Where

HERE = Where("policy.yaml", 1)
SEARCH_PATH = ("public",)


def columns(*names: str) -> tuple[Column, ...]:
    """`name type` each."""
    pairs = (name.partition(" ") for name in names)
    return tuple(Column(name, kind, attnum=i) for i, (name, _, kind) in enumerate(pairs, start=1))


EMP = columns("id integer", "name text", "ssn text", "salary integer")

RELATIONS = (
    Relation(1, "hr", "emp", "r", EMP),
    Relation(2, "hr", "contractor", "r", (*EMP, Column("rate", "numeric", attnum=5)), parents=(("hr", "emp"),)),
    Relation(
        3,
        "hr",
        "v",
        "v",
        columns("id integer", "area text"),
        definition="SELECT id, left(ssn, 3) AS area FROM hr.emp;",
        depends=((("hr", "emp"), "id"), (("hr", "emp"), "ssn")),
    ),
    Relation(4, "hr", "open", "v", columns("id integer"), definition="SELECT emp.id FROM hr.emp;"),
    Relation(5, "hr", "fenced", "v", columns("id integer"), definition="SELECT id FROM hr.emp;", security_barrier=True),
    Relation(
        6,
        "hr",
        "saved",
        "m",
        columns("x text"),
        definition="SELECT ssn AS x FROM hr.emp;",
        depends=((("hr", "emp"), "ssn"),),
    ),
    Relation(7, "hr", "far", "f", columns("x text")),
    Relation(8, "public", "item", "r", columns("id integer", "label text")),
    Relation(9, "public", "emp", "r", columns("id integer", "note text")),
    Relation(10, "secret", "vault", "r", columns("word text")),
    Relation(11, "hr", "boss", "r", columns("id integer", "peek text")),
    Relation(17, "hr", "keyed", "r", EMP, primary_key=("id",)),
    Relation(12, "pg_catalog", "pg_class", "r", columns("oid oid", "relname name")),
    Relation(18, "pg_catalog", "pg_settings", "v", columns("name text", "setting text")),
    Relation(13, "pg_catalog", "pg_stats", "v", columns("attname name", "most_common_vals anyarray")),
    Relation(14, "pg_catalog", "pg_roles", "v", columns("rolname name", "rolpassword text")),
    Relation(15, "pg_catalog", "pg_authid", "r", columns("rolname name", "rolpassword text")),
    Relation(16, "pg_catalog", "pg_new_in_20", "r", columns("x text")),
)

FUNCTIONS = (
    UserFunction("public", "peek", ("hr.boss",), "sql", takes_row=True),
    UserFunction("public", "lower", ("integer",), "sql"),
    UserFunction("public", "twice", ("integer",), "sql"),
    UserFunction("public", "avg", ("public.vector",), "c", harmless=True),
)

CATALOG = Catalog(
    version=1,
    relations={relation.key: relation for relation in RELATIONS},
    functions=FUNCTIONS,
    operators=(
        UserOperator("public", "<", "public.peek_lt(integer, integer)", harmless=False),
        UserOperator("public", "=", "public.peek_eq(integer, integer)", harmless=False),
        UserOperator("public", "<->", "public.distance(public.vector, public.vector)", harmless=True),
    ),
    types=(
        UserType("public", "vector", "b", harmless=True),
        UserType("public", "checked", "d", harmless=False),
    ),
    database="db",
    builtin_functions=frozenset({"lower", "avg", "count", "query_to_xml", "ts_stat", "pg_sleep", "upper"}),
    builtin_types=frozenset({"int4", "text", "numeric", "regclass", "varchar", "name"}),
)

POLICY = Policy(
    digest="digest",
    roles={
        "dba": Role("dba", ("postgres",), HERE, bypass=True),
        "analyst": Role("analyst", ("analyst",), HERE),
        "payroll": Role("payroll", ("pia",), HERE),
    },
    tables=(TableRule(("hr.*", "public.*"), frozenset({"analyst", "payroll"}), HERE),),
    masks=(
        MaskRule(build_mask("null", {}), HERE, columns=("hr.emp.ssn",)),
        MaskRule(build_mask("null", {}), HERE, columns=("hr.keyed.ssn",)),
        MaskRule(build_mask("null", {}), HERE, columns=("hr.emp.salary",), exemptions=(Exemption("payroll"),)),
    ),
    trusted_functions=frozenset({"public.twice(integer)"}),
)


def identity(user: str) -> Identity:
    found = POLICY.identify(user)
    if found is None:
        raise ValueError(user)
    return found


def veil() -> Veil:
    return Veil(POLICY, CATALOG)
