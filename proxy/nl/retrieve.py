"""What of the schema goes into a request: the identity's tables, comments without private values, within a budget.

A small schema goes whole. Of a large one, the tables whose names, columns, comments or labels share words with the
question, and their neighbours along foreign keys. Comments are other people's text: they are scrubbed once per version
of the catalogue.

It does not know rows, and it shows a provider nothing that the identity could not read.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from proxy.nl.ports import AskContext, ColumnKey, Hint, Masked, TextScrubber
from proxy.nl.schema import ColumnView, Family, SchemaView, TableView, build_schema_view
from proxy.policy.catalog import Catalog, Name
from proxy.policy.model import Policy
from proxy.policy.private import PrivateColumn

MAX_COLUMNS = 400
"""Columns in one request: about 12,000 tokens."""

MAX_COMMENT = 200
"""Characters of a comment that a provider sees."""

_WITH_ROWS = frozenset("rpmf")
_CACHE_SIZE = 64

_PRIVATE_FORM = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\+?\d(?:[\s().-]{0,2}\d){6,}")
"""E-mail addresses, and digits enough for a phone number or an identifier."""

_WORD = re.compile(r"[^\W\d_]+")

Key = tuple[str, datetime | None, int, tuple[str, ...], bool]


@dataclass(frozen=True)
class Known:
    """Everything about the schema that one identity's questions need, for one policy and one catalogue."""

    view: SchemaView
    names: frozenset[str]
    """Names of tables and columns, and enum labels: never private."""
    private: tuple[PrivateColumn, ...]
    open_columns: frozenset[ColumnKey]
    """Text columns of the view that are private for nobody and that the identity sees unmasked."""
    own_columns: frozenset[ColumnKey] = frozenset()
    """Those that are private, and that the identity sees unmasked."""

    @property
    def columns(self) -> int:
        """How many columns the view has."""
        return sum(len(table.columns) for table in self.view.tables)


@dataclass
class Library:
    """Schema views by policy, catalogue and roles. `scrubber` adds to the forms that are always redacted."""

    scrubber: TextScrubber | None = None
    _known: OrderedDict[Key, Known] = field(default_factory=OrderedDict)

    async def known(self, context: AskContext) -> Known:
        """What the context's identity may know. Computed once for each version of policy and catalogue."""
        policy, catalog, identity = context.veil.policy, context.veil.catalog, context.identity
        # An exception that ends changes what is seen, and not the policy's files.
        key = (policy.digest, policy.changes_at(), catalog.version, identity.roles, identity.bypass)
        found = self._known.get(key)
        if found is None:
            view = await self._scrubbed(build_schema_view(context.veil, catalog, identity))
            found = Known(
                view,
                schema_names(view),
                private_columns(policy, catalog, view),
                open_columns(policy, view),
                own_columns(policy, view),
            )
            self._known[key] = found
            if len(self._known) > _CACHE_SIZE:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return found

    async def _scrubbed(self, view: SchemaView) -> SchemaView:
        texts = tuple(dict.fromkeys(_comments(view)))
        clean = await self.scrubber.scrub(texts) if self.scrubber and texts else texts
        new = {old: redact(text) for old, text in zip(texts, clean, strict=True)}
        return replace(view, tables=tuple(_commented(table, new) for table in view.tables))


def redact(comment: str) -> str:
    """A comment on one line, of bounded length, without what has the form of a private value."""
    line = " ".join("".join(c if c.isprintable() else " " for c in comment).split())
    return _PRIVATE_FORM.sub("[redacted]", line)[:MAX_COMMENT]


def _comments(view: SchemaView) -> Iterable[str]:
    for table in view.tables:
        for comment in (table.comment, *(column.comment for column in table.columns)):
            if comment:
                yield comment


def _commented(table: TableView, new: dict[str, str]) -> TableView:
    columns = tuple(replace(c, comment=new.get(c.comment or "")) for c in table.columns)
    return replace(table, comment=new.get(table.comment or ""), columns=columns)


def schema_names(view: SchemaView) -> frozenset[str]:
    """Every name of the view, and every label of its enums."""
    names: set[str] = set()
    for table in view.tables:
        names |= {table.schema, table.name}
        for column in table.columns:
            names |= {column.name, *column.labels}
    return frozenset(names)


def private_columns(policy: Policy, catalog: Catalog, view: SchemaView) -> tuple[PrivateColumn, ...]:
    """Columns of the database that are private for anybody, whoever asks. Views repeat what their tables hold."""
    return tuple(
        PrivateColumn(*relation.key, column.name, column.type_name, _sees(view, (*relation.key, column.name)))
        for relation in catalog.user_relations()
        if relation.kind in _WITH_ROWS and relation.readable
        if not any(parent in catalog.relations for parent in relation.parents)
        for column in relation.columns
        if policy.is_private(relation.key, column.name)
    )


def open_columns(policy: Policy, view: SchemaView) -> frozenset[ColumnKey]:
    """Text columns whose values may be looked up for a question: private for nobody, masked for nobody."""
    return frozenset(
        (*table.key, column.name)
        for table in view.tables
        for column in table.columns
        if _may_be_searched(table, column) and not policy.is_private(table.key, column.name)
    )


def own_columns(policy: Policy, view: SchemaView) -> frozenset[ColumnKey]:
    """Private text columns that the identity may read as they are: its own placeholders may be looked up there."""
    return frozenset(
        (*table.key, column.name)
        for table in view.tables
        for column in table.columns
        if _may_be_searched(table, column) and policy.is_private(table.key, column.name)
    )


def _may_be_searched(table: TableView, column: ColumnView) -> bool:
    return not table.filtered and column.family is Family.TEXT and not column.masked and not column.labels


def hints(masked: Masked, view: SchemaView) -> tuple[Hint, ...]:
    """The question's placeholders, in order. A column whose values the identity cannot see is not named:
    that a value stands in it is news."""
    found: dict[str, Hint] = {}
    for _, _, token in sorted(masked.vault.find(masked.text)):
        secret = masked.vault.lookup(token)
        if secret is not None and token not in found:
            column = secret.column if secret.column and _sees(view, secret.column) else None
            found[token] = Hint(token, secret.type, column, secret.whole and column is not None)
    return tuple(found.values())


def _sees(view: SchemaView, key: ColumnKey) -> bool:
    """Whether the identity sees all of the column's values: it can read the column, and not as a mask."""
    table = view.table((key[0], key[1]))
    column = table.column(key[2]) if table is not None and not table.filtered else None
    return column is not None and not column.masked


def select_tables(
    view: SchemaView, question: str, found: tuple[Hint, ...] = (), budget: int = MAX_COLUMNS
) -> SchemaView:
    """The tables that the question is likely to be about, at most `budget` columns; all of them where they fit."""
    if sum(len(table.columns) for table in view.tables) <= budget:
        return view
    words = _words(question)
    hinted = {hint.column[:2] for hint in found if hint.column}
    scores = {t.key: _score(t, words) + (10 if t.key in hinted else 0) for t in view.tables}
    near: dict[Name, int] = {}
    for key in view.foreign_keys:
        for one, other in ((key.table, key.ref_table), (key.ref_table, key.table)):
            near[one] = max(near.get(one, 0), scores.get(other, 0) // 2)
    ranked = sorted(view.tables, key=lambda t: (-scores[t.key] - near.get(t.key, 0), t.key))
    return _within(view, ranked, budget)


def _within(view: SchemaView, ranked: list[TableView], budget: int) -> SchemaView:
    chosen: set[Name] = set()
    left = budget
    for table in ranked:
        if len(table.columns) <= left:
            chosen.add(table.key)
            left -= len(table.columns)
    tables = tuple(t for t in view.tables if t.key in chosen)
    keys = tuple(k for k in view.foreign_keys if k.table in chosen and k.ref_table in chosen)
    return SchemaView(tables, keys)


def _score(table: TableView, words: frozenset[str]) -> int:
    """Shared words: the table's name counts most, then its columns and labels, then comments."""
    columns = " ".join(" ".join((c.name, *c.labels)) for c in table.columns)
    comments = " ".join((table.comment or "", *(c.comment or "" for c in table.columns)))
    return sum(weight * len(words & _words(text)) for weight, text in ((6, table.name), (2, columns), (1, comments)))


def _words(text: str) -> frozenset[str]:
    """Words in lower case without a plural s."""
    return frozenset(w.removesuffix("s") for w in _WORD.findall(text.lower()) if len(w) > 1)
