"""Function signatures as policies spell them, brought to the catalogue's spelling.

`public.f(int, VARCHAR(10), timestamptz)` is `public.f(integer, character varying, timestamp with time zone)`: what
format_type prints, without modifiers and without VARIADIC. Schema and function stand as the catalogue has them; types
are SQL's, so they fold to lower case unless quoted, and one outside pg_catalog carries its schema.

It does not know which functions or types exist: `check` compares with the catalogue.
"""

from __future__ import annotations

import re

ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int2": "smallint",
    "int8": "bigint",
    "float": "double precision",
    "float8": "double precision",
    "float4": "real",
    "bool": "boolean",
    "varchar": "character varying",
    "char varying": "character varying",
    "char": "character",
    "bpchar": "character",
    "nchar": "character",
    "national character": "character",
    "dec": "numeric",
    "decimal": "numeric",
    "varbit": "bit varying",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
}
"""https://www.postgresql.org/docs/current/datatype.html, table 8.1, and the names in pg_type."""

_SIGNATURE = re.compile(r"(?P<schema>[^\s.(),\"]+)\.(?P<name>[^\s.(),\"]+)\s*\((?P<arguments>.*)\)", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"]|"")+"|\([^()"]*\)|[\w$]+|\.|\[\s*\]|\s+')
_TYPE = re.compile(r'(?:variadic )?(?:[\w$ ]+|"(?:[^"]|"")+")(?:\.(?:[\w$]+|"(?:[^"]|"")+"))?(?:\[\])?')


def normalised(signature: str) -> str:
    """`schema.name(type, type)` as `UserFunction.signature` has it.

    Raises ValueError, its text saying what a signature looks like.
    """
    match = _SIGNATURE.fullmatch(signature.strip())
    if match is None:
        raise ValueError(f"{signature!r} is not schema.function(type, type)")
    if set(match["schema"] + match["name"]) & set("*?["):
        raise ValueError(f"{signature!r} is a pattern: each function is trusted by its whole signature")
    arguments = match["arguments"].strip()
    types = [_type(part, signature) for part in _split(arguments)] if arguments else []
    return f"{match['schema']}.{match['name']}({', '.join(types)})"


def _split(arguments: str) -> list[str]:
    """At commas outside quotes and parentheses: numeric(10,2) is one type."""
    parts, depth, quoted = [""], 0, False
    for character in arguments:
        quoted ^= character == '"'
        if not quoted:
            depth += (character == "(") - (character == ")")
        if character == "," and not quoted and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _type(text: str, signature: str) -> str:
    found, at = "", 0
    for match in _TOKEN.finditer(text):
        if match.start() != at:
            break
        at = match.end()
        token = match[0]
        if token.startswith("("):
            continue
        found += re.sub(r"\s", "", token) if token.startswith("[") else _folded(token)
    found = found.strip()
    if at != len(text) or not found:
        raise ValueError(f"{signature!r} has an argument that is no type: {text.strip()!r}")
    name = re.sub(r" *(\.|\[\]) *", r"\1", re.sub(r" +", " ", found))
    name = re.sub(r"(\[\])+", "[]", name)  # PostgreSQL does not tell arrays apart by their dimensions
    if _TYPE.fullmatch(name) is None:
        raise ValueError(f"{signature!r} has an argument that is no type: {text.strip()!r}")
    base, array = name.removeprefix("variadic ").removeprefix("pg_catalog."), ""
    if base.endswith("[]"):
        base, array = base[:-2], "[]"
    return f"{ALIASES.get(base, base)}{array}"


def _folded(token: str) -> str:
    if token.startswith('"'):
        plain = re.fullmatch(r'"([a-z_][a-z0-9_]*)"', token)
        # "char" is another type than char; any other quoted name that needs no quotes loses them, as in format_type.
        return plain[1] if plain and plain[1] not in ALIASES else token
    return " " if token.isspace() else token.lower()
