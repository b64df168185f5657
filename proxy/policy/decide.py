"""The veil: SQL text, a role and the catalogue in; a Plan or a Refusal out. Pure, and cached.

A Veil is made for one policy and one catalogue; a new version of either is a new Veil, so no plan outlives what it
was decided on. What runs is the rewritten tree: it is deparsed, parsed again, and must come back as the same tree
with every relation in it named by schema. A statement that no rule touches is sent byte for byte as it came.

It does not run anything, and it does not know who is asking beyond the Identity that it is given.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from proxy.policy import parser
from proxy.policy.catalog import Catalog, Relation
from proxy.policy.model import Policy
from proxy.policy.plan import Plan, Refusal
from proxy.policy.refused import HINT, Refused
from proxy.policy.relations import MaskedRelations, RewrittenView
from proxy.policy.rewrite import Rewriter
from proxy.policy.rules import Identity, StatementKind
from proxy.policy.statements import plan_statement
from proxy.policy.trust import Trust

CACHE_SIZE = 1024
CACHED_TEXT = 8192
"""Longer texts (characters) are decided on every time: thousands of them would be a lot of memory."""
READ_ONLY = frozenset({StatementKind.SELECT})

Key = tuple[tuple[str, ...], bool, bool, tuple[str, ...], str]


class Veil:
    """Decides on statements for one policy and one catalogue. Of the event loop, `decide_apart` excepted."""

    def __init__(self, policy: Policy, catalog: Catalog, *, cache_size: int = CACHE_SIZE) -> None:
        self.policy = policy
        self.catalog = catalog
        self._plans: OrderedDict[Key, Plan | Refusal] = OrderedDict()
        self._cache_size = cache_size
        self._relations: dict[tuple[tuple[str, ...], bool], MaskedRelations] = {}
        self._lock = threading.Lock()
        self._apart: Veil | None = None

    def decide_apart(self, sql: str, identity: Identity, search_path: tuple[str, ...]) -> Plan | Refusal:
        """As `decide`, for a thread: one at a time, on state of its own. For texts that take longer than an event
        loop should be held."""
        with self._lock:
            if self._apart is None:
                self._apart = Veil(self.policy, self.catalog, cache_size=0)
            return self._apart.decide(sql, identity, search_path)

    def decide(self, sql: str, identity: Identity, search_path: tuple[str, ...]) -> Plan | Refusal:
        """What may run instead of `sql` for this identity.

        Returns:
            a Plan, whose `sql` is the text to send; or a Refusal with SQLSTATE 42501 (may not), 0A000 (cannot be
            analysed), 42601 (PostgreSQL's own syntax error), 42P01 or 42703 (no such relation or column).
        """
        return self._cached(sql, identity, search_path, generated=False)

    def decide_generated(self, sql: str, identity: Identity, search_path: tuple[str, ...]) -> Plan | Refusal:
        """As `decide`, for SQL that somebody else wrote in the session's name: one SELECT, and the function list holds
        for a bypass role too."""
        return self._cached(sql, identity, search_path, generated=True)

    def decide_parameters(self, types: tuple[int, ...]) -> Refusal | None:
        """None where a Parse message may declare its parameters with these type OIDs (0: undeclared)."""
        trust = Trust(self.policy, self.catalog)
        try:
            for oid in types:
                trust.parameter(oid)
        except Refused as refused:
            return refused.refusal
        return None

    def visible(self, identity: Identity) -> list[Relation]:
        """The user relations that the identity may read, by name."""
        relations = self._relations_for(identity)
        found = []
        for relation in self.catalog.user_relations():
            if relation.kind not in "rpvmf" or not relation.readable or not relations.may_read(relation):
                continue
            try:
                relations.replacement(relation)
            except Refused:
                continue
            found.append(relation)
        return found

    def masked_columns(self, identity: Identity, relation: Relation) -> Mapping[str, str]:
        """Column to mask name, for the columns of a relation that this identity sees masked.

        A view's column that shows masked values of the tables below has the name `view`.
        """
        return self._relations_for(identity).masked_names(relation)

    def _cached(self, sql: str, identity: Identity, search_path: tuple[str, ...], *, generated: bool) -> Plan | Refusal:
        key = (identity.roles, identity.bypass, generated, search_path, sql)
        found = self._plans.get(key)
        if found is not None:
            self._plans.move_to_end(key)
            return found
        decision = self._decide(sql, identity, search_path, generated=generated)
        if len(sql) <= CACHED_TEXT and not (isinstance(decision, Refusal) and decision.unknown):
            self._plans[key] = decision
            if len(self._plans) > self._cache_size:
                self._plans.popitem(last=False)
        return decision

    def _decide(self, sql: str, identity: Identity, search_path: tuple[str, ...], *, generated: bool) -> Plan | Refusal:
        try:
            tree = parser.parse(sql)
        except parser.SyntaxProblem as problem:
            return _syntax_refusal(problem)
        if generated and len(tree.stmts) != 1:
            return Refusal("42501", "a question runs one statement, a SELECT", hint=HINT)
        granted = READ_ONLY if generated else self.policy.statements
        try:
            return self._plan(sql, tree, Rewriting(self._relations_for(identity), search_path, granted))
        except Refused as refused:
            return _located(sql, refused)

    def _plan(self, sql: str, tree: parser.ParseTree, rewriting: Rewriting) -> Plan:
        statements, rewriters = [], []
        for raw in tree.stmts:
            rewriter = rewriting.rewriter()
            statements.append(plan_statement(raw.stmt, rewriter, rewriting.granted))
            rewriters.append(rewriter)
        changed = any(r.changed for r in rewriters)
        return Plan(
            sql=verified_text(tree) if changed else sql,
            statements=tuple(statements),
            rewritten=changed,
            touched=frozenset().union(*(r.touched for r in rewriters)),
            masks=tuple(dict.fromkeys(mask for r in rewriters for mask in r.masks)),
            policy_version=self.policy.digest,
            catalog_version=self.catalog.version,
            tree=tree.SerializeToString() if changed else b"",
            original=sql if changed else "",
        )

    def _relations_for(self, identity: Identity) -> MaskedRelations:
        key = (identity.roles, identity.bypass)
        if key not in self._relations:
            self._relations[key] = MaskedRelations(self.policy, self.catalog, identity, rewrite_view)
        return self._relations[key]


class Rewriting:
    """What every statement of one text shares."""

    def __init__(
        self, relations: MaskedRelations, search_path: tuple[str, ...], granted: frozenset[StatementKind]
    ) -> None:
        self._relations = relations
        self._search_path = search_path
        self.granted = granted

    def rewriter(self) -> Rewriter:
        return Rewriter(self._relations, self._search_path, may_set=StatementKind.SET in self.granted)


def rewrite_view(relations: MaskedRelations, view: Relation) -> RewrittenView:
    """The engine over a view's definition, for `MaskedRelations`. Raises Refused."""
    if view.definition is None:
        raise Refused(Refusal("0A000", "its definition is not known"))
    try:
        tree = parser.parse(view.definition)
    except parser.SyntaxProblem:
        raise Refused(Refusal("0A000", "its definition cannot be analysed")) from None
    select = tree.stmts[0].stmt.select_stmt
    rewriter = Rewriter(relations, ()).for_view()
    rewriter.select(select)
    rewriter.finish()
    return RewrittenView(select, rewriter.changed, tuple(rewriter.masks), rewriter.hides)


def verified_text(tree: parser.ParseTree) -> str:
    """The tree as SQL text that PostgreSQL's grammar reads as that very tree.

    Raises:
        Refused: the text says something else (a fault of the deparser), or leaves a relation to search_path.
    """
    try:
        text = parser.deparse(tree)
        again = parser.parse(text)
    except parser.SyntaxProblem:
        raise Refused(Refusal("0A000", "the masked form of this statement cannot be written")) from None
    if parser.paired_locations(tree, again) is None:
        raise Refused(Refusal("0A000", "the masked form of this statement cannot be written faithfully"))
    if any(not r.schemaname and r.relname not in names for names, r in _references(again)):
        raise Refused(Refusal("0A000", "the masked form of this statement leaves a relation unresolved"))
    return text


def _references(tree: parser.ParseTree) -> list[tuple[set[str], Any]]:
    """Every RangeVar, with the names of all WITH queries of the text."""
    found = list(parser.nodes_of(tree))
    names = {node.ctename for node in found if node.DESCRIPTOR.name == "CommonTableExpr"}
    return [(names, node) for node in found if node.DESCRIPTOR.name == "RangeVar"]


def _syntax_refusal(problem: parser.SyntaxProblem) -> Refusal:
    deep = problem.position is None
    return Refusal("0A000" if deep else "42601", problem.message, position=problem.position)


def _located(sql: str, refused: Refused) -> Refusal:
    if refused.location < 0 or refused.refusal.position is not None:
        return refused.refusal
    return replace(refused.refusal, position=parser.byte_to_character(sql, refused.location) + 1)
