"""A value that a policy protects, with what its mask makes of it: by hand, from what docs/policies.md says of the
masks, and not by asking the engine.

A protected text holds a mark, a protected number begins with digits, and a protected date has a day that nothing else
has: so a value that gets through is known wherever it comes up. `other` is a second value that its mask makes the same
of: who cannot read the one cannot tell it from the other.

It does not know the tables (`rows`), nor SQL or servers: `world` puts the rows there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

MARK, SUPPORT_MARK, HIDDEN_MARK = "zq8x", "vk3w", "hj6r"
"""In what nobody masked may read; in what the role support may read; in rows that a filter hides from some."""
DIGITS = "734002"
DAYS = ("-07-23", "-08-17")
"""Of a protected date, and of the other one."""
OTHERS = {MARK: "yy5k", SUPPORT_MARK: "uu9j", HIDDEN_MARK: "gg4t", DIGITS: "555771"}

SUPPORT = frozenset({"support"})
NOBODY: frozenset[str] = frozenset()

USERS: dict[str, frozenset[str]] = {
    "analyst": frozenset({"analyst"}),
    "support": SUPPORT,
    "both": frozenset({"analyst", "support"}),
}
"""User to roles, as policy.yaml has them."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A protected value, another that reads the same, and what both read as. `clear_for`: the roles that see it."""

    value: object
    other: object
    masked: object
    clear_for: frozenset[str] = NOBODY


@dataclass(frozen=True, slots=True)
class Open:
    """A value that is protected only where a row filter hides its row."""

    value: object
    other: object


Row = dict[str, object]
Hidden = Callable[[Row, frozenset[str]], bool]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as column to value, Secret or Open. `hidden`: whether a filter hides a row from a user with these roles."""

    name: str
    """With its schema, as SQL."""
    rows: Sequence[Row]
    hidden: Hidden = lambda row, roles: False  # noqa: ARG005 - nothing is

    def as_stored(self) -> Iterator[Row]:
        """What the database holds."""
        for row in self.rows:
            yield {name: stored(cell) for name, cell in row.items()}

    def as_seen(self, roles: frozenset[str]) -> Iterator[Row]:
        """What these roles see."""
        for row in self.rows:
            if not self.hidden(row, roles):
                yield {name: _seen(cell, roles) for name, cell in row.items()}

    def as_other(self, roles: frozenset[str]) -> Iterator[Row]:
        """What the database may as well hold, for all that these roles can tell."""
        for row in self.rows:
            hidden = self.hidden(row, roles)
            yield {name: _other(cell, roles, hidden=hidden) for name, cell in row.items()}


def marks_for(roles: frozenset[str]) -> tuple[bytes, ...]:
    """What no reply to a user with these roles may hold, in lower case."""
    texts = [MARK, DIGITS, DAYS[0]]
    if not roles & SUPPORT:
        texts.append(SUPPORT_MARK)
    if roles & SUPPORT:
        texts.append(HIDDEN_MARK)
    spelled = [form for text in texts for form in (text, text[::-1], text.encode().hex())]
    return tuple(form.encode() for form in spelled)


def stored(cell: object) -> object:
    return cell.value if isinstance(cell, Secret | Open) else cell


def _seen(cell: object, roles: frozenset[str]) -> object:
    if isinstance(cell, Secret) and not cell.clear_for & roles:
        return cell.masked
    return stored(cell)


def _other(cell: object, roles: frozenset[str], *, hidden: bool) -> object:
    if isinstance(cell, Secret) and (hidden or not cell.clear_for & roles):
        return cell.other
    if isinstance(cell, Open) and hidden:
        return cell.other
    return stored(cell)


# Values


def other_text(text: str) -> str:
    """The text with other marks in it."""
    for mark, other in OTHERS.items():
        text = text.replace(mark, other)
    return text.replace(*DAYS)


def text(value: str, masked: object, clear_for: frozenset[str] = NOBODY) -> Secret:
    if clear_for:
        value = value.replace(MARK, SUPPORT_MARK)
    return Secret(value, other_text(value), masked, clear_for)


def stars(value: str, first: int = 0, last: int = 0) -> str:
    """What `partial` reads as, where it hides something."""
    middle = value[first : len(value) - last]
    kept = "".join(sign if sign in " #()+,./:@_-" else "*" for sign in middle)
    return value[:first] + kept + value[len(value) - last :]


def partial(value: str, first: int = 0, last: int = 0, clear_for: frozenset[str] = NOBODY) -> Secret:
    return text(value, stars(value, first, last), clear_for)


def email(i: int) -> Secret:
    letter, ending = "abcde"[i % 5], ("test", "example", "internal")[i % 3]
    shown = f".{ending}" if len(ending) <= 6 else ""
    return text(f"{letter}{MARK}{i}@corp.{ending}", f"{letter}***@***{shown}", SUPPORT)


def phone(i: int) -> Secret:
    return text(f"+91 {DIGITS}{i:03}{i % 7:02}", f"+91 *********{i % 7:02}")


def name(i: int) -> Secret:
    return partial(f"{'ABCD'[i % 4]}{MARK} Who{i % 3}", first=1, clear_for=SUPPORT)


def identity(i: int, every: int = 1) -> Secret | None:
    return partial(f"{MARK}-{i % 90:02}-{1000 + i % 5}{i:02}", last=4) if i % every == 0 else None


def birthday(i: int) -> Secret:
    year = 1960 + i % 6
    first, second = (date.fromisoformat(f"{year}{day}") for day in DAYS)
    return Secret(first, second, date(year, 1, 1))


def number(i: int, masked: object) -> Secret:
    return Secret(int(DIGITS) * 1000 + i, int(DIGITS) * 1000 + 500 + i, masked)


def day(i: int) -> date:
    """Of what is not protected: from September to the next May."""
    return date(2023, 9, 1) + timedelta(days=i * 37 % 240)


def moment(i: int) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=i * 31 % 3000)
