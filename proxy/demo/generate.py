"""The demo database's rows, made from a seed and a day.

The same seed, day and release of Faker (its name lists) give the same rows. The day is an input because
questions such as "orders last month" need rows that end where the questions are asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from random import Random

from proxy.demo.clinic import Clinic
from proxy.demo.people import People
from proxy.demo.shop import Shop
from proxy.demo.tables import TableData, Timeline

SEED = 20240229


def generate(as_of: date, seed: int = SEED) -> Iterator[TableData]:
    """Every table's rows, each after those that its foreign keys refer to. No row is of `as_of` or later."""
    rng = Random(seed)  # noqa: S311
    people = People(rng)
    timeline = Timeline(rng, as_of)
    yield from Shop(rng, people, timeline).tables()
    yield from Clinic(rng, people, timeline).tables()
