"""Plans of texts that differ from one already decided on in numbers only.

Applications send `SELECT ... WHERE id = 83921` with another number each time. The text with every plain integer cut out
is its *outline*; where a decision is known not to depend on some of its integers (`shapeproof` says when),
it is kept as a *shape*, and a text of that shape gets its plan without PostgreSQL's parser: the same decision, with
this text's integers in the places where they came out.

Why looking at characters is enough here. A text of a known outline is the text that was parsed, but for the digits in
its holes, and each hole was held against PostgreSQL's own scanner when the shape was proven: it is a whole token, an
integer of at most nine digits (an int4, whatever they are). The scanner goes from left to right, and what comes before
a hole is the same: it is in the same state there. Up to nine digits, neither led nor followed by a letter, a digit, a
dot, an underscore, a dollar sign or anything outside ASCII, are then one integer again, and behind them the scanner is
where it was. So both texts are the same tokens, but for the values of these integers. What this module takes for a
string or a comment decides only which outlines get shapes, never what a text of a known outline means.

It does not parse, and it does not know what a plan may depend on.
https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-CONSTANTS-NUMERIC
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from proxy.policy.cuts import Cut
from proxy.policy.plan import Plan

SHAPED_TEXT: Final = 1024
"""Longer texts (characters) have no outline: the proof of a shape takes several decisions' time."""

MAX_HOLES: Final = 32
MAX_DIGITS: Final = 9
"""Of an integer: all of these are int4."""
_ZERO: Final = ord("0")
_BEYOND_ASCII: Final = 0x80

_PLAIN, _WORD, _DIGIT, _QUOTE = range(4)


def _kind(code: int) -> int:
    if code in b"0123456789":
        return _DIGIT
    if code == ord("'"):
        return _QUOTE
    return _WORD if code >= _BEYOND_ASCII or chr(code).isalpha() or code in b"_$." else _PLAIN


_KINDS: Final = bytes(map(_kind, range(256)))
"""What a byte is to `cut`; a word goes on with _WORD and _DIGIT."""

Outline: TypeAlias = tuple[bytes, list[bytes]]
"""What a text is without its integers, as one string, and the integers in order."""


def outline(text: bytes) -> Outline | None:
    """None where there is no use in one: no integers, too many, or a text that is too long.

    Two texts with equal outlines are equal but for their integers: each integer as 0 keeps its place.
    """
    if len(text) > SHAPED_TEXT:
        return None
    parts = cut(text)
    return (b"0".join(parts[::2]), parts[1::2]) if 1 < len(parts) <= 2 * MAX_HOLES + 1 else None


def cut(text: bytes) -> list[bytes]:
    """A text (UTF-8) in pieces, each second one an integer. What stands between quotes is left as it is.

    An integer with a leading zero is none: written out again it would lose it.
    """
    parts: list[bytes] = []
    size, at, start, before = len(text), 0, 0, _PLAIN
    while at < size:
        kind = _KINDS[text[at]]
        if kind == _DIGIT and before == _PLAIN:
            end = at + 1
            while end < size and _KINDS[text[end]] == _DIGIT:
                end += 1
            ends = end == size or _KINDS[text[end]] != _WORD
            if ends and end - at <= MAX_DIGITS and (end == at + 1 or text[at] != _ZERO):
                parts.append(text[start:at])
                parts.append(text[at:end])
                start = end
            at, before = end, kind
        elif kind == _QUOTE:
            at, before = text.find(b"'", at + 1) + 1, _PLAIN
            if at == 0:
                break
        else:
            at, before = at + 1, kind
    parts.append(text[start:])
    return parts


def holes(sql: str) -> list[tuple[int, int]]:
    """Where the integers of `outline` stand in the text: from and to, in characters."""
    found: list[tuple[int, int]] = []
    at = 0
    for number, part in enumerate(cut(sql.encode("utf-8", "surrogatepass"))):
        size = len(part) if part.isascii() else len(part.decode("utf-8", "surrogatepass"))
        if number % 2:
            found.append((at, at + size))
        at += size
    return found


@dataclass(frozen=True, slots=True)
class MovedCut:
    """A cut of the text of a shape, and how far it moves: the holes before it and inside it, by number, once for each
    place where they came out."""

    start: int
    length: int
    marker: int
    before: tuple[int, ...]
    inside: tuple[int, ...]

    def cut(self, integers: list[bytes]) -> Cut:
        """Where it is once the integers are in place. `start` and `length` are without them."""
        start, length = self.start, self.length
        for number in self.before:
            start += len(integers[number])
        for number in self.inside:
            length += len(integers[number])
        return start, length, self.marker


@dataclass(frozen=True, slots=True)
class Shape:
    """A plan whose open holes may hold any integers."""

    model: Plan
    parts: tuple[bytes, ...] = ()
    """The text to run, with every second part an integer's place; empty where the client's own is run."""
    order: tuple[int, ...] = ()
    """Which integer stands in each of these places."""
    moved: tuple[MovedCut, ...] = ()
    """Empty where no integer moves a cut: they are the model's."""

    def text(self, integers: list[bytes]) -> bytes:
        """What runs in place of a text of this shape; empty where that is run as it is."""
        if not self.parts:
            return b""
        parts = list(self.parts)
        at = 1
        for number in self.order:
            parts[at] = integers[number]
            at += 2
        return b"".join(parts)

    def plan(self, sql: str, integers: list[bytes]) -> Plan:
        """Of a text of this shape."""
        model = self.model
        if not self.parts:
            return model.with_text(sql, ())
        text = self.text(integers).decode()
        if not self.moved:
            return model.with_text(text, model.cuts)
        return model.with_text(text, tuple([moved.cut(integers) for moved in self.moved]))


class Sighted:
    """A text of a known shape, for who sends it: its plan is made where somebody asks for that, as an error does."""

    __slots__ = ("_integers", "shape")

    def __init__(self, shape: Shape, integers: list[bytes]) -> None:
        self.shape = shape
        self._integers = integers

    @property
    def model(self) -> Plan:
        """The plan, but for its text and what is where in it."""
        return self.shape.model

    def text(self) -> bytes:
        """As `Shape.text`."""
        return self.shape.text(self._integers)

    def original_position(self, position: int) -> int | None:
        """As `Plan.original_position`."""
        return self.shape.plan("", self._integers).original_position(position)


@dataclass(frozen=True, slots=True)
class Pins:
    """Integers of an outline, by number, that a decision may depend on: each set of their values is a shape of its
    own."""

    numbers: tuple[int, ...]

    def of(self, integers: list[bytes]) -> tuple[bytes, ...]:
        return tuple([integers[number] for number in self.numbers])


class Sight(Enum):
    """What is known of an outline, or of one with its pinned integers, without a shape."""

    ONCE = auto()
    """A text of it was decided on. The next one is worth a proof."""
    NEVER = auto()
    """No shape could be proven."""


Known: TypeAlias = Shape | Pins | Sight
Proven: TypeAlias = tuple[Pins, Shape] | None
"""`Pins` has no numbers where a shape holds for all integers. None: there is no shape."""


class Shapes:
    """The shapes that are known; what was not used for a while is forgotten. `desk` is whatever else a decision depends
    on.

    There are two generations. What is used moves to the young one; when that is full it becomes the old one, and what
    was left in the old one is gone. A look-up is one look into a dictionary that way, and nothing is moved about.
    """

    def __init__(self, size: int) -> None:
        self._size = size // 2
        self._young: dict[Hashable, Known] = {}
        self._old: dict[Hashable, Known] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, desk: Hashable, found: Outline) -> Shape | None:
        """The shape of a text with this outline, or None where none is known."""
        key: Hashable = (desk, found[0])
        known = self._young.get(key) or self._aged(key)
        if isinstance(known, Pins):
            key = (key, known, known.of(found[1]))
            known = self._young.get(key) or self._aged(key)
        return known if isinstance(known, Shape) else None

    def learn(self, desk: Hashable, found: Outline, prove: Callable[[], Proven]) -> None:
        """A text with this outline was decided on, without a shape. With the second one, it is asked for."""
        outer: Hashable = (desk, found[0])
        key = outer
        known = self._young.get(key) or self._aged(key)
        pins = known if isinstance(known, Pins) else None
        if pins is not None:
            key = (outer, pins, pins.of(found[1]))
            known = self._young.get(key) or self._aged(key)
        if known is None:
            self._keep(key, Sight.ONCE)
        elif known is Sight.ONCE:
            proven = prove()
            if proven is None or (pins is not None and pins != proven[0]):
                self._keep(key, Sight.NEVER)
            elif proven[0].numbers:
                self._keep(outer, proven[0])
                self._keep((outer, proven[0], proven[0].of(found[1])), proven[1])
            else:
                self._keep(outer, proven[1])

    def _aged(self, key: Hashable) -> Known | None:
        """What the old generation has; it is young again."""
        known = self._old.pop(key, None)
        if known is not None:
            self._keep(key, known)
        return known

    def _keep(self, key: Hashable, known: Known) -> None:
        self._young[key] = known
        if len(self._young) >= self._size:
            self._old = self._young
            self._young = {}
