"""Masked views put into a statement's text, in the places of the relations that they stand for.

There are two ways to that text. Where nothing of a statement changes but which relations it reads, it stays the
client's own text, and each relation's name in it becomes `(SELECT ...)`: the grammar takes one wherever it takes the
other. The name is found where PostgreSQL's parser says that it stands, and has to be spelled there, token by token;
what is not as plain as that goes the other way. There, the tree is written as text with markers, relations of names
that nobody can know, and held against its own reading; then each marker becomes `(SELECT ...)`.

It does not parse: the texts on both sides have been. What a masked view's text is, is `maskedview`'s.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from proxy.policy.cuts import Cut
from proxy.policy.maskedview import MaskedView, quoted
from proxy.policy.parser import byte_to_character
from proxy.policy.refused import unsupported

Node = Any

_MARKER = re.compile(r"pgveil_([0-9a-f]{16})\.v([0-9]+)")
_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_]*)'
_QUALIFIED = re.compile(rf"({_NAME})(?:\s*\.\s*({_NAME}))?")
_BEFORE = re.compile(r"(?:[,(]|\b(?:from|join))\s*\Z", re.IGNORECASE)
_LONGEST_GAP = 64
_NOT_BEHIND = ("*", "/*", "--", ".", "&")


@dataclass(slots=True)
class Inset:
    """A masked view in one place of a statement."""

    view: MaskedView
    only: bool = False
    extra: list[str] = field(default_factory=list)
    """Conditions of this statement alone, over the columns below the masks."""
    fenced: bool = True

    def sql(self) -> str:
        return self.view.sql(only=self.only, extra=self.extra, fenced=self.fenced)


@dataclass(slots=True)
class _Place:
    """Where the client named a relation, and how."""

    location: int
    """Bytes from 0."""
    names: tuple[str, ...]
    alias: str | None
    """The alias that the relation needs now: None where the client gave it one."""
    plain: bool
    inset: Inset | None
    """None: the relation stays, and gets its schema."""
    schema: str = ""


class Splices:
    """The insets of one text."""

    def __init__(self) -> None:
        self._word = secrets.token_hex(8)
        self.insets: list[Inset] = []
        self._places: list[_Place] = []

    def mark(self, reference: Node, names: tuple[str, ...], inset: Inset) -> None:
        """Makes a RangeVar the marker of an inset; it has its alias, or gets its last name for one.

        Args:
            names: what the client wrote, schema and name or the name alone.
        """
        bare = not reference.HasField("alias")
        if bare:
            reference.alias.aliasname = names[-1]
        place = _Place(
            reference.location,
            names,
            names[-1] if bare else None,
            bool(reference.inh) and not reference.catalogname,
            inset,
        )
        self._places.append(place)
        reference.ClearField("catalogname")
        reference.schemaname = f"pgveil_{self._word}"
        reference.relname = f"v{len(self.insets)}"
        reference.inh = True
        self.insets.append(inset)

    def qualify(self, reference: Node, schema: str) -> None:
        """A relation that the client named without its schema, which it gets."""
        place = _Place(reference.location, (reference.relname,), alias=None, plain=True, inset=None, schema=schema)
        self._places.append(place)

    def over(self, sql: str) -> tuple[str, tuple[Cut, ...]] | None:
        """The client's own text with every relation in place, or None where a place is not as plain as it has to be."""
        parts: list[str] = []
        cuts: list[Cut] = []
        at = length = 0
        for place in sorted(self._places, key=lambda place: place.location):
            found = _found(sql, place, at)
            if found is None:
                return None
            start, end = found
            if place.inset is None:
                text = f"{quoted(place.schema)}.{quoted(place.names[-1])}"
            else:
                text = f"({place.inset.sql()})" + (f" AS {quoted(place.alias)}" if place.alias else "")
            length += start - at
            cuts.append((length, len(text), end - start))
            parts += (sql[at:start], text)
            length += len(text)
            at = end
        return "".join((*parts, sql[at:])), tuple(cuts)

    def into(self, text: str) -> tuple[str, tuple[Cut, ...]]:
        """A tree's text with every inset in place of its marker. Raises Refused where they are not all there, once
        each."""
        if not self.insets:
            return text, ()
        parts: list[str] = []
        cuts: list[Cut] = []
        at = length = 0
        found = []
        for match in _MARKER.finditer(text):
            if match[1] != self._word:
                continue
            found.append(int(match[2]))
            if found[-1] >= len(self.insets):
                break
            sql = f"({self.insets[found[-1]].sql()})"
            length += match.start() - at
            cuts.append((length, len(sql), len(match[0])))
            parts += (text[at : match.start()], sql)
            length += len(sql)
            at = match.end()
        if sorted(found) != list(range(len(self.insets))):
            raise unsupported("the masked form of this statement cannot be written faithfully")
        return "".join((*parts, text[at:])), tuple(cuts)


def _found(sql: str, place: _Place, after: int) -> tuple[int, int] | None:
    """From where to where the names stand in `sql`, or None where anything about them is unusual."""
    start = byte_to_character(sql, place.location)
    if not place.plain or place.location < 0 or start < after:
        return None
    match = _QUALIFIED.match(sql, start)
    if match is None or tuple(map(_read, filter(None, match.groups()))) != place.names:
        return None
    before = sql[max(0, start - _LONGEST_GAP) : start]
    # A comment may hold any word.
    if _BEFORE.search(before) is None or "--" in before or "*/" in before:
        return None
    behind = sql[match.end() : match.end() + _LONGEST_GAP]
    if behind.lstrip().startswith(_NOT_BEHIND) or (len(behind) == _LONGEST_GAP and not behind.strip()):
        return None
    return start, match.end()


def _read(name: str) -> str:
    """The identifier that the scanner makes of a token: https://www.postgresql.org/docs/current/sql-syntax-lexical.html"""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
