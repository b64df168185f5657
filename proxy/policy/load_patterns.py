"""Patterns of a policy: `schema.table` and `schema.table.column`, each part a name or a glob.

`*`, `?` and `[...]` are fnmatch's, with case. Names stand as in the catalogue, without quotes; a dot or another of
these signs inside a name is written `?`.

A column's pattern may go on into its values: `schema.table.column.field` into a composite, `->key` into JSON. A field
or key is a name, no glob; a key with other signs than those of a name stands in double quotes.

Whether two patterns can name one column is decided from their text, so that a policy is unambiguous on every
database. Where the answer is not certain (two different [...] at one place) it is yes.
"""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache

from proxy.policy.patterns import Path, Step, is_glob

TABLE = ("schema", "table")
COLUMN = ("schema", "table", "column")
MAX_PART = 256


def fault(pattern: str, parts: tuple[str, ...]) -> tuple[str, str | None] | None:
    """Message and hint for what is wrong with a pattern of these parts, or None."""
    shape = ".".join(parts)
    if '"' in pattern:
        return f"the pattern {pattern!r} has a quote", "Write names as the catalogue has them, without quotes."
    found = pattern.split(".")
    if len(found) != len(parts) or "" in found:
        return f"the pattern {pattern!r} is not {shape}", _likely(found, parts)
    if any(part != part.strip() or len(part) > MAX_PART for part in found):
        return f"the pattern {pattern!r} has blanks around a part, or a part of over {MAX_PART} characters", None
    if any(fault_of_glob(part) for part in found):
        return f"the pattern {pattern!r} has a [ without its ]", "A [ in a name is written `?`."
    return None


class PatternFault(ValueError):  # noqa: N818 - what a policy's author reads, not a fault of the program
    """What is wrong with a pattern."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


_KEY = r'"(?:[^"]|"")+"|(?:(?!->)[^\s".*?\[\]>])+'
_KEYS = re.compile(rf"(?:->(?:{_KEY}))*")


def read_column(text: str) -> tuple[str, Path]:
    """The `schema.table.column` of a pattern, and the steps from there into the values.

    Raises PatternFault.
    """
    head, arrow, _ = text.partition("->")
    keys = text[len(head) :]
    parts = head.split(".")
    pattern, names = ".".join(parts[: len(COLUMN)]), parts[len(COLUMN) :]
    found = fault(pattern, COLUMN)
    if found is None and '"' in head:
        found = f"the pattern {text!r} has a quote", "Write names as the catalogue has them, without quotes."
    if found is not None:
        raise PatternFault(*found)
    for name in names:
        if not name or name != name.strip() or len(name) > MAX_PART:
            raise PatternFault(f"the pattern {text!r} has a field without a name, or with blanks around it")
        if is_glob(name):
            raise PatternFault(f"the field {name!r} of {text!r} is a glob", "Fields and keys are named one by one.")
    if arrow and _KEYS.fullmatch(keys) is None:
        raise PatternFault(f"{keys!r} in the pattern {text!r} is not ->key", _likely_keys(keys))
    steps = [Step(name, json=False) for name in names]
    return pattern, (*steps, *(Step(_unquoted(key), json=True) for key in re.findall(rf"->({_KEY})", keys)))


def _likely_keys(keys: str) -> str:
    if "->>" in keys:
        return "Write -> for ->>."
    return 'A key with other signs stands in double quotes: ->"first name".'


def _unquoted(key: str) -> str:
    return key[1:-1].replace('""', '"') if key.startswith('"') else key


def fault_of_glob(part: str) -> bool:
    """Whether a [ is not closed: fnmatch would take it for itself, without a word."""
    return "[" in _tokens(part)


def _likely(found: list[str], parts: tuple[str, ...]) -> str | None:
    if "" in found or len(found) > len(parts):
        return None
    if len(parts) - len(found) == 1 and len(found) > 1:
        return f"Perhaps {'.'.join(('*', *found))}."
    return f"For every schema: {'.'.join(['*'] * (len(parts) - 1) + found[-1:])}."


def meet(first: str, second: str) -> bool:
    """Whether some name could match both patterns. False is certain."""
    for one, other in zip(first.split("."), second.split("."), strict=True):
        if one != other and one != "*" and other != "*" and not _parts_meet(one, other):  # noqa: PLR1714 - for speed
            return False
    return True


@lru_cache(maxsize=65536)
def _parts_meet(first: str, second: str) -> bool:
    if not is_glob(first):
        return fnmatch.fnmatchcase(first, second)
    if not is_glob(second):
        return fnmatch.fnmatchcase(second, first)
    a, b = _tokens(first), _tokens(second)
    # row[j]: whether the rest of `a` from the current token meets the rest of `b` from j on.
    row = [set(b[j:]) <= {"*"} for j in range(len(b) + 1)]
    for i in range(len(a) - 1, -1, -1):
        below, row = row, [False] * (len(b) + 1)
        for j in range(len(b), -1, -1):
            ends = j == len(b)
            if a[i] == "*":
                row[j] = below[j] or (not ends and row[j + 1])
            elif not ends and b[j] == "*":
                row[j] = row[j + 1] or below[j]
            else:
                row[j] = not ends and below[j + 1] and _tokens_meet(a[i], b[j])
    return row[0]


def _tokens(part: str) -> tuple[str, ...]:
    """One element per character matched, `*`, or a lone `[` that nothing closes."""
    tokens: list[str] = []
    at = 0
    while at < len(part):
        end = at + 1
        if part[at] == "[":
            # As fnmatch reads it: a ] right behind [ or [! is a member.
            first = at + 2 if part[at + 1 : at + 2] == "!" else at + 1
            closing = part.find("]", first + 1)
            end = closing + 1 if closing >= 0 else end
        tokens.append(part[at:end])
        at = end
    return tuple(tokens)


def _tokens_meet(first: str, second: str) -> bool:
    if "?" in (first, second) or first == second:
        return True
    if len(first) == 1:
        return fnmatch.fnmatchcase(first, second)
    if len(second) == 1:
        return fnmatch.fnmatchcase(second, first)
    return True
