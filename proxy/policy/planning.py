"""How one parsed text becomes a Plan, for one role set and one catalogue.

What runs is the rewritten tree: it is deparsed, parsed again, and must come back as the same tree; then the masked
views are put in their places. A statement that no rule touches is sent byte for byte as it came.

It does not know which plans are known already: that is `decide`'s.
"""

from __future__ import annotations

from proxy.policy import parser
from proxy.policy.catalog import Relation
from proxy.policy.context import Context
from proxy.policy.cuts import Cut
from proxy.policy.plan import Plan, Refusal
from proxy.policy.refused import Refused
from proxy.policy.relations import MaskedRelations, RewrittenView
from proxy.policy.rewrite import Rewriter
from proxy.policy.statements import plan_statement


def plan_text(
    sql: str,
    tree: parser.ParseTree,
    relations: MaskedRelations,
    context: Context,
    policy_version: str,
    catalog_version: int,
) -> Plan:
    """The plan for a text, of which `tree` is what was parsed; the tree is changed. Raises Refused."""
    statements, rewriters = [], []
    for raw in tree.stmts:
        rewriter = Rewriter(relations, context)
        statements.append(plan_statement(raw.stmt, rewriter))
        rewriters.append(rewriter)
    written, text, cuts = text_of(sql, tree, context, deeply=any(r.changed for r in rewriters))
    changed = bool(written or cuts)
    return Plan(
        sql=text,
        statements=tuple(statements),
        rewritten=changed,
        touched=frozenset().union(*(r.touched for r in rewriters)),
        masks=tuple(dict.fromkeys(mask for r in rewriters for mask in r.masks)),
        policy_version=policy_version,
        catalog_version=catalog_version,
        limits=context.limits,
        raw_predicates=tuple(sorted({name for r in rewriters for name in r.raw_predicates})),
        tree=written,
        original=sql if written else "",
        cuts=cuts,
        weighed=any(r.weighs for r in rewriters),
    )


def text_of(sql: str, tree: parser.ParseTree, context: Context, *, deeply: bool) -> tuple[bytes, str, tuple[Cut, ...]]:
    """The text to run, what was put into it where, and the tree that it was written from, if it was.

    `deeply`: more has changed than which relations are read.
    """
    if not deeply:
        found = context.splices.over(sql) if context.splices.insets else (sql, ())
        if found is not None:
            return b"", *found
    written = tree.SerializeToString()
    return written, *verified_text(written, context)


def rewrite_view(relations: MaskedRelations, view: Relation) -> RewrittenView:
    """The engine over a view's definition, for `MaskedRelations`. Raises Refused."""
    if view.definition is None:
        raise Refused(Refusal("0A000", "its definition is not known"))
    try:
        tree = parser.parse(view.definition)
    except parser.SyntaxProblem:
        raise Refused(Refusal("0A000", "its definition cannot be analysed")) from None
    context = Context(through_view=True)
    rewriter = Rewriter(relations, context)
    rewriter.select(tree.stmts[0].stmt.select_stmt)
    rewriter.finish()
    text, _ = verified_text(tree.SerializeToString(), context)
    changed = rewriter.changed or bool(context.splices.insets)
    return RewrittenView(text, changed, tuple(rewriter.masks), bool(rewriter.touched), rewriter.hides)


def verified_text(tree: bytes, context: Context) -> tuple[str, tuple[Cut, ...]]:
    """A serialised tree as SQL text that PostgreSQL's grammar reads as that very tree, masked views in their places.

    Raises Refused where the text says something else (a fault of the deparser).
    """
    try:
        text = parser.faithful_text(tree)
    except parser.SyntaxProblem:
        raise Refused(Refusal("0A000", "the masked form of this statement cannot be written")) from None
    if text is None:
        raise Refused(Refusal("0A000", "the masked form of this statement cannot be written faithfully"))
    return context.splices.into(text)
