"""The veil: SQL text, a role and the catalogue in; a Plan or a Refusal out. Pure, and cached.

A Veil is made for one policy and one catalogue; a new version of either is a new Veil, so no plan outlives what it
was decided on.

It does not run anything, and it does not know who is asking beyond the Identity that it is given. It does not know how
a plan is made either (`planning`): this is what every statement runs through.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from proxy.policy import parser, planning, writes
from proxy.policy.catalog import Catalog, Relation
from proxy.policy.context import Context
from proxy.policy.maskedview import MaskedView
from proxy.policy.model import Policy
from proxy.policy.plan import Plan, Refusal
from proxy.policy.refused import HINT, Refused
from proxy.policy.relations import MaskedRelations
from proxy.policy.rules import Identity, Predicates, StatementKind
from proxy.policy.shapeproof import proven
from proxy.policy.shapes import Outline, Shapes, Sighted, outline
from proxy.policy.trust import Trust

CACHE_SIZE = 1024
CACHED_TEXT = 8192
"""Longer texts (characters) are decided on every time: thousands of them would be a lot of memory."""
READ_ONLY = frozenset({StatementKind.SELECT})

MAX_ROLE_SETS = 256
"""Masked views are kept for so many; more are possible only where a policy asks for the user's name."""

MAX_DESKS = 1024
"""So many settings of a session are kept, and so many identities are known by sight."""

Who = tuple[tuple[str, ...], bool, str]
Setting = tuple[Who, tuple[str, ...], frozenset[str], tuple[int, ...]]


class Desk:
    """What a decision depends on beside the text: who, search path, temporary tables, parameters' types. There is one
    for each of these, so that it is compared and hashed as the object that it is."""

    __slots__ = ()


class Asked(NamedTuple):
    """What a desk stands for."""

    identity: Identity
    search_path: tuple[str, ...]
    temps: frozenset[str] = frozenset()
    types: tuple[int, ...] = ()


Key = tuple[Desk, bool, str]
Seat = tuple[Identity, tuple[str, ...], frozenset[str], tuple[int, ...], Desk]


class Veil:
    """Decides on statements for one policy and one catalogue. Of the event loop, `decide_apart` excepted.

    Args:
        on_floor: sessions log in where the floor's masked views are, and no protected table can be read.
    """

    def __init__(
        self, policy: Policy, catalog: Catalog, *, on_floor: bool = False, cache_size: int = CACHE_SIZE
    ) -> None:
        self.policy = policy
        self.catalog = catalog
        self.on_floor = on_floor
        self._plans: OrderedDict[Key, Plan | Refusal] = OrderedDict()
        self._cache_size = cache_size
        self._shapes = Shapes(cache_size)
        self._desks: OrderedDict[Setting, Desk] = OrderedDict()
        self._seats: dict[int, Seat] = {}
        self._relations: OrderedDict[Who, MaskedRelations] = OrderedDict()
        self._lock = threading.Lock()
        self._apart: Veil | None = None
        # What may stand below a row filter's fence, and what `predicates: raw` moves, depends on parameters' types.
        self._asks_types = bool(policy.rows) or any(r.predicates != Predicates.MASKED for r in policy.masks)
        self.afresh = 0
        """How many texts were analysed, proofs of shapes included."""

    def decide(
        self,
        sql: str,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Plan | Refusal:
        """What may run instead of `sql` for this identity.

        Args:
            temps: the names of the session's own temporary tables.
            types: the OIDs that a Parse message declares for the parameters.

        Returns:
            a Plan, whose `sql` is the text to send; or a Refusal with SQLSTATE 42501 (may not), 0A000 (cannot be
            analysed), 42601 (PostgreSQL's own syntax error), 42P01 or 42703 (no such relation or column).
        """
        desk = self.desk(identity, search_path, temps, types)
        key = (desk, False, sql)
        found = self._plans.get(key)
        if found is not None:
            self._plans.move_to_end(key)
            return found
        lines = outline(sql.encode("utf-8", "surrogatepass")) if self._cache_size else None
        shape = None if lines is None else self._shapes.find(desk, lines)
        if lines is not None and shape is not None:
            return shape.plan(sql, lines[1])
        return self._learnt(key, lines, Asked(identity, search_path, temps, types))

    def desk(
        self,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Desk:
        """What a decision of this veil depends on beside the text; the arguments are those of `decide`."""
        return self._desk(identity, search_path, temps, types if self._asks_types else ())

    def sight(self, desk: Desk, text: bytes) -> Sighted | None:
        """What `decide` says, at that desk, of a text (UTF-8) that differs from others in integers only; None where
        none of its shape is known."""
        lines = outline(text)
        shape = None if lines is None else self._shapes.find(desk, lines)
        return None if lines is None or shape is None else Sighted(shape, lines[1])

    def decide_apart(
        self,
        sql: str,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Plan | Refusal:
        """As `decide`, for a thread: one at a time, on state of its own. For texts that take longer than an event
        loop should be held."""
        with self._lock:
            if self._apart is None:
                self._apart = Veil(self.policy, self.catalog, on_floor=self.on_floor, cache_size=0)
            return self._apart.decide(sql, identity, search_path, temps, types)

    def decide_generated(self, sql: str, identity: Identity, search_path: tuple[str, ...]) -> Plan | Refusal:
        """As `decide`, for SQL that somebody else wrote in the session's name: one SELECT, and the function list holds
        for a bypass role too."""
        key = (self.desk(identity, search_path), True, sql)
        found = self._plans.get(key)
        if found is not None:
            return found
        context = replace(self._context(Asked(identity, search_path)), granted=READ_ONLY, modify=None)
        return self._kept(key, self._decide(sql, identity, context, generated=True))

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

    def floor_views(self, identity: Identity) -> Iterator[tuple[Relation, MaskedView]]:
        """Each relation that the identity may read, and what masks it, where anything does and the floor has to hold
        it."""
        relations = self._relations_for(identity)
        for relation in self.visible(identity):
            replacement = relations.replacement(relation)
            if replacement is not None and replacement.protects:
                yield relation, replacement.view

    def is_filtered(self, identity: Identity, relation: Relation) -> bool:
        """Whether rows of the relation are hidden from the identity."""
        return self._relations_for(identity).is_filtered(relation)

    def hides_rows(self, identity: Identity, relation: Relation) -> bool:
        """As `is_filtered`, of a view's own relations too."""
        return self._relations_for(identity).hides_rows(relation)

    # What is known already

    def _desk(
        self, identity: Identity, search_path: tuple[str, ...], temps: frozenset[str], types: tuple[int, ...]
    ) -> Desk:
        """A session comes with the same objects at every statement: what it came with last is looked at first."""
        seat = self._seats.get(id(identity))
        # The seat holds its identity, so no other object has its id.
        if seat is not None and seat[1] == search_path and seat[2] == temps and seat[3] == types:
            return seat[4]
        setting = (self._who(identity), search_path, temps, types)
        desk = self._desks.get(setting)
        if desk is None:
            desk = self._desks[setting] = Desk()
            if len(self._desks) > MAX_DESKS:
                self._desks.popitem(last=False)
        if len(self._seats) >= MAX_DESKS:
            self._seats.clear()
        self._seats[id(identity)] = (identity, search_path, temps, types, desk)
        return desk

    # Making a plan

    def _learnt(self, key: Key, lines: Outline | None, asked: Asked) -> Plan | Refusal:
        """Decides, and keeps what may be said of texts like this one."""
        desk, _, sql = key

        def afresh(text: str) -> Plan | Refusal:
            return self._decide(text, asked.identity, self._context(asked))

        decision = self._kept(key, afresh(sql))
        if lines is not None and isinstance(decision, Plan):
            plan = decision
            self._shapes.learn(desk, lines, lambda: proven(sql, plan, afresh))
        return decision

    def _kept(self, key: Key, decision: Plan | Refusal) -> Plan | Refusal:
        if len(key[-1]) <= CACHED_TEXT and not (isinstance(decision, Refusal) and decision.unknown):
            self._plans[key] = decision
            if len(self._plans) > self._cache_size:
                self._plans.popitem(last=False)
        return decision

    def _context(self, asked: Asked) -> Context:
        limits = self.policy.limits_for(asked.identity)
        granted = self.policy.statements
        return Context(
            asked.search_path, asked.temps, asked.types, granted=granted, limits=limits, modify=writes.modify
        )

    def _decide(self, sql: str, identity: Identity, context: Context, *, generated: bool = False) -> Plan | Refusal:
        self.afresh += 1
        try:
            tree = parser.parse(sql)
        except parser.SyntaxProblem as problem:
            return _syntax_refusal(problem)
        if generated and len(tree.stmts) != 1:
            return Refusal("42501", "a question runs one statement, a SELECT", hint=HINT)
        try:
            relations = self._relations_for(identity)
            return planning.plan_text(sql, tree, relations, context, self.policy.digest, self.catalog.version)
        except Refused as refused:
            return _located(sql, refused)

    def _who(self, identity: Identity) -> Who:
        """What two identities that see the same have in common."""
        return identity.roles, identity.bypass, identity.user if self.policy.asks_for_name else ""

    def _relations_for(self, identity: Identity) -> MaskedRelations:
        key = self._who(identity)
        found = self._relations.get(key)
        if found is None:
            found = MaskedRelations(self.policy, self.catalog, identity, planning.rewrite_view, on_floor=self.on_floor)
            self._relations[key] = found
            if len(self._relations) > MAX_ROLE_SETS:
                self._relations.popitem(last=False)
        return found


def _syntax_refusal(problem: parser.SyntaxProblem) -> Refusal:
    deep = problem.position is None
    return Refusal("0A000" if deep else "42601", problem.message, position=problem.position)


def _located(sql: str, refused: Refused) -> Refusal:
    if refused.location < 0 or refused.refusal.position is not None:
        return refused.refusal
    return replace(refused.refusal, position=parser.byte_to_character(sql, refused.location) + 1)
