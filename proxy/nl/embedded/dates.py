"""Dates and periods in words: from tokens to half-open ranges of days, computed from `today`.

Every range is [start, end): a day is one day long, "until March 31" ends before April 1. Weeks begin on Monday
(ISO 8601). `last month` is the calendar month before this one; `the last 30 days` and `the past month` are counted
back from today, and today belongs to them. It does not know which column a period is about.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta

from proxy.nl.embedded.tokens import Kind, Token

MONTHS = (
    {name.lower(): n for n, name in enumerate(calendar.month_name) if name}
    | {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
    | {"sept": 9}
)
UNITS = {unit + ending: unit for unit in ("day", "week", "month", "quarter", "year") for ending in ("", "s")}
_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
_QUARTERS = {f"q{n}": n for n in range(1, 5)}
_MIN_YEAR, _MAX_YEAR = 1900, 2199
_WEEK, _QUARTER_MONTHS, _YEAR_MONTHS = 7, 3, 12
_PUNCTUATION = frozenset({",", "."})


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `start` up to but not including `end`; None is open on that side."""

    start: date | None
    end: date | None


Found = tuple[Period, int]
"""A period and the index of the token after it."""


class DateReader:
    """Reads periods from a question's tokens. Each method takes an index and gives a Found or None."""

    def __init__(self, tokens: tuple[Token, ...], today: date) -> None:
        self._tokens = tokens
        self._today = today

    def period(self, at: int) -> Found | None:
        """A period with its preposition, such as `since 2024`, `in March 2025`, `last month`, `between X and Y`."""
        word = self._word(at)
        if word in {"between", "from"}:
            return self._between(at)
        two = (word, self._word(at + 1))
        if two in {("on", "or"), ("in", "or")} and self._word(at + 2) in {"after", "before"}:
            return self._bounded(at + 3, self._word(at + 2), inclusive=True)
        if two in {("prior", "to"), ("up", "to"), ("earlier", "than"), ("later", "than")}:
            names = {"prior": "before", "up": "until", "earlier": "before", "later": "after"}
            return self._bounded(at + 2, names[word], inclusive=False)
        if word in {"since", "after", "before", "until", "till", "through", "starting"}:
            return self._bounded(at + (2 if two == ("starting", "from") else 1), word, inclusive=False)
        if word in {"in", "on", "during", "within", "for", "of"} or two == ("over", "the"):
            return self.bare(self._skip(at + 1))
        return self.bare(at)

    def bare(self, at: int) -> Found | None:
        """A period by itself: `2024`, `March 2025`, `last month`, `the last 30 days`, `today`."""
        at = self._skip(at)
        return self._relative(at) or self._whole(at)

    def _bounded(self, at: int, word: str, *, inclusive: bool) -> Found | None:
        found = self._whole(self._skip(at)) or self._relative_point(self._skip(at))
        if found is None:
            return None
        period, end = found
        if word in {"since", "starting"} or (word == "after" and inclusive):
            return Period(period.start, None), end
        if word == "after":
            return Period(period.end, None), end
        if word in {"until", "till", "through"} or inclusive:
            return Period(None, period.end), end
        return Period(None, period.start), end

    def _between(self, at: int) -> Found | None:
        first = self._whole(self._skip(at + 1)) or self._relative_point(self._skip(at + 1))
        first = first or self._yearless(at + 1)
        if first is None:
            return self.bare(at + 1) if self._word(at) == "from" else None
        period, here = first
        if self._text(here) == "," and self._word(here + 1) == "and":
            here += 1
        joins = {"between": {"and"}, "from": {"to", "until", "till", "through", "-", "–"}}[self._word(at)]
        if self._word(here) not in joins:
            return first if self._word(at) == "from" and self._is_range(period) else None
        second = self._whole(self._skip(here + 1)) or self._relative_point(self._skip(here + 1))
        if second is None or period.start is None or second[0].end is None or period.start >= second[0].end:
            return None
        return Period(period.start, second[0].end), self._both_inclusive(second[1])

    def _both_inclusive(self, at: int) -> int:
        """`(inclusive)` and `(inclusive of start and end dates)` say what is so anyway."""
        here = at + 1 if self._text(at) in {",", "("} else at
        for words in (
            "both inclusive", "inclusive of start and end dates", "inclusive of both dates", "inclusive of both",
            "inclusive of the start and end dates", "inclusive",
        ):  # fmt: skip
            length = len(words.split())
            if [self._word(here + i) for i in range(length)] == words.split():
                return here + length + (self._text(here + length) == ")")
        return at

    def _yearless(self, at: int) -> Found | None:
        """`Jan 1 and Mar 31, 2023`, `January to March 2024`: the first date takes the second one's year."""
        at = self._skip(at)
        if self._word(at) not in MONTHS:
            return None
        day_at = at + 1 if self._day(at + 1) is not None else at
        if self._word(day_at + 1) not in {"and", "to", "until", "till", "through", "-", "–"}:
            return None
        other = self._whole(self._skip(day_at + 2))
        if other is None or other[0].start is None:
            return None
        month = MONTHS[self._word(at)]
        day = self._day(at + 1) if day_at > at else None
        found = self._day_of(other[0].start.year, month, day) if day else _month(other[0].start.year, month)
        return (found, day_at + 1) if found else None

    @staticmethod
    def _is_range(period: Period) -> bool:
        return bool(period.start and period.end and (period.end - period.start).days > 1)

    def _whole(self, at: int) -> Found | None:
        """A named day, month, quarter or year."""
        return self._iso(at) or self._month_first(at) or self._day_first(at) or self._quarter(at) or self._year(at)

    def _iso(self, at: int) -> Found | None:
        if at >= len(self._tokens) or self._tokens[at].kind is not Kind.DATE:
            return None
        try:
            day = date(*(int(p) for p in self._tokens[at].text.split("-")))
        except ValueError:
            return None
        return Period(day, day + timedelta(1)), at + 1

    def _month_first(self, at: int) -> Found | None:
        """`March 2025`, `March 5, 2025`, `March 5th 2025`."""
        month = MONTHS.get(self._word(at))
        if month is None:
            return None
        here = at + 2 if self._text(at + 1) == "." else at + 1
        day = self._day(here)
        if day is not None:
            year_at = here + 2 if self._text(here + 1) == "," else here + 1
            year = self._year_number(year_at)
            found = self._day_of(year, month, day) if year else None
            return (found, year_at + 1) if found else None
        here = here + 1 if self._text(here) == "," or self._word(here) == "of" else here
        year = self._year_number(here)
        return (_month(year, month), here + 1) if year else None

    def _day_first(self, at: int) -> Found | None:
        """`5 March 2025`, `5th of March 2025`."""
        day = self._day(at)
        month_at = at + 2 if self._word(at + 1) == "of" else at + 1
        month = MONTHS.get(self._word(month_at))
        year_at = month_at + 2 if self._text(month_at + 1) == "," else month_at + 1
        year = self._year_number(year_at)
        if day is None or month is None or year is None:
            return None
        found = self._day_of(year, month, day)
        return (found, year_at + 1) if found else None

    def _quarter(self, at: int) -> Found | None:
        """`Q2 2024`, `the second quarter of 2024`, `2024 Q2`, `Q2 of this year`."""
        quarter, here = _QUARTERS.get(self._word(at)), at + 1
        if quarter is None and self._word(at) in _ORDINALS and self._word(at + 1) == "quarter":
            quarter, here = _ORDINALS[self._word(at)], at + 2
        if quarter is None:
            year, later = self._year_number(at), _QUARTERS.get(self._word(at + 1))
            return (_quarter(year, later), at + 2) if year and later else None
        here = self._skip(here + 1 if self._word(here) in {"of", "in"} else here)
        year = self._year_number(here)
        if year is not None:
            return _quarter(year, quarter), here + 1
        if self._word(here + 1) == "year" and self._word(here) in {"this", "last"}:
            return _quarter(self._today.year - (self._word(here) == "last"), quarter), here + 2
        return None

    def _year(self, at: int) -> Found | None:
        """`2024`, `the year 2024`."""
        here = at + 1 if self._word(at) == "year" else at
        year = self._year_number(here)
        return (Period(date(year, 1, 1), date(year + 1, 1, 1)), here + 1) if year else None

    def _relative_point(self, at: int) -> Found | None:
        """`today`, `last month`, `30 days ago`: what can stand after since, before, between."""
        word = self._word(at)
        if word in {"today", "yesterday"} or word in {"last", "this", "previous", "current"}:
            return self._relative(at)
        count, unit = self._count(at), UNITS.get(self._word(at + 1))
        if count is not None and unit and self._word(at + 2) == "ago":
            day = shift(self._today, unit, -count)
            return Period(day, day + timedelta(1)), at + 3
        return None

    def _relative(self, at: int) -> Found | None:
        word = self._word(at)
        if word in {"today", "yesterday"}:
            day = self._today - timedelta(word == "yesterday")
            return Period(day, day + timedelta(1)), at + 1
        if word not in {"this", "current", "last", "previous", "past", "prior"}:
            return None
        count, unit = self._count(at + 1), UNITS.get(self._word(at + 2))
        if count is not None and unit:
            return self._counted(word, count, unit, at + 3)
        unit = UNITS.get(self._word(at + 1))
        if unit is None or self._word(at + 1).endswith("s"):
            return None
        if word in {"this", "current"}:
            return unit_of(self._today, unit), at + 2
        if word == "past":
            return self._counted(word, 1, unit, at + 2)
        end = self._excluding_current(at + 2, unit) or at + 2
        return unit_of(unit_start(self._today, unit) - timedelta(1), unit), end

    def _counted(self, word: str, count: int, unit: str, at: int) -> Found | None:
        """`last 30 days`: from that many days before today to today; without the current unit where it says so."""
        if count == 0 or word in {"this", "current"}:
            return None
        excluded = self._excluding_current(at, unit)
        if excluded is not None:
            start = unit_start(self._today, unit)
            return Period(shift(start, unit, -count), start), excluded
        start = shift(self._today, unit, -count)
        return Period(start, self._today + timedelta(1)), self._inclusive(at, start)

    def _excluding_current(self, at: int, unit: str) -> int | None:
        """`, excluding the current month`, `(not including this month)`."""
        here = at + 1 if self._text(at) in {",", "("} else at
        for words in (("excluding",), ("not", "including"), ("exclusive", "of")):
            if tuple(self._word(here + i) for i in range(len(words))) == words:
                here = self._skip(here + len(words))
                if self._word(here) in {"current", "this"} and self._word(here + 1) == unit:
                    return here + 2 + (self._text(here + 2) == ")")
        return None

    def _inclusive(self, at: int, start: date) -> int:
        """`, inclusive of 30 days ago` and `(inclusive of today)` say what is so anyway."""
        here = at + 1 if self._text(at) in {",", "("} else at
        if self._word(here) != "inclusive":
            return at
        here = here + 2 if self._word(here + 1) == "of" else here + 1
        point = self._relative_point(self._skip(here))
        if point is None or point[0].start not in {self._today, start}:
            return at
        here = point[1]
        if self._text(here) == "'s" and self._word(here + 1) == "date":
            here += 2
        return here + (self._text(here) == ")")

    def _day_of(self, year: int, month: int, day: int) -> Period | None:
        try:
            start = date(year, month, day)
        except ValueError:
            return None
        return Period(start, start + timedelta(1))

    def _count(self, at: int) -> int | None:
        if at < len(self._tokens) and self._tokens[at].kind is Kind.NUMBER and self._tokens[at].text.isdigit():
            number = int(self._tokens[at].text)
            return number if number <= 10_000 else None  # noqa: PLR2004
        return None

    def _day(self, at: int) -> int | None:
        word = self._text(at)
        digits = word[:-2] if word[-2:] in {"st", "nd", "rd", "th"} else word
        return int(digits) if digits.isascii() and digits.isdigit() and 1 <= int(digits) <= 31 else None  # noqa: PLR2004

    def _year_number(self, at: int) -> int | None:
        text = self._text(at)
        bare = at < len(self._tokens) and self._tokens[at].raw == text
        return int(text) if bare and len(text) == 4 and text.isdigit() and _MIN_YEAR <= int(text) <= _MAX_YEAR else None  # noqa: PLR2004

    def _skip(self, at: int) -> int:
        return at + 1 if self._word(at) == "the" else at

    def _text(self, at: int) -> str:
        return self._tokens[at].text if 0 <= at < len(self._tokens) else ""

    def _word(self, at: int) -> str:
        return self._text(at) if 0 <= at < len(self._tokens) and self._tokens[at].kind is not Kind.STRING else ""


def unit_start(day: date, unit: str) -> date:
    """The first day of the calendar unit that holds `day`."""
    if unit == "week":
        return day - timedelta(day.weekday())
    if unit == "month":
        return day.replace(day=1)
    if unit == "quarter":
        return date(day.year, (day.month - 1) // _QUARTER_MONTHS * _QUARTER_MONTHS + 1, 1)
    return date(day.year, 1, 1) if unit == "year" else day


def unit_of(day: date, unit: str) -> Period:
    """The calendar unit that holds `day`."""
    start = unit_start(day, unit)
    return Period(start, shift(start, unit, 1))


def shift(day: date, unit: str, count: int) -> date:
    """`count` units later; a day that the month does not have becomes its last, as PostgreSQL's intervals do."""
    if unit in {"day", "week"}:
        return day + timedelta(count * (_WEEK if unit == "week" else 1))
    months = {"month": 1, "quarter": _QUARTER_MONTHS, "year": _YEAR_MONTHS}[unit] * count
    year, month = divmod(day.year * _YEAR_MONTHS + day.month - 1 + months, _YEAR_MONTHS)
    year = min(max(year, 1), 9998)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _month(year: int, month: int) -> Period:
    return unit_of(date(year, month, 1), "month")


def _quarter(year: int, quarter: int) -> Period:
    return unit_of(date(year, quarter * _QUARTER_MONTHS - 2, 1), "quarter")
