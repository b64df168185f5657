"""The lexicon: which tables and columns a phrase of the question can name.

Each name is known under several keys: as it is spelled, without a prefix that all its neighbours share, with
abbreviations written out, by its comment where that is short, and by its head word. A key is the words run together,
so `join date` meets `joindate`. Ranks say how near a key is to the name; a nearer one hides the rest.
It does not know the question's grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TypeVar

from proxy.nl.embedded.words import (
    ABBREVIATIONS,
    FUNCTION_WORDS,
    GLUE,
    SYNONYMS,
    TABLE_AFFIXES,
    UNIT_WORDS,
    singulars,
    split_identifier,
    unglue,
)
from proxy.nl.schema import ColumnView, Family, SchemaView, TableView
from proxy.policy.catalog import ForeignKey, Name

EXACT, NEAR, SYNONYM, PART = range(4)
MAX_NAME_WORDS = 6
MAX_FORMS = 48

MIN_PREFIX = 3
"""Letters of a word that may abbreviate it."""

Words = tuple[str, ...]
MIN_SHARING = 2
"""Names that must share a prefix, and letters that must be left, before it is taken for one."""
T = TypeVar("T")
Index = dict[str, dict[tuple[Name, T], int]]


@dataclass(frozen=True, slots=True)
class TableTarget:
    """A table that a phrase may name; `role` is the key through which it is named so (`manager`)."""

    table: Name
    rank: int
    role: ForeignKey | None = None


@dataclass(frozen=True, slots=True)
class ColumnTarget:
    """A column that a phrase may name."""

    table: Name
    column: str
    rank: int


@dataclass(frozen=True)
class Names:
    """Everything about one table's names."""

    table: TableView
    words: Words
    """The table's name without affixes and shared prefix, singular."""
    columns: Mapping[str, Words]
    """Each column's words without shared prefix."""


def keys_of(words: Iterable[str]) -> list[str]:
    """Every key of a phrase: each word as it stands or as a singular, run together."""
    return ["".join(p) for p in islice(product(*(singulars(w) for w in words)), MAX_FORMS)]


class Lexicon:
    """Phrases to tables and columns of one schema view."""

    def __init__(self, schema: SchemaView) -> None:
        self.schema = schema
        self._tables: Index[ForeignKey | None] = {}
        self._columns: Index[str] = {}
        shared = _shared_prefix([t.name for t in schema.tables])
        self.names = {t.key: _names(t, shared) for t in schema.tables}
        self.abbreviations = self._derived_abbreviations()
        for names in self.names.values():
            self._add_table(names)
            for column in names.table.columns:
                self._add_column(names, column)

    def tables(self, words: Words) -> tuple[TableTarget, ...]:
        """Tables that the whole phrase names, the best rank only."""
        found = _best(self._tables, self._forms(words))
        return tuple(TableTarget(table, rank, role) for (table, role), rank in found.items())

    def columns(self, words: Words) -> tuple[ColumnTarget, ...]:
        """Columns that the whole phrase names, at every rank: the tables in question decide between them."""
        found: dict[tuple[Name, str], int] = {}
        for forms, penalty in self._forms(words):
            for key in forms:
                for target, rank in self._columns.get(key, {}).items():
                    found[target] = min(found.get(target, PART), max(rank, penalty))
            if found:
                break
        return tuple(ColumnTarget(*target, rank) for target, rank in found.items())

    def add_role(self, key: ForeignKey) -> None:
        """Lets a key's own name stand for the table that it points to, where it says more than that table's name."""
        role = () if key.columns == key.ref_columns else self.role_words(key)
        if role and role != self.names[key.ref_table].words:
            for form in keys_of(role):
                self._tables.setdefault(form, {}).setdefault((key.ref_table, key), NEAR)

    def role_words(self, key: ForeignKey) -> Words:
        """`manager_id` is (manager,): the words of a one-column key without its id."""
        if len(key.columns) != 1:
            return ()
        words = self.names[key.table].columns[key.columns[0]]
        expanded = tuple(w for word in words for w in self.expand(word)[0].split())
        while len(expanded) > 1 and expanded[-1] in {"id", "code", "key", "number", "no", "ref", "fk", "uuid"}:
            expanded = expanded[:-1]
        return expanded

    def key_forms(self, table: Name, column: str) -> set[str]:
        """Every key under which a column is known by its own words."""
        return {k for words in self._expansions(self.names[table].columns[column]) for k in keys_of(words)}

    def known_words(self) -> set[str]:
        """Every word of every name, with what it stands for."""
        names = [n.words for n in self.names.values()]
        names += [words for n in self.names.values() for words in n.columns.values()]
        return {w for words in names for form in self._expansions(words) for w in form} | set(SYNONYMS)

    def nearest(self, word: str) -> list[str]:
        """Names of tables and columns that begin alike, for a hint."""
        low = word.lower()
        if len(low) < MIN_PREFIX or low in FUNCTION_WORDS:
            return []
        names = {t.name for t in self.schema.tables} | {c.name for t in self.schema.tables for c in t.columns}
        return sorted(n for n in names if low[:4] and low[:4] in n.lower())[:5]

    def _forms(self, words: Words) -> list[tuple[list[str], int]]:
        found = [(keys_of(words), EXACT)]
        joined = " ".join(words)
        for singular in dict.fromkeys((joined, *(" ".join((*words[:-1], s)) for s in singulars(words[-1])))):
            for synonym in SYNONYMS.get(singular, ()):
                found.append((keys_of(synonym.split()), SYNONYM))
        return found

    def _derived_abbreviations(self) -> dict[str, tuple[str, ...]]:
        """A prefix that a table's columns share abbreviates a word of its name: sb_cust_id in sb_customer."""
        found: dict[str, tuple[str, ...]] = {}
        for names in self.names.values():
            for word in {w for c in names.table.columns for w in _words(c.name)}:
                longer = [t for t in names.words if t.startswith(word) and len(t) > len(word) >= MIN_PREFIX]
                if word not in GLUE and longer:
                    found[word] = tuple(dict.fromkeys((*found.get(word, ()), *longer)))
        return found

    def expand(self, word: str) -> tuple[str, ...]:
        found = (*self.abbreviations.get(word, ()), *ABBREVIATIONS.get(word, ()))
        return tuple(dict.fromkeys(found)) or (word,)

    def _expansions(self, words: Words) -> list[Words]:
        options = [tuple(dict.fromkeys((word, *self.expand(word)))) for word in words]
        return [
            tuple(w for choice in chosen for w in choice.split()) for chosen in islice(product(*options), MAX_FORMS)
        ]

    def _add_table(self, names: Names) -> None:
        table = names.table
        target = (table.key, None)
        self._put(self._tables, split_identifier(table.name), target, EXACT)
        for words in self._expansions(names.words):
            self._put(self._tables, words, target, NEAR)
            core = _without_tail(words)
            for start in range(len(core)):
                self._put(self._tables, core[start:], target, PART)
        for words in _comment_names(table.comment, of_table=True):
            self._put(self._tables, words, target, SYNONYM)

    def _add_column(self, names: Names, column: ColumnView) -> None:
        target = (names.table.key, column.name)
        self._put(self._columns, split_identifier(column.name), target, EXACT)
        for words in self._expansions(names.columns[column.name]):
            self._put(self._columns, words, target, NEAR)
            inner = _without_owner(words, names.words)
            if inner != words:
                self._put(self._columns, inner, target, NEAR)
            for start in range(1, len(words)):
                self._put(self._columns, words[start:], target, PART)
            if words[-1] == "name" and len(words) > 1 and inner == words:
                self._put(self._columns, words[:-1], target, SYNONYM)
            if words[-1] in UNIT_WORDS and len(words) > 1:
                self._put(self._columns, (*words[:-1], "in", words[-1]), target, NEAR)
                self._put(self._columns, _without_owner(words, names.words)[:-1], target, NEAR)
            if column.family is Family.BOOLEAN and words[0] in {"is", "has", "was", "are"} and len(words) > 1:
                self._put(self._columns, words[1:], target, NEAR)
        for words in _comment_names(column.comment):
            self._put(self._columns, words, target, SYNONYM)

    @staticmethod
    def _put(index: Index[T], words: Words, target: tuple[Name, T], rank: int) -> None:
        for key in keys_of(words):
            ranks = index.setdefault(key, {})
            ranks[target] = min(rank, ranks.get(target, rank))


_TAIL = frozenset({"daily", "weekly", "monthly", "yearly", "hourly", "data", "info", "list", "master", "all", "made"})
_COMMENT_CUT = re.compile(r"[.,;:()\[\]\n]| - | – | — ")
_ALSO = re.compile(r"\b(?:also (?:called|known as)|synonyms?|aka|alias(?:es)?)\b:?\s*([^.;()\n]+)", re.IGNORECASE)
_MAX_COMMENT_WORDS = 4
_MAX_GLUED_PREFIX = 12


def _words(name: str) -> Words:
    return tuple(w for word in split_identifier(name) for w in unglue(word))


def _common(items: Sequence[Sequence[str]]) -> int:
    """How many leading elements all items share."""
    return next((i for i, column in enumerate(zip(*items, strict=False)) if len(set(column)) > 1), min(map(len, items)))


def _shared_prefix(names: list[str]) -> str:
    """What every name begins with and none is without: whole words, or letters where no name has separators."""
    if len(names) < MIN_SHARING:
        return ""
    split = [split_identifier(n) for n in names]
    length = min(_common(split), min(len(words) for words in split) - 1)
    if length > 0:
        return "".join(split[0][:length])
    if any("_" in n or n != n.lower() for n in names):
        return ""
    length = _common(names)
    rest = min(len(n) for n in names) - length
    if rest < MIN_SHARING or not MIN_SHARING <= length <= _MAX_GLUED_PREFIX or names[0][:length] in GLUE:
        return ""
    return names[0][:length]


def _without_prefix(name: str, prefix: str) -> Words:
    words = split_identifier(name)
    if not prefix:
        return _words(name)
    for length in range(1, len(words)):
        if "".join(words[:length]) == prefix:
            return tuple(w for word in words[length:] for w in unglue(word))
    return _words(name[len(prefix) :]) if name.lower().startswith(prefix) else _words(name)


def _names(table: TableView, shared: str) -> Names:
    words = list(_without_prefix(table.name, shared))
    while len(words) > 1 and words[0] in TABLE_AFFIXES:
        words.pop(0)
    while len(words) > 1 and words[-1] in TABLE_AFFIXES:
        words.pop()
    prefix = _shared_prefix([c.name for c in table.columns])
    columns = {c.name: _without_prefix(c.name, prefix) for c in table.columns}
    return Names(table, tuple(singulars(w)[-1] for w in words), columns)


def _without_tail(words: Words) -> Words:
    """A table's words without what only says how or when its rows came: `payments_received`."""
    kept = list(words)
    while len(kept) > 1 and (kept[-1] in _TAIL or (kept[-1].endswith("ed") and len(kept[-1]) > MIN_PREFIX + 1)):
        kept.pop()
    return tuple(kept)


def _without_owner(words: Words, owner: Words) -> Words:
    """`order_status` of orders is the status: a column's words without its table's in front."""
    length = 0
    while length < len(words) - 1 and set(singulars(words[length])) & set(owner):
        length += 1
    return words[length:]


def _comment_names(comment: str | None, *, of_table: bool = False) -> list[Words]:
    """The names that a comment gives: its first phrase where it is short, and what it says the thing is also called."""
    if not comment:
        return []
    found = []
    first = _COMMENT_CUT.split(comment.strip(), maxsplit=1)[0].split()
    # `Orders of customers` describes a table: in a question the words mean orders, and whose.
    described = of_table and any(w.lower() in FUNCTION_WORDS for w in first)
    if 0 < len(first) <= _MAX_COMMENT_WORDS and not described:
        found.append(first)
    for match in _ALSO.finditer(comment):
        found += [phrase.split() for phrase in re.split(r",|\bor\b|\band\b", match.group(1))]
    return [tuple(w.lower().strip("'\"") for w in words) for words in found if words]


def _best(index: Index[T], forms: list[tuple[list[str], int]]) -> dict[tuple[Name, T], int]:
    for keys, penalty in forms:
        found: dict[tuple[Name, T], int] = {}
        for key in keys:
            for target, rank in index.get(key, {}).items():
                found[target] = min(found.get(target, PART), max(rank, penalty))
        if found:
            best = min(found.values())
            return {target: rank for target, rank in found.items() if rank == best}
    return {}
