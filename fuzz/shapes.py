"""A veil that knows shapes held against one that decides on every text afresh."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from random import Random

from proxy.policy.decide import Veil
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import Identity
from proxy.policy.shapes import SHAPED_TEXT, holes

VALUES = (
    "0",
    "1",
    "2",
    "3",
    "4",
    "7",
    "24",
    "25",
    "53",
    "54",
    "300",
    "1664",
    "99999",
    "100001",
    "2147483",
    "999999999",
)


def varied(sql: str, random: Random, kept: Collection[int] = ()) -> str:
    """The text with another integer in each hole: positions, lengths of types and what stands in comments too.

    Args:
        kept: the numbers of holes that stay as they are.
    """
    parts: list[str] = []
    at = 0
    for number, (start, end) in enumerate(holes(sql)):
        parts += (sql[at:start], sql[start:end] if number in kept else random.choice(VALUES))
        at = end
    return "".join((*parts, sql[at:]))


class TwoVeils:
    """The same decisions twice. `shaped` counts those that were made from a shape."""

    def __init__(self, veil: Veil) -> None:
        self._warm = Veil(veil.policy, veil.catalog, on_floor=veil.on_floor)
        self.cold = Veil(veil.policy, veil.catalog, on_floor=veil.on_floor, cache_size=0)
        self.policy = veil.policy
        self.decided = 0
        self.shaped = 0

    def decide(
        self,
        sql: str,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Plan | Refusal:
        """The decision. AssertionError where the two differ in anything that can be told."""
        known = self._warm._plans.get((self._warm.desk(identity, search_path, temps, types), False, sql))
        before = self._warm.afresh
        found = self._warm.decide(sql, identity, search_path, temps, types)
        wanted = self.cold.decide(sql, identity, search_path, temps, types)
        self.decided += 1
        self.shaped += known is None and self._warm.afresh == before
        assert_same(found, wanted)
        return found

    def vary(self, sql: str, identity: Identity, search_path: tuple[str, ...], seed: object, times: int = 6) -> None:
        """Decides on the text, and on the same text with other integers, some often enough to be shapes."""
        if not holes(sql) or len(sql) > SHAPED_TEXT:
            return
        random = Random(str(seed))
        texts = [sql, *(varied(sql, random) for _ in range(times))]
        for text in (*texts, *(varied(text, random) for text in texts)):
            self.decide(text, identity, search_path)


def assert_same(found: Plan | Refusal, wanted: Plan | Refusal) -> None:
    if isinstance(found, Refusal) or isinstance(wanted, Refusal):
        assert found == wanted
        return
    # A tree that was written out has markers that nobody can know: two of one text differ in them.
    assert bool(found.tree) == bool(wanted.tree)
    for one, other in ((f.name, getattr(wanted, f.name)) for f in fields(Plan)):
        assert one == "tree" or getattr(found, one) == other, (one, wanted.original or wanted.sql)
    if not wanted.tree:
        assert replace(found, tree=b"") == replace(wanted, tree=b"")
        # Positions move at cuts only.
        edges = {1, len(wanted.sql) + 1, *(at for start, length, _ in wanted.cuts for at in (start, start + length))}
        places = sorted({at + step for at in edges for step in (-1, 0, 1, 2) if at + step > 0})
        assert [found.original_position(p) for p in places] == [wanted.original_position(p) for p in places]
