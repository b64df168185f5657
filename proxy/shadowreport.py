"""`pgveil shadow`: what the shadow policy would change, counted from the audit trail.

The trail has, with each statement, what the shadow policy would have done with it. The report is about the version
that was tried last; what was said of older ones is counted and left out. It shows users, roles, names of columns and
masks, SQLSTATEs and digests of statements, because the trail has nothing else.

It does not know policies or databases: it reads a file.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.errors import ConfigError
from proxy.settings import Settings

SHOWN_DIGESTS = 3
"""Of the statements of one line, in the text; JSON has all of them."""

_ORDER = ("login", "refused", "allowed", "masks", "other")


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One thing that would change, for one user. `what` is a column with its mask, or a SQLSTATE, or empty."""

    change: str
    user: str
    roles: tuple[str, ...]
    what: str = ""


@dataclass(slots=True)
class Report:
    """Of one version of the shadow policy: how many statements by kind of change, and what would change how often."""

    policy: str = ""
    changes: Counter[str] = field(default_factory=Counter)
    lines: dict[Line, Counter[str]] = field(default_factory=dict)
    """Each with the digests of its statements and how often each came."""
    older: int = 0
    """Statements that another version was held against."""
    unread: int = 0
    """Lines of the trail that are no records."""

    @property
    def statements(self) -> int:
        return self.changes.total()

    @property
    def changed(self) -> int:
        return self.statements - self.changes["same"]

    def sorted(self) -> list[tuple[Line, Counter[str]]]:
        """The worst kind first, then what comes most often."""
        rank = {change: number for number, change in enumerate(_ORDER)}
        return sorted(
            self.lines.items(), key=lambda item: (rank.get(item[0].change, len(rank)), -item[1].total(), item[0])
        )

    def json(self) -> str:
        """One JSON object."""
        lines = [
            {
                "change": line.change,
                "user": line.user,
                "roles": line.roles,
                "what": line.what,
                "count": digests.total(),
                "digests": dict(digests.most_common()),
            }
            for line, digests in self.sorted()
        ]
        head = {"policy": self.policy, "statements": self.statements, "changed": self.changed}
        tail = {"older": self.older, "unread": self.unread}
        return json.dumps({**head, "changes": dict(sorted(self.changes.items())), "lines": lines, **tail})

    def text(self) -> str:
        """Lines for a terminal, without the last line's end."""
        if not self.statements:
            return "\n".join(["no statement in the trail was held against a shadow policy", *self._notes()])
        head = f"shadow policy {self.policy}: {self.changed} of {self.statements} statements would change"
        rows = [("CHANGE", "USER", "ROLES", "WHAT", "COUNT", "STATEMENTS")]
        for line, digests in self.sorted():
            shown = [digest for digest, _ in digests.most_common(SHOWN_DIGESTS)]
            more = len(digests) - len(shown)
            text = " ".join([*shown, *([f"and {more} more"] if more else [])])
            rows.append((line.change, line.user, "+".join(line.roles), line.what, str(digests.total()), text))
        table = _columns(rows) if len(rows) > 1 else []
        return "\n".join([head, *([""] if table else []), *table, *self._notes()])

    def _notes(self) -> Iterator[str]:
        if self.older:
            yield f"statements held against other versions: {self.older}"
        if self.unread:
            yield f"lines of the trail that could not be read: {self.unread}"


def report(records: Iterable[str]) -> Report:
    """Of the lines of an audit trail, in order."""
    found, unread = Report(), 0
    for text in records:
        record = _record(text)
        if record is None:
            unread += 1
        elif record.get("shadow") is not None and not _count(found, record):
            version = record["shadow"]["policy"]
            found = Report(version, older=found.older + found.statements)
            _count(found, record)
    found.unread = unread
    return found


def _record(text: str) -> dict[str, Any] | None:
    """None where the line is not a whole record: the disk was full, or it is being written."""
    try:
        record = json.loads(text)
        shadow = record.get("shadow")
        whole = shadow is None or {"policy", "change", "sqlstate", "masks_added", "masks_removed"} <= shadow.keys()
        return record if whole and {"user", "roles", "digest"} <= record.keys() else None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _count(found: Report, record: Mapping[str, Any]) -> bool:
    """False where the record is about another version."""
    shadow = record["shadow"]
    if shadow["policy"] != found.policy:
        return False
    found.changes[shadow["change"]] += 1
    if shadow["change"] != "same":
        for what in _what(shadow):
            line = Line(shadow["change"], record["user"], tuple(record["roles"]), what)
            found.lines.setdefault(line, Counter())[record["digest"] or "-"] += 1
    return True


def _what(shadow: Mapping[str, Any]) -> list[str]:
    signs = (("+", "masks_added"), ("-", "masks_removed"))
    masks = [f"{sign} {m['relation']}.{m['column']} {m['mask']}" for sign, key in signs for m in shadow[key]]
    return masks or [shadow["sqlstate"] or ""]


def _columns(table: Sequence[tuple[str, ...]]) -> list[str]:
    # Users' names are theirs to choose, and a terminal obeys.
    rows = [["".join(c if c.isprintable() else "?" for c in cell) for cell in row] for row in table]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def run_shadow(settings: Settings, audit: str | None, *, as_json: bool) -> int:
    """The command: prints the report. 0 where nothing would change, else 1. Raises ConfigError without a trail."""
    path = settings.audit.path if audit is None else Path(audit)
    if path is None:
        raise ConfigError("there is no audit trail", hint="set audit.path, or name a trail with --audit FILE")
    try:
        with path.open(encoding="utf-8", errors="replace") as trail:
            found = report(trail)
    except OSError as error:
        raise ConfigError(
            f"the audit trail {path} cannot be read: {error.strerror}", hint="name it with --audit FILE"
        ) from None
    sys.stdout.write((found.json() if as_json else found.text()) + "\n")
    return int(found.changed > 0)
