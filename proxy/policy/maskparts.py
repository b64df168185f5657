"""Masks on parts of a column's values: a field of a composite, a key of JSON, in each element of an array.

The value is taken apart, the part goes through its mask, and the value is put together again, as its own type. What is
not found as the path says is never shown: a scalar where an object should be becomes JSON null, and a column whose
type does not have the path at all reads as NULL.

JSON is mapped level by level in sub-SELECTs that stand next to each other's FROM, not inside each other's expressions:
the parser's binding reads a hundred levels of messages, and the statement around a mask needs most of them.

It does not know the catalogue: the fields of composite types are given, and every other type outside pg_catalog may be
a domain, whose CHECK the masked value need not pass.
https://www.postgresql.org/docs/current/functions-json.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from proxy.policy.maskbase import LONGEST, SqlMask, call, case, cast, each, identifier, literal, matches, op, replaced
from proxy.policy.masks import Constant
from proxy.policy.masks_hash import token_expression
from proxy.policy.masktypes import Family, SqlType, sql_type
from proxy.policy.patterns import Path
from proxy.policy.rules import Mask

__all__ = ["masked_parts", "token_expression"]

Parts: TypeAlias = Sequence[tuple[Path, Mask]]
Composites: TypeAlias = Mapping[str, tuple[tuple[str, str], ...]]

_NULL = "CAST('null' AS pg_catalog.jsonb)"


def masked_parts(reference: str, type_name: str, parts: Parts, composites: Composites) -> str:
    """SQL of the column's own type, with each part of its values masked.

    Args:
        reference: the column, a quoted reference.
        type_name: its type, as format_type calls it.
        parts: where to go in a value, and the mask for what is there; longest path first. All of them apply, one
            after the other. An empty path is the whole value.
        composites: format_type's name of each composite type to its (field, type name) pairs.

    Raises ValueError if `type_name` is no type's name.
    """
    of = sql_type(type_name)
    found = _Rebuilt(composites).value(reference, type_name, parts, 0)
    return of.null() if found is None else found


class _Rebuilt:
    """Takes values apart and puts them together. None stands for a type that has no such part."""

    def __init__(self, composites: Composites) -> None:
        self._composites = composites

    def value(self, reference: str, type_name: str, parts: Parts, level: int) -> str | None:
        """SQL of the type with the parts masked, or None. `level` tells nested sub-SELECTs' names apart."""
        inside = [(path, mask) for path, mask in parts if path]
        whole = [mask for path, mask in parts if not path]
        found: str | None = reference
        if inside:
            found = self._inside(reference, type_name, inside, level)
        for mask in whole:
            if found is None:
                return None
            if found == reference:
                found = mask.expression(reference, type_name)
            else:
                name = f"whole{level}"
                found = (
                    f"(SELECT {mask.expression(f'{name}.v', type_name)} FROM (SELECT {found} AS v OFFSET 0) AS {name})"
                )
        return found

    def _inside(self, reference: str, type_name: str, parts: Parts, level: int) -> str | None:
        of = sql_type(type_name)
        if of.family is Family.ARRAY:
            return self._elements(reference, of, parts, level)
        if of.family is Family.JSON:
            return _json(reference, of, parts)
        fields = self._composites.get(type_name)
        return None if fields is None else self._composite(reference, of, fields, parts, level)

    def _elements(self, reference: str, of: SqlType, parts: Parts, level: int) -> str | None:
        """By `unnest`, which is fast; of composites by subscripts, since it would make columns of their fields."""
        name, type_name = f"each{level}", of.element or ""
        if sql_type(type_name).family is Family.JSON:
            item, source = f"{name}.v", f"{call('unnest', reference)} WITH ORDINALITY AS {name}(v, at)"
        else:
            item, source = (
                f"{_base(reference)}[{name}.at]",
                f"{call('generate_subscripts', reference, '1')} AS {name}(at)",
            )
        element = self.value(item, type_name, parts, level + 1)
        return None if element is None else of.cast(each(reference, element, source=source, order=f"{name}.at"))

    def _composite(
        self, reference: str, of: SqlType, fields: tuple[tuple[str, str], ...], parts: Parts, level: int
    ) -> str | None:
        """`ROW(...)` of all fields; a composite that is NULL stays so, one whose fields are all NULL is rebuilt."""
        names = {name for name, _ in fields}
        if any(path[0].json or path[0].name not in names for path, _ in parts):
            return None
        items = []
        for name, type_name in fields:
            item: str | None = f"{_base(reference)}.{identifier(name)}"
            mine = [(path[1:], mask) for path, mask in parts if path[0].name == name]
            if mine:
                item = self.value(str(item), type_name, mine, level)
                item = sql_type(type_name).null() if item is None else item
            items.append(str(item))
        row = cast(f"ROW({', '.join(items)})", of.sql)
        return case((op(call("num_nulls", reference), "=", "1"), "NULL"), otherwise=row)


def _base(reference: str) -> str:
    """What a field or subscript may follow: `(t."c")`; several in a row follow one pair of parentheses."""
    return reference if reference.startswith("(") else f"({reference})"


# JSON.


def _json(reference: str, of: SqlType, parts: Parts) -> str | None:
    """One part after the other, each reading what the one before it made."""
    if not all(step.json for path, _ in parts for step in path):
        return None
    document = reference if of.base == "jsonb" else _as_jsonb(reference)
    steps = [f"(SELECT {document} AS v OFFSET 0) AS part0"]
    for number, (path, mask) in enumerate(parts, 1):
        steps.append(f"LATERAL ({_level(f'part{number - 1}.v', path, mask, 1)}) AS part{number}")
    masked = f"CASE WHEN part0.v IS NOT NULL THEN part{len(parts)}.v END"
    return f"(SELECT {cast(masked, of.sql)} FROM {', '.join(steps)})"


def _level(document: str, path: Path, mask: Mask, depth: int) -> str:
    """A SELECT of one row: `document` with what `path` leads to masked, in each of its elements if it is an array.

    What is no array is mapped as an array of one and then taken out again, so that the mask stands there once.
    """
    e, below = f"e{depth}", f"below{depth}"
    key = literal(path[0].name)
    is_array = op(call("jsonb_typeof", document), "=", "'array'")
    elements = case((is_array, document), otherwise=call("jsonb_build_array", document))
    child = f"{e}.v OPERATOR(pg_catalog.->) {key}"
    rest = _level(f"({child})", path[1:], mask, depth + 1) if path[1:] else _leaf(child, mask)
    kind = call("jsonb_typeof", f"{e}.v")
    is_object = op(kind, "=", "'object'")
    mapped = case(
        # A string may equal a key for `?`, and an array may hold one: only an object has keys.
        (
            f"{is_object} AND {op(f'{e}.v', '?', key)}",
            op(f"{e}.v", "||", call("jsonb_build_object", key, f"{below}.v")),
        ),
        (op(kind, "=", "ANY(ARRAY['object', 'null'])"), f"{e}.v"),
        otherwise=_NULL,
    )
    array = f"COALESCE(pg_catalog.jsonb_agg({mapped} ORDER BY {e}.at), CAST('[]' AS pg_catalog.jsonb))"
    taken = case((is_array, "CAST('{}' AS pg_catalog.text[])"), otherwise="CAST('{0}' AS pg_catalog.text[])")
    source = f"{call('jsonb_array_elements', elements)} WITH ORDINALITY AS {e}(v, at)"
    return f"SELECT {op(array, '#>', taken)} AS v FROM {source}, LATERAL ({rest}) AS {below}"


def _leaf(value: str, mask: Mask) -> str:
    """A SELECT of the masked value of a key: of a string as text, of a number for masks of numbers only; what the mask
    does not know becomes JSON null."""
    inner = f"({value})"
    if isinstance(mask, Constant):
        return f"SELECT {call('to_jsonb', mask.expression('NULL', 'text'))} AS v"
    kind = call("jsonb_typeof", inner)
    if isinstance(mask, SqlMask) and mask.reads("numeric") and not mask.reads("text"):
        wanted, of, read = "'number'", "numeric", cast(inner, "numeric")
    else:
        wanted, of, read = "'string'", "text", op(inner, "#>>", "CAST('{}' AS pg_catalog.text[])")
    known = case((op(kind, "=", wanted), read), otherwise="NULL")
    masked = call("to_jsonb", mask.expression("leaf.v", of))
    kept = case(("leaf.v IS NULL", _NULL), otherwise=f"COALESCE({masked}, {_NULL})")
    return f"SELECT {kept} AS v FROM (SELECT {known} AS v) AS leaf"


LONGEST_JSON = 10 * LONGEST
"""Characters of a column of type json that patterns look at; a longer one reads as NULL."""
_SURROGATES = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_STRING = r'"(?:[^"\\]|\\.)*"'


def _as_jsonb(reference: str) -> str:
    """A json as jsonb; NULL where jsonb might not take what json has: null characters, halves of surrogate pairs,
    escapes outside the database's encoding, and numbers beyond numeric.

    https://www.postgresql.org/docs/current/datatype-json.html
    """
    text = cast(reference, "pg_catalog.text")
    # Escaped backslashes go first, so that each backslash that is left begins an escape.
    escapes = call("replace", text, literal("\\\\"), "' '")
    other_encoding = op(call("getdatabaseencoding"), "<>", "'UTF8'")
    has_escapes = matches(escapes, r"\\u")
    return case(
        (op(call("length", text), ">", str(LONGEST_JSON)), "NULL"),
        (matches(replaced(escapes, _SURROGATES, ""), r"\\u(?:0000|[dD][89a-fA-F])"), "NULL"),
        (f"{other_encoding} AND {has_escapes}", "NULL"),
        (matches(replaced(text, _STRING, ""), "[eE][-+]?[0-9]{4}|[0-9]{250}"), "NULL"),
        otherwise=cast(reference, "pg_catalog.jsonb"),
    )
