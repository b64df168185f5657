"""The mask lookup: a replacement for each value, from a table that the DBA keeps.

The table is read below the veil, so nothing of it needs a rule. Values are compared by pg_catalog's own operators,
under the default collation, so an index on the column `from` is used; a table whose columns have other types makes
every statement that reads the masked column fail, whatever the values are.

It does not know the table: whether it is there, and whether `from` is unique, is for whoever has the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.policy.catalog import Name
from proxy.policy.maskbase import MaskProblem, SqlMask, call, case, identifier, literal, op
from proxy.policy.masks_number import within
from proxy.policy.masktypes import Family, SqlType

_NUMBERS = {Family.INTEGER, Family.NUMERIC}


@dataclass(frozen=True, slots=True)
class Lookup(SqlMask):
    """The value's replacement: `to` of the row of `table` whose `from` is the value; `default`, or NULL, where there is
    no such row. Of several rows the least `to` that is not NULL. Reveals the replacement. Knows text, smallint,
    integer, bigint, numeric and uuid; other types read as NULL."""

    table: str
    from_: str
    to: str
    default: str | None = None

    name = "lookup"

    def __post_init__(self) -> None:
        parts = self.table.split(".")
        if len(parts) != 2 or not all(parts):  # noqa: PLR2004 - schema and table
            raise MaskProblem("table must be schema.table", 'For example "masking.cities".', "table")
        for parameter, value in (("table", self.table), ("from", self.from_), ("to", self.to)):
            if not value or "\0" in value:
                raise MaskProblem(f"{parameter} must be a name", parameter=parameter)
        if self.default is not None and "\0" in self.default:
            raise MaskProblem("no value of PostgreSQL holds a null character", parameter="default")

    @property
    def relation(self) -> Name:
        """(schema, table), as the catalogue has them."""
        schema, table = self.table.split(".")
        return schema, table

    def _text(self, text: str) -> str:
        found = f'COALESCE(mapping.{identifier(self.to)}, CAST(NULL AS pg_catalog.text)) COLLATE pg_catalog."C"'
        return self._found(text, f'{text} COLLATE pg_catalog."default"', found)

    def _other(self, column: str, of: SqlType) -> str | None:
        to = f"mapping.{identifier(self.to)}"
        if of.family is Family.UUID:
            return self._found(column, column, f"COALESCE({to}, CAST(NULL AS pg_catalog.uuid))")
        if of.family in _NUMBERS:
            # COALESCE and `trim_scale` take numeric and integers only, and say so before they see a value; a cast would
            # fail on some values.
            number = f"COALESCE({to}, CAST(NULL AS numeric))"
            # NaN and infinity have no place in most types: a row with one is none.
            inside = f" AND {op(call('abs', number), '<', '1e1000')}"
            return self._found(column, column, within(call("trim_scale", number), of), inside)
        return None

    def _found(self, column: str, value: str, found: str, only: str = "") -> str:
        schema, table = map(identifier, self.relation)
        row = (
            f"(SELECT {found} FROM {schema}.{table} AS mapping"
            f" WHERE {op(f'mapping.{identifier(self.from_)}', '=', value)}{only} ORDER BY 1 LIMIT 1)"
        )
        default = row if self.default is None else f"COALESCE({row}, {literal(self.default)})"
        return case((f"{column} IS NULL", "NULL"), otherwise=default)
