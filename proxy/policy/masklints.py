"""What is doubtful about a mask on a type: sentences for the policy's author. `check` prints them.

A mask that knows a type is total and deterministic by its making; what an author brings along, in `sql` and `lookup`,
is only as good as it is written, and a hash without a key is only as good as its domain is large.

It knows names and trees, and tables where a catalogue is given. It does not know the stored values: what it says of a
phone number, it says of a column that is called so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.catalog import Catalog
from proxy.policy.masks import Constant, Null, SqlMask
from proxy.policy.masks_hash import Hash
from proxy.policy.masks_lookup import Lookup
from proxy.policy.masks_number import Bucket, Round
from proxy.policy.masks_sql import Sql, read
from proxy.policy.masktypes import Family, SqlType, sql_type

SHORT: Final = 12
"""Characters: what has no more is one of too few to hide in a hash."""
_SMALL_DOMAINS: Final = re.compile(
    r"(?i)(^|_)(phone|mobile|cell|fax|tel|ssn|sin|nin|pan|aadhaar|card|iban|account|zip|zipcode|postcode|pin|plate"
    r"|dob|birth\w*|date|year|age|gender|sex|first_?name|last_?name|surname|name|city|country|state|salary|amount"
    r"|email|mail|ip)(_|$|no$|number$)"
)
_UNSTEADY: Final = frozenset(
    {
        "age", "array_to_string", "clock_timestamp", "concat", "concat_ws", "current_database", "current_schema",
        "current_schemas", "current_setting", "current_user", "date", "enum_first", "enum_last", "enum_range", "format",
        "gen_random_uuid", "getpgusername", "inet_client_addr", "inet_client_port", "json_build_array",
        "json_build_object", "jsonb_build_array", "jsonb_build_object", "make_timestamptz", "money", "now", "numeric",
        "pg_backend_pid", "plainto_tsquery", "phraseto_tsquery", "quote_literal", "quote_nullable", "random",
        "random_normal", "row_to_json", "session_user", "setseed", "statement_timestamp", "system_user", "timeofday",
        "timestamp", "timestamptz", "to_char", "to_date", "to_json", "to_jsonb", "to_number", "to_timestamp",
        "to_tsquery", "to_tsvector", "transaction_timestamp", "txid_current", "uuidv4", "uuidv7", "version",
        "websearch_to_tsquery", "array_sample", "array_shuffle", "array_to_json", "date_add", "date_subtract",
    }
)  # fmt: skip
"""Built-in functions that are not immutable for some of their arguments: they read settings, the clock or chance."""
_RAISING: Final = frozenset(
    {
        "acos", "asin", "chr", "convert_from", "convert_to", "decode", "div", "exp", "factorial", "justify_interval",
        "lcm", "ln", "log", "log10", "lpad", "make_date", "make_interval", "make_time", "make_timestamp", "mod",
        "power", "pow", "regexp_match", "regexp_replace", "regexp_split_to_array", "repeat", "rpad", "split_part",
        "sqrt", "substr", "substring", "to_date", "to_number", "to_timestamp", "width_bucket", "array_fill",
        "jsonb_set", "jsonb_insert", "get_byte", "set_byte", "overlay", "normalize",
    }
)  # fmt: skip
"""Built-in functions that raise for some arguments of the right type."""
_PATTERNS: Final = frozenset({"~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*"})
_OVERFLOWING: Final = frozenset({"+", "-", "*", "^", "@", "<<"})


def lints(mask: SqlMask, type_name: str, column: str = "", catalog: Catalog | None = None) -> tuple[str, ...]:
    """What is doubtful about `mask` on a column of type `type_name` (format_type's name); empty: nothing.

    Args:
        column: its name, which says more of what a text holds than the type does.
        catalog: where it is given, the table of a `lookup` is looked at too.

    Raises ValueError if `type_name` is no type's name.
    """
    return tuple(dict.fromkeys(_lints(mask, type_name, column, catalog)))


def _lints(mask: SqlMask, type_name: str, column: str, catalog: Catalog | None) -> Iterator[str]:
    if isinstance(mask, Null | Constant):
        return
    if not mask.reads(type_name):
        yield f"the mask {mask.name} does not know the type {type_name}: the column reads as NULL"
        return
    of = sql_type(type_name)
    element = sql_type(of.element) if of.element else of
    if isinstance(mask, Hash):
        yield from _hash(mask, element, column)
    elif isinstance(mask, Bucket | Round):
        yield from _number(mask, element)
    elif isinstance(mask, Lookup):
        yield from _lookup(mask, catalog)
    elif isinstance(mask, Sql):
        yield from _sql(mask, of)


def _hash(mask: Hash, of: SqlType, column: str) -> Iterator[str]:
    why = None
    if of.family is Family.INTEGER:
        why = f"a column of type {of.base} has few enough values to try them all"
    elif of.family is Family.TEXT and of.modifier and of.modifier[0] <= SHORT:
        why = f"a text of at most {of.modifier[0]} characters has few enough values to try them all"
    elif of.family is Family.TEXT and _SMALL_DOMAINS.search(column):
        why = f"what is called {column} has few enough values to try them all"
    if why is not None:
        yield f"the mask hash has no key, and {why}: whoever sees the hash can find the value"
    if of.family is Family.TEXT and mask.length < 16:  # noqa: PLR2004 - 64 bits: about one pair in 2^32 values alike
        yield f"{mask.length} digits of a hash are the same for different values now and then"


def _number(mask: Bucket | Round, of: SqlType) -> Iterator[str]:
    """Whether every number of the type is a bucket, or a rounded number, of its own."""
    if of.family is Family.INTEGER:
        scale = 0
    elif of.family is Family.NUMERIC and of.modifier:
        scale = (*of.modifier, 0)[1]
    else:
        return
    step = mask.size if isinstance(mask, Bucket) else 10.0**-mask.digits
    if step <= 10.0**-scale:
        yield f"the mask {mask.name} hides nothing of a number with {max(scale, 0)} places behind the point"


def _lookup(mask: Lookup, catalog: Catalog | None) -> Iterator[str]:
    if catalog is None:
        return
    relation = catalog.relations.get(mask.relation)
    if relation is None:
        yield f"the mask lookup reads {mask.table}, which does not exist: every statement on the column fails"
        return
    missing = [name for name in (mask.from_, mask.to) if relation.column(name) is None]
    if missing:
        yield f"{mask.table} has no column {missing[0]}: every statement on the column fails"
        return
    key = frozenset({mask.from_})
    if set(relation.primary_key) != key and not any(
        c.kind == "unique" and c.columns == key for c in relation.constraints
    ):
        yield f"{mask.table} has no unique key on {mask.from_}: of several rows the least {mask.to} is taken"


# Of an author's own SQL.


def _sql(mask: Sql, of: SqlType) -> Iterator[str]:
    tree = read(mask.expression_)
    for node in parser.nodes_of(tree):
        kind = node.DESCRIPTOR.name
        if kind == "FuncCall":
            yield from _function(node)
        elif kind == "A_Expr":
            yield from _operator(node)
        elif kind == "TypeCast" and not node.arg.HasField("a_const"):
            name = node.type_name.names[-1].string.sval
            if name not in ("text", "varchar", "bpchar", "name") or node.type_name.array_bounds:
                yield f"the expression casts to {name}, which may raise: it is not total"
    if of.family is not Family.TEXT:
        yield f"the expression's result is cast to {of.base}, which may raise: it is not total"


def _function(node: Any) -> Iterator[str]:
    schema, name = (part.string.sval for part in node.funcname)
    if schema != "pg_catalog":
        yield f"what {schema}.{name} does is not known here: a mask's function must be immutable and never raise"
        return
    if name in _UNSTEADY:
        yield f"{name} depends on more than the value, on settings, the clock or chance: it is not deterministic"
    if name in _RAISING:
        yield f"{name} raises for some values: it is not total"


def _operator(node: Any) -> Iterator[str]:
    name = node.name[-1].string.sval
    constant = node.rexpr.HasField("a_const")
    if name in ("/", "%"):
        if not constant:
            yield f"the operator {name} raises where it divides by zero: it is not total"
    elif name in _OVERFLOWING:
        yield f"the operator {name} raises where the result is beyond its type: it is not total"
    elif name in _PATTERNS and not constant:
        yield f"the operator {name} raises where the pattern is none: it is not total"
