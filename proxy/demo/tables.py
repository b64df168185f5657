"""What the generators make, and the days that they put it on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TypeVar

T = TypeVar("T")

YEARS = 3
"""Whole years of history before the current one."""


@dataclass(frozen=True, slots=True)
class TableData:
    """Rows of one table, with Python values that PostgreSQL's binary COPY takes."""

    schema: str
    name: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]

    @property
    def qualified(self) -> str:
        return f"{self.schema}.{self.name}"


def table(qualified: str, columns: str, rows: Sequence[tuple[object, ...]]) -> TableData:
    """`qualified` is `schema.name`; `columns` are names with spaces between."""
    schema, name = qualified.split(".")
    return TableData(schema, name, tuple(columns.split()), rows)


class Distinct:
    """Draws again what it gave before: for columns under a unique constraint."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, draw: Callable[[], str]) -> str:
        while (value := draw()) in self._given:
            pass
        self._given.add(value)
        return value


def money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


class Timeline:
    """Days from the first of January three years before `as_of` until `as_of`, more and more of them."""

    def __init__(self, rng: Random, as_of: date) -> None:
        self._rng = rng
        self.as_of = as_of
        self.start = date(as_of.year - YEARS, 1, 1)

    def days(self, count: int) -> list[date]:
        """`count` days in order: business grows, so later days are likelier. None of `as_of` itself."""
        span = (self.as_of - self.start).days
        return sorted(self.start + timedelta(days=int(span * self._rng.random() ** 0.6)) for _ in range(count))

    def early_days(self, count: int) -> list[date]:
        """`count` days in order, half of them in the two years before the start: there is somebody to begin with."""
        before = [self.start - timedelta(days=self._rng.randrange(1, 730)) for _ in range(count // 2)]
        return sorted(before) + self.days(count - len(before))

    def moment(self, day: date) -> datetime:
        """Some time of `day` in opening hours, UTC."""
        seconds = self._rng.randrange(4 * 3600, 16 * 3600)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)

    def later(self, day: date, most: int) -> date:
        """Up to `most` days after `day`, and before `as_of`."""
        return min(day + timedelta(days=self._rng.randrange(most + 1)), self.as_of - timedelta(days=1))

    def birth_date(self, youngest: int, oldest: int) -> date:
        """Of somebody between these ages, in years."""
        return self.as_of - timedelta(days=self._rng.randrange(youngest * 366, oldest * 365))


def existing(rng: Random, things: Sequence[T], since: Sequence[date], day: date) -> T:
    """One of the things that are there on `day`; `since` are their first days, in order. The first is always."""
    return things[rng.randrange(max(1, bisect_right(since, day)))]
