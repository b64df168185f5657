"""From words to one column or one table: the names are decided here, by the tables in question.

The nearest candidate along the links wins, and of those the one whose name fits best. Equally good ones are an
ambiguity, which is final: the error names the choices. A mention that fits nothing lets the next reading be tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from proxy.nl.embedded.joins import Path, Step, distance, is_implied, spell, turns
from proxy.nl.embedded.logical import Col
from proxy.nl.embedded.names import PART, ColumnTarget
from proxy.nl.embedded.phrases import DETERMINERS, NAME_WORDS, POSSESSIVES
from proxy.nl.embedded.problems import NOT_UNDERSTOOD, NoFitError, ambiguous
from proxy.nl.embedded.rows import DATES, Reached, Rows, Scope, root_scope
from proxy.nl.embedded.syntax import Entity, Field
from proxy.nl.embedded.words import NEUTRAL_VERBS, stem
from proxy.nl.schema import ColumnView
from proxy.policy.catalog import ForeignKey, Name

_POSSESSING = frozenset({"have", "has", "had", "having", "with", "own", "owns", "owned"})

__all__ = ["DATES", "Linker", "Reached", "Scope", "root_scope"]


class Linker(Rows):
    """Decides names in one schema view."""

    # Tables

    def subject(self, entity: Entity) -> Name:
        """The table that stands for itself: not through a key's name."""
        tables = {t.table for t in entity.targets if t.role is None}
        if not tables:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f'"{entity.text}" names a link, not a table.',
                hint="Name the table whose rows you want.",
            )
        if len(tables) > 1:
            raise ambiguous(entity.text, [".".join(t) for t in tables])
        return next(iter(tables))

    def reach(self, entity: Entity, scope: Scope, verb: str | None = None) -> Reached:
        """The table that the words name, nearest to the scope's noun, and the only way to it."""
        verb = verb or entity.verb
        found: list[Reached] = []
        for target in entity.targets:
            if target.role is None:
                found += [Reached(target.table, path) for path in self.graph.paths(scope.table, target.table)]
            elif target.role.table == scope.table:
                found.append(Reached(target.table, (Step(target.role, forward=True),)))
        if not found:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f'Nothing links {scope.table[1]} to "{entity.text}".',
                hint="Tables are linked by foreign keys, or by a column named after the other table.",
            )
        found = self.tables_first(found, lambda r: r.table, scope)
        nearest = min(distance(r.path) for r in found)
        best = list(dict.fromkeys(r for r in found if distance(r.path) == nearest))
        best += self._other_ways(best, scope)
        if len(best) > 1 and verb is not None:
            best = [r for r in best if self._verb_fits_role(r.path, verb)] or best
        if len(best) > 1:
            ways = [f"{r.table[1]} through {spell(r.path)}" for r in best]
            between = sorted({s.target[1] for r in best for s in r.path[:-1] if turns(r.path) and not s.forward})
            hint = f"Ask about what links them: {', '.join(between)}." if between else None
            raise ambiguous(entity.text, ways, hint or "Name the link, as in the key column's name.")
        self.check_verb(best[0], scope.table, verb)
        return best[0]

    def _other_ways(self, best: list[Reached], scope: Scope) -> list[Reached]:
        """What only links two tables is as good a way as a key with a role: people own projects, and are assigned."""
        if len(best) != 1 or len(best[0].path) != 1:
            return []
        key = best[0].path[0].key
        role = self.lexicon.role_words(key)
        if not role or not self._is_special(key, role) or scope.table == best[0].table:
            return []
        return [Reached(best[0].table, path) for path in self.graph.junctions(scope.table, best[0].table)]

    def check_verb(self, reached: Reached, start: Name, verb: str | None, more: frozenset[str] = frozenset()) -> None:
        """A verb must be one that only says `linked`, or share its stem with a table or key on the way, or with `more`.

        Through a key that says more than where it points to (sender_id), only a verb of that stem will do.
        """
        if verb is None or verb in _POSSESSING:
            return
        roles = [self.lexicon.role_words(s.key) for s in reached.path]
        own_role = [r for s, r in zip(reached.path, roles, strict=True) if r and self._is_special(s.key, r)]
        tables = {start, reached.table, *(s.target for s in reached.path)}
        names = {stem(w) for t in tables for w in self.lexicon.names[t].words} | {stem(w) for w in more}
        stems = {stem(w) for r in roles for w in r}
        if (verb in NEUTRAL_VERBS and not own_role) or stem(verb) in stems or (stem(verb) in names and not own_role):
            return
        raise NoFitError(
            NOT_UNDERSTOOD,
            detail=f'"{verb}" does not say how {start[1]} and {reached.table[1]} are linked.',
            hint=f'Say "with {reached.table[1]}" or "of {reached.table[1]}".',
        )

    def _verb_fits_role(self, path: Path, verb: str) -> bool:
        """`sent` is through sender_id, `reviewed` through reviews."""
        words = [w for s in path for w in self.lexicon.role_words(s.key)]
        words += [w for s in path[:-1] for w in self.lexicon.names[s.target].words]
        return any(stem(verb) == stem(w) for w in words)

    def _is_special(self, key: ForeignKey, role: tuple[str, ...]) -> bool:
        """sender_id says more than that it points to users."""
        return key.columns != key.ref_columns and role[-1] not in self.lexicon.names[key.ref_table].words

    # Columns

    def field(self, field: Field, scope: Scope, fits: Callable[[ColumnView], bool] | None = None) -> Col:
        """The one column that the words name, seen from the scope's noun."""
        if field.owner is not None:
            reached = self.reach(field.owner, scope)
            return self._in_table(field, scope, reached, fits)
        if field.key or field.naming or field.measures:
            return self._in_table(field, scope, Reached(scope.table, ()), fits)
        if _is_name(field) and not any(t.table == scope.table for t in field.targets):
            # Whose name it is was not said, so it is the rows' own: never that of what they belong to.
            return self.naming_column(scope, Reached(scope.table, ()), field.text)
        found = self._candidates(field, scope, fits)
        own = [t for t, _ in found if t.table == scope.table]
        if own:
            best = self._best(own)
            if best[0].rank == PART and _is_name(field):
                best += self._other_names(scope.table, best)
            closer = [t for t, _ in found if t.rank < best[0].rank] if best[0].rank == PART else []
            if len(best) > 1 or closer:
                raise ambiguous(field.text, [f"{t.table[1]}.{t.column}" for t in (*best, *closer)])
            return self.col(scope, (), scope.table, best[0].column)
        nearest = min(distance(path) for _, path in found)
        near = [(t, path) for t, path in found if distance(path) == nearest]
        rank = min(t.rank for t, _ in near)
        best_near = [(t, path) for t, path in near if t.rank == rank]
        if len(best_near) > 1:
            names = {f"{t.table[1]}.{t.column}" for t, _ in best_near}
            if len(names) > 1:
                raise ambiguous(field.text, list(names))
            raise ambiguous(field.text, [f"{t.table[1]}.{t.column} through {spell(p)}" for t, p in best_near])
        target, path = best_near[0]
        return self.col(scope, path, target.table, target.column)

    def _candidates(
        self, field: Field, scope: Scope, fits: Callable[[ColumnView], bool] | None
    ) -> list[tuple[ColumnTarget, Path]]:
        found = [
            (t, path)
            for t in field.targets
            if fits is None or self._fits(t, fits)
            for path in self.graph.paths(scope.table, t.table)
        ]
        if not found:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f'{scope.table[1]} has no column "{field.text}" that fits here, nor has a table linked to it.',
                hint=self.columns_hint(scope.table),
            )
        return self.tables_first(found, lambda pair: pair[0].table, scope)

    def _fits(self, target: ColumnTarget, fits: Callable[[ColumnView], bool]) -> bool:
        view = self.view(target.table).column(target.column)
        return view is not None and fits(view)

    def _in_table(self, field: Field, scope: Scope, reached: Reached, fits: Callable[[ColumnView], bool] | None) -> Col:
        if field.key:
            return self.key_column(scope, reached)
        if field.naming:
            return self.naming_column(scope, reached, field.text)
        if field.measures:
            return self.measured_column(scope, field.text, field.measures)
        own = [t for t in field.targets if t.table == reached.table and (fits is None or self._fits(t, fits))]
        if not own and _is_name(field) and fits is None:
            return self.naming_column(scope, reached, field.text)
        if not own:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f'{reached.table[1]} has no column "{field.text}" that fits here.',
                hint=self.columns_hint(reached.table),
            )
        best = self._best(own)
        if len(best) > 1:
            raise ambiguous(field.text, [f"{t.table[1]}.{t.column}" for t in best])
        return self.col(scope, reached.path, reached.table, best[0].column)

    def _other_names(self, table: Name, found: list[ColumnTarget]) -> list[ColumnTarget]:
        """The title, where `name` is only a part of other columns' names: books have a publisher_name."""
        shown = [c for c in self.display(table) if c not in self.view(table).primary_key]
        return [ColumnTarget(table, c, PART) for c in shown if all(c != t.column for t in found)]

    @staticmethod
    def _best(targets: list[ColumnTarget]) -> list[ColumnTarget]:
        rank = min(t.rank for t in targets)
        return [t for t in targets if t.rank == rank]

    def key_column(self, scope: Scope, reached: Reached) -> Col:
        view = self.view(reached.table)
        last = reached.path[-1] if reached.path else None
        if last is not None and last.forward and not is_implied(last.key) and last.key.ref_columns == view.primary_key:
            here = Reached(last.source, reached.path[:-1])
            if len(last.key.columns) == 1:
                return self.col(scope, here.path, here.table, last.key.columns[0])
        if len(view.primary_key) != 1:
            raise NoFitError(NOT_UNDERSTOOD, detail=f"{view.qualified} has no primary key of one column.")
        return self.col(scope, reached.path, reached.table, view.primary_key[0])


def _is_name(field: Field) -> bool:
    """Whether the words say `name` and nothing more, but for whose."""
    owner = field.owner.text.lower() if field.owner else ""
    words = set(re.findall(r"\w+", field.text.lower().replace(owner, " ", 1) if owner else field.text.lower()))
    return bool(words & NAME_WORDS) and words <= NAME_WORDS | DETERMINERS | POSSESSIVES | {"s"}
