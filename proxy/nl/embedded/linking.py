"""From words to one column or one table: the names are decided here, by the tables in question.

The nearest candidate along the links wins, and of those the one whose name fits best. Equally good ones are an
ambiguity, which is final: the error names the choices. A mention that fits nothing lets the next reading be tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.errors import UnanswerableError
from proxy.nl.embedded.joins import Graph, Path, Step, is_forward, is_implied, spell
from proxy.nl.embedded.logical import Col
from proxy.nl.embedded.names import PART, ColumnTarget, Lexicon
from proxy.nl.embedded.phrases import AGE_ORDER, DATE_ORDER
from proxy.nl.embedded.problems import NOT_UNDERSTOOD, NoFitError, ambiguous
from proxy.nl.embedded.syntax import Entity, Field
from proxy.nl.embedded.words import NEUTRAL_VERBS, stem
from proxy.nl.schema import ColumnView, Family, SchemaView, TableView
from proxy.policy.catalog import ForeignKey, Name

DATES = frozenset({Family.DATE, Family.TIMESTAMP})
_MAINTENANCE = frozenset({"updated", "modified", "deleted", "changed", "synced", "archived"})
_DATE_WORDS = frozenset({"date", "time", "at", "on", "ts", "dt", "timestamp", "datetime", "day", "of"})
_POSSESSING = frozenset({"have", "has", "had", "having", "with", "own", "owns", "owned"})


@dataclass(frozen=True)
class Scope:
    """The noun that something is said of: its table, and the way to it from the query's root."""

    root: Name
    table: Name
    base: Path = ()

    def at(self, path: Path) -> Scope:
        return Scope(self.root, path[-1].target if path else self.table, (*self.base, *path))


def root_scope(table: Name) -> Scope:
    """The scope of a query's root itself."""
    return Scope(table, table)


@dataclass(frozen=True)
class Reached:
    """A table decided, and the way to it from the scope's noun."""

    table: Name
    path: Path


class Linker:
    """Decides names in one schema view."""

    def __init__(self, schema: SchemaView, lexicon: Lexicon, graph: Graph) -> None:
        self.schema = schema
        self.lexicon = lexicon
        self.graph = graph

    def view(self, table: Name) -> TableView:
        found = self.schema.table(table)
        if found is None:
            raise NoFitError("a table is not in the schema")
        return found

    def column_view(self, col: Col) -> ColumnView:
        found = self.view(col.table).column(col.column)
        if found is None:
            raise NoFitError("a column is not in the schema")
        return found

    def col(self, scope: Scope, path: Path, table: Name, column: str) -> Col:
        view = self.view(table).column(column)
        return Col((*scope.base, *path), table, column, view.family if view else Family.OTHER)

    def usable(self, col: Col) -> Col:
        """The column, refused where the role sees only its mask: a filter or total on masks would mislead."""
        if self.column_view(col).masked:
            raise UnanswerableError(
                "the question cannot be answered for this role",
                detail=f"{col.table[1]}.{col.column} is masked for this role, so it can be shown, but not be filtered,"
                " grouped, sorted or totalled by.",
                hint="Ask by another column, or ask as a role that may see the values.",
            )
        return col

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
        nearest = min(len(r.path) for r in found)
        best = list(dict.fromkeys(r for r in found if len(r.path) == nearest))
        if len(best) > 1 and verb is not None:
            best = [r for r in best if self._verb_fits_role(r.path, verb)] or best
        if len(best) > 1:
            ways = [f"{r.table[1]} through {spell(r.path)}" for r in best]
            raise ambiguous(entity.text, ways, "Name the link, as in the key column's name.")
        self.check_verb(best[0], scope.table, verb)
        return best[0]

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
        return any(stem(verb) == stem(w) for s in path for w in self.lexicon.role_words(s.key))

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
        found = self._candidates(field, scope, fits)
        own = [t for t, _ in found if t.table == scope.table]
        if own:
            best = self._best(own)
            closer = [t for t, _ in found if t.rank < best[0].rank] if best[0].rank == PART else []
            if len(best) > 1 or closer:
                raise ambiguous(field.text, [f"{t.table[1]}.{t.column}" for t in (*best, *closer)])
            return self.col(scope, (), scope.table, best[0].column)
        nearest = min(len(path) for _, path in found)
        near = [(t, path) for t, path in found if len(path) == nearest]
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
        return found

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

    def measured_column(self, scope: Scope, text: str, words: tuple[str, ...]) -> Col:
        """The one number column of the noun's table that has one of the words in its name."""
        names = self.lexicon.names[scope.table]
        found = [
            c.name
            for c in names.table.columns
            if c.family is Family.NUMBER
            and set(words) & set(names.columns[c.name])
            and c.name not in names.table.primary_key
        ]
        if len(found) == 1:
            return self.col(scope, (), scope.table, found[0])
        if found:
            raise ambiguous(text, [f"{scope.table[1]}.{c}" for c in found])
        raise NoFitError(
            NOT_UNDERSTOOD,
            detail=f'"{text}" fits no column of {scope.table[1]}.',
            hint=self.columns_hint(scope.table),
        )

    # Names of rows

    def display(self, table: Name) -> tuple[str, ...]:
        """The columns that name a row to people, or its primary key."""
        names = self.lexicon.names[table]
        by_words = {self._bare(table, c.name): c.name for c in reversed(names.table.columns)}
        for words in (("name",), ("full", "name"), ("title",)):
            if words in by_words:
                return (by_words[words],)
        if ("first", "name") in by_words and ("last", "name") in by_words:
            return by_words["first", "name"], by_words["last", "name"]
        if ("symbol",) in by_words:
            return (by_words["symbol",],)
        return names.table.primary_key or tuple(c.name for c in names.table.columns)

    def naming_column(self, scope: Scope, reached: Reached, text: str) -> Col:
        """The one text column that names a row: for `customer 'X'`."""
        shown = [c for c in self.display(reached.table) if self.view(reached.table).column(c) is not None]
        texts = [c for c in shown if self._family(reached.table, c) is Family.TEXT]
        if len(texts) == 1 and len(shown) == 1:
            return self.col(scope, reached.path, reached.table, texts[0])
        if len(texts) > 1:
            raise ambiguous(text, [f"{reached.table[1]}.{c}" for c in texts])
        raise NoFitError(
            NOT_UNDERSTOOD,
            detail=f"No column of {reached.table[1]} is called a name.",
            hint=self.columns_hint(reached.table),
        )

    def _bare(self, table: Name, column: str) -> tuple[str, ...]:
        names = self.lexicon.names[table]
        words = names.columns[column]
        while len(words) > 1 and words[0] in names.words:
            words = words[1:]
        return words

    def _family(self, table: Name, column: str) -> Family:
        view = self.view(table).column(column)
        return view.family if view else Family.OTHER

    # Dates

    def own_date(self, scope: Scope) -> Col:
        """The date that a row is of. The only date column; else the one named after the table, or just `date`;
        else the only one that is not about maintenance. A table without dates takes its nearest parent's."""
        columns = self._date_columns(scope.table)
        if not columns:
            return self._parents_date(scope)
        chosen = columns
        if len(chosen) > 1:
            chosen = [c for c in columns if not self._date_subject(scope.table, c)] or [
                c for c in columns if not _MAINTENANCE & set(self.lexicon.names[scope.table].columns[c])
            ]
        if len(chosen) != 1:
            choices = [f"{scope.table[1]}.{c}" for c in chosen or columns]
            raise ambiguous("the date", choices, f"Name the date, as in: with {columns[0]} in 2024.")
        return self.col(scope, (), scope.table, chosen[0])

    def own_year(self, scope: Scope) -> Col | None:
        """The number column called year of a table without dates."""
        names = self.lexicon.names[scope.table]
        found = [
            c.name for c in names.table.columns if c.family is Family.NUMBER and names.columns[c.name] == ("year",)
        ]
        if self._date_columns(scope.table) or len(found) != 1:
            return None
        return self.col(scope, (), scope.table, found[0])

    def dates_of_verb(self, scope: Scope, verb: str) -> Col | None:
        """`hired` is hire_date: the date column that shares the verb's stem."""
        names = self.lexicon.names[scope.table]
        wanted = stem(verb)
        found = [
            c for c in self._date_columns(scope.table) if wanted in {stem(w) for w in self._expanded(names.columns[c])}
        ]
        if len(found) > 1:
            raise ambiguous(verb, [f"{scope.table[1]}.{c}" for c in found])
        return self.col(scope, (), scope.table, found[0]) if found else None

    def rank_column(self, scope: Scope, words: tuple[str, ...], *, descending: bool) -> tuple[Col, bool]:
        """The column that an adjective ranks by, and whether from the highest."""
        if words == DATE_ORDER:
            return self.own_date(scope), descending
        if words == AGE_ORDER:
            names = self.lexicon.names[scope.table]
            born = [c for c in self._date_columns(scope.table) if {"birth", "dob"} & set(names.columns[c])]
            if len(born) == 1:
                return self.col(scope, (), scope.table, born[0]), not descending
            own = [c for c in self._date_columns(scope.table) if not self._date_subject(scope.table, c)]
            if descending and len(own) == 1 and not any("age" in w for w in names.columns.values()):
                return self.col(scope, (), scope.table, own[0]), False
            return self.measured_column(scope, "oldest or youngest", ("age",)), descending
        return self.measured_column(scope, " or ".join(words), words), descending

    def _expanded(self, words: tuple[str, ...]) -> set[str]:
        return {w for word in words for option in (word, *self.lexicon.expand(word)) for w in option.split()}

    def _date_columns(self, table: Name) -> list[str]:
        return [c.name for c in self.view(table).columns if c.family in DATES]

    def _date_subject(self, table: Name, column: str) -> bool:
        """Whether a date column's name says more than `date` and the table's own name."""
        names = self.lexicon.names[table]
        words = self._expanded(names.columns[column])
        abbreviated = {w for w in names.columns[column] if self.lexicon.expand(w) != (w,)}
        own = {stem(w) for w in names.words}
        return any(stem(w) not in own for w in words - _DATE_WORDS - abbreviated)

    def _parents_date(self, scope: Scope) -> Col:
        found = [
            (path, table.key)
            for table in self.schema.tables
            if self._date_columns(table.key)
            for path in self.graph.paths(scope.table, table.key)
            if path and is_forward(path)
        ]
        nearest = [(p, t) for p, t in found if len(p) == min(len(q) for q, _ in found)]
        if len(nearest) == 1:
            return self.own_date(scope.at(nearest[0][0]))
        if nearest:
            raise ambiguous("the date", [f"the date of {t[1]} through {spell(p)}" for p, t in nearest])
        raise NoFitError(
            NOT_UNDERSTOOD,
            detail=f"{scope.table[1]} has no date column.",
            hint=self.columns_hint(scope.table),
        )

    def columns_hint(self, table: Name) -> str:
        names = [c.name for c in self.view(table).columns]
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004
        return f"Columns of {table[1]}: {shown}."
