"""The SQL masks by name: expressions that PostgreSQL evaluates inside a table's masked view.

`maskbase` says what every expression must be; the masks themselves are in `masks_text`, `masks_time`, `masks_number`,
`masks_hash`, `masks_lookup` and `masks_sql`, and the two simplest are here. It does not know the policy that names
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, TypeAlias

from proxy.policy.maskbase import LONGEST, MaskProblem, SqlMask, literal
from proxy.policy.masks_hash import Hash
from proxy.policy.masks_lookup import Lookup
from proxy.policy.masks_number import Bucket, Round
from proxy.policy.masks_sql import Sql
from proxy.policy.masks_text import KEPT, MAX_SHOWN, Email, Partial, Phone, Redact
from proxy.policy.masks_time import Month, Year
from proxy.policy.masktypes import Family, sql_type
from proxy.settings.nearest import nearest

__all__ = [
    "KEPT",
    "LONGEST",
    "MASKS",
    "MAX_SHOWN",
    "PLANNED_MASKS",
    "Constant",
    "MaskProblem",
    "Null",
    "Parameter",
    "SqlMask",
    "build_mask",
    "literal",
    "parameters",
]

Parameter: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Null(SqlMask):
    """NULL of the column's type. Reveals nothing."""

    name = "null"


@dataclass(frozen=True, slots=True)
class Constant(SqlMask):
    """The same value in every row, NULL or not. Reveals nothing."""

    value: str

    name = "constant"

    def __post_init__(self) -> None:
        if "\0" in self.value:
            raise MaskProblem("no value of PostgreSQL holds a null character", parameter="value")

    def expression(self, column: str, type_name: str) -> str:  # noqa: ARG002 - it reads no column
        of = sql_type(type_name)
        if of.family is Family.BOOLEAN and self.value.lower() in _BOOLEANS:
            # As a string it deparses to a bare true, which parses to another tree.
            return of.cast(_BOOLEANS[self.value.lower()])
        return of.cast(literal(self.value))

    def reads(self, type_name: str) -> bool:
        """Of every type: whether the server takes the value is not to be told from here."""
        return sql_type(type_name) is not None


_BOOLEANS = {"true": "TRUE", "t": "TRUE", "false": "FALSE", "f": "FALSE"}

_ALL = (Null, Constant, Redact, Partial, Email, Phone, Year, Month, Bucket, Round, Hash, Lookup, Sql)
MASKS: Mapping[str, type[SqlMask]] = {m.name: m for m in _ALL}
PLANNED_MASKS = frozenset({"token", "fpe", "encrypt", "redact_text"})
"""Names that mean something and are not there yet: refused with that hint, not as misspellings."""

_TYPES: Mapping[str, tuple[type, ...]] = {"str": (str, int, float, bool), "int": (int,), "float": (int, float)}
_WORDS = {"str": "a text or a number", "int": "a whole number", "float": "a number"}


def parameters(mask: type[SqlMask]) -> dict[str, Field[Any]]:
    """A mask's parameters by the names that policies give them: `from` is a field `from_`, a word of Python's own."""
    return {f.name.rstrip("_"): f for f in fields(mask)}  # type: ignore[arg-type]


def build_mask(name: str, params: Mapping[str, Parameter]) -> SqlMask:
    """The mask that a rule names, with the parameters of its `with`.

    Raises MaskProblem: an unknown mask or parameter, a parameter of the wrong type, out of range, or missing.
    """
    made = MASKS.get(name)
    if made is None:
        if name in PLANNED_MASKS:
            raise MaskProblem(f"the mask {name} is not implemented yet", f"There is: {', '.join(sorted(MASKS))}.")
        raise MaskProblem(f"unknown mask {name!r}{nearest(name, MASKS)}")
    known = parameters(made)
    arguments = {key: _argument(made, key, value) for key, value in params.items()}
    lacking = [key for key, field in known.items() if field.default is MISSING and key not in arguments]
    if lacking:
        raise MaskProblem(f"the mask {name} needs {lacking[0]}", f"Write `with: {{{lacking[0]}: ...}}`.")
    return made(**{known[key].name: value for key, value in arguments.items()})


def _argument(mask: type[SqlMask], key: str, value: Parameter) -> str | int | float:
    kinds = {name: str(field.type).removesuffix(" | None") for name, field in parameters(mask).items()}
    if not kinds:
        raise MaskProblem(f"the mask {mask.name} takes no parameters", "Leave out `with`.", key)
    if key not in kinds:
        raise MaskProblem(f"unknown parameter {key!r} of the mask {mask.name}{nearest(key, kinds)}", None, key)
    if value is None:
        raise MaskProblem(f"{key} of the mask {mask.name} is null", "The mask for NULL is `null`.", key)
    wanted = _TYPES[kinds[key]]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise MaskProblem(f"{key} of the mask {mask.name} must be {_WORDS[kinds[key]]}", None, key)
    if kinds[key] == "str":
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value if isinstance(value, int | float) else int(value)
