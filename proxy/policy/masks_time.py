"""The masks of dates and timestamps: year, month.

Each sets a value back to the first moment of its period, in UTC where the type has a time zone, so that the session's
zone has no part in it. Times of day and intervals have no period and read as NULL, like every other type.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from proxy.policy.maskbase import SqlMask, call, case, cast, literal, op
from proxy.policy.masktypes import Family, SqlType


class _Period(SqlMask):
    """A date or timestamp becomes the first day of its period; infinity stays.

    The types begin on 24 November 4713 BC (https://www.postgresql.org/docs/current/datatype-datetime.html): what lies
    before `second`, in the first period, becomes that day.
    """

    unit: ClassVar[str]
    second: ClassVar[str]
    """The day, BC, on which the second period of the types begins."""

    @abstractmethod
    def _day(self, column: str) -> str:
        """SQL for the first day of the period that a date is in."""

    def _other(self, column: str, of: SqlType) -> str | None:
        if of.family is Family.DATE:
            return self._guarded(column, "pg_catalog.date", self._day(column))
        if of.family is Family.TIMESTAMP:
            return self._guarded(column, of.base, call("date_trunc", literal(self.unit), column))
        if of.family is Family.TIMESTAMPTZ:
            in_utc = call("date_trunc", literal(self.unit), call("timezone", "'UTC'", column))
            return self._guarded(column, of.base, call("timezone", "'UTC'", in_utc))
        return None

    def _guarded(self, column: str, of: str, truncated: str) -> str:
        """`make_date` takes no infinity, and the first period begins before the first day that the types have."""
        zone = "+00" if of == "timestamp with time zone" else ""
        clock = "" if of == "pg_catalog.date" else f" 00:00:00{zone}"
        return case(
            (f"NOT {call('isfinite', column)}", column),
            (op(column, "<", cast(f"'{self.second}{clock} BC'", of)), cast(f"'4713-11-24{clock} BC'", of)),
            otherwise=truncated,
        )


def _field(name: str, column: str) -> str:
    return cast(call("extract", literal(name), column), "integer")


@dataclass(frozen=True, slots=True)
class Year(_Period):
    """A date or timestamp becomes the first of January of its year; of its year in UTC, with a time zone.

    infinity stays. In 4713 BC, where the types begin, it is their first day, 24 November. Reveals the year. Other
    types read as NULL.
    """

    name = "year"
    unit = "year"
    second = "4712-01-01"

    def _day(self, column: str) -> str:
        return call("make_date", _field("year", column), "1", "1")


@dataclass(frozen=True, slots=True)
class Month(_Period):
    """A date or timestamp becomes the first day of its month; of its month in UTC, with a time zone.

    infinity stays. In November 4713 BC, where the types begin, it is their first day, the 24th. Reveals year and
    month. Other types read as NULL.
    """

    name = "month"
    unit = "month"
    second = "4713-12-01"

    def _day(self, column: str) -> str:
        return call("make_date", _field("year", column), _field("month", column), "1")
