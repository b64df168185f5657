"""What a masked session's names mean: the schemas that it searches and the temporary tables that it has made.

The veil resolves names as PostgreSQL would, so it must know both at every moment. Statements' effects are applied when
the server says that they are complete; they end with the transaction, or a savepoint, as PostgreSQL's settings and
tables do: https://www.postgresql.org/docs/current/sql-set.html, sql-createtable.html. From version 18 on the server
reports the path with each change, and what it says wins.

It does not know which schemas exist; a name that no schema has is passed over, as PostgreSQL does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from proxy.policy.plan import Effect

Path = tuple[str, ...]
Temps = frozenset[str]
"""Names of temporary tables, without a schema."""

USER: Final = "$user"

_NAME: Final = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^\s,"]+))\s*(,|$)')


def parse_path(text: str) -> Path:
    """The names in a search_path setting's text; unquoted ones in lower case. ValueError where it is not a list."""
    names: list[str] = []
    pos = 0
    while text[pos:].strip():
        found = _NAME.match(text, pos)
        if found is None:
            raise ValueError("search_path is not a list of names")
        quoted, plain, separator = found.groups()
        names.append(plain.lower() if quoted is None else quoted.replace('""', '"'))
        pos = found.end()
        if separator and not text[pos:].strip():
            raise ValueError("search_path ends with a comma")
    return tuple(name for name in names if name)


@dataclass(frozen=True, slots=True)
class _State:
    """`now` and `temps` are what holds; `kept` and `kept_temps` are what a commit leaves of them."""

    now: Path
    kept: Path
    temps: Temps = frozenset()
    kept_temps: Temps = frozenset()

    @property
    def committed(self) -> _State:
        return _State(self.kept, self.kept, self.kept_temps, self.kept_temps)


class SearchPath:
    """Of one session. `initial` is the setting at its start, `user` the account that it runs as."""

    __slots__ = ("_base", "_failed", "_initial", "_reported", "_savepoints", "_state", "_user")

    def __init__(self, initial: Path, user: str) -> None:
        self._user = user
        self._initial = initial
        self._base = self._state = _State(initial, initial)
        self._savepoints: list[tuple[str, _State]] = []
        self._failed = False
        self._reported: Path | None = None

    def __repr__(self) -> str:
        return f"SearchPath({self._state.now}, temps={len(self._state.temps)})"

    @property
    def schemas(self) -> Path:
        """The names to search, in order, with "$user" resolved."""
        now = self._state.now
        return tuple(self._user if name == USER else name for name in now) if USER in now else now

    @property
    def temps(self) -> Temps:
        """The temporary tables: a bare name among them is that table, before any schema is searched."""
        return self._state.temps

    @property
    def at_risk(self) -> bool:
        """Whether the end of the transaction, or of a savepoint, may change what names mean."""
        if self._state is not self._base and self._state != self._base:
            return True
        return bool(self._savepoints) and any(state != self._state for _, state in self._savepoints)

    def apply(self, effect: Effect, tag: str) -> None:
        """A statement with this effect is complete; `tag` is what its CommandComplete says."""
        match effect.kind:
            case "search_path":
                self._set(effect.value, local=effect.local)
            case "search_path_reset" | "reset_all":
                self._set(self._initial, local=effect.local)
            case "temp":
                self._made(frozenset(_names(effect)), local=effect.local)
            case "drop_temp":
                self._dropped(frozenset(_names(effect)))
            case "discard_temp":
                self._dropped(self._state.temps | self._state.kept_temps)
            case "discard_all":
                self._set(self._initial, local=False)
                self._dropped(self._state.temps | self._state.kept_temps)
            case "commit":
                self._end(committed=tag.startswith("COMMIT"))
            case "rollback":
                self._end(committed=False)
            case "savepoint":
                self._savepoints.append((effect.name or "", self._state))
            case "release":
                del self._savepoints[self._find(effect.name) :]
            case "rollback_to":
                self._rollback_to(effect.name)
            case _:
                pass  # BEGIN, and what prepared statements and cursors do: none of it changes what names mean

    def failed(self) -> None:
        """The server sent an error: what the transaction did is undone when it ends."""
        self._failed = True

    def reported(self, text: str) -> None:
        """The server reported the setting (version 18 and newer). Raises ValueError where it cannot be read."""
        self._reported = parse_path(text)

    def ready(self, *, idle: bool) -> None:
        """The server is ready for a query. `idle`: no transaction block is open, so an implicit one has ended."""
        if idle and (self._failed or self.at_risk or self._savepoints):
            self._end(committed=not self._failed)
        if self._reported is not None and self._reported != self._state.now:
            self._state = replace(self._state, now=self._reported, kept=self._reported)
            self._base = self._state if idle else self._base
        self._reported = None

    def _set(self, path: Path, *, local: bool) -> None:
        self._state = replace(self._state, now=path, kept=self._state.kept if local else path)

    def _made(self, names: Temps, *, local: bool) -> None:
        """`local`: ON COMMIT DROP. A name that is there already was passed over (IF NOT EXISTS), and stays as it is."""
        new, state = names - self._state.temps, self._state
        kept = state.kept_temps if local else state.kept_temps | new
        self._state = replace(state, temps=state.temps | new, kept_temps=kept)

    def _dropped(self, names: Temps) -> None:
        state = self._state
        self._state = replace(state, temps=state.temps - names, kept_temps=state.kept_temps - names)

    def _end(self, *, committed: bool) -> None:
        if committed:
            self._base = self._state.committed
        self._state = self._base
        self._savepoints.clear()
        self._failed = False

    def _find(self, name: str | None) -> int:
        """The index of the innermost savepoint of this name, or the end: the server knows one that we do not."""
        for index in range(len(self._savepoints) - 1, -1, -1):
            if self._savepoints[index][0] == name:
                return index
        return len(self._savepoints)

    def _rollback_to(self, name: str | None) -> None:
        index = self._find(name)
        if index < len(self._savepoints):
            self._state = self._savepoints[index][1]
            del self._savepoints[index + 1 :]
        self._failed = False


def _names(effect: Effect) -> Path:
    """The tables of a statement; one DROP may have several."""
    return effect.value or (() if effect.name is None else (effect.name,))
