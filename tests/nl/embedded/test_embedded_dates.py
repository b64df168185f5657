"""Periods in words: the days that they cover, as [first, after the last), with 15 June 2025 (a Sunday) as today."""

from __future__ import annotations

from datetime import date

import pytest

from proxy.nl.embedded.dates import DateReader, shift
from proxy.nl.embedded.tokens import tokenize

PERIODS = [
    ("today", "2025-06-15", "2025-06-16"),
    ("yesterday", "2025-06-14", "2025-06-15"),
    ("this week", "2025-06-09", "2025-06-16"),
    ("last week", "2025-06-02", "2025-06-09"),
    ("last week (exclusive of the current week)", "2025-06-02", "2025-06-09"),
    ("this month", "2025-06-01", "2025-07-01"),
    ("last month", "2025-05-01", "2025-06-01"),
    ("previous month", "2025-05-01", "2025-06-01"),
    ("this quarter", "2025-04-01", "2025-07-01"),
    ("last quarter", "2025-01-01", "2025-04-01"),
    ("this year", "2025-01-01", "2026-01-01"),
    ("last year", "2024-01-01", "2025-01-01"),
    ("in the last 30 days", "2025-05-16", "2025-06-16"),
    ("in the past 30 days, inclusive of 30 days ago", "2025-05-16", "2025-06-16"),
    ("in the past 3 months, inclusive of today's date", "2025-03-15", "2025-06-16"),
    ("over the past year", "2024-06-15", "2025-06-16"),
    ("in the past month", "2025-05-15", "2025-06-16"),
    ("in the last 2 weeks", "2025-06-01", "2025-06-16"),
    ("in the last 6 months excluding the current month", "2024-12-01", "2025-06-01"),
    ("in the last 8 weeks, not including this week", "2025-04-14", "2025-06-09"),
    ("in 2024", "2024-01-01", "2025-01-01"),
    ("in the year 2024", "2024-01-01", "2025-01-01"),
    ("during 2024", "2024-01-01", "2025-01-01"),
    ("in March 2025", "2025-03-01", "2025-04-01"),
    ("in Dec 2024", "2024-12-01", "2025-01-01"),
    ("in Feb. 2024", "2024-02-01", "2024-03-01"),
    ("on March 5, 2025", "2025-03-05", "2025-03-06"),
    ("on 5th of March 2025", "2025-03-05", "2025-03-06"),
    ("on 5 March 2025", "2025-03-05", "2025-03-06"),
    ("on 2024-02-29", "2024-02-29", "2024-03-01"),
    ("on 2024/2/9", "2024-02-09", "2024-02-10"),
    ("in Q2 2024", "2024-04-01", "2024-07-01"),
    ("in 2024 Q4", "2024-10-01", "2025-01-01"),
    ("in the first quarter of 2023", "2023-01-01", "2023-04-01"),
    ("in the 1st quarter of last year", "2024-01-01", "2024-04-01"),
    ("in Q1 of this year", "2025-01-01", "2025-04-01"),
    ("since 2024", "2024-01-01", None),
    ("since March 2025", "2025-03-01", None),
    ("since last month", "2025-05-01", None),
    ("since yesterday", "2025-06-14", None),
    ("starting from 2024-05-01", "2024-05-01", None),
    ("after 2023-05-01", "2023-05-02", None),
    ("after 2023", "2024-01-01", None),
    ("on or after Apr 1, 2023", "2023-04-01", None),
    ("before 2023-05-01", None, "2023-05-01"),
    ("prior to May 1, 2023", None, "2023-05-01"),
    ("before this year", None, "2025-01-01"),
    ("before 30 days ago", None, "2025-05-16"),
    ("until March 31, 2023", None, "2023-04-01"),
    ("up to 2023-03-31", None, "2023-04-01"),
    ("on or before 2023-03-31", None, "2023-04-01"),
    ("between Jan 1, 2023 and Mar 31, 2023", "2023-01-01", "2023-04-01"),
    ("between Jan 1, 2023 and Mar 31, 2023 (inclusive of start and end dates)", "2023-01-01", "2023-04-01"),
    ("between Jan 1 and Mar 31, 2023", "2023-01-01", "2023-04-01"),
    ("between 2022 and 2023", "2022-01-01", "2024-01-01"),
    ("between 2022 and 2023 (both inclusive)", "2022-01-01", "2024-01-01"),
    ("from January to March 2024", "2024-01-01", "2024-04-01"),
    ("from April 1 2023 to April 4 2023", "2023-04-01", "2023-04-05"),
    ("from 2023-01-01 until 2023-02-28", "2023-01-01", "2023-03-01"),
    ("from 2023", "2023-01-01", "2024-01-01"),
]

NOT_PERIODS = [
    "in March",
    "on Monday",
    "in 202",
    "in 2024.5",
    "in 2,024",
    "on 2023-02-30",
    "on Feb 30, 2023",
    "on 31 June 2023",
    "between 2024 and 2023",
    "between 2024-05-01",
    "in the last 0 days",
    "in the next month",
    "this 3 days",
    "since Christmas",
    "in 99999 days",
    "in the last 99999999999 years",
    "at 2024",
    "last",
    "",
]


def read(text: str) -> tuple[date | None, date | None] | None:
    tokens = tokenize(text)
    found = DateReader(tokens, date(2025, 6, 15)).period(0)
    if found is None or found[1] != len(tokens):
        return None
    return found[0].start, found[0].end


@pytest.mark.parametrize(("text", "start", "end"), PERIODS)
def test_a_period_covers_its_days(text: str, start: str | None, end: str | None) -> None:
    expected = tuple(None if d is None else date.fromisoformat(d) for d in (start, end))
    assert read(text) == expected


@pytest.mark.parametrize("text", NOT_PERIODS)
def test_what_is_no_period_is_not_read_as_one(text: str) -> None:
    assert read(text) is None


def test_a_month_back_from_a_long_month_ends_with_the_short_one() -> None:
    assert shift(date(2025, 3, 31), "month", -1) == date(2025, 2, 28)
    assert shift(date(2024, 2, 29), "year", -1) == date(2023, 2, 28)
