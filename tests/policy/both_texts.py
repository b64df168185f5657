"""The two ways to the text that runs, held against each other: what was put into the client's own text must read as the
tree that would have been written out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from proxy.policy import parser, planning
from proxy.policy.context import Context
from proxy.policy.cuts import Cut


@dataclass
class Compared:
    """How many texts were compared, and how many had to be written from their trees."""

    spliced: int = 0
    written: int = 0


@contextmanager
def both_texts_compared() -> Iterator[Compared]:
    """Every plan that is made inside is made both ways; AssertionError where they are not one statement."""
    original = planning.text_of
    seen = Compared()

    def text(sql: str, tree: parser.ParseTree, context: Context, *, deeply: bool) -> tuple[bytes, str, tuple[Cut, ...]]:
        found = original(sql, tree, context, deeply=deeply)
        if found[0]:
            seen.written += 1
        elif found[2]:
            seen.spliced += 1
            deep, _ = planning.verified_text(tree.SerializeToString(), context)
            assert same_statement(found[1], deep), found[1]
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "text_of", text)
        yield seen


def same_statement(first: str, second: str) -> bool:
    """Whether PostgreSQL's grammar reads two texts as one tree, places apart."""
    return parser.paired_locations(parser.parse(first), parser.parse(second)) is not None
